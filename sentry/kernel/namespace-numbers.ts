// SPDX-License-Identifier: Apache-2.0
// The numbers of namespaces, which are the inodes that /proc/PID/ns shows (linux/proc_ns.h). Linux
// gives later ones as they come; here each type has a range of its own, so that a number tells what
// it is of.
export type NamespaceType = 'mnt' | 'pid' | 'ipc' | 'uts' | 'time';

/** The numbers of namespaces of which there is only one. */
export const CGROUP_NAMESPACE = 0xeffffffb;
export const USER_NAMESPACE = 0xeffffffd;
export const NETWORK_NAMESPACE = 0xf0000000;

/**
 * The initial one's number, where there is one that the sandbox begins with, and the number before
 * the later ones'.
 */
const ranges: Readonly<Record<NamespaceType, { readonly first?: number; readonly later: number }>> =
  {
    mnt: { later: 0xf0000000 },
    pid: { first: 0xeffffffc, later: 0xf1000000 },
    ipc: { first: 0xefffffff, later: 0xf2000000 },
    uts: { first: 0xeffffffe, later: 0xf3000000 },
    // Who has no time namespace of its own is in the initial one (INITIAL_TIME_NAMESPACE).
    time: { later: 0xf4000000 },
  };

export const INITIAL_TIME_NAMESPACE = 0xeffffffa;

export class NamespaceNumbers {
  readonly #counts = new Map<NamespaceType, number>();

  /** That of a namespace that is made now. */
  next(type: NamespaceType): number {
    const count = (this.#counts.get(type) ?? 0) + 1;
    this.#counts.set(type, count);
    const { first, later } = ranges[type];
    return count === 1 && first !== undefined ? first : later + count;
  }
}

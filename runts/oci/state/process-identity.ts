// SPDX-License-Identifier: Apache-2.0
// Which process a pid stood for: pids are used again, the time of a process's start is not
// (proc_pid_stat(5)).
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Ticks since boot. */
  readonly startTime: number;
}

/** Undefined where there is no such process (any more), or only a zombie of it. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return { pid, startTime: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

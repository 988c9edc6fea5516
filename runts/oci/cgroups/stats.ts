// SPDX-License-Identifier: Apache-2.0
// What a cgroup has used, in the shape that `runc events --stats` prints (its types/events.go):
// fields that Go leaves out when they are zero are left out here too.
export type Count = number | bigint;

export interface MemoryEntry {
  readonly limit: Count;
  readonly usage?: Count;
  readonly max?: Count;
  readonly failcnt: Count;
}

export interface BlkioEntry {
  readonly major?: Count;
  readonly minor?: Count;
  readonly op?: string;
  readonly value?: Count;
}

export interface HugetlbStats {
  readonly usage?: Count;
  readonly max?: Count;
  readonly failcnt: Count;
}

export interface CgroupStats {
  readonly cpu: {
    readonly usage: {
      readonly total?: Count;
      readonly percpu?: readonly Count[];
      readonly percpu_kernel?: readonly Count[];
      readonly percpu_user?: readonly Count[];
      readonly kernel: Count;
      readonly user: Count;
    };
    readonly throttling: {
      readonly periods?: Count;
      readonly throttledPeriods?: Count;
      readonly throttledTime?: Count;
    };
  };
  readonly cpuset: Readonly<Record<string, Count | readonly number[]>>;
  readonly memory: {
    readonly cache?: Count;
    readonly usage: MemoryEntry;
    readonly swap: MemoryEntry;
    readonly kernel: MemoryEntry;
    readonly kernelTCP: MemoryEntry;
    readonly raw?: Readonly<Record<string, Count>>;
  };
  readonly pids: { readonly current?: Count; readonly limit?: Count };
  readonly blkio: Readonly<Record<string, readonly BlkioEntry[]>>;
  readonly hugetlb: Readonly<Record<string, HugetlbStats>>;
  readonly intel_rdt: Readonly<Record<string, never>>;
  readonly network_interfaces: null;
}

export const noMemory: MemoryEntry = { limit: 0, failcnt: 0 };

/** Returns `value` without the members that are 0, empty or absent, as Go's omitempty does. */
export function withoutZeros<T extends object>(value: T): Partial<T> {
  const kept = Object.entries(value).filter(
    ([, member]) =>
      member !== undefined &&
      member !== '' &&
      (typeof member === 'object' || Number(member) !== 0) &&
      !(Array.isArray(member) && member.length === 0),
  );
  return Object.fromEntries(kept) as Partial<T>;
}

/** {"type":"stats","id":...,"data":...}: one line of `events`. Numbers of 64 bits keep all their digits. */
export function renderStatsEvent(id: string, stats: CgroupStats): string {
  return JSON.stringify({ type: 'stats', id, data: stats }, (_, value: unknown) =>
    typeof value === 'bigint' ? rawJson(String(value)) : value,
  );
}

/** In V8, but not in the types of this TypeScript. */
function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}

/** '0-2,7' → [0, 1, 2, 7] */
export function parseList(text: string): number[] {
  return text
    .split(',')
    .filter(Boolean)
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
    });
}

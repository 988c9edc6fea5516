// The processes of a container as the host's ps(1) and `docker top` may show them: its front, and one for each process
// of `runts exec`. These came into the cgroup from outside; the rest of what runs there is runts itself, and is below them.
import { readFileSync } from 'node:fs';
import { restoreCgroup } from './cgroups/cgroup.ts';
import type { ContainerRecord } from './state/container-record.ts';

export function hostPids(record: ContainerRecord): number[] {
  if (record.front === undefined) return [];
  if (parentOf(record.front.pid) === undefined) return [];
  if (record.cgroup === null) return [record.front.pid];
  const all = new Set(restoreCgroup(record.cgroup).pids(true));
  return [...all].filter((pid) => {
    const parent = parentOf(pid);
    return parent !== undefined && !all.has(parent);
  });
}

/** Undefined for one that has gone. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

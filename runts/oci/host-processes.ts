// The processes of a container as the host's ps(1) and `docker top` may show them: its front, and one for each process
// of `runts exec`. The rest of what runs in its cgroup is runts itself.
import { readFileSync, statSync } from 'node:fs';
import { restoreCgroup } from './cgroups/cgroup.ts';
import type { ContainerRecord } from './state/container-record.ts';

export function hostPids(record: ContainerRecord): number[] {
  if (record.front === undefined) return [];
  const own = programOf(record.front.pid);
  if (own === undefined) return [];
  if (record.cgroup === null) return [record.front.pid];
  const fronts = restoreCgroup(record.cgroup)
    .pids(true)
    .filter((pid) => programOf(pid) === own);
  // A launcher runs the same program, below its front.
  return fronts.filter((pid) => !fronts.includes(parentOf(pid)));
}

/** Device and inode of what a process runs. */
function programOf(pid: number): string | undefined {
  try {
    const { dev, ino } = statSync(`/proc/${pid}/exe`);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return 0;
  }
}

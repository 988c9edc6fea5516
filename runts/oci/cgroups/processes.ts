// SPDX-License-Identifier: Apache-2.0
// The processes in a cgroup: who they are, and their end.
import { join } from 'node:path';
import { isErrnoOf, pause, readControl, writeControl } from './control-files.ts';
import { treeBottomUp } from './directories.ts';

export function pidsOf(directory: string, recursive: boolean): number[] {
  const directories = recursive ? treeBottomUp(directory) : [directory];
  return directories.flatMap((each) =>
    (procsOf(each) ?? '')
      .split('\n')
      .map(Number)
      // 0: a process of a PID namespace that is not below ours.
      .filter((pid) => pid > 0),
  );
}

/** A threaded v2 cgroup does not tell (EOPNOTSUPP); the one above it does. */
function procsOf(directory: string): string | undefined {
  try {
    return readControl(join(directory, 'cgroup.procs'));
  } catch {
    return undefined;
  }
}

/** cgroup.kill of v2, Linux 5.14; it leaves no gap for a process that forks. */
export function killWhole(directory: string): boolean {
  try {
    writeControl(join(directory, 'cgroup.kill'), '1');
    return true;
  } catch {
    return false;
  }
}

/**
 * SIGKILL for everything in these directories until nothing is left or the time is over. Answers
 * whether nothing is left. Processes that are in none of them but one hierarchy's directory only
 * are hit as well.
 */
export function killAll(directories: readonly string[], patienceMs: number): boolean {
  const end = Date.now() + patienceMs;
  for (let delayMs = 1; ; delayMs = Math.min(delayMs * 2, 50)) {
    const pids = new Set(directories.flatMap((directory) => pidsOf(directory, true)));
    pids.delete(process.pid);
    if (pids.size === 0) return true;
    for (const pid of pids) signal(pid);
    if (Date.now() >= end) return false;
    pause(delayMs);
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrnoOf(error, 'ESRCH', 'EPERM')) throw error;
  }
}

// SPDX-License-Identifier: Apache-2.0
// The oom_score_adj of a pod's further container: its guest processes come from the Sentry, and
// with the sandbox's score, while its front and its Gofer have its own. Where its memory ends a
// guest process is to go before those (launch.ts).
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import type { Cgroup } from './cgroups/cgroup.ts';

/** New processes inherit their parent's score: one that was forked in between is found the next time. */
const MOST_ROUNDS = 8;
/** From a Gofer up to its front. */
const MOST_ANCESTORS = 4;

/** Those in `cgroup` that do not descend from `front`. A host that refuses leaves them as they are. */
export function setGuestOomScore(cgroup: Cgroup, front: number, score: number): void {
  const text = String(Math.min(Math.max(score, -1000), 1000));
  const done = new Set<number>();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const news = cgroup.pids(false).filter((pid) => !done.has(pid));
    if (news.length === 0) return;
    for (const pid of news) {
      done.add(pid);
      if (!descends(pid, front)) setScore(cgroup, pid, text);
    }
  }
}

/**
 * The directory stays that of one process, whatever becomes of its number: it is looked for in the
 * cgroup once more.
 */
function setScore(cgroup: Cgroup, pid: number, text: string): void {
  let directory = -1;
  try {
    directory = openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY);
    if (cgroup.pids(false).includes(pid))
      writeFileSync(`/proc/self/fd/${directory}/oom_score_adj`, text);
  } catch {
    // It has ended, or the host does not let it be lower.
  } finally {
    if (directory >= 0) closeSync(directory);
  }
}

function descends(pid: number, front: number): boolean {
  let at = pid;
  for (let steps = 0; steps <= MOST_ANCESTORS && at > 1; steps++) {
    if (at === front) return true;
    at = parentOf(at);
  }
  return false;
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

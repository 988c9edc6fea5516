// SPDX-License-Identifier: Apache-2.0
// Whether this process is a job of a shell: its process group is not orphaned (setpgid(2), POSIX).
import { readFileSync } from 'node:fs';

/** A parent, past wrappers in our own process group, in another group of our session. */
export function hasShell(): boolean {
  const own = ids('self');
  let parent = own;
  while (parent !== undefined && parent.group === own?.group) parent = ids(String(parent.parent));
  return parent !== undefined && parent.session === own?.session;
}

interface Ids {
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** proc_pid_stat(5). Undefined: no such process, or one that is hidden. */
function ids(pid: string): Ids | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [, parent, group, session] = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return { parent: parent ?? 0, group: group ?? 0, session: session ?? 0 };
  } catch {
    return undefined;
  }
}

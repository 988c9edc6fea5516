// SPDX-License-Identifier: Apache-2.0
// The magic links of a process: /proc/PID/{exe,cwd,root} and ns/*.
import { EACCES, ENOENT, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import {
  CGROUP_NAMESPACE,
  INITIAL_TIME_NAMESPACE,
  NETWORK_NAMESPACE,
  USER_NAMESPACE,
} from '../../kernel/namespace-numbers.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread-group.ts';
import type { Caller } from '../../vfs/caller.ts';
import { anonymousPath, type Path, pathText } from '../../vfs/path.ts';
import { directory } from '../pseudo/directory.ts';
import type { Entries, Entry } from '../pseudo/entry.ts';
import { link } from '../pseudo/links.ts';
import { inodeOf, nodeOf, type ShownNamespace } from './namespace-file.ts';
import { directoryOwnerOf, mayLookInto, ownerOf, type Subject } from './subject.ts';

/** A link to the place that `find` gives, for those who may look into the process. */
function pathLink(find: (task: Task) => Path | undefined): Entry<Subject> {
  const follow = (subject: Subject, caller: Caller): Result<Path> => {
    const task = subject.task;
    const path = task === undefined ? undefined : find(task);
    if (path === undefined) return ENOENT;
    return isErrno(mayLookInto(subject, caller)) ? EACCES : path;
  };
  const text = (subject: Subject, caller: Caller): Result<string> => {
    const path = follow(subject, caller);
    return isErrno(path) ? path : pathText(path, (caller as Task).fs.root);
  };
  return link<Subject>(text, { follow, owner: ownerOf });
}

export const exeLink: Entry<Subject> = pathLink((task) => task.mm.executable?.path);
export const cwdLink: Entry<Subject> = pathLink((task) => task.fs.cwd);
export const rootLink: Entry<Subject> = pathLink((task) => task.fs.root);

type Show = (task: Task | undefined, group: ThreadGroup) => ShownNamespace;
const only =
  (ino: number): Show =>
  () =>
    ino;
const pidNamespace: Show = (_task, group) => group.pids.inode;

const timeNamespace: Show = (_task, group) => group.container.time?.inode ?? INITIAL_TIME_NAMESPACE;

/**
 * The namespaces. Where the sandbox has only one, it has the number of Linux's initial one
 * (linux/proc_ns.h).
 */
const namespaces: readonly (readonly [name: string, type: string, show: Show])[] = [
  ['cgroup', 'cgroup', only(CGROUP_NAMESPACE)],
  ['ipc', 'ipc', (task, group) => task?.ipc ?? group.container.ipc],
  ['mnt', 'mnt', (_task, group) => group.container.mounts.inode],
  ['net', 'net', only(NETWORK_NAMESPACE)],
  ['pid', 'pid', pidNamespace],
  ['pid_for_children', 'pid', pidNamespace],
  ['time', 'time', timeNamespace],
  ['time_for_children', 'time', timeNamespace],
  ['user', 'user', only(USER_NAMESPACE)],
  ['uts', 'uts', (task, group) => task?.uts ?? group.container.uts],
];

function namespaceLinks(): Entries<Subject> {
  const entries: Record<string, Entry<Subject>> = {};
  for (const [name, type, show] of namespaces) {
    const shown = (subject: Subject): ShownNamespace => show(subject.task, subject.group);
    const textOf = (subject: Subject): string => `${type}:[${inodeOf(shown(subject))}]`;
    const check = (subject: Subject, caller: Caller): SysResult => mayLookInto(subject, caller);
    entries[name] = link<Subject>(
      (subject, caller) => (isErrno(check(subject, caller)) ? EACCES : textOf(subject)),
      {
        follow: (subject, caller) =>
          isErrno(check(subject, caller))
            ? EACCES
            : anonymousPath(nodeOf(shown(subject)), textOf(subject)),
        owner: ownerOf,
      },
    );
  }
  return entries;
}

export const namespaceDirectory: Entry<Subject> = directory<Subject>(namespaceLinks(), {
  mode: 0o511,
  owner: directoryOwnerOf,
});

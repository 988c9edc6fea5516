// SPDX-License-Identifier: Apache-2.0
// /proc/PID and /proc/PID/task/TID: the table of what is in them (proc(5)).

import { CAP_SYS_ADMIN, CAP_SYS_NICE, CAP_SYS_TIME } from '../../../abi/capability.ts';
import {
  EACCES,
  EINVAL,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { idMapText } from '../../kernel/id-ranges.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread-group.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import type { Node } from '../../vfs/node.ts';
import { directory } from '../pseudo/directory.ts';
import {
  type Entries,
  type Entry,
  type FileOperations,
  processOperations,
} from '../pseudo/entry.ts';
import type { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { fdDirectory, fdinfoDirectory } from './descriptors.ts';
import { memoryFile } from './memory-file.ts';
import { mountTable, renderMountinfo, renderMounts, renderMountstats } from './mount-table.ts';
import { netDirectory } from './net.ts';
import { cwdLink, exeLink, namespaceDirectory, rootLink } from './process-links.ts';
import {
  renderAuxv,
  renderCmdline,
  renderEnviron,
  renderMaps,
  renderSmaps,
  renderSmapsRollup,
} from './process-memory.ts';
import {
  nameOf,
  renderIo,
  renderLimits,
  renderOomScore,
  renderSched,
  renderSchedstat,
  renderStat,
  renderStatm,
  renderStatus,
  renderSyscall,
  renderTimeOffsets,
  writeComm,
  writeOomScoreAdjustment,
} from './process-stat.ts';
import { directoryOwnerOf, parseInteger, privateFile, processFile, Subject } from './subject.ts';

/** The entries that the process and each of its threads have. */
const common: Entries<Subject> = {
  auxv: privateFile(0o400, renderAuxv),
  cgroup: processFile(0o444, () => '0::/\n'),
  cmdline: processFile(0o444, renderCmdline),
  comm: processFile(0o644, (subject) => `${nameOf(subject)}\n`, { write: writeComm }),
  cpuset: processFile(0o444, () => '/\n'),
  cwd: cwdLink,
  environ: privateFile(0o400, renderEnviron),
  exe: exeLink,
  fd: fdDirectory,
  fdinfo: fdinfoDirectory,
  gid_map: processFile(0o644, ({ group }) => idMapText(group.container.ids.gids), {
    write: () => EPERM,
  }),
  io: privateFile(0o400, renderIo),
  limits: processFile(0o444, renderLimits),
  loginuid: processFile(0o644, () => '4294967295', { write: () => EPERM }),
  maps: privateFile(0o444, renderMaps),
  mem: memoryFile,
  mountinfo: mountTable(renderMountinfo),
  mounts: mountTable(renderMounts),
  net: netDirectory,
  ns: namespaceDirectory,
  oom_score: processFile(0o444, renderOomScore),
  oom_score_adj: processFile(0o644, (subject) => `${subject.group.oomScoreAdjustment}\n`, {
    write: writeOomScoreAdjustment,
  }),
  personality: privateFile(
    0o400,
    (subject) => `${(subject.group.personality >>> 0).toString(16).padStart(8, '0')}\n`,
  ),
  root: rootLink,
  sched: processFile(0o644, renderSched),
  schedstat: processFile(0o444, renderSchedstat),
  sessionid: processFile(0o444, () => '4294967295'),
  setgroups: processFile(0o644, () => 'allow\n', { write: () => EPERM }),
  smaps: privateFile(0o444, renderSmaps),
  smaps_rollup: privateFile(0o444, renderSmapsRollup),
  // The kernel's own stack of a task: there is none that is anybody's business.
  stack: processFile(0o400, () => '', {
    mayOpen: (_subject, caller) => (isCapable(caller.credentials, CAP_SYS_ADMIN) ? 0 : EPERM),
  }),
  stat: processFile(0o444, renderStat),
  statm: processFile(0o444, renderStatm),
  status: processFile(0o444, renderStatus),
  syscall: privateFile(0o400, renderSyscall),
  uid_map: processFile(0o644, ({ group }) => idMapText(group.container.ids.uids), {
    write: () => EPERM,
  }),
  wchan: processFile(0o444, () => '0'),
};

const mountstatsOperations: FileOperations = { ...processOperations, spliceRead: true };

/** The entries that only the process has. */
const processOnly: Entries<Subject> = {
  coredump_filter: processFile(0o644, () => '00000033\n', { write: writeNumber }),
  mountstats: privateFile(0o400, renderMountstats, mountstatsOperations),
  task: directory<Subject>(
    {},
    {
      owner: directoryOwnerOf,
      computed: {
        directoryCount: (subject) => subject.group.tasks.size,
        list: (subject) =>
          [...subject.group.tasks]
            .map(({ tid }) => ({ name: String(tid), key: tid }))
            .sort((a, b) => a.key - b.key),
        lookup: (filesystem, subject, name) => threadNode(filesystem, subject.group, name),
      },
    },
  ),
  timens_offsets: processFile(0o644, renderTimeOffsets, {
    // It has processes.
    write: (_subject, _text, caller) =>
      isCapable(caller.credentials, CAP_SYS_TIME) ? EACCES : EPERM,
  }),
  timerslack_ns: processFile(0o666, renderTimerSlack, { write: writeTimerSlack }),
};

/**
 * The entries that only threads have. Differs from Linux: children are the process's, and shown by
 * its first thread.
 */
const threadOnly: Entries<Subject> = {
  children: processFile(0o444, ({ group, thread }) =>
    thread === group.leader ? [...group.children].map(({ id }) => `${id} `).join('') : '',
  ),
};

const threadEntry: Entry<Subject> = directory<Subject>(
  { ...common, ...threadOnly },
  { owner: directoryOwnerOf },
);
const processEntry: Entry<Subject> = directory<Subject>(
  { ...common, ...processOnly },
  { owner: directoryOwnerOf },
);

const processNodes = new WeakMap<PseudoFileSystem, WeakMap<ThreadGroup, Node>>();
const threadNodes = new WeakMap<PseudoFileSystem, WeakMap<Task, Node>>();

/** The directory of a process: the same node as long as the process is there. */
export function processNode(filesystem: PseudoFileSystem, group: ThreadGroup): Node {
  return cached(processNodes, filesystem, group, () =>
    processEntry(filesystem, new Subject(group, undefined)),
  );
}

function threadNode(
  filesystem: PseudoFileSystem,
  group: ThreadGroup,
  name: string,
): Node | undefined {
  const task = group.pids.tasks.get(/^[1-9]\d*$/.test(name) ? Number(name) : 0);
  if (task === undefined || task.group !== group) return undefined;
  return cached(threadNodes, filesystem, task, () =>
    threadEntry(filesystem, new Subject(group, task)),
  );
}

function cached<K extends object>(
  caches: WeakMap<PseudoFileSystem, WeakMap<K, Node>>,
  filesystem: PseudoFileSystem,
  key: K,
  make: () => Node,
): Node {
  let nodes = caches.get(filesystem);
  if (nodes === undefined) {
    nodes = new WeakMap();
    caches.set(filesystem, nodes);
  }
  let node = nodes.get(key);
  if (node === undefined) {
    node = make();
    nodes.set(key, node);
  }
  return node;
}

/** No core is ever written, so the filter of what would be in it is fixed. */
function writeNumber(): SysResult {
  return EPERM;
}

/** The slack of others is for those with CAP_SYS_NICE. */
function slackTask({ task }: Subject, caller: Caller): Result<Task> {
  if (task === undefined) return ESRCH;
  return task === caller || isCapable(caller.credentials, CAP_SYS_NICE) ? task : EPERM;
}

function renderTimerSlack(subject: Subject, caller: Caller): Result<string> {
  const task = slackTask(subject, caller);
  return isErrno(task) ? task : `${task.timerSlackNs}\n`;
}

function writeTimerSlack(subject: Subject, text: string, caller: Caller): SysResult {
  const task = slackTask(subject, caller);
  if (isErrno(task)) return task;
  const parsed = parseInteger(text, EINVAL);
  if (isErrno(parsed)) return parsed;
  if (parsed.value < 0) return EINVAL;
  task.timerSlackNs = parsed.value === 0 ? 50_000 : parsed.value;
  return text.length;
}

// SPDX-License-Identifier: Apache-2.0
// /proc/sysvipc/{msg,sem,shm}: the System V objects of the reader's IPC namespace (proc_sysvipc(5),
// ipc/{msg,sem,shm}.c).
import type { IpcNamespace } from '../../kernel/ipc/ipc-namespace.ts';
import type { IpcObject, IpcUser } from '../../kernel/ipc/ipc-objects.ts';
import type { MessageQueue } from '../../kernel/ipc/message-queue.ts';
import type { SemaphoreSet } from '../../kernel/ipc/semaphore-set.ts';
import type { ShmSegment } from '../../kernel/ipc/shm-segments.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { pidSeenFrom } from '../../kernel/pid-namespace.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import { directory } from '../pseudo/directory.ts';
import { type Entry, recordOperations } from '../pseudo/entry.ts';
import { textFile } from '../pseudo/text-file.ts';

type Column = readonly [value: number, width: number];

/** Right-aligned numbers with blanks between, as printf's %10u. */
const columns = (...values: readonly Column[]): string =>
  values.map(([value, width]) => String(value).padStart(width)).join(' ');

function table<T extends IpcObject>(
  head: string,
  listOf: (ipc: IpcNamespace) => readonly T[],
  rest: (object: T, pid: (user: IpcUser | undefined) => number) => string,
): Entry<Kernel> {
  function* render(_kernel: Kernel, caller: Caller): IterableIterator<string> {
    const task = caller as Task;
    const pid = (user: IpcUser | undefined): number =>
      user === undefined ? 0 : pidSeenFrom(task.pids, user.pids, user.id);
    yield head;
    for (const object of listOf(task.ipc))
      yield `${columns([object.key, 10], [object.id, 10])}  ${object.mode.toString(8).padStart(4)} ${rest(object, pid)}\n`;
  }
  return textFile<Kernel>(0o444, render, { operations: recordOperations });
}

const owners = ({ uid, gid, creatorUid, creatorGid }: IpcObject): string =>
  columns([uid, 5], [gid, 5], [creatorUid, 5], [creatorGid, 5]);

const msg = table<MessageQueue>(
  '       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n',
  ({ messages }) => messages.list(),
  (queue, pid) =>
    [
      ` ${columns([queue.usedBytes, 10], [queue.count, 10], [pid(queue.lastSender), 5], [pid(queue.lastReceiver), 5])}`,
      owners(queue),
      columns([queue.sendTime, 10], [queue.receiveTime, 10], [queue.changeTime, 10]),
    ].join(' '),
);

const sem = table<SemaphoreSet>(
  '       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n',
  ({ semaphores }) => semaphores.list(),
  (set) =>
    [
      columns([set.count, 10]),
      owners(set),
      columns([set.operationTime, 10], [set.changeTime, 10]),
    ].join(' '),
);

const shm = table<ShmSegment>(
  '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n',
  (ipc) => ipc.shm.list(),
  (segment, pid) =>
    [
      columns([segment.sizeBytes, 21], [pid(segment.creator), 5], [pid(segment.lastUser), 5]),
      ` ${columns([segment.attachCount, 5])}`,
      owners(segment),
      columns([segment.attachTime, 10], [segment.detachTime, 10], [segment.changeTime, 10]),
      columns([segment.residentBytes, 21], [0, 21]),
    ].join(' '),
);

export const sysvipcDirectory: Entry<Kernel> = directory<Kernel>({ msg, sem, shm });

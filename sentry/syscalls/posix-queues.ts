// SPDX-License-Identifier: Apache-2.0
// POSIX message queues: mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2),
// mq_notify(2), mq_getsetattr(2).
import {
  EACCES,
  EAGAIN,
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  EMFILE,
  EMSGSIZE,
  ENAMETOOLONG,
  ENOENT,
  ENOMEM,
  ENOTSOCK,
  ERESTARTSYS,
  ETIMEDOUT,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  canRead,
  canWrite,
  O_ACCMODE,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_TRUNC,
} from '../../abi/fcntl.ts';
import { NAME_MAX } from '../../abi/fs.ts';
import { MQ_PRIO_MAX, mqAttr, NOTIFY_COOKIE_LEN, sigevent } from '../../abi/mqueue.ts';
import { SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGRTMAX } from '../../abi/signal.ts';
import { S_IALLUGO } from '../../abi/stat.ts';
import { getI64, readTimespec, setI64, TIMESPEC_BYTES } from '../../abi/time.ts';
import type { Blocking, MaybeBlocking, Sleep, Waker } from '../base/wait.ts';
import type { QueueSize } from '../fs/mqueue/directory.ts';
import { mqueueOf } from '../fs/mqueue/filesystem.ts';
import { type QueueEvent, QueueNotification } from '../fs/mqueue/notification.ts';
import type { QueueMessage, QueueReceiver, QueueSender } from '../fs/mqueue/posix-queue.ts';
import { QueueFile } from '../fs/mqueue/queue-file.ts';
import type { Task } from '../kernel/task.ts';
import { NetlinkSocket } from '../net/netlink/netlink-socket.ts';
import { Socket } from '../net/socket.ts';
import { lookupChild } from '../vfs/dentry.ts';
import { removeChild } from '../vfs/directory-operations.ts';
import { createAndOpen, openExisting } from '../vfs/open.ts';
import { OpenFile } from '../vfs/open-file.ts';
import { Path } from '../vfs/path.ts';
import type { Opening } from '../vfs/special-files.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';

function sysMqOpen(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(1);
  const size = args.addr(3) === 0 ? undefined : readSize(task, args.addr(3));
  if (isErrno(size)) return size;
  const name = readName(task, args.addr(0));
  if (isErrno(name)) return name;
  if (isErrno(task.files.next())) return EMFILE;
  const opened = openQueue(task, name.text, { flags, mode: args.u32(2), size });
  if (!(opened instanceof OpenFile)) return typeof opened === 'number' ? opened : EINVAL;
  opened.flags = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_PATH);
  return task.files.add(opened, true);
}

interface HowToOpen {
  readonly flags: number;
  readonly mode: number;
  readonly size: QueueSize | undefined;
}

function openQueue(task: Task, name: string, { flags, mode, size }: HowToOpen): Opening {
  const { filesystem, top } = mqueueOf(task.ipc);
  const access = flags & (O_ACCMODE | O_NONBLOCK);
  const found = lookupChild(top.dentry, name, task);
  if (!isErrno(found)) {
    if ((flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0) return EEXIST;
    if ((flags & O_ACCMODE) === O_ACCMODE) return EINVAL;
    return openExisting(task, new Path(top.mount, found), access);
  }
  if (found !== ENOENT || (flags & O_CREAT) === 0) return found;
  return createAndOpen(task, top, name, access, mode & S_IALLUGO, (as) =>
    filesystem.root.createQueue(name, as, task, size),
  );
}

function readSize(task: Task, addr: number): Result<QueueSize> {
  const view = task.memory.view(addr, mqAttr.size);
  if (isErrno(view)) return EFAULT;
  return {
    maxMessages: getI64(view, mqAttr.maxmsg),
    messageBytes: getI64(view, mqAttr.msgsize),
  };
}

/** One name: libc has taken the leading '/' off. */
function readName(task: Task, addr: number): Result<{ readonly text: string }> {
  const text = task.memory.path(addr);
  if (isErrno(text)) return text;
  if (text === '') return ENOENT;
  if (text === '.' || text === '..' || text.includes('/')) return EACCES;
  return text.length > NAME_MAX ? ENAMETOOLONG : { text };
}

function sysMqUnlink(task: Task, args: SyscallArgs): SysResult {
  const name = readName(task, args.addr(0));
  if (isErrno(name)) return name;
  return removeChild(task, mqueueOf(task.ipc).top, name.text);
}

/** The open queue behind a descriptor. */
function queueAt(task: Task, fd: number): Result<QueueFile> {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  return file instanceof QueueFile ? file : EBADF;
}

/** An absolute time of the wall clock as the deadline of a sleep; Infinity for a null pointer. */
function readDeadline(task: Task, addr: number): SysResult {
  if (addr === 0) return Number.POSITIVE_INFINITY;
  const view = task.memory.view(addr, TIMESPEC_BYTES);
  if (isErrno(view)) return view;
  const time = readTimespec(view, 0);
  if (isErrno(time)) return time;
  const { clock } = task.kernel;
  const now = clock.realtime();
  const restNs = (time.sec - now.sec) * 1e9 + (time.nsec - now.nsec);
  return clock.monotonicNs() + Math.max(0, restNs);
}

function sysMqTimedsend(task: Task, args: SyscallArgs): MaybeBlocking {
  const lengthBytes = args.len(2);
  const priority = args.u32(3);
  const deadlineNs = readDeadline(task, args.addr(4));
  if (isErrno(deadlineNs)) return deadlineNs;
  if (priority >= MQ_PRIO_MAX) return EINVAL;
  const file = queueAt(task, args.i32(0));
  if (isErrno(file)) return file;
  if (!canWrite(file.flags)) return EBADF;
  if (lengthBytes > file.messages.messageBytes) return EMSGSIZE;
  if (lengthBytes > task.kernel.ipcMemory.limitBytes) return ENOMEM;
  const bytes = new Uint8Array(lengthBytes);
  const read = lengthBytes === 0 ? 0 : task.memory.read(args.addr(1), bytes);
  if (isErrno(read)) return read;
  const message = { priority, bytes };
  const sent = file.messages.send(message);
  if (sent === 0) file.node.used();
  if (sent !== EAGAIN || (file.flags & O_NONBLOCK) !== 0) return sent;
  return sendLater(file, message, deadlineNs);
}

function* sendLater(
  file: QueueFile,
  message: QueueMessage,
  deadlineNs: number,
): Blocking<SysResult> {
  const sender: QueueSender = { message, result: undefined, waker: undefined };
  file.acquire();
  file.messages.waitForRoom(sender);
  try {
    for (;;) {
      const wake = yield sleepOf(sender, deadlineNs);
      if (sender.result !== undefined) return sender.result;
      if (wake === 'signal') return ERESTARTSYS;
      if (wake === 'deadline') return ETIMEDOUT;
    }
  } finally {
    file.messages.stopSending(sender);
    file.release();
  }
}

function sleepOf(waiter: { waker: Waker | undefined }, deadlineNs: number): Sleep {
  return {
    join: (waker) => {
      waiter.waker = waker;
    },
    leave: () => {
      waiter.waker = undefined;
    },
    deadlineNs,
  };
}

/** Where a message is to go. */
interface Destination {
  readonly addr: number;
  /** 0: nobody asks. */
  readonly priorityAddr: number;
}

function sysMqTimedreceive(task: Task, args: SyscallArgs): MaybeBlocking {
  const destination = { addr: args.addr(1), priorityAddr: args.addr(3) };
  const deadlineNs = readDeadline(task, args.addr(4));
  if (isErrno(deadlineNs)) return deadlineNs;
  const file = queueAt(task, args.i32(0));
  if (isErrno(file)) return file;
  if (!canRead(file.flags)) return EBADF;
  if (args.len(2) < file.messages.messageBytes) return EMSGSIZE;
  const message = file.messages.receive();
  if (message !== undefined) {
    file.node.used();
    return deliver(task, message, destination);
  }
  if ((file.flags & O_NONBLOCK) !== 0) return EAGAIN;
  return receiveLater(task, file, destination, deadlineNs);
}

function* receiveLater(
  task: Task,
  file: QueueFile,
  destination: Destination,
  deadlineNs: number,
): Blocking<SysResult> {
  const receiver: QueueReceiver = { message: undefined, waker: undefined };
  file.acquire();
  file.messages.waitForMessage(receiver);
  try {
    for (;;) {
      const wake = yield sleepOf(receiver, deadlineNs);
      if (receiver.message !== undefined) return deliver(task, receiver.message, destination);
      if (wake === 'signal') return ERESTARTSYS;
      if (wake === 'deadline') return ETIMEDOUT;
    }
  } finally {
    file.messages.stopReceiving(receiver);
    file.release();
  }
}

/** A message whose reader's memory is bad is lost, as on Linux. */
function deliver(task: Task, message: QueueMessage, to: Destination): SysResult {
  const { bytes, priority } = message;
  if (to.priorityAddr !== 0) {
    const told = task.memory.writeU32(to.priorityAddr, priority);
    if (isErrno(told)) return told;
  }
  const written = bytes.length === 0 ? 0 : task.memory.write(to.addr, bytes);
  return isErrno(written) ? written : bytes.length;
}

function sysMqNotify(task: Task, args: SyscallArgs): SysResult {
  const event = args.addr(1) === 0 ? undefined : readEvent(task, args.addr(1));
  if (isErrno(event)) return event;
  const file = queueAt(task, args.i32(0));
  if (isErrno(file)) return file;
  const { messages, node } = file;
  if (event === undefined) {
    if (messages.notification?.owner !== task.group) return 0;
    messages.notification.release();
    messages.notification = undefined;
  } else {
    if (messages.notification !== undefined) return EBUSY;
    messages.notification = new QueueNotification(task.group, event);
  }
  node.wasRead();
  return 0;
}

function readEvent(task: Task, addr: number): Result<QueueEvent> {
  const view = task.memory.view(addr, sigevent.size);
  if (isErrno(view)) return EFAULT;
  const signal = view.getUint32(sigevent.signo, true);
  switch (view.getInt32(sigevent.notify, true)) {
    case SIGEV_NONE:
      return { notify: SIGEV_NONE };
    case SIGEV_SIGNAL:
      if (signal > SIGRTMAX) return EINVAL;
      return {
        notify: SIGEV_SIGNAL,
        signal,
        valueLo: view.getUint32(sigevent.value, true),
        valueHi: view.getUint32(sigevent.value + 4, true),
      };
    case SIGEV_THREAD:
      return readThreadEvent(task, view);
    default:
      return EINVAL;
  }
}

/** libc's way: sigev_value points to a cookie, sigev_signo is the netlink socket that it goes to. */
function readThreadEvent(task: Task, view: DataView): Result<QueueEvent> {
  const cookieAddr =
    view.getUint32(sigevent.value + 4, true) * 0x1_0000_0000 + view.getUint32(sigevent.value, true);
  const cookie = new Uint8Array(NOTIFY_COOKIE_LEN);
  const read = task.memory.read(cookieAddr, cookie);
  if (isErrno(read)) return read;
  const socket = task.files.get(view.getInt32(sigevent.signo, true));
  if (isErrno(socket)) return socket;
  if (!(socket instanceof NetlinkSocket)) return socket instanceof Socket ? EINVAL : ENOTSOCK;
  return { notify: SIGEV_THREAD, cookie, socket };
}

function sysMqGetsetattr(task: Task, args: SyscallArgs): SysResult {
  const newAddr = args.addr(1);
  const oldAddr = args.addr(2);
  const wanted = newAddr === 0 ? undefined : task.memory.view(newAddr, mqAttr.size);
  if (isErrno(wanted)) return EFAULT;
  const wantedFlags = wanted === undefined ? 0 : wanted.getUint32(mqAttr.flags, true);
  if (wanted !== undefined) {
    const high = wanted.getUint32(mqAttr.flags + 4, true);
    if (high !== 0 || (wantedFlags & ~O_NONBLOCK) !== 0) return EINVAL;
  }
  const file = queueAt(task, args.i32(0));
  if (isErrno(file)) return file;
  const old = attributesOf(file);
  if (wanted !== undefined) {
    file.flags = (file.flags & ~O_NONBLOCK) | wantedFlags;
    file.node.wasRead();
  }
  return oldAddr === 0 ? 0 : task.memory.write(oldAddr, old);
}

function attributesOf({ flags, messages }: QueueFile): Uint8Array {
  const view = new DataView(new ArrayBuffer(mqAttr.size));
  setI64(view, mqAttr.flags, flags & O_NONBLOCK);
  setI64(view, mqAttr.maxmsg, messages.maxMessages);
  setI64(view, mqAttr.msgsize, messages.messageBytes);
  setI64(view, mqAttr.curmsgs, messages.count);
  return new Uint8Array(view.buffer);
}

export const posixQueueRows: readonly Row[] = [
  direct(240, 'mq_open', ['string', 'openFlags', 'mode', 'addr'], sysMqOpen),
  direct(241, 'mq_unlink', ['string'], sysMqUnlink),
  sleeps(242, 'mq_timedsend', ['fd', 'addr', 'len', 'uint', 'timespec'], sysMqTimedsend),
  sleeps(243, 'mq_timedreceive', ['fd', 'addr', 'len', 'addr', 'timespec'], sysMqTimedreceive),
  direct(244, 'mq_notify', ['fd', 'addr'], sysMqNotify),
  direct(245, 'mq_getsetattr', ['fd', 'addr', 'addr'], sysMqGetsetattr),
];

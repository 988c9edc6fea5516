// SPDX-License-Identifier: Apache-2.0
// System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).
import { CAP_SYS_RESOURCE } from '../../abi/capability.ts';
import {
  E2BIG,
  EACCES,
  EAGAIN,
  EIDRM,
  EINVAL,
  ENOMEM,
  ENOMSG,
  EPERM,
  ERESTARTNOHAND,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import * as ipc from '../../abi/ipc.ts';
import { getU64 } from '../../abi/time.ts';
import type { Blocking, MaybeBlocking, Sleep, Waker } from '../base/wait.ts';
import { READ_PERMISSION, WRITE_PERMISSION } from '../kernel/ipc/ipc-objects.ts';
import { userOf } from '../kernel/ipc/leave.ts';
import {
  type Message,
  type MessageChoice,
  type MessageQueue,
  MessageReceiver,
  type MessageType,
} from '../kernel/ipc/message-queue.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';
import { callerOf, changeOwner, nowSec, pidSeen, setU64, writeStatus } from './ipc-status.ts';

/** sizeof(long): the type before a message's text. */
const TYPE_BYTES = 8;

function sysMsgget(task: Task, args: SyscallArgs): SysResult {
  const queue = task.ipc.messages.getQueue({
    ...callerOf(task),
    key: args.i32(0),
    flags: args.u32(1),
  });
  return isErrno(queue) ? queue : queue.id;
}

function sysMsgsnd(task: Task, args: SyscallArgs): MaybeBlocking {
  const id = args.i32(0);
  const flags = args.u32(3);
  const message = readMessage(task, args.addr(1), args.len(2));
  if (isErrno(message)) return message;
  if (id < 0) return EINVAL;
  const queue = task.ipc.messages.find(id);
  if (isErrno(queue)) return queue;
  const sent = trySend(task, queue, message);
  return sent !== EAGAIN || (flags & ipc.IPC_NOWAIT) !== 0 ? sent : sendLater(task, queue, message);
}

function readMessage(task: Task, addr: number, lengthBytes: number): Result<Message> {
  const head = task.memory.view(addr, TYPE_BYTES);
  if (isErrno(head)) return head;
  if (lengthBytes > task.ipc.limits.number('kernel.msgmax')) return EINVAL;
  const type = { high: head.getInt32(4, true), low: head.getUint32(0, true) };
  if (type.high < 0 || (type.high === 0 && type.low === 0)) return EINVAL;
  if (lengthBytes > task.kernel.ipcMemory.limitBytes) return ENOMEM;
  const bytes = new Uint8Array(lengthBytes);
  const read = lengthBytes === 0 ? 0 : task.memory.read(addr + TYPE_BYTES, bytes);
  return isErrno(read) ? read : { type, bytes };
}

function trySend(task: Task, queue: MessageQueue, message: Message): SysResult {
  if (queue.isRemoved) return EIDRM;
  if (!queue.permits(task.credentials, WRITE_PERMISSION)) return EACCES;
  if (!queue.hasRoomFor(message.bytes.length)) return EAGAIN;
  return queue.send(message, userOf(task), nowSec(task));
}

function* sendLater(task: Task, queue: MessageQueue, message: Message): Blocking<SysResult> {
  const sender: { waker: Waker | undefined } = { waker: undefined };
  queue.waitForRoom(sender);
  try {
    for (;;) {
      const wake = yield sleepOf(sender);
      const sent = trySend(task, queue, message);
      if (sent !== EAGAIN) return sent;
      if (wake === 'signal') return ERESTARTNOHAND;
    }
  } finally {
    queue.giveUpSending(sender);
  }
}

function sleepOf(waiter: { waker: Waker | undefined }): Sleep {
  return {
    join: (waker) => {
      waiter.waker = waker;
    },
    leave: () => {
      waiter.waker = undefined;
    },
    deadlineNs: Number.POSITIVE_INFINITY,
  };
}

/** msgrcv after its arguments are decoded. */
interface Reception {
  readonly addr: number;
  readonly mostBytes: number;
  readonly choice: MessageChoice;
  readonly flags: number;
}

function sysMsgrcv(task: Task, args: SyscallArgs): MaybeBlocking {
  const id = args.i32(0);
  const mostBytes = args.len(2);
  const flags = args.u32(4);
  if (id < 0 || mostBytes >= 2 ** 63) return EINVAL;
  const copies = (flags & ipc.MSG_COPY) !== 0;
  if (copies && ((flags & ipc.MSG_EXCEPT) !== 0 || (flags & ipc.IPC_NOWAIT) === 0)) return EINVAL;
  const queue = task.ipc.messages.find(id);
  if (isErrno(queue)) return queue;
  const wanted = { high: args.high(3) | 0, low: args.u32(3) };
  const reception = { addr: args.addr(1), mostBytes, choice: choiceOf(wanted, flags), flags };
  const received = tryReceive(task, queue, reception);
  if (received !== ENOMSG || (flags & ipc.IPC_NOWAIT) !== 0) return received;
  return receiveLater(task, queue, reception);
}

/** convert_mode(). */
function choiceOf(type: MessageType, flags: number): MessageChoice {
  const { high, low } = type;
  if ((flags & ipc.MSG_COPY) !== 0) return { kind: 'place', place: high * 0x1_0000_0000 + low };
  if (high === 0 && low === 0) return { kind: 'first' };
  if (high < 0) return { kind: 'lowest', type: negated(type) };
  return { kind: (flags & ipc.MSG_EXCEPT) !== 0 ? 'other' : 'equal', type };
}

function negated({ high, low }: MessageType): MessageType {
  // -LONG_MIN is none: the largest there is.
  if (high === -0x8000_0000 && low === 0) return { high: 0x7fff_ffff, low: 0xffff_ffff };
  return { high: low === 0 ? -high : ~high, low: -low >>> 0 };
}

function tryReceive(task: Task, queue: MessageQueue, reception: Reception): SysResult {
  const { choice, mostBytes, flags } = reception;
  if (queue.isRemoved) return EIDRM;
  if (!queue.permits(task.credentials, READ_PERMISSION)) return EACCES;
  const message = queue.find(choice);
  if (message === undefined) return ENOMSG;
  const lengthBytes = message.bytes.length;
  if (mostBytes < lengthBytes && (flags & ipc.MSG_NOERROR) === 0) return E2BIG;
  // A copy is whole or none.
  if (choice.kind === 'place') {
    const room = Math.min(mostBytes, task.ipc.limits.number('kernel.msgmax'));
    return lengthBytes > room ? EINVAL : deliver(task, message, reception);
  }
  queue.take(message, userOf(task), nowSec(task));
  return deliver(task, message, reception);
}

/** A message whose reader's memory is bad is lost, as on Linux. */
function deliver(task: Task, { type, bytes }: Message, { addr, mostBytes }: Reception): SysResult {
  const head = new DataView(new ArrayBuffer(TYPE_BYTES));
  head.setUint32(0, type.low, true);
  head.setInt32(4, type.high, true);
  const lengthBytes = Math.min(mostBytes, bytes.length);
  const written = task.memory.write(addr, new Uint8Array(head.buffer));
  if (isErrno(written)) return written;
  if (lengthBytes === 0) return 0;
  const copied = task.memory.write(addr + TYPE_BYTES, bytes.subarray(0, lengthBytes));
  return isErrno(copied) ? copied : lengthBytes;
}

function* receiveLater(task: Task, queue: MessageQueue, reception: Reception): Blocking<SysResult> {
  const { choice, mostBytes, flags } = reception;
  const most = (flags & ipc.MSG_NOERROR) !== 0 ? Number.POSITIVE_INFINITY : mostBytes;
  for (;;) {
    const receiver = new MessageReceiver(choice, most, userOf(task));
    const outcome = yield* waitForMessage(queue, receiver);
    if (!isErrno(outcome)) return deliver(task, outcome, reception);
    if (outcome !== EAGAIN) return outcome;
    const received = tryReceive(task, queue, reception);
    if (received !== ENOMSG) return received;
  }
}

function* waitForMessage(
  queue: MessageQueue,
  receiver: MessageReceiver,
): Blocking<Result<Message>> {
  queue.waitForMessage(receiver);
  try {
    for (;;) {
      const wake = yield sleepOf(receiver);
      if (receiver.outcome !== undefined) return receiver.outcome;
      if (wake === 'signal') return ERESTARTNOHAND;
    }
  } finally {
    queue.giveUp(receiver);
  }
}

function sysMsgctl(task: Task, args: SyscallArgs): SysResult {
  const id = args.i32(0);
  const command = args.i32(1);
  const addr = args.addr(2);
  if (id < 0 || command < 0) return EINVAL;
  switch (command) {
    case ipc.IPC_INFO:
    case ipc.MSG_INFO:
      return writeInfo(task, addr, command === ipc.MSG_INFO);
    case ipc.IPC_STAT:
    case ipc.MSG_STAT:
    case ipc.MSG_STAT_ANY:
      return status(task, id, command, addr);
    case ipc.IPC_SET:
      return change(task, id, addr);
    case ipc.IPC_RMID: {
      const queue = task.ipc.messages.findOwned(id, task.credentials);
      if (isErrno(queue)) return queue;
      task.ipc.messages.remove(queue);
      return 0;
    }
    default:
      return EINVAL;
  }
}

function status(task: Task, id: number, command: number, addr: number): SysResult {
  const at = ipc.msqidDs;
  const request = {
    id,
    addr,
    byPlace: command !== ipc.IPC_STAT,
    unchecked: command === ipc.MSG_STAT_ANY,
  };
  return writeStatus(task, task.ipc.messages, request, at.size, (view, queue) => {
    setU64(view, at.stime, queue.sendTime);
    setU64(view, at.rtime, queue.receiveTime);
    setU64(view, at.ctime, queue.changeTime);
    setU64(view, at.cbytes, queue.usedBytes);
    setU64(view, at.qnum, queue.count);
    setU64(view, at.qbytes, queue.limitBytes);
    view.setInt32(at.lspid, pidSeen(task, queue.lastSender), true);
    view.setInt32(at.lrpid, pidSeen(task, queue.lastReceiver), true);
  });
}

function change(task: Task, id: number, addr: number): SysResult {
  const { size, qbytes } = ipc.msqidDs;
  const mayHave = (view: DataView): SysResult =>
    getU64(view, qbytes) > task.ipc.limits.number('kernel.msgmnb') &&
    !isCapable(task.credentials, CAP_SYS_RESOURCE)
      ? EPERM
      : 0;
  const changed = changeOwner(task, task.ipc.messages, id, addr, size, mayHave);
  if (isErrno(changed)) return changed;
  changed.object.limitBytes = getU64(changed.view, qbytes);
  changed.object.changed();
  return 0;
}

function writeInfo(task: Task, addr: number, inUse: boolean): SysResult {
  const queues = task.ipc.messages;
  const { limits } = task.ipc;
  const at = ipc.msginfo;
  const view = new DataView(new ArrayBuffer(at.size));
  const all = inUse ? queues.list() : [];
  const messages = all.reduce((sum, { count }) => sum + count, 0);
  const bytes = all.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  // MSGPOOL, MSGMAP, MSGTQL, MSGSSZ and MSGSEG are no limits of today's kernel.
  view.setInt32(at.pool, inUse ? queues.count : 512_000, true);
  view.setInt32(at.map, inUse ? messages : 16_384, true);
  view.setInt32(at.max, limits.number('kernel.msgmax'), true);
  view.setInt32(at.mnb, limits.number('kernel.msgmnb'), true);
  view.setInt32(at.mni, limits.number('kernel.msgmni'), true);
  view.setInt32(at.ssz, 16, true);
  view.setInt32(at.tql, inUse ? bytes : 16_384, true);
  view.setUint16(at.seg, 0xffff, true);
  const written = task.memory.write(addr, new Uint8Array(view.buffer));
  return isErrno(written) ? written : queues.highestIndex;
}

export const messageQueueRows: readonly Row[] = [
  direct(68, 'msgget', ['int', 'hex'], sysMsgget),
  sleeps(69, 'msgsnd', ['int', 'addr', 'len', 'hex'], sysMsgsnd),
  sleeps(70, 'msgrcv', ['int', 'addr', 'len', 'offset', 'hex'], sysMsgrcv),
  direct(71, 'msgctl', ['int', 'int', 'addr'], sysMsgctl),
];

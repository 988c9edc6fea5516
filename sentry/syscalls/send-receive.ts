// SPDX-License-Identifier: Apache-2.0
// send(2), sendto, sendmsg, sendmmsg(2), recv(2), recvfrom, recvmsg, recvmmsg(2).
import { EAGAIN, EINVAL, EPIPE, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { SIGPIPE } from '../../abi/signal.ts';
import {
  MSG_CMSG_CLOEXEC,
  MSG_CMSG_COMPAT,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  MSG_WAITFORONE,
  mmsghdr,
  SOCK_STREAM,
  UIO_MAXIOV,
} from '../../abi/socket.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, KILLABLE_PAUSE, type MaybeBlocking, PAUSE, sleepOn } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { noControl, Received, type SendControl, type Socket } from '../net/socket.ts';
import type { Sink, Source } from '../vfs/io.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { readTimeout } from './poll-wait.ts';
import { socketAt } from './socket-file.ts';
import {
  deliverControl,
  type MessageHeader,
  readAddress,
  readControl,
  readHeader,
  releaseControl,
  writeAddress,
  writeHeader,
} from './socket-message.ts';
import {
  deadlineAfter,
  interrupted,
  isNonblocking,
  maxTransferBytes,
  raise,
  readEvents,
  writeEvents,
} from './transfer.ts';

// Sending

interface Sending {
  readonly socket: Socket;
  readonly source: Source;
  readonly flags: number;
  readonly address: Uint8Array | undefined;
  control: SendControl;
}

function sysSendto(task: Task, args: SyscallArgs): MaybeBlocking {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  let address: Uint8Array | undefined;
  if (args.addr(4) !== 0) {
    const given = readAddress(task, args.addr(4), args.i32(5));
    if (isErrno(given)) return given;
    address = given;
  }
  const source = task.memory.source(args.addr(1), Math.min(args.len(2), maxTransferBytes));
  return sendAll(task, { socket, source, flags: args.u32(3), address, control: noControl });
}

function sysSendmsg(task: Task, args: SyscallArgs): MaybeBlocking {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const flags = args.u32(2);
  return (flags & MSG_CMSG_COMPAT) !== 0 ? EINVAL : sendHeader(task, socket, args.addr(1), flags);
}

function sendHeader(task: Task, socket: Socket, addr: number, flags: number): MaybeBlocking {
  const header = readHeader(task, addr);
  if (isErrno(header)) return header;
  let address: Uint8Array | undefined;
  if (header.nameBytes > 0) {
    const given = readAddress(task, header.nameAddr, header.nameBytes);
    if (isErrno(given)) return given;
    address = given;
  }
  const source = task.memory.sourceOfVector(header.iovAddr, header.iovCount);
  if (isErrno(source)) return source;
  const control = readControl(task, socket, header);
  if (isErrno(control)) return control;
  return sendAll(task, { socket, source, flags, address, control });
}

/** Sends everything, waiting where the socket and the flags allow. Releases the control's files. */
function sendAll(task: Task, sending: Sending): MaybeBlocking {
  const { socket, source, flags, address, control } = sending;
  const count = socket.send(source, flags, address, control, task);
  const mayWait = !isNonblocking(socket) && (flags & MSG_DONTWAIT) === 0;
  const more = count > 0 && source.remaining > 0 && socket.type === SOCK_STREAM;
  if (mayWait && (count === EAGAIN || more)) return waitAndSend(task, sending, Math.max(0, count));
  releaseControl(control);
  return sendDone(task, sending, count);
}

function* waitAndSend(task: Task, sending: Sending, already: number): Blocking<SysResult> {
  const { socket, source, flags, address } = sending;
  const control = sending.control;
  const timeoutNs = socket.options.sendTimeoutNs;
  const deadlineNs = deadlineAfter(task, timeoutNs);
  let total = already;
  socket.acquire();
  try {
    for (;;) {
      // Files go with the first bytes only.
      const count = socket.send(source, flags, address, total === 0 ? control : noControl, task);
      if (count > 0) total += count;
      const done =
        !isErrno(count) && (source.remaining === 0 || count === 0 || socket.type !== SOCK_STREAM);
      if (done) return total;
      if (!isErrno(count)) {
        if (isPieceOver(task.kernel.clock) && (yield KILLABLE_PAUSE) === 'signal') return total;
        continue;
      }
      if (count !== EAGAIN) return total > 0 ? total : sendDone(task, sending, count);
      const wake = yield sleepOn(socket, writeEvents, deadlineNs);
      if (wake === 'signal') return total > 0 ? total : interrupted(timeoutNs);
      if (wake === 'deadline') return total > 0 ? total : EAGAIN;
    }
  } finally {
    releaseControl(control);
    socket.release();
  }
}

function sendDone(task: Task, sending: Sending, result: SysResult): SysResult {
  if (result === EPIPE && sending.socket.raisesSigpipe && (sending.flags & MSG_NOSIGNAL) === 0)
    raise(task, SIGPIPE);
  return result;
}

function sysSendmmsg(task: Task, args: SyscallArgs): MaybeBlocking {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const flags = args.u32(3);
  if ((flags & MSG_CMSG_COMPAT) !== 0) return EINVAL;
  return sendMany(task, socket, args.addr(1), Math.min(args.u32(2), UIO_MAXIOV), flags);
}

/**
 * Sends several messages. Returns the number of those that were sent, and an error only where none
 * was.
 */
function* sendMany(
  task: Task,
  socket: Socket,
  addr: number,
  count: number,
  flags: number,
): Blocking<SysResult> {
  socket.acquire();
  try {
    for (let index = 0; index < count; index += 1) {
      const at = addr + index * mmsghdr.size;
      const call = sendHeader(task, socket, at, flags);
      const sent = typeof call === 'number' ? call : yield* call;
      const stored = isErrno(sent) ? sent : task.memory.writeU32(at + mmsghdr.length, sent);
      if (isErrno(stored)) return index === 0 ? stored : index;
      if (isPieceOver(task.kernel.clock) && (yield PAUSE) === 'signal') return index + 1;
    }
    return count;
  } finally {
    socket.release();
  }
}

// Receiving

interface Receiving {
  readonly socket: Socket;
  readonly sink: Sink;
  readonly flags: number;
  readonly received: Received;
}

function sysRecvfrom(task: Task, args: SyscallArgs): MaybeBlocking {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const sink = task.memory.sink(args.addr(1), Math.min(args.len(2), maxTransferBytes));
  const receiving = { socket, sink, flags: args.u32(3), received: new Received() };
  const addr = args.addr(4);
  const lengthAddr = args.addr(5);
  return receiveThen(task, receiving, (count) => {
    for (const file of receiving.received.files) file.release();
    if (addr === 0) return count;
    const address = receiving.received.address ?? new Uint8Array(0);
    const stored = writeAddress(task, address, addr, lengthAddr);
    return isErrno(stored) ? stored : count;
  });
}

function sysRecvmsg(task: Task, args: SyscallArgs): MaybeBlocking {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const flags = args.u32(2);
  return (flags & MSG_CMSG_COMPAT) !== 0
    ? EINVAL
    : receiveHeader(task, socket, args.addr(1), flags);
}

function receiveHeader(task: Task, socket: Socket, addr: number, flags: number): MaybeBlocking {
  const header = readHeader(task, addr);
  if (isErrno(header)) return header;
  const sink = task.memory.sinkOfVector(header.iovAddr, header.iovCount);
  if (isErrno(sink)) return sink;
  const receiving = { socket, sink, flags, received: new Received() };
  return receiveThen(task, receiving, (count) =>
    finishMessage(task, receiving, header, addr, count),
  );
}

function finishMessage(
  task: Task,
  receiving: Receiving,
  header: MessageHeader,
  addr: number,
  count: number,
): SysResult {
  const { socket, received, flags } = receiving;
  const cloexec = (flags & MSG_CMSG_CLOEXEC) !== 0;
  const used = deliverControl(
    task,
    socket,
    received,
    header.controlAddr,
    header.controlBytes,
    cloexec,
  );
  if (isErrno(used)) return used;
  let nameBytes: number | undefined;
  if (header.nameAddr !== 0) {
    const address = received.address ?? new Uint8Array(0);
    const fits = Math.min(header.nameBytes, address.length);
    const stored = fits === 0 ? 0 : task.memory.write(header.nameAddr, address.subarray(0, fits));
    if (isErrno(stored)) return stored;
    nameBytes = address.length;
  }
  const outFlags = received.flags | (flags & MSG_CMSG_CLOEXEC);
  const stored = writeHeader(task, addr, nameBytes, used, outFlags);
  return isErrno(stored) ? stored : count;
}

/** Receives, waiting where the socket and the flags allow, and passes a count on to `finish`. */
function receiveThen(
  task: Task,
  receiving: Receiving,
  finish: (count: number) => SysResult,
): MaybeBlocking {
  const { socket, sink, flags, received } = receiving;
  const asksErrors = (flags & MSG_ERRQUEUE) !== 0;
  if (asksErrors && !socket.hasErrorQueue) return EAGAIN;
  const count = socket.receive(sink, flags, received);
  const mayWait = !isNonblocking(socket) && (flags & MSG_DONTWAIT) === 0 && !asksErrors;
  if (mayWait && (count === EAGAIN || wantsMore(receiving, count, count))) {
    return waitAndReceive(task, receiving, Math.max(0, count), finish);
  }
  return isErrno(count) ? count : finish(count);
}

/**
 * MSG_WAITALL goes on until the buffer is full, SO_RCVLOWAT until `total` bytes are there, unless
 * something special came with the bytes.
 */
function wantsMore(receiving: Receiving, count: number, total: number): boolean {
  const { socket, sink, flags, received } = receiving;
  const waits = (flags & MSG_WAITALL) !== 0 || total < socket.options.receiveLowWater;
  return (
    waits &&
    (flags & (MSG_PEEK | MSG_TRUNC)) === 0 &&
    count > 0 &&
    sink.remaining > 0 &&
    socket.type === SOCK_STREAM &&
    received.files.length === 0
  );
}

function* waitAndReceive(
  task: Task,
  receiving: Receiving,
  already: number,
  finish: (count: number) => SysResult,
): Blocking<SysResult> {
  const { socket, sink, flags, received } = receiving;
  const timeoutNs = socket.options.receiveTimeoutNs;
  const deadlineNs = deadlineAfter(task, timeoutNs);
  let total = already;
  socket.acquire();
  try {
    for (;;) {
      const count = socket.receive(sink, flags, received);
      if (count > 0) total += count;
      if (!isErrno(count) && !wantsMore(receiving, count, total)) return finish(total);
      if (!isErrno(count)) continue;
      if (count !== EAGAIN) return total > 0 ? finish(total) : count;
      const wake = yield sleepOn(socket, readEvents, deadlineNs);
      if (wake === 'signal') return total > 0 ? finish(total) : interrupted(timeoutNs);
      if (wake === 'deadline') return total > 0 ? finish(total) : EAGAIN;
    }
  } finally {
    socket.release();
  }
}

function sysRecvmmsg(task: Task, args: SyscallArgs): MaybeBlocking {
  const flags = args.u32(3);
  if ((flags & MSG_CMSG_COMPAT) !== 0) return EINVAL;
  const timeoutNs = readTimeout(task, args.addr(4));
  if (isErrno(timeoutNs)) return timeoutNs;
  const socket: Result<Socket> = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const deadlineNs = deadlineAfter(task, timeoutNs);
  return receiveMany(
    task,
    socket,
    args.addr(1),
    Math.min(args.u32(2), UIO_MAXIOV),
    flags,
    deadlineNs,
  );
}

/** Receives several messages. As in Linux the time-out is looked at only after each message. */
function* receiveMany(
  task: Task,
  socket: Socket,
  addr: number,
  count: number,
  flags: number,
  deadlineNs: number,
): Blocking<SysResult> {
  let mode = flags & ~MSG_WAITFORONE;
  socket.acquire();
  try {
    for (let index = 0; index < count; index += 1) {
      const at = addr + index * mmsghdr.size;
      const call = receiveHeader(task, socket, at, mode);
      const got = typeof call === 'number' ? call : yield* call;
      const stored = isErrno(got) ? got : task.memory.writeU32(at + mmsghdr.length, got);
      if (isErrno(stored)) return index === 0 ? stored : index;
      if ((flags & MSG_WAITFORONE) !== 0) mode |= MSG_DONTWAIT;
      if (task.kernel.clock.monotonicNs() >= deadlineNs) return index + 1;
      if (isPieceOver(task.kernel.clock) && (yield PAUSE) === 'signal') return index + 1;
    }
    return count;
  } finally {
    socket.release();
  }
}

export const sendReceiveRows: readonly Row[] = [
  sleeps(44, 'sendto', ['fd', 'inBuffer', 'len', 'hex', 'sockaddr', 'len'], sysSendto),
  sleeps(45, 'recvfrom', ['fd', 'outBuffer', 'len', 'hex', 'sockaddr', 'addr'], sysRecvfrom),
  sleeps(46, 'sendmsg', ['fd', 'msghdr', 'hex'], sysSendmsg),
  sleeps(47, 'recvmsg', ['fd', 'msghdr', 'hex'], sysRecvmsg),
  sleeps(307, 'sendmmsg', ['fd', 'addr', 'uint', 'hex'], sysSendmmsg),
  sleeps(299, 'recvmmsg', ['fd', 'addr', 'uint', 'hex', 'timespec'], sysRecvmmsg),
];

// SPDX-License-Identifier: Apache-2.0
// socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2), shutdown(2), getsockname(2),
// getpeername(2), and the option calls. Sending and receiving: send-receive.ts.
import {
  EAFNOSUPPORT,
  EAGAIN,
  EINVAL,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  AF_MAX,
  SHUT_RD,
  SHUT_RDWR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_PACKET,
  SOCK_TYPE_MASK,
} from '../../abi/socket.ts';
import { type Blocking, type MaybeBlocking, sleepOn } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { newSocket, newSocketPair } from '../net/families.ts';
import type { Socket } from '../net/socket.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';
import { addPair } from './pipe.ts';
import { socketAt } from './socket-file.ts';
import { readAddress, writeAddress } from './socket-message.ts';
import { sysGetsockopt, sysSetsockopt } from './socket-options.ts';
import { deadlineAfter, interrupted, isNonblocking, readEvents, writeEvents } from './transfer.ts';

/** Splits the type argument: type and flags, or EINVAL. */
function typeAndFlags(word: number): Result<{ readonly type: number; readonly flags: number }> {
  const flags = word & ~SOCK_TYPE_MASK;
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return EINVAL;
  return { type: word & SOCK_TYPE_MASK, flags };
}

function sysSocket(task: Task, args: SyscallArgs): SysResult {
  const asked = typeAndFlags(args.i32(1));
  if (isErrno(asked)) return asked;
  const domain = args.i32(0);
  if (domain < 0 || domain >= AF_MAX) return EAFNOSUPPORT;
  if (asked.type > SOCK_PACKET) return EINVAL;
  const socket = newSocket(task, domain, asked.type, args.i32(2), asked.flags & SOCK_NONBLOCK);
  return isErrno(socket) ? socket : install(task, socket, asked.flags);
}

/** Gives a new socket a descriptor, or closes it. */
function install(task: Task, socket: OpenFile, flags: number): SysResult {
  socket.acquire();
  const fd = task.files.add(socket, (flags & SOCK_CLOEXEC) !== 0);
  socket.release();
  return fd;
}

function sysSocketpair(task: Task, args: SyscallArgs): SysResult {
  const asked = typeAndFlags(args.i32(1));
  if (isErrno(asked)) return asked;
  const domain = args.i32(0);
  if (domain < 0 || domain >= AF_MAX) return EAFNOSUPPORT;
  const pair = newSocketPair(task, domain, asked.type, args.i32(2), asked.flags & SOCK_NONBLOCK);
  if (isErrno(pair)) return pair;
  return addPair(task, args.addr(3), pair[0], pair[1], (asked.flags & SOCK_CLOEXEC) !== 0);
}

function sysBind(task: Task, args: SyscallArgs): SysResult {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const address = readAddress(task, args.addr(1), args.i32(2));
  return isErrno(address) ? address : socket.bind(address, task);
}

function sysListen(task: Task, args: SyscallArgs): SysResult {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  // A negative one is unsigned to Linux, and so is cut to somaxconn.
  const most = task.kernel.settings.number('net.core.somaxconn');
  return socket.listen(Math.min(args.u32(1), most), task);
}

function sysAccept(task: Task, args: SyscallArgs): MaybeBlocking {
  return acceptAt(task, args, 0);
}

function sysAccept4(task: Task, args: SyscallArgs): MaybeBlocking {
  const flags = args.i32(3);
  return (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0 ? EINVAL : acceptAt(task, args, flags);
}

function acceptAt(task: Task, args: SyscallArgs, flags: number): MaybeBlocking {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const addr = args.addr(1);
  const lengthAddr = args.addr(2);
  const accepted = socket.accept(flags & SOCK_NONBLOCK, task);
  if (!isErrno(accepted)) return finishAccept(task, accepted, flags, addr, lengthAddr);
  if (accepted !== EAGAIN || isNonblocking(socket)) return accepted;
  return waitAndAccept(task, socket, flags, addr, lengthAddr);
}

function* waitAndAccept(
  task: Task,
  socket: Socket,
  flags: number,
  addr: number,
  lengthAddr: number,
): Blocking<SysResult> {
  const timeoutNs = socket.options.receiveTimeoutNs;
  const deadlineNs = deadlineAfter(task, timeoutNs);
  socket.acquire();
  try {
    for (;;) {
      const wake = yield sleepOn(socket, readEvents, deadlineNs);
      if (wake === 'signal') return interrupted(timeoutNs);
      const accepted = socket.accept(flags & SOCK_NONBLOCK, task);
      if (!isErrno(accepted)) return finishAccept(task, accepted, flags, addr, lengthAddr);
      if (accepted !== EAGAIN || wake === 'deadline') return accepted;
    }
  } finally {
    socket.release();
  }
}

function finishAccept(
  task: Task,
  socket: Socket,
  flags: number,
  addr: number,
  lengthAddr: number,
): SysResult {
  // Held so that a failure closes the connection.
  socket.acquire();
  const fd = acceptInto(task, socket, flags, addr, lengthAddr);
  socket.release();
  return fd;
}

function acceptInto(
  task: Task,
  socket: Socket,
  flags: number,
  addr: number,
  lengthAddr: number,
): SysResult {
  if (addr !== 0) {
    const address = socket.acceptedAddress();
    const stored = isErrno(address) ? 0 : writeAddress(task, address, addr, lengthAddr);
    if (isErrno(stored)) return stored;
  }
  return task.files.add(socket, (flags & SOCK_CLOEXEC) !== 0);
}

function sysConnect(task: Task, args: SyscallArgs): MaybeBlocking {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const address = readAddress(task, args.addr(1), args.i32(2));
  if (isErrno(address)) return address;
  const connected = socket.connect(address, task);
  if (connected !== EAGAIN || isNonblocking(socket)) return connected;
  if (socket.options.sendTimeoutNs === 0) return socket.connectTimedOut();
  return waitAndConnect(task, socket, address);
}

function* waitAndConnect(task: Task, socket: Socket, address: Uint8Array): Blocking<SysResult> {
  const timeoutNs = socket.options.sendTimeoutNs;
  const deadlineNs = deadlineAfter(task, timeoutNs);
  socket.acquire();
  try {
    for (;;) {
      const wake = yield sleepOn(socket, writeEvents, deadlineNs);
      if (wake === 'signal') return interrupted(timeoutNs);
      const connected = socket.connectAgain(address, task);
      if (connected !== EAGAIN) return connected;
      if (wake === 'deadline') return socket.connectTimedOut();
    }
  } finally {
    socket.release();
  }
}

function sysShutdown(task: Task, args: SyscallArgs): SysResult {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const how = args.i32(1);
  return how < SHUT_RD || how > SHUT_RDWR ? EINVAL : socket.shutdown(how);
}

function sysGetsockname(task: Task, args: SyscallArgs): SysResult {
  return writeName(task, args, (socket) => socket.localAddress());
}

function sysGetpeername(task: Task, args: SyscallArgs): SysResult {
  return writeName(task, args, (socket) => socket.peerAddress());
}

function writeName(
  task: Task,
  args: SyscallArgs,
  nameOf: (socket: Socket) => Result<Uint8Array>,
): SysResult {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const address = nameOf(socket);
  if (isErrno(address)) return address;
  return writeAddress(task, address, args.addr(1), args.addr(2));
}

export const socketRows: readonly Row[] = [
  direct(41, 'socket', ['socketDomain', 'socketType', 'int'], sysSocket, {
    partial: 'AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK (route) within the sandbox',
  }),
  direct(53, 'socketpair', ['socketDomain', 'socketType', 'int', 'fdPair'], sysSocketpair),
  direct(49, 'bind', ['fd', 'sockaddr', 'len'], sysBind),
  direct(50, 'listen', ['fd', 'int'], sysListen),
  sleeps(43, 'accept', ['fd', 'sockaddr', 'addr'], sysAccept),
  sleeps(288, 'accept4', ['fd', 'sockaddr', 'addr', 'openFlags'], sysAccept4),
  sleeps(42, 'connect', ['fd', 'sockaddr', 'len'], sysConnect),
  direct(48, 'shutdown', ['fd', 'int'], sysShutdown),
  direct(51, 'getsockname', ['fd', 'sockaddr', 'addr'], sysGetsockname),
  direct(52, 'getpeername', ['fd', 'sockaddr', 'addr'], sysGetpeername),
  direct(54, 'setsockopt', ['fd', 'int', 'int', 'addr', 'len'], sysSetsockopt),
  direct(55, 'getsockopt', ['fd', 'int', 'int', 'addr', 'addr'], sysGetsockopt),
];

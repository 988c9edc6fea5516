// SPDX-License-Identifier: Apache-2.0
// getsockopt(2), setsockopt(2): level SOL_SOCKET for every socket (socket(7)); other levels are the
// socket's own.
import { CAP_NET_ADMIN } from '../../abi/capability.ts';
import {
  EACCES,
  EDOM,
  EINVAL,
  ENODATA,
  ENOPROTOOPT,
  EPERM,
  ERANGE,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import * as so from '../../abi/socket.ts';
import { getI64, getU64, setI64 } from '../../abi/time.ts';
import type { Task } from '../kernel/task.ts';
import { bindToDevice, getCommonNumber, setCommonNumber } from '../net/common-options.ts';
import { shownCredentials, shownGroups } from '../net/peer-credentials.ts';
import type { Socket } from '../net/socket.ts';
import { parseFilter } from '../net/socket-filter.ts';
import type { SocketOptions } from '../net/socket-options.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { socketAt } from './socket-file.ts';
import { installPidfd } from './socket-pidfd.ts';

/** Longest option value that is looked at. */
const maxOptionBytes = 4096;

type BooleanOption = {
  [Key in keyof SocketOptions]: SocketOptions[Key] extends boolean ? Key : never;
}[keyof SocketOptions];

/** Options that are one int, 0 or 1. */
const booleans: Readonly<Record<number, BooleanOption>> = {
  [so.SO_DEBUG]: 'debug',
  [so.SO_REUSEADDR]: 'reuseAddress',
  [so.SO_REUSEPORT]: 'reusePort',
  [so.SO_KEEPALIVE]: 'keepAlive',
  [so.SO_BROADCAST]: 'broadcast',
  [so.SO_OOBINLINE]: 'outOfBandInline',
  [so.SO_DONTROUTE]: 'dontRoute',
  [so.SO_NO_CHECK]: 'noCheck',
  [so.SO_PASSCRED]: 'passCredentials',
  [so.SO_PASSSEC]: 'passSecurity',
  [so.SO_PASSPIDFD]: 'passPidfd',
};

export function sysSetsockopt(task: Task, args: SyscallArgs): SysResult {
  const lengthBytes = args.i32(4);
  if (lengthBytes < 0) return EINVAL;
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const level = args.i32(1);
  const name = args.i32(2);
  const value = new Uint8Array(Math.min(lengthBytes, maxOptionBytes));
  const copied = value.length === 0 ? 0 : task.memory.read(args.addr(3), value);
  if (isErrno(copied)) return copied;
  if (level !== so.SOL_SOCKET) return socket.setOption(level, name, value, task);
  return socket.setCommonOption(name, value, task) ?? setCommon(task, socket, name, value);
}

function setCommon(task: Task, socket: Socket, name: number, value: Uint8Array): SysResult {
  const view = new DataView(value.buffer);
  const options = socket.options;
  if (timeouts.has(name)) return setTimeout(options, name, view);
  if (name === so.SO_LINGER) return setLinger(options, view);
  const mayChangeNetwork = isCapable(task.credentials, CAP_NET_ADMIN);
  if (name === so.SO_BINDTODEVICE) return bindToDevice(options, value, mayChangeNetwork);
  if (name === so.SO_ATTACH_FILTER) return attachFilter(task, options, view);
  if (value.length < 4) return EINVAL;
  const number = view.getInt32(0, true);
  const flag = booleans[name];
  const privileged = isCapable(task.credentials, CAP_NET_ADMIN);
  if (name === so.SO_DEBUG && number !== 0 && !privileged) return EACCES;
  if (flag !== undefined) {
    options[flag] = number !== 0;
    if (name === so.SO_PASSCRED) socket.optionsChanged();
    return 0;
  }
  switch (name) {
    case so.SO_SNDBUF:
    case so.SO_SNDBUFFORCE:
      if (name === so.SO_SNDBUFFORCE && !privileged) return EPERM;
      options.setSendBuffer(number, bufferLimit(task, name === so.SO_SNDBUFFORCE, 'wmem_max'));
      socket.optionsChanged();
      return 0;
    case so.SO_RCVBUF:
    case so.SO_RCVBUFFORCE:
      if (name === so.SO_RCVBUFFORCE && !privileged) return EPERM;
      options.setReceiveBuffer(number, bufferLimit(task, name === so.SO_RCVBUFFORCE, 'rmem_max'));
      socket.optionsChanged();
      return 0;
    case so.SO_RCVLOWAT:
      options.receiveLowWater = number < 0 ? 0x7fff_ffff : Math.max(1, number);
      return 0;
    case so.SO_PRIORITY:
      if ((number < 0 || number > 6) && !privileged) return EPERM;
      options.priority = number;
      return 0;
    case so.SO_MARK:
      if (!privileged) return EPERM;
      options.mark = number;
      return 0;
    case so.SO_MAX_PACING_RATE:
      options.setNumber(name, number);
      return 0;
    default:
      return setCommonNumber(options, name, number, privileged) ?? ENOPROTOOPT;
  }
}

/** Returns the largest size that a buffer may be set to, before it is doubled. */
function bufferLimit(task: Task, isForced: boolean, setting: 'rmem_max' | 'wmem_max'): number {
  return isForced ? Number.POSITIVE_INFINITY : task.kernel.settings.number(`net.core.${setting}`);
}

const timeouts: ReadonlySet<number> = new Set([
  so.SO_RCVTIMEO,
  so.SO_SNDTIMEO,
  so.SO_RCVTIMEO_NEW,
  so.SO_SNDTIMEO_NEW,
]);

/** struct sock_fprog: how many instructions, and where they are. */
function attachFilter(task: Task, options: SocketOptions, view: DataView): SysResult {
  if (view.byteLength !== 16) return EINVAL;
  if (options.number(so.SO_LOCK_FILTER, 0) !== 0) return EPERM;
  const count = view.getUint16(0, true);
  if (count === 0 || count > 4096) return EINVAL;
  const bytes = new Uint8Array(count * 8);
  const copied = task.memory.read(getU64(view, 8), bytes);
  if (isErrno(copied)) return copied;
  const filter = parseFilter(bytes);
  if (isErrno(filter)) return filter;
  options.filter = filter;
  return 0;
}

function setTimeout(options: SocketOptions, name: number, view: DataView): SysResult {
  if (view.byteLength < 16) return EINVAL;
  const seconds = getI64(view, 0);
  const microseconds = getI64(view, 8);
  if (microseconds < 0 || microseconds >= 1e6) return EDOM;
  // A negative time is over at once (sock_set_timeout); only zero means to wait for ever.
  const ns = Math.max(seconds, -1) * 1e9 + microseconds * 1000;
  const timeoutNs = ns === 0 ? Number.POSITIVE_INFINITY : Math.max(ns, 0);
  if (name === so.SO_RCVTIMEO || name === so.SO_RCVTIMEO_NEW) options.receiveTimeoutNs = timeoutNs;
  else options.sendTimeoutNs = timeoutNs;
  return 0;
}

function setLinger(options: SocketOptions, view: DataView): SysResult {
  if (view.byteLength < 8) return EINVAL;
  options.lingerOn = view.getInt32(0, true) !== 0;
  options.lingerSeconds = view.getInt32(4, true);
  return 0;
}

export function sysGetsockopt(task: Task, args: SyscallArgs): SysResult {
  const socket = socketAt(task, args.i32(0));
  if (isErrno(socket)) return socket;
  const room = task.memory.view(args.addr(4), 4);
  if (isErrno(room)) return room;
  const roomBytes = room.getInt32(0, true);
  if (roomBytes < 0) return EINVAL;
  const level = args.i32(1);
  const name = args.i32(2);
  const value =
    level === so.SOL_SOCKET
      ? (socket.getCommonOption(name) ?? getCommon(task, socket, name))
      : socket.getOption(level, name);
  if (isErrno(value)) return value;
  // The list of groups is all or nothing.
  if (level === so.SOL_SOCKET && name === so.SO_PEERGROUPS && roomBytes < value.length) {
    const told = task.memory.writeU32(args.addr(4), value.length);
    return isErrno(told) ? told : ERANGE;
  }
  const fits = Math.min(roomBytes, value.length);
  const copied = fits === 0 ? 0 : task.memory.write(args.addr(3), value.subarray(0, fits));
  return isErrno(copied) ? copied : task.memory.writeU32(args.addr(4), fits);
}

function getCommon(task: Task, socket: Socket, name: number): Result<Uint8Array> {
  const options = socket.options;
  const flag = booleans[name];
  if (flag !== undefined) return ints(options[flag] ? 1 : 0);
  switch (name) {
    case so.SO_TYPE:
      return ints(socket.type);
    case so.SO_DOMAIN:
      return ints(socket.domain);
    case so.SO_PROTOCOL:
      return ints(socket.protocol);
    case so.SO_ERROR:
      return ints(socket.takeError());
    case so.SO_ACCEPTCONN:
      return ints(socket.isListening ? 1 : 0);
    case so.SO_SNDBUF:
      return ints(options.sendBufferBytes);
    case so.SO_RCVBUF:
      return ints(options.receiveBufferBytes);
    case so.SO_RCVLOWAT:
      return ints(options.receiveLowWater);
    case so.SO_SNDLOWAT:
      return ints(1);
    case so.SO_PRIORITY:
      return ints(options.priority);
    case so.SO_MARK:
      return ints(options.mark);
    case so.SO_BSDCOMPAT:
      return ints(0);
    case so.SO_LINGER:
      return ints(options.lingerOn ? 1 : 0, options.lingerSeconds);
    case so.SO_RCVTIMEO:
    case so.SO_RCVTIMEO_NEW:
      return timeval(options.receiveTimeoutNs);
    case so.SO_SNDTIMEO:
    case so.SO_SNDTIMEO_NEW:
      return timeval(options.sendTimeoutNs);
    case so.SO_BINDTODEVICE:
      return new TextEncoder().encode(options.boundDevice === '' ? '' : `${options.boundDevice}\0`);
    case so.SO_MAX_PACING_RATE:
      return ints(options.number(name, -1), -1);
    case so.SO_PEERNAME:
      return socket.peerAddress();
    case so.SO_PEERPIDFD:
      return peerPidfd(task, socket);
    case so.SO_PEERCRED:
      return peerCredentials(task, socket);
    case so.SO_PEERGROUPS: {
      const groups = shownGroups(task, socket);
      return groups === undefined ? ENODATA : ints(...groups);
    }
    default:
      return getFigure(socket, name);
  }
}

/** Figures that the kernel alone sets, and plain numbers. */
function getFigure(socket: Socket, name: number): Result<Uint8Array> {
  const { options } = socket;
  switch (name) {
    case so.SO_COOKIE:
      return ints(socket.node.ino, 0);
    case so.SO_NETNS_COOKIE:
      return ints(1, 0);
    case so.SO_INCOMING_NAPI_ID:
      return ints(0);
    case so.SO_BPF_EXTENSIONS:
      return ints(64);
    case so.SO_MEMINFO:
      return ints(0, options.receiveBufferBytes, 0, options.sendBufferBytes, 0, 0, 0, 0, 0);
    default: {
      const number = getCommonNumber(options, name);
      return number === undefined ? ENOPROTOOPT : ints(number);
    }
  }
}

/** A new descriptor of the process at the other end. */
function peerPidfd(task: Task, socket: Socket): Result<Uint8Array> {
  const peer = socket.peerCredentials();
  if (peer === undefined) return ENODATA;
  const fd = installPidfd(task, peer);
  return isErrno(fd) ? fd : ints(fd);
}

/** struct ucred; no peer shows as pid 0 and ids of -1. */
function peerCredentials(task: Task, socket: Socket): Uint8Array {
  const peer = socket.peerCredentials();
  if (peer === undefined) return ints(0, -1, -1);
  const { pid, uid, gid } = shownCredentials(task, peer);
  return ints(pid, uid, gid);
}

function timeval(timeoutNs: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  if (timeoutNs !== Number.POSITIVE_INFINITY) {
    setI64(view, 0, Math.floor(timeoutNs / 1e9));
    setI64(view, 8, Math.floor((timeoutNs % 1e9) / 1000));
  }
  return new Uint8Array(view.buffer);
}

/** C ints, as most option values are. */
export function ints(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

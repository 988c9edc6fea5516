// SPDX-License-Identifier: Apache-2.0
// struct msghdr and its control messages (cmsg(3)): in from the guest, and out to it.
import { CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN } from '../../abi/capability.ts';
import {
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  AF_UNIX,
  cmsghdr,
  MSG_CTRUNC,
  msghdr,
  SCM_CREDENTIALS,
  SCM_MAX_FD,
  SCM_PIDFD,
  SCM_RIGHTS,
  SOCKADDR_STORAGE_BYTES,
  SOL_SOCKET,
  UCRED_BYTES,
  UIO_MAXIOV,
} from '../../abi/socket.ts';
import { getU64 } from '../../abi/time.ts';
import type { Task } from '../kernel/task.ts';
import { shownCredentials } from '../net/peer-credentials.ts';
import type {
  ControlMessage,
  PeerCredentials,
  Received,
  SendControl,
  Socket,
} from '../net/socket.ts';
import { noControl } from '../net/socket.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { installPidfd } from './socket-pidfd.ts';

/** More than any socket takes: Linux's optmem_max. */
const maxControlBytes = 131_072;

export interface MessageHeader {
  readonly nameAddr: number;
  readonly nameBytes: number;
  readonly iovAddr: number;
  readonly iovCount: number;
  readonly controlAddr: number;
  readonly controlBytes: number;
}

export function readHeader(task: Task, addr: number): Result<MessageHeader> {
  const view = task.memory.view(addr, msghdr.size);
  if (isErrno(view)) return view;
  const nameBytes = view.getInt32(msghdr.nameLength, true);
  if (nameBytes < 0) return EINVAL;
  const iovCount = getU64(view, msghdr.iovLength);
  if (iovCount > UIO_MAXIOV) return EMSGSIZE;
  const nameAddr = getU64(view, msghdr.name);
  return {
    nameAddr,
    nameBytes: nameAddr === 0 ? 0 : Math.min(nameBytes, SOCKADDR_STORAGE_BYTES),
    iovAddr: getU64(view, msghdr.iov),
    iovCount,
    controlAddr: getU64(view, msghdr.control),
    controlBytes: getU64(view, msghdr.controlLength),
  };
}

/** A struct sockaddr of the guest. */
export function readAddress(task: Task, addr: number, lengthBytes: number): Result<Uint8Array> {
  if (lengthBytes < 0 || lengthBytes > SOCKADDR_STORAGE_BYTES) return EINVAL;
  const bytes = new Uint8Array(lengthBytes);
  const copied = lengthBytes === 0 ? 0 : task.memory.read(addr, bytes);
  return isErrno(copied) ? copied : bytes;
}

/** Stores an address and its real length, as accept, getsockname and recvfrom do. */
export function writeAddress(
  task: Task,
  address: Uint8Array,
  addr: number,
  lengthAddr: number,
): SysResult {
  const room = task.memory.view(lengthAddr, 4);
  if (isErrno(room)) return room;
  const roomBytes = room.getInt32(0, true);
  if (roomBytes < 0) return EINVAL;
  const fits = Math.min(roomBytes, address.length);
  const copied = fits === 0 ? 0 : task.memory.write(addr, address.subarray(0, fits));
  return isErrno(copied) ? copied : task.memory.writeU32(lengthAddr, address.length);
}

/** The control messages of a send. Files are acquired: release them with `releaseControl`. */
export function readControl(
  task: Task,
  socket: Socket,
  header: MessageHeader,
): Result<SendControl> {
  const { controlAddr, controlBytes } = header;
  if (controlAddr === 0 || controlBytes === 0) return noControl;
  if (controlBytes > maxControlBytes) return ENOBUFS;
  const view = task.memory.view(controlAddr, controlBytes);
  if (isErrno(view)) return view;
  const files: OpenFile[] = [];
  const control = parseControl(task, socket, view, files);
  if (isErrno(control)) for (const file of files) file.release();
  return control;
}

export function releaseControl(control: SendControl): void {
  for (const file of control.files) file.release();
}

function parseControl(
  task: Task,
  socket: Socket,
  view: DataView,
  files: OpenFile[],
): Result<SendControl> {
  let credentials: PeerCredentials | undefined;
  const messages: ControlMessage[] = [];
  let at = 0;
  while (at + cmsghdr.data <= view.byteLength) {
    const lengthBytes = getU64(view, at + cmsghdr.length);
    if (lengthBytes < cmsghdr.data || lengthBytes > view.byteLength - at) return EINVAL;
    const level = view.getInt32(at + cmsghdr.level, true);
    const type = view.getInt32(at + cmsghdr.type, true);
    const dataBytes = lengthBytes - cmsghdr.data;
    if (level === SOL_SOCKET) {
      if (socket.domain !== AF_UNIX || (type !== SCM_RIGHTS && type !== SCM_CREDENTIALS))
        return EINVAL;
      if (type === SCM_RIGHTS) {
        const taken = takeFiles(task, view, at + cmsghdr.data, dataBytes, files);
        if (isErrno(taken)) return taken;
      } else {
        if (dataBytes !== UCRED_BYTES) return EINVAL;
        const given = takeCredentials(task, view, at + cmsghdr.data);
        if (isErrno(given)) return given;
        credentials = given;
      }
    } else {
      const data = new Uint8Array(view.buffer, view.byteOffset + at + cmsghdr.data, dataBytes);
      messages.push({ level, type, data });
    }
    at += align(lengthBytes);
  }
  return { files, credentials, messages };
}

function takeFiles(
  task: Task,
  view: DataView,
  at: number,
  dataBytes: number,
  files: OpenFile[],
): SysResult {
  const count = Math.floor(dataBytes / 4);
  if (files.length + count > SCM_MAX_FD) return EINVAL;
  for (let index = 0; index < count; index += 1) {
    const file = task.files.getAny(view.getInt32(at + index * 4, true));
    if (isErrno(file)) return file;
    file.acquire();
    files.push(file);
  }
  return 0;
}

/** The id -1, which nobody has. */
const NO_ID = 0xffff_ffff;

/** scm_check_creds: others' ids only with privilege. */
function takeCredentials(task: Task, view: DataView, at: number): Result<PeerCredentials> {
  const pid = view.getInt32(at, true);
  const uid = view.getUint32(at + 4, true);
  const gid = view.getUint32(at + 8, true);
  if (uid === NO_ID || gid === NO_ID) return EINVAL;
  const own = task.credentials;
  const pidAllowed = pid === task.group.id || isCapable(own, CAP_SYS_ADMIN);
  const uidAllowed =
    uid === own.uid || uid === own.euid || uid === own.suid || isCapable(own, CAP_SETUID);
  const gidAllowed =
    gid === own.gid || gid === own.egid || gid === own.sgid || isCapable(own, CAP_SETGID);
  if (!pidAllowed || !uidAllowed || !gidAllowed) return EPERM;
  return task.pids.isTaken(pid)
    ? { pid, pids: task.pids, ids: task.group.container.ids, uid, gid }
    : ESRCH;
}

/**
 * Stores what came with a message and installs its files. The reference that each file came with is
 * consumed. Answers the control bytes used; MSG_CTRUNC goes to received.flags.
 */
export function deliverControl(
  task: Task,
  socket: Socket,
  received: Received,
  addr: number,
  roomBytes: number,
  cloexec: boolean,
): SysResult {
  let used = 0;
  let failed = 0;
  const room = addr === 0 ? 0 : roomBytes;
  if (socket.options.passCredentials && received.credentials !== undefined) {
    const stored = writeCredentials(task, received, addr, room);
    if (isErrno(stored)) failed = stored;
    else used = stored;
  }
  if (socket.options.passPidfd && received.credentials !== undefined && failed === 0) {
    const stored = writePidfd(task, received, addr + used, room - used);
    if (isErrno(stored)) failed = stored;
    else used += stored;
  }
  if (received.files.length > 0) {
    const stored =
      failed < 0 ? failed : writeFiles(task, received, addr + used, room - used, cloexec);
    for (const file of received.files) file.release();
    received.files = [];
    if (stored < 0) failed = stored;
    else used += stored;
  }
  for (const message of received.messages) {
    const stored =
      failed < 0 ? failed : writeMessage(task, received, message, addr + used, room - used);
    if (stored < 0) failed = stored;
    else used += stored;
  }
  return failed < 0 ? failed : used;
}

/** put_cmsg: what does not fit is cut off, and told of. */
function writeMessage(
  task: Task,
  received: Received,
  message: ControlMessage,
  addr: number,
  room: number,
): SysResult {
  if (room < cmsghdr.data) {
    received.flags |= MSG_CTRUNC;
    return 0;
  }
  const wanted = cmsghdr.data + message.data.length;
  const lengthBytes = Math.min(wanted, room);
  if (lengthBytes < wanted) received.flags |= MSG_CTRUNC;
  const view = new DataView(new ArrayBuffer(lengthBytes));
  writeCmsg(view, lengthBytes, message.type, message.level);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(message.data.subarray(0, lengthBytes - cmsghdr.data), cmsghdr.data);
  const stored = task.memory.write(addr, bytes);
  return isErrno(stored) ? stored : Math.min(align(lengthBytes), room);
}

function writeCredentials(task: Task, received: Received, addr: number, room: number): SysResult {
  const { pid, uid, gid } = shownCredentials(task, received.credentials as PeerCredentials);
  if (room < cmsghdr.data) {
    received.flags |= MSG_CTRUNC;
    return 0;
  }
  const view = new DataView(new ArrayBuffer(align(cmsghdr.data + UCRED_BYTES)));
  const wanted = cmsghdr.data + UCRED_BYTES;
  const lengthBytes = Math.min(wanted, room);
  if (lengthBytes < wanted) received.flags |= MSG_CTRUNC;
  writeCmsg(view, lengthBytes, SCM_CREDENTIALS);
  view.setInt32(cmsghdr.data, pid, true);
  view.setUint32(cmsghdr.data + 4, uid, true);
  view.setUint32(cmsghdr.data + 8, gid, true);
  const stored = task.memory.write(addr, new Uint8Array(view.buffer, 0, lengthBytes));
  return isErrno(stored) ? stored : Math.min(align(lengthBytes), room);
}

/** SCM_PIDFD: an int, a negative errno where the sender is gone. */
function writePidfd(task: Task, received: Received, addr: number, room: number): SysResult {
  if (room < cmsghdr.data + 4) {
    received.flags |= MSG_CTRUNC;
    return 0;
  }
  const fd = installPidfd(task, received.credentials as PeerCredentials);
  const data = new Uint8Array(Int32Array.of(fd).buffer);
  const stored = writeMessage(
    task,
    received,
    { level: SOL_SOCKET, type: SCM_PIDFD, data },
    addr,
    room,
  );
  if (isErrno(stored) && !isErrno(fd)) task.files.remove(fd);
  return stored;
}

function writeFiles(
  task: Task,
  received: Received,
  addr: number,
  room: number,
  cloexec: boolean,
): SysResult {
  const fits = Math.max(0, Math.min(received.files.length, Math.floor((room - cmsghdr.data) / 4)));
  const fds: number[] = [];
  for (const file of received.files.slice(0, fits)) {
    const fd = task.files.add(file, cloexec);
    if (isErrno(fd)) break;
    fds.push(fd);
  }
  if (fds.length < received.files.length) received.flags |= MSG_CTRUNC;
  if (fds.length === 0) return 0;
  const lengthBytes = cmsghdr.data + fds.length * 4;
  const view = new DataView(new ArrayBuffer(lengthBytes));
  writeCmsg(view, lengthBytes, SCM_RIGHTS);
  for (const [index, fd] of fds.entries()) view.setInt32(cmsghdr.data + index * 4, fd, true);
  const stored = task.memory.write(addr, new Uint8Array(view.buffer));
  if (!isErrno(stored)) return Math.min(align(lengthBytes), room);
  for (const fd of fds) task.files.remove(fd);
  return stored;
}

function writeCmsg(
  view: DataView,
  lengthBytes: number,
  type: number,
  level: number = SOL_SOCKET,
): void {
  view.setUint32(cmsghdr.length, lengthBytes, true);
  view.setInt32(cmsghdr.level, level, true);
  view.setInt32(cmsghdr.type, type, true);
}

function align(lengthBytes: number): number {
  return Math.ceil(lengthBytes / 8) * 8;
}

/** Stores the fields of struct msghdr that recvmsg(2) changes. */
export function writeHeader(
  task: Task,
  addr: number,
  nameBytes: number | undefined,
  controlBytes: number,
  flags: number,
): SysResult {
  if (nameBytes !== undefined) {
    const stored = task.memory.writeU32(addr + msghdr.nameLength, nameBytes);
    if (isErrno(stored)) return stored;
  }
  const stored = task.memory.writeU64(addr + msghdr.controlLength, controlBytes);
  return isErrno(stored) ? stored : task.memory.writeU32(addr + msghdr.flags, flags);
}

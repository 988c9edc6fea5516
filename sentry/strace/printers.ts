// SPDX-License-Identifier: Apache-2.0
// One printer for each ArgumentKind. All may meet hostile values: a pointer that cannot be read is
// printed as a number, and nothing here reads more than a few hundred bytes for one argument.
import { EFAULT, isErrno } from '../../abi/errno.ts';
import { AT_FDCWD, O_ACCMODE } from '../../abi/fcntl.ts';
import { CSIGNAL } from '../../abi/sched.ts';
import { SA_RESTORER, signalName } from '../../abi/signal.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  cmsghdr,
  msghdr,
  SCM_CREDENTIALS,
  SCM_RIGHTS,
  SOCK_TYPE_MASK,
  SOCKADDR_UN_BYTES,
  SOL_SOCKET,
} from '../../abi/socket.ts';
import { getU64 } from '../../abi/time.ts';
import { IOVEC_BYTES } from '../../abi/uio.ts';
import type { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { ArgumentKind } from '../syscalls/entry.ts';
import * as names from './names.ts';
import { hexNumber, MAX_QUOTED, pointer, quoteBytes, quoteString } from './quote.ts';
import { timespecAt, timevalAt } from './structs.ts';

/** Prints argument `index`. `next` is the argument after it, which is the size of buffers and vectors. */
export type Printer = (args: SyscallArgs, index: number, memory: GuestMemory) => string;

const MAX_ITEMS = 4;
const POLLFD_BYTES = 8;
/** So many descriptors of poll(2) are looked at. */
const MAX_POLLED = 64;
const SIGACTION_BYTES = 32;
const POINTER_BYTES = 8;

const addr: Printer = (args, index) => pointer(args.addr(index));
const int: Printer = (args, index) => String(args.i32(index));
const uint: Printer = (args, index) => String(args.u32(index));

/** A printer of a number by name. */
const named =
  (table: names.Names): Printer =>
  (args, index) =>
    names.printName(args.u32(index), table);

const flags =
  (table: names.Names, zero = '0'): Printer =>
  (args, index) =>
    names.printFlags(args.u32(index), table, zero);

const path: Printer = (args, index, memory) => {
  const text = args.addr(index) === 0 ? EFAULT : memory.path(args.addr(index));
  return isErrno(text) ? addr(args, index, memory) : quoteString(text);
};

const string: Printer = (args, index, memory) => {
  if (args.addr(index) === 0) return 'NULL';
  const bytes = new Uint8Array(MAX_QUOTED + 1);
  const got = memory.readSome(args.addr(index), bytes);
  if (isErrno(got)) return addr(args, index, memory);
  const end = bytes.subarray(0, got).indexOf(0);
  const shown = end < 0 ? Math.min(got, MAX_QUOTED) : end;
  return quoteBytes(bytes.subarray(0, shown), end < 0);
};

const inBuffer: Printer = (args, index, memory) =>
  index === 5 ? addr(args, index, memory) : buffer(args.addr(index), args.len(index + 1), memory);

function buffer(at: number, length: number, memory: GuestMemory): string {
  if (at === 0) return 'NULL';
  const bytes = new Uint8Array(Math.min(length, MAX_QUOTED));
  const got = bytes.length === 0 ? 0 : memory.readSome(at, bytes);
  return isErrno(got) ? pointer(at) : quoteBytes(bytes.subarray(0, got), length > got);
}

/** `[a, b, ...]` over an array in guest memory. */
export function list(
  at: number,
  count: number,
  itemBytes: number,
  memory: GuestMemory,
  print: (view: DataView, offset: number) => string,
): string {
  if (at === 0) return 'NULL';
  const shown = Math.min(count, MAX_ITEMS);
  if (shown <= 0) return '[]';
  const view = memory.view(at, shown * itemBytes);
  if (isErrno(view)) return pointer(at);
  const items = Array.from({ length: shown }, (_, item) => print(view, item * itemBytes));
  return `[${items.join(', ')}${count > shown ? ', ...' : ''}]`;
}

/** Shows of the buffers only what `total` bytes fill: a call that reads left the rest as it was. */
export function vector(
  at: number,
  count: number,
  memory: GuestMemory,
  total = Number.POSITIVE_INFINITY,
): string {
  let left = total;
  return list(at, count, IOVEC_BYTES, memory, (view, offset) => {
    const length = getU64(view, offset + 8);
    const shown = buffer(getU64(view, offset), Math.min(length, left), memory);
    left -= Math.min(length, left);
    return `{iov_base=${shown}, iov_len=${length}}`;
  });
}

const iovec: Printer = (args, index, memory) =>
  vector(args.addr(index), args.i32(index + 1), memory);

/** argv and envp: NULL-terminated arrays of strings. */
const argv: Printer = (args, index, memory) => {
  const at = args.addr(index);
  if (at === 0) return 'NULL';
  const words: string[] = [];
  for (let item = 0; item < 2 * MAX_ITEMS; item++) {
    const view = memory.view(at + item * POINTER_BYTES, POINTER_BYTES);
    if (isErrno(view)) return item === 0 ? pointer(at) : `[${words.join(', ')}, ???]`;
    const wordAddr = getU64(view, 0);
    if (wordAddr === 0) return `[${words.join(', ')}]`;
    const word = memory.string(wordAddr, 4096);
    words.push(isErrno(word) ? pointer(wordAddr) : quoteString(word));
  }
  return `[${words.join(', ')}, ...]`;
};

const timespec: Printer = (args, index, memory) => timespecAt(args.addr(index), memory);
const timeval: Printer = (args, index, memory) => timevalAt(args.addr(index), memory);

export function sockaddrAt(at: number, length: number, memory: GuestMemory): string {
  if (at === 0) return 'NULL';
  const view = memory.view(at, Math.min(length, SOCKADDR_UN_BYTES));
  if (isErrno(view) || view.byteLength < 2) return pointer(at);
  const family = view.getUint16(0, true);
  const head = `{sa_family=${names.printName(family, names.socketDomainNames)}`;
  if (family === AF_UNIX) {
    const bytes = new Uint8Array(view.buffer, view.byteOffset + 2, view.byteLength - 2);
    const abstract = bytes[0] === 0;
    const end = bytes.indexOf(0, abstract ? 1 : 0);
    const name = bytes.subarray(abstract ? 1 : 0, end < 0 || abstract ? undefined : end);
    return `${head}, sun_path=${abstract ? '@' : ''}${quoteBytes(name)}}`;
  }
  if (family === AF_INET && view.byteLength >= 8) {
    const dotted = [4, 5, 6, 7].map((offset) => view.getUint8(offset)).join('.');
    return `${head}, sin_port=htons(${view.getUint16(2)}), sin_addr=inet_addr("${dotted}")}`;
  }
  if (family === AF_INET6 && view.byteLength >= 24) {
    const words = [8, 10, 12, 14, 16, 18, 20, 22].map((offset) =>
      view.getUint16(offset).toString(16),
    );
    return `${head}, sin6_port=htons(${view.getUint16(2)}), inet_pton(AF_INET6, "${words.join(':')}", &sin6_addr)}`;
  }
  if (family === AF_NETLINK && view.byteLength >= 12) {
    return `${head}, nl_pid=${view.getUint32(4, true)}, nl_groups=${hexNumber(view.getUint32(8, true))}}`;
  }
  return `${head}, ...}`;
}

/** An address that the guest passes in, with its length behind it (a pointer there means: passed out). */
const sockaddr: Printer = (args, index, memory) =>
  index < 5 && args.len(index + 1) <= 128
    ? sockaddrAt(args.addr(index), args.len(index + 1), memory)
    : addr(args, index, memory);

/** Control messages beyond are not shown. */
const MAX_CONTROL_BYTES = 4096;

/** The control messages of a struct msghdr: `[{cmsg_len=20, ..., cmsg_data=[3]}]`. */
function controlAt(at: number, length: number, memory: GuestMemory): string {
  const view = at === 0 ? EFAULT : memory.view(at, Math.min(length, MAX_CONTROL_BYTES));
  if (isErrno(view)) return pointer(at);
  const words: string[] = [];
  for (let offset = 0; offset + cmsghdr.data <= view.byteLength; ) {
    const bytes = getU64(view, offset);
    if (bytes < cmsghdr.data || offset + bytes > view.byteLength) break;
    const level = view.getUint32(offset + cmsghdr.level, true);
    const type = view.getUint32(offset + cmsghdr.type, true);
    const data = new DataView(
      view.buffer,
      view.byteOffset + offset + cmsghdr.data,
      bytes - cmsghdr.data,
    );
    const isSocket = level === SOL_SOCKET;
    const typeName = isSocket ? names.printName(type, names.controlNames) : hexNumber(type);
    words.push(
      `{cmsg_len=${bytes}, cmsg_level=${names.printName(level, names.socketLevelNames)}, ` +
        `cmsg_type=${typeName}, cmsg_data=${controlData(isSocket ? type : 0, data)}}`,
    );
    offset += (bytes + 7) & ~7;
  }
  return `[${words.join(', ')}]`;
}

function controlData(type: number, data: DataView): string {
  const count = Math.floor(data.byteLength / 4);
  const words = Array.from({ length: count }, (_, index) => data.getInt32(4 * index, true));
  if (type === SCM_RIGHTS) return `[${words.join(', ')}]`;
  if (type === SCM_CREDENTIALS && count === 3)
    return `{pid=${words[0]}, uid=${words[1]}, gid=${words[2]}}`;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, Math.min(data.byteLength, MAX_QUOTED));
  return quoteBytes(bytes, data.byteLength > bytes.length);
}

/** A struct msghdr; `total` as in vector(). */
export function messageAt(
  at: number,
  memory: GuestMemory,
  total = Number.POSITIVE_INFINITY,
): string {
  const view = at === 0 ? EFAULT : memory.view(at, msghdr.size);
  if (isErrno(view)) return pointer(at);
  const nameBytes = view.getUint32(msghdr.nameLength, true);
  const name = sockaddrAt(getU64(view, msghdr.name), nameBytes, memory);
  const count = getU64(view, msghdr.iovLength);
  const iov = vector(getU64(view, msghdr.iov), count, memory, total);
  const controlBytes = getU64(view, msghdr.controlLength);
  const control =
    controlBytes === 0
      ? ''
      : `msg_control=${controlAt(getU64(view, msghdr.control), controlBytes, memory)}, `;
  const bits = names.printFlags(view.getUint32(msghdr.flags, true), names.messageFlagNames);
  return (
    `{msg_name=${name}, msg_namelen=${nameBytes}, msg_iov=${iov}, msg_iovlen=${count}, ` +
    `${control}msg_controllen=${controlBytes}, msg_flags=${bits}}`
  );
}

const message: Printer = (args, index, memory) => messageAt(args.addr(index), memory);

/** A set of more than half of the signals is told by those that it lacks: `~[KILL STOP]`. */
export function sigset(lo: number, hi: number): string {
  const [inside, outside]: [string[], string[]] = [[], []];
  for (let signal = 1; signal <= 64; signal++) {
    const word = signal <= 32 ? lo : hi;
    const side = ((word >>> ((signal - 1) & 31)) & 1) === 1 ? inside : outside;
    side.push(setName(signal));
  }
  return inside.length > 32 ? `~[${outside.join(' ')}]` : `[${inside.join(' ')}]`;
}

/** strace counts real-time signals from 32, as the kernel does, not from the C library's SIGRTMIN. */
function setName(number: number): string {
  if (number < 32) return signalName(number).replace(/^SIG/, '');
  return number === 32 ? 'RTMIN' : `RT_${number - 32}`;
}

const sigsetPointer: Printer = (args, index, memory) => {
  const at = args.addr(index);
  const view = at === 0 ? EFAULT : memory.view(at, 8);
  return isErrno(view) ? pointer(at) : sigset(view.getUint32(0, true), view.getUint32(4, true));
};

const sigaction: Printer = (args, index, memory) => {
  const at = args.addr(index);
  const view = at === 0 ? EFAULT : memory.view(at, SIGACTION_BYTES);
  if (isErrno(view)) return pointer(at);
  const handler = getU64(view, 0);
  const handlerName = handler === 0 ? 'SIG_DFL' : handler === 1 ? 'SIG_IGN' : pointer(handler);
  const bits = names.printFlags(view.getUint32(8, true), names.sigactionFlagNames);
  const mask = sigset(view.getUint32(24, true), view.getUint32(28, true));
  const restorer =
    (view.getUint32(8, true) & SA_RESTORER) === 0
      ? ''
      : `, sa_restorer=${pointer(getU64(view, 16))}`;
  return `{sa_handler=${handlerName}, sa_mask=${mask}, sa_flags=${bits}${restorer}}`;
};

const pollfds: Printer = (args, index, memory) =>
  list(args.addr(index), args.u32(index + 1), POLLFD_BYTES, memory, (view, offset) => {
    const events = names.printFlags(view.getUint16(offset + 4, true), names.pollNames);
    return `{fd=${view.getInt32(offset, true)}, events=${events}}`;
  });

/** Prints the descriptors that poll(2) found events on, as they stand behind the result. */
export function pollEvents(at: number, count: number, memory: GuestMemory): string {
  const shown = Math.min(count, MAX_POLLED);
  const view = memory.view(at, shown * POLLFD_BYTES);
  if (isErrno(view)) return pointer(at);
  const words: string[] = [];
  for (let offset = 0; offset < view.byteLength; offset += POLLFD_BYTES) {
    const bits = view.getUint16(offset + 6, true);
    if (bits === 0) continue;
    const text = names.printFlags(bits, names.pollNames);
    words.push(`{fd=${view.getInt32(offset, true)}, revents=${text}}`);
  }
  return `[${words.join(', ')}]`;
}

/** The access mode and the flags of open(2). */
export function openFlagsText(value: number): string {
  const mode = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'][value & O_ACCMODE];
  const rest = value & ~O_ACCMODE;
  return rest === 0 ? `${mode}` : `${mode}|${names.printFlags(rest, names.openFlagNames)}`;
}

const openFlags: Printer = (args, index) => openFlagsText(args.u32(index));

const cloneFlags: Printer = (args, index) => {
  const value = args.u32(index);
  const signal = value & CSIGNAL;
  const bits = names.printFlags(value & ~CSIGNAL, names.cloneFlagNames);
  return signal === 0 ? bits : `${bits}|${signalName(signal)}`;
};

const futexOp: Printer = (args, index) => {
  const value = args.u32(index);
  const bits = value & ~0x7f;
  const op = names.printName(value & 0x7f, names.futexOpNames);
  const isPrivate = (bits & names.FUTEX_PRIVATE_FLAG) !== 0;
  const rest = bits & ~names.FUTEX_PRIVATE_FLAG;
  const word = isPrivate ? `${op}_PRIVATE` : op;
  return rest === 0 ? word : `${word}|${names.printFlags(rest, names.futexFlagNames)}`;
};

const socketType: Printer = (args, index) => {
  const value = args.u32(index);
  const type = names.printName(value & SOCK_TYPE_MASK, names.socketTypeNames);
  const bits = value & ~SOCK_TYPE_MASK;
  return bits === 0 ? type : `${type}|${names.printFlags(bits, names.socketFlagNames)}`;
};

const dirfd: Printer = (args, index) => {
  const fd = args.i32(index);
  return fd === AT_FDCWD ? 'AT_FDCWD' : String(fd);
};

/** -1 is how "leave as it is" is said in chown(2) and setresuid(2). */
const id: Printer = (args, index) => {
  const value = args.u32(index);
  return value === 0xffff_ffff ? '-1' : String(value);
};

const signal: Printer = (args, index) => {
  const number = args.i32(index);
  return number > 0 && number <= 64 ? signalName(number) : String(number);
};

export const printers: Readonly<Record<ArgumentKind, Printer>> = {
  int,
  uint,
  hex: (args, index) => hexNumber(args.u64(index)),
  addr,
  len: (args, index) => String(args.len(index)),
  offset: (args, index) => String(args.i64(index)),
  fd: int,
  dirfd,
  pid: int,
  uid: id,
  gid: id,
  signal,
  mode: (args, index) => `0${(args.u32(index) & 0o177777).toString(8)}`,
  path,
  string,
  inBuffer,
  outBuffer: addr,
  iovec,
  msghdr: message,
  sockaddr,
  openFlags,
  atFlags: flags(names.atFlagNames),
  prot: flags(names.protNames, 'PROT_NONE'),
  mapFlags: flags(names.mapFlagNames),
  cloneFlags,
  futexOp,
  waitOptions: flags(names.waitOptionNames),
  sigaction,
  sigset: sigsetPointer,
  fdPair: addr,
  timespec,
  timeval,
  stat: addr,
  argv,
  pollfds,
  ioctl: named(names.ioctlNames),
  fcntl: named(names.fcntlNames),
  whence: named(names.whenceNames),
  clockId: named(names.clockNames),
  rlimit: named(names.rlimitNames),
  socketDomain: named(names.socketDomainNames),
  socketType,
  epollOp: named(names.epollOpNames),
  madvise: named(names.madviseNames),
  prctl: named(names.prctlNames),
  archPrctl: named(names.archPrctlNames),
};

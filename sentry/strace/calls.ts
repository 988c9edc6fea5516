// SPDX-License-Identifier: Apache-2.0
// How strace(1) prints the arguments of a call where the table's kinds (syscalls/entry.ts) do not say
// it all: what the kernel writes is printed when the call is left, and the meaning of one argument may
// hang on another or on the result.

import { epollEvent } from '../../abi/epoll.ts';
import { isErrno, type SysResult } from '../../abi/errno.ts';
import { O_CREAT, O_TMPFILE } from '../../abi/fcntl.ts';
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_PARENT_SETTID,
  CLONE_SETTLS,
} from '../../abi/sched.ts';
import { signalName } from '../../abi/signal.ts';
import { AF_INET, AF_INET6, SOL_SOCKET } from '../../abi/socket.ts';
import { getU64 } from '../../abi/time.ts';
import type { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { ArgumentKind, Row } from '../syscalls/entry.ts';
import { type Argument, after, early, filled, given, late } from './argument.ts';
import { ipcCalls } from './ipc-calls.ts';
import { epollEventAt, fcntlArgument, fcntlNote, ioctlArgument, statusAt } from './meanings.ts';
import * as names from './names.ts';
import { list, messageAt, pollEvents, printers, sockaddrAt, vector } from './printers.ts';
import { hexNumber, MAX_QUOTED, pointer, quoteBytes, quoteHex } from './quote.ts';
import * as structs from './structs.ts';
import { structureCalls } from './structure-calls.ts';
import { selectNote, taskCalls } from './task-calls.ts';

/** A buffer that holds `result` bytes. */
const filledBuffer: Argument = late((args, index, memory, length) =>
  bytesAt(args.addr(index), length, memory),
);

function bytesAt(at: number, length: number, memory: GuestMemory, quote = quoteBytes): string {
  if (at === 0) return 'NULL';
  const bytes = new Uint8Array(Math.max(0, Math.min(length, MAX_QUOTED)));
  const got = bytes.length === 0 ? 0 : memory.readSome(at, bytes);
  return isErrno(got) ? pointer(at) : quote(bytes.subarray(0, got), length > got);
}

const flags = (table: names.Names, zero = '0'): Argument =>
  early((args, index) => names.printFlags(args.u32(index), table, zero));
const named = (table: names.Names): Argument =>
  early((args, index) => names.printName(args.u32(index), table));
const octal = early((args, index) => `0${(args.u32(index) & 0o7777).toString(8)}`);
const hex = early((args, index) => hexNumber(args.u64(index)));
const access = flags(names.accessNames, 'F_OK');

/** open(2) looks at the mode only where it makes a file. */
const madeMode = early((args, index) =>
  (args.u32(index - 1) & O_CREAT) !== 0 || (args.u32(index - 1) & O_TMPFILE) === O_TMPFILE
    ? `0${(args.u32(index) & 0o7777).toString(8)}`
    : undefined,
);

/** A socket address that the kernel fills in, before a pointer to its length. */
const filledAddress = late((args, index, memory) => {
  const length = memory.view(args.addr(index + 1), 4);
  if (args.addr(index) === 0 || isErrno(length)) return pointer(args.addr(index));
  return sockaddrAt(args.addr(index), length.getUint32(0, true), memory);
});
/** The length that the guest gave, and where it is another one the kernel's: `[128 => 16]`. */
const sharedLength: Argument = {
  ...late((args, index, memory, _result, before) => {
    const now = structs.intAt(args.addr(index), memory);
    const wanted = before?.replace(/\]$/, '');
    return before === undefined || before === now || wanted === undefined || !/^\[/.test(now)
      ? now
      : `${wanted} => ${now.slice(1)}`;
  }),
  before: (args, index, memory) => structs.intAt(args.addr(index), memory),
};

const direntCount = late((args, index, memory, length) => {
  const [at, bytes] = [args.addr(index), new Uint8Array(Math.min(length, 1 << 16))];
  const got = memory.readSome(at, bytes);
  if (isErrno(got)) return pointer(at);
  let count = 0;
  // struct linux_dirent64: the length of a record is at 16.
  for (let offset = 0; offset + 18 <= got; count++) {
    const recordBytes = (bytes[offset + 16] ?? 0) | ((bytes[offset + 17] ?? 0) << 8);
    if (recordBytes === 0) break;
    offset += recordBytes;
  }
  return `${pointer(at)} /* ${count} entries */`;
});

const filledVector = late((args, index, memory, length) =>
  vector(args.addr(index), args.i32(index + 1), memory, length),
);

const environment = early((args, index, memory) => {
  const at = args.addr(index);
  if (at === 0) return 'NULL';
  let count = 0;
  for (; count < 4096; count++) {
    const view = memory.view(at + 8 * count, 8);
    if (isErrno(view)) return pointer(at);
    if (getU64(view, 0) === 0) break;
  }
  return `${pointer(at)} /* ${count} var${count === 1 ? '' : 's'} */`;
});

const socketProtocol = early((args, index) =>
  args.u32(0) === AF_INET || args.u32(0) === AF_INET6
    ? names.printName(args.u32(index), names.protocolNames)
    : String(args.i32(index)),
);

const optionName = early((args, index) =>
  args.i32(index - 1) === SOL_SOCKET
    ? names.printName(args.u32(index), names.socketOptionNames)
    : hexNumber(args.u32(index)),
);
const givenOption = early((args, index, memory) =>
  args.u32(index + 1) === 4
    ? structs.intAt(args.addr(index), memory)
    : bytesAt(args.addr(index), args.len(index + 1), memory),
);

const epollEvents = late((args, index, memory, count) =>
  list(args.addr(index), count, epollEvent.size, memory, epollEventAt),
);

const cloneStack = early((args) => `child_stack=${pointer(args.addr(1))}`);
const cloneFlags = early((args, _index, memory) => `flags=${printers.cloneFlags(args, 0, memory)}`);
const cloneTid = early((args) => {
  const wantsTid = (args.u32(0) & (CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID)) !== 0;
  return wantsTid ? `child_tidptr=${pointer(args.addr(3))}` : undefined;
});
const cloneParent = early((args) =>
  (args.u32(0) & CLONE_PARENT_SETTID) === 0 ? undefined : `parent_tid=${pointer(args.addr(2))}`,
);
const cloneTls = early((args) =>
  (args.u32(0) & CLONE_SETTLS) === 0 ? undefined : `tls=${pointer(args.addr(4))}`,
);

const read: readonly (ArgumentKind | Argument)[] = ['fd', filledBuffer, after('len')];
const written = [filledBuffer, after('len')];

const calls: Readonly<Record<string, readonly (ArgumentKind | Argument)[]>> = {
  read,
  pread64: [...read, after('offset')],
  readv: ['fd', filledVector, after('len')],
  preadv: ['fd', filledVector, after('len'), after('offset')],
  access: ['path', access],
  faccessat: ['dirfd', 'path', access],
  faccessat2: ['dirfd', 'path', access, 'atFlags'],
  open: ['path', 'openFlags', madeMode],
  openat: ['dirfd', 'path', 'openFlags', madeMode],
  mkdir: ['path', octal],
  mkdirat: ['dirfd', 'path', octal],
  umask: [octal],
  getcwd: [
    late((args, index, memory, length) => bytesAt(args.addr(index), length - 1, memory)),
    after('len'),
  ],
  readlink: ['path', ...written],
  readlinkat: ['dirfd', 'path', ...written],
  getdents64: ['fd', direntCount, after('len')],
  stat: ['path', filled(structs.statAt)],
  lstat: ['path', filled(structs.statAt)],
  fstat: ['fd', filled(structs.statAt)],
  newfstatat: ['dirfd', 'path', filled(structs.statAt), after('atFlags')],
  statfs: ['path', filled(structs.statfsAt)],
  fstatfs: ['fd', filled(structs.statfsAt)],
  pipe: [filled(structs.fdPairAt)],
  pipe2: [filled(structs.fdPairAt), early(openFlagsOnly)],
  dup3: ['fd', 'fd', early(openFlagsOnly)],
  fcntl: ['fd', 'fcntl', early(fcntlArgument)],
  ioctl: ['fd', 'ioctl', late(ioctlArgument)],
  mmap: ['addr', 'len', 'prot', 'mapFlags', 'fd', hex],
  execve: ['path', 'argv', environment],
  ...taskCalls,
  ...ipcCalls,
  ...structureCalls,
  clone: [cloneStack, cloneFlags, cloneParent, cloneTls, cloneTid],
  wait4: ['pid', late(statusArgument), after('waitOptions'), filled(structs.rusageAt)],
  getrusage: [named(names.rusageNames), filled(structs.rusageAt)],
  getrlimit: ['rlimit', filled(structs.rlimitAt('RLIM64_INFINITY'))],
  setrlimit: ['rlimit', given(structs.rlimitAt('RLIM64_INFINITY'))],
  prlimit64: [
    'pid',
    'rlimit',
    given(structs.rlimitAt('RLIM64_INFINITY')),
    filled(structs.rlimitAt('RLIM64_INFINITY')),
  ],
  uname: [filled(structs.utsnameAt)],
  sysinfo: [filled(structs.sysinfoAt)],
  clock_gettime: ['clockId', filled(structs.timespecAt)],
  clock_getres: ['clockId', filled(structs.timespecAt)],
  gettimeofday: [filled(structs.timevalAt), after('addr')],
  nanosleep: ['timespec', late(leftTime)],
  clock_nanosleep: ['clockId', flags(names.timerFlagNames), 'timespec', late(leftTime)],
  getitimer: [named(names.itimerNames), filled(structs.itimervalAt)],
  setitimer: [named(names.itimerNames), given(structs.itimervalAt), filled(structs.itimervalAt)],
  timerfd_settime: [
    'fd',
    flags(names.timerFdFlagNames),
    given(structs.itimerspecAt),
    filled(structs.itimerspecAt),
  ],
  timerfd_gettime: ['fd', filled(structs.itimerspecAt)],
  getrandom: [
    late((args, index, memory, length) => bytesAt(args.addr(index), length, memory, quoteHex)),
    after('len'),
    flags(names.randomFlagNames),
  ],
  rseq: ['addr', hex, 'int', hex],
  rt_sigaction: ['signal', 'sigaction', late(printers.sigaction), after('len')],
  rt_sigprocmask: [named(names.maskHowNames), 'sigset', late(printers.sigset), after('len')],
  rt_sigpending: [late(printers.sigset), after('len')],
  socket: ['socketDomain', 'socketType', socketProtocol],
  socketpair: ['socketDomain', 'socketType', socketProtocol, filled(structs.fdPairAt)],
  accept: ['fd', filledAddress, sharedLength],
  accept4: ['fd', filledAddress, sharedLength, flags(names.socketFlagNames)],
  getsockname: ['fd', filledAddress, sharedLength],
  getpeername: ['fd', filledAddress, sharedLength],
  setsockopt: ['fd', named(names.socketLevelNames), optionName, givenOption, 'len'],
  getsockopt: [
    'fd',
    named(names.socketLevelNames),
    optionName,
    filled(structs.intAt),
    sharedLength,
  ],
  sendto: ['fd', 'inBuffer', 'len', flags(names.messageFlagNames), 'sockaddr', 'len'],
  recvfrom: [...read, flags(names.messageFlagNames), filledAddress, sharedLength],
  sendmsg: ['fd', 'msghdr', flags(names.messageFlagNames)],
  recvmsg: [
    'fd',
    late((args, index, memory, length) => messageAt(args.addr(index), memory, length)),
    flags(names.messageFlagNames),
  ],
  shutdown: ['fd', named(names.shutdownNames)],
  epoll_create1: [flags(names.epollCreateNames)],
  epoll_ctl: ['fd', 'epollOp', 'fd', early(givenEvent)],
  epoll_wait: ['fd', epollEvents, after('int'), after('int')],
  epoll_pwait: ['fd', epollEvents, after('int'), after('int'), after('sigset'), after('len')],
};

/** pipe2(2) and dup3(2) have no access mode. */
function openFlagsOnly(args: SyscallArgs, index: number): string {
  return names.printFlags(args.u32(index), names.openFlagNames);
}

function statusArgument(
  args: SyscallArgs,
  index: number,
  memory: GuestMemory,
  pid: SysResult,
): string {
  return pid === 0 ? pointer(args.addr(index)) : statusAt(args.addr(index), memory);
}

/** Time left is written only where the sleep was interrupted. */
function leftTime(args: SyscallArgs, index: number): string {
  return pointer(args.addr(index));
}

function givenEvent(args: SyscallArgs, index: number, memory: GuestMemory): string {
  const at = args.addr(index);
  const view = at === 0 ? undefined : memory.view(at, epollEvent.size);
  return view === undefined || isErrno(view) ? pointer(at) : epollEventAt(view, 0);
}

const lateKinds: Readonly<Partial<Record<ArgumentKind, Argument>>> = {
  outBuffer: filledBuffer,
  stat: filled(structs.statAt),
  fdPair: filled(structs.fdPairAt),
};

const known = new Map<string, readonly Argument[]>();

/** The arguments of a call, in its order. */
export function argumentsOf(row: Row): readonly Argument[] {
  const found = known.get(row.name);
  if (found !== undefined) return found;
  const all = (calls[row.name] ?? row.args).map((each) =>
    typeof each === 'string' ? (lateKinds[each] ?? early(printers[each])) : each,
  );
  known.set(row.name, all);
  return all;
}

/** The note behind the number of a result: ` (Timeout)`, ` (flags O_RDWR)`. */
export function resultNote(
  row: Row,
  args: SyscallArgs,
  memory: GuestMemory,
  answer: SysResult,
): string {
  if (row.name === 'poll' || row.name === 'ppoll') {
    if (answer === 0) return ' (Timeout)';
    return ` (${pollEvents(args.addr(0), args.u32(1), memory)})`;
  }
  if (row.name === 'select' || row.name === 'pselect6')
    return selectNote(row.name, args, memory, answer);
  if (row.name === 'recvmmsg' && args.addr(4) !== 0)
    return ` (left ${structs.timespecAt(args.addr(4), memory)})`;
  if (row.name === 'rt_sigtimedwait') return ` (${signalName(answer)})`;
  return row.name === 'fcntl' ? fcntlNote(args, answer) : '';
}

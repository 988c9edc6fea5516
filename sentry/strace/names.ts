// SPDX-License-Identifier: Apache-2.0
// Names of numbers for strace lines: bits of flag words, and values of plain enumerations. The tables
// come from abi/; only numbers that run from 0 without a gap are spelled here as lists of names.

import * as epoll from '../../abi/epoll.ts';
import * as fcntl from '../../abi/fcntl.ts';
import * as fs from '../../abi/fs.ts';
import * as ioctl from '../../abi/ioctl.ts';
import * as ipc from '../../abi/ipc.ts';
import * as mman from '../../abi/mman.ts';
import * as poll from '../../abi/poll.ts';
import * as resource from '../../abi/resource.ts';
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_FILES,
  CLONE_FS,
  CLONE_IO,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_PTRACE,
  CLONE_SETTLS,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_UNTRACED,
  CLONE_VFORK,
  CLONE_VM,
} from '../../abi/sched.ts';
import * as signal from '../../abi/signal.ts';
import * as socket from '../../abi/socket.ts';
import * as stat from '../../abi/stat.ts';
import * as termios from '../../abi/termios.ts';
import * as time from '../../abi/time.ts';
import * as timerfd from '../../abi/timerfd.ts';
import * as wait from '../../abi/wait.ts';

export type Names = ReadonlyMap<number, string>;

/** The exported numbers of an abi module whose names match. The first of two equal values wins. */
function pick(module: object, pattern: RegExp): Names {
  const names = new Map<number, string>();
  for (const [name, value] of Object.entries(module)) {
    if (typeof value !== 'number' || !pattern.test(name)) continue;
    if (!names.has(value >>> 0)) names.set(value >>> 0, name);
  }
  return new Map([...names].sort(([a], [b]) => a - b));
}

/** The exported numbers with these names, in their order. */
function ordered(module: object, words: string): Names {
  const values = new Map(Object.entries(module));
  return new Map(
    words.split(' ').flatMap((name): [number, string][] => {
      const value: unknown = values.get(name);
      return typeof value === 'number' ? [[value >>> 0, name]] : [];
    }),
  );
}

function numbered(prefix: string, words: string): Names {
  return new Map(words.split(' ').map((word, index) => [index, prefix + word]));
}

function merged(...tables: readonly Names[]): Names {
  return new Map(tables.flatMap((table) => [...table]));
}

/** In the order of strace(1), which is not that of the numbers. */
export const openFlagNames = ordered(
  fcntl,
  'O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_ASYNC O_DIRECT O_LARGEFILE ' +
    'O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH O_TMPFILE O_DIRECTORY',
);
export const atFlagNames = pick(
  fcntl,
  /^AT_(SYMLINK|REMOVEDIR|NO_AUTOMOUNT|EMPTY_PATH|STATX_(F|D))/,
);
export const fcntlNames = pick(fcntl, /^F_(?!OWNER_|SEAL_|RDLCK|WRLCK|UNLCK)/);
export const whenceNames = pick(fcntl, /^SEEK_/);
export const protNames = pick(mman, /^PROT_(READ|WRITE|EXEC|GROWS)/);
export const mapFlagNames = pick(mman, /^MAP_(?!TYPE|SHARED_VALIDATE)/);
export const madviseNames = pick(mman, /^MADV_/);
export const cloneFlagNames: Names = pick(
  {
    CLONE_VM,
    CLONE_FS,
    CLONE_FILES,
    CLONE_SIGHAND,
    CLONE_PIDFD,
    CLONE_PTRACE,
    CLONE_VFORK,
    CLONE_PARENT,
    CLONE_THREAD,
    CLONE_NEWNS,
    CLONE_SYSVSEM,
    CLONE_SETTLS,
    CLONE_PARENT_SETTID,
    CLONE_CHILD_CLEARTID,
    CLONE_UNTRACED,
    CLONE_CHILD_SETTID,
    CLONE_NEWCGROUP,
    CLONE_NEWUTS,
    CLONE_NEWIPC,
    CLONE_NEWUSER,
    CLONE_NEWPID,
    CLONE_NEWNET,
    CLONE_IO,
  },
  /./,
);
export const waitOptionNames = pick(wait, /^(WNOHANG|WSTOPPED|WEXITED|WCONTINUED|WNOWAIT|__W.*)$/);
export const sigactionFlagNames = ordered(
  signal,
  'SA_RESTORER SA_ONSTACK SA_RESTART SA_NODEFER SA_RESETHAND SA_SIGINFO SA_NOCLDSTOP SA_NOCLDWAIT',
);
export const pollNames = pick(poll, /^POLL/);
export const epollOpNames = pick(epoll, /^EPOLL_CTL_/);
export const clockNames = pick(time, /^CLOCK_/);
export const rlimitNames = pick(resource, /^RLIMIT_/);
export const socketDomainNames = pick(socket, /^AF_(?!MAX)/);
export const socketTypeNames = pick(socket, /^SOCK_(STREAM|DGRAM|RAW|RDM|SEQPACKET|PACKET)$/);
export const socketFlagNames = pick(socket, /^SOCK_(CLOEXEC|NONBLOCK)$/);
export const ioctlNames = merged(
  pick(termios, /^(TC[GSXF]|TCSB|TIOC)(?!PKT_|O(OFF|N)$|I(OFF|ON)$|.*FLUSH$)/),
  pick(ioctl, /^(FIO|FIC|SIOC|FS_IOC)(?!OUTQ)/),
);

export const futexOpNames = numbered(
  'FUTEX_',
  'WAIT WAKE FD REQUEUE CMP_REQUEUE WAKE_OP LOCK_PI UNLOCK_PI TRYLOCK_PI WAIT_BITSET WAKE_BITSET ' +
    'WAIT_REQUEUE_PI CMP_REQUEUE_PI LOCK_PI2',
);
export const FUTEX_PRIVATE_FLAG = 0x80;
const FUTEX_CLOCK_REALTIME = 0x100;
export const futexFlagNames: Names = new Map([[FUTEX_CLOCK_REALTIME, 'FUTEX_CLOCK_REALTIME']]);

/** include/uapi/linux/prctl.h: 1 to 60 and few above; the gaps are options of other machines. */
export const prctlNames: Names = new Map([
  ...numbered(
    'PR_',
    '0 SET_PDEATHSIG GET_PDEATHSIG GET_DUMPABLE SET_DUMPABLE GET_UNALIGN SET_UNALIGN GET_KEEPCAPS ' +
      'SET_KEEPCAPS GET_FPEMU SET_FPEMU GET_FPEXC SET_FPEXC GET_TIMING SET_TIMING SET_NAME GET_NAME',
  ),
  [21, 'PR_GET_SECCOMP'],
  [22, 'PR_SET_SECCOMP'],
  [23, 'PR_CAPBSET_READ'],
  [24, 'PR_CAPBSET_DROP'],
  [25, 'PR_GET_TSC'],
  [26, 'PR_SET_TSC'],
  [27, 'PR_GET_SECUREBITS'],
  [28, 'PR_SET_SECUREBITS'],
  [29, 'PR_SET_TIMERSLACK'],
  [30, 'PR_GET_TIMERSLACK'],
  [35, 'PR_SET_MM'],
  [36, 'PR_SET_CHILD_SUBREAPER'],
  [37, 'PR_GET_CHILD_SUBREAPER'],
  [38, 'PR_SET_NO_NEW_PRIVS'],
  [39, 'PR_GET_NO_NEW_PRIVS'],
  [40, 'PR_GET_TID_ADDRESS'],
  [41, 'PR_SET_THP_DISABLE'],
  [42, 'PR_GET_THP_DISABLE'],
  [47, 'PR_CAP_AMBIENT'],
  [52, 'PR_GET_SPECULATION_CTRL'],
  [53, 'PR_SET_SPECULATION_CTRL'],
  [57, 'PR_SET_IO_FLUSHER'],
  [59, 'PR_SET_SYSCALL_USER_DISPATCH'],
  [62, 'PR_SCHED_CORE'],
  [0x53564d41, 'PR_SET_VMA'],
  [0x59616d61, 'PR_SET_PTRACER'],
]);
export const archPrctlNames: Names = new Map([
  [0x1001, 'ARCH_SET_GS'],
  [0x1002, 'ARCH_SET_FS'],
  [0x1003, 'ARCH_GET_FS'],
  [0x1004, 'ARCH_GET_GS'],
  [0x1011, 'ARCH_GET_CPUID'],
  [0x1012, 'ARCH_SET_CPUID'],
]);

/** `A|B|0x40`: multi-bit names first, so that O_SYNC is not read as O_DSYNC and a rest. */
export function printFlags(value: number, names: Names, zero = '0'): string {
  let rest = value >>> 0;
  if (rest === 0) return names.get(0) ?? zero;
  const words: string[] = [];
  const byWidth = [...names].sort(([a], [b]) => bitCount(b) - bitCount(a));
  for (const [bits, name] of byWidth) {
    if (bits === 0 || (rest & bits) >>> 0 !== bits) continue;
    words.push(name);
    rest = (rest & ~bits) >>> 0;
  }
  if (rest !== 0) words.push(`0x${rest.toString(16)}`);
  return words.join('|');
}

/** The name, or the number in hexadecimal. */
export function printName(value: number, names: Names): string {
  return names.get(value >>> 0) ?? `0x${(value >>> 0).toString(16)}`;
}

function bitCount(value: number): number {
  let count = 0;
  for (let rest = value >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
}

export const accessNames: Names = new Map([
  [4, 'R_OK'],
  [2, 'W_OK'],
  [1, 'X_OK'],
  [0, 'F_OK'],
]);
export const fileKindNames = pick(stat, /^S_IF(?!MT)/);
export const fileSystemNames = pick(fs, /_MAGIC$/);
export const statfsFlagNames = merged(
  new Map([
    [1, 'ST_RDONLY'],
    [2, 'ST_NOSUID'],
    [4, 'ST_NODEV'],
    [8, 'ST_NOEXEC'],
  ]),
  pick(fs, /^ST_(RELATIME|NOATIME)$/),
);
export const rusageNames = pick(resource, /^RUSAGE_(SELF|CHILDREN|THREAD)$/);
export const timerFlagNames = pick(time, /^TIMER_ABSTIME$/);
export const itimerNames = pick(time, /^ITIMER_(REAL|VIRTUAL|PROF)$/);
export const timerFdFlagNames = pick(timerfd, /^TFD_TIMER_/);
export const maskHowNames = pick(signal, /^SIG_(BLOCK|UNBLOCK|SETMASK)$/);
export const shutdownNames = pick(socket, /^SHUT_/);
export const messageFlagNames = pick(socket, /^MSG_/);
export const socketLevelNames = pick(socket, /^SOL_/);
export const socketOptionNames = pick(socket, /^SO_/);
export const epollEventNames = pick(epoll, /^EPOLL(?!_)/);
export const descriptorFlagNames = pick(fcntl, /^FD_CLOEXEC$/);
export const epollCreateNames = pick(epoll, /^EPOLL_CLOEXEC$/);
/** getrandom(2), include/uapi/linux/random.h. */
export const randomFlagNames: Names = new Map([
  [1, 'GRND_NONBLOCK'],
  [2, 'GRND_RANDOM'],
  [4, 'GRND_INSECURE'],
]);
/** include/uapi/linux/in.h: those that programs ask for. */
export const protocolNames: Names = new Map([
  [0, 'IPPROTO_IP'],
  [1, 'IPPROTO_ICMP'],
  [6, 'IPPROTO_TCP'],
  [17, 'IPPROTO_UDP'],
  [58, 'IPPROTO_ICMPV6'],
  [255, 'IPPROTO_RAW'],
]);

export const fcntlsWithoutArgument: ReadonlySet<number> = new Set([
  fcntl.F_GETFD,
  fcntl.F_GETFL,
  fcntl.F_GETPIPE_SZ,
]);

export const answersDescriptorFlags = (command: number): boolean => command === fcntl.F_GETFD;

const userCodeNames = pick(signal, /^SI_/);
const childCodeNames = pick(signal, /^CLD_/);
const segvCodeNames = pick(signal, /^SEGV_/);
const busCodeNames = pick(signal, /^BUS_/);

export function isExitCode(code: number): boolean {
  return code === signal.CLD_EXITED;
}

/** si_code: above 0 the meaning hangs on the signal. */
export function signalCodeName(number: number, code: number): string {
  const common = userCodeNames.get(code >>> 0);
  if (common !== undefined) return common;
  const own = new Map([
    [signal.SIGCHLD, childCodeNames],
    [signal.SIGSEGV, segvCodeNames],
    [signal.SIGBUS, busCodeNames],
  ]).get(number);
  return own?.get(code) ?? String(code);
}

export const idTypeNames = pick(wait, /^P_(ALL|PID|PGID|PIDFD)$/);

export const inputModeNames = ordered(
  termios,
  'IGNBRK BRKINT IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IUCLC IXON IXANY IXOFF IMAXBEL IUTF8',
);
export const outputModeNames = ordered(termios, 'OPOST OLCUC ONLCR OCRNL ONOCR ONLRET OFILL OFDEL');
export const controlModeNames = ordered(termios, 'CSTOPB CREAD PARENB PARODD HUPCL CLOCAL');
export const localModeNames = ordered(
  termios,
  'ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP IEXTEN ECHOCTL ECHOPRT ECHOKE FLUSHO ' +
    'PENDIN EXTPROC',
);
/** Fields of c_oflag that are numbers, not flags: the first bit and the number of bits (termbits.h). */
export const delayFields: readonly (readonly [name: string, shift: number, bits: number])[] = [
  ['NL', 8, 1],
  ['CR', 9, 2],
  ['TAB', 11, 2],
  ['BS', 13, 1],
  ['VT', 14, 1],
  ['FF', 15, 1],
];
/** Speeds by their numbers in c_cflag; from B57600 on with CBAUDEX. */
export const speedNames: Names = new Map([
  ...numbered('B', '0 50 75 110 134 150 200 300 600 1200 1800 2400 4800 9600 19200 38400'),
  [0x1001, 'B57600'],
  [0x1002, 'B115200'],
  [0x1003, 'B230400'],
  [0x1004, 'B460800'],
]);

/** Names of the bits of a word from the lowest on. */
function bitNames(prefix: string, words: string): Names {
  return new Map(words.split(' ').map((word, index) => [2 ** index, prefix + word]));
}

const statxBits = bitNames(
  'STATX_',
  'TYPE MODE NLINK UID GID ATIME MTIME CTIME INO SIZE BLOCKS BTIME MNT_ID DIOALIGN',
);
export const statxMaskNames = merged(
  new Map([[stat.STATX_BASIC_STATS | stat.STATX_BTIME, 'STATX_ALL']]),
  pick(stat, /^STATX_BASIC_STATS$/),
  statxBits,
);
export const statxAttributeNames = pick(stat, /^STATX_ATTR_/);
export const STATX_SYNC_BITS: number = fcntl.AT_STATX_SYNC_TYPE;
export const statxSyncNames = pick(fcntl, /^AT_STATX_(FORCE|DONT)_SYNC$/);
export const resolveNames = ordered(
  fcntl,
  'RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT RESOLVE_CACHED',
);
export const stackFlagNames = pick(signal, /^SS_/);
export const sigevNames = pick(signal, /^SIGEV_/);

const ipcCommandNames = pick(ipc, /^IPC_(RMID|SET|STAT|INFO)$/);
export const ipcFlagNames = pick(ipc, /^IPC_(CREAT|EXCL|NOWAIT)$/);
export const semaphoreFlagNames = pick(ipc, /^(IPC_NOWAIT|SEM_UNDO)$/);
export const semctlNames = merged(
  ipcCommandNames,
  pick(ipc, /^(GET(PID|VAL|ALL|NCNT|ZCNT)|SET(VAL|ALL)|SEM_STAT|SEM_INFO|SEM_STAT_ANY)$/),
);
export const shmGetFlagNames = pick(ipc, /^(IPC_CREAT|IPC_EXCL|SHM_HUGETLB)$/);
export const shmatFlagNames = pick(ipc, /^SHM_(RDONLY|RND|REMAP|EXEC)$/);
export const shmctlNames = merged(
  ipcCommandNames,
  pick(ipc, /^SHM_(LOCK|UNLOCK|STAT|INFO|STAT_ANY)$/),
);
export const msgFlagNames = pick(ipc, /^(IPC_NOWAIT|MSG_NOERROR|MSG_EXCEPT|MSG_COPY)$/);
export const msgctlNames = merged(ipcCommandNames, pick(ipc, /^MSG_(STAT|INFO|STAT_ANY)$/));

export const futexWakeOpNames = numbered('FUTEX_OP_', 'SET ADD OR ANDN XOR');
export const futexCompareNames = numbered('FUTEX_OP_CMP_', 'EQ NE LT LE GT GE');
export const controlNames = new Map([
  [socket.SCM_RIGHTS, 'SCM_RIGHTS'],
  [socket.SCM_CREDENTIALS, 'SCM_CREDENTIALS'],
  [socket.SCM_TIMESTAMP, 'SO_TIMESTAMP_OLD'],
  [socket.SCM_TIMESTAMPNS, 'SO_TIMESTAMPNS_OLD'],
]);

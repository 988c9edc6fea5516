// SPDX-License-Identifier: Apache-2.0
// The host calls of the Sentry once it has booted: everything else kills it. 'node' is what V8,
// libuv and glibc ask for by themselves; the rest is called from native/addon only. `runts debug
// seccomp` prints this list and test/posture compares it with what strace(1) sees.

import { F_ADD_SEALS, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFL } from '../../abi/fcntl.ts';
import { CPU_SET_BYTES } from '../../abi/sched.ts';
import { AF_UNIX, SOL_SOCKET } from '../../abi/socket.ts';
import { TIOCGWINSZ } from '../../abi/termios.ts';
import type { FilterRow, FilterSpec } from '../../native/seccomp/bpf.ts';
import { nodeRows } from '../../native/seccomp/node-rows.ts';
import { readableOptions } from '../net/given/given-socket.ts';
import { networkRows } from './network-filter.ts';

/** SOCK_SEQPACKET | SOCK_CLOEXEC. */
const SEQUENCED_PACKETS = 0o2000005;
const CLOEXEC_NONBLOCK = 0o2004000;
const SECCOMP_IOCTL_NOTIF_RECV = 0xc0502100;
const SECCOMP_IOCTL_NOTIF_SEND = 0xc0182101;
const SECCOMP_IOCTL_NOTIF_ID_VALID = 0x40082102;

/** `procFd` is the directory /proc/self/fd (native.reopen). */
export function sentryFilter(
  procFd: number,
  network: 'none' | 'host' | 'user',
  profile: 'no profile' | 'profile' = 'no profile',
): FilterSpec {
  const more = [
    ...(network === 'host' ? networkRows : []),
    ...(profile === 'profile' ? profileRows : []),
  ];
  return {
    name: `sentry${network === 'host' ? ' --network host' : ''}${profile === 'profile' ? ' --profile' : ''}`,
    otherwise: 'killProcess',
    rows: [...rows(procFd), ...more],
  };
}

/** SIGPROF. */
const SAMPLING_SIGNAL = 27;

/**
 * With `runts do --profile` only: what V8 asks for when it ends its sampling thread, made before
 * the filter.
 */
const profileRows: readonly FilterRow[] = [
  {
    name: 'rt_sigaction',
    number: 13,
    why: 'profile: V8 gives its sampling signal back',
    args: [{ arg: 0, width: 32, eq: SAMPLING_SIGNAL }],
  },
  { name: 'exit', number: 60, why: "profile: the end of V8's sampling thread" },
];

const rows = (procFd: number): FilterRow[] => [
  // The hot ones first: the kernel looks at the rows in order.
  { name: 'futex', number: 202, why: 'platform: wakes stubs; node: locks of V8' },
  { name: 'process_vm_readv', number: 310, why: 'platform: reads guest memory' },
  { name: 'process_vm_writev', number: 311, why: 'platform: writes guest memory' },
  { name: 'epoll_pwait2', number: 441, why: 'platform: the one wait of the main loop' },
  { name: 'read', number: 0, why: 'platform: wake-up eventfd; guest streams; control channel' },
  { name: 'write', number: 1, why: 'guest streams; control channel; strace and log' },
  {
    name: 'preadv2',
    number: 327,
    why: 'files opened by the gofer; guest streams: reads that must not wait (RWF_NOWAIT)',
  },
  { name: 'pwrite64', number: 18, why: 'files opened by the gofer, memfds' },
  { name: 'sendmsg', number: 46, why: 'gofer requests; descriptors for stubs' },
  { name: 'recvmsg', number: 47, why: 'gofer answers' },
  { name: 'poll', number: 7, why: 'is a guest stream ready' },
  { name: 'statx', number: 332, why: 'sizes of guest streams that are files' },
  { name: 'fsync', number: 74, why: 'fsync of guest streams and files opened by the gofer' },
  { name: 'close', number: 3, why: 'descriptors of files, stubs and memfds' },
  { name: 'kill', number: 62, why: 'platform: ends stubs; at the end all of its PID namespace' },
  { name: 'tgkill', number: 234, why: 'platform: interrupts a guest thread; node: abort' },
  { name: 'wait4', number: 61, why: 'platform: reaps stubs' },
  {
    name: 'sched_setaffinity',
    number: 203,
    why: 'platform: keeps a guest thread on the processor of the Sentry, or off it',
    args: [{ arg: 1, eq: CPU_SET_BYTES }],
  },
  {
    name: 'timerfd_settime',
    number: 286,
    why: 'platform: the tick that lets computing threads off that processor',
    args: [{ arg: 1, width: 32, eq: 0 }],
  },
  { name: 'epoll_ctl', number: 233, why: 'platform: watches guest streams' },
  {
    name: 'ioctl',
    number: 16,
    why: 'platform: clone requests of stubs; size of the terminal',
    args: [
      {
        arg: 1,
        width: 32,
        oneOf: [
          SECCOMP_IOCTL_NOTIF_RECV,
          SECCOMP_IOCTL_NOTIF_SEND,
          SECCOMP_IOCTL_NOTIF_ID_VALID,
          TIOCGWINSZ,
        ],
      },
    ],
  },
  {
    name: 'socketpair',
    number: 53,
    why: 'platform: control socket of a new stub',
    // No datagram sockets: those could be connected anew, to whoever listens in this network namespace.
    args: [
      { arg: 0, eq: AF_UNIX },
      { arg: 1, width: 32, eq: SEQUENCED_PACKETS },
    ],
  },
  { name: 'memfd_create', number: 319, why: 'platform: mailboxes; shared memory of the guest' },
  { name: 'ftruncate', number: 77, why: 'sizes of memfds' },
  { name: 'fallocate', number: 285, why: 'holes in memfds' },
  {
    name: 'fcntl',
    number: 72,
    why: 'seals of memfds, duplicates, flags',
    args: [{ arg: 1, width: 32, oneOf: [F_ADD_SEALS, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFL] }],
  },
  {
    name: 'accept4',
    number: 288,
    why: 'connections of runts exec to the control socket; listening sockets that a guest was given',
    args: [{ arg: 3, width: 32, eq: CLOEXEC_NONBLOCK }],
  },
  { name: 'shutdown', number: 48, why: 'sockets that a guest was given' },
  { name: 'getsockname', number: 51, why: 'sockets that a guest was given' },
  { name: 'getpeername', number: 52, why: 'sockets that a guest was given' },
  {
    name: 'getsockopt',
    number: 55,
    why: 'sockets that a guest was given: what they are, and errors',
    args: [
      { arg: 1, width: 32, eq: SOL_SOCKET },
      { arg: 2, width: 32, oneOf: readableOptions },
    ],
  },
  { name: 'lseek', number: 8, why: 'guest streams that are files' },
  { name: 'getrandom', number: 318, why: 'random numbers for the guest' },
  { name: 'rt_sigreturn', number: 15, why: 'return from the SIGCHLD handler' },
  {
    name: 'openat2',
    number: 437,
    why: 'opens a descriptor anew, with fewer rights',
    args: [{ arg: 0, width: 32, eq: procFd }],
  },
  ...nodeRows,
];

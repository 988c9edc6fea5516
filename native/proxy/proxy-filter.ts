// SPDX-License-Identifier: Apache-2.0
// The host calls of the network proxy once it serves: everything else kills it. tools/gen-proxy-filter.ts
// compiles the list into the launcher's program, `runts debug seccomp` prints it, and test/posture
// compares it with strace(1).
import { EPOLL_CTL_ADD } from '../../abi/epoll.ts';
import { MADV_DONTNEED } from '../../abi/mman.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  SOL_SOCKET,
  SOL_TCP,
  TCP_NODELAY,
} from '../../abi/socket.ts';
import type { FilterRow, FilterSpec } from '../seccomp/bpf.ts';

const CLOEXEC = 0o2000000;
const CLOEXEC_NONBLOCK = 0o2004000;
const STREAM = 1;
const DATAGRAM = 2;

const rows: readonly FilterRow[] = [
  {
    name: 'recvfrom',
    number: 45,
    why: 'requests; bytes of connections; datagrams; answers about routes',
  },
  { name: 'sendto', number: 44, why: 'bytes of connections; datagrams; questions about routes' },
  { name: 'epoll_wait', number: 232, why: 'the one wait' },
  { name: 'sendmsg', number: 46, why: 'messages to the sentry, with descriptors of streams' },
  {
    name: 'epoll_ctl',
    number: 233,
    why: 'a new connection is watched',
    args: [{ arg: 1, width: 32, eq: EPOLL_CTL_ADD }],
  },
  {
    name: 'socket',
    number: 41,
    why: 'connections and datagrams to the outside; ping; never raw, never another family',
    args: [
      { arg: 0, width: 32, oneOf: [AF_INET, AF_INET6] },
      { arg: 1, width: 32, oneOf: [STREAM | CLOEXEC_NONBLOCK, DATAGRAM | CLOEXEC_NONBLOCK] },
      { arg: 2, width: 32, oneOf: [0, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_ICMPV6] },
    ],
  },
  { name: 'connect', number: 42, why: 'connections; the one place a datagram socket is for' },
  {
    name: 'accept4',
    number: 288,
    why: 'connections to published ports',
    args: [{ arg: 3, width: 32, eq: CLOEXEC_NONBLOCK }],
  },
  {
    name: 'socketpair',
    number: 53,
    why: 'the stream of a connection, for the sentry',
    args: [
      { arg: 0, width: 32, eq: AF_UNIX },
      { arg: 1, width: 32, eq: STREAM | CLOEXEC },
    ],
  },
  {
    name: 'shutdown',
    number: 48,
    why: 'half-closed connections',
    args: [{ arg: 1, width: 32, eq: SHUT_WR }],
  },
  {
    name: 'getsockopt',
    number: 55,
    why: 'how a connect(2) went',
    args: [
      { arg: 1, width: 32, eq: SOL_SOCKET },
      { arg: 2, width: 32, eq: SO_ERROR },
    ],
  },
  {
    name: 'setsockopt',
    number: 54,
    why: 'resets',
    args: [
      { arg: 1, width: 32, eq: SOL_SOCKET },
      { arg: 2, width: 32, eq: SO_LINGER },
    ],
  },
  {
    name: 'setsockopt',
    number: 54,
    why: 'the guest has written what it wants sent',
    args: [
      { arg: 1, width: 32, eq: SOL_TCP },
      { arg: 2, width: 32, eq: TCP_NODELAY },
    ],
  },
  { name: 'close', number: 3, why: 'ends of connections' },
  { name: 'getrandom', number: 318, why: 'numbers of queries to name servers' },
  {
    name: 'madvise',
    number: 28,
    why: 'gives the buffers of a connection back',
    args: [{ arg: 2, width: 32, eq: MADV_DONTNEED }],
  },
  { name: 'clock_gettime', number: 228, why: 'hosts whose vDSO has no clock' },
  { name: 'rt_sigreturn', number: 15, why: 'the kernel wants it after a signal' },
  { name: 'restart_syscall', number: 219, why: 'a sleep goes on after SIGSTOP and SIGCONT' },
  { name: 'exit_group', number: 231, why: 'the end' },
];

/** The same for every sandbox. */
export const proxyFilter: FilterSpec = { name: 'network proxy', otherwise: 'killProcess', rows };

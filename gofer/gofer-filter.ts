// SPDX-License-Identifier: Apache-2.0
// The host calls of the Gofer once it serves: everything else kills it. 'node' is what V8, libuv
// and glibc ask for by themselves. `runts debug seccomp` prints this list and test/posture compares
// it with strace(1).
import { F_DUPFD_CLOEXEC } from '../abi/fcntl.ts';
import { IN_CLOEXEC, IN_NONBLOCK } from '../abi/inotify.ts';
import { CPU_SET_BYTES } from '../abi/sched.ts';
import type { FilterRow, FilterSpec } from '../native/seccomp/bpf.ts';
import { nodeRows } from '../native/seccomp/node-rows.ts';
import { WATCH_MASK } from './watches.ts';

const always: readonly FilterRow[] = [
  { name: 'recvmsg', number: 47, why: 'requests of the sentry' },
  { name: 'poll', number: 7, why: 'waits for requests' },
  { name: 'sendmsg', number: 46, why: 'answers, with descriptors' },
  {
    name: 'openat2',
    number: 437,
    why: 'every step into the attach points (RESOLVE_BENEATH); a held file opened anew',
  },
  { name: 'statx', number: 332, why: 'attributes' },
  { name: 'getdents64', number: 217, why: 'directories' },
  { name: 'readlinkat', number: 267, why: 'symbolic links' },
  { name: 'fstatfs', number: 138, why: 'statfs(2) of the guest' },
  { name: 'lseek', number: 8, why: 'directories are read again from the start' },
  { name: 'close', number: 3, why: 'descriptors' },
  {
    name: 'fcntl',
    number: 72,
    why: 'duplicates',
    args: [{ arg: 1, width: 32, eq: F_DUPFD_CLOEXEC }],
  },
  {
    name: 'sched_setaffinity',
    number: 203,
    why: 'works on the processor on which the sentry waits',
    args: [
      { arg: 0, eq: 0 },
      { arg: 1, eq: CPU_SET_BYTES },
    ],
  },
  { name: 'fgetxattr', number: 193, why: 'extended attributes' },
  { name: 'flistxattr', number: 196, why: 'extended attributes' },
  { name: 'read', number: 0, why: 'node: eventfds of libuv' },
  { name: 'write', number: 1, why: 'node: eventfds of libuv; log' },
  { name: 'futex', number: 202, why: 'node: locks of V8' },
  { name: 'tgkill', number: 234, why: 'node: abort' },
  ...nodeRows,
];

/** Only with a writable volume. */
const writing: readonly FilterRow[] = [
  { name: 'mkdirat', number: 258, why: 'writable volumes' },
  { name: 'mknodat', number: 259, why: 'writable volumes: FIFOs, sockets' },
  { name: 'unlinkat', number: 263, why: 'writable volumes' },
  { name: 'renameat2', number: 316, why: 'writable volumes' },
  { name: 'linkat', number: 265, why: 'writable volumes' },
  { name: 'symlinkat', number: 266, why: 'writable volumes' },
  { name: 'fchmod', number: 91, why: 'writable volumes' },
  { name: 'fchmodat', number: 268, why: 'writable volumes: any kind of file' },
  { name: 'fchownat', number: 260, why: 'writable volumes' },
  { name: 'utimensat', number: 280, why: 'writable volumes' },
  { name: 'ftruncate', number: 77, why: 'writable volumes' },
  { name: 'fsetxattr', number: 190, why: 'writable volumes' },
  { name: 'fremovexattr', number: 199, why: 'writable volumes' },
];

/**
 * Only with files that others change too. The working directory is /proc/self/fd: names of
 * descriptors are all it can name.
 */
const watching: readonly FilterRow[] = [
  {
    name: 'inotify_init1',
    number: 294,
    why: 'an instance for watches; the sentry reads its events',
    args: [{ arg: 0, width: 32, eq: IN_NONBLOCK | IN_CLOEXEC }],
  },
  {
    name: 'inotify_add_watch',
    number: 254,
    why: 'directories that the sentry has cached',
    args: [{ arg: 2, width: 32, eq: WATCH_MASK }],
  },
  { name: 'inotify_rm_watch', number: 255, why: 'the number of watches is bounded' },
];

export interface GoferDuties {
  /** It serves a writable volume. */
  readonly writable: boolean;
  /** It serves files that others change too. */
  readonly watches: boolean;
}

export function goferFilter({ writable, watches }: GoferDuties): FilterSpec {
  return {
    name: writable ? 'gofer' : 'gofer without writable volumes',
    otherwise: 'killProcess',
    rows: [...always, ...(writable ? writing : []), ...(watches ? watching : [])],
  };
}

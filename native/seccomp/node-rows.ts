// SPDX-License-Identifier: Apache-2.0
// What Node itself (V8, libuv, glibc) asks of the host once it runs: in the lists of Sentry and Gofer alike.
import { ENOENT, EPERM } from '../../abi/errno.ts';
import { PROT_EXEC } from '../../abi/mman.ts';
import type { FilterRow } from './bpf.ts';

const noExecutable = [{ arg: 2, mask: PROT_EXEC, value: 0 }] as const;

export const nodeRows: readonly FilterRow[] = [
  { name: 'mmap', number: 9, why: 'heap; mailboxes; never executable', args: noExecutable },
  { name: 'munmap', number: 11, why: 'heap; mailboxes' },
  { name: 'mprotect', number: 10, why: 'node: heap; never executable', args: noExecutable },
  { name: 'madvise', number: 28, why: 'node: gives memory back' },
  { name: 'brk', number: 12, why: 'node: malloc' },
  { name: 'epoll_pwait', number: 281, why: 'node: timer thread of its platform' },
  { name: 'clock_nanosleep', number: 230, why: 'node: back-off of V8 threads' },
  { name: 'clock_gettime', number: 228, why: 'hosts whose vDSO has no clock (hpet, acpi_pm, xen)' },
  { name: 'gettimeofday', number: 96, why: 'the same hosts: Date.now' },
  { name: 'sched_yield', number: 24, why: 'node: spin locks of V8' },
  { name: 'getpid', number: 39, why: 'node: worker threads' },
  { name: 'gettid', number: 186, why: 'node: locks of glibc, abort' },
  { name: 'restart_syscall', number: 219, why: 'a sleep goes on after SIGSTOP and SIGCONT' },
  { name: 'rt_sigprocmask', number: 14, why: 'node: threads; platform: SIGCHLD' },
  { name: 'exit_group', number: 231, why: 'the end' },
  // A thread that waits for a contended lock (absl::Mutex) asks once for its policy and priority.
  // They are what the answer says, 0 and whatever glibc had there: 0; the host is not asked.
  { name: 'sched_getparam', number: 143, why: 'node: contended locks of V8', action: { errno: 0 } },
  {
    name: 'sched_getscheduler',
    number: 145,
    why: 'node: contended locks of V8',
    action: { errno: 0 },
  },
  {
    name: 'sched_getaffinity',
    number: 204,
    why: 'node: number of processors; glibc is content with an error',
    action: { errno: -EPERM },
  },
  { name: 'openat', number: 257, why: 'node: glibc counts processors', action: { errno: -ENOENT } },
];

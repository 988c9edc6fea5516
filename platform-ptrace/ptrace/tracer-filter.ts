// SPDX-License-Identifier: Apache-2.0
// The filter of the tracer, the process that runs guest code under the platform ptrace.
import { PROT_EXEC } from '../../abi/mman.ts';
import { SIGCHLD, SIGKILL } from '../../abi/signal.ts';
import { AF_UNIX, SOCK_SEQPACKET } from '../../abi/socket.ts';
import type { FilterSpec } from '../../native/seccomp/bpf.ts';
import { ZYGOTE_WAKE } from '../../protocol/descriptors.ts';
import { CLONE_THREAD_FLAGS } from './tracee-filter.ts';

const SETTLS = 0x80000;

const PTRACE = {
  pokeUser: 6,
  cont: 7,
  getRegs: 12,
  setRegs: 13,
  sysemu: 31,
  getSigInfo: 0x4202,
  getRegSet: 0x4204,
  setRegSet: 0x4205,
  seize: 0x4206,
  interrupt: 0x4207,
} as const;

export const tracerFilter: FilterSpec = {
  name: 'tracer',
  otherwise: 'killProcess',
  rows: [
    {
      name: 'ptrace',
      number: 101,
      why: 'runs guest threads and looks at them; makes their calls',
      args: [{ arg: 0, oneOf: Object.values(PTRACE) }],
    },
    { name: 'wait4', number: 61, why: 'waits for a stop' },
    { name: 'futex', number: 202, why: 'waits for an answer; locks' },
    {
      name: 'write',
      number: 1,
      why: 'wakes the Sentry: 8 bytes to the eventfd',
      args: [
        { arg: 0, eq: ZYGOTE_WAKE },
        { arg: 2, eq: 8 },
      ],
    },
    { name: 'process_vm_readv', number: 310, why: 'floating point states, signal frames' },
    { name: 'process_vm_writev', number: 311, why: 'the same; arguments of calls' },
    { name: 'recvmsg', number: 47, why: 'descriptors from the Sentry' },
    {
      name: 'sendmsg',
      number: 46,
      why: 'passes them on to a guest process; tells the Sentry of deaths',
      args: [{ arg: 2, width: 32, eq: 0 }],
    },
    { name: 'close', number: 3, why: 'descriptors that were passed on' },
    {
      name: 'socketpair',
      number: 53,
      why: 'by which a new guest process gets descriptors',
      args: [
        { arg: 0, eq: AF_UNIX },
        { arg: 1, eq: SOCK_SEQPACKET },
      ],
    },
    {
      name: 'mmap',
      number: 9,
      why: 'mailboxes, and stacks of its threads; never executable',
      args: [{ arg: 2, mask: PROT_EXEC, value: 0 }],
    },
    { name: 'munmap', number: 11, why: 'the same' },
    {
      name: 'clone',
      number: 56,
      why: 'a thread of its own for each guest thread',
      args: [{ arg: 0, eq: CLONE_THREAD_FLAGS | SETTLS }],
    },
    {
      name: 'kill',
      number: 62,
      why: 'ends guest processes; tells the Sentry that one has ended',
      args: [{ arg: 1, oneOf: [SIGKILL, SIGCHLD] }],
    },
    { name: 'rt_sigtimedwait', number: 128, why: 'hears of deaths' },
    { name: 'waitid', number: 247, why: 'whose' },
    { name: 'gettid', number: 186, why: 'its threads are kept beside those that they trace' },
    { name: 'exit', number: 60, why: 'end of one of its threads' },
    { name: 'exit_group', number: 231, why: 'gives up at the start' },
    { name: 'restart_syscall', number: 219, why: 'a sleep goes on after SIGSTOP and SIGCONT' },
  ],
};

// SPDX-License-Identifier: Apache-2.0
// The filter of guest processes under the platform ptrace. Under it no system call of guest code is
// ever carried out: PTRACE_SYSEMU ends each before the kernel looks at a filter. So the filter of
// guest processes is a second wall, about the calls that the tracer makes in them, and what is left
// of guests' calls: those through the vsyscall page, which ptrace does not see. A host without
// seccomp goes without.
import { MSG_DONTWAIT } from '../../abi/socket.ts';
import type { FilterSpec } from '../../native/seccomp/bpf.ts';
import { STUB_TEXT_BYTES } from '../../protocol/mailbox.ts';
import { clockRow, memoryRows, nameRows } from '../systrap/stub-filter.ts';

/** CLONE_PARENT|SIGCHLD. */
const CLONE_PROCESS_FLAGS = 0x8011;
/** CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM. */
export const CLONE_THREAD_FLAGS = 0x50f00;
/** The two descriptors that a guest process can have (native/tracer/descriptors.h). */
const OWN_DESCRIPTORS = { arg: 0, min: 0, max: 1 } as const;

export function traceeFilter(base: number): FilterSpec {
  return {
    name: 'tracee',
    otherwise: 'trap',
    codeRange: { start: base, end: base + STUB_TEXT_BYTES, outside: 'trap' },
    rows: [
      ...memoryRows,
      {
        name: 'recvmsg',
        number: 47,
        why: 'takes a descriptor for one mapping or one fork',
        args: [OWN_DESCRIPTORS, { arg: 2, eq: MSG_DONTWAIT }],
      },
      { name: 'close', number: 3, why: 'drops it afterwards', args: [OWN_DESCRIPTORS] },
      {
        name: 'clone',
        number: 56,
        why: 'guest fork and guest thread',
        args: [{ arg: 0, oneOf: [CLONE_PROCESS_FLAGS, CLONE_THREAD_FLAGS] }],
      },
      { name: 'pause', number: 34, why: 'a child sleeps until it is traced' },
      { name: 'restart_syscall', number: 219, why: 'the same' },
      clockRow,
      ...nameRows,
      { name: 'exit', number: 60, why: 'end of one guest thread' },
    ],
  };
}

// What a stub process, and with it a hostile guest that jumps into the stub, may ask of the host kernel.
// From guest code every call traps (SIGSYS); from the stub's text only these pass. Each is judged by what it does
// with arguments of the guest's own choice: it must reach nothing beyond this process's own memory, and
// descriptors that the process holds anyway (RLIMIT_NOFILE is 64).

import type { FilterSpec } from '../../native/seccomp/bpf.ts';
import { STUB_TEXT_BYTES } from '../../protocol/mailbox.ts';

/** CLONE_PARENT|CLONE_CHILD_SETTID|SIGCHLD. */
export const CLONE_PROCESS_FLAGS = 0x1008011;
/** CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|CHILD_SETTID|CHILD_CLEARTID. */
export const CLONE_THREAD_FLAGS = 0x1250f00;

const PROT_ANY = 0x7;
/** MAP_SHARED|PRIVATE|FIXED|ANONYMOUS|NORESERVE|POPULATE. */
const MAP_ANY = 0x1 | 0x2 | 0x10 | 0x20 | 0x4000 | 0x8000;
/** FUTEX_WAIT, FUTEX_WAKE, and the two with FUTEX_PRIVATE_FLAG. */
const FUTEX_OPERATIONS = [0, 1, 128, 129];
/**
 * MADV_NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED FREE HUGEPAGE NOHUGEPAGE DONTDUMP DODUMP WIPEONFORK KEEPONFORK
 * COLD PAGEOUT POPULATE_READ POPULATE_WRITE DONTNEED_LOCKED COLLAPSE.
 */
const ADVICE = [0, 1, 2, 3, 4, 8, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];
const LAST_FD = 63;
const PR_SET_NAME = 15;
const PR_SET_MM = 35;
const PR_SET_MM_MAP = 14;
/** struct prctl_mm_map. */
const MM_MAP_BYTES = 104;

export function stubFilter(base: number): FilterSpec {
  return {
    name: 'stub',
    otherwise: 'trap',
    codeRange: { start: base, end: base + STUB_TEXT_BYTES, outside: 'trap' },
    rows: [
      { name: 'rt_sigreturn', number: 15, why: 'goes back to guest code' },
      {
        name: 'futex',
        number: 202,
        why: 'waits for an answer',
        args: [{ arg: 1, oneOf: FUTEX_OPERATIONS }],
      },
      {
        name: 'write',
        number: 1,
        why: 'wakes the Sentry: 8 bytes to the eventfd',
        args: [
          { arg: 0, eq: 4 },
          { arg: 2, eq: 8 },
        ],
      },
      {
        name: 'mmap',
        number: 9,
        why: "guest mappings; new thread areas; a child's mailbox",
        args: [
          { arg: 2, within: PROT_ANY },
          { arg: 3, within: MAP_ANY },
        ],
      },
      { name: 'munmap', number: 11, why: 'guest munmap' },
      { name: 'mprotect', number: 10, why: 'guest mprotect', args: [{ arg: 2, within: PROT_ANY }] },
      {
        name: 'mremap',
        number: 25,
        why: 'guest mremap: in place, or MAYMOVE|FIXED',
        args: [{ arg: 3, oneOf: [0, 3] }],
      },
      { name: 'madvise', number: 28, why: 'guest madvise', args: [{ arg: 2, oneOf: ADVICE }] },
      {
        name: 'recvmsg',
        number: 47,
        why: 'takes a descriptor to map from the control socket',
        args: [{ arg: 0, min: 0, max: LAST_FD }],
      },
      {
        name: 'close',
        number: 3,
        why: 'drops it once mapped',
        args: [{ arg: 0, min: 0, max: LAST_FD }],
      },
      {
        name: 'clone',
        number: 56,
        why: 'guest fork, where the Sentry ordered it',
        action: 'notify',
        args: [{ arg: 0, eq: CLONE_PROCESS_FLAGS }],
      },
      {
        name: 'clone',
        number: 56,
        why: 'guest thread, where the Sentry ordered it',
        action: 'notify',
        args: [{ arg: 0, eq: CLONE_THREAD_FLAGS }],
      },
      {
        name: 'clock_gettime',
        number: 228,
        why: 'CPU time of one of several guest threads',
        args: [{ arg: 0, eq: 3 }],
      },
      {
        name: 'prctl',
        number: 157,
        why: "PR_SET_NAME: the guest's name in the host's ps",
        args: [{ arg: 0, eq: PR_SET_NAME }],
      },
      {
        name: 'prctl',
        number: 157,
        why: "PR_SET_MM_MAP: the guest's arguments in the host's ps (another executable needs a capability)",
        args: [
          { arg: 0, eq: PR_SET_MM },
          { arg: 1, eq: PR_SET_MM_MAP },
          { arg: 3, eq: MM_MAP_BYTES },
        ],
      },
      { name: 'exit', number: 60, why: 'end of one guest thread' },
    ],
  };
}

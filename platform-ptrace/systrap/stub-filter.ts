// SPDX-License-Identifier: Apache-2.0
// The stub's filter lists the system calls that a stub process may make on the host, and with it a
// hostile guest that jumps into the stub. Every call from guest code traps (SIGSYS); from the
// stub's text only the listed calls pass. Each is judged by what it can do with arguments of the
// guest's choice: it must reach nothing but the process's own memory and descriptors that the
// process holds anyway (RLIMIT_NOFILE is 64). And each is over soon, and takes no memory of the
// host kernel that is not counted (docs/security.md has the worst case of each): while one holds
// the lock of its address space, the Sentry and the host's ps(1) wait for it. So no call touches
// pages on its own, and none walks more page tables than those of STUB_PIECE_BYTES; the stub does
// large operations in pieces (native/stub/memory.h).

import {
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
} from '../../abi/mman.ts';
import type { ArgumentCondition, FilterRow, FilterSpec } from '../../native/seccomp/bpf.ts';
import { STUB_PIECE_BYTES, STUB_TEXT_BYTES } from '../../protocol/mailbox.ts';

/** CLONE_PARENT|CLONE_CHILD_SETTID|SIGCHLD. */
export const CLONE_PROCESS_FLAGS = 0x1008011;
/** CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|CHILD_SETTID|CHILD_CLEARTID. */
export const CLONE_THREAD_FLAGS = 0x1250f00;

const PROT_ANY = 0x7;
/**
 * Anonymous memory is private: shared one would be a file of the host's, whose pages stay when no
 * process has them in its page tables any more, which is where pages are counted. Private or shared
 * is said of files.
 */
const MAP_KINDS = [MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED].flatMap((kind) => [
  kind,
  kind | MAP_NORESERVE,
]);
/** Mappings that replace what is there. */
const MAP_REPLACING = MAP_KINDS.map((kind) => kind | MAP_FIXED);
/** Mappings that fail where something is there. */
const MAP_EMPTY = MAP_KINDS.map((kind) => kind | MAP_FIXED_NOREPLACE);
/** FUTEX_WAIT, FUTEX_WAKE, and the two with FUTEX_PRIVATE_FLAG. */
const FUTEX_OPERATIONS = [0, 1, 128, 129];
const ADVICE = [MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTNEED_LOCKED];
const onePiece = (arg: number): ArgumentCondition => ({ arg, min: 0, max: STUB_PIECE_BYTES });
const LAST_FD = 63;
const PR_SET_NAME = 15;
const PR_SET_MM = 35;
const PR_SET_MM_MAP = 14;
/** struct prctl_mm_map. */
const MM_MAP_BYTES = 104;

export const memoryRows: readonly FilterRow[] = [
  {
    name: 'mmap',
    number: 9,
    why: "guest mappings; new thread areas; a child's mailbox",
    args: [onePiece(1), { arg: 2, within: PROT_ANY }, { arg: 3, oneOf: MAP_REPLACING }],
  },
  {
    name: 'mmap',
    number: 9,
    why: 'large guest mappings where nothing is',
    args: [
      { arg: 2, within: PROT_ANY },
      { arg: 3, oneOf: MAP_EMPTY },
    ],
  },
  { name: 'munmap', number: 11, why: 'guest munmap', args: [onePiece(1)] },
  {
    name: 'mprotect',
    number: 10,
    why: 'guest mprotect',
    args: [onePiece(1), { arg: 2, within: PROT_ANY }],
  },
  {
    name: 'mremap',
    number: 25,
    why: 'guest mremap: in place, or MAYMOVE|FIXED',
    args: [onePiece(1), onePiece(2), { arg: 3, oneOf: [0, 3] }],
  },
  {
    name: 'madvise',
    number: 28,
    why: 'guest madvise',
    args: [onePiece(1), { arg: 2, oneOf: ADVICE }],
  },
];

export const clockRow: FilterRow = {
  name: 'clock_gettime',
  number: 228,
  why: 'CPU time of one of several guest threads',
  args: [{ arg: 0, eq: 3 }],
};

export const nameRows: readonly FilterRow[] = [
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
];

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
      ...memoryRows,
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
      clockRow,
      ...nameRows,
      { name: 'exit', number: 60, why: 'end of one guest thread' },
    ],
  };
}

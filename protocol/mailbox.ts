// SPDX-License-Identifier: Apache-2.0
// The stub's address range and the layout of a mailbox slot: what the stub, the zygote, the addon
// and the Sentry agree on. native/stub/mailbox.h has the structures, and its compiler compares
// their members with the offsets here. Slot offsets are in 32-bit words.

// Offsets from the start of the stub's range, which is aligned to 64 KiB.
export const STUB_TEXT_BYTES = 0x10000;
export const STUB_GLOBAL_OFFSET = 0x10000;
export const STUB_PROCESS_OFFSET = 0x11000;
export const STUB_MAILBOX_OFFSET = 0x100000;
export const STUB_MAILBOX_BYTES = 0x2000000;
export const STUB_AREAS_OFFSET = 0x2200000;
export const STUB_AREA_BYTES = 0x10000;
/** The top of each area is left free, so that a stack pointer never equals the next area's start. */
export const STUB_AREA_RESERVED = 0x100;
/** The most that a memory call of a stub may be about. */
export const STUB_PIECE_BYTES = 0x10000000;
export const STUB_SLOTS = 4096;
export const SLOT_BYTES = 8192;
export const SLOT_WORDS = 2048;
export const STUB_RANGE_BYTES = STUB_AREAS_OFFSET + STUB_SLOTS * STUB_AREA_BYTES;
/** "runtstub", low and high half. */
export const STUB_MAGIC_LOW = 0x746e7572;
export const STUB_MAGIC_HIGH = 0x62757473;

// States of a slot.
export const STATE_RUNNING = 0;
export const STATE_POSTED = 1;
export const STATE_ANSWERED = 2;
export const STATE_SLEEPING = 3;
export const STATE_DEFERRED = 4;

// What a stub reports: kinds of events.
export const EVENT_SYSCALL = 1;
export const EVENT_FAULT = 2;
export const EVENT_INTERRUPTED = 3;
export const EVENT_OPERATION_FAILED = 4;
export const EVENT_OPERATIONS_DONE = 5;
/** A new process or thread, before its first guest instruction. */
export const EVENT_READY = 6;
/** A system call like EVENT_SYSCALL, from a site that was patched: no signal frame stands behind it. */
export const EVENT_CALL = 8;
/**
 * A bit of EVENT_SYSCALL and EVENT_CALL. The window holds a copy of in_bytes of guest memory from
 * in_addr. The out_bytes from out_addr can be written: what the Sentry writes there may stand in the
 * window from WINDOW_OUT on, and ORDER_COPY has the stub copy it.
 */
export const EVENT_WINDOW = 16;
/** child_id: host id of the child or -errno (in EVENT_READY of a process: its own). */
export const EVENT_CLONED = 7;

// What the Sentry answers: bits, in the place of the event's kind.
/** rax := call[0] */
export const ORDER_RESULT = 1;
/** All registers are to be those of regs[]. */
export const ORDER_REGISTERS = 2;
/** Run ops[0..op_count) first, */
export const ORDER_OPERATIONS = 4;
/** then post EVENT_OPERATIONS_DONE. */
export const ORDER_STOP = 8;
/** Clone a process; descriptors come under message_id. */
export const ORDER_FORK = 16;
/** Clone a thread into slot new_slot. */
export const ORDER_THREAD = 32;
/** End this thread. */
export const ORDER_EXIT = 64;
/** A parked thread is used anew: its CPU time starts from 0. */
export const ORDER_FRESH = 128;

/** Copy out_bytes of the window, from WINDOW_OUT on, to out_addr first. */
export const ORDER_COPY = 256;

// Kinds of operations, and the members of struct operation that they use.
/** addr, length, prot, flags */
export const OP_MAP_ANONYMOUS = 1;
/** addr, length, prot, flags, extra0 = offset, message_id */
export const OP_MAP_FILE = 2;
/** addr, length */
export const OP_UNMAP = 3;
/** addr, length, prot */
export const OP_PROTECT = 4;
/** addr, length, extra0 = new address, extra1 = new length */
export const OP_REMAP = 5;
/** addr, length, prot = advice */
export const OP_ADVISE = 6;
/** addr */
export const OP_SAVE_FP = 7;
/** addr (0: the initial state) */
export const OP_LOAD_FP = 8;
/** prot = descriptor */
export const OP_CLOSE = 9;
/** This thread's CPU time goes into cpu_ns. */
export const OP_CPU_TIME = 10;
/**
 * Sets the arguments that the host shows: addr and length are where the arguments start and end,
 * extra0 and extra1 the environment.
 */
export const OP_SHOW_ARGUMENTS = 11;
/** Sets the name of this thread that the host shows: 16 bytes in extra0 and extra1. */
export const OP_SHOW_NAME = 12;

/**
 * Rewrites the system call instruction before addr into a jump to extra1, an entry of the table;
 * extra0 = its number, prot = of the code, flags: 1 where the table is to be made first, 2 where no
 * other thread can run there. Whatever hinders that, the site stays as it is and no error is reported.
 */
export const OP_PATCH = 13;

/**
 * The table of patched sites, in guest memory below 2 GiB, where an absolute jump of SITE_BYTES
 * reaches it. Bytes 2 and 3 of all its addresses are TABLE_TRAP_BYTE, no instruction in 64-bit
 * mode: they stand where the syscall instruction was, so who goes on in the middle of a rewritten
 * site traps.
 */
export const TABLE_START = 0x3f3f0000;
export const TABLE_TRAP_BYTE = 0x3f;
export const TABLE_BYTES = 0x10000;
export const TABLE_ENTRY_BYTES = 64;
/** mov $number, %eax; syscall. */
export const SITE_BYTES = 7;
/** The same with instructions between the two. */
export const MOST_SITE_BYTES = 13;

/** Word offsets in struct slot. 64-bit fields take two words, low half first. */
export const SLOT = {
  state: 0,
  kind: 1,
  call: 2,
  signal: 16,
  code: 17,
  trapNumber: 18,
  errorCode: 19,
  faultAddr: 20,
  error: 22,
  opIndex: 23,
  childId: 24,
  fpBytes: 25,
  opCount: 26,
  messageId: 27,
  newSlot: 28,
  alive: 29,
  nonce: 30,
  regs: 32,
  listenerFd: 72,
  tracerTid: 73,
  cpuNs: 74,
  fpAddr: 76,
  ops: 80,
  kept: 272,
  answers: 273,
  dozes: 280,
  futexWaiters: 284,
  inAddr: 540,
  outAddr: 542,
  inBytes: 544,
  outBytes: 545,
  window: 548,
} as const;
export const SLOT_CALL_WORDS = 14;
export const WINDOW_BYTES = 6000;
/** Where in the window that begins which the Sentry writes, and the most that is read or written by it. */
export const WINDOW_OUT = 256;
export const WINDOW_MOST = 4096;
export const SLOT_OPERATIONS = 16;

/**
 * Calls whose answers the Sentry may leave with the stub, which repeats them: their place in
 * `answers`, and their bit in `kept`.
 */
export const KEPT = { getpid: 0, gettid: 1, getuid: 2, geteuid: 3, getgid: 4, getegid: 5 } as const;
export const KEPT_ANSWERS = 8;
/**
 * Further bits of `kept`. The thread waits and wakes on private futexes by itself
 * (native/stub/futex.h), also with a time-out; and it may answer sched_yield where processors are free.
 */
export const KEPT_FUTEX = 8;
export const KEPT_TIMED_FUTEX = 9;
export const KEPT_YIELD = 10;
/**
 * Words in `futexWaiters` of slot 0: not 0 where threads of the process wait in the Sentry on a
 * private futex at an address with that hash.
 */
export const FUTEX_BUCKETS = 256;

/** Word offsets in struct operation. */
export const OPERATION = {
  kind: 0,
  prot: 1,
  addr: 2,
  length: 4,
  extra0: 6,
  extra1: 8,
  flags: 10,
  messageId: 11,
} as const;
export const OPERATION_WORDS = 12;

/** Word offsets in struct global_page. */
export const GLOBAL = {
  sleeping: 0,
  spinCount: 1,
  turns: 2,
  futexPauses: 3,
  windows: 4,
  clock: 16,
} as const;
export const GLOBAL_PAGE_BYTES = 4096;

/**
 * How guest code may be made to stop: by signals of a seccomp filter, with a listener for clones; by
 * a tracer.
 */
export const WAY = { signals: 1, tracer: 2 } as const;
/** Bytes of struct zygote_init before the filters: magic, base, the lengths of the three, ways. */
export const ZYGOTE_INIT_BYTES = 32;
/** Exit codes of the zygote that say what the host does not allow. */
export const ZYGOTE_CANNOT_TRACE = 15;
/** Bytes of struct passed_message: id, count. */
export const PASSED_MESSAGE_BYTES = 8;

/*
 * Layout of the stub's address range and of a mailbox slot: what the stub, the zygote, the addon and the
 * Sentry (protocol/mailbox.ts, checked by mailbox-layout.test.ts) agree on.
 *
 * A guest process has one mailbox: a memfd of 16 MiB, 4096 slots of one page, slot i for the
 * thread that owns thread area i. Either side writes a slot only when it is its turn:
 *   stub:   fills the slot, state := POSTED (SLEEPING once it gives up spinning)
 *   Sentry: fills the order, state := ANSWERED; or DEFERRED to send a spinning stub to sleep.
 */
#ifndef RUNTS_STUB_MAILBOX_H
#define RUNTS_STUB_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

/* Offsets from the start of the stub's range, which is aligned to 64 KiB. */
#define STUB_TEXT_BYTES 0x10000UL
#define STUB_GLOBAL_OFFSET 0x10000UL
#define STUB_PROCESS_OFFSET 0x11000UL
#define STUB_MAILBOX_OFFSET 0x100000UL
#define STUB_MAILBOX_BYTES 0x1000000UL
#define STUB_AREAS_OFFSET 0x2000000UL
#define STUB_AREA_BYTES 0x10000UL
/* The top of each area is left free so that a stack pointer never equals the next area's start. */
#define STUB_AREA_RESERVED 0x100UL
#define STUB_SLOTS 4096UL
#define STUB_SLOT_BYTES 4096UL
#define STUB_RANGE_BYTES (STUB_AREAS_OFFSET + STUB_SLOTS * STUB_AREA_BYTES)

/* The most that a memory call of a stub may be about: stub-filter.ts, memory.h. */
#define STUB_PIECE_BYTES 0x10000000UL

#define STUB_WAKE_FD 4
#define STUB_MAGIC 0x62757473746e7572UL /* "runtstub" */

enum slot_state {
  STATE_RUNNING = 0,
  STATE_POSTED = 1,
  STATE_ANSWERED = 2,
  STATE_SLEEPING = 3,
  STATE_DEFERRED = 4,
};

/* What a stub reports. */
enum event_kind {
  EVENT_SYSCALL = 1,
  EVENT_FAULT = 2,
  EVENT_INTERRUPTED = 3,
  EVENT_OPERATION_FAILED = 4,
  EVENT_OPERATIONS_DONE = 5,
  EVENT_READY = 6,  /* a new process or thread, before its first guest instruction */
  EVENT_CLONED = 7, /* child_id: host id of the child or -errno (in READY of a process: its own) */
};

/* What the Sentry answers (bits, in the place of the event kind). */
enum order {
  ORDER_RESULT = 1,     /* rax := call[0] */
  ORDER_REGISTERS = 2,  /* all registers from regs[] */
  ORDER_OPERATIONS = 4, /* run ops[0..op_count) first */
  ORDER_STOP = 8,       /* then post OPERATIONS_DONE */
  ORDER_FORK = 16,      /* clone a process; descriptors under message_id */
  ORDER_THREAD = 32,    /* clone a thread into slot new_slot */
  ORDER_EXIT = 64,      /* end this thread */
  ORDER_FRESH = 128,    /* a parked thread is used anew: its CPU time starts from 0 */
};

enum operation_kind {
  OP_MAP_ANONYMOUS = 1, /* addr, length, prot, flags */
  OP_MAP_FILE = 2,      /* addr, length, prot, flags, extra0 = offset, message_id */
  OP_UNMAP = 3,         /* addr, length */
  OP_PROTECT = 4,       /* addr, length, prot */
  OP_REMAP = 5,         /* addr, length, extra0 = new address, extra1 = new length */
  OP_ADVISE = 6,        /* addr, length, prot = advice */
  OP_SAVE_FP = 7,       /* addr */
  OP_LOAD_FP = 8,       /* addr (0: initial state) */
  OP_CLOSE = 9,         /* prot = descriptor */
  OP_CPU_TIME = 10,     /* this thread's CPU time into cpu_ns */
  /* What the host shows: addr and length are where the arguments start and end, extra0 and extra1 the environment. */
  OP_SHOW_ARGUMENTS = 11,
  OP_SHOW_NAME = 12, /* of this thread: 16 bytes in extra0 and extra1 */
};

struct operation {
  uint32_t kind;
  uint32_t prot;
  uint64_t addr;
  uint64_t length;
  uint64_t extra0;
  uint64_t extra1;
  uint32_t flags;
  uint32_t message_id;
};

#define SLOT_OPERATIONS 16
#define SLOT_REGISTERS 20

struct slot {
  /* First cache line: all that a plain system call needs in either direction. */
  uint32_t state;
  uint32_t kind;    /* event kind, or order bits */
  uint64_t call[7]; /* number and six arguments; the answer's result in call[0] */

  uint32_t signal;
  uint32_t code;
  uint32_t trap_number;
  uint32_t error_code;
  uint64_t fault_addr;
  int32_t error;
  uint32_t op_index;
  int32_t child_id;
  uint32_t fp_bytes;
  uint32_t op_count;
  uint32_t message_id;
  uint32_t new_slot;
  uint32_t alive; /* the thread's host id, set and (when it has gone) cleared by the host kernel */
  uint64_t nonce; /* set by the Sentry: proves which process maps this mailbox */

  uint64_t regs[SLOT_REGISTERS];
  int32_t listener_fd; /* zygote only: number of the seccomp listener in its table */
  uint32_t spare;
  uint64_t cpu_ns;   /* by OP_CPU_TIME */
  uint64_t fp_addr;  /* of the FP state, as of the stop; 0: none */
  uint64_t cpu_base; /* the stub's own: what cpu_ns does not count */
  struct operation ops[SLOT_OPERATIONS];
  uint8_t window[3008];
};

_Static_assert(sizeof(struct operation) == 48, "protocol/mailbox.ts OPERATION_WORDS");
_Static_assert(offsetof(struct slot, signal) == 64, "protocol/mailbox.ts");
_Static_assert(offsetof(struct slot, nonce) == 120, "protocol/mailbox.ts");
_Static_assert(offsetof(struct slot, regs) == 128, "protocol/mailbox.ts");
_Static_assert(offsetof(struct slot, listener_fd) == 288, "protocol/mailbox.ts");
_Static_assert(offsetof(struct slot, cpu_ns) == 296, "protocol/mailbox.ts");
_Static_assert(offsetof(struct slot, fp_addr) == 304, "protocol/mailbox.ts");
_Static_assert(offsetof(struct slot, ops) == 320, "protocol/mailbox.ts");
_Static_assert(offsetof(struct slot, window) == 1088, "protocol/mailbox.ts");
_Static_assert(sizeof(struct slot) == STUB_SLOT_BYTES, "protocol/mailbox.ts");

/* One page, written by the Sentry, read-only for every stub. */
struct global_page {
  uint32_t sleeping;   /* the Sentry sleeps (or is about to): a post must write the wake eventfd */
  uint32_t spin_count; /* PAUSE instructions a stub may spend before it sleeps */
  uint32_t
      turns; /* what the Sentry has dealt with so far; 0: it has not begun (launcher/watchdog.c) */
};

/* First bytes of the stub blob: where things are. */
struct stub_header {
  uint64_t magic;
  uint32_t boot;     /* void boot(struct stub_boot*), on the stack of area 0 */
  uint32_t handler;  /* the signal handler */
  uint32_t restorer; /* rt_sigreturn */
  uint32_t bytes;    /* of the blob */
};

/* From the zygote's own code to the stub's boot function. */
struct stub_boot {
  uint64_t filter; /* struct sock_filter* */
  uint32_t filter_instructions;
  int32_t pid;
};

/* First message on the zygote's control socket; comes with the mailbox memfd. The filter follows. */
struct zygote_init {
  uint64_t magic;
  uint64_t base;
  uint32_t filter_instructions;
  uint32_t reserved;
};

/* Every later message to a stub: descriptors for one order or operation. */
struct passed_message {
  uint32_t id;
  uint32_t count;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The structures of a mailbox and of the zygote's start: what the stub, the zygote, the addon and
 * the Sentry agree on. Their numbers are in protocol/mailbox.ts, with which the members are
 * compared below.
 *
 * A guest process has one mailbox: a memfd of 32 MiB, 4096 slots of two pages, slot i for the
 * thread that owns thread area i. Either side writes a slot only when it is its turn:
 *   stub:   fills the slot, state := POSTED (SLEEPING once it gives up spinning)
 *   Sentry: fills the order, state := ANSWERED; or DEFERRED to send a spinning stub to sleep.
 */
#ifndef RUNTS_STUB_MAILBOX_H
#define RUNTS_STUB_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

#include "protocol.h"
#include "vdso/params.h"

#define STUB_MAGIC ((uint64_t)STUB_MAGIC_HIGH << 32 | STUB_MAGIC_LOW) /* "runtstub" */

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
  uint32_t tracer_tid; /* of the tracer's thread for this one (native/tracer) */
  uint64_t cpu_ns;     /* by OP_CPU_TIME */
  uint64_t fp_addr;    /* of the FP state, as of the stop; 0: none */
  uint64_t cpu_base;   /* the stub's own: what cpu_ns does not count */
  struct operation ops[SLOT_OPERATIONS];
  uint32_t kept; /* bits of KEPT: whose answers stand in `answers` */
  uint32_t answers[KEPT_ANSWERS - 1];
  uint32_t dozes;      /* how often this thread has waited by itself */
  uint32_t spin_rest;  /* waits before it spins again, and how often it has done so in vain */
  uint32_t spin_fails; /* (futex.h) */
  uint32_t yields;
  uint32_t futex_waiters[FUTEX_BUCKETS]; /* slot 0 only, of the Sentry's */
  uint64_t in_addr;                      /* copies of arguments: window.h */
  uint64_t out_addr;
  uint32_t in_bytes;
  uint32_t out_bytes;
  uint64_t window_padding;
  uint8_t window[WINDOW_BYTES];
};

/* protocol/mailbox.ts counts in words of 32 bits. */
#define ASSERT_WORD(type, member, word) \
  _Static_assert(offsetof(struct type, member) == 4 * (word), "protocol/mailbox.ts: " #member)
ASSERT_WORD(slot, state, SLOT_STATE);
ASSERT_WORD(slot, kind, SLOT_KIND);
ASSERT_WORD(slot, call, SLOT_CALL);
ASSERT_WORD(slot, signal, SLOT_SIGNAL);
ASSERT_WORD(slot, code, SLOT_CODE);
ASSERT_WORD(slot, trap_number, SLOT_TRAP_NUMBER);
ASSERT_WORD(slot, error_code, SLOT_ERROR_CODE);
ASSERT_WORD(slot, fault_addr, SLOT_FAULT_ADDR);
ASSERT_WORD(slot, error, SLOT_ERROR);
ASSERT_WORD(slot, op_index, SLOT_OP_INDEX);
ASSERT_WORD(slot, child_id, SLOT_CHILD_ID);
ASSERT_WORD(slot, fp_bytes, SLOT_FP_BYTES);
ASSERT_WORD(slot, op_count, SLOT_OP_COUNT);
ASSERT_WORD(slot, message_id, SLOT_MESSAGE_ID);
ASSERT_WORD(slot, new_slot, SLOT_NEW_SLOT);
ASSERT_WORD(slot, alive, SLOT_ALIVE);
ASSERT_WORD(slot, nonce, SLOT_NONCE);
ASSERT_WORD(slot, regs, SLOT_REGS);
ASSERT_WORD(slot, listener_fd, SLOT_LISTENER_FD);
ASSERT_WORD(slot, tracer_tid, SLOT_TRACER_TID);
ASSERT_WORD(slot, cpu_ns, SLOT_CPU_NS);
ASSERT_WORD(slot, fp_addr, SLOT_FP_ADDR);
ASSERT_WORD(slot, ops, SLOT_OPS);
ASSERT_WORD(slot, kept, SLOT_KEPT);
ASSERT_WORD(slot, answers, SLOT_ANSWERS);
ASSERT_WORD(slot, dozes, SLOT_DOZES);
ASSERT_WORD(slot, futex_waiters, SLOT_FUTEX_WAITERS);
ASSERT_WORD(slot, in_addr, SLOT_IN_ADDR);
ASSERT_WORD(slot, out_addr, SLOT_OUT_ADDR);
ASSERT_WORD(slot, in_bytes, SLOT_IN_BYTES);
ASSERT_WORD(slot, out_bytes, SLOT_OUT_BYTES);
ASSERT_WORD(slot, window, SLOT_WINDOW);
_Static_assert(WINDOW_OUT + WINDOW_MOST <= WINDOW_BYTES, "protocol/mailbox.ts");
_Static_assert(sizeof(((struct slot *)0)->call) == 4 * SLOT_CALL_WORDS, "protocol/mailbox.ts");
_Static_assert(sizeof(struct slot) == SLOT_BYTES && SLOT_BYTES == 4 * SLOT_WORDS,
               "protocol/mailbox.ts");
_Static_assert(STUB_SLOTS *SLOT_BYTES == STUB_MAILBOX_BYTES, "protocol/mailbox.ts");
ASSERT_WORD(operation, kind, OPERATION_KIND);
ASSERT_WORD(operation, prot, OPERATION_PROT);
ASSERT_WORD(operation, addr, OPERATION_ADDR);
ASSERT_WORD(operation, length, OPERATION_LENGTH);
ASSERT_WORD(operation, extra0, OPERATION_EXTRA0);
ASSERT_WORD(operation, extra1, OPERATION_EXTRA1);
ASSERT_WORD(operation, flags, OPERATION_FLAGS);
ASSERT_WORD(operation, message_id, OPERATION_MESSAGE_ID);
_Static_assert(sizeof(struct operation) == 4 * OPERATION_WORDS, "protocol/mailbox.ts");

/* One page, written by the Sentry, read-only for every stub. */
struct global_page {
  uint32_t sleeping;   /* the Sentry sleeps (or is about to): a post must write the wake eventfd */
  uint32_t spin_count; /* PAUSE instructions a stub may spend before it sleeps */
  uint32_t
      turns; /* what the Sentry has dealt with so far; 0: it has not begun (launcher/watchdog.c) */
  uint32_t futex_pauses; /* PAUSE instructions before a thread sleeps on a futex */
  uint32_t windows;      /* whether arguments are copied */
  uint32_t spare[11];
  struct clock_params clock; /* as in the page of the vDSO */
};
ASSERT_WORD(global_page, sleeping, GLOBAL_SLEEPING);
ASSERT_WORD(global_page, spin_count, GLOBAL_SPIN_COUNT);
ASSERT_WORD(global_page, turns, GLOBAL_TURNS);
ASSERT_WORD(global_page, futex_pauses, GLOBAL_FUTEX_PAUSES);
ASSERT_WORD(global_page, windows, GLOBAL_WINDOWS);
ASSERT_WORD(global_page, clock, GLOBAL_CLOCK);

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

/* First message on the zygote's control socket; comes with the mailbox memfd. The filters follow. */
struct zygote_init {
  uint64_t magic;
  uint64_t base;
  /* Of the filters of a stub, of a guest process with a tracer (native/tracer), and of the tracer. */
  uint32_t filter_instructions;
  uint32_t tracee_instructions;
  uint32_t tracer_instructions;
  uint32_t ways; /* bits of WAY: of several, the first that the host allows */
};
_Static_assert(sizeof(struct zygote_init) == ZYGOTE_INIT_BYTES, "protocol/mailbox.ts");

/* Every later message to a stub: descriptors for one order or operation. */
struct passed_message {
  uint32_t id;
  uint32_t count;
};
_Static_assert(sizeof(struct passed_message) == PASSED_MESSAGE_BYTES, "protocol/mailbox.ts");

#endif

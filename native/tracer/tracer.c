// SPDX-License-Identifier: Apache-2.0
/*
 * The tracer (tracer.h): what each of its threads does with its guest thread, and what the process
 * does with those that have died. README.md has the picture.
 */
#define TOUCHES_FROM_OUTSIDE
#include "tracer/tracer.h"

#define HIDDEN __attribute__((visibility("hidden")))
void *memcpy(void *to, const void *from, unsigned long bytes);
void *memset(void *to, int value, unsigned long bytes);

#include "stub/kept.h"
#include "tracer/orders.h"
#include "tracer/start.h"

HIDDEN struct tracer tracer;

/* ---- the conversation with the Sentry ---- */

static void post(struct slot *slot) {
  __atomic_exchange_n(&slot->state, STATE_POSTED, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&tracer.global->sleeping, __ATOMIC_SEQ_CST) != 0) {
    uint64_t one = 1;
    host(SYS_write, ZYGOTE_WAKE, (long)&one, sizeof one, 0, 0, 0);
  }
}

/* Up to the answer, or the death of the guest thread. */
static void wait_answer(struct tracee *t, uint32_t spins) {
  struct slot *slot = t->slot;
  for (;;) {
    uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    if (state == STATE_ANSWERED) return;
    if (state != STATE_POSTED) {
      if (__atomic_load_n(&t->is_dead, __ATOMIC_SEQ_CST) != 0) return;
      host_futex(&slot->state, FUTEX_WAIT, state);
    } else if (spins > 0) {
      spins--;
      __builtin_ia32_pause();
    } else {
      __atomic_compare_exchange_n(&slot->state, &state, STATE_SLEEPING, 0, __ATOMIC_SEQ_CST,
                                  __ATOMIC_SEQ_CST);
    }
  }
}

/* Posts `kind` and obeys until the guest may go on, or is no more. */
static void serve(struct tracee *t, uint32_t kind) {
  struct slot *slot = t->slot;
  while (t->is_dead == 0) {
    slot->kind = kind;
    uint32_t spins = kind == EVENT_CLONED || kind == EVENT_READY ? 0 : tracer.global->spin_count;
    post(slot);
    wait_answer(t, spins);
    if (t->is_dead != 0) return;

    uint32_t order = slot->kind;
    if ((order & ORDER_EXIT) != 0) {
      stub_syscall(SYS_exit, 0, 0, 0, 0, 0, 0);
      return;
    }
    if ((order & ORDER_OPERATIONS) != 0) {
      long result = run_operations(t);
      if (result < 0) {
        slot->error = (int32_t)result;
        save_registers(t);
        kind = EVENT_OPERATION_FAILED;
        continue;
      }
    }
    if ((order & ORDER_STOP) != 0) {
      kind = EVENT_OPERATIONS_DONE;
    } else if ((order & (ORDER_FORK | ORDER_THREAD)) != 0) {
      slot->child_id = clone_child(t, (order & ORDER_FORK) != 0, slot->new_slot);
      kind = EVENT_CLONED;
    } else {
      if ((order & ORDER_REGISTERS) != 0) load_registers(t);
      if ((order & ORDER_RESULT) != 0) {
        t->regs.rax = slot->call[0];
        if (t->is_moved == 0) trace(t, PTRACE_POKEUSER, RAX_OFFSET, t->regs.rax);
      }
      return;
    }
  }
}

/* ---- guest threads ---- */

/* A stop that concerns nobody but this process: the guest goes on. */
#define NO_EVENT 0

static uint32_t on_call(struct tracee *t) {
  struct slot *slot = t->slot;
  uint64_t number = t->regs.orig_rax;
  if (!is_native_call(&t->regs)) {
    /* i386 calls are not what the Sentry has: as under systrap, they are the end. */
    host(SYS_kill, t->process->pid, SIGKILL, 0, 0, 0, 0);
    return NO_EVENT;
  }
  int place = kept_place(number);
  if (place >= 0 && (slot->kept >> place & 1) != 0) {
    trace(t, PTRACE_POKEUSER, RAX_OFFSET, slot->answers[place]);
    return NO_EVENT;
  }
  t->regs.rax = number;
  save_call(t, number);
  return EVENT_SYSCALL;
}

/* Lets guest code run to its next stop. Returns the event, with everything about it in the slot. */
static uint32_t run_guest(struct tracee *t) {
  static const uint64_t faults =
      1UL << SIGILL | 1UL << SIGTRAP | 1UL << SIGBUS | 1UL << SIGFPE | 1UL << SIGSEGV;
  int deliver = 0;
  for (;;) {
    if (trace(t, PTRACE_SYSEMU, 0, (uint64_t)deliver) < 0) return NO_EVENT;
    deliver = 0;
    int stop = await_stop(t);
    if (stop == STOP_DEAD) return NO_EVENT;
    if (stop == STOP_EVENT || is_harmless(stop)) continue;
    uint32_t kind = NO_EVENT;
    if (stop < 64 && stop != SIGURG && stop != SIGSYS && (faults >> stop & 1) == 0) {
      deliver = stop; /* somebody of the host's ends the process */
      continue;
    }
    if (trace(t, PTRACE_GETREGS, 0, (uint64_t)&t->regs) < 0) return NO_EVENT;
    if (stop == STOP_CALL) {
      kind = on_call(t);
      if (kind == NO_EVENT) continue;
    } else if (stop == SIGURG) {
      kind = EVENT_INTERRUPTED;
    } else if (stop == SIGSYS) {
      /* A call through the vsyscall page, refused by the filter: the return is emulated already. */
      save_call(t, t->regs.rax);
      kind = EVENT_SYSCALL;
    } else {
      kind = on_fault(t, stop);
    }
    save_registers(t);
    return kind;
  }
}

/* The thread has died, and everybody who may still ask is told. Does not return. */
static void leave(struct tracee *t) {
  extern HIDDEN void tracer_unmap_and_exit(void *block, uint64_t bytes);
  struct process *process = t->process;
  while (t->is_reaped == 0) await_stop(t);
  __atomic_store_n(&t->slot->alive, 0, __ATOMIC_SEQ_CST);
  if (delist(t)) {
    const int32_t death[2] = {process->pid, process->status};
    struct part part = {(void *)(uint64_t)death, sizeof death};
    struct message_header header = {0, 0, &part, 1, 0, 0, 0};
    host(SYS_sendmsg, ZYGOTE_CONTROL, (long)&header, 0, 0, 0, 0);
    host(SYS_kill, tracer.parent, SIGCHLD, 0, 0, 0, 0);
    free_process(process);
  }
  tracer_unmap_and_exit(t, BLOCK_BYTES);
}

static void trace_guest(struct tracee *t) {
  uint32_t kind = EVENT_READY;
  while (t->is_dead == 0) {
    if (kind != NO_EVENT) serve(t, kind);
    if (t->is_dead != 0) break;
    if (t->is_moved != 0) restore_registers(t);
    if (t->is_interrupted != 0) {
      t->is_interrupted = 0;
      kind = EVENT_INTERRUPTED;
      save_registers(t);
      continue;
    }
    kind = run_guest(t);
  }
  leave(t);
}

/* Makes the sleeping child a tracee of this thread. It stands still then. */
static void seize(struct tracee *t) {
  if (trace(t, PTRACE_SEIZE, 0, TRACE_OPTIONS) < 0 || trace(t, PTRACE_INTERRUPT, 0, 0) < 0) {
    host(SYS_kill, t->process->pid, SIGKILL, 0, 0, 0, 0);
    return;
  }
  int stop;
  while ((stop = await_stop(t)) != STOP_EVENT && stop != STOP_DEAD) {
    if (stop == SIGURG) t->is_interrupted = 1;
    trace(t, PTRACE_CONT, 0, 0);
  }
}

/* First code of a thread that takes over a child. */
static void trace_child(void *argument) {
  struct tracee *t = argument;
  seize(t);
  t->is_moved = 1;
  if (t->is_forked != 0) stub_syscall(SYS_close, given_number(t->process), 0, 0, 0, 0, 0);
  struct slot *slot = t->slot;
  slot->child_id = t->tid;
  slot->alive = (uint32_t)t->tid;
  slot->tracer_tid = (uint32_t)host(SYS_gettid, 0, 0, 0, 0, 0, 0);
  slot->fp_addr = 0;
  slot->fp_bytes = tracer.fp_bytes;
  save_registers(t);
  trace_guest(t);
}

/* ---- deaths of guest threads that stand still ---- */

/* Whether it has ended, without taking the news from its own thread. */
static int has_ended(int32_t tid) {
  enum { P_PID = 1, WNOHANG = 1, WEXITED = 4, WNOWAIT = 0x1000000, CLD_EXITED = 1, CLD_DUMPED = 3 };
  int32_t info[32] = {0};
  long result =
      host(SYS_waitid, P_PID, tid, (long)info, WNOHANG | WEXITED | WNOWAIT | WAIT_ALL, 0, 0);
  return result == 0 && info[2] >= CLD_EXITED && info[2] <= CLD_DUMPED;
}

static void wake(struct tracee *t) {
  struct slot *slot = t->slot;
  __atomic_store_n(&t->is_dead, 1, __ATOMIC_SEQ_CST);
  /* The word changes, so that who is about to sleep on it does not. */
  uint32_t sleeping = STATE_SLEEPING, deferred = STATE_DEFERRED;
  if (!__atomic_compare_exchange_n(&slot->state, &sleeping, STATE_DEFERRED, 0, __ATOMIC_SEQ_CST,
                                   __ATOMIC_SEQ_CST)) {
    __atomic_compare_exchange_n(&slot->state, &deferred, STATE_SLEEPING, 0, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
  }
  host_futex(&slot->state, FUTEX_WAKE, 1);
}

/*
 * A thread here that waits for the Sentry does not hear when its guest thread is killed. SIGCHLD
 * tells of deaths alone (SA_NOCLDSTOP), one signal for several.
 */
static void hear_of_deaths(void *ignored) {
  (void)ignored;
  const uint64_t mask = 1UL << (SIGCHLD - 1);
  for (;;) {
    host(SYS_rt_sigtimedwait, (long)&mask, 0, 0, 8, 0, 0);
    lock(&tracer.lock);
    for (struct tracee *t = tracer.tracees; t != 0; t = t->next) {
      if (t->is_dead == 0 && has_ended(t->tid)) wake(t);
    }
    unlock(&tracer.lock);
  }
}

/* ---- start ---- */

/* From the zygote (native/zygote): this process becomes the tracer. Does not return. */
HIDDEN void tracer_main(const struct zygote_init *init, int mailbox) {
  struct tracee *t = start_first(init, mailbox);
  restrict_tracer(init);
  uint8_t *stack = map_here(BLOCK_BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  long started = stack == 0
                     ? -ENOMEM
                     : tracer_clone(CLONE_TRACER_FLAGS, stack + BLOCK_BYTES, 0, hear_of_deaths);
  need(started > 0, FAIL_THREAD);
  struct slot *slot = t->slot;
  slot->tracer_tid = (uint32_t)host(SYS_gettid, 0, 0, 0, 0, 0, 0);
  slot->child_id = t->tid;
  slot->alive = (uint32_t)t->tid;
  slot->tracer_tid = (uint32_t)host(SYS_gettid, 0, 0, 0, 0, 0, 0);
  slot->fp_bytes = tracer.fp_bytes;
  save_registers(t);
  trace_guest(t);
}

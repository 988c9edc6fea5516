/* SPDX-License-Identifier: Apache-2.0 */
/* Patched calls, from entry.S (stub_call_entry) on: answered here, or asked of the Sentry. */
#ifndef RUNTS_STUB_CALLS_H
#define RUNTS_STUB_CALLS_H

#include "stub/futex.h"
#include "stub/kept.h"
#include "stub/patch.h"
#include "stub/post.h"
#include "stub/registers.h"
#include "stub/window.h"

HIDDEN long stub_on_call(struct call_block *block);

/* Asks the Sentry. Returns whether more is ordered than a result. */
static long ask(struct slot *slot, struct call_block *block) {
  const uint64_t regs[SLOT_REGISTERS - 2] = {
      block->r8,  block->r9,  block->r10, block->flags, block->r12, block->r13,
      block->r14, block->r15, block->rdi, block->rsi,   block->rbp, block->rbx,
      block->rdx, block->rax, block->rcx, block->rsp,   block->rcx, block->flags};
  for (int i = 0; i < SLOT_REGISTERS - 2; i++) slot->regs[i] = regs[i];
  slot->regs[18] = read_fs_base();
  slot->regs[19] = 0;
  slot->call[0] = block->rax;
  slot->call[1] = block->rdi;
  slot->call[2] = block->rsi;
  slot->call[3] = block->rdx;
  slot->call[4] = block->r10;
  slot->call[5] = block->r8;
  slot->call[6] = block->r9;
  slot->fp_addr = 0;
  slot->kind = EVENT_CALL | fill_window(slot, slot->call);
  post(slot);
  wait_answer(slot, global()->spin_count);
  if (copy_out(slot, slot->kind) != ORDER_RESULT) return 1;
  block->rax = slot->call[0];
  return 0;
}

static long on_futex_call(struct slot *slot, struct call_block *block) {
  const uint64_t call[6] = {block->rdi, block->rsi, block->rdx, block->r10, block->r8, block->r9};
  struct wakes wakes;
  if ((slot->kept >> KEPT_FUTEX & 1) != 0) {
    long answer = doze(slot, block);
    if (answer == 0 || answer == -EAGAIN) {
      block->rax = (uint64_t)answer;
      return 0;
    }
    if (wake_here(block)) return 0;
  }
  long more = ask(slot, block);
  if (!read_wakes(call, &wakes)) return more;
  if (more == 0) {
    block->rax = wake_dozing(&wakes, block->rax);
  } else if ((slot->kind & ORDER_RESULT) != 0) {
    slot->call[0] = wake_dozing(&wakes, slot->call[0]);
  } else {
    wake_dozing(&wakes, 0);
  }
  return more;
}

/*
 * On the thread's own stack, in no signal handler. Returns 0 where the guest goes on with
 * block->rax. Any order that wants more than a result wants a signal frame too, so 1 makes one:
 * entry.S traps, and the handler carries out the order.
 */
long stub_on_call(struct call_block *block) {
  enum { SYS_sched_yield = 24, YIELDS_UNSEEN = 16 };
  struct slot *slot = own_slot();
  int place = kept_place(block->rax);
  if (place >= 0 && (slot->kept >> place & 1) != 0) {
    block->rax = slot->answers[place];
    return 0;
  }
  if (block->rax == SYS_futex) return on_futex_call(slot, block);
  /* There is a processor for everybody: only now and then somebody may want this one. */
  if (block->rax == SYS_sched_yield && (slot->kept >> KEPT_YIELD & 1) != 0 &&
      global()->spin_count != 0 && ++slot->yields % YIELDS_UNSEEN != 0) {
    block->rax = 0;
    return 0;
  }
  return ask(slot, block);
}

#endif

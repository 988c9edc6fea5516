/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is: a thread hands its slot to the Sentry, and waits until it has it back. */
#ifndef RUNTS_STUB_POST_H
#define RUNTS_STUB_POST_H

#include "stub/futex.h"
#include "stub/mailbox.h"
#include "stub/places.h"

/* Hands the slot to the Sentry. */
static void post(struct slot *slot) {
  __atomic_exchange_n(&slot->state, STATE_POSTED, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&global()->sleeping, __ATOMIC_SEQ_CST) != 0) {
    uint64_t one = 1;
    stub_syscall(SYS_write, ZYGOTE_WAKE, (long)&one, sizeof one, 0, 0, 0);
  }
}

static void wait_answer(struct slot *slot, uint32_t spins) {
  for (;;) {
    uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    if (state == STATE_ANSWERED) return;
    if (state != STATE_POSTED) {
      futex(&slot->state, FUTEX_WAIT, state);
    } else if (spins > 0) {
      spins--;
      __builtin_ia32_pause();
    } else {
      __atomic_compare_exchange_n(&slot->state, &state, STATE_SLEEPING, 0, __ATOMIC_SEQ_CST,
                                  __ATOMIC_SEQ_CST);
    }
  }
}

#endif

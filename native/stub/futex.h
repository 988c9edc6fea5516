/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private futexes without the Sentry. A thread in a patched call waits for one on the host, on the
 * guest's own word, for DOZE_NS at most (it *dozes*); after that, or when a signal comes, its
 * call goes to the Sentry as if it had just been made, so time-outs, signals and long sleeps are
 * the Sentry's. To the guest that is a wait that a signal without a handler interrupted and the
 * kernel restarted, which can happen to any wait on Linux (a stop, a freezer, a tracer).
 *
 * Waiters may thus be in two places, and who wakes looks at both, those in the Sentry first: they
 * have waited longer. Neither is missed:
 *   The Sentry marks the word's bucket in futex_waiters before it reads the word, and a waker
 *   changes the word before it reads the mark: one of the two sees the other.
 *   A thread counts itself in process()->dozing before the host's kernel compares the word, and a
 *   waker changes the word before it reads that count.
 * Whatever else a call does with futexes the Sentry does to its own waiters, and the thread that made
 * the call then wakes dozing ones where Linux would wake or move them: a wake-up too many is allowed.
 */
#ifndef RUNTS_STUB_FUTEX_H
#define RUNTS_STUB_FUTEX_H

#include "stub/patch.h"

enum {
  FUTEX_REQUEUE = 3,
  FUTEX_CMP_REQUEUE = 4,
  FUTEX_WAKE_OP = 5,
  FUTEX_WAIT_BITSET = 9,
  FUTEX_WAKE_BITSET = 10,
  FUTEX_CLOCK_REALTIME = 256,
};
enum { EINTR = 4, EAGAIN = 11, ENOSYS = 38 };
#define DOZE_NS 8000000L
#define NS_PER_SEC 1000000000UL
/* A thread whose spinning never pays tries again after at most so many waits: 1 << this. */
#define MOST_SPIN_FAILS 10

extern HIDDEN long stub_load(const uint32_t *at);
extern HIDDEN long stub_doze(uint64_t word, long operation, uint32_t value,
                             const uint64_t *timeout);

static int may_ask_host(uint64_t addr) { return addr % 4 == 0 && addr < (uint64_t)stub_base; }

static uint32_t waits_in_sentry(uint64_t addr) {
  uint32_t bucket = (uint32_t)(addr >> 2 ^ addr >> 10) % FUTEX_BUCKETS; /* address-space.ts */
  return __atomic_load_n(&slot_at(0)->futex_waiters[bucket], __ATOMIC_SEQ_CST);
}

/* ---- waiting ---- */

/* Nanoseconds until the time at `at`, of the sandbox's clock; 0: none are left, or who knows. */
static uint64_t time_left(uint64_t at, int is_realtime) {
  const struct clock_params *clock = &global()->clock;
  uint64_t time[2];
  if (stub_copy(time, (const void *)at, sizeof time) != 0) return 0;
  if (time[0] > 1UL << 33 || time[1] >= NS_PER_SEC) return 0;
  uint64_t now;
  uint32_t sequence;
  do {
    sequence = __atomic_load_n(&clock->sequence, __ATOMIC_ACQUIRE);
    if (clock->usable == 0) return 0;
    now = params_ns(clock->base_ns, clock->base_tsc, clock->multiplier, params_rdtsc());
    if (is_realtime) now += clock->realtime_offset_ns;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
  } while ((sequence & 1) != 0 || sequence != __atomic_load_n(&clock->sequence, __ATOMIC_RELAXED));
  uint64_t deadline = time[0] * NS_PER_SEC + time[1];
  return deadline > now ? deadline - now : 0;
}

/*
 * Looks for a while whether the word changes, which is much cheaper than to be woken on another
 * processor. Where it does not pay it is tried ever more rarely.
 */
static int changes_soon(struct slot *slot, const struct call_block *block) {
  const uint32_t *word = (const uint32_t *)block->rdi;
  uint32_t pauses = global()->futex_pauses;
  if (pauses == 0) return 0;
  if (slot->spin_rest > 0) {
    slot->spin_rest--;
    return 0;
  }
  while (pauses-- > 0 && block->is_interrupted == 0) {
    long value = stub_load(word);
    if (value < 0) return 0;
    if (value != (long)(uint32_t)block->rdx) {
      slot->spin_fails = 0;
      return 1;
    }
    __builtin_ia32_pause();
  }
  if (slot->spin_fails < MOST_SPIN_FAILS) slot->spin_fails++;
  slot->spin_rest = 1U << slot->spin_fails;
  return 0;
}

/* The answer to a wait, 0 or -EAGAIN; anything else: the Sentry has to be asked. */
static long doze(struct slot *slot, const struct call_block *block) {
  uint32_t operation = (uint32_t)block->rsi;
  uint32_t command = operation & ~(uint32_t)(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME);
  uint64_t left = DOZE_NS;
  if ((operation & FUTEX_PRIVATE) == 0 || !may_ask_host(block->rdi)) return -ENOSYS;
  if (command == FUTEX_WAIT_BITSET) {
    if ((uint32_t)block->r9 != ~0U) return -ENOSYS;
    if (block->r10 != 0) {
      if ((slot->kept >> KEPT_TIMED_FUTEX & 1) == 0) return -ENOSYS;
      left = time_left(block->r10, (operation & FUTEX_CLOCK_REALTIME) != 0);
      if (left == 0) return -ENOSYS;
      if (left > DOZE_NS) left = DOZE_NS;
    }
  } else if (command != FUTEX_WAIT || block->r10 != 0) {
    return -ENOSYS;
  }
  if (changes_soon(slot, block)) return -EAGAIN;
  slot->dozes++;
  const uint64_t timeout[2] = {0, left};
  __atomic_fetch_add(&process()->dozing, 1, __ATOMIC_SEQ_CST);
  long result = stub_doze(block->rdi, FUTEX_WAIT | FUTEX_PRIVATE, (uint32_t)block->rdx, timeout);
  __atomic_fetch_sub(&process()->dozing, 1, __ATOMIC_SEQ_CST);
  return result;
}

/* ---- waking ---- */

/* Dozing threads that a call may wake beside those that wait in the Sentry. */
struct wakes {
  uint64_t addr[2];
  int64_t most[2];
  int is_sum; /* what the Sentry answers counts against `most` */
};

static int64_t at_least_one(uint64_t count) { return (int32_t)count < 1 ? 1 : (int32_t)count; }

/* `call`: rdi, rsi, rdx, r10, r8, r9. Returns 0 where the call wakes nobody. */
static int read_wakes(const uint64_t *call, struct wakes *wakes) {
  uint32_t operation = (uint32_t)call[1];
  *wakes = (struct wakes){.addr = {call[0], call[4]}, .is_sum = 1};
  if ((operation & FUTEX_PRIVATE) == 0 || process()->dozing == 0) return 0;
  switch (operation & 0x7f) {
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
      wakes->most[0] = at_least_one(call[2]);
      return 1;
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
      wakes->most[0] = (int64_t)(uint32_t)call[2] + (int64_t)(uint32_t)call[3];
      return 1;
    case FUTEX_WAKE_OP:
      wakes->most[0] = at_least_one(call[2]);
      wakes->most[1] = at_least_one(call[3]);
      wakes->is_sum = 0;
      return 1;
    default:
      return 0;
  }
}

/* After the Sentry's `answer`. Returns the answer with those that were woken here. */
static uint64_t wake_dozing(const struct wakes *wakes, uint64_t answer) {
  if (is_error((long)answer)) return answer;
  for (int i = 0; i < 2; i++) {
    int64_t left = wakes->most[i] - (wakes->is_sum ? (int64_t)answer : 0);
    if (left <= 0 || !may_ask_host(wakes->addr[i])) continue;
    if (left > 0x7fffffff) left = 0x7fffffff;
    long woken = futex((uint32_t *)wakes->addr[i], FUTEX_WAKE | FUTEX_PRIVATE, (uint32_t)left);
    if (woken > 0) answer += (uint64_t)woken;
  }
  return answer;
}

/* FUTEX_WAKE where nobody waits in the Sentry. Returns whether that has answered the call. */
static int wake_here(struct call_block *block) {
  if ((uint32_t)block->rsi != (FUTEX_WAKE | FUTEX_PRIVATE) || !may_ask_host(block->rdi)) return 0;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (waits_in_sentry(block->rdi) != 0) return 0;
  long woken = 0;
  if (__atomic_load_n(&process()->dozing, __ATOMIC_SEQ_CST) != 0) {
    woken = futex((uint32_t *)block->rdi, FUTEX_WAKE | FUTEX_PRIVATE, (uint32_t)block->rdx);
  }
  if (woken < 0) return 0;
  block->rax = (uint64_t)woken;
  return 1;
}

#endif

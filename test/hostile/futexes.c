// SPDX-License-Identifier: Apache-2.0
// A guest that abuses futexes without the kernel (native/stub/futex.h): it forges the marks by which
// wakers know of waiters, the counts and clocks of its stub, and waits and wakes through the stub on
// words that are no business of its own. It loses its own wake-ups at most; whatever it does, it can
// be stopped, continued and ended, and nobody else notices.
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "hostile.h"

#define PROCESS_OFFSET 0x11000UL
#define GLOBAL_OFFSET 0x10000UL
#define KEPT_WORD 272
#define MARKS_WORD 284
#define MARKS 256
#define ATTEMPTS 12

__asm__(
    ".text\n.p2align 6\n"
    "raw_futex: mov %rcx,%r10\n mov $202,%eax\n syscall\n ret\n");
long raw_futex(atomic_int *word, long op, unsigned value, const void *timeout, void *other,
               unsigned v3);

static atomic_int words[4];

static void *play(void *index) {
  unsigned long own = (unsigned long)index;
  for (;;) {
    atomic_int *word = &words[random_below(4)];
    int seen = atomic_load(word);
    raw_futex(word, own % 2 == 0 ? FUTEX_WAIT_PRIVATE : FUTEX_WAIT_BITSET_PRIVATE, (unsigned)seen,
              NULL, NULL, ~0U);
    atomic_fetch_add(word, 1);
    raw_futex(word, FUTEX_WAKE_PRIVATE, (unsigned)random64(), NULL, NULL, 0);
    raw_futex(word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)random64(), &words[own % 4],
              (unsigned)seen);
  }
  return NULL;
}

/* Four players, and this thread forges what lies between them. */
static void forge(int seed) {
  const struct stub *stub = find_stub();
  pthread_t thread;
  seed_random((uint64_t)seed + 1);
  for (long i = 0; i < 4; i++) pthread_create(&thread, NULL, play, (void *)i);
  sleep_ms(5);
  volatile uint32_t *process = (volatile uint32_t *)(stub->base + PROCESS_OFFSET);
  for (;;) {
    volatile uint32_t *slot = stub->mailbox + random_below(6) * (SLOT_BYTES / 4);
    switch ((unsigned)seed % 4) {
      case 0:
        stub->mailbox[MARKS_WORD + random_below(MARKS)] = (uint32_t)random64();
        break;
      case 1:
        slot[KEPT_WORD + 8 + random_below(4)] = (uint32_t)random64();
        break;
      case 2:
        slot[KEPT_WORD] = (uint32_t)random64();
        break;
      default: /* holders, dozing threads, a patch that never was */
        process[2 + random_below(10)] = (uint32_t)random64();
    }
  }
}

TEST(forged_marks_and_counts) {
  if (find_stub() == NULL) _exit(CHECK_SKIPPED);
  for (int seed = 0; seed < ATTEMPTS; seed++) run_attack(forge, seed, 150);
  check_well();
}

/* It waits for ever where nobody will wake it, and is stopped, continued and killed all the same. */
static void sleep_everywhere(int unused) {
  pthread_t thread;
  (void)unused;
  for (long i = 0; i < 4; i++) pthread_create(&thread, NULL, play, (void *)0L);
  for (;;)
    raw_futex(&words[0], FUTEX_WAIT_PRIVATE, (unsigned)atomic_load(&words[0]), NULL, NULL, 0);
}

TEST(waits_can_be_stopped_and_ended) {
  for (int i = 0; i < ATTEMPTS; i++) {
    pid_t pid = OK(fork());
    if (pid == 0) sleep_everywhere(0);
    sleep_ms(10 + i);
    int status;
    OK(kill(pid, SIGSTOP));
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    OK(kill(pid, SIGCONT));
    CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
    CHECK(WIFCONTINUED(status));
    OK(kill(pid, i % 2 == 0 ? SIGKILL : SIGTERM));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
  }
  check_well();
}

/* Through the stub's own instruction: words of mailboxes, of the page of all, of nobody. */
static void foreign_words(int seed) {
  const struct stub *stub = find_stub();
  static const long operations[] = {0, 1, 128, 129};
  struct timespec soon = {0, 100000};
  seed_random((uint64_t)seed + 77);
  for (int i = 0; i < 3000; i++) {
    unsigned long place[] = {
        (unsigned long)stub->mailbox + random_below(6) * SLOT_BYTES + 4 * random_below(600),
        stub->base + GLOBAL_OFFSET + 4 * random_below(32),
        stub->base + PROCESS_OFFSET + 4 * random_below(64),
        random64(),
        random64() & 0x7ffffffffffcUL,
    };
    unsigned long at = place[random_below(5)];
    uint32_t value = i % 3 == 0 ? (uint32_t)random64() : (uint32_t)random_below(5);
    stub->call(SYS_futex, (long)at, operations[random_below(4)], value, (long)&soon, 0, 0);
    raw_futex((atomic_int *)at, (long)(128 + random_below(13)), value, &soon, (void *)at, ~0U);
  }
}

TEST(words_of_others) {
  if (find_stub() == NULL) _exit(CHECK_SKIPPED);
  for (int seed = 0; seed < ATTEMPTS; seed++) run_attack(foreign_words, seed, 400);
  check_well();
}

/* Operations that the stub's filter does not know stay out of reach. */
TEST(other_operations_trap) {
  const struct stub *stub = find_stub();
  if (stub == NULL) _exit(CHECK_SKIPPED);
  for (long operation = 0; operation < 512; operation++) {
    if ((operation & ~129L) == 0) continue;
    pid_t pid = OK(fork());
    if (pid == 0) {
      /* It traps like any call of the guest's: the Sentry answers, and knows no such operation. */
      long result = stub->call(SYS_futex, (long)words, operation | 64, 0, 0, 0, 0);
      _exit(result == -ENOSYS ? 0 : 1);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (operation % 50 == 0) check_well();
    if (!WIFEXITED(status)) continue;
    CHECK_EQ(WEXITSTATUS(status), 0);
    operation += 7;
  }
}

// SPDX-License-Identifier: Apache-2.0
// Private futexes that are waited for and woken often, from the same places: a kernel may let
// threads of a process do that without it (runts does, where it has rewritten the calls), and nobody
// may be able to tell: neither by lost wake-ups, nor by signals, time-outs, forks and ends.
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#define OFTEN 300
#define WAITERS 5

/* As the C library has it: these can be rewritten, and syscall() cannot. */
__asm__(
    ".text\n.p2align 6\n"
    "raw_wait: mov %rcx,%r10\n mov $202,%eax\n syscall\n ret\n"
    ".p2align 6\n"
    "raw_wake: mov %rcx,%r10\n mov $202,%eax\n syscall\n ret\n"
    ".p2align 6\n"
    "raw_other: mov %rcx,%r10\n mov $202,%eax\n syscall\n ret\n");
typedef long raw_futex(atomic_int *word, long op, unsigned value, const void *timeout,
                       atomic_int *other, unsigned v3);
raw_futex raw_wait, raw_wake, raw_other;

static long wait_at(atomic_int *word, int value) {
  return raw_wait(word, FUTEX_WAIT_PRIVATE, (unsigned)value, NULL, NULL, 0);
}

static long wake_at(atomic_int *word, int count) {
  return raw_wake(word, FUTEX_WAKE_PRIVATE, (unsigned)count, NULL, NULL, 0);
}

/* Until the calls have been made so often that they are rewritten, where they are at all. */
static void warm(void) {
  static atomic_int word;
  for (int i = 0; i < OFTEN; i++) {
    CHECK_EQ(wait_at(&word, 1), -EAGAIN);
    CHECK_EQ(wake_at(&word, 1), 0);
    CHECK_EQ(raw_other(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &word, 7), -EAGAIN);
  }
}

static void spend(unsigned microseconds) {
  struct timespec time = {0, microseconds * 1000};
  while (nanosleep(&time, &time) != 0) continue;
}

static unsigned next_random(unsigned *state) {
  *state = *state * 1103515245 + 12345;
  return *state >> 16 & 0x7fff;
}

struct waiter {
  pthread_t thread;
  atomic_int *word;
  unsigned age;  // microseconds that it waits longer than others
  int value;
  long result;
};
static atomic_int woken_count;

static void *wait_once(void *data) {
  struct waiter *waiter = data;
  do waiter->result = wait_at(waiter->word, waiter->value);
  while (waiter->result == -EINTR);
  atomic_fetch_add(&woken_count, 1);
  return NULL;
}

/* Some have waited so long by now that they wait elsewhere than the others. */
static void start_waiters(struct waiter *waiters, atomic_int *word) {
  atomic_store(&woken_count, 0);
  for (int i = 0; i < WAITERS; i++) {
    waiters[i] = (struct waiter){.word = word, .value = atomic_load(word), .result = -1};
    CHECK_EQ(pthread_create(&waiters[i].thread, NULL, wait_once, &waiters[i]), 0);
    spend(i % 2 == 0 ? 12000 : 1000);
  }
}

static void join_waiters(struct waiter *waiters) {
  for (int i = 0; i < WAITERS; i++) {
    CHECK_EQ(pthread_join(waiters[i].thread, NULL), 0);
    CHECK_EQ(waiters[i].result, 0);
  }
}

/* Each is woken once, by whom it was counted: the sum of the answers is the number of waiters. */
TEST(wakes_are_counted) {
  warm();
  for (int turn = 0; turn < 12; turn++) {
    atomic_int word = 0;
    struct waiter waiters[WAITERS];
    start_waiters(waiters, &word);
    long woken = 0;
    while (woken < WAITERS) woken += wake_at(&word, turn % 3 + 1);
    CHECK_EQ(woken, WAITERS);
    join_waiters(waiters);
    CHECK_EQ(wake_at(&word, 100), 0);
  }
}

TEST(bitsets_and_operations_wake_all_kinds) {
  warm();
  for (int turn = 0; turn < 6; turn++) {
    atomic_int word = 0, second = 7;
    struct waiter waiters[WAITERS];
    start_waiters(waiters, &word);
    long woken = 0;
    int set = FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 7);
    while (atomic_load(&woken_count) < WAITERS) {
      woken += turn % 2 == 0
                   ? raw_other(&word, FUTEX_WAKE_BITSET_PRIVATE, 2, NULL, NULL, 4)
                   : raw_other(&second, FUTEX_WAKE_OP_PRIVATE, 1, (void *)2, &word, (unsigned)set);
    }
    CHECK_EQ(woken, WAITERS);
    join_waiters(waiters);
  }
}

/* Whoever is moved, or would be, can be woken at the one place or the other. */
TEST(requeued_are_not_lost) {
  warm();
  for (int turn = 0; turn < 12; turn++) {
    atomic_int from = 0, to = 0;
    struct waiter waiters[WAITERS];
    start_waiters(waiters, &from);
    int op = turn % 2 == 0 ? FUTEX_REQUEUE_PRIVATE : FUTEX_CMP_REQUEUE_PRIVATE;
    while (atomic_load(&woken_count) < WAITERS) {
      CHECK(raw_other(&from, op, 1, (void *)100, &to, 0) >= 0);
      CHECK(wake_at(&to, 1) >= 0);
    }
    join_waiters(waiters);
  }
}

static atomic_int turn_word;
#define ROUNDS 4000

static void *take_turns(void *side) {
  int own = (int)(long)side;
  for (int i = 0; i < ROUNDS; i++) {
    while (atomic_load(&turn_word) != own) {
      long result = wait_at(&turn_word, 1 - own);
      CHECK(result == 0 || result == -EAGAIN || result == -EINTR);
    }
    atomic_store(&turn_word, 1 - own);
    CHECK(wake_at(&turn_word, 1) >= 0);
  }
  return NULL;
}

static void ping_pong(void) {
  pthread_t other;
  atomic_store(&turn_word, 0);
  CHECK_EQ(pthread_create(&other, NULL, take_turns, (void *)1L), 0);
  take_turns((void *)0L);
  CHECK_EQ(pthread_join(other, NULL), 0);
}

TEST(no_wake_up_is_lost) {
  warm();
  for (int i = 0; i < 5; i++) ping_pong();
}

/* Stopped and continued at any moment, it goes on. */
TEST(stops_lose_nothing) {
  pid_t child = OK(fork());
  if (child == 0) {
    warm();
    for (int i = 0; i < 10; i++) ping_pong();
    _exit(7);
  }
  unsigned random = 5;
  for (int i = 0; i < 60; i++) {
    spend(next_random(&random) % 4000);
    if (kill(child, SIGSTOP) != 0) break;
    spend(next_random(&random) % 1000);
    OK(kill(child, SIGCONT));
  }
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static atomic_int handled;
static void on_signal(int number) {
  (void)number;
  atomic_fetch_add(&handled, 1);
}

static atomic_int never_word, sleeping;
static void *wait_for_signal(void *data) {
  long *result = data;
  atomic_store(&sleeping, 1);
  *result = wait_at(&never_word, 0);
  return NULL;
}

/* A handler ends the wait, however far it has come; with SA_RESTART the wait goes on after it. */
TEST(signals_end_waits) {
  warm();
  unsigned random = 9;
  for (int i = 0; i < 80; i++) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = i % 2 == 0 ? 0 : SA_RESTART};
    OK(sigaction(SIGUSR1, &action, NULL));
    atomic_store(&never_word, 0);
    atomic_store(&handled, 0);
    atomic_store(&sleeping, 0);
    long result = 1;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_signal, &result), 0);
    while (atomic_load(&sleeping) == 0) sched_yield();
    spend(next_random(&random) % (i % 4 < 2 ? 300 : 14000));
    if (i % 2 == 0) {
      int before;
      do {
        before = atomic_load(&handled);
        CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
        for (int k = 0; k < 50 && atomic_load(&handled) == before; k++) spend(100);
        /* It may have come before the wait: then only the next one interrupts it. */
      } while (result == 1);
      CHECK_EQ(pthread_join(thread, NULL), 0);
      CHECK_EQ(result, -EINTR);
    } else {
      CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
      while (atomic_load(&handled) == 0) sched_yield();
      CHECK_EQ(result, 1);
      atomic_store(&never_word, 1);
      while (result == 1) CHECK(wake_at(&never_word, 1) >= 0);
      CHECK_EQ(pthread_join(thread, NULL), 0);
      CHECK(result == 0 || result == -EAGAIN);
    }
  }
}

/* Never before the time has come, whether it is near or far. */
TEST(deadlines_are_kept) {
  warm();
  static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
  for (int i = 0; i < 40; i++) {
    atomic_int word = 3;
    int clock = clocks[i % 2];
    struct timespec end, now;
    OK(clock_gettime(clock, &end));
    end.tv_nsec += (i % 4 == 3 ? 25 : i % 4) * 1000000L + 1000;
    if (end.tv_nsec >= 1000000000) {
      end.tv_nsec -= 1000000000;
      end.tv_sec++;
    }
    int op = FUTEX_WAIT_BITSET_PRIVATE | (i % 2 == 1 ? FUTEX_CLOCK_REALTIME : 0);
    CHECK_EQ(raw_wait(&word, op, 3, &end, NULL, ~0U), -ETIMEDOUT);
    OK(clock_gettime(clock, &now));
    CHECK(now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec));
    CHECK_EQ(raw_wait(&word, op, 4, &end, NULL, ~0U), -EAGAIN);
    struct timespec bad = {0, 1000000000};
    CHECK_EQ(raw_wait(&word, op, 3, &bad, NULL, ~0U), -EINVAL);
    CHECK_EQ(raw_wait(&word, op, 3, (void *)16, NULL, ~0U), -EFAULT);
    struct timespec spell = {0, 2000000};
    CHECK_EQ(raw_wait(&word, FUTEX_WAIT_PRIVATE, 3, &spell, NULL, 0), -ETIMEDOUT);
  }
}

TEST(bad_words) {
  warm();
  char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(wait_at((atomic_int *)(pages + 2), 0), -EINVAL);
    CHECK_EQ(wake_at((atomic_int *)(pages + 2), 1), -EINVAL);
    CHECK_EQ(wait_at((atomic_int *)8, 0), -EFAULT);
    CHECK_EQ(wait_at((atomic_int *)0xffff888000000000UL, 0), -EFAULT);
  }
  OK(mprotect(pages, 4096, PROT_NONE));
  CHECK_EQ(wait_at((atomic_int *)pages, 0), -EFAULT);
  OK(munmap(pages, 4096));
  CHECK_EQ(wait_at((atomic_int *)pages, 0), -EFAULT);
  CHECK_EQ(wait_at((atomic_int *)(pages + 4096), 1), -EAGAIN);
}

/* The word may go, and come back, under those who wait. */
TEST(words_that_go) {
  warm();
  atomic_int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct waiter waiters[WAITERS];
  start_waiters(waiters, word);
  OK(mprotect(word, 4096, PROT_READ));
  OK(mprotect(word, 4096, PROT_READ | PROT_WRITE));
  CHECK(mmap(word, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        word);
  while (atomic_load(&woken_count) < WAITERS) CHECK(wake_at(word, WAITERS) >= 0);
  join_waiters(waiters);
}

/* A private futex in shared memory is the process's own. */
TEST(processes_do_not_meet) {
  warm();
  atomic_int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  struct waiter waiters[WAITERS];
  start_waiters(waiters, word);
  pid_t child = OK(fork());
  if (child == 0) {
    CHECK_EQ(wake_at(word, 100), 0);
    ping_pong();
    _exit(0);
  }
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  long woken = 0;
  while (woken < WAITERS) woken += wake_at(word, 100);
  CHECK_EQ(woken, WAITERS);
  join_waiters(waiters);
}

/* The end of the process, and another program, find threads that wait in every way. */
TEST(ends_while_threads_wait) {
  for (int turn = 0; turn < 12; turn++) {
    pid_t child = OK(fork());
    if (child == 0) {
      warm();
      static atomic_int word;
      struct waiter waiters[WAITERS];
      start_waiters(waiters, &word);
      if (turn % 3 == 0) _exit(9);
      if (turn % 3 == 1) execl("/bin/sh", "sh", "-c", "exit 9", NULL);
      raise(SIGKILL);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (turn % 3 == 2)
      CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    else
      CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
  }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t tokens;
static int things, taken;
#define THINGS 3000

static void *take_things(void *unused) {
  (void)unused;
  for (int i = 0; i < THINGS; i++) {
    pthread_mutex_lock(&mutex);
    while (things == 0) {
      struct timespec end;
      clock_gettime(CLOCK_REALTIME, &end);
      end.tv_sec += 100;
      if (i % 2 == 0)
        CHECK_EQ(pthread_cond_wait(&condition, &mutex), 0);
      else
        CHECK_EQ(pthread_cond_timedwait(&condition, &mutex, &end), 0);
    }
    things--;
    taken++;
    pthread_mutex_unlock(&mutex);
    sem_post(&tokens);
  }
  return NULL;
}

/* Locks, conditions and semaphores of the C library, with more threads than processors. */
TEST(locks_of_the_library) {
  pthread_t takers[3];
  OK(sem_init(&tokens, 0, 4));
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&takers[i], NULL, take_things, NULL), 0);
  for (int i = 0; i < 3 * THINGS; i++) {
    while (sem_wait(&tokens) != 0) continue;
    pthread_mutex_lock(&mutex);
    things++;
    if (i % 5 == 0)
      pthread_cond_broadcast(&condition);
    else
      pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
  }
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(takers[i], NULL), 0);
  CHECK_EQ(taken, 3 * THINGS);
}

static void unlock(void *held) { pthread_mutex_unlock(held); }

static void *wait_for_ever(void *unused) {
  (void)unused;
  pthread_mutex_lock(&mutex);
  pthread_cleanup_push(unlock, &mutex);
  for (;;) pthread_cond_wait(&condition, &mutex);
  pthread_cleanup_pop(0);
  return NULL;
}

TEST(cancelled_while_waiting) {
  for (int i = 0; i < 40; i++) {
    pthread_t thread;
    void *result;
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    spend(i % 2 == 0 ? 100 : 11000);
    CHECK_EQ(pthread_cancel(thread), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == PTHREAD_CANCELED);
  }
}

static void *yield_often(void *stop) {
  while (!atomic_load((atomic_int *)stop)) CHECK_EQ(sched_yield(), 0);
  return NULL;
}

TEST(yielding) {
  atomic_int stop = 0;
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, yield_often, &stop), 0);
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(sched_yield(), 0);
  atomic_store(&stop, 1);
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

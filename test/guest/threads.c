// SPDX-License-Identifier: Apache-2.0
// Threads: pthreads over clone(2), futex(2), robust lists, thread-local storage, exit of threads.
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "check.h"

static long futex(void *word, int op, unsigned value, const void *timeout, void *other,
                  unsigned v3) {
  return syscall(SYS_futex, word, op, value, timeout, other, v3);
}

#define THREADS 8
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void *add_many(void *arg) {
  for (int i = 0; i < 5000; i++) {
    pthread_mutex_lock(&mutex);
    counter++;
    pthread_mutex_unlock(&mutex);
  }
  return arg;
}

TEST(mutex_excludes) {
  pthread_t threads[THREADS];
  for (long i = 0; i < THREADS; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, add_many, (void *)i), 0);
  for (long i = 0; i < THREADS; i++) {
    void *result;
    CHECK_EQ(pthread_join(threads[i], &result), 0);
    CHECK_EQ((long)result, i);
  }
  CHECK_EQ(counter, THREADS * 5000);
}

static int turn;

static void *take_turns(void *arg) {
  long me = (long)arg;
  for (int i = 0; i < 200; i++) {
    pthread_mutex_lock(&mutex);
    while (turn != me) pthread_cond_wait(&cond, &mutex);
    turn = (turn + 1) % 3;
    counter++;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

TEST(condition_variables) {
  pthread_t threads[3];
  for (long i = 0; i < 3; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, take_turns, (void *)i), 0);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  CHECK_EQ(counter, 600);
}

static pthread_barrier_t barrier;

static void *meet(void *arg) {
  int serial = 0;
  for (int i = 0; i < 50; i++)
    serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
  *(int *)arg = serial;
  return NULL;
}

TEST(barriers) {
  pthread_t threads[4];
  int serial[4];
  CHECK_EQ(pthread_barrier_init(&barrier, NULL, 4), 0);
  for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, meet, &serial[i]), 0);
  int sum = 0;
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    sum += serial[i];
  }
  CHECK_EQ(sum, 50);
}

static sem_t semaphore;

static void *post_many(void *arg) {
  for (int i = 0; i < 500; i++) sem_post(&semaphore);
  return arg;
}

TEST(semaphores) {
  CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, post_many, NULL), 0);
  for (int i = 0; i < 500; i++) OK(sem_wait(&semaphore));
  pthread_join(thread, NULL);
  CHECK_ERR(sem_trywait(&semaphore), EAGAIN);
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  t.tv_nsec += 20000000;
  if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
  CHECK_ERR(sem_timedwait(&semaphore, &t), ETIMEDOUT);
}

static __thread int local = 5;

static void *check_local(void *arg) {
  CHECK_EQ(local, 5);
  local = (int)(long)arg;
  sched_yield();
  CHECK_EQ(local, (long)arg);
  return NULL;
}

TEST(thread_local_storage) {
  pthread_t threads[THREADS];
  for (long i = 0; i < THREADS; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, check_local, (void *)(i + 100)), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK_EQ(local, 5);
}

static void *report_ids(void *arg) {
  pid_t *ids = arg;
  ids[0] = getpid();
  ids[1] = gettid();
  ids[2] = getppid();
  return NULL;
}

TEST(threads_share_the_pid) {
  pid_t ids[3];
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, report_ids, ids), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(ids[0], getpid());
  CHECK(ids[1] != gettid());
  CHECK_EQ(ids[2], getppid());
  CHECK_EQ(gettid(), getpid());
}

static void *create_one(void *arg) {
  (void)arg;
  return NULL;
}

TEST(many_short_threads) {
  for (int i = 0; i < 300; i++) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, create_one, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
}

static void *sleep_forever(void *arg) {
  for (;;) pause();
  return arg;
}

TEST(exit_group_ends_all_threads) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    pthread_t thread;
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&thread, NULL, sleep_forever, NULL), 0);
    exit(17);
  }
  CHECK_EXIT(pid, 17);
}

static void *exit_late(void *arg) {
  sleep_ms(50);
  exit((int)(long)arg);
}

TEST(the_process_outlives_its_first_thread) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, exit_late, (void *)18L), 0);
    pthread_exit(NULL);
  }
  CHECK_EXIT(pid, 18);
}

static void *crash(void *arg) {
  *(volatile int *)8 = 1;
  return arg;
}

TEST(a_crash_in_a_thread_ends_the_process) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, crash, NULL), 0);
    for (;;) pause();
  }
  CHECK_KILLED(pid, SIGSEGV);
}

static void *fork_in_thread(void *arg) {
  pid_t pid = fork();
  if (pid == 0) {
    _exit(gettid() == getpid() ? 19 : 1);
  }
  *(pid_t *)arg = pid;
  return NULL;
}

TEST(fork_copies_only_the_calling_thread) {
  pid_t pid;
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, fork_in_thread, &pid), 0);
  pthread_join(thread, NULL);
  CHECK_EXIT(pid, 19);
}

static void *block_in_read(void *arg) {
  char c;
  return (void *)(long)read(*(int *)arg, &c, 1);
}

TEST(a_blocked_thread_does_not_hinder_others) {
  int fds[2];
  OK(pipe(fds));
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, block_in_read, &fds[0]), 0);
  sleep_ms(20);
  CHECK_EQ(write(fds[1], "x", 1), 1);
  void *result;
  pthread_join(thread, &result);
  CHECK_EQ((long)result, 1);
}

static void *cancel_me(void *arg) {
  struct timespec t = {100, 0};
  nanosleep(&t, NULL);
  return arg;
}

TEST(cancellation) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, cancel_me, NULL), 0);
  sleep_ms(20);
  CHECK_EQ(pthread_cancel(thread), 0);
  void *result;
  CHECK_EQ(pthread_join(thread, &result), 0);
  CHECK(result == PTHREAD_CANCELED);
}

TEST(futex_wait_compares) {
  unsigned word = 1;
  CHECK_ERR(futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0), EAGAIN);
  CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0), EAGAIN);
  CHECK_ERR(futex((char *)&word + 1, FUTEX_WAIT, 2, NULL, NULL, 0), EINVAL);
  CHECK_ERR(futex((void *)8, FUTEX_WAIT, 2, NULL, NULL, 0), EFAULT);
  CHECK_ERR(futex(&word, 77, 2, NULL, NULL, 0), ENOSYS);
  struct timespec bad = {0, 1000000000};
  CHECK_ERR(futex(&word, FUTEX_WAIT, 1, &bad, NULL, 0), EINVAL);
  CHECK_EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

// A shared futex is what its page is; of a private one the address alone counts.
TEST(futex_without_memory) {
  uint32_t *nowhere = (uint32_t *)0x10000;
  CHECK_ERR(futex(nowhere, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
  CHECK_ERR(futex(nowhere, FUTEX_REQUEUE, 1, (void *)1L, nowhere, 0), EFAULT);
  CHECK_EQ(futex(nowhere, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
}

TEST(futex_timeouts) {
  unsigned word = 1;
  struct timespec t = {0, 30000000};
  long long start = now_ns();
  CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 1, &t, NULL, 0), ETIMEDOUT);
  CHECK(now_ns() - start >= 30000000);
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += 20000000;
  if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
  CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 1, &t, NULL, ~0u), ETIMEDOUT);
  clock_gettime(CLOCK_REALTIME, &t);
  CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &t, NULL, ~0u), ETIMEDOUT);
  CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0), EINVAL);
}

struct waiter {
  unsigned *word;
  unsigned bits;
  volatile long result;
  volatile pid_t tid;
};

static void *futex_waiter(void *arg) {
  struct waiter *waiter = arg;
  waiter->tid = gettid();
  waiter->result = futex(waiter->word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, waiter->bits);
  return NULL;
}

static void until_waiting(struct waiter *waiter) {
  while (waiter->tid == 0) sleep_ms(1);
  until_asleep(waiter->tid);
}

TEST(futex_bitsets_choose) {
  static unsigned word;
  struct waiter a = {&word, 1, 9, 0}, b = {&word, 2, 9, 0};
  pthread_t ta, tb;
  pthread_create(&ta, NULL, futex_waiter, &a);
  pthread_create(&tb, NULL, futex_waiter, &b);
  until_waiting(&a);
  until_waiting(&b);
  CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2), 1);
  pthread_join(tb, NULL);
  CHECK_EQ(b.result, 0);
  CHECK_EQ(a.result, 9);
  CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 1), 1);
  pthread_join(ta, NULL);
}

TEST(futex_requeue) {
  static unsigned from, to;
  struct waiter waiters[4];
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    waiters[i] = (struct waiter){&from, ~0u, 9, 0};
    pthread_create(&threads[i], NULL, futex_waiter, &waiters[i]);
  }
  for (int i = 0; i < 4; i++) until_waiting(&waiters[i]);
  CHECK_ERR(futex(&from, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10L, &to, 5), EAGAIN);
  CHECK_EQ(futex(&from, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10L, &to, 0), 4);
  CHECK_EQ(futex(&from, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 0);
  CHECK_EQ(futex(&to, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 3);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

TEST(futex_wake_op) {
  static unsigned a, b = 5;
  // b += 3; wake waiters of b if it was greater than 4.
  long op = FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 4);
  CHECK_EQ(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1L, &b, op), 0);
  CHECK_EQ(b, 8);
}

TEST(futex_between_processes) {
  unsigned *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pid = OK(fork());
  if (pid == 0) {
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0) {
      if (futex(word, FUTEX_WAIT, 0, NULL, NULL, 0) < 0 && errno != EAGAIN) _exit(1);
    }
    _exit(20);
  }
  sleep_ms(30);
  __atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
  futex(word, FUTEX_WAKE, 1, NULL, NULL, 0);
  CHECK_EXIT(pid, 20);
}

TEST(process_shared_mutex) {
  struct shared {
    pthread_mutex_t mutex;
    long value;
  } *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&s->mutex, &attr);
  pid_t pids[3];
  for (int i = 0; i < 3; i++) {
    pids[i] = OK(fork());
    if (pids[i] == 0) {
      for (int n = 0; n < 2000; n++) {
        pthread_mutex_lock(&s->mutex);
        s->value++;
        pthread_mutex_unlock(&s->mutex);
      }
      _exit(0);
    }
  }
  for (int i = 0; i < 3; i++) CHECK_EXIT(pids[i], 0);
  CHECK_EQ(s->value, 6000);
}

static pthread_mutex_t robust;

static void *die_holding(void *arg) {
  pthread_mutex_lock(&robust);
  return arg;
}

TEST(robust_mutex_after_thread_death) {
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&robust, &attr);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, die_holding, NULL), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(pthread_mutex_lock(&robust), EOWNERDEAD);
  CHECK_EQ(pthread_mutex_consistent(&robust), 0);
  CHECK_EQ(pthread_mutex_unlock(&robust), 0);
  CHECK_EQ(pthread_mutex_lock(&robust), 0);
}

TEST(robust_mutex_after_process_death) {
  pthread_mutex_t *shared =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(shared, &attr);
  pid_t pid = OK(fork());
  if (pid == 0) {
    pthread_mutex_lock(shared);
    kill(getpid(), SIGKILL);
  }
  CHECK_KILLED(pid, SIGKILL);
  CHECK_EQ(pthread_mutex_lock(shared), EOWNERDEAD);
}

static void *lock_pi(void *arg) {
  pthread_mutex_t *pi = arg;
  for (int i = 0; i < 300; i++) {
    pthread_mutex_lock(pi);
    counter++;
    if (i % 50 == 0) sched_yield();
    pthread_mutex_unlock(pi);
  }
  return NULL;
}

TEST(priority_inheritance_mutex) {
  pthread_mutex_t pi;
  pthread_mutexattr_t attr;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
  CHECK_EQ(pthread_mutex_init(&pi, &attr), 0);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&threads[i], NULL, lock_pi, &pi), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  CHECK_EQ(counter, 1200);
}

TEST(set_tid_address_answers_the_tid) {
  static int word;
  CHECK_EQ(syscall(SYS_set_tid_address, &word), gettid());
}

static void *name_thread(void *arg) {
  (void)arg;
  char name[16];
  OK(prctl(PR_SET_NAME, "a-rather-long-name"));
  OK(prctl(PR_GET_NAME, name));
  CHECK_STR(name, "a-rather-long-n");
  char path[64];
  sprintf(path, "/proc/self/task/%d/comm", gettid());
  CHECK_STR(get_file(path), "a-rather-long-n\n");
  return NULL;
}

TEST(thread_names) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, name_thread, NULL), 0);
  pthread_join(thread, NULL);
}

TEST(affinity) {
  cpu_set_t set;
  OK(sched_getaffinity(0, sizeof set, &set));
  CHECK(CPU_COUNT(&set) >= 1);
  OK(sched_setaffinity(0, sizeof set, &set));
  CPU_ZERO(&set);
  CHECK_ERR(sched_setaffinity(0, sizeof set, &set), EINVAL);
  CHECK(sched_getcpu() >= 0);
}

// A new thread starts with its creator's FP state, whatever an earlier thread left behind, and with
// no CPU time.
static void *change_rounding(void *arg) {
  unsigned down = 0x3f80, got = 0;
  __asm__ volatile("stmxcsr %0" : "=m"(got));
  __asm__ volatile("ldmxcsr %0" : : "m"(down));
  for (volatile long i = 0; i < 20000000; i++) continue;
  *(unsigned *)arg = got;
  return NULL;
}

static void *look_at_rounding(void *arg) {
  unsigned got = 0;
  struct timespec spent;
  __asm__ volatile("stmxcsr %0" : "=m"(got));
  OK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent));
  CHECK_EQ(spent.tv_sec, 0);
  CHECK(spent.tv_nsec < 5000000);
  *(unsigned *)arg = got;
  return NULL;
}

TEST(threads_start_afresh) {
  unsigned up = 0x5f80, seen = 0;
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, change_rounding, &seen), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(seen, 0x1f80);
  __asm__ volatile("ldmxcsr %0" : : "m"(up));
  CHECK_EQ(pthread_create(&thread, NULL, look_at_rounding, &seen), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(seen, 0x5f80);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Many at once: what each of them gets, and how long one waits for its turn.
 *
 *   many busy SECONDS AT   from time(2) AT on computes and calls: `passes longest` (us)
 *   many threads COUNT     a ring of threads, each woken by the one before: `create round` (us a thread)
 *   many serve SECONDS N   answers a request each 5 ms beside N processes that compute: `median p99 longest`
 *   many calls SECONDS N   the same beside N processes that only make calls
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static volatile unsigned sink;

static void compute(int rounds) {
  for (int i = 0; i < rounds; i++) sink = sink * 1664525 + 1013904223;
}

static int busy(double seconds, time_t at) {
  int ends[2];
  if (pipe(ends) < 0) return 1;
  struct timespec start = {at, 0};
  clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &start, NULL);
  double began = now_us(), longest = 0;
  long passes = 0;
  for (double before = began; before < began + seconds * 1e6; passes++) {
    char byte = 0;
    compute(100000);
    syscall(SYS_getppid);
    if (write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1) return 1;
    double after = now_us();
    if (after - before > longest) longest = after - before;
    before = after;
  }
  printf("%ld %.0f\n", passes, longest);
  return 0;
}

static uint32_t *turns;
static int count;

static void wait_for(uint32_t *word, uint32_t old) {
  while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == old)
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
}

static void wake(uint32_t *word) {
  __atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *ring_member(void *argument) {
  int own = (int)(intptr_t)argument;
  for (uint32_t round = 0; round < 2; round++) {
    wait_for(&turns[own], round);
    wake(&turns[own + 1]);
  }
  return NULL;
}

/* The second round counts: in the first each thread may not have run yet. */
static int threads(int wanted) {
  count = wanted;
  turns = calloc(count + 1, sizeof *turns);
  pthread_t *ids = calloc(count, sizeof *ids);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 32768);
  double began = now_us();
  for (int i = 0; i < count; i++) {
    int error = pthread_create(&ids[i], &attributes, ring_member, (void *)(intptr_t)i);
    if (error != 0) {
      fprintf(stderr, "thread %d: %s\n", i, strerror(error));
      return 1;
    }
  }
  double made = now_us();
  wake(&turns[0]);
  wait_for(&turns[count], 0);
  double once = now_us();
  wake(&turns[0]);
  wait_for(&turns[count], 1);
  double twice = now_us();
  for (int i = 0; i < count; i++) pthread_join(ids[i], NULL);
  printf("%.2f %.2f\n", (made - began) / count, (twice - once) / count);
  return 0;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void spin(void) {
  for (;;) compute(1000000);
}

static void call(void) {
  for (;;) syscall(SYS_getppid);
}

static int serve(double seconds, int others, void (*work)(void)) {
  int request[2], reply[2];
  if (pipe(request) < 0 || pipe(reply) < 0) return 1;
  pid_t server = fork();
  if (server == 0) {
    char byte;
    while (read(request[0], &byte, 1) == 1)
      if (write(reply[1], &byte, 1) != 1) break;
    _exit(0);
  }
  pid_t *pids = calloc(others + 1, sizeof *pids);
  for (int i = 0; i < others; i++) {
    pids[i] = fork();
    if (pids[i] == 0) work();
  }
  int room = (int)(seconds * 1000 / 5) + 1, made = 0;
  double *waits = calloc(room, sizeof *waits);
  double began = now_us();
  while (made < room && now_us() < began + seconds * 1e6) {
    char byte = 0;
    struct timespec pause = {0, 5000000};
    double due = now_us() + 5000;
    nanosleep(&pause, NULL);
    if (write(request[1], &byte, 1) != 1 || read(reply[0], &byte, 1) != 1) return 1;
    waits[made++] = now_us() - due;
  }
  for (int i = 0; i < others; i++) kill(pids[i], SIGKILL);
  kill(server, SIGKILL);
  while (wait(NULL) > 0 || errno == EINTR) {
  }
  qsort(waits, made, sizeof *waits, by_size);
  printf("%.0f %.0f %.0f\n", waits[made / 2], waits[made * 99 / 100], waits[made - 1]);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  int others = argc > 3 ? atoi(argv[3]) : 0;
  if (strcmp(argv[1], "busy") == 0) return busy(atof(argv[2]), others);
  if (strcmp(argv[1], "threads") == 0) return threads(atoi(argv[2]));
  if (strcmp(argv[1], "serve") == 0) return serve(atof(argv[2]), others, spin);
  if (strcmp(argv[1], "calls") == 0) return serve(atof(argv[2]), others, call);
  return 2;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The launcher's watchdog (launcher/watchdog.c) over a page of ours and children that stand for the
 * Sentry and the Gofer. Time passes by changing what the last look saw.
 */
#include "launcher/watchdog.c"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int checks, bad;
#define CHECK(condition)                                                    \
  do {                                                                      \
    checks++;                                                               \
    if (!(condition)) bad++, printf("line %d: %s\n", __LINE__, #condition); \
  } while (0)

static struct global_page *page;
static struct watchdog watchdog;

static pid_t start(bool computes) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "a ) R (b");
  for (;;) {
    if (!computes) pause();
  }
}

/* The next look is due, and `ms` have passed since the last. */
static enum silence look_after(long ms, pid_t sentry, pid_t gofer) {
  watchdog.looked_ms -= ms;
  return look(&watchdog, sentry, gofer);
}

static void begin(void) {
  int fd = memfd_create("page", 0);
  CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  begin_watch(&watchdog, fd);
  CHECK(look_due(&watchdog) > 0);
}

static void wait_for_state(pid_t pid, char wanted) {
  long long unused;
  while (read_state(pid, &unused) != wanted) usleep(1000);
}

static void test_nobody_is_watched(void) {
  struct watchdog none;
  begin_watch(&none, -1);
  CHECK(look_due(&none) == -1);
  CHECK(look(&none, 1, 1) == SILENCE_NONE);
}

static void test_not_begun(pid_t sentry, pid_t gofer) {
  for (int i = 0; i < 100; i++) CHECK(look_after(2000, sentry, gofer) == SILENCE_NONE);
}

static void test_idle_is_looked_at_rarely(pid_t sentry, pid_t gofer) {
  page->turns = 7;
  page->sleeping = 1;
  for (int i = 0; i < 10; i++) CHECK(look_after(40000, sentry, gofer) == SILENCE_NONE);
  CHECK(watchdog.interval_ms == 32000 && look_due(&watchdog) > 31000);
  page->turns++;
  CHECK(look_after(40000, sentry, gofer) == SILENCE_NONE);
  CHECK(watchdog.interval_ms == 1000);
}

static void test_waiting(pid_t sentry, pid_t gofer) {
  page->sleeping = 0;
  CHECK(look_after(2000, sentry, gofer) == SILENCE_NONE);
  /* A look that comes late counts as two seconds: this process did not run either. */
  for (int i = 0; i < 3; i++) CHECK(look_after(500000, sentry, gofer) == SILENCE_NONE);
  CHECK(look_after(2000, sentry, gofer) == SILENCE_BEGAN);
  CHECK(watchdog.state == 'S');
  CHECK(look_after(2000, sentry, gofer) == SILENCE_NONE);
  page->turns++;
  CHECK(look_after(2000, sentry, gofer) == SILENCE_ENDED);
  for (int i = 0; i < 29; i++) CHECK(look_after(2000, sentry, gofer) != SILENCE_FATAL);
  CHECK(look_after(2000, sentry, gofer) == SILENCE_FATAL);
  page->turns++;
  CHECK(look_after(2000, sentry, gofer) == SILENCE_ENDED);
}

static void test_the_gofer_works(pid_t sentry, pid_t gofer) {
  for (int i = 0; i < 100; i++) CHECK(look_after(2000, sentry, gofer) == SILENCE_NONE);
}

static void test_stopped(pid_t sentry, pid_t gofer) {
  kill(sentry, SIGSTOP);
  wait_for_state(sentry, 'T');
  for (int i = 0; i < 100; i++) CHECK(look_after(2000, sentry, gofer) == SILENCE_NONE);
  kill(sentry, SIGCONT);
  wait_for_state(sentry, 'S');
}

/* On a busy machine it gets little of the processor: that alone counts. */
static void test_computing(pid_t sentry, pid_t gofer) {
  page->turns++;
  CHECK(look_after(2000, sentry, gofer) == SILENCE_NONE);
  for (int i = 0; i < 100; i++) {
    watchdog.cpu_ms -= 20;
    CHECK(look_after(2000, sentry, gofer) == SILENCE_NONE);
  }
  CHECK(watchdog.silent_ms >= 2000 && watchdog.silent_ms < 9000);
  watchdog.cpu_ms -= 9000;
  CHECK(look_after(2000, sentry, gofer) == SILENCE_BEGAN);
  CHECK(watchdog.state == 'R');
  watchdog.cpu_ms -= 60000;
  CHECK(look_after(2000, sentry, gofer) == SILENCE_FATAL);
}

int main(void) {
  pid_t waits = start(false), idle = start(false), computes = start(true);
  wait_for_state(waits, 'S');
  wait_for_state(idle, 'S');
  wait_for_state(computes, 'R');
  begin();
  test_nobody_is_watched();
  test_not_begun(waits, idle);
  test_idle_is_looked_at_rarely(waits, idle);
  test_waiting(waits, idle);
  test_the_gofer_works(waits, computes);
  test_stopped(waits, idle);
  test_computing(computes, idle);
  kill(computes, SIGKILL);
  kill(waits, SIGKILL);
  kill(idle, SIGKILL);
  printf("%d checks, %d bad\n", checks, bad);
  return bad > 0;
}

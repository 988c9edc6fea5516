/* SPDX-License-Identifier: Apache-2.0 */
// The frame of the worst cases (worst-*.c): what one call can be given to do at most, or has to look through
// at most, beside a neighbour that beats. worst-cases.ts says which calls of the table each case is for.
#ifndef TEST_HOSTILE_WORST_H_
#define TEST_HOSTILE_WORST_H_

#include <sys/resource.h>

#include "hostile.h"

// How long the neighbour may wait, whatever else the machine does.
#define LONGEST_GAP_MS 20000
// Where BEAT_MS says how long it may on an idle machine (200), a moment in which the machine was busy is told
// from what is wrong by trying again.
#define ATTEMPTS 3

__attribute__((unused)) static void beat_beside(volatile long long *longest_ns) {
  for (long long last = now_ns();;) {
    sleep_ms(2);
    long long now = now_ns();
    if (now - last > *longest_ns) *longest_ns = now - last;
    last = now;
  }
}

// Runs a case beside a neighbour. How long the neighbour waited, in ms.
__attribute__((unused)) static long run_beside(void (*body)(void)) {
  volatile long long *longest_ns =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(longest_ns != MAP_FAILED);
  pid_t neighbour = OK(fork());
  if (neighbour == 0) beat_beside(longest_ns);
  sleep_ms(10);
  pid_t pid = OK(fork());
  if (pid == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) _exit(WEXITSTATUS(status));
  CHECK_EQ(status, 0);
  sleep_ms(20);  // What is left to be cleared away is the case's as well.
  kill(neighbour, SIGKILL);
  CHECK_KILLED(neighbour, SIGKILL);
  return *longest_ns / 1000000;
}

__attribute__((unused)) static void check_beside(void (*body)(void)) {
  const char *text = getenv("BEAT_MS");
  long longest_ms = text == NULL ? LONGEST_GAP_MS : atol(text);
  for (int attempt = 1;; attempt++) {
    long gap_ms = run_beside(body);
    dprintf(1, "# the neighbour waited %ld ms\n", gap_ms);
    CHECK(gap_ms <= LONGEST_GAP_MS);
    if (gap_ms <= longest_ms) return;
    CHECK(attempt < ATTEMPTS);
    CHECK_EQ(system("rm -rf ./*"), 0);
  }
}

#define WORST(NAME)                          \
  static void worst_##NAME(void);            \
  TEST(NAME) { check_beside(worst_##NAME); } \
  static void worst_##NAME(void)

// As many descriptors as one may have: as root a million, else what the caller has.
__attribute__((unused)) static int most_files(int wanted) {
  struct rlimit limit = {wanted + 64, wanted + 64};
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return wanted;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return (int)limit.rlim_cur - 64;
}

__attribute__((unused)) static long read_through(const char *name) {
  static char text[65536];
  int file = OK(open(name, O_RDONLY));
  long bytes = 0, count;
  while ((count = OK(read(file, text, sizeof text))) > 0) bytes += count;
  close(file);
  return bytes;
}

#endif  // TEST_HOSTILE_WORST_H_

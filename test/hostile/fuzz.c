// SPDX-License-Identifier: Apache-2.0
// Short rounds of random calls by processes of several users at once, and a first look at each call.
#include "fuzz.h"

#define FUZZERS 4

static void fuzz_rounds(int first, int rounds, int ms) {
  for (int round = 0; round < rounds; round++) {
    pid_t pids[FUZZERS];
    for (int i = 0; i < FUZZERS; i++) {
      pids[i] = OK(fork());
      if (pids[i] != 0) continue;
      setsid();
      fuzz(first + round * FUZZERS + i);
      _exit(0);
    }
    sleep_ms(ms);
    end_fuzzers(pids, first + round * FUZZERS, FUZZERS);
    check_well();
  }
}

TEST(random_calls_1) { fuzz_rounds(0, 4, 500); }
TEST(random_calls_2) { fuzz_rounds(100, 4, 500); }
TEST(random_calls_3) { fuzz_rounds(200, 4, 500); }
TEST(random_calls_4) { fuzz_rounds(300, 4, 500); }

// One call with all arguments alike, for every number: what a first look at a kernel tries.
static void sweep(int which) {
  static const uint64_t all[] = {0,
                                 ~0UL,
                                 1,
                                 0x7fffffffffffffff,
                                 0x8000000000000000,
                                 0x7effffffffff,
                                 0x10000000,
                                 0xffffffff80000000};
  OK(setgroups(0, NULL));
  OK(setresuid(6000, 6000, 6000));
  for (long nr = 0; nr < 600; nr++) {
    if (is_spared(nr) || nr == SYS_clone || nr == SYS_clone3 || nr == SYS_fork) continue;
    pid_t pid = fork();
    if (pid == 0) {
      signal(SIGALRM, SIG_DFL);
      alarm(1);
      struct itimerval soon = {{0, 0}, {0, 5000}};
      setitimer(ITIMER_REAL, &soon, NULL);
      close(1), close(2);
      uint64_t a = all[which];
      syscall(nr, a, a, a, a, a, a);
      _exit(0);
    }
    if (pid > 0) waitpid(pid, NULL, 0);
  }
}

TEST(every_call_with_equal_arguments) {
  for (int i = 0; i < 8; i++) run_attack(sweep, i, 4000);
  check_well();
}

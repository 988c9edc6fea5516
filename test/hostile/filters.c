// SPDX-License-Identifier: Apache-2.0
// Guests that turn seccomp(2) against the Sentry: random programs, the largest stacks in many
// processes, TSYNC while threads come and go.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "hostile.h"

static struct sock_filter program[BPF_MAXINSNS];

static long install(int count, unsigned flags) {
  struct sock_fprog prog = {(unsigned short)count, program};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static const unsigned short codes[] = {
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d,
    0x20, 0x24, 0x25, 0x2c, 0x2d, 0x34, 0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54,
    0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac};

// Mostly such as the verifier takes; what they answer is anybody's guess.
static void random_program(int count) {
  for (int i = 0; i < count; i++) {
    struct sock_filter *f = &program[i];
    f->code = random_below(50) == 0 ? (unsigned short)random64()
                                    : codes[random_below(sizeof codes / sizeof codes[0])];
    f->jt = (unsigned char)random_below(3);
    f->jf = (unsigned char)random_below(3);
    f->k = (f->code & 7) == 2 || (f->code & 7) == 3 || f->code == 0x60 || f->code == 0x61
               ? (unsigned)random_below(16)
           : f->code == 0x20      ? (unsigned)random_below(16) * 4
           : f->code == 0x05      ? (unsigned)random_below(4)
           : random_below(3) == 0 ? (unsigned)random64()
                                  : (unsigned)random_below(31) + 1;
  }
  // Words that are stored, and an answer, at least.
  for (int i = 0; i < 16 && i < count - 1; i++)
    program[i] = (struct sock_filter){0x02, 0, 0, (unsigned)i};
  program[count - 1] = (struct sock_filter){0x06, 0, 0, SECCOMP_RET_ALLOW};
}

static void random_filters(int seed) {
  seed_random((uint64_t)seed);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int round = 0; round < 300; round++) {
    int count = 17 + (int)random_below(60);
    random_program(count);
    install(count, (unsigned)random_below(32));
    syscall((long)random_below(480), -1, -1, -1, -1, -1, -1);
  }
}

TEST(random_programs) {
  for (int seed = 0; seed < 40; seed++) run_attack(random_filters, seed, 1000);
  check_well();
}

static void largest_stack(int unused) {
  (void)unused;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int i = 0; i < BPF_MAXINSNS - 1; i++) program[i] = (struct sock_filter){0x20, 0, 0, 40};
  program[BPF_MAXINSNS - 1] = (struct sock_filter){0x06, 0, 0, SECCOMP_RET_ALLOW};
  while (install(BPF_MAXINSNS, 0) == 0) {
  }
  for (int i = 0; i < 500; i++) getppid();
}

TEST(largest_stacks) {
  pid_t pids[24];
  for (int i = 0; i < 24; i++) {
    pids[i] = OK(fork());
    if (pids[i] == 0) {
      largest_stack(0);
      _exit(0);
    }
  }
  check_well();
  for (int i = 0; i < 24; i++) CHECK_EXIT(pids[i], 0);
}

// Each level of processes puts one filter more on what it inherited.
static void deepen(int depth) {
  for (; depth > 0; depth--) {
    program[0] = (struct sock_filter){0x06, 0, 0, SECCOMP_RET_ALLOW};
    for (int i = 0; i < 60; i++) install(1, 0);
    pid_t pid = fork();
    if (pid != 0) {
      waitpid(pid, NULL, 0);
      _exit(0);
    }
  }
  getppid();
}

TEST(deep_inheritance) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  run_attack(deepen, 50, 5000);
  check_well();
}

static void *syncs(void *arg) {
  unsigned seed = (unsigned)(uintptr_t)arg;
  for (int i = 0; i < 40; i++) {
    struct sock_filter allow = {0x06, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog prog = {1, &allow};
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (seed + (unsigned)i) % 3 == 0 ? 0 : 1, &prog);
  }
  return NULL;
}

static void sync_storm(int unused) {
  (void)unused;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int round = 0; round < 10; round++) {
    pthread_t threads[8];
    int made = 0;
    for (uintptr_t i = 0; i < 8; i++)
      if (pthread_create(&threads[made], NULL, syncs, (void *)i) == 0) made++;
    for (int i = 0; i < made; i++) pthread_join(threads[i], NULL);
  }
}

TEST(tsync_storm) {
  run_attack(sync_storm, 0, 3000);
  check_well();
}

// Logging filters meet a flood of calls.
static void chatter(int unused) {
  (void)unused;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  program[0] = (struct sock_filter){0x06, 0, 0, SECCOMP_RET_LOG};
  install(1, SECCOMP_FILTER_FLAG_LOG);
  for (;;) getppid();
}

TEST(log_flood) {
  run_attack(chatter, 0, 500);
  check_well();
}

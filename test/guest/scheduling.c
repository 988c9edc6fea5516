// SPDX-License-Identifier: Apache-2.0
// sched_setscheduler(2), sched_setattr(2), ioprio_set(2): parameters that are kept, shown and
// judged. Nothing here asks whether they have an effect.
#include "check.h"

#include <sched.h>
#include <sys/resource.h>

struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t util_min, util_max;
};

enum { DEADLINE = 6, RESET = 0x40000000 };

static int set(struct attributes a) {
  a.size = sizeof a;
  return (int)syscall(SYS_sched_setattr, 0, &a, 0);
}

static struct attributes get(void) {
  struct attributes a;
  memset(&a, 0xee, sizeof a);
  CHECK(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0);
  CHECK(a.size == sizeof a);
  return a;
}

static int fails(int result, int error) { return result == -1 && errno == error; }

static long io_set(int which, int who, int value) {
  return syscall(SYS_ioprio_set, which, who, value);
}
static long io_get(int which, int who) { return syscall(SYS_ioprio_get, which, who); }

/* Field of /proc/self/stat, from 1. */
static long field(int number) {
  char text[1024];
  int fd = open("/proc/self/stat", O_RDONLY);
  ssize_t length = read(fd, text, sizeof text - 1);
  CHECK(length > 0);
  close(fd);
  text[length] = 0;
  char *at = strrchr(text, ')') + 1;
  for (int i = 3; i < number; i++) at = strchr(at + 1, ' ');
  return strtol(at, NULL, 10);
}

/* Not every host lets even root have them. */
static void need_privilege(void) {
  struct sched_param p = {.sched_priority = 1};
  if (geteuid() != 0 || sched_setscheduler(0, SCHED_FIFO, &p) != 0) SKIP("may not be real-time");
  p.sched_priority = 0;
  CHECK(sched_setscheduler(0, SCHED_OTHER, &p) == 0);
}

TEST(real_time_is_kept_and_shown) {
  need_privilege();
  struct sched_param p = {.sched_priority = 10};
  CHECK(sched_setscheduler(0, SCHED_FIFO, &p) == 0);
  CHECK(sched_getscheduler(0) == SCHED_FIFO);
  CHECK(sched_getparam(0, &p) == 0 && p.sched_priority == 10);
  CHECK(field(18) == -11 && field(40) == 10 && field(41) == SCHED_FIFO);
  struct attributes a = get();
  CHECK(a.policy == SCHED_FIFO && a.priority == 10 && a.nice == 0 && a.runtime == 0);
  struct timespec t;
  CHECK(sched_rr_get_interval(0, &t) == 0 && t.tv_sec == 0 && t.tv_nsec == 0);
  p.sched_priority = 20;
  CHECK(sched_setscheduler(0, SCHED_RR | RESET, &p) == 0);
  CHECK(sched_getscheduler(0) == (SCHED_RR | RESET));
  CHECK(sched_rr_get_interval(0, &t) == 0 && t.tv_nsec == 100000000);
  p.sched_priority = 21;
  CHECK(sched_setparam(0, &p) == 0 && get().priority == 21 && get().flags == 1);
}

TEST(children_inherit_unless_reset) {
  need_privilege();
  struct sched_param p = {.sched_priority = 10};
  int status;
  CHECK(setpriority(PRIO_PROCESS, 0, -5) == 0);
  CHECK(sched_setscheduler(0, SCHED_RR, &p) == 0);
  pid_t child = fork();
  if (child == 0) _exit(sched_getscheduler(0) == SCHED_RR && get().priority == 10 ? 0 : 1);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(sched_setscheduler(0, SCHED_RR | RESET, &p) == 0);
  child = fork();
  if (child == 0) _exit(sched_getscheduler(0) == SCHED_OTHER && get().nice == 0 ? 0 : 1);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

TEST(deadline_tasks_do_not_fork) {
  need_privilege();
  struct attributes a = {.policy = DEADLINE, .runtime = 10000000, .deadline = 30000000};
  if (set(a) != 0) SKIP("no deadline scheduling here");
  struct attributes got = get();
  CHECK(got.policy == DEADLINE && got.runtime == 10000000 && got.period == 30000000);
  CHECK(field(18) == -101);
  CHECK(fork() == -1 && errno == EAGAIN);
  CHECK(set((struct attributes){.policy = SCHED_OTHER}) == 0);
  a.deadline = 5000000;
  CHECK(fails(set(a), EINVAL));
  a.deadline = 30000000, a.runtime = 1000;
  CHECK(fails(set(a), EINVAL));
  a.runtime = 10000000, a.period = 5000000000;
  CHECK(fails(set(a), EINVAL));
}

TEST(attributes_of_fair_tasks) {
  CHECK(set((struct attributes){.policy = SCHED_BATCH, .nice = 7}) == 0);
  struct attributes a = get();
  CHECK(a.policy == SCHED_BATCH && a.nice == 7 && a.priority == 0 && a.deadline == 0);
  CHECK(field(18) == 27 && field(19) == 7 && field(41) == SCHED_BATCH);
  CHECK(set((struct attributes){.policy = SCHED_FIFO, .flags = 8 | 16, .nice = 9}) == 0);
  CHECK(get().policy == SCHED_BATCH && get().nice == 7);
  CHECK(set((struct attributes){.flags = 8, .nice = 100}) == 0);
  CHECK(get().policy == SCHED_BATCH && get().nice == 19);
  CHECK(set((struct attributes){.policy = SCHED_IDLE}) == 0 && get().policy == SCHED_IDLE);
}

TEST(arguments_that_are_wrong) {
  CHECK(fails(set((struct attributes){.policy = 4}), EINVAL));
  CHECK(fails(set((struct attributes){.policy = 0x7fff}), EINVAL));
  CHECK(fails(set((struct attributes){.policy = 0xffffffff}), EINVAL));
  CHECK(fails(set((struct attributes){.priority = 1}), EINVAL));
  CHECK(fails(set((struct attributes){.policy = SCHED_FIFO}), EINVAL));
  CHECK(fails(set((struct attributes){.policy = SCHED_FIFO, .priority = 100}), EINVAL));
  CHECK(fails(set((struct attributes){.flags = 0x80}), EINVAL));
  CHECK(fails(set((struct attributes){.flags = 1ULL << 40}), EINVAL));
  struct attributes a = {.size = 20};
  CHECK(fails((int)syscall(SYS_sched_setattr, 0, &a, 0), E2BIG) && a.size >= 56);
  a.size = sizeof a;
  CHECK(fails((int)syscall(SYS_sched_setattr, 0, &a, 1), EINVAL));
  CHECK(fails((int)syscall(SYS_sched_setattr, -1, &a, 0), EINVAL));
  CHECK(fails((int)syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL));
  CHECK(fails((int)syscall(SYS_sched_setattr, 0, 8, 0), EFAULT));
  CHECK(fails((int)syscall(SYS_sched_setattr, 999999, &a, 0), ESRCH));
  char large[100] = {0};
  memcpy(large, &(uint32_t){sizeof large}, 4);
  CHECK(syscall(SYS_sched_setattr, 0, large, 0) == 0);
  large[90] = 1;
  CHECK(fails((int)syscall(SYS_sched_setattr, 0, large, 0), E2BIG));
  CHECK(fails((int)syscall(SYS_sched_getattr, 0, &a, 40, 0), EINVAL));
  CHECK(fails((int)syscall(SYS_sched_getattr, 0, &a, 5000, 0), EINVAL));
  CHECK(syscall(SYS_sched_getattr, 0, large, sizeof large, 0) == 0 && large[90] == 0);
  CHECK(syscall(SYS_sched_getattr, 0, &a, 48, 0) == 0 && a.size == 48);
  struct sched_param p = {0};
  CHECK(fails(sched_setscheduler(0, -1, &p), EINVAL));
  CHECK(fails(sched_setscheduler(0, 0, NULL), EINVAL));
  CHECK(fails(sched_rr_get_interval(-1, &(struct timespec){0}), EINVAL));
}

TEST(who_may_not) {
  if (geteuid() != 0) SKIP("wants root");
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_RTPRIO, &none);
    setrlimit(RLIMIT_NICE, &none);
    CHECK(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
    struct sched_param p = {.sched_priority = 1};
    CHECK(fails(sched_setscheduler(0, SCHED_FIFO, &p), EPERM));
    CHECK(fails(
        set((struct attributes){.policy = DEADLINE, .runtime = 10000000, .deadline = 30000000}),
        EPERM));
    CHECK(fails(set((struct attributes){.nice = -1}), EPERM));
    CHECK(fails(io_set(1, 0, 1 << 13), EPERM));
    CHECK(fails(io_set(1, parent, 2 << 13), EPERM));
    p.sched_priority = 0;
    CHECK(fails(sched_setscheduler(parent, SCHED_OTHER, &p), EPERM));
    CHECK(sched_setscheduler(0, SCHED_OTHER | RESET, &p) == 0);
    CHECK(fails(sched_setscheduler(0, SCHED_OTHER, &p), EPERM));
    CHECK(sched_setscheduler(0, SCHED_IDLE | RESET, &p) == 0);
    CHECK(fails(sched_setscheduler(0, SCHED_OTHER | RESET, &p), EPERM));
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

TEST(a_limit_allows_real_time) {
  if (geteuid() != 0) SKIP("wants root");
  need_privilege();
  struct rlimit five = {5, 5};
  if (setrlimit(RLIMIT_RTPRIO, &five) != 0) SKIP("may not raise limits");
  pid_t child = fork();
  if (child == 0) {
    CHECK(setresuid(1000, 1000, 1000) == 0);
    struct sched_param p = {.sched_priority = 6};
    CHECK(fails(sched_setscheduler(0, SCHED_RR, &p), EPERM));
    p.sched_priority = 5;
    CHECK(sched_setscheduler(0, SCHED_RR, &p) == 0);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

TEST(io_priorities) {
  CHECK(io_get(1, 0) == 0);
  CHECK(io_set(1, 0, 2 << 13 | 3) == 0 && io_get(1, 0) == (2 << 13 | 3));
  pid_t child = fork();
  if (child == 0) _exit(io_get(1, 0) == (2 << 13 | 3) ? 0 : 1);
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(io_set(1, 0, 3 << 13) == 0 && io_get(1, 0) == 3 << 13);
  CHECK(fails(io_set(1, 0, 4 << 13), EINVAL));
  CHECK(fails(io_set(1, 0, 1), EINVAL));
  CHECK(fails(io_set(9, 0, 2 << 13), EINVAL));
  CHECK(fails(io_set(1, 999999, 2 << 13), ESRCH));
  CHECK(fails(io_get(1, 999999), ESRCH));
  CHECK(fails(io_get(0, 0), EINVAL));
  CHECK(io_set(1, 0, 0) == 0 && setpgid(0, 0) == 0 && io_get(2, 0) == (2 << 13 | 4));
  CHECK(setpriority(PRIO_PROCESS, 0, 10) == 0 && io_get(2, 0) == (2 << 13 | 6));
  CHECK(set((struct attributes){.policy = SCHED_IDLE}) == 0 && io_get(2, 0) == (3 << 13 | 6));
}

// SPDX-License-Identifier: Apache-2.0
// Calls on processes, waits and the machine that a C library makes under another name or wraps:
// each by its own number.
#include "check.h"

#include <asm/prctl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/select.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* From here on the test has no capability. */
static void become_nobody(void) {
  if (geteuid() == 0) OK(setresuid(4321, 4321, 4321));
}

TEST(getresgid_setregid_and_setfsgid) {
  if (geteuid() != 0) SKIP("not root");
  gid_t r, e, s;
  OK(setresgid(10, 20, 30));
  OK(syscall(SYS_getresgid, &r, &e, &s));
  CHECK_EQ(r, 10);
  CHECK_EQ(e, 20);
  CHECK_EQ(s, 30);
  CHECK_ERR(syscall(SYS_getresgid, 8, &e, &s), EFAULT);
  CHECK_EQ(syscall(SYS_setfsgid, 40), 20); /* the one before, which followed the effective id */
  CHECK_EQ(syscall(SYS_setfsgid, -1), 40); /* no such id: only asks */
  put_file("f", "");
  struct stat st;
  OK(stat("f", &st));
  CHECK_EQ(st.st_gid, 40);
  OK(syscall(SYS_setregid, 11, -1));
  OK(syscall(SYS_getresgid, &r, &e, &s));
  CHECK_EQ(r, 11);
  CHECK_EQ(e, 20);
  CHECK_EQ(s, 20); /* the real id was set */
  OK(syscall(SYS_setregid, -1, 12));
  CHECK_EQ(getegid(), 12);
  CHECK_EQ(syscall(SYS_setfsgid, -1), 12);
  OK(setresgid(1, 2, 3));
  OK(setresuid(4321, 4321, 4321));
  CHECK_ERR(syscall(SYS_setregid, 5, -1), EPERM);
  OK(syscall(SYS_setregid, 2, 1)); /* real and effective may be exchanged */
  CHECK_EQ(syscall(SYS_setfsgid, 77), 1);
  CHECK_EQ(syscall(SYS_setfsgid, 77), 1); /* refused without a word */
}

TEST(personality_is_kept) {
  CHECK_EQ(syscall(SYS_personality, 0xffffffff), PER_LINUX);
  CHECK_EQ(syscall(SYS_personality, ADDR_NO_RANDOMIZE), PER_LINUX);
  CHECK_EQ(syscall(SYS_personality, 0xffffffff), ADDR_NO_RANDOMIZE);
  pid_t child = fork();
  if (child == 0) _exit(syscall(SYS_personality, 0xffffffff) == ADDR_NO_RANDOMIZE ? 0 : 1);
  CHECK_EXIT(child, 0);
  char text[32];
  int fd = OK(open("/proc/self/personality", O_RDONLY));
  CHECK_EQ(read(fd, text, sizeof text), 9);
  CHECK(memcmp(text, "00040000\n", 9) == 0);
}

TEST(priorities_of_policies) {
  CHECK_EQ(syscall(SYS_sched_get_priority_min, SCHED_FIFO), 1);
  CHECK_EQ(syscall(SYS_sched_get_priority_min, SCHED_RR), 1);
  CHECK_EQ(syscall(SYS_sched_get_priority_min, SCHED_OTHER), 0);
  CHECK_EQ(syscall(SYS_sched_get_priority_max, SCHED_FIFO), 99);
  CHECK_ERR(syscall(SYS_sched_get_priority_min, 99), EINVAL);
}

TEST(prlimit64_of_another) {
  struct rlimit limit = {100, 200}, old;
  pid_t child = fork();
  if (child == 0) _exit(pause());
  OK(syscall(SYS_prlimit64, child, RLIMIT_NOFILE, &limit, &old));
  CHECK(old.rlim_cur <= old.rlim_max);
  OK(syscall(SYS_prlimit64, child, RLIMIT_NOFILE, NULL, &old));
  CHECK_EQ(old.rlim_cur, 100);
  CHECK_EQ(old.rlim_max, 200);
  limit.rlim_cur = 201;
  CHECK_ERR(syscall(SYS_prlimit64, child, RLIMIT_NOFILE, &limit, NULL), EINVAL);
  CHECK_ERR(syscall(SYS_prlimit64, child, 16, NULL, &old), EINVAL);
  CHECK_ERR(syscall(SYS_prlimit64, child, RLIMIT_NOFILE, 8, NULL), EFAULT);
  CHECK_ERR(syscall(SYS_prlimit64, child, RLIMIT_NOFILE, NULL, 8), EFAULT);
  if (geteuid() == 0) {
    become_nobody();
    CHECK_ERR(syscall(SYS_prlimit64, child, RLIMIT_NOFILE, NULL, &old), EPERM);
    limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
    CHECK_ERR(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL), EPERM);
  }
  kill(-getpgrp(), 0);
}

TEST(getcpu_says_where) {
  unsigned cpu = 99999, node = 99999;
  OK(syscall(SYS_getcpu, &cpu, &node, NULL));
  CHECK((long)cpu < sysconf(_SC_NPROCESSORS_CONF));
  CHECK_EQ(node, 0);
  OK(syscall(SYS_getcpu, NULL, NULL, NULL));
  CHECK_ERR(syscall(SYS_getcpu, 8, NULL, NULL), EFAULT);
}

TEST(arch_prctl_bases) {
  unsigned long fs = 0, gs = 1, word = 4711;
  OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
  CHECK(fs == (unsigned long)pthread_self());
  OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
  OK(syscall(SYS_arch_prctl, ARCH_SET_GS, &word));
  unsigned long got;
  __asm__("mov %%gs:0, %0" : "=r"(got));
  CHECK_EQ(got, 4711);
  OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
  CHECK(gs == (unsigned long)&word);
  CHECK_ERR(syscall(SYS_arch_prctl, ARCH_SET_GS, 1UL << 63), EPERM);
  CHECK_ERR(syscall(SYS_arch_prctl, 0x999, 0), EINVAL);
  CHECK_ERR(syscall(SYS_arch_prctl, ARCH_GET_FS, 8), EFAULT);
}

/* The kernel keeps one list a thread; the next thread's death looks at its own. */
TEST(set_robust_list_sizes) {
  struct {
    void *next;
    long offset;
    void *pending;
  } head = {&head, 0, NULL};
  OK(syscall(SYS_set_robust_list, &head, sizeof head));
  void *got = NULL;
  size_t size = 0;
  OK(syscall(SYS_get_robust_list, 0, &got, &size));
  CHECK(got == &head && size == sizeof head);
  CHECK_ERR(syscall(SYS_set_robust_list, &head, sizeof head - 1), EINVAL);
  CHECK_ERR(syscall(SYS_get_robust_list, 0x3fffffff, &got, &size), ESRCH);
}

static void interrupt(int signal) { (void)signal; }

/* SIGALRM soon, and only while `mask` of the call lets it through. */
static void alarm_soon(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGALRM, interrupt);
  kill(getpid(), SIGALRM);
}

TEST(pselect6_waits_with_another_mask) {
  int ends[2];
  OK(pipe(ends));
  struct timespec none = {0, 0};
  unsigned long empty = 0;
  struct {
    void *set;
    size_t size;
  } mask = {&empty, 8};
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  CHECK_EQ(syscall(SYS_pselect6, ends[0] + 1, &set, NULL, NULL, &none, &mask), 0);
  CHECK(!FD_ISSET(ends[0], &set));
  alarm_soon();
  FD_SET(ends[0], &set);
  struct timespec left = {100, 0};
  CHECK_ERR(syscall(SYS_pselect6, ends[0] + 1, &set, NULL, NULL, &left, &mask), EINTR);
  CHECK(FD_ISSET(ends[0], &set));
  CHECK(left.tv_sec <= 100 && left.tv_sec > 0); /* what is left is told */
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(syscall(SYS_pselect6, ends[0] + 1, &set, NULL, NULL, NULL, NULL), 1);
  mask.size = 4;
  CHECK_ERR(syscall(SYS_pselect6, ends[0] + 1, &set, NULL, NULL, &none, &mask), EINVAL);
  CHECK_ERR(syscall(SYS_pselect6, -1, &set, NULL, NULL, &none, NULL), EINVAL);
  left.tv_nsec = 1000000000;
  CHECK_ERR(syscall(SYS_pselect6, 1, NULL, NULL, NULL, &left, NULL), EINVAL);
}

TEST(epoll_pwait2_waits_with_another_mask) {
  int ends[2], fd = OK(epoll_create1(0));
  OK(pipe(ends));
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
  OK(epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event));
  struct timespec none = {0, 0}, short_time = {0, 2000000}, bad = {0, 1000000000};
  unsigned long empty = 0;
  CHECK_EQ(syscall(SYS_epoll_pwait2, fd, &event, 1, &none, NULL, 8UL), 0);
  CHECK_EQ(syscall(SYS_epoll_pwait2, fd, &event, 1, &short_time, NULL, 8UL), 0);
  alarm_soon();
  CHECK_ERR(syscall(SYS_epoll_pwait2, fd, &event, 1, NULL, &empty, 8UL), EINTR);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(syscall(SYS_epoll_pwait2, fd, &event, 1, NULL, NULL, 8UL), 1);
  CHECK_EQ(event.data.u64, 7);
  CHECK_ERR(syscall(SYS_epoll_pwait2, fd, &event, 1, &bad, NULL, 8UL), EINVAL);
  CHECK_ERR(syscall(SYS_epoll_pwait2, fd, &event, 0, &none, NULL, 8UL), EINVAL);
  CHECK_ERR(syscall(SYS_epoll_pwait2, fd, &event, 1, &none, &empty, 4UL), EINVAL);
}

TEST(eventfd2_and_inotify_init) {
  int fd = OK(syscall(SYS_eventfd2, 3, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE));
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  uint64_t value = 0;
  CHECK_EQ(read(fd, &value, sizeof value), 8);
  CHECK_EQ(value, 1);
  CHECK_ERR(syscall(SYS_eventfd2, 0, 4), EINVAL);
  int watches = OK(syscall(SYS_inotify_init));
  CHECK_EQ(fcntl(watches, F_GETFD), 0);
  CHECK_EQ(fcntl(watches, F_GETFL), O_RDONLY);
  CHECK_EQ(inotify_add_watch(watches, ".", IN_CREATE), 1);
}

TEST(what_only_an_administrator_may) {
  become_nobody();
  CHECK_ERR(syscall(SYS_vhangup), EPERM);
  CHECK_ERR(syscall(SYS_pivot_root, ".", "."), EPERM);
  CHECK_ERR(syscall(SYS_syslog, 5, NULL, 0), EPERM); /* SYSLOG_ACTION_CLEAR */
}

TEST(syslog_and_pivot_root_judge_their_arguments) {
  if (geteuid() != 0) SKIP("not root");
  CHECK_ERR(syscall(SYS_syslog, 99, NULL, 0), EINVAL);
  CHECK_ERR(syscall(SYS_syslog, 2, NULL, 10), EINVAL);
  CHECK_ERR(syscall(SYS_syslog, 3, "", -1), EINVAL);
  CHECK_ERR(syscall(SYS_syslog, 8, NULL, 9), EINVAL); /* SYSLOG_ACTION_CONSOLE_LEVEL */
  CHECK_EQ(syscall(SYS_syslog, 2, "", 0), 0);
  CHECK(syscall(SYS_syslog, 10, NULL, 0) >= 0); /* SYSLOG_ACTION_SIZE_BUFFER */
  put_file("f", "");
  CHECK_ERR(syscall(SYS_pivot_root, "no", "."), ENOENT);
  CHECK_ERR(syscall(SYS_pivot_root, "f", "."), ENOTDIR);
  CHECK_ERR(syscall(SYS_pivot_root, 8, "."), EFAULT);
  OK(mkdir("d", 0755));
  CHECK_ERR(syscall(SYS_pivot_root, ".", "d"), EBUSY); /* on the same mount as the root */
}

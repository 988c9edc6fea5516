// SPDX-License-Identifier: Apache-2.0
// Calls on signals as the kernel has them, with an eight-byte set and no help of a C library.
#include "check.h"

#include <sys/signalfd.h>
#include <ucontext.h>

#define SA_RESTORER 0x04000000

struct kernel_action {
  void (*handler)(int, siginfo_t *, void *);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

/* What follows a handler: rt_sigreturn(2), by its number. */
void back(void);
__asm__("back: mov $15, %eax; syscall; ud2");
_Static_assert(SYS_rt_sigreturn == 15, "the number in back()");

static volatile int caught, caught_value;
static volatile unsigned long mask_inside;

static unsigned long bit(int signal) { return 1UL << (signal - 1); }

static unsigned long blocked(void) {
  unsigned long set = 0;
  OK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &set, 8));
  return set;
}

static void note(int signal, siginfo_t *info, void *context) {
  (void)context;
  caught = signal;
  caught_value = info->si_value.sival_int;
  mask_inside = blocked();
}

static void handle(int signal, unsigned long mask) {
  struct kernel_action action = {note, SA_SIGINFO | SA_RESTORER, back, mask};
  OK(syscall(SYS_rt_sigaction, signal, &action, NULL, 8));
}

TEST(rt_sigaction_and_rt_sigreturn) {
  handle(SIGUSR1, bit(SIGUSR2));
  OK(syscall(SYS_tkill, gettid(), SIGUSR1));
  CHECK_EQ(caught, SIGUSR1);
  CHECK_EQ(mask_inside, bit(SIGUSR1) | bit(SIGUSR2));
  CHECK_EQ(blocked(), 0); /* rt_sigreturn has put it back */
  struct kernel_action old;
  OK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
  CHECK(old.handler == note && old.restorer == back);
  CHECK_EQ(old.flags, SA_SIGINFO | SA_RESTORER);
  CHECK_EQ(old.mask, bit(SIGUSR2));
  CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 16), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigaction, SIGKILL, &old, NULL, 8), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigaction, 65, NULL, &old, 8), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8), EFAULT);
  CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, 8, 8), EFAULT);
}

TEST(rt_sigprocmask_and_rt_sigpending) {
  unsigned long set = bit(SIGUSR1) | bit(SIGKILL) | bit(SIGRTMIN), old = 7;
  OK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, &old, 8));
  CHECK_EQ(old, 0);
  CHECK_EQ(blocked(), bit(SIGUSR1) | bit(SIGRTMIN));
  OK(syscall(SYS_tkill, gettid(), SIGUSR1));
  OK(kill(getpid(), SIGRTMIN));
  unsigned long pending = 0;
  OK(syscall(SYS_rt_sigpending, &pending, 8));
  CHECK_EQ(pending, bit(SIGUSR1) | bit(SIGRTMIN));
  CHECK_ERR(syscall(SYS_rt_sigpending, &pending, 9), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigpending, 8, 8), EFAULT);
  CHECK_ERR(syscall(SYS_rt_sigprocmask, 3, &set, NULL, 8), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 4), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_SETMASK, 8, NULL, 8), EFAULT);
}

TEST(rt_sigtimedwait_takes_one) {
  unsigned long set = bit(SIGUSR1) | bit(SIGUSR2);
  OK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
  siginfo_t info;
  struct timespec short_time = {0, 1000000}, none = {0, 0}, bad = {0, 1000000000};
  CHECK_ERR(syscall(SYS_rt_sigtimedwait, &set, &info, &none, 8), EAGAIN);
  CHECK_ERR(syscall(SYS_rt_sigtimedwait, &set, &info, &short_time, 8), EAGAIN);
  CHECK_ERR(syscall(SYS_rt_sigtimedwait, &set, &info, &bad, 8), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 7), EINVAL);
  OK(kill(getpid(), SIGUSR2));
  CHECK_EQ(syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8), SIGUSR2);
  CHECK_EQ(info.si_signo, SIGUSR2);
  CHECK_EQ(info.si_pid, getpid());
  CHECK_ERR(syscall(SYS_rt_sigtimedwait, &set, NULL, &none, 8), EAGAIN);
}

TEST(rt_sigsuspend_swaps_the_mask) {
  handle(SIGUSR1, 0);
  unsigned long set = bit(SIGUSR1), none = 0;
  OK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
  OK(syscall(SYS_tkill, gettid(), SIGUSR1));
  CHECK_EQ(caught, 0);
  CHECK_ERR(syscall(SYS_rt_sigsuspend, &none, 8), EINTR);
  CHECK_EQ(caught, SIGUSR1);
  CHECK_EQ(blocked(), set);
  CHECK_ERR(syscall(SYS_rt_sigsuspend, &none, 4), EINVAL);
  CHECK_ERR(syscall(SYS_rt_sigsuspend, 8, 8), EFAULT);
}

TEST(tkill_and_rt_tgsigqueueinfo) {
  handle(SIGRTMIN + 1, 0);
  siginfo_t info = {.si_code = SI_QUEUE};
  info.si_value.sival_int = 4711;
  OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN + 1, &info));
  CHECK_EQ(caught, SIGRTMIN + 1);
  CHECK_EQ(caught_value, 4711);
  CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), 65, &info), EINVAL);
  CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info), EINVAL);
  CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, getppid(), gettid(), SIGUSR1, &info), ESRCH);
  CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, 8), EFAULT);
  pid_t child = fork();
  if (child == 0) _exit(pause());
  info.si_code = SI_TKILL; /* as if the kernel had sent it: to oneself only */
  CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, child, child, SIGTERM, &info), EPERM);
  info.si_code = SI_QUEUE;
  OK(syscall(SYS_rt_tgsigqueueinfo, child, child, SIGTERM, &info));
  CHECK_KILLED(child, SIGTERM);
  CHECK_ERR(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
  CHECK_ERR(syscall(SYS_tkill, gettid(), 65), EINVAL);
  CHECK_ERR(syscall(SYS_tkill, child, SIGUSR1), ESRCH);
  CHECK_EQ(syscall(SYS_tkill, gettid(), 0), 0);
}

TEST(signalfd4_flags) {
  unsigned long set = bit(SIGUSR1), more = bit(SIGUSR1) | bit(SIGUSR2);
  OK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &more, NULL, 8));
  int fd = OK(syscall(SYS_signalfd4, -1, &set, 8, SFD_NONBLOCK | SFD_CLOEXEC));
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
  struct signalfd_siginfo info;
  OK(kill(getpid(), SIGUSR2));
  CHECK_ERR(read(fd, &info, sizeof info), EAGAIN);
  CHECK_EQ(syscall(SYS_signalfd4, fd, &more, 8, 0), fd);
  CHECK_EQ(read(fd, &info, sizeof info), sizeof info);
  CHECK_EQ(info.ssi_signo, SIGUSR2);
  CHECK_ERR(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
  CHECK_ERR(syscall(SYS_signalfd4, -1, &set, 8, 1), EINVAL);
  CHECK_ERR(syscall(SYS_signalfd4, 0, &set, 8, 0), EINVAL);
  CHECK_ERR(syscall(SYS_signalfd4, -1, 8, 8, 0), EFAULT);
}

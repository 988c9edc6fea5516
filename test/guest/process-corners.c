// SPDX-License-Identifier: Apache-2.0
// Corners of processes and signals: orphaned groups, stops against deaths, threads that come and go.
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <ucontext.h>

#include "check.h"

static volatile int hits;

static void count(int signal) {
  (void)signal;
  hits++;
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  OK(sigaction(signal, &action, NULL));
}

// Cleared by the end of the first thread: set_tid_address(2).
static volatile int first_thread = 1;

static void *exit_thread(void *arg) {
  while (first_thread) sleep_ms(1);
  syscall(SYS_exit, (int)(long)arg);
  return NULL;
}

TEST(the_last_threads_code_is_the_processs) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, exit_thread, (void *)7L);
    syscall(SYS_set_tid_address, &first_thread);
    syscall(SYS_exit, 3);
  }
  CHECK_EXIT(pid, 7);
}

TEST(a_stopped_process_dies_when_it_goes_on) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  int status;
  OK(kill(pid, SIGSTOP));
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  OK(kill(pid, SIGTERM));
  sleep_ms(30);
  CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
  OK(kill(pid, SIGCONT));
  CHECK_KILLED(pid, SIGTERM);
}

static void *stop_then_exit(void *arg) {
  (void)arg;
  sleep_ms(30);
  syscall(SYS_exit, 0);
  return NULL;
}

TEST(a_stop_is_reported_though_a_thread_leaves_late) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    pthread_t thread;
    pthread_create(&thread, NULL, stop_then_exit, NULL);
    raise(SIGSTOP);
    _exit(4);
  }
  int status;
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  OK(kill(pid, SIGCONT));
  CHECK_EXIT(pid, 4);
}

TEST(wait_by_nobodys_pid) {
  CHECK_ERR(waitpid(INT_MIN, NULL, 0), ESRCH);
  siginfo_t info;
  int fds[2];
  OK(pipe(fds));
  CHECK_ERR(syscall(SYS_waitid, 3 /* P_PIDFD */, fds[0], &info, WEXITED, NULL), EBADF);
  CHECK_ERR(syscall(SYS_waitid, 3, -1, &info, WEXITED, NULL), EINVAL);
  int self = OK(syscall(SYS_pidfd_open, getpid(), 0));
  CHECK_ERR(syscall(SYS_waitid, 3, self, &info, WEXITED, NULL), ECHILD);
  pid_t pid = OK(fork());
  if (pid == 0) {
    char byte;
    OK(read(fds[0], &byte, 1));
    _exit(5);
  }
  int child = OK(syscall(SYS_pidfd_open, pid, O_NONBLOCK));
  CHECK_ERR(syscall(SYS_waitid, 3, child, &info, WEXITED, NULL), EAGAIN);
  CHECK_EQ(write(fds[1], "x", 1), 1);
  CHECK_EXIT(pid, 5);
}

TEST(wnowait_leaves_the_report) {
  pid_t pid = OK(fork());
  if (pid == 0) _exit(6);
  siginfo_t info;
  for (int i = 0; i < 2; i++) {
    memset(&info, 0, sizeof info);
    OK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
    CHECK_EQ(info.si_status, 6);
  }
  CHECK_EXIT(pid, 6);
}

static volatile pid_t forked;

static void *fork_in_thread(void *arg) {
  int *fds = arg;
  pid_t pid = fork();
  if (pid == 0) {
    char byte;
    OK(read(fds[0], &byte, 1));
    _exit(0);
  }
  forked = pid;
  return NULL;
}

TEST(wnothread_sees_own_children_only) {
  pthread_t thread;
  int fds[2];
  OK(pipe(fds));
  CHECK_EQ(pthread_create(&thread, NULL, fork_in_thread, fds), 0);
  while (forked == 0) sleep_ms(1);
  CHECK_EQ(syscall(SYS_wait4, -1, NULL, WNOHANG, NULL), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(write(fds[1], "x", 1), 1);
  CHECK_EXIT(forked, 0);
}

TEST(an_exec_resets_the_exit_signal) {
  pid_t pid = OK(syscall(SYS_clone, 0, 0, 0, 0, 0));
  if (pid == 0) {
    execl("/bin/sleep", "sleep", "0.1", NULL);
    _exit(9);
  }
  // Before, it is none that a plain wait sees.
  siginfo_t info;
  while (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0) sleep_ms(1);
  CHECK_EXIT(pid, 0);
  pid = OK(syscall(SYS_clone, 200, 0, 0, 0, 0));
  if (pid == 0) _exit(0);
  CHECK_EQ(waitpid(pid, NULL, __WALL), pid);
}

TEST(clone_checks_pidfd_flags) {
  int fd;
  CHECK_ERR(syscall(SYS_clone, 0x1000 | 0x100000 | SIGCHLD, 0, &fd, 0, 0), EINVAL);
  CHECK_ERR(syscall(SYS_clone, 0x80000 | SIGCHLD, 0, 0, 0, 1UL << 63), EPERM);
  struct rlimit limit = {3, 3};
  OK(setrlimit(RLIMIT_NOFILE, &limit));
  CHECK_ERR(syscall(SYS_clone, 0x1000 | SIGCHLD, 0, &fd, 0, 0), EMFILE);
  CHECK_ERR(waitpid(-1, NULL, 0), ECHILD);
}

TEST(kill_looks_for_the_process_first) {
  CHECK_ERR(kill(4000000, 200), ESRCH);
  CHECK_ERR(kill(getpid(), 65), EINVAL);
  CHECK_ERR(syscall(SYS_tgkill, getpid(), 4000000, 99), ESRCH);
  CHECK_ERR(syscall(SYS_tgkill, getpid(), gettid(), 99), EINVAL);
  siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_USER};
  CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
  int fd = OK(syscall(SYS_pidfd_open, getpid(), 0));
  handle(SIGUSR1, count, 0);
  OK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &info, 0));
  CHECK_EQ(hits, 1);
  CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, SIGUSR2, &info, 0), EINVAL);
}

static void hang_up(int signal) {
  (void)signal;
  _exit(11);
}

TEST(only_new_orphans_are_hung_up) {
  // The group of `stopped` is orphaned before it stops: a member that leaves later changes nothing.
  int fds[2];
  OK(pipe(fds));
  pid_t middle = OK(fork());
  if (middle == 0) {
    OK(setsid());
    pid_t stopped = fork();
    if (stopped == 0) {
      signal(SIGHUP, hang_up);
      raise(SIGSTOP);
      _exit(12);
    }
    waitpid(stopped, NULL, WUNTRACED);
    pid_t other = fork();
    if (other == 0) _exit(0);
    waitpid(other, NULL, 0);
    sleep_ms(30);
    int status = -1;
    CHECK_EQ(waitpid(stopped, &status, WNOHANG), 0);
    kill(stopped, SIGKILL);
    _exit(0);
  }
  CHECK_EXIT(middle, 0);
}

TEST(a_subreaper_keeps_a_group_from_being_orphaned) {
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  pid_t middle = OK(fork());
  if (middle == 0) {
    pid_t stopped = fork();
    if (stopped == 0) {
      setpgid(0, 0);
      signal(SIGHUP, hang_up);
      raise(SIGSTOP);
      _exit(12);
    }
    waitpid(stopped, NULL, WUNTRACED);
    setsid();
    _exit(0);
  }
  CHECK_EXIT(middle, 0);
  int status;
  // The subreaper is of the same session: the group is no orphan and stays stopped.
  CHECK_EQ(waitpid(-1, &status, WNOHANG), 0);
}

TEST(a_new_orphan_is_hung_up) {
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  pid_t middle = OK(fork());
  if (middle == 0) {
    setsid();
    pid_t stopped = fork();
    if (stopped == 0) {
      setpgid(0, 0);
      signal(SIGHUP, hang_up);
      raise(SIGSTOP);
      _exit(12);
    }
    waitpid(stopped, NULL, WUNTRACED);
    _exit(0);
  }
  CHECK_EXIT(middle, 0);
  int status;
  CHECK(waitpid(-1, &status, 0) > 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 11);
}

static volatile pid_t sleeper_tid;

static void *sleeper(void *arg) {
  (void)arg;
  sleeper_tid = gettid();
  struct pollfd none = {.fd = -1};
  return (void *)(long)(poll(&none, 1, 60000) < 0 ? errno : 0);
}

TEST(a_signal_moves_on_when_its_thread_blocks_it) {
  // Both signals go to the first thread; its handler for one blocks the other, which is the second's then.
  handle(SIGUSR1, count, 0);
  struct sigaction slow = {.sa_handler = count};
  sigfillset(&slow.sa_mask);
  OK(sigaction(SIGUSR2, &slow, NULL));
  sigset_t both, old;
  sigemptyset(&both);
  sigaddset(&both, SIGUSR1);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, sleeper, NULL), 0);
  while (sleeper_tid == 0) sleep_ms(1);
  until_asleep(sleeper_tid);
  OK(sigprocmask(SIG_BLOCK, &both, &old));
  OK(kill(getpid(), SIGUSR1));
  void *result;
  pthread_join(thread, &result);
  CHECK_EQ((long)result, EINTR);
  CHECK_EQ(hits, 1);
}

static void *take_over(void *arg) {
  (void)arg;
  sigset_t none;
  sigemptyset(&none);
  sigsuspend(&none);
  return NULL;
}

TEST(a_pending_signal_finds_another_thread) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  handle(SIGUSR1, count, 0);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  OK(kill(getpid(), SIGUSR1));
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, take_over, NULL), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(hits, 1);
}

static char small_stack[65536];
static volatile int in_segv;

static void on_segv(int signal) {
  (void)signal;
  in_segv = 1;
  _exit(21);
}

TEST(a_frame_that_does_not_fit_is_a_fault) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    stack_t stack = {.ss_sp = small_stack, .ss_size = sizeof small_stack};
    OK(sigaltstack(&stack, NULL));
    handle(SIGSEGV, on_segv, SA_ONSTACK);
    handle(SIGUSR1, count, 0);
    __asm__ volatile(
        "mov $64, %%rsp\n mov %0, %%edi\n mov %1, %%esi\n mov $62, %%eax\n syscall\n hlt" ::"r"(
            getpid()),
        "i"(SIGUSR1)
        : "rdi", "rsi", "rax");
  }
  CHECK_EXIT(pid, 21);
}

TEST(blocked_realtime_signals_have_a_limit) {
  struct rlimit limit = {8, 8};
  OK(setrlimit(RLIMIT_SIGPENDING, &limit));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 1);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  for (int i = 0; i < 100; i++) OK(kill(getpid(), SIGRTMIN + 1));
  union sigval value = {.sival_int = 1};
  CHECK_ERR(sigqueue(getpid(), SIGRTMIN + 1, value), EAGAIN);
  OK(sigqueue(getpid(), SIGURG, value));
  struct timespec now = {0, 0};
  int taken = 0;
  while (sigtimedwait(&set, NULL, &now) > 0) taken++;
  CHECK(taken <= 8);
}

static void *make_child(void *arg) {
  int *fds = arg;
  if (fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    OK(write(fds[1], "x", 1));
    sleep(10);
    _exit(0);
  }
  char byte;
  OK(read(fds[0], &byte, 1));
  return NULL;
}

TEST(the_parents_thread_counts_as_the_parent) {
  int fds[2], status;
  OK(pipe(fds));
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, make_child, fds), 0);
  pthread_join(thread, NULL);
  OK(wait(&status));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(setpgid_corners) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, sleeper, NULL), 0);
  OK(setpgid(0, getpgrp()));
  OK(kill(-getpgrp(), 0));
  CHECK_EQ(getpgid(getpgrp()), getpgrp());
  CHECK_ERR(setpgid(0, -3), EINVAL);
  CHECK_ERR(setpgid(4000000, 0), ESRCH);
  CHECK_ERR(setpgid(0, 4000000), EPERM);
  CHECK_ERR(setsid(), EPERM);
}

TEST(affinity_is_inherited) {
  cpu_set_t one, got;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  OK(sched_setaffinity(0, sizeof one, &one));
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(sched_getaffinity(0, sizeof got, &got));
    _exit(CPU_COUNT(&got));
  }
  CHECK_EXIT(pid, 1);
}

static void *policy_of_a_thread(void *mode) {
  OK(syscall(SYS_get_mempolicy, mode, NULL, 0, NULL, 0));
  return NULL;
}

TEST(memory_policy_is_inherited) {
  enum { BIND = 2 };
  unsigned long nodes = 1;
  if (syscall(SYS_set_mempolicy, BIND, &nodes, 2) < 0 && errno == ENOSYS) SKIP("no CONFIG_NUMA");
  OK(syscall(SYS_set_mempolicy, BIND, &nodes, 2));
  pthread_t thread;
  int mode = -1;
  CHECK_EQ(pthread_create(&thread, NULL, policy_of_a_thread, &mode), 0);
  pthread_join(thread, NULL);
  CHECK_EQ(mode, BIND);
  pid_t pid = OK(fork());
  if (pid == 0) {
    nodes = 0;
    OK(syscall(SYS_get_mempolicy, &mode, &nodes, 64, NULL, 0));
    _exit(mode == BIND && nodes == 1 ? 3 : 4);
  }
  CHECK_EXIT(pid, 3);
  // Afterwards each has its own.
  OK(syscall(SYS_set_mempolicy, 0, NULL, 0));
  OK(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0));
  CHECK_EQ(mode, 0);
}

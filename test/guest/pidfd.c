// SPDX-License-Identifier: Apache-2.0
// Descriptors of processes and threads: CLONE_PIDFD of clone(2) and clone3(2), pidfd_open(2),
// pidfd_send_signal(2).
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>

#include "check.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
enum { TO_THREAD = 1, TO_PROCESS = 2, TO_PROCESS_GROUP = 4 };

static int next_descriptor(void) {
  int fd = OK(open("/dev/null", O_RDONLY));
  close(fd);
  return fd;
}

static short events_of(int fd, int timeout) {
  struct pollfd poll_of = {.fd = fd, .events = POLLIN};
  OK(poll(&poll_of, 1, timeout));
  return poll_of.revents;
}

// The number after `name` in the fdinfo of `fd`.
static int info_of(int fd, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  const char *at = strstr(get_file(path), name);
  CHECK(at != NULL);
  return atoi(at + strlen(name));
}

// A child that waits for a byte in a pipe, and leaves with it.
static pid_t waiting_child(int *to_child, int flags, int *pidfd) {
  int ends[2];
  OK(pipe(ends));
  pid_t pid = OK(syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, 0, pidfd, 0, 0));
  if (pid == 0) {
    char byte = 0;
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    _exit(byte);
  }
  *to_child = ends[1];
  return pid;
}

TEST(clone_gives_a_descriptor_of_the_child) {
  int want = next_descriptor() + 2, pidfd = -1, to_child;  // After the pipe's.
  pid_t pid = waiting_child(&to_child, 0, &pidfd);
  CHECK_EQ(pidfd, want);
  CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(info_of(pidfd, "\nPid:\t"), pid);
  CHECK_EQ(info_of(pidfd, "\nNSpid:\t"), pid);
  CHECK_EQ(events_of(pidfd, 0), 0);
  siginfo_t info = {0};
  OK(waitid(P_PIDFD, pidfd, &info, WEXITED | WNOHANG));
  CHECK_EQ(info.si_pid, 0);
  OK(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
  CHECK_EQ(write(to_child, "*", 1), 1);
  CHECK_EQ(events_of(pidfd, 60000), POLLIN);
  OK(waitid(P_PIDFD, pidfd, &info, WEXITED));
  CHECK_EQ(info.si_pid, pid);
  CHECK_EQ(info.si_status, '*');
  CHECK_EQ(events_of(pidfd, 0), POLLIN | POLLHUP);
  CHECK_EQ(info_of(pidfd, "\nPid:\t"), -1);
  CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), ESRCH);
}

TEST(it_is_the_same_file_as_pidfd_open_gives) {
  int pidfd, to_child;
  pid_t pid = waiting_child(&to_child, 0, &pidfd);
  int opened = OK(syscall(SYS_pidfd_open, pid, 0));
  struct stat one, other;
  OK(fstat(pidfd, &one));
  OK(fstat(opened, &other));
  CHECK_EQ(one.st_ino, other.st_ino);
  OK(syscall(SYS_pidfd_send_signal, opened, SIGKILL, NULL, 0));
  CHECK_KILLED(pid, SIGKILL);
}

TEST(the_child_has_it_only_where_it_shares_descriptors) {
  for (int shares = 0; shares < 2; shares++) {
    int pidfd = -1;
    int want = next_descriptor(), flags = shares ? CLONE_FILES : 0;
    pid_t pid = OK(syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0));
    if (pid == 0) {
      // The parent's memory was copied before the number was written there.
      if (pidfd != -1) _exit(2);
      while (shares && fcntl(want, F_GETFD) < 0) sleep_ms(1);
      _exit(fcntl(want, F_GETFD) >= 0);
    }
    CHECK_EXIT(pid, shares);
    close(pidfd);
  }
}

static int exec_true(void *argument) {
  if (argument != NULL) execl("/bin/true", "true", NULL);
  _exit(7);
}

TEST(vfork_with_a_descriptor) {
  char *stack = malloc(65536);
  for (int execs = 0; execs < 2; execs++) {
    int pidfd = -1;
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
    pid_t pid = OK(clone(exec_true, stack + 65536, flags, execs ? stack : NULL, &pidfd));
    siginfo_t info;
    OK(waitid(P_PIDFD, pidfd, &info, WEXITED));
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, execs ? 0 : 7);
    close(pidfd);
  }
}

TEST(clone3_gives_it_apart_from_the_tid) {
  int pidfd = -1;
  pid_t tid = -1;
  struct clone_args args = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .exit_signal = SIGCHLD};
  args.pidfd = (uintptr_t)&pidfd;
  args.parent_tid = (uintptr_t)&tid;
  pid_t pid = OK(syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) _exit(9);
  CHECK_EQ(tid, pid);
  siginfo_t info;
  OK(waitid(P_PIDFD, pidfd, &info, WEXITED));
  CHECK_EQ(info.si_status, 9);
  args.parent_tid = args.pidfd;
  CHECK_ERR(syscall(SYS_clone3, &args, sizeof args), EINVAL);
}

TEST(what_cannot_be_given_makes_no_child) {
  int pidfd = -1, first = next_descriptor();
  CHECK_ERR(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &pidfd, 0, 0),
            EINVAL);
  CHECK_ERR(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, 8, 0, 0), EFAULT);
  struct clone_args args = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = 8};
  CHECK_ERR(syscall(SYS_clone3, &args, sizeof args), EFAULT);
  CHECK_ERR(syscall(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, 0, &pidfd, 0, 0), EINVAL);
  CHECK_EQ(next_descriptor(), first);
  struct rlimit limit = {first, first};
  OK(setrlimit(RLIMIT_NOFILE, &limit));
  CHECK_ERR(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0), EMFILE);
  CHECK_EQ(pidfd, -1);
  CHECK_ERR(waitpid(-1, NULL, __WALL), ECHILD);
}

static volatile int may_end, signalled, thread_tid;
static void note(int signal) {
  (void)signal;
  signalled = gettid();
}

static int thread(void *argument) {
  (void)argument;
  thread_tid = gettid();
  while (!may_end) sleep_ms(1);
  return 0;
}

static int start_thread(pid_t *tid) {
  enum { SIZE = 65536 };
  int pidfd = -1;
  char *stack = malloc(SIZE);
  int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  may_end = 0;
  *tid = OK(clone(thread, stack + SIZE, flags | CLONE_PIDFD, NULL, &pidfd));
  while (thread_tid != *tid) sleep_ms(1);
  return pidfd;
}

TEST(a_thread_has_a_descriptor_of_its_own) {
  pid_t tid;
  int pidfd = start_thread(&tid);
  if (pidfd < 0) SKIP("a kernel before 6.9");
  CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(fcntl(pidfd, F_GETFL), O_RDWR | PIDFD_THREAD);
  CHECK_EQ(info_of(pidfd, "\nPid:\t"), tid);
  CHECK_EQ(events_of(pidfd, 0), 0);
  siginfo_t info;
  CHECK_ERR(waitid(P_PIDFD, pidfd, &info, WEXITED | WNOHANG), ECHILD);
  int opened = OK(syscall(SYS_pidfd_open, tid, PIDFD_THREAD));
  int process = OK(syscall(SYS_pidfd_open, getpid(), 0));
  CHECK_ERR(syscall(SYS_pidfd_open, 999999, PIDFD_THREAD), ESRCH);
  struct stat one, other, whole;
  OK(fstat(pidfd, &one));
  OK(fstat(opened, &other));
  OK(fstat(process, &whole));
  CHECK_EQ(one.st_ino, other.st_ino);
  CHECK(one.st_ino != whole.st_ino);
  may_end = 1;
  CHECK_EQ(events_of(pidfd, 60000), POLLIN | POLLHUP);
  CHECK_EQ(events_of(process, 0), 0);
  CHECK_EQ(info_of(opened, "\nPid:\t"), -1);
  CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), ESRCH);
}

TEST(signals_go_to_the_thread_the_process_or_its_group) {
  pid_t tid;
  int pidfd = start_thread(&tid);
  signal(SIGUSR1, note);
  OK(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0));
  while (signalled != tid) sleep_ms(1);
  signalled = 0;
  OK(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, TO_PROCESS));
  while (signalled == 0) sleep_ms(1);  // Whichever thread takes it.
  int process = OK(syscall(SYS_pidfd_open, getpid(), 0));
  signalled = 0;
  OK(syscall(SYS_pidfd_send_signal, process, SIGUSR1, NULL, TO_THREAD));
  while (signalled != getpid()) sleep_ms(1);
  signalled = 0;
  OK(syscall(SYS_pidfd_send_signal, process, SIGUSR1, NULL, TO_PROCESS_GROUP));
  while (signalled == 0) sleep_ms(1);
  CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, TO_PROCESS_GROUP), ESRCH);
  CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, TO_THREAD | TO_PROCESS), EINVAL);
  CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 8), EINVAL);
  CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, 65, NULL, 0), EINVAL);
  may_end = 1;
}

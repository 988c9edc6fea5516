// SPDX-License-Identifier: Apache-2.0
// Signal-driven I/O: O_ASYNC, F_SETOWN, F_SETOWN_EX, F_SETSIG, FIOASYNC and the owner of a socket.
#include "check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

// Takes a pending signal of `set`, waiting for it; -1 where none comes within `ms`.
static int take(int signal, siginfo_t *info, int ms) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  int got;
  do got = sigtimedwait(&set, info, &time);
  while (got < 0 && errno == EINTR);
  return got;
}

static void block(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, NULL);
}

static int flags_of(int fd) { return fcntl(fd, F_GETFL) & O_ASYNC; }

TEST(pipe_reader_gets_sigio) {
  int p[2];
  CHECK(pipe(p) == 0);
  block(SIGIO);
  CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0);
  CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
  CHECK(flags_of(p[0]) == O_ASYNC);
  CHECK(write(p[1], "x", 1) == 1);
  siginfo_t info = {0};
  CHECK(take(SIGIO, &info, 2000) == SIGIO);
  CHECK(info.si_code == SI_KERNEL);
  CHECK(fcntl(p[0], F_SETFL, 0) == 0);
  CHECK(flags_of(p[0]) == 0);
  CHECK(write(p[1], "x", 1) == 1);
  CHECK(take(SIGIO, &info, 0) == -1 && errno == EAGAIN);
}

TEST(pipe_writer_gets_room) {
  int p[2];
  CHECK(pipe(p) == 0);
  block(SIGRTMIN + 1);
  CHECK(fcntl(p[1], F_SETFL, O_NONBLOCK) == 0);
  static char page[65536];
  CHECK(write(p[1], page, sizeof page) == (ssize_t)sizeof page);
  CHECK(fcntl(p[1], F_SETOWN, getpid()) == 0);
  CHECK(fcntl(p[1], F_SETSIG, SIGRTMIN + 1) == 0);
  CHECK(fcntl(p[1], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
  CHECK(read(p[0], page, sizeof page) == (ssize_t)sizeof page);
  siginfo_t info = {0};
  CHECK(take(SIGRTMIN + 1, &info, 2000) == SIGRTMIN + 1);
  CHECK(info.si_code == POLL_OUT);
  CHECK(info.si_fd == p[1]);
  CHECK(info.si_band == (POLLOUT | POLLWRNORM | POLLWRBAND));
}

TEST(setsig_carries_descriptor_and_band) {
  int s[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
  block(SIGRTMIN);
  CHECK(fcntl(s[0], F_SETSIG, SIGRTMIN) == 0);
  CHECK(fcntl(s[0], F_GETSIG) == SIGRTMIN);
  CHECK(fcntl(s[0], F_SETSIG, 65) == -1 && errno == EINVAL);
  CHECK(fcntl(s[0], F_SETOWN, getpid()) == 0);
  CHECK(fcntl(s[0], F_SETFL, O_ASYNC) == 0);
  CHECK(write(s[1], "x", 1) == 1);
  siginfo_t info = {0};
  CHECK(take(SIGRTMIN, &info, 2000) == SIGRTMIN);
  CHECK(info.si_code == POLL_IN);
  CHECK(info.si_fd == s[0]);
  CHECK(info.si_band == (POLLIN | POLLRDNORM));
}

// SIGCHLD has codes of its own, so the reason is not told.
TEST(signal_with_own_codes) {
  int p[2];
  CHECK(pipe(p) == 0);
  block(SIGCHLD);
  CHECK(fcntl(p[0], F_SETSIG, SIGCHLD) == 0);
  CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0);
  CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
  CHECK(write(p[1], "x", 1) == 1);
  siginfo_t info = {0};
  CHECK(take(SIGCHLD, &info, 2000) == SIGCHLD);
  CHECK(info.si_code == SI_SIGIO);
}

TEST(nobody_is_told_without_an_owner) {
  int p[2];
  CHECK(pipe(p) == 0);
  block(SIGIO);
  CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
  CHECK(write(p[1], "x", 1) == 1);
  siginfo_t info;
  CHECK(take(SIGIO, &info, 0) == -1 && errno == EAGAIN);
}

TEST(a_thread_as_owner) {
  int p[2];
  CHECK(pipe(p) == 0);
  block(SIGIO);
  struct f_owner_ex owner = {F_OWNER_TID, (pid_t)syscall(SYS_gettid)};
  CHECK(fcntl(p[0], F_SETOWN_EX, &owner) == 0);
  CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
  CHECK(write(p[1], "x", 1) == 1);
  siginfo_t info;
  CHECK(take(SIGIO, &info, 2000) == SIGIO);
  struct f_owner_ex got = {0};
  CHECK(fcntl(p[0], F_GETOWN_EX, &got) == 0);
  CHECK(got.type == F_OWNER_TID && got.pid == owner.pid);
}

TEST(a_process_group_as_owner) {
  int p[2], ready[2];
  CHECK(pipe(p) == 0 && pipe(ready) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    setpgid(0, 0);
    block(SIGIO);
    (void)!write(ready[1], "x", 1);
    siginfo_t info;
    _exit(take(SIGIO, &info, 10000) == SIGIO ? 0 : 1);
  }
  char byte;
  CHECK(read(ready[0], &byte, 1) == 1);
  CHECK(fcntl(p[0], F_SETOWN, -child) == 0);
  CHECK(fcntl(p[0], F_GETOWN) == -child);
  CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
  CHECK(write(p[1], "x", 1) == 1);
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST(fioasync) {
  int p[2], on = 1, off = 0;
  CHECK(pipe(p) == 0);
  CHECK(ioctl(p[0], FIOASYNC, &on) == 0);
  CHECK(flags_of(p[0]) == O_ASYNC);
  CHECK(ioctl(p[0], FIOASYNC, &off) == 0);
  CHECK(flags_of(p[0]) == 0);
  CHECK(ioctl(p[0], FIOASYNC, NULL) == -1 && errno == EFAULT);
  int file = open("/tmp", O_RDONLY | O_DIRECTORY);
  CHECK(file >= 0);
  CHECK(ioctl(file, FIOASYNC, &off) == 0);
  CHECK(ioctl(file, FIOASYNC, &on) == -1 && errno == ENOTTY);
  CHECK(fcntl(file, F_SETFL, O_ASYNC) == 0);
  CHECK(flags_of(file) == 0);
}

TEST(files_that_cannot_signal_ignore_it) {
  int event = eventfd(0, 0), poll = epoll_create1(0);
  CHECK(fcntl(event, F_SETFL, O_ASYNC) == 0 && flags_of(event) == 0);
  CHECK(fcntl(poll, F_SETFL, O_ASYNC) == 0 && flags_of(poll) == 0);
  int watch = inotify_init1(0);
  CHECK(fcntl(watch, F_SETFL, O_ASYNC) == 0 && flags_of(watch) == O_ASYNC);
}

TEST(owner_of_a_socket) {
  int s = socket(AF_INET, SOCK_STREAM, 0), p[2], pid = getpid(), got = 0;
  CHECK(s >= 0 && pipe(p) == 0);
  CHECK(ioctl(s, FIOSETOWN, &pid) == 0);
  CHECK(ioctl(s, FIOGETOWN, &got) == 0 && got == pid);
  got = -getpgrp();
  CHECK(ioctl(s, SIOCSPGRP, &got) == 0);
  CHECK(fcntl(s, F_GETOWN) == -getpgrp());
  got = 0;
  CHECK(ioctl(s, SIOCGPGRP, &got) == 0 && got == -getpgrp());
  CHECK(ioctl(s, FIOSETOWN, NULL) == -1 && errno == EFAULT);
  CHECK(ioctl(p[0], FIOSETOWN, &pid) == -1 && errno == ENOTTY);
  got = 4000000;
  CHECK(ioctl(s, FIOSETOWN, &got) == -1 && errno == ESRCH);
}

TEST(listener_tells_of_connections) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  CHECK(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 5) == 0);
  CHECK(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
  block(SIGRTMIN);
  CHECK(fcntl(listener, F_SETOWN, getpid()) == 0);
  CHECK(fcntl(listener, F_SETSIG, SIGRTMIN) == 0);
  CHECK(fcntl(listener, F_SETFL, O_ASYNC) == 0);
  CHECK(connect(client, (struct sockaddr *)&at, sizeof at) == 0);
  siginfo_t info = {0};
  CHECK(take(SIGRTMIN, &info, 2000) == SIGRTMIN);
  CHECK(info.si_fd == listener);
}

// The signal goes with the description, also after the descriptor that asked for it is closed.
TEST(duplicates_share_it) {
  int p[2];
  CHECK(pipe(p) == 0);
  block(SIGRTMIN);
  CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0);
  CHECK(fcntl(p[0], F_SETSIG, SIGRTMIN) == 0);
  CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
  int copy = dup(p[0]), old = p[0];
  CHECK(flags_of(copy) == O_ASYNC);
  close(p[0]);
  CHECK(write(p[1], "x", 1) == 1);
  siginfo_t info = {0};
  CHECK(take(SIGRTMIN, &info, 2000) == SIGRTMIN);
  CHECK(info.si_fd == old);
  close(copy);
}

TEST(reader_learns_of_the_last_writer) {
  int p[2];
  CHECK(pipe(p) == 0);
  block(SIGRTMIN);
  CHECK(fcntl(p[0], F_SETOWN, getpid()) == 0);
  CHECK(fcntl(p[0], F_SETSIG, SIGRTMIN) == 0);
  CHECK(fcntl(p[0], F_SETFL, O_ASYNC) == 0);
  close(p[1]);
  siginfo_t info = {0};
  CHECK(take(SIGRTMIN, &info, 2000) == SIGRTMIN);
  CHECK(info.si_code == POLL_IN);
}

// A user who may not signal the owner is not heard either.
TEST(others_are_not_signalled) {
  if (geteuid() != 0) SKIP("needs root");
  int p[2];
  CHECK(pipe(p) == 0);
  block(SIGIO);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    if (setresuid(4242, 4242, 4242) != 0) _exit(2);
    if (fcntl(p[0], F_SETOWN, getppid()) != 0) _exit(3);
    if (fcntl(p[0], F_SETFL, O_ASYNC) != 0) _exit(4);
    _exit(write(p[1], "x", 1) == 1 ? 0 : 5);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  siginfo_t info;
  CHECK(take(SIGIO, &info, 0) == -1 && errno == EAGAIN);
}

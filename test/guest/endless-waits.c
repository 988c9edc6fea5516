// SPDX-License-Identifier: Apache-2.0
// Calls that must not wait where nothing can come, and calls that must wait although they have
// taken their bytes.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "check.h"

static void nothing(__attribute__((unused)) int signal) {}

// Calls that wait longer than `ms` end with EINTR.
static void interrupt_after(int ms) {
  struct sigaction action = {.sa_handler = nothing};
  OK(sigaction(SIGALRM, &action, NULL));
  struct itimerval timer = {.it_value = {ms / 1000, (ms % 1000) * 1000}};
  OK(setitimer(ITIMER_REAL, &timer, NULL));
}

TEST(eventfd_waits_for_room) {
  uint64_t largest = UINT64_MAX - 1, three = 3, got;
  int fd = OK(eventfd(3, 0));
  interrupt_after(200);
  CHECK_ERR(write(fd, &largest, sizeof largest), EINTR);
  CHECK_EQ(read(fd, &got, sizeof got), 8);
  CHECK_EQ(got, 3);
  CHECK_EQ(write(fd, &largest, sizeof largest), 8);
  interrupt_after(200);
  CHECK_ERR(write(fd, &three, sizeof three), EINTR);
  CHECK_EQ(read(fd, &got, sizeof got), 8);
  CHECK(got == largest);
}

TEST(eventfd_writer_is_woken) {
  uint64_t largest = UINT64_MAX - 1, got;
  int fd = OK(eventfd(7, 0));
  pid_t pid = OK(fork());
  if (pid == 0) _exit(write(fd, &largest, sizeof largest) == 8 ? 0 : 1);
  until_asleep(pid);
  CHECK_EQ(read(fd, &got, sizeof got), 8);
  CHECK_EQ(got, 7);
  CHECK_EXIT(pid, 0);
  CHECK_EQ(read(fd, &got, sizeof got), 8);
  CHECK(got == largest);
}

TEST(negative_socket_timeouts_are_over_at_once) {
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  struct timeval negative = {-1, 0}, bad = {0, 1000000}, worse = {-1, -1};
  CHECK_ERR(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &bad, sizeof bad), EDOM);
  CHECK_ERR(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &worse, sizeof worse), EDOM);
  OK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &negative, sizeof negative));
  OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &negative, sizeof negative));
  alarm(20);
  char buffer[65536] = {0};
  CHECK_ERR(read(pair[0], buffer, 1), EAGAIN);
  CHECK_ERR(recv(pair[0], buffer, 1, MSG_WAITALL), EAGAIN);
  while (write(pair[0], buffer, sizeof buffer) > 0) continue;
  CHECK_EQ(errno, EAGAIN);
  struct timeval got = {9, 9};
  socklen_t length = sizeof got;
  OK(getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &got, &length));
  CHECK_EQ(got.tv_sec, 0);
  CHECK_EQ(got.tv_usec, 0);
  struct timeval none = {0, 0};
  OK(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none));
  CHECK_EQ(read(pair[1], buffer, sizeof buffer) > 0, 1);
}

TEST(waitid_for_stops_sees_no_zombie) {
  siginfo_t info;
  pid_t pid = OK(fork());
  if (pid == 0) _exit(3);
  OK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  alarm(20);
  CHECK_ERR(waitid(P_ALL, 0, &info, WSTOPPED), ECHILD);
  CHECK_ERR(waitid(P_PID, pid, &info, WCONTINUED), ECHILD);
  CHECK_ERR(waitid(P_ALL, 0, &info, WSTOPPED | WCONTINUED | WNOHANG), ECHILD);
  CHECK_EXIT(pid, 3);
}

TEST(waitid_for_stops_ends_with_the_child) {
  siginfo_t info;
  pid_t pid = OK(fork());
  if (pid == 0) {
    sleep_ms(200);
    _exit(0);
  }
  alarm(20);
  CHECK_ERR(waitid(P_ALL, 0, &info, WSTOPPED), ECHILD);
  CHECK_EXIT(pid, 0);
}

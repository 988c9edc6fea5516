// SPDX-License-Identifier: Apache-2.0
// Bounds of what the kernel keeps for a program: SO_SNDBUF and SO_RCVBUF, pending signals, timers.
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include "check.h"

static char bytes[65536];

static int option(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, SOL_SOCKET, name, &value, &length));
  return value;
}

static void set(int fd, int name, int value) {
  OK(setsockopt(fd, SOL_SOCKET, name, &value, sizeof value));
}

// Bytes that go in before the socket is full.
static long fill(int fd, size_t piece) {
  long total = 0;
  for (;;) {
    ssize_t sent = send(fd, bytes, piece, MSG_DONTWAIT);
    if (sent < 0) {
      CHECK_EQ(errno, EAGAIN);
      return total;
    }
    total += sent;
  }
}

static int writable(int fd, int patience) {
  struct pollfd poller = {fd, POLLOUT, 0};
  return (int)OK(poll(&poller, 1, patience));
}

// Both ends of a connection over loopback; `receive_bytes` for the end that listens, 0 for none.
static void connect_pair(int ends[2], int send_bytes, int receive_bytes) {
  int listener = (int)OK(socket(AF_INET, SOCK_STREAM, 0));
  struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  socklen_t length = sizeof address;
  if (receive_bytes != 0) set(listener, SO_RCVBUF, receive_bytes);
  OK(bind(listener, (struct sockaddr *)&address, sizeof address));
  OK(listen(listener, 1));
  OK(getsockname(listener, (struct sockaddr *)&address, &length));
  ends[0] = (int)OK(socket(AF_INET, SOCK_STREAM, 0));
  if (send_bytes != 0) set(ends[0], SO_SNDBUF, send_bytes);
  OK(connect(ends[0], (struct sockaddr *)&address, sizeof address));
  ends[1] = (int)OK(accept(listener, NULL, NULL));
  OK(close(listener));
}

TEST(sizes_are_doubled_within_bounds) {
  int fd = (int)OK(socket(AF_UNIX, SOCK_STREAM, 0));
  set(fd, SO_SNDBUF, 20000);
  CHECK_EQ(option(fd, SO_SNDBUF), 40000);
  set(fd, SO_SNDBUF, 0);
  CHECK_EQ(option(fd, SO_SNDBUF), 4608);
  set(fd, SO_RCVBUF, 0);
  CHECK_EQ(option(fd, SO_RCVBUF), 2304);
  set(fd, SO_SNDBUF, INT_MAX);
  int most = option(fd, SO_SNDBUF);
  CHECK(most >= 2 * 212992);
  // As an unsigned number that is more still.
  set(fd, SO_SNDBUF, -1);
  CHECK_EQ(option(fd, SO_SNDBUF), most);
}

TEST(tcp_obeys_small_buffers) {
  int ends[2];
  connect_pair(ends, 8192, 8192);
  long small = fill(ends[0], 1024);
  CHECK(small >= 2048 && small <= 131072);
  CHECK_EQ(writable(ends[0], 0), 0);
  int roomy[2];
  connect_pair(roomy, 0, 0);
  CHECK(fill(roomy[0], sizeof bytes) > 131072);
}

static void *waits_for_room(void *fd) { return (void *)(long)writable(*(int *)fd, 20000); }

static void check_that_raising_wakes(int fd) {
  fill(fd, 1024);
  CHECK_EQ(writable(fd, 0), 0);
  pthread_t waiter;
  CHECK_EQ(pthread_create(&waiter, NULL, waits_for_room, &fd), 0);
  usleep(50000);
  set(fd, SO_SNDBUF, 200000);
  void *ready;
  CHECK_EQ(pthread_join(waiter, &ready), 0);
  CHECK_EQ((long)ready, 1);
  CHECK(send(fd, bytes, 1024, MSG_DONTWAIT) > 0);
}

TEST(a_raised_buffer_wakes_a_tcp_sender) {
  int ends[2];
  connect_pair(ends, 8192, 8192);
  check_that_raising_wakes(ends[0]);
}

TEST(a_raised_buffer_wakes_a_unix_sender) {
  for (int index = 0; index < 3; index += 1) {
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int ends[2];
    OK(socketpair(AF_UNIX, types[index], 0, ends));
    set(ends[0], SO_SNDBUF, 8192);
    check_that_raising_wakes(ends[0]);
  }
}

TEST(unix_sender_obeys_its_buffer) {
  int ends[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  set(ends[0], SO_SNDBUF, 16384);
  CHECK(fill(ends[0], 4096) <= 65536);
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
  set(ends[0], SO_SNDBUF, 16384);
  CHECK(fill(ends[0], 4096) <= 65536);
  // What does not fit at all is an error of its own.
  CHECK_EQ(send(ends[0], bytes, 40000, MSG_DONTWAIT), -1);
  CHECK_EQ(errno, EMSGSIZE);
}

TEST(udp_takes_one_large_datagram_into_a_small_buffer) {
  int receiver = (int)OK(socket(AF_INET, SOCK_DGRAM, 0));
  int sender = (int)OK(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  socklen_t length = sizeof address;
  set(receiver, SO_RCVBUF, 0);
  OK(bind(receiver, (struct sockaddr *)&address, sizeof address));
  OK(getsockname(receiver, (struct sockaddr *)&address, &length));
  for (int index = 0; index < 3; index += 1)
    CHECK_EQ(sendto(sender, bytes, 5000, 0, (struct sockaddr *)&address, sizeof address), 5000);
  CHECK_EQ(recv(receiver, bytes, sizeof bytes, MSG_DONTWAIT), 5000);
  CHECK_EQ(recv(receiver, bytes, sizeof bytes, MSG_DONTWAIT), -1);
  CHECK_EQ(errno, EAGAIN);
}

TEST(pending_signals_are_limited) {
  struct rlimit limit = {40, 40};
  OK(setrlimit(RLIMIT_SIGPENDING, &limit));
  sigset_t all;
  sigfillset(&all);
  OK(sigprocmask(SIG_BLOCK, &all, NULL));
  int queued = 0;
  while (sigqueue(getpid(), SIGRTMIN + 1, (union sigval){0}) == 0) queued += 1;
  CHECK_EQ(errno, EAGAIN);
  // Natively other processes of the user count as well.
  CHECK(queued > 0 && queued <= 40);
}

TEST(timers_count_as_pending_signals) {
  struct rlimit limit = {40, 40};
  OK(setrlimit(RLIMIT_SIGPENDING, &limit));
  struct sigevent event = {.sigev_notify = SIGEV_NONE};
  timer_t timer;
  int made = 0;
  while (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) made += 1;
  CHECK_EQ(errno, EAGAIN);
  CHECK(made > 0 && made <= 40);
  OK(timer_delete(timer));
}

TEST(shared_memory_has_a_size) {
  struct statvfs status;
  OK(statvfs("/dev/shm", &status));
  CHECK(status.f_blocks > 0);
  CHECK(status.f_bavail > 0 && status.f_bavail <= status.f_blocks);
  int fd = (int)OK(open("/dev/shm/of-buffers", O_CREAT | O_RDWR, 0600));
  OK(unlink("/dev/shm/of-buffers"));
  CHECK_EQ(posix_fallocate(fd, 0, (off_t)(status.f_blocks + 1) * (off_t)status.f_frsize), ENOSPC);
}

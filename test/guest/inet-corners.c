// SPDX-License-Identifier: Apache-2.0
// TCP connections whose other end is gone, ports that several sockets share, datagrams that are sent
// in parts.
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "check.h"

static struct sockaddr_in name_of(int fd) {
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  OK(getsockname(fd, (void *)&name, &length));
  return name;
}

static int bound(int type) {
  int fd = OK(socket(AF_INET, type, 0));
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  OK(bind(fd, (void *)&name, sizeof name));
  return fd;
}

// pair[0] is the client's end.
static void tcp_pair(int pair[2]) {
  int listener = bound(SOCK_STREAM);
  OK(listen(listener, 5));
  struct sockaddr_in name = name_of(listener);
  pair[0] = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(connect(pair[0], (void *)&name, sizeof name));
  pair[1] = OK(accept(listener, NULL, NULL));
  close(listener);
}

static char bytes[1 << 20];

TEST(a_sender_learns_that_its_peer_has_closed) {
  int pair[2];
  signal(SIGPIPE, SIG_IGN);
  tcp_pair(pair);
  close(pair[0]);
  sleep_ms(20);
  struct pollfd poller = {.fd = pair[1], .events = POLLIN | POLLOUT | POLLRDHUP};
  CHECK_EQ(poll(&poller, 1, 1000), 1);
  CHECK_EQ(poller.revents, POLLIN | POLLOUT | POLLRDHUP);
  CHECK_EQ(send(pair[1], "four", 4, 0), 4);
  sleep_ms(20);
  CHECK_ERR(send(pair[1], "more", 4, 0), EPIPE);
  CHECK_ERR(send(pair[1], "more", 4, 0), EPIPE);
  CHECK_EQ(poll(&poller, 1, 1000), 1);
  CHECK_EQ(poller.revents, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
  CHECK_EQ(recv(pair[1], bytes, 1, 0), 0);
}

TEST(a_reset_after_the_end_does_not_hide_it) {
  int pair[2], error;
  socklen_t length = sizeof error;
  tcp_pair(pair);
  close(pair[0]);
  sleep_ms(20);
  CHECK_EQ(send(pair[1], "four", 4, MSG_NOSIGNAL), 4);
  sleep_ms(20);
  CHECK_EQ(recv(pair[1], bytes, 1, 0), 0);
  CHECK_EQ(recv(pair[1], bytes, 1, 0), 0);
  OK(getsockopt(pair[1], SOL_SOCKET, SO_ERROR, &error, &length));
  CHECK_EQ(error, EPIPE);
  CHECK_EQ(recv(pair[1], bytes, 1, 0), 0);
}

TEST(blocking_writes_to_nobody_end) {
  int pair[2];
  signal(SIGPIPE, SIG_IGN);
  alarm(30);
  tcp_pair(pair);
  close(pair[0]);
  long calls = 0;
  while (calls < 1000 && write(pair[1], bytes, sizeof bytes) > 0) calls++;
  CHECK(calls < 1000);
  CHECK_EQ(errno, EPIPE);
}

TEST(a_waiting_sender_is_woken_by_the_close) {
  int pair[2];
  tcp_pair(pair);
  pid_t pid = OK(fork());
  if (pid == 0) {
    close(pair[0]);
    signal(SIGPIPE, SIG_IGN);
    alarm(30);
    for (int i = 0; i < 1000; i++) {
      if (write(pair[1], bytes, sizeof bytes) < 0)
        _exit(errno == ECONNRESET || errno == EPIPE ? 0 : 1);
    }
    _exit(2);
  }
  close(pair[1]);
  until_asleep(pid);
  close(pair[0]);
  CHECK_EXIT(pid, 0);
}

TEST(sigpipe_comes_only_with_epipe) {
  int pair[2];
  tcp_pair(pair);
  close(pair[0]);
  pid_t pid = OK(fork());
  if (pid == 0) {
    sleep_ms(20);
    OK(write(pair[1], bytes, 4096));
    sleep_ms(20);
    write(pair[1], bytes, 4096);
    _exit(0);
  }
  CHECK_KILLED(pid, SIGPIPE);
}

#define SHARERS 4

static void make_sharers(int fds[SHARERS], int type) {
  int one = 1;
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int i = 0; i < SHARERS; i++) {
    fds[i] = OK(socket(AF_INET, type, 0));
    OK(setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
    OK(bind(fds[i], (void *)&name, sizeof name));
    name = name_of(fds[i]);
    if (type == SOCK_STREAM) OK(listen(fds[i], 256));
    OK(fcntl(fds[i], F_SETFL, O_NONBLOCK));
  }
}

TEST(udp_senders_spread_over_a_shared_port) {
  int fds[SHARERS], counts[SHARERS] = {0}, total = 0;
  make_sharers(fds, SOCK_DGRAM);
  struct sockaddr_in name = name_of(fds[0]);
  for (int i = 0; i < 128; i++) {
    int client = OK(socket(AF_INET, SOCK_DGRAM, 0));
    OK(sendto(client, "a", 1, 0, (void *)&name, sizeof name));
    OK(sendto(client, "b", 1, 0, (void *)&name, sizeof name));
    close(client);
  }
  for (int i = 0; i < SHARERS; i++) {
    // What one sender sends stays together.
    while (recv(fds[i], bytes, 1, 0) == 1) {
      CHECK_EQ(bytes[0], 'a');
      CHECK_EQ(recv(fds[i], bytes, 1, 0), 1);
      CHECK_EQ(bytes[0], 'b');
      counts[i]++;
    }
    total += counts[i];
    CHECK(counts[i] > 4);
  }
  CHECK_EQ(total, 128);
}

TEST(tcp_connections_spread_over_listeners) {
  int fds[SHARERS], total = 0;
  make_sharers(fds, SOCK_STREAM);
  struct sockaddr_in name = name_of(fds[0]);
  for (int i = 0; i < 128; i++) {
    int client = OK(socket(AF_INET, SOCK_STREAM, 0));
    OK(connect(client, (void *)&name, sizeof name));
  }
  for (int i = 0; i < SHARERS; i++) {
    int count = 0, fd;
    while ((fd = accept(fds[i], NULL, NULL)) >= 0) count++;
    CHECK(count > 4);
    total += count;
  }
  CHECK_EQ(total, 128);
}

TEST(udp_msg_more_makes_one_datagram) {
  int server = bound(SOCK_DGRAM), other = bound(SOCK_DGRAM),
      client = OK(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in name = name_of(server), elsewhere = name_of(other);
  CHECK_EQ(sendto(client, "one ", 4, MSG_MORE, (void *)&name, sizeof name), 4);
  CHECK_EQ(sendto(client, "two ", 4, MSG_MORE, (void *)&elsewhere, sizeof elsewhere), 4);
  CHECK_ERR(recv(server, bytes, 100, MSG_DONTWAIT), EAGAIN);
  CHECK_EQ(sendto(client, "three", 5, 0, (void *)&name, sizeof name), 5);
  CHECK_EQ(recv(server, bytes, 100, 0), 13);
  CHECK(memcmp(bytes, "one two three", 13) == 0);
  CHECK_ERR(recv(other, bytes, 100, MSG_DONTWAIT), EAGAIN);
  // Too much at once drops what there was.
  CHECK_EQ(sendto(client, bytes, 60000, MSG_MORE, (void *)&name, sizeof name), 60000);
  CHECK_ERR(sendto(client, bytes, 60000, MSG_MORE, (void *)&name, sizeof name), EMSGSIZE);
  CHECK_EQ(sendto(client, "end", 3, 0, (void *)&name, sizeof name), 3);
  CHECK_EQ(recv(server, bytes, 100, 0), 3);
}

TEST(udp_cork) {
  int server = bound(SOCK_DGRAM), client = OK(socket(AF_INET, SOCK_DGRAM, 0)), on = 1, off = 0;
  struct sockaddr_in name = name_of(server);
  OK(connect(client, (void *)&name, sizeof name));
  OK(setsockopt(client, IPPROTO_UDP, UDP_CORK, &on, sizeof on));
  CHECK_EQ(write(client, "one ", 4), 4);
  CHECK_EQ(write(client, "two", 3), 3);
  CHECK_ERR(recv(server, bytes, 100, MSG_DONTWAIT), EAGAIN);
  OK(setsockopt(client, IPPROTO_UDP, UDP_CORK, &off, sizeof off));
  CHECK_EQ(recv(server, bytes, 100, 0), 7);
  CHECK(memcmp(bytes, "one two", 7) == 0);
  CHECK_EQ(write(client, "three", 5), 5);
  CHECK_EQ(recv(server, bytes, 100, 0), 5);
}

TEST(connect_heeds_the_send_timeout) {
  int listener = bound(SOCK_STREAM), client = OK(socket(AF_INET, SOCK_STREAM, 0));
  struct sockaddr_in name = name_of(listener);
  OK(listen(listener, 0));
  struct timeval negative = {-1, 0}, some = {0, 200000};
  OK(setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &negative, sizeof negative));
  CHECK_ERR(connect(client, (void *)&name, sizeof name), EINPROGRESS);
  struct pollfd poller = {.fd = client, .events = POLLOUT};
  CHECK_EQ(poll(&poller, 1, 1000), 1);
  OK(connect(client, (void *)&name, sizeof name));
  CHECK_ERR(connect(client, (void *)&name, sizeof name), EISCONN);
  // The backlog is full: this one waits in vain.
  int late = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(setsockopt(late, SOL_SOCKET, SO_SNDTIMEO, &some, sizeof some));
  alarm(20);
  CHECK_ERR(connect(late, (void *)&name, sizeof name), EINPROGRESS);
}

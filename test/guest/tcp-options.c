// SPDX-License-Identifier: Apache-2.0
// Options of TCP sockets: what an untouched one has, which values are taken, and what they do (tcp(7),
// ip(7), ipv6(7)).
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "check.h"

#ifndef TCP_INQ
#define TCP_INQ 36
#endif

static struct sockaddr_in at;
static int listener, client, server;

static int new_socket(void) { return OK(socket(AF_INET, SOCK_STREAM, 0)); }

static int put(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

static int get(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, level, name, &value, &length));
  return value;
}

static void make_listener(void) {
  listener = new_socket();
  at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  OK(bind(listener, (void *)&at, sizeof at));
  OK(listen(listener, 5));
  socklen_t length = sizeof at;
  OK(getsockname(listener, (void *)&at, &length));
}

static void make_pair(void) {
  make_listener();
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  server = OK(accept(listener, NULL, NULL));
}

// `low` and `high` are the ends of what is taken.
static void range(int name, int low, int high) {
  int fd = new_socket();
  CHECK_ERR(put(fd, IPPROTO_TCP, name, low - 1), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_TCP, name, high + 1), EINVAL);
  OK(put(fd, IPPROTO_TCP, name, low));
  CHECK_EQ(get(fd, IPPROTO_TCP, name), low);
  OK(put(fd, IPPROTO_TCP, name, high));
  CHECK_EQ(get(fd, IPPROTO_TCP, name), high);
  int value = low;
  CHECK_ERR(setsockopt(fd, IPPROTO_TCP, name, &value, 3), EINVAL);
  CHECK_ERR(setsockopt(fd, IPPROTO_TCP, name, (void *)8, 4), EFAULT);
  socklen_t length = 2;
  OK(getsockopt(fd, IPPROTO_TCP, name, &value, &length));
  CHECK_EQ(length, 2);
}

TEST(keepidle) {
  CHECK_EQ(get(new_socket(), IPPROTO_TCP, TCP_KEEPIDLE), 7200);
  range(TCP_KEEPIDLE, 1, 32767);
}

TEST(keepintvl) {
  CHECK_EQ(get(new_socket(), IPPROTO_TCP, TCP_KEEPINTVL), 75);
  range(TCP_KEEPINTVL, 1, 32767);
}

TEST(keepcnt) {
  CHECK_EQ(get(new_socket(), IPPROTO_TCP, TCP_KEEPCNT), 9);
  range(TCP_KEEPCNT, 1, 127);
}

TEST(syncnt) {
  CHECK_EQ(get(new_socket(), IPPROTO_TCP, TCP_SYNCNT), 6);
  range(TCP_SYNCNT, 1, 127);
}

TEST(flags_of_zero_and_one) {
  range(TCP_INQ, 0, 1);
  range(TCP_FASTOPEN_CONNECT, 0, 1);
  range(TCP_SAVE_SYN, 0, 2);
}

TEST(nodelay_and_quickack) {
  int fd = new_socket();
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_NODELAY), 0);
  OK(put(fd, IPPROTO_TCP, TCP_NODELAY, 50));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  OK(put(fd, IPPROTO_TCP, TCP_NODELAY, 0));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_NODELAY), 0);
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_QUICKACK), 1);
  OK(put(fd, IPPROTO_TCP, TCP_QUICKACK, 0));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_QUICKACK), 0);
}

TEST(maxseg) {
  int fd = new_socket();
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_MAXSEG), 536);
  CHECK_ERR(put(fd, IPPROTO_TCP, TCP_MAXSEG, 87), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_TCP, TCP_MAXSEG, 32768), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_TCP, TCP_MAXSEG, -1), EINVAL);
  OK(put(fd, IPPROTO_TCP, TCP_MAXSEG, 88));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_MAXSEG), 88);
  OK(put(fd, IPPROTO_TCP, TCP_MAXSEG, 0));
}

TEST(linger2) {
  int fd = new_socket();
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_LINGER2), 60);
  OK(put(fd, IPPROTO_TCP, TCP_LINGER2, 10));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_LINGER2), 10);
  OK(put(fd, IPPROTO_TCP, TCP_LINGER2, 121));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_LINGER2), 120);
  OK(put(fd, IPPROTO_TCP, TCP_LINGER2, -5));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_LINGER2), -1);
  OK(put(fd, IPPROTO_TCP, TCP_LINGER2, 0));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_LINGER2), 60);
}

TEST(user_timeout) {
  int fd = new_socket();
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
  CHECK_ERR(put(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, -1), EINVAL);
  OK(put(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1000);
}

TEST(window_clamp) {
  int fd = new_socket();
  OK(put(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 0));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP), 0);
  OK(put(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 1));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP), 1152);
  OK(put(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 4000));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP), 4000);
  make_pair();
  CHECK_ERR(put(client, IPPROTO_TCP, TCP_WINDOW_CLAMP, 0), EINVAL);
}

TEST(defer_accept_is_rounded) {
  int fd = new_socket();
  static const int pairs[][2] = {{0, 0}, {-3, 0}, {1, 1}, {2, 3}, {3, 3}, {5, 7}, {10, 15}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    OK(put(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, pairs[i][0]));
    CHECK_EQ(get(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), pairs[i][1]);
  }
}

TEST(defer_accept_waits_for_data) {
  make_listener();
  OK(put(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 60));
  OK(fcntl(listener, F_SETFL, O_NONBLOCK));
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  CHECK_ERR(accept(listener, NULL, NULL), EAGAIN);
  CHECK_EQ(write(client, "x", 1), 1);
  struct pollfd set = {listener, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  server = OK(accept(listener, NULL, NULL));
  char c;
  CHECK_EQ(read(server, &c, 1), 1);
}

TEST(congestion) {
  int fd = new_socket();
  char name[16] = "";
  socklen_t length = sizeof name;
  OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
  CHECK_EQ(length, 16);
  CHECK(name[0] != 0);
  OK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
  memset(name, 'x', sizeof name);
  OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
  CHECK_STR(name, "reno");
  length = 3;
  OK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
  CHECK_EQ(length, 3);
  CHECK_ERR(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8), ENOENT);
  CHECK_ERR(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 0), EINVAL);
  make_listener();
  OK(setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 5));
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  server = OK(accept(listener, NULL, NULL));
  length = sizeof name;
  OK(getsockopt(server, IPPROTO_TCP, TCP_CONGESTION, name, &length));
  CHECK_STR(name, "reno");
}

TEST(fastopen) {
  int fd = new_socket();
  CHECK_ERR(put(fd, IPPROTO_TCP, TCP_FASTOPEN, -1), EINVAL);
  OK(put(fd, IPPROTO_TCP, TCP_FASTOPEN, 5));
  CHECK_EQ(get(fd, IPPROTO_TCP, TCP_FASTOPEN), 5);
  make_pair();
  CHECK_ERR(put(client, IPPROTO_TCP, TCP_FASTOPEN, 5), EINVAL);
  CHECK_ERR(put(client, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), EINVAL);
}

TEST(unknown_options) {
  int fd = new_socket(), value = 1;
  socklen_t length = sizeof value;
  CHECK_ERR(put(fd, IPPROTO_TCP, 255, 1), ENOPROTOOPT);
  CHECK_ERR(getsockopt(fd, IPPROTO_TCP, 255, &value, &length), ENOPROTOOPT);
  CHECK_ERR(put(fd, IPPROTO_TCP, TCP_INFO, 1), ENOPROTOOPT);
  CHECK_ERR(put(fd, 999, 1, 1), ENOPROTOOPT);
  CHECK_ERR(getsockopt(fd, 999, 1, &value, &length), EOPNOTSUPP);
  CHECK_ERR(put(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), ENOPROTOOPT);
  CHECK_ERR(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &length), EOPNOTSUPP);
  CHECK_ERR(put(fd, IPPROTO_UDP, 1, 1), ENOPROTOOPT);
  int udp = OK(socket(AF_INET, SOCK_DGRAM, 0));
  CHECK_ERR(put(udp, IPPROTO_TCP, TCP_NODELAY, 1), ENOPROTOOPT);
  CHECK_ERR(getsockopt(udp, IPPROTO_TCP, TCP_NODELAY, &value, &length), EOPNOTSUPP);
  int six = OK(socket(AF_INET6, SOCK_STREAM, 0));
  CHECK_ERR(getsockopt(six, 999, 1, &value, &length), ENOPROTOOPT);
  OK(put(six, IPPROTO_IP, IP_TOS, 16));
}

TEST(ip_options_of_a_stream) {
  int fd = new_socket();
  CHECK_EQ(get(fd, IPPROTO_IP, IP_TTL), 64);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_TTL, 0), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_TTL, 256), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_TTL, -2), EINVAL);
  OK(put(fd, IPPROTO_IP, IP_TTL, 1));
  CHECK_EQ(get(fd, IPPROTO_IP, IP_TTL), 1);
  OK(put(fd, IPPROTO_IP, IP_TTL, -1));
  CHECK_EQ(get(fd, IPPROTO_IP, IP_TTL), 64);
  OK(put(fd, IPPROTO_IP, IP_TOS, 0xff));
  CHECK_EQ(get(fd, IPPROTO_IP, IP_TOS), 0xfc);
  unsigned char byte = 0x10;
  OK(setsockopt(fd, IPPROTO_IP, IP_TOS, &byte, 1));
  CHECK_EQ(get(fd, IPPROTO_IP, IP_TOS), 0x10);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_HDRINCL, 1), ENOPROTOOPT);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_MTU_DISCOVER, 6), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_IP, IP_MINTTL, 256), EINVAL);
  int value;
  socklen_t length = sizeof value;
  CHECK_ERR(getsockopt(fd, IPPROTO_IP, IP_MTU, &value, &length), ENOTCONN);
  make_pair();
  CHECK_EQ(get(client, IPPROTO_IP, IP_MTU), 65535);
}

TEST(ipv6_options_of_a_stream) {
  int fd = OK(socket(AF_INET6, SOCK_STREAM, 0));
  CHECK_EQ(get(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64);
  CHECK_ERR(put(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -2), EINVAL);
  OK(put(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0));
  CHECK_EQ(get(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 0);
  OK(put(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1));
  CHECK_EQ(get(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64);
  CHECK_ERR(put(fd, IPPROTO_IPV6, IPV6_TCLASS, 256), EINVAL);
  CHECK_ERR(put(fd, IPPROTO_IPV6, IPV6_TCLASS, -2), EINVAL);
  OK(put(fd, IPPROTO_IPV6, IPV6_TCLASS, 0x20));
  CHECK_EQ(get(fd, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
  OK(put(fd, IPPROTO_IPV6, IPV6_TCLASS, -1));
  CHECK_EQ(get(fd, IPPROTO_IPV6, IPV6_TCLASS), 0);
  CHECK_ERR(put(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1), ENOPROTOOPT);
  CHECK_EQ(get(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
  OK(put(fd, IPPROTO_IPV6, IPV6_V6ONLY, 7));
  CHECK_EQ(get(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
  int value = 0;
  CHECK_ERR(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, 3), EINVAL);
  struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  OK(bind(fd, (void *)&name, sizeof name));
  CHECK_ERR(put(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0), EINVAL);
}

TEST(info_counts_bytes) {
  make_pair();
  char text[100] = "";
  CHECK_EQ(write(client, text, 100), 100);
  CHECK_EQ(recv(server, text, 100, MSG_WAITALL), 100);
  CHECK_EQ(write(server, text, 50), 50);
  CHECK_EQ(recv(client, text, 50, MSG_WAITALL), 50);
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  OK(getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &length));
  CHECK_EQ(info.tcpi_state, TCP_ESTABLISHED);
  CHECK_EQ(info.tcpi_options & 7, 7);
  CHECK(info.tcpi_rto >= 200000);
  CHECK(info.tcpi_snd_cwnd >= 10);
  CHECK(info.tcpi_snd_mss > 536);
  CHECK(info.tcpi_rtt > 0);
  CHECK(info.tcpi_pmtu > 1500);
  CHECK(info.tcpi_snd_ssthresh > 0xffff);
  length = 5;
  OK(getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &length));
  CHECK_EQ(length, 5);
  OK(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length));
  CHECK_EQ(info.tcpi_state, TCP_LISTEN);
}

TEST(cork_holds_back) {
  make_pair();
  char text[8];
  OK(put(client, IPPROTO_TCP, TCP_CORK, 1));
  CHECK_EQ(write(client, "ab", 2), 2);
  CHECK_ERR(recv(server, text, 8, MSG_DONTWAIT), EAGAIN);
  int waiting = 0;
  OK(ioctl(client, SIOCOUTQ, &waiting));
  CHECK_EQ(waiting, 2);
  CHECK_EQ(write(client, "cd", 2), 2);
  OK(put(client, IPPROTO_TCP, TCP_CORK, 0));
  CHECK_EQ(recv(server, text, 8, 0), 4);
}

TEST(cork_ends_by_itself) {
  make_pair();
  char c;
  OK(put(client, IPPROTO_TCP, TCP_CORK, 1));
  CHECK_EQ(write(client, "a", 1), 1);
  CHECK_EQ(recv(server, &c, 1, 0), 1);
}

TEST(nodelay_pushes_what_is_corked) {
  make_pair();
  char c;
  OK(put(client, IPPROTO_TCP, TCP_CORK, 1));
  CHECK_EQ(write(client, "a", 1), 1);
  OK(put(client, IPPROTO_TCP, TCP_NODELAY, 1));
  CHECK_EQ(recv(server, &c, 1, 0), 1);
}

TEST(msg_more_holds_back) {
  make_pair();
  char text[8];
  CHECK_EQ(send(client, "ab", 2, MSG_MORE), 2);
  CHECK_ERR(recv(server, text, 8, MSG_DONTWAIT), EAGAIN);
  CHECK_EQ(send(client, "cd", 2, 0), 2);
  CHECK_EQ(recv(server, text, 8, 0), 4);
  CHECK_EQ(send(client, "ef", 2, MSG_MORE), 2);
  OK(shutdown(client, SHUT_WR));
  CHECK_EQ(recv(server, text, 8, MSG_WAITALL), 2);
}

TEST(inq_tells_what_remains) {
  make_pair();
  OK(put(server, IPPROTO_TCP, TCP_INQ, 1));
  CHECK_EQ(write(client, "abcde", 5), 5);
  struct pollfd set = {server, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  char text[2];
  struct iovec part = {text, 2};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  CHECK_EQ(recvmsg(server, &message, 0), 2);
  struct cmsghdr *told = CMSG_FIRSTHDR(&message);
  CHECK(told != NULL);
  CHECK_EQ(told->cmsg_level, IPPROTO_TCP);
  CHECK_EQ(told->cmsg_type, TCP_INQ);
  CHECK_EQ(*(int *)CMSG_DATA(told), 3);
}

TEST(saved_syn) {
  make_listener();
  OK(put(listener, IPPROTO_TCP, TCP_SAVE_SYN, 1));
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  server = OK(accept(listener, NULL, NULL));
  unsigned char bytes[200];
  socklen_t length = sizeof bytes;
  OK(getsockopt(server, IPPROTO_TCP, TCP_SAVED_SYN, bytes, &length));
  CHECK_EQ(length, 60);
  CHECK_EQ(bytes[0], 0x45);
  CHECK_EQ(bytes[9], IPPROTO_TCP);
  CHECK_EQ(memcmp(bytes + 22, &at.sin_port, 2), 0);
  CHECK_EQ(bytes[33], 2);
  length = sizeof bytes;
  OK(getsockopt(server, IPPROTO_TCP, TCP_SAVED_SYN, bytes, &length));
  CHECK_EQ(length, 0);
}

TEST(accepted_sockets_inherit) {
  make_listener();
  OK(put(listener, IPPROTO_TCP, TCP_NODELAY, 1));
  OK(put(listener, IPPROTO_TCP, TCP_KEEPIDLE, 33));
  OK(put(listener, SOL_SOCKET, SO_KEEPALIVE, 1));
  OK(put(listener, SOL_SOCKET, SO_OOBINLINE, 1));
  OK(put(listener, IPPROTO_IP, IP_TTL, 9));
  struct linger value = {1, 7};
  OK(setsockopt(listener, SOL_SOCKET, SO_LINGER, &value, sizeof value));
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  server = OK(accept(listener, NULL, NULL));
  CHECK_EQ(get(server, IPPROTO_TCP, TCP_NODELAY), 1);
  CHECK_EQ(get(server, IPPROTO_TCP, TCP_KEEPIDLE), 33);
  CHECK_EQ(get(server, SOL_SOCKET, SO_KEEPALIVE), 1);
  CHECK_EQ(get(server, SOL_SOCKET, SO_OOBINLINE), 1);
  CHECK_EQ(get(server, IPPROTO_IP, IP_TTL), 9);
  socklen_t length = sizeof value;
  OK(getsockopt(server, SOL_SOCKET, SO_LINGER, &value, &length));
  CHECK_EQ(value.l_linger, 7);
}

TEST(receive_low_water) {
  make_pair();
  OK(put(server, SOL_SOCKET, SO_RCVLOWAT, 4));
  struct pollfd set = {server, POLLIN, 0};
  CHECK_EQ(write(client, "ab", 2), 2);
  sleep_ms(20);
  CHECK_EQ(poll(&set, 1, 0), 0);
  char text[8];
  CHECK_EQ(recv(server, text, 8, MSG_DONTWAIT), 2);
  pid_t pid = OK(fork());
  if (pid == 0) {
    CHECK_EQ(recv(server, text, 8, 0), 4);
    _exit(0);
  }
  until_asleep(pid);
  CHECK_EQ(write(client, "abcd", 4), 4);
  CHECK_EXIT(pid, 0);
  OK(put(server, SOL_SOCKET, SO_RCVLOWAT, -1));
  CHECK(get(server, SOL_SOCKET, SO_RCVLOWAT) > 65536);
  OK(put(server, SOL_SOCKET, SO_RCVLOWAT, 0));
  CHECK_EQ(get(server, SOL_SOCKET, SO_RCVLOWAT), 1);
}

TEST(send_buffer_has_an_end) {
  make_pair();
  OK(put(client, SOL_SOCKET, SO_SNDBUF, 8192));
  OK(put(server, SOL_SOCKET, SO_RCVBUF, 8192));
  OK(fcntl(client, F_SETFL, O_NONBLOCK));
  static char block[4096];
  size_t sent = 0;
  for (ssize_t n; (n = write(client, block, sizeof block)) > 0;) sent += n;
  CHECK_EQ(errno, EAGAIN);
  CHECK(sent < 2 << 20);
  struct pollfd set = {client, POLLOUT, 0};
  CHECK_EQ(poll(&set, 1, 0), 0);
  int waiting = 0;
  OK(ioctl(client, SIOCOUTQ, &waiting));
  CHECK(waiting > 0);
  size_t got = 0;
  OK(fcntl(server, F_SETFL, O_NONBLOCK));
  for (int tries = 0; got < sent && tries < 60000; tries++) {
    ssize_t n = read(server, block, sizeof block);
    if (n > 0)
      got += n;
    else
      sleep_ms(1);
  }
  CHECK_EQ(got, sent);
  CHECK_EQ(poll(&set, 1, 60000), 1);
}

static volatile int urgent_signals;
static void count_urgent(int signal) { urgent_signals += signal == SIGURG; }

TEST(urgent_byte_apart) {
  make_pair();
  signal(SIGURG, count_urgent);
  OK(fcntl(server, F_SETOWN, getpid()));
  CHECK_EQ(send(client, "abX", 3, MSG_OOB), 3);
  struct pollfd set = {server, POLLPRI, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK(urgent_signals > 0);
  int mark = -1, count = -1;
  OK(ioctl(server, SIOCATMARK, &mark));
  CHECK_EQ(mark, 0);
  OK(ioctl(server, FIONREAD, &count));
  CHECK_EQ(count, 2);
  char text[8] = "";
  CHECK_EQ(recv(server, text, 1, MSG_OOB | MSG_PEEK), 1);
  CHECK_EQ(text[0], 'X');
  CHECK_EQ(recv(server, text, 8, MSG_OOB), 1);
  CHECK_EQ(text[0], 'X');
  CHECK_ERR(recv(server, text, 8, MSG_OOB), EINVAL);
  CHECK_EQ(poll(&set, 1, 0), 0);
  CHECK_EQ(write(client, "cd", 2), 2);
  CHECK_EQ(recv(server, text, 8, 0), 2);
  CHECK_EQ(text[1], 'b');
  OK(ioctl(server, SIOCATMARK, &mark));
  CHECK_EQ(mark, 1);
  CHECK_EQ(recv(server, text, 8, 0), 2);
  CHECK_EQ(text[0], 'c');
  OK(ioctl(server, SIOCATMARK, &mark));
  CHECK_EQ(mark, 0);
}

TEST(urgent_byte_inline) {
  make_pair();
  OK(put(server, SOL_SOCKET, SO_OOBINLINE, 1));
  CHECK_EQ(send(client, "ab", 2, 0), 2);
  CHECK_EQ(send(client, "X", 1, MSG_OOB), 1);
  struct pollfd set = {server, POLLPRI, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  char text[8] = "";
  CHECK_ERR(recv(server, text, 8, MSG_OOB), EINVAL);
  CHECK_EQ(recv(server, text, 8, 0), 2);
  int mark = -1;
  OK(ioctl(server, SIOCATMARK, &mark));
  CHECK_EQ(mark, 1);
  CHECK_EQ(recv(server, text, 8, 0), 1);
  CHECK_EQ(text[0], 'X');
}

TEST(no_urgent_byte) {
  make_pair();
  char c;
  CHECK_ERR(recv(server, &c, 1, MSG_OOB), EINVAL);
  OK(shutdown(client, SHUT_WR));
  sleep_ms(20);
  CHECK_ERR(recv(server, &c, 1, MSG_OOB), EINVAL);
}

TEST(receive_flags) {
  make_pair();
  CHECK_EQ(write(client, "abcdef", 6), 6);
  char text[8] = "";
  CHECK_EQ(recv(server, text, 3, MSG_PEEK | MSG_WAITALL), 3);
  CHECK_EQ(recv(server, NULL, 2, MSG_TRUNC), 2);
  CHECK_EQ(recv(server, text, 8, 0), 4);
  CHECK_EQ(text[0], 'c');
  CHECK_ERR(recv(server, text, 0, MSG_DONTWAIT), EAGAIN);
  CHECK_EQ(read(server, text, 0), 0);
  CHECK_ERR(recv(server, text, 8, MSG_ERRQUEUE), EAGAIN);
}

TEST(sockets_send_to_any_address) {
  make_pair();
  struct sockaddr_in other = {.sin_family = AF_INET, .sin_port = 7};
  CHECK_EQ(sendto(client, "x", 1, 0, (void *)&other, sizeof other), 1);
  char c;
  socklen_t length = sizeof other;
  CHECK_EQ(recvfrom(server, &c, 1, 0, (void *)&other, &length), 1);
  CHECK_EQ(length, 0);
}

TEST(bind_address_without_port) {
  make_listener();
  int fd = new_socket();
  OK(put(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1));
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
  OK(bind(fd, (void *)&name, sizeof name));
  socklen_t length = sizeof name;
  OK(getsockname(fd, (void *)&name, &length));
  CHECK_EQ(name.sin_port, 0);
  OK(connect(fd, (void *)&at, sizeof at));
  OK(getsockname(fd, (void *)&name, &length));
  CHECK(name.sin_port != 0);
  CHECK_EQ(ntohl(name.sin_addr.s_addr), 0x7f000002);
}

TEST(local_port_range) {
  make_listener();
  int fd = new_socket();
  CHECK_ERR(put(fd, IPPROTO_IP, 51, 40000 | 39000 << 16), EINVAL);
  OK(put(fd, IPPROTO_IP, 51, 41000 | 41100u << 16));
  OK(connect(fd, (void *)&at, sizeof at));
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  OK(getsockname(fd, (void *)&name, &length));
  CHECK(ntohs(name.sin_port) >= 41000 && ntohs(name.sin_port) <= 41100);
}

TEST(freebind) {
  int fd = new_socket();
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0a8fe63)};
  CHECK_ERR(bind(fd, (void *)&name, sizeof name), EADDRNOTAVAIL);
  OK(put(fd, IPPROTO_IP, IP_FREEBIND, 1));
  OK(bind(fd, (void *)&name, sizeof name));
}

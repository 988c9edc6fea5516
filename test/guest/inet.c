// SPDX-License-Identifier: Apache-2.0
// TCP and UDP over the loopback device: ip(7), tcp(7), udp(7), IPv6, socket options.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "check.h"

static struct sockaddr_in name4;

static int tcp_listener(void) {
  int fd = OK(socket(AF_INET, SOCK_STREAM, 0));
  name4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  OK(bind(fd, (void *)&name4, sizeof name4));
  OK(listen(fd, 5));
  socklen_t length = sizeof name4;
  OK(getsockname(fd, (void *)&name4, &length));
  CHECK(name4.sin_port != 0);
  return fd;
}

static int tcp_connect(void) {
  int fd = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(connect(fd, (void *)&name4, sizeof name4));
  return fd;
}

TEST(tcp_echo) {
  int server = tcp_listener();
  int client = tcp_connect();
  struct sockaddr_in peer_name;
  socklen_t length = sizeof peer_name;
  int peer = OK(accept(server, (void *)&peer_name, &length));
  CHECK_EQ(length, sizeof peer_name);
  CHECK_EQ(ntohl(peer_name.sin_addr.s_addr), INADDR_LOOPBACK);
  CHECK_EQ(write(client, "ping", 4), 4);
  char text[8] = "";
  CHECK_EQ(read(peer, text, 8), 4);
  CHECK_STR(text, "ping");
  CHECK_EQ(send(peer, "pong", 4, 0), 4);
  CHECK_EQ(recv(client, text, 8, 0), 4);
  OK(shutdown(client, SHUT_WR));
  CHECK_EQ(read(peer, text, 8), 0);
  CHECK_EQ(write(peer, "late", 4), 4);
  CHECK_EQ(read(client, text, 8), 4);
  close(peer);
  CHECK_EQ(read(client, text, 8), 0);
}

TEST(tcp_refused_and_in_use) {
  int server = tcp_listener();
  CHECK_ERR(bind(OK(socket(AF_INET, SOCK_STREAM, 0)), (void *)&name4, sizeof name4), EADDRINUSE);
  close(server);
  int fd = OK(socket(AF_INET, SOCK_STREAM, 0));
  CHECK_ERR(connect(fd, (void *)&name4, sizeof name4), ECONNREFUSED);
  name4.sin_addr.s_addr = inet_addr("8.8.8.1");
  CHECK_ERR(bind(OK(socket(AF_INET, SOCK_STREAM, 0)), (void *)&name4, sizeof name4), EADDRNOTAVAIL);
}

TEST(tcp_nonblocking_connect) {
  int server = tcp_listener();
  int fd = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  if (connect(fd, (void *)&name4, sizeof name4) < 0) CHECK_EQ(errno, EINPROGRESS);
  struct pollfd set = {fd, POLLOUT, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  int error = 5;
  socklen_t length = sizeof error;
  OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
  CHECK_EQ(error, 0);
  OK(connect(fd, (void *)&name4, sizeof name4));  // tells once of the success
  CHECK_ERR(connect(fd, (void *)&name4, sizeof name4), EISCONN);
  OK(accept(server, NULL, NULL));
  OK(fcntl(server, F_SETFL, O_NONBLOCK));
  CHECK_ERR(accept(server, NULL, NULL), EAGAIN);
  char c;
  CHECK_ERR(read(fd, &c, 1), EAGAIN);
}

TEST(tcp_many_bytes) {
  int server = tcp_listener();
  size_t size = 5 << 20;
  pid_t pid = OK(fork());
  if (pid == 0) {
    int fd = tcp_connect();
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++) data[i] = i % 241;
    for (size_t sent = 0; sent < size;) sent += OK(write(fd, data + sent, size - sent));
    _exit(0);
  }
  int peer = OK(accept(server, NULL, NULL));
  size_t total = 0;
  static char block[100000];
  for (ssize_t n; (n = OK(read(peer, block, sizeof block))) > 0; total += n) {
    for (ssize_t i = 0; i < n; i++) CHECK_EQ((unsigned char)block[i], (total + i) % 241);
  }
  CHECK_EQ(total, size);
  CHECK_EXIT(pid, 0);
}

TEST(tcp_reset_on_unread_data) {
  int server = tcp_listener(), client = tcp_connect();
  int peer = OK(accept(server, NULL, NULL));
  CHECK_EQ(write(client, "unread", 6), 6);
  sleep_ms(20);
  close(peer);
  sleep_ms(20);
  char c;
  CHECK_ERR(read(client, &c, 1), ECONNRESET);
}

TEST(tcp_options) {
  int fd = OK(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)), value = 1;
  socklen_t length = sizeof value;
  OK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
  OK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value));
  OK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value));
  value = 0;
  OK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length));
  CHECK_EQ(value, 1);
  OK(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length));
  CHECK(value > 1000);
  OK(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &length));
  CHECK_EQ(value, IPPROTO_TCP);
  CHECK_ERR(setsockopt(fd, IPPROTO_TCP, 9999, &value, sizeof value), ENOPROTOOPT);
  CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, 1), EINVAL);
}

TEST(udp_datagrams) {
  int server = OK(socket(AF_INET, SOCK_DGRAM, 0)), client = OK(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  OK(bind(server, (void *)&name, sizeof name));
  socklen_t length = sizeof name;
  OK(getsockname(server, (void *)&name, &length));
  CHECK_EQ(sendto(client, "one", 3, 0, (void *)&name, sizeof name), 3);
  CHECK_EQ(sendto(client, "", 0, 0, (void *)&name, sizeof name), 0);
  char text[8];
  struct sockaddr_in from;
  length = sizeof from;
  CHECK_EQ(recvfrom(server, text, 8, 0, (void *)&from, &length), 3);
  CHECK_EQ(sendto(server, "two", 3, 0, (void *)&from, length), 3);
  CHECK_EQ(recv(server, text, 8, 0), 0);
  CHECK_EQ(recv(client, text, 2, MSG_TRUNC), 3);
  CHECK_ERR(recv(client, text, 2, MSG_DONTWAIT), EAGAIN);
  // A connected socket hears of a closed port.
  OK(connect(client, (void *)&name, sizeof name));
  close(server);
  CHECK_EQ(send(client, "x", 1, 0), 1);
  sleep_ms(10);
  CHECK_ERR(recv(client, text, 8, MSG_DONTWAIT), ECONNREFUSED);
}

TEST(ipv6_loopback) {
  int server = socket(AF_INET6, SOCK_STREAM, 0);
  if (server < 0 && errno == EAFNOSUPPORT) SKIP("no IPv6");
  struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  if (bind(server, (void *)&name, sizeof name) < 0 && errno == EADDRNOTAVAIL) SKIP("no ::1");
  OK(listen(server, 1));
  socklen_t length = sizeof name;
  OK(getsockname(server, (void *)&name, &length));
  int client = OK(socket(AF_INET6, SOCK_STREAM, 0));
  OK(connect(client, (void *)&name, sizeof name));
  int peer = OK(accept(server, NULL, NULL));
  CHECK_EQ(write(peer, "six", 3), 3);
  char text[4];
  CHECK_EQ(read(client, text, 4), 3);
}

TEST(loopback_device) {
  int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
  struct ifreq request = {.ifr_name = "lo"};
  OK(ioctl(fd, SIOCGIFFLAGS, &request));
  CHECK_EQ(request.ifr_flags & (IFF_UP | IFF_LOOPBACK), IFF_UP | IFF_LOOPBACK);
  OK(ioctl(fd, SIOCGIFINDEX, &request));
  CHECK_EQ(if_nametoindex("lo"), request.ifr_ifindex);
}

// SPDX-License-Identifier: Apache-2.0
// The states of TCP sockets over loopback: what each call says before, while and after a connection is
// there (tcp(7), connect(2), shutdown(2), RFC 9293).
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "check.h"

static struct sockaddr_in at;
static int listener, client, server;

static void name_loopback(void) {
  at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void name_loopback_port(void) { at.sin_addr.s_addr = htonl(INADDR_LOOPBACK); }

static int new_socket(void) { return OK(socket(AF_INET, SOCK_STREAM, 0)); }

static void set(int fd, int level, int name, int value) {
  OK(setsockopt(fd, level, name, &value, sizeof value));
}

static int get(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  OK(getsockopt(fd, level, name, &value, &length));
  return value;
}

static void listen_with(int backlog) {
  listener = new_socket();
  name_loopback();
  OK(bind(listener, (void *)&at, sizeof at));
  OK(listen(listener, backlog));
  socklen_t length = sizeof at;
  OK(getsockname(listener, (void *)&at, &length));
}

static void make_pair(void) {
  listen_with(5);
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  server = OK(accept(listener, NULL, NULL));
}

static int state(int fd) {
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
  return info.tcpi_state;
}

static int events(int fd) {
  struct pollfd set = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
  OK(poll(&set, 1, 0));
  return set.revents;
}

// Until `fd` shows all of `wanted`.
static int until(int fd, int wanted) {
  struct pollfd set = {fd, wanted, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  return set.revents;
}

static void until_state(int fd, int wanted) {
  for (int tries = 0; state(fd) != wanted; tries++) {
    CHECK(tries < 6000);
    sleep_ms(10);
  }
}

static void linger(int fd, int on, int seconds) {
  struct linger value = {on, seconds};
  OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof value));
}

TEST(fresh_socket) {
  int fd = new_socket();
  char c;
  CHECK_EQ(state(fd), TCP_CLOSE);
  CHECK_EQ(events(fd), POLLOUT | POLLHUP);
  CHECK_ERR(read(fd, &c, 1), ENOTCONN);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(fd, "x", 1), EPIPE);
  CHECK_ERR(shutdown(fd, SHUT_RDWR), ENOTCONN);
  CHECK_ERR(accept(fd, NULL, NULL), EINVAL);
  CHECK_ERR(recv(fd, &c, 1, MSG_OOB), EINVAL);
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  CHECK_ERR(getpeername(fd, (void *)&name, &length), ENOTCONN);
}

TEST(listening_socket) {
  listen_with(1);
  char c;
  int count;
  signal(SIGPIPE, SIG_IGN);
  CHECK_EQ(state(listener), TCP_LISTEN);
  CHECK_EQ(events(listener), 0);
  CHECK_ERR(read(listener, &c, 1), ENOTCONN);
  CHECK_ERR(write(listener, "x", 1), EPIPE);
  CHECK_ERR(ioctl(listener, FIONREAD, &count), EINVAL);
  CHECK_ERR(connect(listener, (void *)&at, sizeof at), EISCONN);
  CHECK_ERR(bind(listener, (void *)&at, sizeof at), EINVAL);
  OK(listen(listener, 7));
  OK(shutdown(listener, SHUT_WR));
  CHECK_EQ(state(listener), TCP_LISTEN);
  OK(shutdown(listener, SHUT_RD));
  CHECK_EQ(state(listener), TCP_CLOSE);
  CHECK_ERR(accept(listener, NULL, NULL), EINVAL);
  CHECK_ERR(connect(new_socket(), (void *)&at, sizeof at), ECONNREFUSED);
  // The port that it was given is not its own any more.
  OK(listen(listener, 1));
  socklen_t length = sizeof at;
  OK(getsockname(listener, (void *)&at, &length));
  name_loopback_port();
  OK(connect(new_socket(), (void *)&at, sizeof at));
}

TEST(connected_socket) {
  make_pair();
  CHECK_EQ(state(client), TCP_ESTABLISHED);
  CHECK_EQ(state(server), TCP_ESTABLISHED);
  CHECK_EQ(events(client), POLLOUT);
  CHECK_ERR(connect(client, (void *)&at, sizeof at), EISCONN);
  CHECK_ERR(connect(server, (void *)&at, sizeof at), EISCONN);
  CHECK_ERR(listen(client, 1), EINVAL);
  CHECK_ERR(bind(client, (void *)&at, sizeof at), EINVAL);
  CHECK_ERR(accept(client, NULL, NULL), EINVAL);
}

TEST(half_close) {
  make_pair();
  char c;
  OK(shutdown(client, SHUT_WR));
  until(server, POLLRDHUP);
  until_state(client, TCP_FIN_WAIT2);
  CHECK_EQ(state(server), TCP_CLOSE_WAIT);
  CHECK_EQ(events(server), POLLIN | POLLOUT | POLLRDHUP);
  CHECK_EQ(events(client), POLLOUT);
  CHECK_EQ(read(server, &c, 1), 0);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(client, "x", 1), EPIPE);
  CHECK_EQ(write(server, "y", 1), 1);
  CHECK_EQ(read(client, &c, 1), 1);
  OK(shutdown(server, SHUT_WR));
  until(client, POLLRDHUP);
  until_state(client, TCP_CLOSE);
  until_state(server, TCP_CLOSE);
  CHECK_EQ(read(client, &c, 1), 0);
  CHECK_EQ(events(client), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
  CHECK_ERR(shutdown(client, SHUT_WR), ENOTCONN);
}

TEST(shut_for_reading) {
  make_pair();
  char text[4];
  OK(shutdown(client, SHUT_RD));
  CHECK_EQ(state(client), TCP_ESTABLISHED);
  CHECK_EQ(events(client), POLLIN | POLLOUT | POLLRDHUP);
  CHECK_EQ(read(client, text, 1), 0);
  CHECK_EQ(write(server, "ab", 2), 2);
  sleep_ms(20);
  CHECK_EQ(read(client, text, 4), 2);
  CHECK_EQ(read(client, text, 4), 0);
  CHECK_EQ(write(client, "cd", 2), 2);
  CHECK_EQ(read(server, text, 4), 2);
}

TEST(data_after_a_full_shutdown_is_reset) {
  make_pair();
  char c;
  OK(shutdown(client, SHUT_RDWR));
  until(server, POLLRDHUP);
  until_state(client, TCP_FIN_WAIT2);
  CHECK_EQ(write(server, "x", 1), 1);
  until(server, POLLHUP);
  CHECK_EQ(state(server), TCP_CLOSE);
  CHECK_EQ(get(server, SOL_SOCKET, SO_ERROR), EPIPE);
  CHECK_EQ(read(server, &c, 1), 0);
}

TEST(time_wait_keeps_the_port) {
  make_pair();
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  OK(getsockname(client, (void *)&name, &length));
  char c;
  close(client);
  CHECK_EQ(read(server, &c, 1), 0);
  close(server);
  sleep_ms(50);
  int fd = new_socket();
  CHECK_ERR(bind(fd, (void *)&name, sizeof name), EADDRINUSE);
  // The one that is over had no SO_REUSEADDR either.
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  CHECK_ERR(bind(fd, (void *)&name, sizeof name), EADDRINUSE);
  close(listener);
  OK(bind(new_socket(), (void *)&at, sizeof at));
}

TEST(time_wait_of_a_server_needs_reuseaddr) {
  listener = new_socket();
  set(listener, SOL_SOCKET, SO_REUSEADDR, 1);
  name_loopback();
  OK(bind(listener, (void *)&at, sizeof at));
  OK(listen(listener, 1));
  socklen_t length = sizeof at;
  OK(getsockname(listener, (void *)&at, &length));
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  server = OK(accept(listener, NULL, NULL));
  close(listener);
  close(server);
  char c;
  CHECK_EQ(read(client, &c, 1), 0);
  close(client);
  sleep_ms(50);
  int fd = new_socket();
  CHECK_ERR(bind(fd, (void *)&at, sizeof at), EADDRINUSE);
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  OK(bind(fd, (void *)&at, sizeof at));
  OK(listen(fd, 1));
  OK(connect(new_socket(), (void *)&at, sizeof at));
}

TEST(fin_wait2_without_a_socket_keeps_the_port) {
  make_pair();
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  OK(getsockname(client, (void *)&name, &length));
  close(client);
  until(server, POLLRDHUP);
  CHECK_ERR(bind(new_socket(), (void *)&name, sizeof name), EADDRINUSE);
}

TEST(linger2_of_no_time_resets) {
  make_pair();
  set(client, IPPROTO_TCP, TCP_LINGER2, -1);
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  OK(getsockname(client, (void *)&name, &length));
  OK(shutdown(client, SHUT_WR));
  until(server, POLLRDHUP);
  until_state(client, TCP_FIN_WAIT2);
  close(client);
  until(server, POLLHUP);
  OK(bind(new_socket(), (void *)&name, sizeof name));
}

TEST(a_reset_leaves_no_time_wait) {
  make_pair();
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  OK(getsockname(client, (void *)&name, &length));
  linger(client, 1, 0);
  close(client);
  until(server, POLLHUP);
  OK(bind(new_socket(), (void *)&name, sizeof name));
}

TEST(after_a_reset) {
  make_pair();
  linger(client, 1, 0);
  CHECK_EQ(write(client, "data", 4), 4);
  close(client);
  until(server, POLLHUP);
  CHECK_EQ(state(server), TCP_CLOSE);
  CHECK_EQ(events(server), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  CHECK_ERR(getpeername(server, (void *)&name, &length), ENOTCONN);
  OK(getsockname(server, (void *)&name, &length));
  char text[8];
  CHECK_EQ(read(server, text, 1), 1);
  CHECK_EQ(read(server, text, 8), 3);
  CHECK_ERR(read(server, text, 8), ECONNRESET);
  CHECK_EQ(read(server, text, 8), 0);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(server, "x", 1), EPIPE);
  CHECK_EQ(get(server, SOL_SOCKET, SO_ERROR), 0);
  CHECK_ERR(shutdown(server, SHUT_WR), ENOTCONN);
}

TEST(a_write_tells_of_the_reset_first) {
  make_pair();
  linger(client, 1, 0);
  close(client);
  until(server, POLLHUP);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(server, "x", 1), ECONNRESET);
  CHECK_ERR(write(server, "x", 1), EPIPE);
}

TEST(so_error_tells_of_the_reset_once) {
  make_pair();
  linger(client, 1, 0);
  close(client);
  until(server, POLLHUP);
  CHECK_EQ(get(server, SOL_SOCKET, SO_ERROR), ECONNRESET);
  CHECK_EQ(get(server, SOL_SOCKET, SO_ERROR), 0);
  char c;
  CHECK_EQ(read(server, &c, 1), 0);
}

TEST(accept_gives_connections_that_were_reset) {
  listen_with(5);
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  linger(client, 1, 0);
  close(client);
  sleep_ms(20);
  struct sockaddr_in name = {0};
  socklen_t length = sizeof name;
  server = OK(accept(listener, (void *)&name, &length));
  CHECK_EQ(length, sizeof name);
  CHECK(name.sin_port != 0);
  CHECK_ERR(getpeername(server, (void *)&name, &length), ENOTCONN);
  char c;
  CHECK_ERR(read(server, &c, 1), ECONNRESET);
}

TEST(refused_connect) {
  listen_with(1);
  close(listener);
  int fd = new_socket();
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), ECONNREFUSED);
  CHECK_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0);
  char c;
  CHECK_ERR(read(fd, &c, 1), ENOTCONN);
  CHECK_EQ(events(fd), POLLOUT | POLLHUP);
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), ECONNREFUSED);
  listener = new_socket();
  OK(bind(listener, (void *)&at, sizeof at));
  OK(listen(listener, 1));
  OK(connect(fd, (void *)&at, sizeof at));
}

TEST(refused_nonblocking_connect) {
  listen_with(1);
  close(listener);
  int fd = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), EINPROGRESS);
  until(fd, POLLOUT);
  CHECK_EQ(events(fd), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
  CHECK_EQ(get(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
  char c;
  CHECK_EQ(read(fd, &c, 1), 0);
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), ECONNABORTED);
  CHECK_ERR(read(fd, &c, 1), ENOTCONN);
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), EINPROGRESS);
  until(fd, POLLOUT);
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), ECONNREFUSED);
}

TEST(read_tells_of_a_refused_connect) {
  listen_with(1);
  close(listener);
  int fd = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), EINPROGRESS);
  until(fd, POLLOUT);
  char c;
  CHECK_ERR(read(fd, &c, 1), ECONNREFUSED);
  CHECK_EQ(read(fd, &c, 1), 0);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(fd, "x", 1), EPIPE);
}

// Fills the backlog of a listener that accepts nothing, and begins one connection more.
static int waiting_client(void) {
  listen_with(0);
  OK(connect(new_socket(), (void *)&at, sizeof at));
  int fd = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), EINPROGRESS);
  return fd;
}

TEST(connecting_socket) {
  int fd = waiting_client();
  char c;
  CHECK_EQ(state(fd), TCP_SYN_SENT);
  CHECK_EQ(events(fd), 0);
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), EALREADY);
  CHECK_ERR(read(fd, &c, 1), EAGAIN);
  CHECK_ERR(write(fd, "x", 1), EAGAIN);
  CHECK_ERR(listen(fd, 1), EINVAL);
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  CHECK_ERR(getpeername(fd, (void *)&name, &length), ENOTCONN);
  OK(getsockname(fd, (void *)&name, &length));
  CHECK(name.sin_port != 0);
  CHECK_EQ(name.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  int count = -1;
  OK(ioctl(fd, FIONREAD, &count));
  CHECK_EQ(count, 0);
  OK(accept(listener, NULL, NULL));
  until(fd, POLLOUT);
  CHECK_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0);
  CHECK_EQ(state(fd), TCP_ESTABLISHED);
}

TEST(shutdown_while_connecting) {
  int fd = waiting_client();
  char c;
  OK(shutdown(fd, SHUT_RDWR));
  CHECK_EQ(state(fd), TCP_CLOSE);
  CHECK_EQ(get(fd, SOL_SOCKET, SO_ERROR), ECONNRESET);
  CHECK_ERR(read(fd, &c, 1), ENOTCONN);
  CHECK_ERR(shutdown(fd, SHUT_RDWR), ENOTCONN);
}

TEST(shutdown_ends_a_connect_that_waits) {
  listen_with(0);
  OK(connect(new_socket(), (void *)&at, sizeof at));
  int fd = new_socket();
  pid_t pid = OK(fork());
  if (pid == 0) {
    CHECK_ERR(connect(fd, (void *)&at, sizeof at), ECONNRESET);
    _exit(0);
  }
  until_asleep(pid);
  OK(shutdown(fd, SHUT_RDWR));
  CHECK_EXIT(pid, 0);
}

TEST(disconnect) {
  make_pair();
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  OK(connect(client, &none, sizeof none));
  CHECK_EQ(state(client), TCP_CLOSE);
  CHECK_EQ(get(client, SOL_SOCKET, SO_ERROR), ECONNRESET);
  char c;
  CHECK_ERR(read(client, &c, 1), ENOTCONN);
  CHECK_ERR(read(server, &c, 1), ECONNRESET);
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  CHECK_ERR(getpeername(client, (void *)&name, &length), ENOTCONN);
  OK(connect(client, (void *)&at, sizeof at));
  server = OK(accept(listener, NULL, NULL));
  CHECK_EQ(write(client, "x", 1), 1);
  CHECK_EQ(read(server, &c, 1), 1);
}

TEST(disconnect_of_a_listener) {
  listen_with(1);
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  OK(connect(listener, &none, sizeof none));
  CHECK_EQ(state(listener), TCP_CLOSE);
  CHECK_ERR(connect(new_socket(), (void *)&at, sizeof at), ECONNREFUSED);
  OK(listen(listener, 1));
}

TEST(self_connect) {
  int fd = new_socket();
  name_loopback();
  OK(bind(fd, (void *)&at, sizeof at));
  socklen_t length = sizeof at;
  OK(getsockname(fd, (void *)&at, &length));
  OK(connect(fd, (void *)&at, sizeof at));
  CHECK_EQ(state(fd), TCP_ESTABLISHED);
  char text[8];
  CHECK_EQ(write(fd, "self", 4), 4);
  CHECK_EQ(read(fd, text, 8), 4);
  OK(shutdown(fd, SHUT_WR));
  CHECK_EQ(read(fd, text, 8), 0);
  until_state(fd, TCP_CLOSE);
  close(fd);
}

TEST(addresses_of_a_pair_meet) {
  make_pair();
  struct sockaddr_in a, b;
  socklen_t length = sizeof a;
  OK(getsockname(client, (void *)&a, &length));
  OK(getpeername(server, (void *)&b, &length));
  CHECK_EQ(a.sin_port, b.sin_port);
  CHECK_EQ(a.sin_addr.s_addr, b.sin_addr.s_addr);
  OK(getsockname(server, (void *)&a, &length));
  CHECK_EQ(a.sin_port, at.sin_port);
}

TEST(a_tuple_in_use_is_not_available) {
  listen_with(5);
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int a = new_socket(), b = new_socket();
  set(a, SOL_SOCKET, SO_REUSEADDR, 1);
  set(b, SOL_SOCKET, SO_REUSEADDR, 1);
  OK(bind(a, (void *)&name, sizeof name));
  socklen_t length = sizeof name;
  OK(getsockname(a, (void *)&name, &length));
  OK(bind(b, (void *)&name, sizeof name));
  OK(connect(a, (void *)&at, sizeof at));
  CHECK_ERR(connect(b, (void *)&at, sizeof at), EADDRNOTAVAIL);
}

TEST(closing_a_listener_resets_its_queue) {
  listen_with(5);
  client = new_socket();
  OK(connect(client, (void *)&at, sizeof at));
  close(listener);
  until(client, POLLHUP);
  char c;
  CHECK_ERR(read(client, &c, 1), ECONNRESET);
}

TEST(backlog_counts) {
  listen_with(1);
  for (int i = 0; i < 2; i++) OK(connect(new_socket(), (void *)&at, sizeof at));
  int fd = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), EINPROGRESS);
  CHECK_EQ(events(fd), 0);
  OK(accept(listener, NULL, NULL));
  until(fd, POLLOUT);
}

TEST(user_timeout_ends_a_connect) {
  listen_with(0);
  OK(connect(new_socket(), (void *)&at, sizeof at));
  int fd = new_socket();
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1500);
  CHECK_ERR(connect(fd, (void *)&at, sizeof at), ETIMEDOUT);
}

TEST(address_families) {
  listen_with(1);
  int fd = new_socket();
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  CHECK_ERR(connect(fd, (void *)&six, sizeof six), EAFNOSUPPORT);
  CHECK_ERR(bind(fd, (void *)&six, sizeof six), EAFNOSUPPORT);
  CHECK_ERR(connect(fd, (void *)&at, 8), EINVAL);
  CHECK_ERR(connect(fd, (void *)&at, 1), EINVAL);
  CHECK_ERR(bind(fd, (void *)&at, 8), EINVAL);
  int fd6 = OK(socket(AF_INET6, SOCK_STREAM, 0));
  CHECK_ERR(connect(fd6, (void *)&at, sizeof at), EINVAL);
  six.sin6_port = at.sin_port;
  CHECK_ERR(connect(fd6, (void *)&six, 20), EINVAL);
  CHECK_ERR(connect(fd6, (void *)&six, sizeof six), ECONNREFUSED);
  six.sin6_addr = (struct in6_addr){.s6_addr = {[10] = 255, 255, 127, 0, 0, 1}};
  OK(connect(fd6, (void *)&six, sizeof six));
  socklen_t length = sizeof six;
  OK(getpeername(fd6, (void *)&six, &length));
  CHECK(IN6_IS_ADDR_V4MAPPED(&six.sin6_addr));
  int only = OK(socket(AF_INET6, SOCK_STREAM, 0));
  set(only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  CHECK_ERR(connect(only, (void *)&six, sizeof six), ENETUNREACH);
  six.sin6_port = 0;
  CHECK_ERR(bind(only, (void *)&six, sizeof six), EINVAL);
  struct sockaddr_in none = {.sin_family = AF_UNSPEC};
  OK(bind(new_socket(), (void *)&none, sizeof none));
  none.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_ERR(bind(new_socket(), (void *)&none, sizeof none), EAFNOSUPPORT);
}

TEST(wildcards_of_both_families_conflict) {
  int six = OK(socket(AF_INET6, SOCK_STREAM, 0)), four = new_socket();
  struct sockaddr_in6 name = {.sin6_family = AF_INET6};
  OK(bind(six, (void *)&name, sizeof name));
  socklen_t length = sizeof name;
  OK(getsockname(six, (void *)&name, &length));
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = name.sin6_port};
  CHECK_ERR(bind(four, (void *)&any, sizeof any), EADDRINUSE);
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_ERR(bind(four, (void *)&any, sizeof any), EADDRINUSE);
  close(six);
  six = OK(socket(AF_INET6, SOCK_STREAM, 0));
  set(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  OK(bind(six, (void *)&name, sizeof name));
  OK(bind(four, (void *)&any, sizeof any));
}

TEST(writers_end_when_the_reader_goes) {
  make_pair();
  pid_t pid = OK(fork());
  if (pid == 0) {
    close(client);
    signal(SIGPIPE, SIG_IGN);
    static char block[65536];
    for (size_t total = 0; total < 64u << 20;) {
      ssize_t n = write(server, block, sizeof block);
      if (n < 0) _exit(errno == EPIPE || errno == ECONNRESET ? 0 : 1);
      total += n;
    }
    _exit(2);
  }
  close(server);
  until_asleep(pid);
  close(client);
  CHECK_EXIT(pid, 0);
}

TEST(what_was_sent_arrives_after_close) {
  make_pair();
  int flags = OK(fcntl(server, F_GETFL));
  OK(fcntl(server, F_SETFL, flags | O_NONBLOCK));
  static char block[65536];
  size_t sent = 0, got = 0;
  for (ssize_t n; (n = write(server, block, sizeof block)) > 0;) sent += n;
  CHECK_EQ(errno, EAGAIN);
  close(server);
  for (ssize_t n; (n = OK(read(client, block, sizeof block))) > 0;) got += n;
  CHECK_EQ(got, sent);
}

// The state that sock_diag(7) tells of the socket that is bound to the port; 0 where it tells of none.
static int told_state(in_port_t port) {
  int fd = OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG));
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
  } ask = {{sizeof ask, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
           {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = -1}};
  CHECK_EQ(send(fd, &ask, sizeof ask, 0), sizeof ask);
  static _Alignas(struct nlmsghdr) char answer[65536];
  for (int found = 0;;) {
    int length = OK(recv(fd, answer, sizeof answer, 0));
    for (struct nlmsghdr *one = (void *)answer; NLMSG_OK(one, length);
         one = NLMSG_NEXT(one, length)) {
      if (one->nlmsg_type == NLMSG_DONE) {
        close(fd);
        return found;
      }
      CHECK_EQ(one->nlmsg_type, SOCK_DIAG_BY_FAMILY);
      struct inet_diag_msg *told = NLMSG_DATA(one);
      if (told->id.idiag_sport == port) found = told->idiag_state;
    }
  }
}

TEST(sock_diag_tells_states) {
  listen_with(1);
  CHECK_EQ(told_state(at.sin_port), TCP_LISTEN);
  close(listener);
  CHECK_EQ(told_state(at.sin_port), 0);
  make_pair();
  struct sockaddr_in name;
  socklen_t length = sizeof name;
  OK(getsockname(client, (void *)&name, &length));
  CHECK_EQ(told_state(name.sin_port), TCP_ESTABLISHED);
  close(client);
  until(server, POLLRDHUP);
  close(server);
  sleep_ms(20);
  CHECK_EQ(told_state(name.sin_port), TCP_TIME_WAIT);
}

// SPDX-License-Identifier: Apache-2.0
// Sockets on the host's network (--network host): what the Sentry does itself over sockets that never wait.
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "check.h"

static struct sockaddr_in name;

static int listener(int backlog) {
  int fd = OK(socket(AF_INET, SOCK_STREAM, 0));
  name = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  OK(bind(fd, (void *)&name, sizeof name));
  OK(listen(fd, backlog));
  socklen_t length = sizeof name;
  OK(getsockname(fd, (void *)&name, &length));
  return fd;
}

static int connected(void) {
  int fd = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(connect(fd, (void *)&name, sizeof name));
  return fd;
}

static void make_pair(int pair[2]) {
  int server = listener(5);
  pair[0] = connected();
  pair[1] = OK(accept(server, NULL, NULL));
  close(server);
}

static void set_timeout(int fd, int option, int ms) {
  struct timeval time = {ms / 1000, ms % 1000 * 1000};
  OK(setsockopt(fd, SOL_SOCKET, option, &time, sizeof time));
}

static void *send_later(void *argument) {
  sleep_ms(100);
  CHECK_EQ(send(*(int *)argument, "later", 5, 0), 5);
  return NULL;
}

TEST(blocking_calls_wait) {
  int pair[2];
  pthread_t thread;
  char text[16];
  make_pair(pair);
  pthread_create(&thread, NULL, send_later, &pair[0]);
  CHECK_EQ(read(pair[1], text, sizeof text), 5);
  pthread_join(thread, NULL);
  pthread_create(&thread, NULL, send_later, &pair[0]);
  CHECK_EQ(send(pair[0], "abc", 3, 0), 3);
  CHECK_EQ(recv(pair[1], text, 8, MSG_WAITALL), 8);
  pthread_join(thread, NULL);
  pthread_create(&thread, NULL, send_later, &pair[0]);
  struct pollfd set = {pair[1], POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK_EQ(set.revents, POLLIN);
  pthread_join(thread, NULL);
}

TEST(time_outs) {
  int server = listener(0), fds[8], pair[2], last = -1;
  char c;
  set_timeout(server, SO_RCVTIMEO, 50);
  CHECK_ERR(accept(server, NULL, NULL), EAGAIN);
  // A full backlog leaves further connections unanswered.
  for (int i = 0; i < 8 && last < 0; i++) {
    fds[i] = OK(socket(AF_INET, SOCK_STREAM, 0));
    set_timeout(fds[i], SO_SNDTIMEO, 1000);
    if (connect(fds[i], (void *)&name, sizeof name) < 0) {
      CHECK(errno == EINPROGRESS || errno == EALREADY);
      last = i;
    }
  }
  CHECK(last >= 0);
  CHECK_ERR(connect(fds[last], (void *)&name, sizeof name), EALREADY);
  make_pair(pair);
  set_timeout(pair[0], SO_RCVTIMEO, 50);
  long long start = now_ns();
  CHECK_ERR(recv(pair[0], &c, 1, 0), EAGAIN);
  CHECK(now_ns() - start >= 40000000);
}

TEST(nothing_waits_where_it_may_not) {
  int pair[2];
  static char block[1 << 20];
  make_pair(pair);
  CHECK_ERR(recv(pair[0], block, 1, MSG_DONTWAIT), EAGAIN);
  OK(fcntl(pair[0], F_SETFL, O_NONBLOCK));
  CHECK_ERR(read(pair[0], block, 1), EAGAIN);
  long total = 0;
  for (ssize_t n; (n = write(pair[0], block, sizeof block)) > 0;) total += n;
  CHECK_EQ(errno, EAGAIN);
  struct pollfd set = {pair[0], POLLOUT, 0};
  CHECK_EQ(poll(&set, 1, 0), 0);
  OK(fcntl(pair[1], F_SETFL, O_NONBLOCK));
  long got = 0;
  while (got < total) {
    ssize_t n = read(pair[1], block, sizeof block);
    if (n > 0) got += n;
    if (n < 0) sleep_ms(2);
  }
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK_EQ(set.revents, POLLOUT);
}

TEST(large_vectors_arrive_whole) {
  int pair[2];
  enum { PARTS = 700, BYTES = 4001 };
  static char block[PARTS * BYTES];
  struct iovec parts[PARTS];
  for (size_t i = 0; i < sizeof block; i++) block[i] = i % 239;
  for (int i = 0; i < PARTS; i++) parts[i] = (struct iovec){block + i * BYTES, BYTES};
  make_pair(pair);
  pid_t pid = OK(fork());
  if (pid == 0) {
    CHECK_EQ(writev(pair[0], parts, PARTS), (ssize_t)sizeof block);
    // Partly sent pieces are taken up where they ended, in the middle of a part too.
    OK(fcntl(pair[0], F_SETFL, O_NONBLOCK));
    for (size_t sent = 0; sent < sizeof block;) {
      size_t part = sent / BYTES, used = sent % BYTES;
      struct iovec rest[PARTS];
      memcpy(rest, parts, sizeof parts);
      rest[part].iov_base = (char *)rest[part].iov_base + used;
      rest[part].iov_len -= used;
      ssize_t n = writev(pair[0], rest + part, PARTS - part);
      if (n < 0) sleep_ms(1);
      if (n > 0) sent += n;
    }
    _exit(0);
  }
  close(pair[0]);
  static char piece[50000];
  size_t total = 0;
  for (ssize_t n; (n = OK(read(pair[1], piece, sizeof piece))) > 0; total += n) {
    for (ssize_t i = 0; i < n; i++) {
      CHECK_EQ((unsigned char)piece[i], (total + i) % sizeof block % 239);
    }
  }
  CHECK_EQ(total, 2 * sizeof block);
  CHECK_EXIT(pid, 0);
}

TEST(files_and_pipes_go_through) {
  int pair[2], ends[2];
  static char block[300000], got[300000];
  for (size_t i = 0; i < sizeof block; i++) block[i] = i % 251;
  int file = OK(open("file", O_RDWR | O_CREAT, 0600));
  CHECK_EQ(write(file, block, sizeof block), (ssize_t)sizeof block);
  make_pair(pair);
  pid_t pid = OK(fork());
  if (pid == 0) {
    off_t at = 0;
    while (at < (off_t)sizeof block) OK(sendfile(pair[0], file, &at, sizeof block - at));
    OK(pipe(ends));
    for (size_t sent = 0; sent < sizeof block;) {
      ssize_t n = OK(
          write(ends[1], block + sent, sizeof block - sent < 60000 ? sizeof block - sent : 60000));
      for (ssize_t moved = 0; moved < n;)
        moved += OK(splice(ends[0], NULL, pair[0], NULL, n - moved, 0));
      sent += n;
    }
    _exit(0);
  }
  for (int round = 0; round < 2; round++) {
    CHECK_EQ(recv(pair[1], got, sizeof got, MSG_WAITALL), (ssize_t)sizeof got);
    CHECK(memcmp(got, block, sizeof got) == 0);
  }
  CHECK_EXIT(pid, 0);
}

TEST(edge_triggered_is_told_once) {
  int pair[2];
  make_pair(pair);
  int poller = OK(epoll_create1(0));
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
  OK(epoll_ctl(poller, EPOLL_CTL_ADD, pair[0], &event));
  CHECK_EQ(epoll_wait(poller, &event, 1, 60000), 1);
  CHECK_EQ(event.events, EPOLLOUT);
  int more = 0;
  for (int i = 0; i < 5; i++) more += OK(epoll_wait(poller, &event, 1, 20));
  CHECK(more <= 1);
  CHECK_EQ(write(pair[1], "x", 1), 1);
  CHECK_EQ(epoll_wait(poller, &event, 1, 60000), 1);
  CHECK((event.events & EPOLLIN) != 0);
  more = 0;
  for (int i = 0; i < 5; i++) more += OK(epoll_wait(poller, &event, 1, 20));
  CHECK(more <= 1);
  close(pair[1]);
  CHECK_EQ(epoll_wait(poller, &event, 1, 60000), 1);
  CHECK((event.events & EPOLLRDHUP) != 0);
}

TEST(level_triggered_is_told_again) {
  int pair[2];
  make_pair(pair);
  int poller = OK(epoll_create1(0));
  struct epoll_event event = {.events = EPOLLIN};
  OK(epoll_ctl(poller, EPOLL_CTL_ADD, pair[0], &event));
  CHECK_EQ(epoll_wait(poller, &event, 1, 20), 0);
  CHECK_EQ(write(pair[1], "xy", 2), 2);
  char c;
  for (int i = 0; i < 2; i++) {
    CHECK_EQ(epoll_wait(poller, &event, 1, 60000), 1);
    CHECK_EQ(epoll_wait(poller, &event, 1, 60000), 1);
    CHECK_EQ(read(pair[0], &c, 1), 1);
  }
  CHECK_EQ(epoll_wait(poller, &event, 1, 20), 0);
}

TEST(several_processes_accept) {
  int server = listener(50);
  pid_t pids[4];
  for (int i = 0; i < 4; i++) {
    if ((pids[i] = OK(fork())) > 0) continue;
    for (int turn = 0; turn < 5; turn++) {
      int fd = OK(accept(server, NULL, NULL));
      CHECK_EQ(write(fd, "hello", 5), 5);
      close(fd);
    }
    _exit(0);
  }
  for (int i = 0; i < 20; i++) {
    char text[8];
    int fd = connected();
    CHECK_EQ(recv(fd, text, 8, MSG_WAITALL), 5);
    close(fd);
  }
  for (int i = 0; i < 4; i++) CHECK_EXIT(pids[i], 0);
}

TEST(reset_and_broken_pipe) {
  int pair[2];
  char c;
  struct linger at_once = {1, 0};
  make_pair(pair);
  OK(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
  close(pair[0]);
  sleep_ms(20);
  CHECK_ERR(read(pair[1], &c, 1), ECONNRESET);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(pair[1], "x", 1), EPIPE);
  signal(SIGPIPE, SIG_DFL);
  CHECK_ERR(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
  pid_t pid = OK(fork());
  if (pid == 0) {
    if (write(pair[1], "x", 1) < 0) _exit(1);
    _exit(2);
  }
  int status;
  OK(waitpid(pid, &status, 0));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

TEST(accepted_after_a_reset) {
  int server = listener(5), client = connected();
  struct sockaddr_in local, from = {0};
  struct linger at_once = {1, 0};
  socklen_t length = sizeof local;
  OK(getsockname(client, (void *)&local, &length));
  OK(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
  close(client);
  sleep_ms(20);
  int peer = OK(accept(server, (void *)&from, &length));
  CHECK_EQ(from.sin_port, local.sin_port);
  CHECK_ERR(getpeername(peer, (void *)&from, &length), ENOTCONN);
}

TEST(linger_does_not_hold_up_others) {
  int pair[2];
  static char block[1 << 20];
  struct linger slow = {1, 60}, told;
  socklen_t length = sizeof told;
  make_pair(pair);
  OK(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &slow, sizeof slow));
  OK(getsockopt(pair[0], SOL_SOCKET, SO_LINGER, &told, &length));
  CHECK(told.l_onoff == 1 && told.l_linger == 60);
  OK(fcntl(pair[0], F_SETFL, O_NONBLOCK));
  while (write(pair[0], block, sizeof block) > 0) continue;
  pid_t pid = OK(fork());
  if (pid == 0) {
    close(pair[1]);
    close(pair[0]);
    _exit(0);
  }
  close(pair[1]);
  OK(fcntl(pair[0], F_SETFL, 0));
  close(pair[0]);
  long long start = now_ns();
  sleep_ms(5);
  CHECK(now_ns() - start < 50000000000LL);
  CHECK_EXIT(pid, 0);
}

TEST(out_of_band) {
  int pair[2], value = 0;
  char text[8];
  make_pair(pair);
  CHECK_EQ(send(pair[0], "abc", 3, 0), 3);
  CHECK_EQ(send(pair[0], "!", 1, MSG_OOB), 1);
  struct pollfd set = {pair[1], POLLPRI, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK_EQ(set.revents, POLLPRI);
  CHECK_EQ(recv(pair[1], text, 1, MSG_OOB), 1);
  CHECK_EQ(text[0], '!');
  CHECK_EQ(recv(pair[1], text, 8, 0), 3);
  OK(ioctl(pair[1], SIOCATMARK, &value));
  CHECK_EQ(value, 1);
}

TEST(peeking_and_counting) {
  int pair[2], value = 0;
  static char block[200000];
  make_pair(pair);
  CHECK_EQ(send(pair[0], block, sizeof block, 0), (ssize_t)sizeof block);
  sleep_ms(30);
  OK(ioctl(pair[1], FIONREAD, &value));
  CHECK(value > 10000);
  CHECK(recv(pair[1], block, sizeof block, MSG_PEEK) > 10000);
  OK(shutdown(pair[0], SHUT_WR));
  CHECK_EQ(recv(pair[1], block, sizeof block, MSG_WAITALL), (ssize_t)sizeof block);
  CHECK_EQ(recv(pair[1], block, 1, 0), 0);
  OK(ioctl(pair[0], TIOCOUTQ, &value));
  CHECK_EQ(value, 0);
}

static int udp_socket(struct sockaddr_in *at) {
  int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
  *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  OK(bind(fd, (void *)at, sizeof *at));
  socklen_t length = sizeof *at;
  OK(getsockname(fd, (void *)at, &length));
  return fd;
}

TEST(datagrams_come_with_what_was_asked_for) {
  struct sockaddr_in at, other, from;
  int fd = udp_socket(&at), peer = udp_socket(&other), on = 1, ttl = 7;
  OK(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
  OK(setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on));
  OK(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on));
  struct iovec part = {"hello", 5};
  char control[CMSG_SPACE(sizeof ttl)] = "";
  struct msghdr message = {&at, sizeof at, &part, 1, control, sizeof control, 0};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){CMSG_LEN(sizeof ttl), IPPROTO_IP, IP_TTL};
  memcpy(CMSG_DATA(header), &ttl, sizeof ttl);
  CHECK_EQ(sendmsg(peer, &message, 0), 5);
  header->cmsg_type = 999;
  CHECK_ERR(sendmsg(peer, &message, 0), EINVAL);

  char text[3], room[256];
  struct iovec into = {text, sizeof text};
  struct msghdr got = {&from, sizeof from, &into, 1, room, sizeof room, 0};
  CHECK_EQ(recvmsg(fd, &got, 0), 3);
  CHECK_EQ(got.msg_flags, MSG_TRUNC);
  CHECK_EQ(from.sin_port, other.sin_port);
  int seen = 0;
  for (header = CMSG_FIRSTHDR(&got); header != NULL; header = CMSG_NXTHDR(&got, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMP) seen |= 1;
    if (header->cmsg_level != IPPROTO_IP) continue;
    struct in_pktinfo *where = (void *)CMSG_DATA(header);
    if (header->cmsg_type == IP_PKTINFO && where->ipi_addr.s_addr == htonl(INADDR_LOOPBACK))
      seen |= 2;
    if (header->cmsg_type == IP_TTL && *(int *)(void *)CMSG_DATA(header) == 7) seen |= 4;
  }
  CHECK_EQ(seen, 7);
  CHECK_EQ(sendto(peer, "again", 5, 0, (void *)&at, sizeof at), 5);
  got.msg_controllen = CMSG_LEN(0) + 3;
  CHECK_EQ(recvmsg(fd, &got, 0), 3);
  CHECK_EQ(got.msg_flags, MSG_TRUNC | MSG_CTRUNC);
}

TEST(error_queue) {
  struct sockaddr_in at, gone;
  int fd = udp_socket(&at), closed = udp_socket(&gone), on = 1;
  close(closed);
  OK(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
  char text[16], room[512];
  struct iovec into = {text, sizeof text};
  struct msghdr got = {NULL, 0, &into, 1, room, sizeof room, 0};
  CHECK_ERR(recvmsg(fd, &got, MSG_ERRQUEUE), EAGAIN);
  CHECK_EQ(sendto(fd, "lost", 4, 0, (void *)&gone, sizeof gone), 4);
  struct pollfd set = {fd, 0, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK_EQ(set.revents, POLLERR);
  CHECK_EQ(recvmsg(fd, &got, MSG_ERRQUEUE), 4);
  CHECK((got.msg_flags & MSG_ERRQUEUE) != 0);
  struct cmsghdr *header = CMSG_FIRSTHDR(&got);
  CHECK(header != NULL && header->cmsg_type == IP_RECVERR);
  CHECK_EQ(((struct sock_extended_err *)(void *)CMSG_DATA(header))->ee_errno, ECONNREFUSED);
}

TEST(many_datagrams_at_once) {
  struct sockaddr_in at, other;
  int fd = udp_socket(&at), peer = udp_socket(&other);
  enum { COUNT = 16 };
  struct mmsghdr out[COUNT] = {0}, in[COUNT] = {0};
  struct iovec parts[COUNT], room[COUNT];
  static char text[COUNT][8], got[COUNT][8];
  for (int i = 0; i < COUNT; i++) {
    snprintf(text[i], 8, "n%d", i);
    parts[i] = (struct iovec){text[i], 3};
    room[i] = (struct iovec){got[i], 8};
    out[i].msg_hdr = (struct msghdr){&at, sizeof at, &parts[i], 1, NULL, 0, 0};
    in[i].msg_hdr = (struct msghdr){NULL, 0, &room[i], 1, NULL, 0, 0};
  }
  CHECK_EQ(sendmmsg(peer, out, COUNT, 0), COUNT);
  sleep_ms(20);
  CHECK_EQ(recvmmsg(fd, in, COUNT, MSG_WAITFORONE, NULL), COUNT);
  for (int i = 0; i < COUNT; i++) CHECK(in[i].msg_len == 3 && memcmp(got[i], text[i], 3) == 0);
  static char large[70000];
  CHECK_ERR(sendto(peer, large, sizeof large, 0, (void *)&at, sizeof at), EMSGSIZE);
  CHECK_EQ(sendto(peer, large, 60000, 0, (void *)&at, sizeof at), 60000);
  CHECK_EQ(recv(fd, large, sizeof large, 0), 60000);
}

TEST(multicast_on_loopback) {
  struct sockaddr_in at = {.sin_family = AF_INET}, group;
  int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), from = OK(socket(AF_INET, SOCK_DGRAM, 0));
  OK(bind(fd, (void *)&at, sizeof at));
  socklen_t length = sizeof at;
  OK(getsockname(fd, (void *)&at, &length));
  struct ip_mreqn request = {{inet_addr("224.1.2.3")}, {htonl(INADDR_LOOPBACK)}, 0};
  if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0)
    SKIP("no multicast");
  OK(setsockopt(from, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request));
  group = at;
  group.sin_addr = request.imr_multiaddr;
  if (sendto(from, "all", 3, 0, (void *)&group, sizeof group) < 0) SKIP("no multicast on lo");
  set_timeout(fd, SO_RCVTIMEO, 3000);
  char text[8];
  CHECK_EQ(recv(fd, text, 8, 0), 3);
}

TEST(options_reach_the_host) {
  int pair[2], value = 77;
  struct tcp_info tcp;
  make_pair(pair);
  OK(setsockopt(pair[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof value));
  value = 0;
  socklen_t length = sizeof value;
  OK(getsockopt(pair[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, &length));
  CHECK_EQ(value, 77);
  length = sizeof tcp;
  OK(getsockopt(pair[0], IPPROTO_TCP, TCP_INFO, &tcp, &length));
  CHECK_EQ(tcp.tcpi_state, TCP_ESTABLISHED);
  char algorithm[16];
  length = sizeof algorithm;
  OK(getsockopt(pair[0], IPPROTO_TCP, TCP_CONGESTION, algorithm, &length));
  CHECK(strlen(algorithm) > 2);
  length = sizeof value;
  OK(getsockopt(pair[0], SOL_SOCKET, SO_DOMAIN, &value, &length));
  CHECK_EQ(value, AF_INET);
  CHECK_ERR(setsockopt(pair[0], IPPROTO_TCP, 9999, &value, sizeof value), ENOPROTOOPT);
  CHECK_ERR(setsockopt(pair[0], SOL_SOCKET, 9999, &value, sizeof value), ENOPROTOOPT);
}

TEST(interfaces) {
  struct ifreq list[64];
  struct ifconf all = {.ifc_len = sizeof list, .ifc_req = list};
  int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
  OK(ioctl(fd, SIOCGIFCONF, &all));
  CHECK(all.ifc_len >= (int)sizeof list[0]);
  CHECK_STR(list[0].ifr_name, "lo");
  struct if_nameindex *names = if_nameindex();
  CHECK(names != NULL);
  for (struct if_nameindex *each = names; each->if_index != 0; each++) {
    char path[64], text[16];
    snprintf(path, sizeof path, "/sys/class/net/%s/ifindex", each->if_name);
    snprintf(text, sizeof text, "%u\n", each->if_index);
    CHECK_STR(get_file(path), text);
    CHECK(strstr(get_file("/proc/net/dev"), each->if_name) != NULL);
  }
}

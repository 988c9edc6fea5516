// SPDX-License-Identifier: Apache-2.0
// Attacks through the host's network (--network host): other families, the host's abstract sockets,
// addresses, options and control messages that make no sense. HOST_SOCKET names an abstract socket
// on which the test listens outside.
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "hostile.h"

static int any_socket(void) {
  static const int families[] = {AF_INET, AF_INET6}, types[] = {SOCK_STREAM, SOCK_DGRAM};
  return socket(families[random_below(2)], types[random_below(2)] | SOCK_NONBLOCK, 0);
}

TEST(other_families_are_refused) {
  for (int family = 0; family < 50; family++) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6) continue;
    for (int type = 0; type < 11; type++) {
      for (int protocol = 0; protocol < 20; protocol++) {
        int fd = socket(family, type, protocol);
        // Routes and lists of sockets are the Sentry's to tell of.
        int is_told = protocol == NETLINK_ROUTE || protocol == NETLINK_SOCK_DIAG;
        if (family == AF_NETLINK && (type == SOCK_RAW || type == SOCK_DGRAM) && is_told) {
          CHECK(fd >= 0);
        } else {
          CHECK(fd < 0);
        }
        if (fd >= 0) close(fd);
      }
    }
  }
}

TEST(packets_cannot_be_made_or_seen) {
  for (int protocol = 0; protocol < 256; protocol++) {
    CHECK(socket(AF_INET, SOCK_RAW, protocol) < 0);
    CHECK(socket(AF_INET6, SOCK_RAW, protocol) < 0);
    CHECK(socket(AF_PACKET, SOCK_RAW, protocol) < 0);
  }
  int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), on = 1;
  CHECK(setsockopt(fd, IPPROTO_IP, 3 /* IP_HDRINCL */, &on, sizeof on) < 0);
  CHECK(setsockopt(fd, SOL_SOCKET, 26 /* SO_ATTACH_FILTER */, &on, sizeof on) < 0);
  CHECK(setsockopt(fd, SOL_SOCKET, 50 /* SO_ATTACH_BPF */, &on, sizeof on) < 0);
}

TEST(lists_of_sockets_may_be_asked_for_in_any_way) {
  int fd = OK(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  static unsigned char request[1024], answer[65536];
  for (int round = 0; round < 3000; round++) {
    struct nlmsghdr *header = (void *)request;
    for (size_t i = 0; i < sizeof request; i++) request[i] = (unsigned char)random_below(256);
    size_t length = random_below(2) ? 72 : random_below(sizeof request);
    header->nlmsg_len = (unsigned)(random_below(8) ? length : random_below(2000));
    header->nlmsg_type = (unsigned short)(random_below(6) ? 20 : random_below(40));
    header->nlmsg_flags =
        (unsigned short)(NLM_F_REQUEST | (random_below(2) ? NLM_F_DUMP : random_below(0x1000)));
    if (random_below(4)) request[16] = random_below(2) ? AF_INET : AF_INET6;
    if (random_below(2)) request[17] = random_below(2) ? IPPROTO_TCP : IPPROTO_UDP;
    send(fd, request, length, 0);
    while (recv(fd, answer, sizeof answer, 0) > 0) continue;
  }
  // SOCK_DESTROY: what another process of the host has stays.
  memset(request, 0, sizeof request);
  *(struct nlmsghdr *)request = (struct nlmsghdr){72, 21, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
  request[16] = AF_INET, request[17] = IPPROTO_TCP;
  CHECK(send(fd, request, 72, 0) == 72);
  CHECK(recv(fd, answer, sizeof answer, 0) > 0);
  CHECK(((struct nlmsghdr *)answer)->nlmsg_type == NLMSG_ERROR);
  CHECK(*(int *)(answer + 16) == -EPERM);
}

TEST(abstract_sockets_of_the_host_are_not_there) {
  const char *name = getenv("HOST_SOCKET");
  CHECK(name != NULL);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
  for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
    int fd = socket(AF_UNIX, type, 0);
    if (fd < 0) continue;
    CHECK(connect(fd, (void *)&address, length) < 0);
    CHECK(sendto(fd, "x", 1, MSG_NOSIGNAL, (void *)&address, length) < 0);
    close(fd);
  }
  for (int i = 0; i < 4; i++) {
    int fd = any_socket();
    CHECK(connect(fd, (void *)&address, length) < 0);
    CHECK(bind(fd, (void *)&address, length) < 0);
    CHECK(sendto(fd, "x", 1, MSG_NOSIGNAL, (void *)&address, length) < 0);
    close(fd);
  }
  CHECK(strstr(get_file("/proc/net/unix"), name) == NULL);
}

TEST(interfaces_cannot_be_changed) {
  int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
  unsigned char request[4096];
  for (unsigned command = 0x8900; command < 0x8a00; command++) {
    memset(request, 0, sizeof request);
    strcpy((char *)request, "lo");
    if (ioctl(fd, command, request) < 0) continue;
    // What answers only asks: FIOGETOWN and its kind, SIOCGIF*.
    static const unsigned asking[] = {0x8903, 0x8904, 0x8905, 0x8906, 0x8910, 0x8912,
                                      0x8913, 0x8915, 0x8917, 0x8919, 0x891b, 0x891d,
                                      0x8921, 0x8927, 0x8933, 0x8942, 0x894b, 0x8970};
    int known = 0;
    for (size_t i = 0; i < sizeof asking / sizeof *asking; i++) known |= asking[i] == command;
    CHECK(known);
  }
  int route = OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  for (int type = RTM_NEWLINK; type < 120; type++) {
    struct {
      struct nlmsghdr header;
      struct ifinfomsg info;
    } change = {{sizeof change, type, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, 0},
                {.ifi_index = 1, .ifi_change = 1}};
    if (type % 4 == 2) continue;
    OK(send(route, &change, sizeof change, 0));
    struct {
      struct nlmsghdr header;
      struct nlmsgerr error;
      char rest[256];
    } answer;
    CHECK(recv(route, &answer, sizeof answer, 0) > 0);
    CHECK(answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error < 0);
    while (recv(route, &answer, sizeof answer, MSG_DONTWAIT) > 0) continue;
  }
}

static void send_garbage(int seed) {
  seed_random((uint64_t)seed);
  for (int i = 0; i < 3000; i++) {
    int fd = any_socket();
    unsigned char bytes[300];
    for (size_t at = 0; at < sizeof bytes; at++) bytes[at] = (unsigned char)random64();
    if (random_below(2)) bytes[0] = (unsigned char)random_below(12), bytes[1] = 0;
    // Loopback only: nobody else is to be bothered.
    if (bytes[0] == AF_INET) bytes[4] = 127;
    if (bytes[0] == AF_INET6) memset(bytes + 8, 0, 16), bytes[23] = 1;
    socklen_t length = (socklen_t)random_below(random_below(8) ? 40 : 300);
    void *place = random_below(16) ? bytes : (void *)random64();
    switch (random_below(5)) {
      case 0:
        bind(fd, place, length);
        break;
      case 1:
        connect(fd, place, length);
        break;
      case 2:
        sendto(fd, bytes, random_below(sizeof bytes), (int)random64() | MSG_DONTWAIT | MSG_NOSIGNAL,
               place, length);
        break;
      case 3:
        getsockname(fd, place, random_below(4) ? &length : (void *)random64());
        break;
      default:
        listen(fd, (int)random64());
        recvfrom(fd, place, random_below(sizeof bytes), (int)random64() | MSG_DONTWAIT, place,
                 &length);
    }
    if (random_below(4) == 0) shutdown(fd, (int)random_below(5) - 1);
    close(fd);
  }
}

TEST(addresses_of_garbage) {
  for (int i = 0; i < 2; i++) run_attack(send_garbage, i + 1, 6000);
  check_well();
}

static void set_garbage(int seed) {
  seed_random((uint64_t)seed);
  static const int levels[] = {SOL_SOCKET,  IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP,
                               IPPROTO_UDP, 255,        270,          -1};
  static unsigned char value[70000];
  for (int i = 0; i < 6000; i++) {
    int fd = any_socket();
    int level = levels[random_below(8)], option = (int)random_below(120);
    if (random_below(20) == 0) option = (int)random64();
    socklen_t length = (socklen_t)random_below(random_below(8) ? 40 : sizeof value);
    if (random_below(30) == 0) length = (socklen_t)random64();
    for (size_t at = 0; at < 64; at++)
      value[at] = (unsigned char)(random_below(3) ? random64() : 0);
    void *place = random_below(16) ? value : (void *)random64();
    if (random_below(2)) {
      setsockopt(fd, level, option, place, length);
    } else {
      getsockopt(fd, level, option, place, random_below(8) ? &length : (void *)random64());
    }
    close(fd);
  }
}

TEST(options_of_garbage) {
  for (int i = 0; i < 2; i++) run_attack(set_garbage, i + 1, 6000);
  check_well();
}

static void control_garbage(int seed) {
  seed_random((uint64_t)seed);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  bind(fd, (void *)&at, sizeof at);
  socklen_t length = sizeof at;
  getsockname(fd, (void *)&at, &length);
  for (int i = 0; i < 6000; i++) {
    static unsigned char control[4096], text[200];
    for (size_t byte = 0; byte < sizeof control; byte += 8) {
      uint64_t word = random_below(4) ? random_below(100) : random64();
      memcpy(control + byte, &word, 8);
    }
    struct cmsghdr *header = (void *)control;
    static const int levels[] = {SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP};
    if (random_below(2))
      *header =
          (struct cmsghdr){16 + random_below(40), levels[random_below(4)], (int)random_below(110)};
    struct iovec parts[4];
    for (int part = 0; part < 4; part++) {
      parts[part] = (struct iovec){random_below(20) ? (void *)text : (void *)random64(),
                                   random_below(20) ? random_below(sizeof text) : random64()};
    }
    struct msghdr message = {&at,     (socklen_t)(random_below(20) ? sizeof at : random64()),
                             parts,   random_below(20) ? random_below(5) : random64(),
                             control, random_below(20) ? random_below(200) : random64(),
                             0};
    sendmsg(fd, &message, (int)random64() | MSG_DONTWAIT | MSG_NOSIGNAL);
    message.msg_namelen = (socklen_t)random64();
    recvmsg(fd, &message, (int)random64() | MSG_DONTWAIT);
  }
}

TEST(control_messages_of_garbage) {
  for (int i = 0; i < 2; i++) run_attack(control_garbage, i + 1, 6000);
  check_well();
}

static void route_garbage(int seed) {
  seed_random((uint64_t)seed);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);
  for (int i = 0; i < 600; i++) {
    uint32_t words[32];
    static char answer[70000];
    for (size_t at = 0; at < 32; at++)
      words[at] = random_below(3) ? (uint32_t)random_below(40) : (uint32_t)random64();
    words[0] = (uint32_t)random_below(130);
    words[1] = (uint32_t)(16 + random_below(20)) | (random_below(2) ? 0x3010000u : 0x10000u);
    send(fd, words, 16 + random_below(112), 0);
    while (recv(fd, answer, sizeof answer, 0) > 0) continue;
  }
}

TEST(routes_of_garbage) {
  for (int i = 0; i < 2; i++) run_attack(route_garbage, i + 1, 6000);
  check_well();
}

static void take_sockets(int number) {
  (void)number;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  while (socket(AF_INET, SOCK_DGRAM, 0) >= 0) continue;
  sleep_ms(10000);
}

TEST(sockets_run_out_for_guests_only) {
  pid_t pids[8];
  for (int i = 0; i < 8; i++) {
    if ((pids[i] = OK(fork())) == 0) take_sockets(i);
  }
  sleep_ms(2500);
  check_well();
  for (int i = 0; i < 8; i++) kill(pids[i], SIGKILL);
  for (int i = 0; i < 8; i++) OK(waitpid(pids[i], NULL, 0));
  OK(socket(AF_INET, SOCK_DGRAM, 0));
}

static void churn(int seed) {
  seed_random((uint64_t)seed);
  for (;;) {
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
        client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    bind(server, (void *)&at, sizeof at);
    listen(server, 1);
    getsockname(server, (void *)&at, &length);
    connect(client, (void *)&at, sizeof at);
    struct linger linger = {1, (int)random_below(3) * 30};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    int peer = accept(server, NULL, NULL);
    write(client, &at, sizeof at);
    if (random_below(2)) close(peer);
    close(server);
    close(client);
    close(peer);
  }
}

TEST(connections_come_and_go) {
  run_attack(churn, 1, 2000);
  check_well();
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Takes over the network of a namespace for a Sentry with a network stack of its own (`--network
 * sandbox`): tells what interfaces, addresses, routes and neighbours there are, opens a packet
 * socket on each Ethernet interface, and makes the host's stack in that namespace hold its peace.
 * All of it goes to the Sentry as one message with descriptors, before the Sentry is confined.
 *
 * The host's stack keeps its addresses: Docker's resolver, which listens on 127.0.0.11 there, asks
 * the outer name servers from them. Rules of routing keep it from answering what is meant for the
 * guest: it may send neither TCP (resets) nor ICMP (echo replies, "port unreachable").
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher/launcher.h"

/* What nobody needs more of: what does not fit is not told. */
enum { MOST_TOLD_BYTES = 4 << 20, SOCKET_BUFFER_BYTES = 4 << 20 };

/* protocol/links.ts */
struct links {
  int32_t indexes[MAX_INTERFACES];
  int fds[LINKS_FIRST + MAX_INTERFACES];
  int count;
};

struct route_request {
  struct nlmsghdr header;
  union {
    struct rtgenmsg any;
    struct ifinfomsg link;
    struct rtmsg route;
    struct ndmsg neighbour;
    char bytes[64];
  } body;
};

/* The parent of a process; 0: there is none, or it cannot be seen. */
static int parent_of(int pid) {
  char path[32], text[512];
  int parent = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return 0;
  text[length] = 0;
  const char *name_end = strrchr(text, ')');
  return name_end != NULL && sscanf(name_end, ") %*c %d", &parent) == 1 ? parent : 0;
}

/*
 * Whether this namespace is not the one that whoever started this came from: an ancestor is in
 * another. What cannot be told is taken for the host's own network, which is not to be silenced.
 */
static bool is_own_namespace(void) {
  struct stat own, other;
  char path[32];
  if (stat("/proc/self/ns/net", &own) < 0) return false;
  for (int pid = getppid(); pid > 0; pid = parent_of(pid)) {
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    if (stat(path, &other) < 0) continue;
    if (own.st_ino != other.st_ino || own.st_dev != other.st_dev) return true;
  }
  return false;
}

/* ---- asking ---- */

static void note_link(struct links *links, const struct nlmsghdr *header) {
  const struct ifinfomsg *link = NLMSG_DATA(header);
  if (header->nlmsg_type != RTM_NEWLINK || header->nlmsg_len < NLMSG_LENGTH(sizeof *link)) return;
  if (link->ifi_type != ARPHRD_ETHER || (link->ifi_flags & IFF_UP) == 0) return;
  if (links->count < MAX_INTERFACES) links->indexes[links->count++] = link->ifi_index;
}

/* One answer of many; false after the last. */
static bool take_answers(struct links *links, const char *bytes, ssize_t length) {
  const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)bytes;
  for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
    if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) return false;
    note_link(links, header);
    const char *at = (const char *)header;
    size_t size = NLMSG_ALIGN(header->nlmsg_len);
    if (lseek(links->fds[LINKS_TOLD], 0, SEEK_CUR) + (off_t)size > MOST_TOLD_BYTES) continue;
    if (write(links->fds[LINKS_TOLD], at, size) != (ssize_t)size) {
      fatal("network sandbox: %s", strerror(errno));
    }
  }
  return true;
}

static void ask(struct links *links, int route, int type, size_t body_bytes) {
  static char bytes[65536] __attribute__((aligned(8)));
  struct route_request request = {.header = {.nlmsg_len = (unsigned)NLMSG_LENGTH(body_bytes),
                                             .nlmsg_type = (unsigned short)type,
                                             .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
  if (send(route, &request, request.header.nlmsg_len, 0) < 0) {
    fatal("network sandbox: rtnetlink: %s", strerror(errno));
  }
  for (;;) {
    ssize_t length = recv(route, bytes, sizeof bytes, 0);
    if (length <= 0) fatal("network sandbox: rtnetlink: %s", strerror(errno));
    if (!take_answers(links, bytes, length)) return;
  }
}

/* ---- keeping the host's stack quiet ---- */

static void add_u32(struct route_request *request, unsigned short type, const void *value,
                    unsigned short length) {
  struct rtattr *attribute =
      (struct rtattr *)(void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = (unsigned short)RTA_LENGTH(length);
  memcpy(RTA_DATA(attribute), value, length);
  request->header.nlmsg_len =
      NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

/* ip rule add pref 1 ipproto PROTOCOL prohibit. 0 or an errno. */
static int forbid(int route, int family, unsigned char protocol) {
  struct route_request request = {
      .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct fib_rule_hdr)),
                 .nlmsg_type = RTM_NEWRULE,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
  struct fib_rule_hdr *rule = (struct fib_rule_hdr *)(void *)&request.body;
  unsigned preference = 1;
  char bytes[1024] __attribute__((aligned(8)));
  rule->family = (unsigned char)family;
  rule->action = FR_ACT_PROHIBIT;
  add_u32(&request, FRA_PRIORITY, &preference, sizeof preference);
  add_u32(&request, FRA_IP_PROTO, &protocol, sizeof protocol);
  if (send(route, &request, request.header.nlmsg_len, 0) < 0) return errno;
  ssize_t length = recv(route, bytes, sizeof bytes, 0);
  const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)bytes;
  if (length < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || header->nlmsg_type != NLMSG_ERROR)
    return EPROTO;
  int error = -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
  /* A sandbox that was in this namespace before has left it. */
  return error == EEXIST ? 0 : error;
}

static void quiet_host(int route) {
  static const struct {
    int family;
    unsigned char protocol;
  } kept_quiet[] = {{AF_INET, IPPROTO_TCP},
                    {AF_INET, IPPROTO_ICMP},
                    {AF_INET6, IPPROTO_TCP},
                    {AF_INET6, IPPROTO_ICMPV6}};
  for (size_t i = 0; i < sizeof kept_quiet / sizeof *kept_quiet; i++) {
    int error = forbid(route, kept_quiet[i].family, kept_quiet[i].protocol);
    /* A host without IPv6 says nothing in it either. */
    if (error == 0 || (kept_quiet[i].family == AF_INET6 && error == EAFNOSUPPORT)) continue;
    if (kept_quiet[i].family == AF_INET6 && error == EOPNOTSUPP) continue;
    fatal("network sandbox: a rule that keeps the host's stack quiet: %s", strerror(error));
  }
}

/* ---- descriptors ---- */

/*
 * Only what this interface was sent by others, to it or to many: what the host's stack sends, and
 * what is for other stations, is not the guest's to see. The filter cannot be taken off again.
 */
static void filter_link(int fd) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PACKET_OTHERHOST, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  int one = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one) < 0) {
    fatal("network sandbox: a socket filter: %s", strerror(errno));
  }
}

static int open_link(int index) {
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
  int one = 1, size = SOCKET_BUFFER_BYTES;
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fatal("network sandbox: a packet socket: %s", strerror(errno));
  filter_link(fd);
  /* Beyond the host's limits where the caller may. */
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
  if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) < 0 ||
      bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    fatal("network sandbox: a packet socket: %s", strerror(errno));
  }
  return fd;
}

/*
 * Two stacks behind one address would reset each other's connections. The name is the namespace's,
 * and gone with the last process that holds the socket: the Sentry. -1: another sandbox has it.
 */
static int lock_namespace(void) {
  static const char name[] = "runts-network";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  memcpy(address.sun_path + 1, name, sizeof name - 1);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof name);
  if (fd < 0) fatal("network sandbox: socket: %s", strerror(errno));
  if (bind(fd, (struct sockaddr *)&address, length) == 0) return fd;
  if (errno != EADDRINUSE) fatal("network sandbox: a name: %s", strerror(errno));
  close(fd);
  return -1;
}

/* Docker's resolver for networks with names is on the namespace's own loopback. */
static int connect_resolver(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
  address.sin_addr.s_addr = htonl(0x7f00000b);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fatal("network sandbox: socket: %s", strerror(errno));
  /* Without a loopback there is nobody to ask; the socket answers so. */
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) errno = 0;
  return fd;
}

static int hand_over(const struct links *links) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
      !send_with_descriptors(pair[1], links->indexes, (size_t)links->count * sizeof(int32_t),
                             links->fds, (size_t)(LINKS_FIRST + links->count))) {
    fatal("network sandbox: %s", strerror(errno));
  }
  close(pair[1]);
  return high(pair[0], "links");
}

/* A container gets a loopback then, and is told so. */
static int without_network(const struct sandbox *sandbox, const char *why) {
  if (sandbox->options.mode == MODE_COMMAND && why != NULL) fatal("network sandbox: %s", why);
  tell_missing_network(&sandbox->options.container);
  return sandbox->null;
}

/* Of an ordinary user a container may be in a namespace over which he has no rights. */
static bool may_take_over(void) {
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static void fill(struct links *links, int route) {
  ask(links, route, RTM_GETADDR, sizeof(struct rtgenmsg));
  ask(links, route, RTM_GETROUTE, sizeof(struct rtmsg));
  ask(links, route, RTM_GETNEIGH, sizeof(struct ndmsg));
  links->fds[LINKS_RESOLVER] = connect_resolver();
  for (int i = 0; i < links->count; i++) {
    links->fds[LINKS_FIRST + i] = open_link(links->indexes[i]);
  }
  quiet_host(route);
}

int take_over_network(const struct sandbox *sandbox) {
  struct links links = {.count = 0};
  if (!is_own_namespace()) return without_network(sandbox, NULL);
  if (!may_take_over()) return without_network(sandbox, strerror(errno));
  int route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  links.fds[LINKS_TOLD] = memfd_create("runts-network", MFD_CLOEXEC);
  if (route < 0 || links.fds[LINKS_TOLD] < 0) fatal("network sandbox: %s", strerror(errno));
  ask(&links, route, RTM_GETLINK, sizeof(struct ifinfomsg));
  links.fds[LINKS_LOCK] = links.count > 0 ? lock_namespace() : -1;
  int result = sandbox->null;
  if (links.count > 0 && links.fds[LINKS_LOCK] < 0) {
    result = without_network(sandbox, "another sandbox has this network namespace");
  } else if (links.count > 0) {
    fill(&links, route);
    result = hand_over(&links);
    for (int i = LINKS_LOCK; i < LINKS_FIRST + links.count; i++) close(links.fds[i]);
  }
  close(links.fds[LINKS_TOLD]);
  close(route);
  return result;
}

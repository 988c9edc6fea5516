// SPDX-License-Identifier: Apache-2.0
/*
 * The network broker: makes, for a Sentry with the sockets of the host, what takes a capability in
 * the network namespace that it shares and that it has not: raw sockets (CAP_NET_RAW) and binding
 * to low ports (CAP_NET_BIND_SERVICE), only for containers whose config.json has those capabilities
 * (--network-capabilities), and only where the caller has them over that namespace. And, being in
 * one of them, ping sockets for the groups of net.ipv4.ping_group_range.
 *
 * A small process that holds nothing but these capabilities, its socket to the Sentry and a seccomp
 * list of ten calls. Whoever takes over the Sentry gets from it what runc would have given the
 * container.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/launcher.h"

enum { BROKER_SOCKET = 3 };

/* protocol/broker.ts */
struct request {
  uint32_t operation;
  uint32_t domain;
  uint32_t protocol;
  uint32_t address_bytes;
  uint8_t address[BROKER_ADDRESS_BYTES];
};
#define ASSERT_AT(member, at) \
  _Static_assert(offsetof(struct request, member) == (at), "protocol/broker.ts: " #member)
ASSERT_AT(operation, BROKER_REQUEST_OPERATION);
ASSERT_AT(domain, BROKER_REQUEST_DOMAIN);
ASSERT_AT(protocol, BROKER_REQUEST_PROTOCOL);
ASSERT_AT(address_bytes, BROKER_REQUEST_ADDRESS_BYTES);
ASSERT_AT(address, BROKER_REQUEST_ADDRESS);
_Static_assert(sizeof(struct request) == BROKER_REQUEST_BYTES, "protocol/broker.ts");
_Static_assert(BROKER_ADDRESS_BYTES == sizeof(struct sockaddr_in6), "protocol/broker.ts");

union descriptor_message {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

static bool is_inet(int domain) { return domain == AF_INET || domain == AF_INET6; }

static int make_socket(int domain, int type, int protocol) {
  if (!is_inet(domain)) return -EAFNOSUPPORT;
  if (protocol < 0 || protocol > 255) return -EINVAL;
  int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  return fd < 0 ? -errno : fd;
}

/* Only inet sockets: names of others are in spaces of their own. */
static int bind_socket(int fd, const struct request *request) {
  int domain = 0;
  socklen_t length = sizeof domain;
  union {
    struct sockaddr any;
    uint8_t bytes[BROKER_ADDRESS_BYTES];
  } address;
  if (fd < 0) return -EBADF;
  if (request->address_bytes > sizeof address) return -EINVAL;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0) return -errno;
  if (!is_inet(domain)) return -EAFNOSUPPORT;
  memcpy(&address, request->address, sizeof address);
  return bind(fd, &address.any, request->address_bytes) < 0 ? -errno : 0;
}

static int obey(const struct request *request, int given) {
  switch (request->operation) {
    case BROKER_MAKE_RAW:
      return make_socket((int)request->domain, SOCK_RAW, (int)request->protocol);
    case BROKER_MAKE_PING:
      return make_socket((int)request->domain, SOCK_DGRAM,
                         request->domain == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    case BROKER_BIND:
      return bind_socket(given, request);
    default:
      return -EINVAL;
  }
}

/* The first; what has room besides is closed. */
static int take_descriptor(struct msghdr *message) {
  int taken = -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
    return -1;
  }
  size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof taken;
  for (size_t i = 0; i < count; i++) {
    int fd;
    memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
    if (i == 0) taken = fd;
    if (i > 0) close(fd);
  }
  return taken;
}

/* False at the end. A message of another size is none of the Sentry's as we know it. */
static bool receive(struct request *request, int *given) {
  union descriptor_message control;
  struct iovec part = {request, sizeof *request};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t got;
  do {
    got = recvmsg(BROKER_SOCKET, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  *given = got < 0 ? -1 : take_descriptor(&message);
  return got == sizeof *request && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
}

/* The result, and with a socket that was made its descriptor. */
static void answer(int result, int made) {
  union descriptor_message control = {0};
  int32_t told = result;
  struct iovec part = {&told, sizeof told};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (made >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof made);
    memcpy(CMSG_DATA(header), &made, sizeof made);
  }
  if (sendmsg(BROKER_SOCKET, &message, MSG_NOSIGNAL) < 0) _exit(0);
}

static void serve(void) {
  struct request request;
  int given;
  while (receive(&request, &given)) {
    int result = obey(&request, given);
    bool makes = request.operation == BROKER_MAKE_RAW || request.operation == BROKER_MAKE_PING;
    int made = makes && result >= 0 ? result : -1;
    answer(result < 0 ? result : 0, made);
    if (made >= 0) close(made);
    if (given >= 0) close(given);
  }
}

/* ---- confinement ---- */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define ALLOW_CALL(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), ALLOW
/* Goes on with the next instruction only if the loaded value is this one. */
#define ONLY(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0), KILL
#define EITHER(one, other)                        \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, one, 2, 0), \
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, other, 1, 0), KILL

/* Whatever else it is made to ask for kills it. */
static void confine(void) {
  struct sock_filter code[] = {
      LOAD(arch),
      ONLY(AUDIT_ARCH_X86_64),
      LOAD(nr),
      ALLOW_CALL(SYS_recvmsg),
      ALLOW_CALL(SYS_sendmsg),
      ALLOW_CALL(SYS_bind),
      ALLOW_CALL(SYS_close),
      ALLOW_CALL(SYS_exit_group),
      ALLOW_CALL(SYS_exit),
      ALLOW_CALL(SYS_rt_sigreturn),
      ALLOW_CALL(SYS_restart_syscall),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 7),
      LOAD(args[1]),
      ONLY(SOL_SOCKET),
      LOAD(args[2]),
      ONLY(SO_DOMAIN),
      ALLOW,
      ONLY(SYS_socket),
      LOAD(args[0]),
      EITHER(AF_INET, AF_INET6),
      LOAD(args[1]),
      EITHER(SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC),
      LOAD(args[2]),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 255, 0, 1),
      KILL,
      ALLOW,
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
    fatal("seccomp: %s", strerror(errno));
  }
}

/* A group that may ping; the Sentry's own where that may, or where none may. */
static gid_t ping_group(const struct sandbox *sandbox) {
  unsigned first, last;
  if (sscanf(sandbox->ping_groups, "%u %u", &first, &last) != 2 || first > last)
    return sandbox->gid;
  return sandbox->gid >= first && sandbox->gid <= last ? sandbox->gid : first;
}

static void run(struct sandbox *sandbox, int gate, uint64_t kept) {
  enter_empty_root();
  /* Which guest may have a ping socket, the Sentry says. */
  become_broker(sandbox, ping_group(sandbox), kept);
  die_with_launcher(gate);
  const struct placed placed[BROKER_SOCKET + 1] = {
      {sandbox->null}, {sandbox->null}, {sandbox->null}, {sandbox->broker_pair[1]}};
  place_descriptors(placed, BROKER_SOCKET + 1);
  close_range(BROKER_SOCKET + 1, ~0U, 0);
  prctl(PR_SET_NAME, "runts-broker");
  reset_signals();
  confine();
  serve();
  _exit(0);
}

bool has_broker(const struct sandbox *sandbox) {
  return sandbox->options.host_network && !sandbox->options.container.joins;
}

void read_ping_groups(struct sandbox *sandbox) {
  int groups = open("/proc/sys/net/ipv4/ping_group_range", O_RDONLY | O_CLOEXEC);
  if (groups < 0) return;
  ssize_t got = read(groups, sandbox->ping_groups, sizeof sandbox->ping_groups - 1);
  sandbox->ping_groups[got > 0 ? got - 1 : 0] = 0; /* without its newline */
  close(groups);
}

void start_broker(struct sandbox *sandbox) {
  uint64_t have = effective_capabilities();
  uint64_t kept = sandbox->options.network_capabilities & have;
  int gate[2];
  bool is_needed = kept != 0 || ping_group(sandbox) != sandbox->gid;
  if (!is_needed || !sandbox->options.host_network) return;
  /* It could not get rid of the others. */
  if ((have & 1ULL << CAP_SETPCAP) == 0 || (have & 1ULL << CAP_SYS_ADMIN) == 0) return;
  if (pipe2(gate, O_CLOEXEC) < 0) fatal("pipe: %s", strerror(errno));
  sandbox->broker_pid = fork();
  if (sandbox->broker_pid < 0) fatal("fork: %s", strerror(errno));
  if (sandbox->broker_pid == 0) {
    close(gate[1]);
    run(sandbox, gate[0], kept);
  }
  close(gate[0]);
  high(gate[1], "pipe"); /* its end tells the broker that the launcher is gone */
}

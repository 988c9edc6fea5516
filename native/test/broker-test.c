// SPDX-License-Identifier: Apache-2.0
/*
 * The network broker (launcher/broker.c) against a Sentry that is not itself any more: requests and
 * descriptors of all kinds, and the calls that its seccomp list is to stop. Needs a network
 * namespace of its own: run under unshare -n.
 */
#include "launcher/broker.c"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/un.h>
#include <sys/wait.h>

/* What of the launcher it refers to, and does not need here. */
void fatal(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vfprintf(stderr, format, list);
  exit(99);
}
void enter_empty_root(void) {}
void become_broker(const struct sandbox *sandbox, gid_t group, unsigned long long kept) {
  (void)sandbox, (void)group, (void)kept;
}
void die_with_launcher(int gate) { (void)gate; }
void reset_signals(void) {}
void place_descriptors(const struct placed *placed, int count) { (void)placed, (void)count; }
unsigned long long effective_capabilities(void) { return 0; }
int high(int fd, const char *what) { return (void)what, fd; }

static int checks, bad;
#define CHECK(condition)                                                    \
  do {                                                                      \
    checks++;                                                               \
    if (!(condition)) bad++, printf("line %d: %s\n", __LINE__, #condition); \
  } while (0)

static int broker;
static pid_t broker_pid;

static void start(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0) exit(98);
  fflush(stdout);
  broker_pid = fork();
  if (broker_pid == 0) {
    close(pair[0]);
    dup2(pair[1], BROKER_SOCKET);
    close_range(BROKER_SOCKET + 1, ~0U, 0);
#ifndef UNCONFINED
    confine();
#endif
    serve();
    _exit(0);
  }
  close(pair[1]);
  broker = pair[0];
}

/* How it ended. */
static int stop(void) {
  int status;
  close(broker);
  waitpid(broker_pid, &status, 0);
  return status;
}

static void send_bytes(const void *bytes, size_t length, const int *fds, size_t count) {
  char control[CMSG_SPACE(8 * sizeof(int))] = {0};
  struct iovec part = {(void *)bytes, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  if (sendmsg(broker, &message, MSG_NOSIGNAL) < 0) perror("sendmsg");
}

enum { HUNG_UP = -9999 };

/* Its answer; *made: the descriptor that came, or -1. */
static int hear(int *made) {
  int32_t told = HUNG_UP;
  char control[CMSG_SPACE(4 * sizeof(int))];
  struct iovec part = {&told, sizeof told};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  *made = -1;
  if (recvmsg(broker, &message, 0) != sizeof told) return HUNG_UP;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != NULL) memcpy(made, CMSG_DATA(header), sizeof *made);
  return told;
}

static int ask(struct request request, int given, int *made) {
  send_bytes(&request, sizeof request, &given, given >= 0);
  return hear(made);
}

/* Nothing comes with the refusal. */
static int refused(struct request request, int given) {
  int made, result = ask(request, given, &made);
  CHECK(made < 0);
  return result;
}

static int option(int fd, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  getsockopt(fd, SOL_SOCKET, name, &value, &length);
  return value;
}

static void makes_what_it_is_for(void) {
  int made;
  CHECK(ask((struct request){BROKER_MAKE_RAW, AF_INET, IPPROTO_ICMP, 0, {0}}, -1, &made) == 0);
  CHECK(made >= 0 && option(made, SO_TYPE) == SOCK_RAW && option(made, SO_PROTOCOL) == 1);
  close(made);
  CHECK(ask((struct request){BROKER_MAKE_RAW, AF_INET6, 58, 0, {0}}, -1, &made) == 0);
  CHECK(made >= 0 && option(made, SO_DOMAIN) == AF_INET6);
  close(made);
  struct request low = {BROKER_BIND, 0, 0, sizeof(struct sockaddr_in), {0}};
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(7)};
  memcpy(low.address, &name, sizeof name);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(ask(low, fd, &made) == 0 && made < 0);
  CHECK(refused(low, fd) == -EINVAL);
  close(fd);
}

static void makes_nothing_else(void) {
  static const uint32_t domains[] = {0, AF_UNIX, AF_PACKET, AF_NETLINK, AF_VSOCK, 0xffffffff, 46};
  for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
    CHECK(refused((struct request){BROKER_MAKE_RAW, domains[i], 1, 0, {0}}, -1) == -EAFNOSUPPORT);
    CHECK(refused((struct request){BROKER_MAKE_PING, domains[i], 0, 0, {0}}, -1) == -EAFNOSUPPORT);
  }
  CHECK(refused((struct request){BROKER_MAKE_RAW, AF_INET, 256, 0, {0}}, -1) == -EINVAL);
  CHECK(refused((struct request){BROKER_MAKE_RAW, AF_INET, 0xffffffff, 0, {0}}, -1) == -EINVAL);
  CHECK(refused((struct request){BROKER_MAKE_RAW, AF_INET, 0, 0, {0}}, -1) == -EPROTONOSUPPORT);
  for (uint32_t operation = 4; operation < 100; operation++) {
    CHECK(refused((struct request){operation, AF_INET, 1, 0, {0}}, -1) == -EINVAL);
  }
}

static void binds_inet_sockets_only(void) {
  int pipes[2], unix_socket = socket(AF_UNIX, SOCK_STREAM, 0), raw;
  struct request request = {BROKER_BIND, 0, 0, 20, {0}};
  struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/tmp/broker"};
  memcpy(request.address, &path, sizeof request.address);
  unlink(path.sun_path);
  CHECK(refused(request, -1) == -EBADF);
  CHECK(refused(request, unix_socket) == -EAFNOSUPPORT);
  CHECK(access(path.sun_path, F_OK) < 0);
  int netlink = socket(AF_NETLINK, SOCK_RAW, 0);
  CHECK(refused(request, netlink) == -EAFNOSUPPORT);
  CHECK(pipe(pipes) == 0);
  CHECK(refused(request, pipes[0]) == -ENOTSOCK);
  CHECK((raw = open("/", O_PATH)) >= 0);
  CHECK(refused(request, raw) == -EBADF);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(refused(request, fd) < 0);
  static const uint32_t sizes[] = {0, 1, 15, 29, 64, 0x7fffffff, 0xffffffff};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    request.address_bytes = sizes[i];
    CHECK(refused(request, fd) == -EINVAL);
  }
  close(fd), close(raw), close(netlink), close(unix_socket), close(pipes[0]), close(pipes[1]);
}

static int open_descriptors(pid_t pid) {
  char path[64];
  int count = 0;
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *directory = opendir(path);
  if (directory == NULL) return -1;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count - 2;
}

static void keeps_no_descriptors(void) {
  refused((struct request){0}, -1);
  int made, before = open_descriptors(broker_pid);
  struct request request = {BROKER_BIND, 0, 0, 16, {0}};
  for (int i = 0; i < 50; i++) {
    send_bytes(&request, sizeof request, (const int[]){0, 1}, 2);
    CHECK(hear(&made) < 0);
  }
  for (int i = 0; i < 20000; i++) {
    request.operation = (uint32_t)random() % 5;
    request.domain = random() % 3 == 0   ? (uint32_t)random()
                     : random() % 2 == 0 ? AF_INET
                                         : AF_INET6;
    request.protocol = (uint32_t)random() % 300;
    request.address_bytes = (uint32_t)random() % 40;
    for (size_t j = 0; j < sizeof request.address; j++) request.address[j] = (uint8_t)random();
    int given = random() % 2 == 0 ? socket(AF_INET, SOCK_DGRAM, 0) : -1;
    int result = ask(request, given, &made);
    CHECK(result <= 0 && result != HUNG_UP);
    if (made >= 0) close(made);
    if (given >= 0) close(given);
  }
  /* It closes after it has answered: not before the next answer is that sure. */
  for (int i = 0; i < 2; i++) refused((struct request){0}, -1);
  CHECK(open_descriptors(broker_pid) == before);
}

/* Messages of other sizes, or with more than there is room for, end it; so does the Sentry's end. */
static void ends(void) {
  static const size_t sizes[] = {0, 1, 43, 45, 4096};
  static const char bytes[4096];
  int made, zeros[8] = {0};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    start();
    send_bytes(bytes, sizes[i], NULL, 0);
    CHECK(hear(&made) == HUNG_UP);
    CHECK(stop() == 0);
  }
  start();
  send_bytes(bytes, sizeof(struct request), zeros, 8);
  CHECK(hear(&made) == HUNG_UP);
  CHECK(stop() == 0);
}

#ifndef UNCONFINED
static void forbidden(int which) {
  struct sockaddr_in name = {.sin_family = AF_INET};
  confine();
  switch (which) {
    case 0:
      socket(AF_INET, SOCK_STREAM, 0);
      break;
    case 1:
      socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      break;
    case 2:
      socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 3);
      break;
    case 3:
      socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      break;
    case 4:
      socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 256);
      break;
    case 5:
      syscall(SYS_open, "/", O_RDONLY);
      break;
    case 6:
      syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
      break;
    case 7:
      connect(0, (void *)&name, sizeof name);
      break;
    case 8:
      setsockopt(0, SOL_SOCKET, SO_DEBUG, &which, sizeof which);
      break;
    case 9:
      getsockopt(0, SOL_SOCKET, SO_ERROR, &which, &(socklen_t){sizeof which});
      break;
    case 10:
      getsockopt(0, SOL_IP, SO_DOMAIN, &which, &(socklen_t){sizeof which});
      break;
    case 11:
      syscall(SYS_execve, "/bin/true", NULL, NULL);
      break;
    case 12:
      syscall(SYS_clone, 0, 0, 0, 0, 0);
      break;
    case 13:
      ptrace(PTRACE_TRACEME, 0, 0, 0);
      break;
    case 14:
      kill(getppid(), 0);
      break;
    case 15:
      setuid(0);
      break;
    case 16:
      syscall(SYS_ioctl, 0, 0x8914, 0);
      break;
    case 17:
      syscall(SYS_sendto, 0, "", 0, 0, NULL, 0);
      break;
    case 18:
      syscall(SYS_mmap, 0, 4096, 7, 0x22, -1, 0);
      break;
    case 19:
      syscall(SYS_io_uring_setup, 1, NULL);
      break;
    case 20:
      syscall(SYS_unshare, 0);
      break;
    case 21:
      syscall(0x40000000 | SYS_recvmsg, 0, NULL, 0);
      break;
    default:
      _exit(77);
  }
  _exit(0);
}

static void may_not_call_anything_else(void) {
  for (int which = 0;; which++) {
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) forbidden(which);
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return;
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    if (!WIFSIGNALED(status)) printf("forbidden call %d went through\n", which);
  }
}
#endif

int main(void) {
  start();
  makes_what_it_is_for();
  makes_nothing_else();
  binds_inet_sockets_only();
  keeps_no_descriptors();
  CHECK(stop() == 0);
  ends();
#ifndef UNCONFINED
  may_not_call_anything_else();
#endif
  printf("%d checks, %d failed\n", checks, bad);
  return bad > 0;
}

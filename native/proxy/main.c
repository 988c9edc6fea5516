// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's loop, its configuration and its confinement.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proxy-filter.h"
#include "proxy/messages.h"
#include "proxy/proxy.h"

enum { AT_ONCE = 128, REQUESTS_AT_ONCE = 256 };

struct server servers[PROXY_MOST_SERVERS];
unsigned server_count;
static struct {
  int fd;
  bool is_udp;
} published[PROXY_MOST_PUBLISHED];
static unsigned published_count;
static int events_fd = -1;

void *reserve(size_t bytes) {
  void *memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) _exit(1);
  return memory;
}

long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

long now_seconds(void) { return now_ms() / 1000; }

bool watch(int fd, enum kind kind, unsigned index, bool both_ways) {
  uint32_t wanted = EPOLLIN;
  if (both_ways) wanted |= EPOLLOUT | EPOLLRDHUP | EPOLLET;
  struct epoll_event event = {.events = wanted, .data = {.u64 = (uint64_t)kind << 32 | index}};
  return epoll_ctl(events_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* What came last from the Sentry, and before that the configuration. */
struct request {
  struct message_head head;
  uint8_t body[PROXY_MOST_BYTES - PROXY_HEAD_BYTES];
};
static struct request *request;

/* ---- the configuration ---- */

static bool take_setup(const uint8_t *bytes, size_t length, const int *fds, size_t fd_count) {
  struct setup_head head;
  if (length < sizeof head) return false;
  memcpy(&head, bytes, sizeof head);
  size_t rules_at = sizeof head;
  size_t servers_at = rules_at + head.rules * sizeof(struct setup_rule);
  size_t published_at = servers_at + head.servers * sizeof(struct setup_server);
  if (head.rules > PROXY_MOST_RULES || head.servers > PROXY_MOST_SERVERS ||
      head.published > PROXY_MOST_PUBLISHED || fd_count != head.published ||
      length != published_at + head.published * (size_t)PROXY_PUBLISHED_BYTES) {
    return false;
  }
  if (!load_rules(bytes + rules_at, head.rules, head.closed != 0)) return false;
  for (server_count = 0; server_count < head.servers; server_count++) {
    struct setup_server server;
    memcpy(&server, bytes + servers_at + server_count * sizeof server, sizeof server);
    struct place *at = &servers[server_count].at;
    *at = (struct place){.family = server.family, .port = server.port};
    memcpy(at->bytes, server.address, sizeof at->bytes);
  }
  for (; published_count < head.published; published_count++) {
    published[published_count].fd = fds[published_count];
    published[published_count].is_udp = bytes[published_at + published_count] != 0;
  }
  limit_rate(head.rate);
  return true;
}

static bool receive_setup(void) {
  uint8_t *bytes = (uint8_t *)request;
  int fds[PROXY_MOST_PUBLISHED];
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof fds)];
  } control;
  struct iovec part = {bytes, sizeof *request};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t got = recvmsg(PROXY_SETUP_SOCKET, &message, MSG_CMSG_CLOEXEC);
  if (got < 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return false;
  size_t count = 0;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
    count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
  }
  close(PROXY_SETUP_SOCKET);
  return take_setup(bytes, (size_t)got, fds, count);
}

/* ---- requests ---- */

static void obey(const struct message_head *head, uint8_t *body, size_t length) {
  struct place place = {.family = head->family, .port = head->port};
  memcpy(place.bytes, head->address, sizeof place.bytes);
  bool has_place = place.family == 4 || place.family == 6;
  switch (head->type) {
    case PROXY_CONNECT:
      if (has_place) begin_stream(head->id, &place);
      break;
    case PROXY_ABORT:
      abort_stream(head->id);
      break;
    case PROXY_SEND:
    case PROXY_PING:
      if (!has_place) break;
      send_datagram(head->id, head->type == PROXY_SEND ? FLOW_UDP : FLOW_PING, &place, body,
                    length);
      break;
    case PROXY_FORGET:
      forget_flows(head->id);
      break;
    case PROXY_ANSWER:
      if (has_place && head->value < published_count && published[head->value].is_udp) {
        answer_call(head->value, published[head->value].fd, &place, body, length);
      }
      break;
    default:
      _exit(1); /* none of the Sentry's as we know it */
  }
}

static void take_requests(void) {
  for (int i = 0; i < REQUESTS_AT_ONCE; i++) {
    ssize_t got = recv(PROXY_SENTRY, request, sizeof *request, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < (ssize_t)sizeof request->head) _exit(0);
    obey(&request->head, request->body, (size_t)got - sizeof request->head);
  }
}

/* ---- the loop ---- */

static void dispatch(const struct epoll_event *event) {
  unsigned index = (unsigned)event->data.u64;
  enum kind kind = (enum kind)(event->data.u64 >> 32);
  switch (kind) {
    case OF_SENTRY:
      break; /* looked at first in each round */
    case OF_PUBLISHED:
      if (published[index].is_udp) {
        take_calls(index, published[index].fd);
      } else {
        accept_streams(index, published[index].fd);
      }
      break;
    case OF_OUTSIDE:
    case OF_INSIDE:
      stream_ready(index, kind, event->events);
      break;
    case OF_FLOW:
      flow_ready(index);
      break;
    case OF_QUERY:
      query_ready(index);
      break;
  }
}

static void serve(void) {
  enum { SWEEP_MS = 1000 };
  static struct epoll_event events[AT_ONCE];
  long swept = now_seconds();
  int wait_ms = -1;
  for (;;) {
    int count = epoll_wait(events_fd, events, AT_ONCE, wait_ms);
    if (count < 0 && errno != EINTR) _exit(1);
    /* Requests come first: that a stream is to be reset is said before the Sentry closes it. */
    take_requests();
    for (int i = 0; i < count; i++) dispatch(&events[i]);
    wait_ms = continue_streams();
    if (wait_ms < 0 && (has_queries() || has_orphans())) wait_ms = SWEEP_MS;
    long now = now_seconds();
    if (now == swept) continue;
    swept = now;
    sweep_queries(now);
    sweep_streams(now);
  }
}

static void confine(void) {
  struct sock_fprog program = {sizeof proxy_filter / sizeof *proxy_filter,
                               (struct sock_filter *)proxy_filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) {
    _exit(1);
  }
}

void run_proxy(void) {
  events_fd = epoll_create1(EPOLL_CLOEXEC);
  request = reserve(sizeof *request);
  prepare_streams();
  prepare_datagrams();
  prepare_names();
  prepare_resolver();
  if (events_fd < 0 || !open_routes() || !receive_setup()) _exit(1);
  confine();
  if (!watch(PROXY_SENTRY, OF_SENTRY, 0, false)) _exit(1);
  for (unsigned i = 0; i < published_count; i++) {
    if (!watch(published[i].fd, OF_PUBLISHED, i, false)) _exit(1);
  }
  serve();
  _exit(0);
}

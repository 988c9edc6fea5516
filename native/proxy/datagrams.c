// SPDX-License-Identifier: Apache-2.0
/*
 * UDP and ICMP echo. A flow is a host socket that is connected to one place for one socket of the
 * guest: so only that place can answer, and the host tells of errors. Published UDP ports are the
 * other way round: one socket, and a list of who has called.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "proxy/proxy.h"

enum {
  AT_ONCE = 32,
  MOST_CALLERS = 256,
  ECHO_REQUEST = 8,
  ECHO_REQUEST_V6 = 128,
  DATAGRAM_BYTES = 65536
};

struct flow {
  int fd; /* 0: none */
  uint32_t id;
  enum flow_kind kind;
  struct place to; /* as the guest sees it */
  uint64_t used;   /* when: the number of the use */
};
static struct flow flows[PROXY_MOST_FLOWS];
static uint64_t uses;
static uint8_t *datagram;

void prepare_datagrams(void) { datagram = reserve(DATAGRAM_BYTES); }

static void end_flow(struct flow *flow) {
  close(flow->fd);
  flow->fd = 0;
}

static void tell_failure(uint32_t id, const struct place *to, int error) {
  tell((struct told){
      .type = PROXY_UNDELIVERED, .id = id, .value = (uint32_t)error, .place = to, .fd = -1});
}

static struct flow *find_flow(uint32_t id, enum flow_kind kind, const struct place *to) {
  for (struct flow *each = flows; each < flows + PROXY_MOST_FLOWS; each++) {
    if (each->fd > 0 && each->id == id && each->kind == kind && each->to.port == to->port &&
        same_address(&each->to, to)) {
      return each;
    }
  }
  return NULL;
}

/* A place; the flow that was used longest ago makes room. */
static struct flow *room_for_flow(void) {
  struct flow *oldest = &flows[0];
  for (struct flow *each = flows; each < flows + PROXY_MOST_FLOWS; each++) {
    if (each->fd <= 0) return each;
    if (each->used < oldest->used) oldest = each;
  }
  end_flow(oldest);
  return oldest;
}

static int open_socket(enum flow_kind kind, const struct place *host) {
  struct sockaddr_storage name;
  socklen_t length = to_host(host, &name);
  int protocol = kind == FLOW_UDP ? 0 : host->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  int fd = socket(name.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -errno;
  if (connect(fd, (struct sockaddr *)&name, length) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

static struct flow *new_flow(uint32_t id, enum flow_kind kind, const struct place *to) {
  struct place host = seen_by_host(to);
  const char *why = refusal(&host, NULL);
  if (why != NULL) {
    tell_denied(PROXY_UNDELIVERED, id, EACCES, to, why);
    return NULL;
  }
  int fd = open_socket(kind, &host);
  if (fd < 0) {
    tell_failure(id, to, -fd);
    return NULL;
  }
  struct flow *flow = room_for_flow();
  *flow = (struct flow){.fd = fd, .id = id, .kind = kind, .to = *to};
  if (watch(fd, OF_FLOW, (unsigned)(flow - flows), false)) return flow;
  end_flow(flow);
  tell_failure(id, to, ENOBUFS);
  return NULL;
}

void send_datagram(uint32_t id, enum flow_kind kind, const struct place *to, uint8_t *bytes,
                   size_t length) {
  if (kind == FLOW_UDP && is_name_server(to)) {
    ask_name(id, to, bytes, length);
    return;
  }
  if (to->family == 0 || (kind == FLOW_UDP && to->port == 0)) return;
  uint8_t wanted = to->family == 4 ? ECHO_REQUEST : ECHO_REQUEST_V6;
  if (kind == FLOW_PING && (length < 8 || bytes[0] != wanted || bytes[1] != 0)) return;
  struct flow *flow = find_flow(id, kind, to);
  if (flow == NULL) flow = new_flow(id, kind, to);
  if (flow == NULL) return;
  flow->used = ++uses;
  /* A send tells of an error of the one before; what it was for is sent then. */
  ssize_t sent = send(flow->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0 || errno == EAGAIN || errno == ENOBUFS) return;
  tell_failure(id, to, errno);
  if (errno == ECONNREFUSED) send(flow->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void forget_flows(uint32_t id) {
  for (struct flow *each = flows; each < flows + PROXY_MOST_FLOWS; each++) {
    if (each->fd > 0 && each->id == id) end_flow(each);
  }
}

void flow_ready(unsigned index) {
  if (index >= PROXY_MOST_FLOWS) return;
  struct flow *flow = &flows[index];
  for (int i = 0; i < AT_ONCE && flow->fd > 0; i++) {
    ssize_t got = recv(flow->fd, datagram, DATAGRAM_BYTES, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) {
      tell_failure(flow->id, &flow->to, errno);
      return;
    }
    tell_or_drop((struct told){.type = PROXY_RECEIVED,
                               .id = flow->id,
                               .value = (uint32_t)flow->kind,
                               .place = &flow->to,
                               .body = datagram,
                               .length = (size_t)got,
                               .fd = -1});
  }
}

/* ---- published ports ---- */

static struct place callers[MOST_CALLERS];
static uint8_t called[MOST_CALLERS]; /* the published port */
static unsigned next_caller;

static bool has_called(unsigned published, const struct place *who) {
  for (unsigned i = 0; i < MOST_CALLERS; i++) {
    if (callers[i].family != 0 && called[i] == published && callers[i].port == who->port &&
        same_address(&callers[i], who)) {
      return true;
    }
  }
  return false;
}

void take_calls(unsigned published, int socket) {
  for (int i = 0; i < AT_ONCE; i++) {
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    ssize_t got =
        recvfrom(socket, datagram, DATAGRAM_BYTES, MSG_DONTWAIT, (struct sockaddr *)&name, &length);
    if (got < 0) return;
    struct place host = from_host(&name);
    struct place guest = seen_by_guest(&host);
    if (!has_called(published, &guest)) {
      callers[next_caller] = guest;
      called[next_caller] = (uint8_t)published;
      next_caller = (next_caller + 1) % MOST_CALLERS;
    }
    tell_or_drop((struct told){.type = PROXY_CALLED,
                               .value = published,
                               .place = &guest,
                               .body = datagram,
                               .length = (size_t)got,
                               .fd = -1});
  }
}

void answer_call(unsigned published, int socket, const struct place *to, const uint8_t *bytes,
                 size_t length) {
  struct sockaddr_storage name;
  if (!has_called(published, to)) return;
  struct place host = seen_by_host(to);
  socklen_t name_length = to_host(&host, &name);
  /* What is lost here UDP may lose. */
  if (sendto(socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&name,
             name_length) < 0) {
    errno = 0;
  }
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The name server that the guest sees: queries that the policy lets through go on to the host's
 * servers, each from a socket and with a number of its own, so that nobody off the way can answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "proxy/proxy.h"

enum {
  MOST_QUERIES = 64,
  QUERY_BYTES = 1232,
  PATIENCE_SECONDS = 3,
  SERVER_FAILURE = 2,
  REFUSED = 5,
  RECEIVED_BYTES = 65536
};

struct query {
  bool used;
  uint32_t id;     /* the guest's socket */
  struct place at; /* where it asked */
  uint16_t number, guest_number;
  unsigned server;
  int fd;
  long deadline;
  size_t length;
  struct question question;
  uint8_t bytes[QUERY_BYTES]; /* as it goes to the server */
};
static struct query *queries;
static uint8_t *received;

void prepare_resolver(void) {
  queries = reserve(MOST_QUERIES * sizeof *queries);
  received = reserve(RECEIVED_BYTES);
}

static void answer(const struct query *query, const uint8_t *bytes, size_t length) {
  tell_or_drop((struct told){.type = PROXY_RECEIVED,
                             .id = query->id,
                             .place = &query->at,
                             .body = bytes,
                             .length = length,
                             .fd = -1});
}

static void end_query(struct query *query) {
  if (query->fd >= 0) close(query->fd);
  query->used = false;
}

static void put_number(uint8_t *bytes, uint16_t number) {
  bytes[0] = (uint8_t)(number >> 8);
  bytes[1] = (uint8_t)number;
}

static void fail(struct query *query, unsigned code) {
  put_number(query->bytes, query->guest_number);
  answer(query, query->bytes, make_answer(query->bytes, &query->question, code));
  end_query(query);
}

/* To the server whose turn it is, or the next that can be reached. */
static void send_query(struct query *query) {
  for (; query->server < server_count; query->server++) {
    struct sockaddr_storage name;
    const struct place *server = &servers[query->server].at;
    socklen_t length = to_host(server, &name);
    if (query->fd >= 0) close(query->fd);
    query->fd = socket(name.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (query->fd < 0) break;
    if (connect(query->fd, (struct sockaddr *)&name, length) == 0 &&
        send(query->fd, query->bytes, query->length, MSG_NOSIGNAL) >= 0 &&
        watch(query->fd, OF_QUERY, (unsigned)(query - queries), false)) {
      query->deadline = now_seconds() + PATIENCE_SECONDS;
      return;
    }
  }
  fail(query, SERVER_FAILURE);
}

/* A free place; where there is none the oldest query is given up, as if its answer was lost. */
static struct query *new_query(void) {
  struct query *oldest = &queries[0];
  for (struct query *each = queries; each < queries + MOST_QUERIES; each++) {
    if (!each->used) return each;
    if (each->deadline < oldest->deadline) oldest = each;
  }
  end_query(oldest);
  return oldest;
}

void ask_name(uint32_t id, const struct place *at, uint8_t *bytes, size_t length) {
  struct question question;
  const char *why = query_refusal(bytes, length, &question);
  uint16_t number;
  if (length > QUERY_BYTES || length < 12) return;
  if (why != NULL && strcmp(why, "no query with one name") == 0) return;
  if (getrandom(&number, sizeof number, 0) != sizeof number) return;
  struct query *query = new_query();
  query->used = true;
  query->number = number;
  query->deadline = 0;
  query->id = id;
  query->at = *at;
  query->fd = -1;
  query->server = 0;
  query->length = length;
  query->question = question;
  query->guest_number = (uint16_t)(bytes[0] << 8 | bytes[1]);
  memcpy(query->bytes, bytes, length);
  if (why != NULL) {
    char text[NAME_BYTES + 64];
    size_t name = strlen(question.name), reason = strlen(why);
    memcpy(text, question.name, name);
    text[name] = ' ';
    memcpy(text + name + 1, why, reason);
    tell((struct told){.type = PROXY_REFUSED, .body = text, .length = name + 1 + reason, .fd = -1});
    fail(query, REFUSED);
    return;
  }
  put_number(query->bytes, query->number);
  send_query(query);
}

void query_ready(unsigned index) {
  uint8_t *bytes = received;
  struct query *query = &queries[index];
  struct question question;
  if (index >= MOST_QUERIES || !query->used) return;
  ssize_t got = recv(query->fd, bytes, RECEIVED_BYTES, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got < 0) {
    query->server++;
    send_query(query);
    return;
  }
  bool is_answer = got >= 12 && (bytes[2] & 0x80) != 0 &&
                   (uint16_t)(bytes[0] << 8 | bytes[1]) == query->number &&
                   read_question(bytes, (size_t)got, &question) &&
                   question.type == query->question.type &&
                   strcmp(question.name, query->question.name) == 0;
  if (!is_answer) return;
  learn(bytes, (size_t)got);
  put_number(bytes, query->guest_number);
  answer(query, bytes, (size_t)got);
  end_query(query);
}

bool has_queries(void) {
  for (const struct query *each = queries; each < queries + MOST_QUERIES; each++) {
    if (each->used) return true;
  }
  return false;
}

void sweep_queries(long now) {
  for (struct query *each = queries; each < queries + MOST_QUERIES; each++) {
    if (!each->used || each->deadline > now) continue;
    each->server++;
    send_query(each);
  }
}

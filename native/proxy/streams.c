// SPDX-License-Identifier: Apache-2.0
/*
 * TCP connections: each is a host socket to the outside and a Unix stream to the Sentry, and bytes
 * move between the two. What one side does not take at once waits in a buffer of the connection,
 * and while something waits nothing more is read: the other end's window closes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/proxy.h"

enum {
  PENDING_BYTES = 32768,
  CHUNK_BYTES = 131072,
  MOST_CHUNKS = 8, /* for one connection before others have their turn */
  ORPHAN_SECONDS = 60
};

enum way { UP, DOWN }; /* from the guest, to the guest */
enum inspection { UNSEEN, SERVER_NAME, NAME_QUERIES };

struct pipe {
  uint32_t start, ready, length; /* in the buffer: from `ready` on it is not to be sent yet */
  bool ended, told;              /* nothing more comes; the other side knows */
  enum inspection inspection;
};

struct stream {
  enum { FREE, CONNECTING, OPEN } state;
  uint32_t id;
  int fds[2]; /* from where UP reads, from where DOWN reads */
  struct place to;
  struct pipe pipes[2];
  int error;       /* of the outside, to be told when all that came before has gone down */
  bool is_drained; /* nothing more can be read from it */
  bool is_queued, used_buffer;
  long orphan_until; /* 0: the Sentry holds it */
};

static struct stream *streams;
static uint8_t *chunk;
static uint8_t (*buffers)[2][PENDING_BYTES];
static uint16_t queue[PROXY_MOST_STREAMS];
static unsigned queued, open_count, orphan_count, next_incoming;

/* ---- rates ---- */

enum { RATE_WAIT_MS = 10 };
static uint32_t rate;
static long long budget[2];
static long budget_at;
static bool is_limited; /* somebody waits for the budget */

void limit_rate(uint32_t bytes) { rate = bytes; }

/* How much may move now: what has come together since, of a tenth of a second at most. */
static size_t allowance(enum way way) {
  if (rate == 0) return CHUNK_BYTES;
  long now = now_ms();
  long long most = rate / 10 + 1500;
  for (int i = 0; i < 2; i++) {
    budget[i] += (long long)rate * (now - budget_at) / 1000;
    if (budget[i] > most) budget[i] = most;
  }
  budget_at = now;
  return budget[way] <= 0 ? 0 : budget[way] < CHUNK_BYTES ? (size_t)budget[way] : CHUNK_BYTES;
}

/* ---- places ---- */

void prepare_streams(void) {
  streams = reserve(PROXY_MOST_STREAMS * sizeof *streams);
  buffers = reserve(PROXY_MOST_STREAMS * sizeof *buffers);
  chunk = reserve(CHUNK_BYTES);
}

static size_t index_of(const struct stream *stream) { return (size_t)(stream - streams); }

static struct stream *new_stream(uint32_t id, const struct place *to) {
  if (open_count == PROXY_MOST_STREAMS) return NULL;
  for (struct stream *each = streams; each < streams + PROXY_MOST_STREAMS; each++) {
    if (each->state != FREE || each->is_queued) continue;
    *each = (struct stream){.state = CONNECTING, .id = id, .fds = {-1, -1}, .to = *to};
    open_count++;
    return each;
  }
  return NULL;
}

static void end_stream(struct stream *stream, bool resets) {
  struct linger now = {1, 0};
  if (resets) setsockopt(stream->fds[DOWN], SOL_SOCKET, SO_LINGER, &now, sizeof now);
  for (int i = 0; i < 2; i++) {
    if (stream->fds[i] >= 0) close(stream->fds[i]);
  }
  if (stream->used_buffer) {
    madvise(buffers[index_of(stream)], sizeof buffers[0], MADV_DONTNEED);
  }
  if (stream->orphan_until != 0) orphan_count--;
  stream->state = FREE;
  open_count--;
}

static void tell_end(uint32_t type, const struct stream *stream, int error) {
  tell((struct told){
      .type = type, .id = stream->id, .value = (uint32_t)error, .place = &stream->to, .fd = -1});
}

static void enqueue(struct stream *stream) {
  if (stream->is_queued) return;
  stream->is_queued = true;
  queue[queued++] = (uint16_t)index_of(stream);
}

/* ---- what is looked at on its way ---- */

/* Why a stream is to be broken off; NULL: go on. `*pipe` says what may be sent by now. */
static const char *look_for_name(struct stream *stream, struct pipe *pipe, const uint8_t *bytes) {
  static char name[NAME_BYTES];
  enum server_name found = read_server_name(bytes, pipe->length, name);
  if (found == NAME_INCOMPLETE && !pipe->ended) {
    return pipe->length == PENDING_BYTES ? "an endless TLS greeting" : NULL;
  }
  pipe->ready = pipe->length;
  pipe->inspection = UNSEEN;
  return found == NAME_FOUND && !is_name_open(name, stream->to.port) ? name : NULL;
}

/* Messages with a length of two bytes in front (RFC 1035, 4.2.2). */
static const char *look_at_messages(struct pipe *pipe, enum way way, const uint8_t *bytes) {
  struct question question;
  while (pipe->length - pipe->ready >= 2) {
    const uint8_t *at = bytes + pipe->ready;
    uint32_t size = (uint32_t)at[0] << 8 | at[1];
    if (size + 2 > PENDING_BYTES) return "a long message to the name server";
    if (pipe->length - pipe->ready < size + 2) break;
    const char *why = way == UP ? query_refusal(at + 2, size, &question) : NULL;
    if (why != NULL) return why;
    if (way == DOWN) learn(at + 2, size);
    pipe->ready += size + 2;
  }
  return NULL;
}

static const char *inspect(struct stream *stream, enum way way, const uint8_t *bytes) {
  struct pipe *pipe = &stream->pipes[way];
  return pipe->inspection == SERVER_NAME ? look_for_name(stream, pipe, bytes)
                                         : look_at_messages(pipe, way, bytes);
}

/* ---- moving bytes ---- */

enum moved { WAITS, GOES_ON, GONE };

/* The outside is broken: what came before goes down first. */
static enum moved outside_broke(struct stream *stream, enum way way, int error) {
  if (stream->error == 0) stream->error = error == EPIPE ? ECONNRESET : error;
  if (way == DOWN) stream->is_drained = true;
  enqueue(stream);
  return WAITS;
}

/* The guest's end is gone: whoever sends on gets a reset. */
static enum moved inside_broke(struct stream *stream) {
  end_stream(stream, true);
  return GONE;
}

static enum moved broke(struct stream *stream, enum way way, bool outside, int error) {
  return outside ? outside_broke(stream, way, error) : inside_broke(stream);
}

static void keep(struct stream *stream, enum way way, const uint8_t *bytes, size_t length) {
  struct pipe *pipe = &stream->pipes[way];
  memcpy(buffers[index_of(stream)][way] + pipe->length, bytes, length);
  pipe->length += (uint32_t)length;
  stream->used_buffer = true;
}

/* Sends what waits. WAITS: the other side takes no more now. */
static enum moved flush(struct stream *stream, enum way way) {
  struct pipe *pipe = &stream->pipes[way];
  uint8_t *bytes = buffers[index_of(stream)][way];
  while (pipe->ready > pipe->start) {
    ssize_t sent = send(stream->fds[1 - way], bytes + pipe->start, pipe->ready - pipe->start,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return WAITS;
    if (sent < 0) return broke(stream, way, way == UP, errno);
    pipe->start += (uint32_t)sent;
  }
  memmove(bytes, bytes + pipe->start, pipe->length - pipe->start);
  pipe->length -= pipe->start;
  pipe->start = pipe->ready = 0;
  return GOES_ON;
}

static enum moved end_way(struct stream *stream, enum way way) {
  struct pipe *pipe = &stream->pipes[way];
  if (!pipe->told) shutdown(stream->fds[1 - way], SHUT_WR);
  pipe->told = true;
  if (!stream->pipes[1 - way].told) return WAITS;
  end_stream(stream, false);
  return GONE;
}

/* New bytes, as far as they can be sent on; the rest is kept. */
static enum moved pass(struct stream *stream, enum way way, const uint8_t *bytes, size_t length) {
  struct pipe *pipe = &stream->pipes[way];
  if (pipe->inspection == UNSEEN) {
    ssize_t sent = send(stream->fds[1 - way], bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return broke(stream, way, way == UP, errno);
    size_t gone = sent < 0 ? 0 : (size_t)sent;
    if (gone == length) return GOES_ON;
    keep(stream, way, bytes + gone, length - gone);
    pipe->ready = pipe->length;
    return GOES_ON;
  }
  keep(stream, way, bytes, length);
  const char *why = inspect(stream, way, buffers[index_of(stream)][way]);
  if (why == NULL) return GOES_ON;
  tell_denied(PROXY_BROKEN, stream->id, ECONNRESET, &stream->to, why);
  end_stream(stream, true);
  return GONE;
}

/* One read and what follows from it. */
static enum moved step(struct stream *stream, enum way way) {
  struct pipe *pipe = &stream->pipes[way];
  if (way == UP && stream->error != 0) return WAITS;
  enum moved flushed = flush(stream, way);
  if (flushed != GOES_ON) return flushed;
  if (stream->is_drained) {
    tell_end(PROXY_BROKEN, stream, stream->error);
    end_stream(stream, true);
    return GONE;
  }
  if (pipe->ended) return end_way(stream, way);
  /* What the other side does not take must fit into the buffer. */
  size_t most = PENDING_BYTES - pipe->length, allowed = allowance(way);
  if (most > allowed) most = allowed;
  if (most == 0) {
    if (allowed == 0) {
      enqueue(stream);
      is_limited = true;
    }
    return WAITS;
  }
  ssize_t got = recv(stream->fds[way], chunk, most, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return WAITS;
  if (got < 0) return broke(stream, way, way == DOWN, errno);
  if (got == 0 && way == DOWN && stream->error != 0) {
    stream->is_drained = true;
    return GOES_ON;
  }
  budget[way] -= got;
  if (got > 0) return pass(stream, way, chunk, (size_t)got);
  pipe->ended = true;
  if (pipe->inspection == UNSEEN) return GOES_ON;
  pipe->ready = pipe->length; /* an incomplete message is the other side's to judge */
  pipe->inspection = UNSEEN;
  return GOES_ON;
}

static enum moved move(struct stream *stream, enum way way) {
  for (int i = 0; i < MOST_CHUNKS; i++) {
    enum moved moved = step(stream, way);
    if (moved != GOES_ON) return moved;
  }
  enqueue(stream);
  return WAITS;
}

static void pump(struct stream *stream) {
  if (move(stream, UP) != GONE) move(stream, DOWN);
}

int continue_streams(void) {
  static uint16_t now[PROXY_MOST_STREAMS];
  unsigned count = queued;
  is_limited = false;
  memcpy(now, queue, count * sizeof *now);
  queued = 0;
  for (unsigned i = 0; i < count; i++) streams[now[i]].is_queued = false;
  for (unsigned i = 0; i < count; i++) {
    if (streams[now[i]].state == OPEN) pump(&streams[now[i]]);
  }
  if (queued == 0) return -1;
  return is_limited ? RATE_WAIT_MS : 0;
}

/* ---- beginnings and ends ---- */

/* The Sentry's end of a stream, which is OPEN then. */
static bool open_inside(struct stream *stream, uint32_t type, uint32_t value) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return false;
  stream->fds[UP] = pair[0];
  stream->state = OPEN;
  bool watched = watch(pair[0], OF_INSIDE, (unsigned)index_of(stream), true);
  if (watched) {
    tell((struct told){
        .type = type, .id = stream->id, .value = value, .place = &stream->to, .fd = pair[1]});
  }
  close(pair[1]);
  return watched;
}

static void fail_stream(struct stream *stream, int error) {
  tell_end(PROXY_FAILED, stream, error);
  end_stream(stream, false);
}

static void set_no_delay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void connect_outside(struct stream *stream, const struct place *host) {
  struct sockaddr_storage name;
  socklen_t length = to_host(host, &name);
  stream->fds[DOWN] = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (stream->fds[DOWN] < 0) {
    fail_stream(stream, errno == EMFILE || errno == ENFILE ? ENOBUFS : errno);
    return;
  }
  set_no_delay(stream->fds[DOWN]);
  int result = connect(stream->fds[DOWN], (struct sockaddr *)&name, length);
  if (result < 0 && errno != EINPROGRESS) {
    fail_stream(stream, errno);
  } else if (!watch(stream->fds[DOWN], OF_OUTSIDE, (unsigned)index_of(stream), true)) {
    fail_stream(stream, ENOBUFS);
  }
}

void begin_stream(uint32_t id, const struct place *to) {
  bool by_name = false, asks_names = is_name_server(to);
  struct place host = seen_by_host(to);
  const char *why = asks_names ? NULL : refusal(&host, &by_name);
  if (why != NULL) {
    tell_denied(PROXY_FAILED, id, EACCES, to, why);
    return;
  }
  struct stream *stream = new_stream(id, to);
  if (stream == NULL || (asks_names && server_count == 0)) {
    if (stream != NULL) end_stream(stream, false);
    tell((struct told){.type = PROXY_FAILED,
                       .id = id,
                       .value = stream == NULL ? ENOBUFS : ECONNREFUSED,
                       .place = to,
                       .fd = -1});
    return;
  }
  if (by_name) stream->pipes[UP].inspection = SERVER_NAME;
  if (asks_names) {
    stream->pipes[UP].inspection = stream->pipes[DOWN].inspection = NAME_QUERIES;
    host = servers[0].at;
  }
  connect_outside(stream, &host);
}

static void finish_connecting(struct stream *stream) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(stream->fds[DOWN], SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) {
    fail_stream(stream, error);
  } else if (!open_inside(stream, PROXY_CONNECTED, 0)) {
    fail_stream(stream, ENOBUFS);
  } else {
    pump(stream);
  }
}

void abort_stream(uint32_t id) {
  for (struct stream *each = streams; each < streams + PROXY_MOST_STREAMS; each++) {
    if (each->state == FREE || each->id != id) continue;
    end_stream(each, true);
    return;
  }
}

void accept_streams(unsigned published, int listener) {
  enum { AT_ONCE = 16 };
  for (int i = 0; i < AT_ONCE; i++) {
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    int fd = accept4(listener, (struct sockaddr *)&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    struct place host = from_host(&name), guest = seen_by_guest(&host);
    next_incoming = (next_incoming + 1) & (PROXY_INCOMING - 1);
    struct stream *stream = new_stream(PROXY_INCOMING | next_incoming, &guest);
    if (stream == NULL) {
      close(fd);
      return;
    }
    set_no_delay(fd);
    stream->fds[DOWN] = fd;
    if (!watch(fd, OF_OUTSIDE, (unsigned)index_of(stream), true) ||
        !open_inside(stream, PROXY_ACCEPTED, published)) {
      end_stream(stream, true);
    }
  }
}

void stream_ready(unsigned index, enum kind kind, uint32_t events) {
  if (index >= PROXY_MOST_STREAMS) return;
  struct stream *stream = &streams[index];
  if (stream->state == CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    finish_connecting(stream);
  } else if (stream->state == OPEN) {
    bool is_left = kind == OF_INSIDE && (events & EPOLLHUP) != 0;
    if (is_left && stream->orphan_until == 0) {
      stream->orphan_until = now_seconds() + ORPHAN_SECONDS;
      orphan_count++;
    }
    pump(stream);
  }
}

bool has_orphans(void) { return orphan_count > 0; }

void sweep_streams(long now) {
  for (struct stream *each = streams; each < streams + PROXY_MOST_STREAMS; each++) {
    if (each->state == OPEN && each->orphan_until != 0 && each->orphan_until <= now) {
      end_stream(each, true);
    }
  }
}

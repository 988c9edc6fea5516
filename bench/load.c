// SPDX-License-Identifier: Apache-2.0
// A client that keeps servers busy: `load ADDRESS CONNECTIONS SECONDS REQUEST`. ADDRESS is a port
// of 127.0.0.1 or the path of a Unix socket, REQUEST has \r and \n as printf(1) has them. Each
// connection has one request under way. The first answer shows how long answers are, for what is
// asked for is always the same. Prints three lines, in microseconds: the time of a request by
// throughput, the median latency, and that of the slowest in a hundred.
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONNECTIONS 256
#define MOST_SAMPLES 1000000
// An answer is complete when nothing has come for so long.
#define QUIET_MS 300
#define PATIENCE_SECONDS 20

static char request[1024], buffer[1 << 16];
static size_t request_length, answer_length;
static float samples[MOST_SAMPLES];
static size_t sample_count;

struct connection {
  int fd;
  size_t got;
  double sent_at;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void must(int good, const char *what) {
  if (good) return;
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int try_connect(const char *address) {
  int fd, result;
  if (address[0] == '/') {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path, address, sizeof to.sun_path - 1);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    result = connect(fd, (struct sockaddr *)&to, sizeof to);
  } else {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(address))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    result = connect(fd, (struct sockaddr *)&to, sizeof to);
  }
  if (result == 0) return fd;
  close(fd);
  return -1;
}

/* The server may be about to start. */
static int connected(const char *address) {
  double end = now() + PATIENCE_SECONDS * 1e6;
  for (;;) {
    int fd = try_connect(address);
    if (fd >= 0) return fd;
    must(now() < end, address);
    usleep(10000);
  }
}

static void ask(struct connection *c) {
  c->got = 0;
  c->sent_at = now();
  must(write(c->fd, request, request_length) == (ssize_t)request_length, "write");
}

static size_t first_answer(int fd) {
  struct connection c = {.fd = fd};
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  size_t length = 0;
  ask(&c);
  while (poll(&ready, 1, length == 0 ? PATIENCE_SECONDS * 1000 : QUIET_MS) > 0) {
    ssize_t got = read(fd, buffer, sizeof buffer);
    must(got > 0, "the server closed the connection");
    length += (size_t)got;
  }
  must(length > 0, "no answer");
  return length;
}

/* Returns 1 where an answer is complete. */
static int receive(struct connection *c) {
  ssize_t got = read(c->fd, buffer, sizeof buffer);
  must(got > 0, "the server closed the connection");
  c->got += (size_t)got;
  must(c->got <= answer_length, "an answer of another length");
  if (c->got < answer_length) return 0;
  if (sample_count < MOST_SAMPLES) samples[sample_count++] = (float)(now() - c->sent_at);
  return 1;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void set_request(const char *text) {
  for (; *text != 0 && request_length < sizeof request; text++) {
    char c = *text;
    if (c == '\\' && text[1] != 0) {
      text++;
      c = *text == 'r' ? '\r' : *text == 'n' ? '\n' : *text;
    }
    request[request_length++] = c;
  }
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: load ADDRESS CONNECTIONS SECONDS REQUEST\n");
    return 2;
  }
  static struct connection connections[MOST_CONNECTIONS];
  int count = atoi(argv[2]);
  must(count > 0 && count <= MOST_CONNECTIONS, "CONNECTIONS");
  set_request(argv[4]);
  int epoll = epoll_create1(0);
  for (int i = 0; i < count; i++) {
    connections[i].fd = connected(argv[1]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) == 0, "epoll_ctl");
  }
  answer_length = first_answer(connections[0].fd);
  double began = now(), end = began + atof(argv[3]) * 1e6;
  long done = 0;
  for (int i = 0; i < count; i++) ask(&connections[i]);
  while (now() < end || done == 0) {
    struct epoll_event events[64];
    int ready = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < ready; i++) {
      struct connection *c = events[i].data.ptr;
      if (!receive(c)) continue;
      done++;
      ask(c);
    }
  }
  double spent = now() - began;
  qsort(samples, sample_count, sizeof *samples, by_value);
  printf("a request\t%.3f\n", spent / done);
  printf("median latency\t%.3f\n", samples[sample_count / 2]);
  printf("latency of 1 in 100\t%.3f\n", samples[sample_count * 99 / 100]);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Worst cases: calls that look at descriptors, where a process has as many as one may have.
#include <dirent.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>

#include "worst.h"

#define FILES 200000

static int ends[2];

// Descriptors up to a number, all the same pipe's reading end.
static int many_files(int wanted) {
  int count = most_files(wanted);
  OK(pipe(ends));
  for (int i = 0; i < count; i++) OK(dup(ends[0]));
  return count;
}

WORST(closing_ranges) {
  many_files(FILES);
  OK(syscall(SYS_close_range, ends[1] + 1, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */));
  OK(syscall(SYS_close_range, ends[1] + 1, ~0U, 2 /* CLOSE_RANGE_UNSHARE */));
}

WORST(leaving_files) { many_files(FILES); }

WORST(closing_on_exec) {
  many_files(FILES);
  OK(syscall(SYS_close_range, ends[1] + 1, ~0U, 4));
  execl("/bin/true", "true", NULL);
}

WORST(inheriting_files) {
  many_files(FILES);
  for (int i = 0; i < 2; i++) {
    pid_t pid = OK(fork());
    if (pid == 0) _exit(7);
    CHECK_EXIT(pid, 7);
  }
  OK(syscall(SYS_unshare, 0x400 /* CLONE_FILES */));
}

WORST(listing_files) {
  int count = many_files(FILES);
  DIR *dir = opendir("/proc/self/fd");
  long seen = 0;
  while (readdir(dir) != NULL) seen++;
  CHECK(seen > count);
  seekdir(dir, count / 2);
  CHECK(readdir(dir) != NULL);
  closedir(dir);
  struct stat st;
  OK(stat("/proc/self/fd", &st));
}

WORST(polling) {
  int count = many_files(FILES);
  struct pollfd *asked = calloc(count, sizeof *asked);
  for (int i = 0; i < count; i++) asked[i] = (struct pollfd){ends[1] + 1 + i, POLLIN, 0};
  CHECK_EQ(poll(asked, count, 0), 0);
  CHECK_EQ(poll(asked, count, 20), 0);
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(poll(asked, count, -1), count);
}

WORST(selecting) {
  int count = many_files(FILES);
  unsigned char *set = calloc(3, count / 8 + 64);
  memset(set, 255, count / 8);
  struct timeval soon = {0, 20000};
  OK(syscall(SYS_select, count, set, set + count / 8, NULL, &soon));
}

#define INTERESTS 60000

WORST(many_interests) {
  int count = most_files(INTERESTS), set = OK(epoll_create1(0)), pair[2];
  OK(pipe(pair));
  struct epoll_event event = {.events = EPOLLIN}, *events = calloc(count, sizeof event);
  for (int i = 0; i < count; i++) {
    event.data.u32 = i;
    OK(epoll_ctl(set, EPOLL_CTL_ADD, OK(dup(pair[0])), &event));
  }
  CHECK_EQ(epoll_wait(set, events, count, 0), 0);
  // One write makes all of them ready.
  CHECK_EQ(write(pair[1], "x", 1), 1);
  while (epoll_wait(set, events, count, -1) < count) {
  }
  CHECK_EQ(epoll_wait(set, events, 10, -1), 10);
  char byte;
  CHECK_EQ(read(pair[0], &byte, 1), 1);
  CHECK_EQ(epoll_wait(set, events, count, 0), 0);
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fdinfo/%d", set);
  CHECK(read_through(name) > count);
  OK(close(set));
}

// The last of them know of an event as soon as the first does.
WORST(many_sets_on_one_file) {
  int pair[2], first = -1, last = -1, above = OK(epoll_create1(0));
  OK(pipe(pair));
  int count = most_files(60000) - 10;
  struct epoll_event event = {.events = EPOLLIN};
  for (int i = 0; i < count; i++) {
    last = OK(epoll_create1(0));
    if (i == 0) first = last;
    OK(epoll_ctl(last, EPOLL_CTL_ADD, pair[0], &event));
  }
  OK(epoll_ctl(above, EPOLL_CTL_ADD, last, &event));
  char byte;
  for (int round = 0; round < 5; round++) {
    CHECK_EQ(epoll_wait(last, &event, 1, 0), 0);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_EQ(epoll_wait(round % 2 == 0 ? last : above, &event, 1, 0), 1);
    CHECK_EQ(epoll_wait(first, &event, 1, 0), 1);
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    CHECK_EQ(epoll_wait(last, &event, 1, 0), 0);
  }
}

// Sets that watch sets: a wide tree of the greatest depth.
WORST(nested_sets) {
  most_files(3000);
  struct epoll_event event = {.events = EPOLLIN};
  int wake = OK(eventfd(0, 0)), below[30], above[30];
  for (int i = 0; i < 30; i++) {
    below[i] = OK(epoll_create1(0));
    OK(epoll_ctl(below[i], EPOLL_CTL_ADD, wake, &event));
  }
  for (int level = 0; level < 3; level++) {
    for (int i = 0; i < 30; i++) {
      above[i] = OK(epoll_create1(0));
      for (int k = 0; k < 30; k++) epoll_ctl(above[i], EPOLL_CTL_ADD, below[k], &event);
    }
    memcpy(below, above, sizeof below);
  }
  uint64_t one = 1;
  CHECK_EQ(write(wake, &one, 8), 8);
  CHECK_EQ(epoll_wait(below[0], &event, 1, -1), 1);
}

WORST(many_timer_files) {
  int count = most_files(50000);
  struct itimerspec soon = {{0, 1000000}, {0, 30000000}};
  struct pollfd *asked = calloc(count, sizeof *asked);
  for (int i = 0; i < count; i++) {
    asked[i] = (struct pollfd){OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)), POLLIN, 0};
    OK(timerfd_settime(asked[i].fd, 0, &soon, NULL));
  }
  for (int i = 0; i < 5; i++) CHECK(poll(asked, count, -1) > 0);
}

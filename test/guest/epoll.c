// SPDX-License-Identifier: Apache-2.0
// epoll(7): level and edge triggered, one shot, nesting, lifetime.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "check.h"

static int fds[2], ep;

static void start(uint32_t events) {
  OK(pipe2(fds, O_NONBLOCK));
  ep = OK(epoll_create1(0));
  struct epoll_event event = {.events = events, .data.u64 = 0x1122334455667788};
  OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event));
}

static uint32_t wait_once(int timeout) {
  struct epoll_event event;
  int n = OK(epoll_wait(ep, &event, 1, timeout));
  if (n == 0) return 0;
  CHECK(event.data.u64 == 0x1122334455667788);
  return event.events;
}

static void put(void) { CHECK_EQ(write(fds[1], "x", 1), 1); }

static void take(void) {
  char c;
  CHECK_EQ(read(fds[0], &c, 1), 1);
}

TEST(level_triggered) {
  start(EPOLLIN);
  CHECK_EQ(wait_once(0), 0);
  put();
  CHECK_EQ(wait_once(0), EPOLLIN);
  CHECK_EQ(wait_once(0), EPOLLIN);
  take();
  CHECK_EQ(wait_once(0), 0);
  close(fds[1]);
  CHECK_EQ(wait_once(0), EPOLLHUP);
}

TEST(edge_triggered) {
  start(EPOLLIN | EPOLLET);
  put();
  CHECK_EQ(wait_once(0), EPOLLIN);
  CHECK_EQ(wait_once(0), 0);
  put();
  CHECK_EQ(wait_once(0), EPOLLIN);
  take();
  CHECK_EQ(wait_once(0), 0);
}

TEST(one_shot) {
  start(EPOLLIN | EPOLLONESHOT);
  put();
  CHECK_EQ(wait_once(0), EPOLLIN);
  put();
  CHECK_EQ(wait_once(0), 0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 0x1122334455667788};
  OK(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &event));
  CHECK_EQ(wait_once(0), EPOLLIN);
}

TEST(modification_looks_again) {
  start(EPOLLIN | EPOLLET);
  put();
  CHECK_EQ(wait_once(0), EPOLLIN);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0x1122334455667788};
  OK(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &event));
  CHECK_EQ(wait_once(0), EPOLLIN);
}

TEST(refusals) {
  start(EPOLLIN);
  struct epoll_event event = {.events = EPOLLIN};
  CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event), EEXIST);
  CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, fds[1], &event), ENOENT);
  CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, fds[1], NULL), ENOENT);
  CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &event), EINVAL);
  CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, 99, &event), EBADF);
  CHECK_ERR(epoll_ctl(fds[0], EPOLL_CTL_ADD, fds[1], &event), EINVAL);
  int file = OK(open("f", O_CREAT | O_RDWR, 0644));
  CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, file, &event), EPERM);
  CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], (void *)8), EFAULT);
  CHECK_ERR(epoll_wait(ep, &event, 0, 0), EINVAL);
  CHECK_ERR(epoll_wait(fds[0], &event, 1, 0), EINVAL);
  CHECK_ERR(epoll_create1(1), EINVAL);
  CHECK_ERR(epoll_create(0), EINVAL);
}

TEST(timeout) {
  start(EPOLLIN);
  long long began = now_ns();
  CHECK_EQ(wait_once(30), 0);
  CHECK(now_ns() - began >= 30000000);
}

TEST(woken_by_another_process) {
  start(EPOLLIN);
  if (OK(fork()) == 0) {
    sleep_ms(30);
    put();
    _exit(0);
  }
  CHECK_EQ(wait_once(60000), EPOLLIN);
}

TEST(nested) {
  start(EPOLLIN);
  int outer = OK(epoll_create1(0));
  struct epoll_event event = {.events = EPOLLIN, .data.fd = ep};
  OK(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &event));
  CHECK_EQ(epoll_wait(outer, &event, 1, 0), 0);
  put();
  CHECK_EQ(epoll_wait(outer, &event, 1, 60000), 1);
  CHECK_EQ(event.data.fd, ep);
  struct pollfd set = {outer, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 0), 1);
  event.events = EPOLLIN;
  CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, outer, &event), ELOOP);
}

TEST(closing_removes) {
  start(EPOLLIN);
  put();
  int copy = OK(dup(fds[0]));
  close(fds[0]);
  CHECK_EQ(wait_once(0), EPOLLIN);  // the open file lives on in the copy
  close(copy);
  CHECK_EQ(wait_once(0), 0);
}

TEST(many_ready_take_turns) {
  ep = OK(epoll_create1(EPOLL_CLOEXEC));
  for (int i = 0; i < 10; i++) {
    int fd = OK(eventfd(1, 0));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
  }
  int seen = 0;
  for (int i = 0; i < 5; i++) {
    struct epoll_event events[2];
    CHECK_EQ(epoll_wait(ep, events, 2, 0), 2);
    seen |= 1 << events[0].data.u32 | 1 << events[1].data.u32;
  }
  CHECK_EQ(seen, 1023);
}

TEST(writability_edge) {
  OK(pipe2(fds, O_NONBLOCK));
  ep = OK(epoll_create1(0));
  struct epoll_event event = {.events = EPOLLOUT | EPOLLET, .data.u64 = 0x1122334455667788};
  OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], &event));
  CHECK_EQ(wait_once(0), EPOLLOUT);
  char block[65536] = "";
  CHECK_EQ(write(fds[1], block, sizeof block), sizeof block);
  CHECK_EQ(wait_once(0), 0);
  CHECK_EQ(read(fds[0], block, sizeof block), sizeof block);
  CHECK_EQ(wait_once(0), EPOLLOUT);
}

TEST(epoll_pwait_swaps_the_mask) {
  start(EPOLLIN);
  void nothing(int signal) { (void)signal; }
  struct sigaction action = {.sa_handler = nothing};
  OK(sigaction(SIGUSR1, &action, NULL));
  sigset_t mask, empty;
  sigemptyset(&empty);
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  OK(sigprocmask(SIG_BLOCK, &mask, NULL));
  OK(raise(SIGUSR1));
  struct epoll_event event;
  CHECK_ERR(epoll_pwait(ep, &event, 1, 1000, &empty), EINTR);
}

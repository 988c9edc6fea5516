// SPDX-License-Identifier: Apache-2.0
/*
 * Leaves a process behind that becomes a nursery when this one has ended: while that makes a
 * container, the processors are needed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "launcher/quick/nursery.h"

/* A call that waits for a hook, say, is not waited for: it has a minute. */
enum { CALL_MS = 60000 };

/* Descriptors that stay in Node are above those that the launcher lays out. */
static int above(int fd) {
  int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD, PREBOOT_FDS);
  if (moved < 0) _exit(1);
  close(fd);
  return moved;
}

/* Only one binds the name; others that were started beside it end here. */
static int listen_at(int directory, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  umask(0177);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
      listen(fd, NURSERY_MOST_AT_ONCE) < 0) {
    _exit(0);
  }
  umask(022);
  return above(fd);
}

static void let_go(int caller) {
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  if (caller > 3) close_range(3, (unsigned)caller - 1, 0);
  close_range((unsigned)caller + 1, ~0U, 0);
}

static void be_nursery(const struct call *call, const struct nursery_plan *plan, int caller)
    __attribute__((noreturn));
static void be_nursery(const struct call *call, const struct nursery_plan *plan, int caller) {
  struct pollfd fd = {.fd = caller, .events = POLLIN};
  static char *environment[] = {NULL};
  char parts[64];
  let_go(caller);
  if (poll(&fd, 1, CALL_MS) != 1) _exit(0);
  close(caller);
  int directory = open(call->root, O_RDONLY | O_DIRECTORY);
  if (directory < 0) _exit(0); /* nothing was made */
  directory = above(directory);
  int listener = listen_at(directory, plan->name);
  /* Which file that is: another may have the name by the time that Node has booted. */
  int file = above(openat(directory, plan->name, O_PATH | O_NOFOLLOW));
  if (chdir("/") < 0) _exit(0);
  plan->command[plan->words] = NULL;
  environ = environment;
  snprintf(parts, sizeof parts, "%d,%d,%d,%d", listener, directory, file, plan->seconds);
  setenv(NURSERY_PARTS_VARIABLE, parts, 1);
  start_with_preboot(plan->program, plan->command, false);
  unlinkat(directory, plan->name, 0);
  _exit(0);
}

void start_nursery(const struct call *call, const struct nursery_plan *plan) {
  int caller = (int)syscall(SYS_pidfd_open, getpid(), 0);
  pid_t pid = caller < 0 ? -1 : fork();
  if (pid == 0) {
    setsid();
    if (fork() == 0) be_nursery(call, plan, caller);
    _exit(0);
  }
  if (pid > 0) waitpid(pid, NULL, 0);
  if (caller >= 0) close(caller);
}

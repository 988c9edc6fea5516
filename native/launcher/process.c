// SPDX-License-Identifier: Apache-2.0
/*
 * Processes of the launcher, in its own program and in a preboot: fork(2), execveat(2).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/launcher.h"

struct preboot preboot = {.last_fd = ~0U, .program = -1};

/*
 * Not fork(3) where new namespaces are wanted, and not in a preboot either: there libuv has it open
 * pipes in the child, in places that are ours. What the C library remembers of the thread is put
 * right by the kernel.
 */
pid_t clone_process(unsigned long flags) {
  if (flags == 0 && preboot.become == NULL) return fork();
  unsigned long number = preboot.tid == NULL ? 0 : CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  return (pid_t)syscall(SYS_clone, flags | number | SIGCHLD, 0, 0, preboot.tid, 0, 0);
}

struct task {
  void (*body)(void *);
  void *argument;
};

static int run_task(void *task) {
  struct task own = *(struct task *)task;
  own.body(own.argument);
  return 1;
}

pid_t start_process(void (*body)(void *), void *argument, bool waits) {
  enum { STACK_BYTES = 64 * 1024 };
  if (preboot.become == NULL) {
    pid_t pid = fork();
    if (pid == 0) body(argument);
    return pid;
  }
  /* With room for the task at its end; never freed, for it is not known when. */
  char *stack = malloc(STACK_BYTES);
  if (stack == NULL) return -1;
  struct task *task = (struct task *)(stack + STACK_BYTES) - 1;
  *task = (struct task){body, argument};
  char *top = (char *)((unsigned long)task & ~63UL);
  return clone(run_task, top, CLONE_VM | (waits ? CLONE_VFORK : 0) | SIGCHLD, task);
}

void leave_preboot(const char *option, const char *value) {
  static char *words[4096];
  static char *const environment[] = {NULL};
  size_t count = 0;
  for (; preboot.words[count] != NULL && count < sizeof words / sizeof *words - 3; count++) {
    words[count] = preboot.words[count];
  }
  words[count++] = (char *)option;
  words[count++] = (char *)value;
  syscall(SYS_execveat, preboot.program, "", words, environment, AT_EMPTY_PATH);
  fatal("starting the launcher: %s", strerror(errno));
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a sandbox by force, in whatever state its Sentry is. The kernel ends a PID namespace
 * with its init, but an init that waits for something which only the death of another process can
 * give it (the lock of that one's address space) does not die of SIGKILL: so each process of the
 * namespace is killed from outside.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launcher/launcher.h"

/*
 * The PID namespace of process `pid`, as a file. False where there is no such process, or it is not
 * ours to look at.
 */
static bool find_namespace(pid_t pid, struct stat *namespace) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
  return stat(path, namespace) == 0;
}

static bool is_in(pid_t pid, const struct stat *namespace) {
  struct stat own;
  return find_namespace(pid, &own) && own.st_dev == namespace->st_dev &&
         own.st_ino == namespace->st_ino;
}

/* By a descriptor, for the number may be another's between a look and a signal. */
static void kill_if_in(pid_t pid, const struct stat *namespace) {
  int process = (int)syscall(SYS_pidfd_open, pid, 0);
  if (process < 0) return;
  if (is_in(pid, namespace)) syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
  close(process);
}

/* One round: what a process forks while it is killed is for the next. */
static void kill_namespace(const struct stat *namespace) {
  DIR *processes = opendir("/proc");
  if (processes == NULL) return;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
    char *end;
    long pid = strtol(entry->d_name, &end, 10);
    if (*end == 0 && pid > 1 && is_in((pid_t)pid, namespace)) kill_if_in((pid_t)pid, namespace);
  }
  closedir(processes);
}

/* Reaps what is dead. False once no child is left. */
static bool has_children(struct sandbox *sandbox) {
  pid_t pid;
  while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
    if (pid == sandbox->sentry_pid) sandbox->sentry_pid = 0;
  }
  return pid == 0 || errno != ECHILD;
}

static void await_child(long ms) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigtimedwait(&child, NULL, &(struct timespec){.tv_nsec = ms * 1000000});
}

void end_children(struct sandbox *sandbox) {
  enum { FIRST_WAIT_MS = 50, WAIT_MS = 100 };
  struct stat namespace;
  /* The Sentry, which has more memory to let go of, mostly is on its way already. */
  if (sandbox->gofer_pid > 0) kill(sandbox->gofer_pid, SIGKILL);
  if (sandbox->broker_pid > 0) kill(sandbox->broker_pid, SIGKILL);
  if (sandbox->proxy_pid > 0) kill(sandbox->proxy_pid, SIGKILL);
  bool is_known = sandbox->sentry_pid > 0 && find_namespace(sandbox->sentry_pid, &namespace);
  if (sandbox->sentry_pid > 0) kill(sandbox->sentry_pid, SIGKILL);
  for (long wait = FIRST_WAIT_MS; has_children(sandbox); wait = WAIT_MS) {
    await_child(wait);
    if (!has_children(sandbox)) break;
    /* Once the init has been reaped nobody is left in its namespace. */
    if (is_known && sandbox->sentry_pid > 0) kill_namespace(&namespace);
  }
}

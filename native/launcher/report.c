// SPDX-License-Identifier: Apache-2.0
/*
 * What the launcher tells the command line: one line of text each on the report channel.
 *   error TEXT          it could not start the sandbox; TEXT is for the user
 *   sentry exit N       a process of the sandbox ended; likewise `gofer`, `signal N`
 */
#include "launcher/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool report_open = false;

static void report_list(const char *prefix, const char *format, va_list list) {
  char line[1024];
  int used = snprintf(line, sizeof line, "%s", prefix);
  used += vsnprintf(line + used, sizeof line - (size_t)used - 1, format, list);
  if (used > (int)sizeof line - 2) used = (int)sizeof line - 2;
  line[used] = '\n';
  /* Before the channel is there, in the command line's process: to the user. */
  if (!report_open) {
    if (write(2, "runts: ", 7) != 7) return;
    if (strncmp(line, "error ", 6) == 0) memmove(line, line + 6, (size_t)(used -= 6) + 1);
    if (write(2, line, (size_t)used + 1) < 0) return;
    return;
  }
  /* A command line that is gone cannot be told. */
  if (write(FD_REPORT, line, (size_t)used + 1) < 0) return;
}

void report(const char *format, ...) {
  va_list list;
  va_start(list, format);
  report_list("", format, list);
  va_end(list);
}

void fatal(const char *format, ...) {
  va_list list;
  va_start(list, format);
  report_list("error ", format, list);
  va_end(list);
  _exit(125);
}

/* First number in a file of /proc/sys, or -1. */
static long setting(const char *path) {
  char text[32] = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  return got > 0 ? atol(text) : -1;
}

void fatal_namespaces(const char *what) {
  int error = errno;
  if (setting("/proc/sys/user/max_user_namespaces") == 0) {
    fatal("this host allows no user namespaces: set sysctl user.max_user_namespaces above 0");
  }
  if (geteuid() != 0 && setting("/proc/sys/kernel/unprivileged_userns_clone") == 0) {
    fatal(
        "this host keeps user namespaces from ordinary users: run as root or set sysctl "
        "kernel.unprivileged_userns_clone=1");
  }
  if (geteuid() != 0 && setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1) {
    fatal(
        "AppArmor keeps user namespaces from ordinary users: run as root or set sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0");
  }
  if (error == ENOSPC) {
    fatal("%s: too many namespaces on this host (sysctl user.max_*_namespaces)", what);
  }
  if (error == EPERM) {
    fatal("%s: not permitted; in a container, allow user namespaces (seccomp profile)", what);
  }
  fatal("%s: %s", what, strerror(error));
}

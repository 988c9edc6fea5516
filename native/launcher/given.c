// SPDX-License-Identifier: Apache-2.0
/*
 * What the front has from its caller: the descriptors that its options name are kept, all others
 * are closed, whatever their number (an engine may have left hundreds open); and what of them the
 * launcher gets.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "launcher/launcher.h"

enum { MAX_KEPT = 16 + MAX_PRESERVED };

/* At LAUNCHER_HIGH and above, as all that is made here. */
static int kept[MAX_KEPT];
static int kept_count;

static int keep(int fd, const char *what) {
  if (fd < 0) return -1;
  return kept[kept_count++] = high(dup(fd), what);
}

static int keep_program(const char *path) {
  if (path == NULL) return -1;
  return kept[kept_count++] = high(open(path, O_PATH | O_CLOEXEC), path);
}

static int compare(const void *left, const void *right) {
  return *(const int *)left - *(const int *)right;
}

static void close_others(void) {
  unsigned next = 3;
  qsort(kept, (size_t)kept_count, sizeof *kept, compare);
  for (int i = 0; i < kept_count; i++) {
    if ((unsigned)kept[i] > next) close_range(next, (unsigned)kept[i] - 1, 0);
    next = (unsigned)kept[i] + 1;
  }
  close_range(next, preboot.last_fd, 0);
}

/* Lifts a limit; without the capability up to the hard one. */
static void lift_limit(int resource) {
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  if (setrlimit(resource, &limit) == 0 || getrlimit(resource, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(resource, &limit);
}

static void raise_limits(void) {
  struct rlimit files;
  /* A shell's soft limit may be lower than LAUNCHER_HIGH. What a guest may open is the Sentry's to say. */
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  /* For keepProgram (addon/footprint.c), which comes when the capability is gone. */
  lift_limit(RLIMIT_MEMLOCK);
  /* Mailboxes and shared memory are files too. The guest has the caller's limit as its own. */
  lift_limit(RLIMIT_FSIZE);
}

void keep_given(struct options *options) {
  struct container *container = &options->container;
  raise_limits();
  options->config_fd = keep(options->config_fd, "configuration");
  options->log_fd = keep(options->log_fd, "log");
  options->strace_fd = keep(options->strace_fd, "strace");
  options->stats_fd = keep(options->stats_fd, "stats");
  options->profile_fd = keep(options->profile_fd, "profile");
  options->proxy_fd = keep(options->proxy_fd, "proxy");
  container->state_dir = keep(container->state_dir, "state directory");
  container->status_fd = keep(container->status_fd, "status");
  container->gate_fd = keep(container->gate_fd, "gate");
  container->error_log_fd = keep(container->error_log_fd, "error log");
  for (int i = 0; i < container->preserved_count; i++) {
    container->preserved[i] = keep(3 + i, "preserved descriptor");
  }
  options->preboot_fd = keep(options->preboot_fd, "preboot");
  options->zygote_fd = keep_program(options->zygote);
  options->addon_fd = keep_program(options->addon);
  close_others();
}

void take_places(const struct options *options, int control, int report) {
  dup2(control, FD_CONTROL);
  dup2(report, FD_REPORT);
  const int given[][2] = {
      {options->log_fd, FD_LOG},       {options->strace_fd, FD_STRACE},
      {options->stats_fd, FD_STATS},   {options->profile_fd, FD_PROFILE},
      {options->proxy_fd, FD_PROXY},   {options->container.listen_fd, FD_LISTEN},
      {options->zygote_fd, FD_ZYGOTE}, {options->addon_fd, FD_ADDON}};
  for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
    if (given[i][0] >= 0)
      dup2(given[i][0], given[i][1]);
    else
      close(given[i][1]);
  }
  close_range(FD_GIVEN, preboot.last_fd, 0);
  report_open = true;
}

void let_streams_go(const struct options *options) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (int fd = options->terminal ? 1 : 0; fd < 3; fd++) dup2(null, fd);
  close(null);
}

void let_preserved_go(const struct container *container) {
  for (int i = 0; i < container->preserved_count; i++) close(container->preserved[i]);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Moves descriptors about: everything the launcher makes lies at LAUNCHER_HIGH and above, so that the
 * numbers below can be laid out for each child without stepping on one another.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <string.h>
#include <unistd.h>

#include "launcher/launcher.h"

int high(int fd, const char *what) {
  if (fd < 0) fatal("%s: %s", what, strerror(errno));
  if (fd >= LAUNCHER_HIGH) return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, LAUNCHER_HIGH);
  if (moved < 0 && (errno == EINVAL || errno == EMFILE)) {
    fatal("%s: too few descriptors are allowed (RLIMIT_NOFILE)", what);
  }
  if (moved < 0) fatal("%s: %s", what, strerror(errno));
  close(fd);
  return moved;
}

void place_descriptors(const struct placed *placed, int count) {
  int saved[GOFER_ATTACH + MAX_ATTACH];
  for (int i = 0; i < count; i++) {
    if (placed[i].source < 0) continue;
    saved[i] = fcntl(placed[i].source, F_DUPFD_CLOEXEC, LAUNCHER_HIGH);
    if (saved[i] < 0) fatal("descriptor %d: %s", i, strerror(errno));
  }
  for (int i = 0; i < count; i++) {
    if (placed[i].source < 0) {
      close(i);
    } else if (dup2(saved[i], i) < 0) {
      fatal("descriptor %d: %s", i, strerror(errno));
    }
  }
  if (close_range((unsigned)count, preboot.last_fd, CLOSE_RANGE_CLOEXEC) < 0) {
    fatal("close_range: %s (Linux 5.11 or newer is needed)", strerror(errno));
  }
}

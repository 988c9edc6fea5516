// SPDX-License-Identifier: Apache-2.0
/*
 * The status of a container, as runts/oci/state/status.ts and process-identity.ts find it;
 * test/oci/quick.test.ts compares the two.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher/quick/quick.h"

bool read_small(const char *directory, const char *name, char *text, size_t room) {
  char path[4096 + 32];
  if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path) return false;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got = read(fd, text, room - 1);
  close(fd);
  if (got < 0) return false;
  while (got > 0 && strchr(" \n\t\r", text[got - 1]) != NULL) got--;
  text[got] = 0;
  return true;
}

/*
 * proc_pid_stat(5): the state and the start time come after the name, which may hold any character,
 * also ')'.
 */
bool is_alive(const struct record *record) {
  char directory[32], text[2048];
  snprintf(directory, sizeof directory, "/proc/%d", (int)record->front);
  if (!read_small(directory, "stat", text, sizeof text)) return false;
  char *at = strrchr(text, ')');
  if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X') return false;
  at += 2;
  for (int field = 3; field < 22; field++) {
    at = strchr(at, ' ');
    if (at == NULL) return false;
    at++;
  }
  return strtoull(at, NULL, 10) == record->front_start;
}

bool is_frozen(const struct record *record) {
  char text[256];
  if (record->freezer_version == 0) return false;
  const char *name = record->freezer_version == 1 ? "freezer.state" : "cgroup.events";
  if (!read_small(record->freezer, name, text, sizeof text)) {
    if (errno != ENOENT && errno != ENODEV && errno != ENOTDIR) fall_back();
    return false;
  }
  if (record->freezer_version == 2) {
    return strncmp(text, "frozen 1", 8) == 0 || strstr(text, "\nfrozen 1") != NULL;
  }
  /* The freezer is under way or hindered: Node waits for it. */
  if (strcmp(text, "FREEZING") == 0) fall_back();
  return strcmp(text, "FROZEN") == 0;
}

enum status find_status(const struct record *record) {
  if (!is_alive(record)) return STATUS_STOPPED;
  if (is_frozen(record)) return STATUS_PAUSED;
  return faccessat(record->directory, "started", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? STATUS_RUNNING
                                                                                 : STATUS_CREATED;
}

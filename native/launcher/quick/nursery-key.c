// SPDX-License-Identifier: Apache-2.0
/*
 * Which nursery is a caller's: one whose processes are in all that a process inherits what the
 * caller's own would be. A hash of all of it names the socket, so a nursery that differs in anything
 * is not found.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/quick/nursery.h"

/* FNV-1a. Nobody gains by a collision: sockets are of the caller's user, who may do as he likes. */
static void add(uint64_t *hash, const void *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) {
    *hash = (*hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3;
  }
}

static bool add_text(uint64_t *hash, const char *path) {
  char text[8192];
  ssize_t got = -1;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) got = read(fd, text, sizeof text);
  if (fd >= 0) close(fd);
  if (got < 0 || got == sizeof text) return false;
  add(hash, text, (size_t)got);
  return true;
}

/* What status(5) of /proc says of rights. Its other lines change from process to process. */
static bool add_rights(uint64_t *hash) {
  static const char *const names[] = {"Uid:",    "Gid:",    "Groups:", "CapInh:",     "CapPrm:",
                                      "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:"};
  char line[8192];
  FILE *file = fopen("/proc/self/status", "re");
  if (file == NULL) return false;
  while (fgets(line, sizeof line, file) != NULL) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
      if (strncmp(line, names[i], strlen(names[i])) == 0) add(hash, line, strlen(line));
    }
  }
  fclose(file);
  return true;
}

static bool add_file(uint64_t *hash, const char *path) {
  struct stat stat_;
  if (stat(path, &stat_) < 0) return false;
  const uint64_t numbers[] = {stat_.st_dev, stat_.st_ino, (uint64_t)stat_.st_size,
                              (uint64_t)stat_.st_mtim.tv_sec, (uint64_t)stat_.st_mtim.tv_nsec};
  add(hash, numbers, sizeof numbers);
  return true;
}

static bool add_places(uint64_t *hash) {
  static const char *const namespaces[] = {"cgroup", "ipc",  "mnt", "net", "pid_for_children",
                                           "time",   "user", "uts", "pid"};
  char path[64];
  struct stat root;
  for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
    snprintf(path, sizeof path, "/proc/self/ns/%s", namespaces[i]);
    struct stat stat_;
    if (stat(path, &stat_) < 0) continue; /* an old kernel has no time namespaces */
    add(hash, &stat_.st_ino, sizeof stat_.st_ino);
  }
  if (stat("/", &root) < 0) return false;
  add(hash, &root.st_dev, sizeof root.st_dev);
  add(hash, &root.st_ino, sizeof root.st_ino);
  add_text(hash, "/proc/self/attr/current"); /* of a security module, where there is one */
  return add_text(hash, "/proc/self/cgroup");
}

static bool add_limits(uint64_t *hash) {
  struct rlimit limit;
  cpu_set_t processors;
  for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
    if (getrlimit(resource, &limit) < 0) return false;
    add(hash, &limit, sizeof limit);
  }
  CPU_ZERO(&processors);
  if (sched_getaffinity(0, sizeof processors, &processors) < 0) return false;
  add(hash, &processors, sizeof processors);
  const int numbers[] = {getpriority(PRIO_PROCESS, 0), sched_getscheduler(0),
                         (int)syscall(SYS_ioprio_get, 1, 0), personality(0xffffffff)};
  add(hash, numbers, sizeof numbers);
  return true;
}

bool find_nursery_key(char *const *command, size_t words, uint64_t *key) {
  *key = 0xcbf29ce484222325;
  for (size_t i = 0; i < words; i++) {
    add(key, command[i], strlen(command[i]) + 1);
    if (command[i][0] == '/' && !add_file(key, command[i])) return false;
  }
  return add_file(key, "/proc/self/exe") && add_rights(key) && add_places(key) && add_limits(key);
}

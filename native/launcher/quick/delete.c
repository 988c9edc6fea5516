// SPDX-License-Identifier: Apache-2.0
/*
 * `runts delete` of a container that has stopped, and `delete --force` of one that does not exist.
 * It does what runts/oci/destroy.ts does where no process is left to be killed;
 * test/oci/quick.test.ts compares the two.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "launcher/quick/quick.h"

/*
 * The files of a record, in the order in which they are removed. Without the quick record (the
 * first) Node finishes the work where this process is killed in between.
 */
static const char *const files[] = {STATE_QUICK_FILE, STATE_RECORD_FILE, STATE_STARTED_FILE,
                                    STATE_SOCKET_FILE};

static bool is_known(const char *name) {
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (strcmp(name, files[i]) == 0) return true;
  }
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool has_only_known(int directory) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  bool known = stream != NULL;
  for (struct dirent *entry; known && (entry = readdir(stream)) != NULL;) {
    known = is_known(entry->d_name);
  }
  if (stream != NULL) closedir(stream);
  return known;
}

/* Whether the directory really is a cgroup: that a record says so is not enough to remove it. */
static bool is_cgroup(const char *path) {
  struct statfs stat;
  if (statfs(path, &stat) < 0) return false;
  errno = EINVAL;
  return stat.f_type == CGROUP_SUPER_MAGIC || stat.f_type == CGROUP2_SUPER_MAGIC;
}

/*
 * Removes a cgroup. A process that was just killed leaves its cgroup within moments, and is waited
 * for; whatever else keeps a cgroup busy is left to Node.
 */
static bool remove_cgroup(const char *path) {
  enum { TRIES = 25 };
  for (int i = 0; i < TRIES; i++) {
    if (!is_cgroup(path)) return errno == ENOENT;
    if (rmdir(path) == 0 || errno == ENOENT || errno == ENODEV) return true;
    if (errno != EBUSY) return false;
    nanosleep(&(struct timespec){.tv_nsec = 400000}, NULL);
  }
  return false;
}

static void remove_state(const struct record *record, const char *path) {
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (unlinkat(record->directory, files[i], 0) < 0 && errno != ENOENT) fall_back();
  }
  if (rmdir(path) < 0 && errno != ENOENT) fall_back();
}

int quick_delete(const struct call *call) {
  const char *force = NULL, *id;
  const struct option_spec specs[] = {{"--force", "-f", false, &force, NULL}, {0}};
  struct record record;
  struct stat stat;
  char path[4096];
  if (take_options(call->arguments, specs, &id, 1, false) != 1) fall_back();
  if (!is_valid_id(id) || !container_path(call, id, path, sizeof path)) fall_back();
  if (force != NULL && lstat(path, &stat) < 0 && errno == ENOENT) {
    open_log(call);
    return 0;
  }
  if (!load_record(call, id, &record) || is_alive(&record)) fall_back();
  if ((record.hooks & HOOK_POSTSTOP) != 0 || record.has_unit) fall_back();
  if (!has_only_known(record.directory)) fall_back();
  open_log(call);
  for (int i = 0; i < record.cgroup_count; i++) {
    const struct record_cgroup *cgroup = &record.cgroups[i];
    if (cgroup->owned && !remove_cgroup(cgroup->path)) fall_back();
  }
  remove_state(&record, path);
  return 0;
}

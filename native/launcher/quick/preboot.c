// SPDX-License-Identifier: Apache-2.0
/*
 * Prepares Node for the verbs that start a sandbox. Node is told to make a preboot
 * (native/preboot). While it boots, all descriptors that the launcher lays out are taken, so that
 * Node's own lie above them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/quick/quick.h"
#include "preboot/preboot.h"
#include "protocol.h"

enum { FIRST_FREE = 3, NODE_NEEDS = 64 };

static bool has_room(void) {
  struct rlimit files;
  return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > MARK_FD + NODE_NEEDS &&
         fcntl(MARK_FD, F_GETFD) < 0;
}

static bool is_on_root_mount(const char *path) {
  struct statx root, file;
  return statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &root) == 0 &&
         statx(AT_FDCWD, path, 0, STATX_MNT_ID, &file) == 0 && root.stx_mnt_id == file.stx_mnt_id;
}

/*
 * Opens the program through a read-only mount made for it. /proc/self/exe of the Sentry and the
 * Gofer leads to the program by the mount from which it was executed, and on a read-only mount
 * nobody can write the file, whatever rights they have to it. Only root can make the mount.
 *
 * V8 maps its builtins (2 MiB) from the file that /proc/self/maps names, instead of copying them,
 * and does not look whether that file is the program. So the name must be right: in a copy of the
 * whole root mount the program has the same name as outside. In a mount of the file alone the name
 * is "/", which V8 cannot open; it copies then.
 */
static int open_read_only(const char *path) {
  struct mount_attr attributes = {.attr_set =
                                      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
  bool whole = is_on_root_mount(path);
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, whole ? "/" : path,
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0 ||
      syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) {
    return -1;
  }
  return whole ? openat(tree, path + 1, O_PATH | O_CLOEXEC | O_NOFOLLOW) : tree;
}

/* Takes every free descriptor below those that Node shall use. */
static bool take_places(struct mark *mark) {
  int first = memfd_create("runts-mark", 0);
  for (int fd = first; fd >= 0 && fd <= MARK_FD; fd = fcntl(first, F_DUPFD, FIRST_FREE)) {
    mark->taken[fd / 8] |= (unsigned char)(1 << fd % 8);
    if (fd == MARK_FD) break;
  }
  return first >= 0 && pwrite(first, mark, sizeof *mark, 0) == sizeof *mark;
}

static void give_places_back(const struct mark *mark) {
  for (int fd = 0; fd <= MARK_FD; fd++) {
    if ((mark->taken[fd / 8] & 1 << fd % 8) != 0) close(fd);
  }
}

void start_with_preboot(const char *program, char **command, bool gofer_only) {
  struct mark mark = {.mark = MARK};
  char path[4096];
  const char *wish = getenv(PREBOOT_VARIABLE);
  if ((wish != NULL && strcmp(wish, "0") == 0) || realpath(program, path) == NULL) return;
  int file = open_read_only(path);
  if (file < 0) return;
  if (has_room() && take_places(&mark) && setenv(PREBOOT_VARIABLE, path, 1) == 0 &&
      (gofer_only ? setenv(PREBOOT_GOFER_VARIABLE, "1", 1) : unsetenv(PREBOOT_GOFER_VARIABLE)) ==
          0) {
    syscall(SYS_execveat, file, "", command, environ, AT_EMPTY_PATH);
  }
  give_places_back(&mark);
  unsetenv(PREBOOT_VARIABLE);
  unsetenv(PREBOOT_GOFER_VARIABLE);
}

/*
 * Verbs that start a sandbox: Node is told to make a preboot (native/preboot), and comes to have its own descriptors above
 * those that the launcher lays out.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/quick/quick.h"
#include "preboot/preboot.h"

enum { FIRST_FREE = 3, NODE_NEEDS = 64 };

static bool has_room(void) {
  struct rlimit files;
  return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > MARK_FD + NODE_NEEDS &&
         fcntl(MARK_FD, F_GETFD) < 0;
}

/*
 * /proc/self/exe of the Sentry and the Gofer leads to the program, by the mount that it was executed from. That is one of
 * its own, on which nothing can be written, whatever rights a process has to the file. Only root can make one.
 */
static int open_read_only(const char *program) {
  struct mount_attr attributes = {.attr_set =
                                      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, program, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return -1;
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
    return tree;
  }
  close(tree);
  return -1;
}

/* Takes every free descriptor below Node's. */
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

void start_with_preboot(const char *program, char **command) {
  struct mark mark = {.mark = MARK};
  char path[4096];
  const char *wish = getenv("RUNTS_PREBOOT");
  if (wish != NULL && strcmp(wish, "0") == 0) return;
  int tree = open_read_only(program);
  if (tree < 0) return;
  if (has_room() && take_places(&mark) && realpath(program, path) != NULL &&
      setenv("RUNTS_PREBOOT", path, 1) == 0) {
    syscall(SYS_execveat, tree, "", command, environ, AT_EMPTY_PATH);
  }
  give_places_back(&mark);
  unsetenv("RUNTS_PREBOOT");
  close(tree);
}

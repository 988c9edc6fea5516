// SPDX-License-Identifier: Apache-2.0
/*
 * Private roots: mount_namespaces(7), pivot_root(2), open_tree(2).
 *
 * A child boots in a tmpfs that holds the shared libraries, the program's own folder and one folder
 * `final`: empty for the Sentry, the container's files for the Gofer. When it has booted, the sealer
 * makes `final` the root and everything else is gone, while Node itself never has a capability.
 *
 * Real root opens the trees before the namespaces exist, so that folders which only root may enter
 * can be served; an ordinary user can open trees only in the new namespace.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/launcher.h"

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

/*
 * A detached copy of the mounts at `what->path`, read-only unless it is to be written. Left alone
 * it would be a peer of the host's mount where that is shared: what is mounted below later would be
 * mounted here too, and keep the host from unmounting. That is for slaves alone. Negative: errno is
 * set.
 */
static int clone_tree(const struct attach *what) {
  const char *path = what->path;
  unsigned recursive = what->flat ? 0 : AT_RECURSIVE;
  int tree =
      (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
  if (tree < 0) return -1;
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                                  .propagation = what->slave ? MS_SLAVE : MS_PRIVATE};
  if (!what->writable) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
              sizeof attributes) < 0) {
    close(tree);
    return -1;
  }
  return high(tree, path);
}

/*
 * Mounts the overlay where nobody else sees it, and copies it as a detached tree to the descriptor
 * `place`, which the caller shares. The new mount API would not do: fsconfig(2) takes at most 255
 * bytes for an option, and lists of layers are longer.
 */
static int mount_overlay(const char *data, int place) {
  if (unshare(CLONE_NEWNS) < 0) return errno;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return errno;
  if (mount("overlay", "/proc", "overlay", MS_NOSUID | MS_NODEV, data) < 0) return errno;
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  return tree < 0 || dup3(tree, place, O_CLOEXEC) < 0 ? errno : 0;
}

/* A detached mount of a new overlay. Negative: errno is set. */
static int new_overlay(const struct attach *what) {
  int place = open("/dev/null", O_PATH | O_CLOEXEC), status = 0;
  if (place < 0) return -1;
  place = high(place, "/dev/null");
  pid_t child = clone_process(CLONE_FILES);
  if (child == 0) _exit(mount_overlay(what->path, place));
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (child < 0) status = errno << 8;
  struct mount_attr attributes = {.attr_set = what->writable ? 0 : MOUNT_ATTR_RDONLY,
                                  .propagation = MS_PRIVATE};
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
  if (errno == 0 &&
      syscall(SYS_mount_setattr, place, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
    return place;
  }
  int error = errno;
  close(place);
  errno = error;
  return -1;
}

static void add_tree(struct sandbox *sandbox, const char *path, const char *target) {
  struct attach what = {.path = path};
  int fd = clone_tree(&what);
  if (fd < 0) fatal_namespaces(path);
  sandbox->trees[sandbox->tree_count++] = (struct tree){target, fd};
}

static void open_trees(struct sandbox *sandbox) {
  static const char *const libraries[] = {"/usr/lib", "/usr/lib64", "/lib", "/lib64"};
  struct stat status;
  sandbox->tree_count = 0;
  if (preboot.become != NULL) return; /* Node has booted */
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    if (lstat(libraries[i], &status) == 0 && S_ISDIR(status.st_mode)) {
      add_tree(sandbox, libraries[i], libraries[i] + 1);
    }
  }
  if (access("/etc/ld.so.cache", R_OK) == 0) {
    add_tree(sandbox, "/etc/ld.so.cache", "etc/ld.so.cache");
  }
  if (sandbox->options.app != NULL) add_tree(sandbox, sandbox->options.app, "app");
  /* By a path of its own: V8 maps its builtins from the file instead of copying them. */
  add_tree(sandbox, sandbox->options.node, NODE_PATH + 1);
}

static void open_attach_trees(struct sandbox *sandbox) {
  for (int i = 0; i < sandbox->options.attach_count; i++) {
    struct attach *attach = &sandbox->options.attach[i];
    if (attach->tree >= 0) continue;
    attach->tree = attach->overlay ? new_overlay(attach) : clone_tree(attach);
    if (attach->tree < 0) fatal("%s: %s", attach->path, strerror(errno));
  }
}

/* A new tmpfs, detached. */
static int new_tmpfs(const char *size, bool read_only) {
  int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) fatal_namespaces("fsopen");
  if (syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
      syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
      syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
    fatal_namespaces("tmpfs");
  }
  unsigned flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (read_only) flags |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC;
  int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, flags);
  if (mount < 0) fatal_namespaces("fsmount");
  close(context);
  return mount;
}

static void attach_mount(int mount, int directory, const char *target) {
  if (syscall(SYS_move_mount, mount, "", directory, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) {
    fatal_namespaces(target);
  }
}

/* Makes the parents of `path` and, where `mount` is a directory, path itself; else an empty file. */
static void make_mount_point(int root, const char *path, int mount) {
  char partial[64];
  struct stat status;
  if (snprintf(partial, sizeof partial, "%s", path) >= (int)sizeof partial) fatal("%s", path);
  for (char *slash = strchr(partial, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdirat(root, partial, 0755) < 0 && errno != EEXIST) fatal("%s: %s", path, strerror(errno));
    *slash = '/';
  }
  if (fstat(mount, &status) < 0) fatal("%s: %s", path, strerror(errno));
  int made =
      S_ISDIR(status.st_mode) ? mkdirat(root, path, 0755) : mknodat(root, path, S_IFREG | 0644, 0);
  if (made < 0) fatal("%s: %s", path, strerror(errno));
}

static void place_mount(int root, const char *path, int mount) {
  make_mount_point(root, path, mount);
  attach_mount(mount, root, path);
}

/* /lib and /lib64 are mostly links into /usr. */
static void copy_link(int root, const char *path) {
  char target[256];
  ssize_t length = readlink(path, target, sizeof target - 1);
  if (length < 0) return;
  target[length] = 0;
  if (symlinkat(target, root, path + 1) < 0) fatal("%s: %s", path, strerror(errno));
}

/*
 * The host's own /proc, /sys and /dev are no files of a container: an empty folder covers what is
 * mounted there in the tree at `path`.
 */
static void cover_kernel_mounts(int root, const char *path) {
  static const char *const names[] = {"proc", "sys", "dev"};
  char target[64];
  struct stat top, status;
  if (fstatat(root, path, &top, 0) < 0 || !S_ISDIR(top.st_mode)) return;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(target, sizeof target, "%s/%s", path, names[i]);
    if (fstatat(root, target, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(status.st_mode) ||
        status.st_dev == top.st_dev) {
      continue;
    }
    int empty = new_tmpfs("4k", true);
    attach_mount(empty, root, target);
    close(empty);
  }
}

static void place_attach_points(struct sandbox *sandbox, int files) {
  char name[24];
  for (int i = 0; i < sandbox->options.attach_count; i++) {
    struct attach *attach = &sandbox->options.attach[i];
    /* A single file is served as the one entry of a directory. */
    struct stat status;
    if (fstat(attach->tree, &status) < 0) fatal("%s: %s", attach->path, strerror(errno));
    bool is_directory = S_ISDIR(status.st_mode);
    snprintf(name, sizeof name, is_directory ? "%d" : "%d/file", i);
    place_mount(files, name, attach->tree);
    if (is_directory) cover_kernel_mounts(files, name);
    snprintf(name, sizeof name, "%d", i);
    close(attach->tree);
    int flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
    attach->tree = high(openat(files, name, flags), attach->path);
  }
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  if (syscall(SYS_mount_setattr, files, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) {
    fatal_namespaces("mount_setattr");
  }
}

/*
 * /proc of the new PID namespace, with nothing but its processes: /proc/self/fd is how a descriptor is opened
 * anew with fewer rights. Hosts that mask parts of their /proc (containers) allow no new one: theirs then.
 */
static void place_proc(int root, int host_proc) {
  int context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
  int proc = -1;
  if (context >= 0) {
    syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "subset", "pid", 0);
    if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
      unsigned flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
      proc = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, flags);
    }
    close(context);
  }
  place_mount(root, "proc", proc >= 0 ? proc : host_proc);
  if (proc >= 0) close(proc);
}

static void change_root(int root) {
  if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) fatal_namespaces("pivot_root");
  if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) fatal_namespaces("leaving the old root");
}

void enter_private_root(struct sandbox *sandbox, bool gofer) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fatal_namespaces("private mounts");
  if (!sandbox->privileged) open_trees(sandbox);
  if (gofer) open_attach_trees(sandbox);
  struct attach proc = {.path = "/proc", .writable = true};
  int host_proc = clone_tree(&proc);
  if (host_proc < 0) fatal_namespaces("/proc");

  int root = new_tmpfs("1m", false);
  attach_mount(root, AT_FDCWD, "/");
  copy_link(root, "/lib");
  copy_link(root, "/lib64");
  for (int i = 0; i < sandbox->tree_count; i++) {
    place_mount(root, sandbox->trees[i].target, sandbox->trees[i].fd);
    close(sandbox->trees[i].fd);
  }
  place_proc(root, host_proc);
  close(host_proc);
  int final = new_tmpfs(gofer ? "1m" : "4k", !gofer);
  place_mount(root, "final", final);
  if (gofer) place_attach_points(sandbox, final);
  change_root(root);
  close(final);
  close(root);
}

void enter_empty_root(void) {
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0) fatal_namespaces("making namespaces");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fatal_namespaces("private mounts");
  int root = new_tmpfs("4k", true);
  attach_mount(root, AT_FDCWD, "/");
  change_root(root);
  close(root);
}

void own_mounts(const struct sandbox *sandbox) {
  if (!sandbox->privileged) return;
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree >= 0) {
    close(tree);
    return;
  }
  if (errno != EPERM) return;
  if (unshare(CLONE_NEWNS) < 0) fatal_namespaces("making namespaces");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fatal_namespaces("private mounts");
}

void open_privileged_trees(struct sandbox *sandbox, bool gofer) {
  if (!sandbox->privileged) return;
  open_trees(sandbox);
  if (gofer) open_attach_trees(sandbox);
}

void close_trees(struct sandbox *sandbox) {
  while (sandbox->tree_count > 0) close(sandbox->trees[--sandbox->tree_count].fd);
  for (int i = 0; i < sandbox->options.attach_count; i++) {
    if (sandbox->options.attach[i].tree >= 0) close(sandbox->options.attach[i].tree);
    sandbox->options.attach[i].tree = -1;
  }
}

static void seal(void *socket) {
  char byte = 0;
  if (dup2(*(int *)socket, 0) < 0) _exit(1);
  close_range(1, ~0U, 0);
  if (read(0, &byte, 1) != 1) _exit(0);
  int root = open("/final", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int result = 0;
  if (root < 0 || fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
      umount2(".", MNT_DETACH) < 0) {
    result = errno;
  }
  byte = (char)result;
  if (write(0, &byte, 1) != 1) _exit(1);
  _exit(0);
}

int start_sealer(void) {
  static int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
    fatal("socketpair: %s", strerror(errno));
  }
  if (start_process(seal, pair + 1, false) < 0) fatal("fork: %s", strerror(errno));
  return high(pair[0], "socketpair");
}

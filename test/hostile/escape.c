// SPDX-License-Identifier: Apache-2.0
// Ways out of --root and --volume. The test puts a secret beside both on the host, and links to it
// inside; the guest has the root of ROOT, /shared (writable) and /ro (:ro). HOST_DIR is their
// parent on the host.
#include <dirent.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "hostile.h"

#define SECRET "SECRET-OUTSIDE"

static void check_not_secret(int fd, const char *how) {
  char text[64] = "";
  if (fd < 0) return;
  if (read(fd, text, 63) > 0 && strstr(text, SECRET) != NULL) {
    dprintf(1, "# %s shows the secret\n", how);
    _exit(CHECK_FAILED);
  }
  close(fd);
}

static void must_not_read(const char *path) {
  check_not_secret(open(path, O_RDONLY | O_NONBLOCK), path);
  check_not_secret(open(path, O_RDWR | O_NONBLOCK), path);
  int fd = open(path, O_PATH);
  if (fd < 0) return;
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
  check_not_secret(open(again, O_RDONLY | O_NONBLOCK), again);
  close(fd);
}

static const char *host_dir(void) {
  const char *dir = getenv("HOST_DIR");
  if (dir == NULL) SKIP("run by hostile.test.ts");
  return dir;
}

TEST(paths_out_of_the_root) {
  const char *host = host_dir();
  char path[PATH_MAX];
  static const char *const starts[] = {"",
                                       "/",
                                       "/shared/",
                                       "/ro/",
                                       "/proc/self/root/",
                                       "/proc/1/root/",
                                       "/proc/self/cwd/",
                                       "/proc/self/task/self/root/",
                                       "/dev/fd/../../",
                                       "/proc/self/fd/0/"};
  static const char *const ups[] = {"", "../", "../../", "../../../../../../../../../..",
                                    "./../.././../"};
  for (int i = 0; i < 10; i++) {
    for (int j = 0; j < 5; j++) {
      snprintf(path, sizeof path, "%s%s/secret", starts[i], ups[j]);
      must_not_read(path);
      snprintf(path, sizeof path, "%s%s%s/secret", starts[i], ups[j], host);
      must_not_read(path);
    }
  }
}

TEST(links_out_of_the_volumes) {
  static const char *const links[] = {
      "absolute", "relative", "directory/secret", "up/secret", "absolute-directory/secret",
      "chain"};
  char path[PATH_MAX];
  for (int i = 0; i < 6; i++) {
    snprintf(path, sizeof path, "/shared/%s", links[i]);
    must_not_read(path);
    snprintf(path, sizeof path, "/ro/%s", links[i]);
    must_not_read(path);
    snprintf(path, sizeof path, "/%s", links[i]);
    must_not_read(path);
  }
  // Made by the guest: followed by the kernel of the guest, never by the host.
  snprintf(path, sizeof path, "%s/secret", host_dir());
  unlink("/shared/mine");
  OK(symlink(path, "/shared/mine"));
  must_not_read("/shared/mine");
  unlink("/shared/mine");
  OK(symlink("../secret", "/shared/mine"));
  must_not_read("/shared/mine");
  CHECK(truncate("/shared/mine", 0) < 0);
  CHECK(chmod("/shared/relative", 0) < 0);
  CHECK(open("/shared/relative", O_WRONLY | O_CREAT, 0600) < 0 || access("/secret", F_OK) == 0);
  OK(unlink("/shared/mine"));
}

TEST(held_directories) {
  int shared = OK(open("/shared", O_PATH | O_DIRECTORY));
  OK(fchdir(shared));
  must_not_read("../secret");
  check_not_secret(openat(shared, "../secret", O_RDONLY), "openat ..");
  OK(mkdir("/shared/jail", 0755));
  int old = OK(open("/", O_RDONLY | O_DIRECTORY));
  OK(mkdir("/jail", 0755));
  if (chroot("/jail") == 0) {
    OK(fchdir(old));
    must_not_read("../../../../../secret");
    OK(chdir(".."));
    must_not_read("secret");
    OK(chroot("."));
  }
  // The directory that one stands in moves out of the volume.
  OK(chdir("/shared/jail"));
  rename("/shared/jail", "/jail/moved");
  must_not_read("../secret");
  must_not_read("../../secret");
  chdir("/");
  rmdir("/shared/jail");
}

static void *swap_links(void *unused) {
  for (;;) {
    renameat2(AT_FDCWD, "/shared/place", AT_FDCWD, "/shared/trap", RENAME_EXCHANGE);
    sched_yield();
  }
  return unused;
}

// A directory and a link that leads out change places all the time, by another process.
TEST(rename_races) {
  mkdir("/shared/place", 0755);
  put_file("/shared/place/secret", "inside");
  unlink("/shared/trap");
  OK(symlink("..", "/shared/trap"));
  pid_t pid = OK(fork());
  if (pid == 0) swap_links(NULL);
  for (int i = 0; i < 1500; i++) {
    check_not_secret(open("/shared/place/secret", O_RDONLY), "a raced open");
    int fd = open("/shared/place/made", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) close(fd);
    chmod("/shared/place/secret", 0600);
    unlink("/shared/place/made");
  }
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  check_well();
}

TEST(a_read_only_volume_stays_as_it_is) {
  struct timespec times[2] = {{1, 0}, {1, 0}};
  CHECK_ERR(open("/ro/file", O_WRONLY), EROFS);
  CHECK_ERR(open("/ro/file", O_RDWR), EROFS);
  CHECK_ERR(open("/ro/new", O_WRONLY | O_CREAT, 0644), EROFS);
  CHECK(open("/ro/file", O_RDONLY | O_TRUNC) < 0);
  CHECK_ERR(open("/ro", O_TMPFILE | O_WRONLY, 0644), EROFS);
  CHECK_ERR(truncate("/ro/file", 0), EROFS);
  CHECK_ERR(unlink("/ro/file"), EROFS);
  CHECK_ERR(rename("/ro/file", "/ro/other"), EROFS);
  CHECK(rename("/ro/file", "/shared/other") < 0);
  CHECK(rename("/shared/file", "/ro/other") < 0);
  CHECK(link("/ro/file", "/shared/linked") < 0);
  CHECK(link("/shared/file", "/ro/linked") < 0);
  CHECK_ERR(mkdir("/ro/new", 0755), EROFS);
  CHECK_ERR(symlink("x", "/ro/new"), EROFS);
  CHECK_ERR(mknod("/ro/new", S_IFIFO | 0644, 0), EROFS);
  CHECK_ERR(chmod("/ro/file", 0777), EROFS);
  CHECK_ERR(chown("/ro/file", 1, 1), EROFS);
  CHECK_ERR(utimensat(AT_FDCWD, "/ro/file", times, 0), EROFS);
  CHECK(setxattr("/ro/file", "user.x", "x", 1, 0) < 0);
  int fd = OK(open("/ro/file", O_RDONLY));
  CHECK_ERR(fchmod(fd, 0777), EROFS);
  CHECK_ERR(futimens(fd, times), EROFS);
  CHECK(ftruncate(fd, 0) < 0);
  CHECK(fallocate(fd, 0, 0, 100) < 0);
  CHECK(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  char *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  CHECK(at != MAP_FAILED);
  CHECK(mprotect(at, 4096, PROT_READ | PROT_WRITE) < 0);
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
  CHECK(open(again, O_RDWR) < 0);
  int mem = OK(open("/proc/self/mem", O_RDWR));
  pwrite(mem, "!", 1, (off_t)at);  // must not reach the file
  CHECK(mount("none", "/ro", NULL, MS_REMOUNT | MS_BIND, NULL) < 0 || open("/ro/file", O_RDWR) < 0);
  mount("/ro", "/mnt", NULL, MS_BIND, NULL);
  CHECK(open("/mnt/file", O_RDWR) < 0);
  // Through the stub: the descriptor that is passed for the mapping is stolen and mapped anew.
  const struct stub *stub = find_stub();
  if (stub != NULL) {
    long end = stub->call(SYS_mprotect, (long)at, 4096, 3, 0, 0, 0);
    CHECK(end < 0);
  }
}

TEST(set_user_id_files_of_the_host_keep_their_owner) {
  struct stat st;
  OK(stat("/shared/file", &st));
  CHECK(chown("/shared/file", 1234, 1234) < 0 || stat("/shared/file", &st) == 0);
}

// ---- handles of files that are gone ----

// A name in a directory that all may write to, held, removed, and made anew by somebody else.
static void make_and_lose(const char *name, int kind) {
  if (kind == 0) OK(close(OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644))));
  if (kind == 1) OK(mkfifo(name, 0644));
  if (kind == 2) OK(mkdir(name, 0755));
}

static void lose(const char *name, int kind, int way) {
  if (kind == 2) {
    OK(rmdir(name));
  } else if (way == 0) {
    OK(unlink(name));
  } else {
    make_and_lose("other", 0);
    OK(rename("other", name));
    OK(unlink(name));
  }
}

static void use_handle(int handle) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
  // Natively these reach the removed file; here they may also fail.
  chmod(path, 0777);
  fchmodat(handle, "", 0777, AT_EMPTY_PATH);
  truncate(path, 0);
  struct timespec times[2] = {{1, 0}, {1, 0}};
  utimensat(AT_FDCWD, path, times, 0);
  syscall(SYS_setxattr, path, "user.mark", "1", 1, 0);
  linkat(AT_FDCWD, path, AT_FDCWD, "stolen", AT_SYMLINK_FOLLOW);
}

TEST(handles_of_removed_files) {
  if (getuid() != 0) return;
  OK(chdir("/shared"));
  OK(chmod(".", 01777));
  for (int turn = 0; turn < 6; turn++) {
    int kind = turn % 3, lost[2], made[2];
    char byte;
    OK(pipe(lost));
    OK(pipe(made));
    pid_t thief = OK(fork());
    if (thief == 0) {
      OK(setresgid(1000, 1000, 1000));
      OK(setresuid(1000, 1000, 1000));
      make_and_lose("mine", kind);
      int handle = OK(open("mine", O_PATH));
      lose("mine", kind, turn / 3);
      CHECK_EQ(write(lost[1], "", 1), 1);
      CHECK_EQ(read(made[0], &byte, 1), 1);
      use_handle(handle);
      _exit(0);
    }
    CHECK_EQ(read(lost[0], &byte, 1), 1);
    // Many, so that one has the inode number of what was removed.
    for (int i = 0; i < 20; i++) {
      char name[32];
      snprintf(name, sizeof name, i == 0 ? "mine" : "mine%d", i);
      int fd = OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0600));
      CHECK_EQ(write(fd, "secret", 6), 6);
      OK(close(fd));
    }
    CHECK_EQ(write(made[1], "", 1), 1);
    CHECK_EXIT(thief, 0);
    for (int i = 0; i < 20; i++) {
      char name[32];
      struct stat status;
      snprintf(name, sizeof name, i == 0 ? "mine" : "mine%d", i);
      OK(stat(name, &status));
      CHECK_EQ(status.st_mode & 0777, 0600);
      CHECK_EQ(status.st_size, 6);
      CHECK_EQ(status.st_nlink, 1);
      CHECK(status.st_mtime > 1000);
      CHECK(syscall(SYS_getxattr, name, "user.mark", NULL, 0) < 0);
      OK(unlink(name));
    }
    unlink("stolen");
  }
}

// SPDX-License-Identifier: Apache-2.0
// Worst cases: names, directories, attributes, locks and watches.
#include <dirent.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "worst.h"

#define NAMES 100000

static void many_names(const char *dir, int count) {
  OK(mkdir(dir, 0755));
  int at = OK(open(dir, O_RDONLY | O_DIRECTORY));
  char name[64];
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "name-%d", i);
    OK(mknodat(at, name, S_IFREG | 0600, 0));
  }
  close(at);
}

WORST(large_directories) {
  many_names("large", NAMES);
  DIR *dir = opendir("large");
  long seen = 0;
  while (readdir(dir) != NULL) seen++;
  CHECK_EQ(seen, NAMES + 2);
  rewinddir(dir);
  CHECK(readdir(dir) != NULL);
  seekdir(dir, 1L << 40);
  readdir(dir);
  CHECK_ERR(rmdir("large"), ENOTEMPTY);
  OK(rename("large", "other"));
  OK(link("other/name-5", "other/link"));
  OK(rename("other/name-1", "other/name-2"));
  OK(unlink("other/name-3"));
  OK(mkdir("empty", 0755));
  CHECK_ERR(rename("empty", "other"), ENOTEMPTY);
  OK(syscall(SYS_renameat2, AT_FDCWD, "empty", AT_FDCWD, "other", 2 /* RENAME_EXCHANGE */));
  // While somebody reads, names go.
  rewinddir(dir);
  char name[64];
  for (int i = 10; i < 20000; i++) {
    snprintf(name, sizeof name, "empty/name-%d", i);
    OK(unlink(name));
    if (i % 100 == 0) CHECK(readdir(dir) != NULL);
  }
}

WORST(mounting_over_large_file_systems) {
  if (mkdir("mount", 0755) != 0 || mount("none", "mount", "tmpfs", 0, NULL) != 0)
    SKIP("no right to mount");
  OK(chdir("mount"));
  many_names("large", NAMES);
  OK(chdir(".."));
  struct statfs st;
  OK(statfs("mount", &st));
  OK(umount2("mount", MNT_DETACH));
}

// A path of 4095 bytes through forty links, each of which is a path of that length.
WORST(long_paths) {
  char path[4096];
  OK(mkdir("d", 0755));
  memset(path, '/', sizeof path);
  for (int i = 0; i < 4094; i += 2) memcpy(path + i, "./", 2);
  path[4095] = 0;
  OK(symlink(path, "link-0"));
  for (int i = 1; i < 40; i++) {
    char name[32], last[32];
    snprintf(name, sizeof name, "link-%d", i);
    snprintf(last, sizeof last, "link-%d", i - 1);
    for (int k = 0; k < 4080; k += 2) memcpy(path + k, "./", 2);
    memcpy(path + 4080, last, strlen(last) + 1);
    OK(symlink(path, name));
  }
  struct stat st;
  for (int i = 0; i < 3; i++) {
    OK(stat("link-39", &st));
    OK(access("link-39/d", F_OK));
    OK(close(OK(open("link-38/link-0", O_RDONLY))));
    OK(chmod("link-39", 0755));
    CHECK_EQ(readlink("link-39", path, sizeof path), 4087);
    CHECK_ERR(mkdir("link-39/d", 0755), EEXIST);
    OK(rename("link-39/d", "link-39/e"));
    OK(rename("link-39/e", "link-39/d"));
    OK(utimensat(AT_FDCWD, "link-39/d", NULL, 0));
    OK(truncate("link-39/d", 0) == -1 ? 0 : -1);
    OK(chown("link-39/d", -1, -1));
  }
}

WORST(deep_directories) {
  char name[256];
  memset(name, 'x', 250);
  name[250] = 0;
  int depth = 0;
  for (; depth < 2000; depth++) {
    OK(mkdir(name, 0755));
    OK(chdir(name));
  }
  static char cwd[1 << 20];
  syscall(SYS_getcwd, cwd, sizeof cwd);
  struct stat st;
  char up[4096];
  for (int i = 0; i < 4095; i += 3) memcpy(up + i, "../", 3);
  up[4095] = 0;
  OK(stat(up, &st));
  (void)!readlink("/proc/self/cwd", up, sizeof up);
  CHECK_ERR(rename(".", "y"), EBUSY);
  while (depth-- > 0) {
    OK(chdir(".."));
    OK(rmdir(name));
  }
}

WORST(large_attributes) {
  OK(close(OK(open("file", O_RDWR | O_CREAT, 0600))));
  char *value = calloc(1, 65536), name[64], *names = malloc(65536);
  int made = 0;
  for (; made < 2000; made++) {
    snprintf(name, sizeof name, "user.attribute-%d", made);
    if (setxattr("file", name, value, made < 100 ? 65536 : 1, 0) != 0) break;
  }
  CHECK(made > 0);
  int file = OK(open("file", O_RDWR));
  flistxattr(file, names, 65536);
  OK(fgetxattr(file, "user.attribute-0", value, 65536));
  OK(fsetxattr(file, "user.attribute-0", value, 65536, XATTR_REPLACE));
  while (made-- > 0) {
    snprintf(name, sizeof name, "user.attribute-%d", made);
    OK(fremovexattr(file, name));
  }
}

static void lock_range(int file, int command, short type, long start, long length) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
  OK(fcntl(file, command, &lock));
}

#define RANGES 3000

WORST(many_ranges) {
  int file = OK(open("file", O_RDWR | O_CREAT, 0600));
  for (long i = 0; i < RANGES; i++) lock_range(file, F_SETLK, F_WRLCK, i * 2, 1);
  lock_range(file, F_GETLK, F_WRLCK, 0, 0);
  pid_t pid = OK(fork());
  if (pid == 0) {
    lock_range(file, F_GETLK, F_RDLCK, 2 * RANGES - 2, 0);
    struct flock lock = {.l_type = F_WRLCK, .l_start = 2 * RANGES - 2};
    CHECK_ERR(fcntl(file, F_SETLK, &lock), EAGAIN);
    _exit(7);
  }
  CHECK_EXIT(pid, 7);
  read_through("/proc/locks");
  lock_range(file, F_SETLK, F_RDLCK, 0, 0);
  lock_range(file, F_SETLK, F_UNLCK, 0, 0);
  for (long i = 0; i < RANGES; i++) lock_range(file, F_SETLK, F_WRLCK, i * 2, 1);
  OK(close(OK(dup(file))));
}

WORST(many_lock_waiters) {
  int file = OK(open("file", O_RDWR | O_CREAT, 0600));
  OK(flock(file, LOCK_EX));
  for (int i = 0; i < 200; i++) {
    if (OK(fork()) != 0) continue;
    int mine = OK(open("file", O_RDWR));
    flock(mine, LOCK_SH);
    flock(mine, LOCK_EX);
    _exit(0);
  }
  sleep_ms(300);
  OK(flock(file, LOCK_UN));
  while (wait(NULL) > 0) {
  }
}

WORST(many_watches) {
  many_names("watched", 5000);
  int watcher = OK(inotify_init1(IN_NONBLOCK));
  char name[64];
  OK(inotify_add_watch(watcher, "watched", IN_ALL_EVENTS));
  for (int i = 0; i < 5000; i++) {
    snprintf(name, sizeof name, "watched/name-%d", i);
    OK(inotify_add_watch(watcher, name, IN_ALL_EVENTS));
  }
  // More events than the queue takes.
  for (int i = 0; i < 20000; i++) {
    snprintf(name, sizeof name, "watched/name-%d", i % 5000);
    OK(chmod(name, i % 2 ? 0600 : 0644));
  }
  static char events[1 << 20];
  long got = 0, count;
  while ((count = read(watcher, events, sizeof events)) > 0) got += count;
  CHECK(got > 16000 * 16);
  snprintf(name, sizeof name, "/proc/self/fdinfo/%d", watcher);
  CHECK(read_through(name) > 5000);
  OK(close(watcher));
}

// As many instances as one may have (128 by default) watch one file.
WORST(many_watchers) {
  OK(close(OK(open("file", O_RDWR | O_CREAT, 0600))));
  for (int i = 0; i < 128; i++) {
    int watcher = inotify_init1(IN_NONBLOCK);
    if (watcher < 0) break;
    inotify_add_watch(watcher, "file", IN_ALL_EVENTS);
    inotify_add_watch(watcher, ".", IN_ALL_EVENTS);
  }
  for (int i = 0; i < 1000; i++) OK(chmod("file", i % 2 ? 0600 : 0644));
}

#define MOUNTS 3000

WORST(many_mounts) {
  OK(mkdir("here", 0755));
  syscall(SYS_unshare, 0x20000 /* CLONE_NEWNS */);
  if (mount("none", "here", "tmpfs", 0, NULL) != 0) SKIP("no right to mount");
  char name[64];
  int made = 0;
  for (; made < MOUNTS; made++) {
    snprintf(name, sizeof name, "here/%d", made);
    OK(mkdir(name, 0755));
    if (mount("here", name, NULL, MS_BIND, NULL) != 0) break;
  }
  dprintf(1, "# %d mounts, errno %d\n", made, errno);
  read_through("/proc/self/mountinfo");
  read_through("/proc/self/mounts");
  read_through("/proc/self/mountstats");
  syscall(SYS_unshare, 0x20000);
  OK(mkdir("all", 0755));
  mount("here", "all", NULL, MS_BIND | MS_REC, NULL);
  mount(NULL, "here", NULL, MS_PRIVATE | MS_REC, NULL);
  mount(NULL, "here", NULL, MS_SHARED | MS_REC, NULL);
  umount2("here", MNT_DETACH);
  umount2("all", MNT_DETACH);
}

WORST(large_files) {
  int file = OK(open("file", O_RDWR | O_CREAT, 0600));
  static char bytes[8 << 20];
  memset(bytes, 1, sizeof bytes);
  for (int i = 0; i < 48; i++) CHECK_EQ(write(file, bytes, sizeof bytes), sizeof bytes);
  OK(fsync(file));
  OK(fdatasync(file));
  OK(syscall(SYS_fallocate, file, 3 /* PUNCH_HOLE | KEEP_SIZE */, 4097, 300 << 20));
  OK(syscall(SYS_fallocate, file, 0, 0, 300 << 20));
  syscall(SYS_fallocate, file, 16 /* ZERO_RANGE */, 0, 300 << 20);
  OK(ftruncate(file, 1));
  OK(ftruncate(file, 1L << 40));
  OK(truncate("file", 12345));
  sync();
  int memory = OK(memfd_create("memory", 0));
  OK(syscall(SYS_fallocate, memory, 0, 0, 400 << 20));
  OK(ftruncate(memory, 0));
  OK(syscall(SYS_fallocate, memory, 0, 0, 400 << 20));
  OK(close(memory));
  OK(syscall(SYS_fallocate, file, 0, 0, 400 << 20));
  struct stat st;
  int again = OK(open("file", O_RDWR | O_TRUNC));
  OK(fstat(again, &st));
  CHECK_EQ(st.st_size, 0);
  CHECK_EQ(st.st_blocks, 0);
  // Beyond its end.
  OK(syscall(SYS_fallocate, file, 1 /* KEEP_SIZE */, 1 << 20, 400 << 20));
  OK(ftruncate(file, 0));
}

// What does not fit leaves nothing behind.
WORST(more_than_fits) {
  int file = OK(open("file", O_RDWR | O_CREAT, 0600));
  struct stat st;
  for (int i = 0; i < 3; i++) {
    if (fallocate(file, 0, 0, 1L << 45) == 0) SKIP("a file system that has it");
    CHECK(errno == ENOSPC || errno == EFBIG);
    OK(fstat(file, &st));
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(st.st_blocks, 0);
  }
}

// Page by page with holes between, so that what is there lies in as many pieces as can be.
WORST(holes) {
  int file = OK(open("file", O_RDWR | O_CREAT, 0600));
  for (long i = 0; i < 30000; i++) CHECK_EQ(pwrite(file, "x", 1, i * 8192), 1);
  for (off_t at = 0; (at = lseek(file, at, SEEK_HOLE)) >= 0;)
    if ((at = lseek(file, at, SEEK_DATA)) < 0) break;
  OK(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
  OK(readahead(file, 0, 240 << 20));
  OK(syscall(SYS_sync_file_range, file, 0, 240 << 20, 7));
  OK(ftruncate(file, 5));
}

// The first write to a file of the host copies it.
WORST(copy_up) {
  struct stat st;
  const char *big = "/usr/lib/locale/locale-archive";
  if (stat(big, &st) != 0) big = "/bin/bash";
  int file = open(big, O_RDWR);
  if (file < 0) SKIP("no right to write");
  CHECK_EQ(pwrite(file, "x", 1, 100), 1);
  OK(fsync(file));
}

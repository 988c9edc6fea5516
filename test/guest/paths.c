// SPDX-License-Identifier: Apache-2.0
// Names: rename(2), link(2), symlink(2), unlink(2), mkdir(2), the *at calls, permissions, stat(2), statx(2),
// getdents(2), utimensat(2), chmod(2), chown(2), xattr(7), chroot(2), mount tables.
#include <dirent.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <utime.h>

#include "check.h"

static struct stat stat_of(const char *path) {
  struct stat st;
  OK(lstat(path, &st));
  return st;
}

TEST(stat_fields) {
  put_file("f", "12345");
  OK(chmod("f", 0640));
  struct stat st = stat_of("f");
  CHECK_EQ(st.st_mode, S_IFREG | 0640);
  CHECK_EQ(st.st_size, 5);
  CHECK_EQ(st.st_nlink, 1);
  CHECK_EQ(st.st_uid, geteuid());
  CHECK_EQ(st.st_gid, getegid());
  CHECK(st.st_ino != 0);
  CHECK(st.st_blksize >= 512);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  CHECK(st.st_mtim.tv_sec <= now.tv_sec && st.st_mtim.tv_sec > now.tv_sec - 5);
  CHECK_ERR(stat("missing", &st), ENOENT);
  CHECK_ERR(fstat(99, &st), EBADF);
  CHECK_ERR(fstatat(99, "f", &st, 0), EBADF);
  CHECK_ERR(fstatat(AT_FDCWD, "f", &st, 0x8000), EINVAL);
  int fd = OK(open("f", O_RDONLY));
  struct stat other;
  OK(fstatat(fd, "", &other, AT_EMPTY_PATH));
  CHECK_EQ(other.st_ino, st.st_ino);
}

TEST(statx_fields) {
  put_file("f", "12345");
  struct statx stx;
  OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &stx));
  CHECK_EQ(stx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
  struct stat st = stat_of("f");
  CHECK_EQ(stx.stx_ino, st.st_ino);
  CHECK_EQ(stx.stx_size, 5);
  CHECK_EQ(stx.stx_mode, st.st_mode);
  CHECK_EQ(makedev(stx.stx_dev_major, stx.stx_dev_minor), st.st_dev);
  CHECK_EQ(stx.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
  CHECK_ERR(statx(AT_FDCWD, "f", 0, 0x80000000, &stx), EINVAL);
  CHECK_ERR(statx(AT_FDCWD, "", 0, 0, &stx), ENOENT);
}

TEST(directories) {
  OK(mkdir("d", 0755));
  CHECK_ERR(mkdir("d", 0755), EEXIST);
  CHECK_ERR(mkdir("x/y", 0755), ENOENT);
  OK(mkdir("d/sub/", 0755));
  CHECK_EQ(stat_of("d").st_nlink >= 1, 1);
  CHECK_ERR(rmdir("d"), ENOTEMPTY);
  CHECK_ERR(unlink("d"), EISDIR);
  CHECK_ERR(rmdir("d/sub/."), EINVAL);
  OK(rmdir("d/sub"));
  OK(rmdir("d"));
  CHECK_ERR(rmdir("d"), ENOENT);
  put_file("f", "");
  CHECK_ERR(rmdir("f"), ENOTDIR);
  CHECK_ERR(mkdir("f/x", 0755), ENOTDIR);
  CHECK_ERR(rmdir("/"), EBUSY);
}

TEST(removed_working_directory) {
  OK(mkdir("d", 0755));
  OK(chdir("d"));
  OK(rmdir("../d"));
  char path[100];
  CHECK(getcwd(path, 100) == NULL && errno == ENOENT);
  CHECK_ERR(open("f", O_CREAT | O_WRONLY, 0644), ENOENT);
  OK(stat(".", &(struct stat){0}));
}

TEST(working_directory) {
  char before[200], after[210], want[210];
  CHECK(getcwd(before, sizeof before) != NULL);
  OK(mkdir("d", 0755));
  OK(chdir("d"));
  CHECK(getcwd(after, sizeof after) != NULL);
  snprintf(want, sizeof want, "%s/d", before);
  CHECK_STR(after, want);
  CHECK(getcwd(after, 3) == NULL && errno == ERANGE);
  int up = OK(open("..", O_RDONLY));
  OK(fchdir(up));
  CHECK(getcwd(after, sizeof after) != NULL);
  CHECK_STR(after, before);
  put_file("f", "");
  CHECK_ERR(chdir("f"), ENOTDIR);
  // A rename moves the working directory along.
  OK(chdir("d"));
  OK(rename("../d", "../e"));
  CHECK(getcwd(after, sizeof after) != NULL);
  CHECK_EQ(after[strlen(after) - 1], 'e');
}

TEST(rename_files) {
  put_file("a", "A");
  put_file("b", "B");
  ino_t ino = stat_of("a").st_ino;
  OK(rename("a", "b"));
  CHECK_ERR(access("a", F_OK), ENOENT);
  CHECK_STR(get_file("b"), "A");
  CHECK_EQ(stat_of("b").st_ino, ino);
  OK(rename("b", "b"));
  CHECK_ERR(rename("missing", "x"), ENOENT);
  OK(mkdir("d", 0755));
  CHECK_ERR(rename("b", "d"), EISDIR);
  CHECK_ERR(rename("d", "b"), ENOTDIR);
  CHECK_ERR(rename("d", "d/inside"), EINVAL);
  OK(rename("b", "d/b"));
  OK(mkdir("e", 0755));
  OK(rename("d", "e"));
  CHECK_STR(get_file("e/b"), "A");
  OK(mkdir("full", 0755));
  put_file("full/x", "");
  CHECK_ERR(rename("e", "full"), ENOTEMPTY);
}

TEST(rename_of_hard_links_does_nothing) {
  put_file("a", "A");
  OK(link("a", "b"));
  OK(rename("a", "b"));
  OK(access("a", F_OK));
  OK(access("b", F_OK));
}

TEST(rename_flags) {
  put_file("a", "A");
  put_file("b", "B");
  CHECK_ERR(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
  OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
  CHECK_STR(get_file("a"), "B");
  CHECK_STR(get_file("b"), "A");
  CHECK_ERR(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
  CHECK_ERR(renameat2(AT_FDCWD, "a", AT_FDCWD, "missing", RENAME_EXCHANGE), ENOENT);
}

TEST(hard_links) {
  put_file("a", "shared");
  OK(link("a", "b"));
  CHECK_EQ(stat_of("a").st_nlink, 2);
  CHECK_EQ(stat_of("a").st_ino, stat_of("b").st_ino);
  put_file("b", "changed");
  CHECK_STR(get_file("a"), "changed");
  OK(unlink("a"));
  CHECK_EQ(stat_of("b").st_nlink, 1);
  CHECK_ERR(link("missing", "x"), ENOENT);
  put_file("c", "");
  CHECK_ERR(link("b", "c"), EEXIST);
  OK(mkdir("d", 0755));
  CHECK_ERR(link("d", "e"), EPERM);
  OK(symlink("b", "s"));
  OK(link("s", "t"));
  CHECK(S_ISLNK(stat_of("t").st_mode));
  OK(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW));
  CHECK(S_ISREG(stat_of("u").st_mode));
}

TEST(symbolic_links) {
  OK(symlink("target", "link"));
  char text[64];
  CHECK_EQ(readlink("link", text, 64), 6);
  CHECK_EQ(readlink("link", text, 3), 3);
  CHECK(memcmp(text, "tar", 3) == 0);
  CHECK_EQ(stat_of("link").st_size, 6);
  CHECK_ERR(open("link", O_RDONLY), ENOENT);
  put_file("link", "made");  // O_CREAT goes through a dangling link
  CHECK_STR(get_file("target"), "made");
  CHECK_ERR(readlink("target", text, 64), EINVAL);
  CHECK_ERR(readlink("link", text, 0), EINVAL);
  CHECK_ERR(symlink("x", "link"), EEXIST);
  CHECK_ERR(symlink("", "empty"), ENOENT);
  OK(mkdir("d", 0755));
  OK(symlink("d", "ld"));
  put_file("ld/f", "in d");
  CHECK_STR(get_file("d/f"), "in d");
  CHECK_ERR(rmdir("ld"), ENOTDIR);
  OK(symlink("../target", "d/up"));
  CHECK_STR(get_file("ld/up"), "made");
}

TEST(symbolic_link_loops) {
  OK(symlink("b", "a"));
  OK(symlink("a", "b"));
  CHECK_ERR(open("a", O_RDONLY), ELOOP);
  CHECK_ERR(stat("a/x", &(struct stat){0}), ELOOP);
  put_file("l0", "end");
  char from[8], to[8];
  for (int i = 1; i <= 41; i++) {
    sprintf(from, "l%d", i);
    sprintf(to, "l%d", i - 1);
    OK(symlink(to, from));
  }
  CHECK_STR(get_file("l40"), "end");
  CHECK_ERR(open("l41", O_RDONLY), ELOOP);
}

TEST(trailing_slashes_and_dots) {
  put_file("f", "x");
  OK(mkdir("d", 0755));
  CHECK_ERR(stat("f/", &(struct stat){0}), ENOTDIR);
  CHECK_ERR(open("new/", O_CREAT | O_WRONLY, 0644), EISDIR);
  CHECK_ERR(unlink("f/"), ENOTDIR);
  OK(stat("d/./../d//", &(struct stat){0}));
  OK(stat("/../../tmp/", &(struct stat){0}));
  CHECK_ERR(stat("missing/../f", &(struct stat){0}), ENOENT);
  CHECK_ERR(rename("d/.", "e"), EBUSY);
  CHECK_ERR(mkdir("d/..", 0755), EEXIST);
}

TEST(at_calls) {
  OK(mkdir("d", 0755));
  int dir = OK(open("d", O_RDONLY | O_DIRECTORY));
  int fd = OK(openat(dir, "f", O_CREAT | O_WRONLY, 0644));
  close(fd);
  OK(access("d/f", F_OK));
  OK(mkdirat(dir, "sub", 0755));
  OK(symlinkat("f", dir, "link"));
  char text[8];
  CHECK_EQ(readlinkat(dir, "link", text, 8), 1);
  OK(renameat(dir, "f", dir, "g"));
  OK(linkat(dir, "g", dir, "h", 0));
  OK(fchmodat(dir, "g", 0600, 0));
  CHECK_EQ(stat_of("d/h").st_mode & 0777, 0600);
  OK(fchownat(dir, "g", 12, 34, 0));
  CHECK_EQ(stat_of("d/h").st_gid, 34);
  CHECK_ERR(unlinkat(dir, "sub", 0), EISDIR);
  OK(unlinkat(dir, "sub", AT_REMOVEDIR));
  OK(unlinkat(dir, "g", 0));
  CHECK_ERR(openat(fd, "x", O_RDONLY), EBADF);
  CHECK_ERR(openat(0x7fffffff, "x", O_RDONLY), EBADF);
  OK(openat(-1, "/", O_RDONLY));
  CHECK_ERR(unlinkat(dir, "h", 0x1), EINVAL);
}

TEST(openat2_resolution) {
  OK(mkdir("d", 0755));
  put_file("out", "outside");
  put_file("d/in", "inside");
  OK(symlink("../out", "d/escape"));
  OK(symlink("in", "d/link"));
  int dir = OK(open("d", O_RDONLY | O_DIRECTORY));
  struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};
  OK(syscall(SYS_openat2, dir, "in", &how, sizeof how));
  OK(syscall(SYS_openat2, dir, "link", &how, sizeof how));
  CHECK_ERR(syscall(SYS_openat2, dir, "escape", &how, sizeof how), EXDEV);
  CHECK_ERR(syscall(SYS_openat2, dir, "/etc", &how, sizeof how), EXDEV);
  how.resolve = RESOLVE_NO_SYMLINKS;
  CHECK_ERR(syscall(SYS_openat2, dir, "link", &how, sizeof how), ELOOP);
  how.resolve = RESOLVE_IN_ROOT;
  OK(syscall(SYS_openat2, dir, "/in", &how, sizeof how));
  how.flags = 1UL << 40;
  CHECK_ERR(syscall(SYS_openat2, dir, "in", &how, sizeof how), EINVAL);
  CHECK_ERR(syscall(SYS_openat2, dir, "in", &how, 8), EINVAL);
}

static int as_user(void (*run)(void)) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setresgid(1000, 1000, 1000));
    OK(syscall(SYS_setgroups, 0, NULL));
    OK(setresuid(1000, 1000, 1000));
    run();
    _exit(0);
  }
  int status;
  OK(waitpid(pid, &status, 0));
  return status;
}

static void user_checks(void) {
  CHECK_ERR(open("secret", O_RDONLY), EACCES);
  CHECK_ERR(open("readonly", O_WRONLY), EACCES);
  OK(open("readonly", O_RDONLY));
  CHECK_ERR(open("closed/f", O_RDONLY), EACCES);
  CHECK_ERR(unlink("readonly"), EACCES);
  CHECK_ERR(mkdir("new", 0755), EACCES);
  CHECK_ERR(chmod("readonly", 0777), EPERM);
  CHECK_ERR(chown("readonly", 1000, 1000), EPERM);
  CHECK_ERR(access("secret", R_OK), EACCES);
  OK(access("secret", F_OK));
  CHECK_ERR(rename("readonly", "open/x"), EACCES);
  int fd = OK(open("open/mine", O_CREAT | O_RDWR, 0200));
  CHECK_ERR(open("open/mine", O_RDONLY), EACCES);
  OK(fchmod(fd, 0600));
  OK(open("open/mine", O_RDONLY));
  CHECK_ERR(chown("open/mine", 0, 0), EPERM);
  OK(chown("open/mine", 1000, 1000));
  CHECK_ERR(unlink("sticky/root"), EPERM);
  OK(unlink("open/root"));
  CHECK_ERR(utime("readonly", NULL), EACCES);
  CHECK_ERR(utime("readonly", &(struct utimbuf){1, 1}), EPERM);
  CHECK_ERR(chroot("."), EPERM);
  CHECK_ERR(mknod("open/dev", S_IFCHR | 0600, makedev(1, 3)), EPERM);
  CHECK_ERR(execl("readonly", "x", NULL), EACCES);
}

TEST(permissions) {
  OK(chmod(".", 0755));
  put_file("secret", "x");
  OK(chmod("secret", 0600));
  put_file("readonly", "x");
  OK(mkdir("closed", 0700));
  put_file("closed/f", "x");
  umask(0);
  OK(mkdir("open", 0777));
  put_file("open/root", "x");
  OK(mkdir("sticky", 01777));
  put_file("sticky/root", "x");
  CHECK_EQ(as_user(user_checks), 0);
  // Root may read and write everything, but execute only what somebody may.
  OK(open("secret", O_RDWR));
  CHECK_ERR(access("secret", X_OK), EACCES);
}

static void group_checks(void) { CHECK_ERR(open("group", O_RDONLY), EACCES); }

TEST(group_class_comes_before_others) {
  OK(chmod(".", 0755));
  put_file("group", "x");
  OK(chown("group", 0, 1000));
  OK(chmod("group", 0604));
  CHECK_EQ(as_user(group_checks), 0);
}

static void clear_bits(void) { CHECK_EQ(write(OK(open("s", O_WRONLY)), "x", 1), 1); }

TEST(set_id_bits) {
  OK(chmod(".", 0755));
  put_file("s", "x");
  OK(chmod("s", 06777));
  CHECK_EQ(as_user(clear_bits), 0);
  CHECK_EQ(stat_of("s").st_mode & 07777, 0777);
  OK(chmod("s", 06777));
  OK(chown("s", 1, 1));
  CHECK_EQ(stat_of("s").st_mode & 07777, 0777);
  OK(mkdir("d", 0755));
  OK(chown("d", 0, 77));
  OK(chmod("d", 02755));
  put_file("d/f", "");
  OK(mkdir("d/sub", 0755));
  CHECK_EQ(stat_of("d/f").st_gid, 77);
  CHECK_EQ(stat_of("d/sub").st_gid, 77);
  CHECK(stat_of("d/sub").st_mode & S_ISGID);
}

TEST(times) {
  put_file("f", "x");
  struct timespec set[2] = {{1000, 5}, {2000, 999999999}};
  OK(utimensat(AT_FDCWD, "f", set, 0));
  struct stat st = stat_of("f");
  CHECK_EQ(st.st_atim.tv_sec, 1000);
  CHECK_EQ(st.st_atim.tv_nsec, 5);
  CHECK_EQ(st.st_mtim.tv_sec, 2000);
  CHECK_EQ(st.st_mtim.tv_nsec, 999999999);
  CHECK(st.st_ctim.tv_sec > 1600000000);
  set[0].tv_nsec = UTIME_OMIT;
  set[1].tv_nsec = UTIME_NOW;
  OK(utimensat(AT_FDCWD, "f", set, 0));
  st = stat_of("f");
  CHECK_EQ(st.st_atim.tv_sec, 1000);
  CHECK(st.st_mtim.tv_sec > 1600000000);
  set[0].tv_nsec = 1000000000;
  CHECK_ERR(utimensat(AT_FDCWD, "f", set, 0), EINVAL);
  OK(symlink("f", "l"));
  set[0] = set[1] = (struct timespec){3000, 0};
  OK(utimensat(AT_FDCWD, "l", set, AT_SYMLINK_NOFOLLOW));
  CHECK_EQ(stat_of("l").st_mtim.tv_sec, 3000);
  CHECK(stat_of("f").st_mtim.tv_sec > 1600000000);
  int fd = OK(open("f", O_RDWR));
  OK(futimens(fd, set));
  CHECK_EQ(stat_of("f").st_mtim.tv_sec, 3000);
  CHECK_EQ(write(fd, "y", 1), 1);
  CHECK(stat_of("f").st_mtim.tv_sec > 1600000000);
}

TEST(directory_times_change) {
  OK(mkdir("d", 0755));
  struct timespec set[2] = {{1000, 0}, {1000, 0}};
  OK(utimensat(AT_FDCWD, "d", set, 0));
  put_file("d/f", "");
  CHECK(stat_of("d").st_mtim.tv_sec > 1000);
  OK(utimensat(AT_FDCWD, "d", set, 0));
  OK(unlink("d/f"));
  CHECK(stat_of("d").st_mtim.tv_sec > 1000);
}

static int count_entries(const char *path) {
  DIR *dir = opendir(path);
  CHECK(dir != NULL);
  int count = 0;
  while (readdir(dir) != NULL) count++;
  closedir(dir);
  return count;
}

TEST(reading_directories) {
  OK(mkdir("d", 0755));
  CHECK_EQ(count_entries("d"), 2);
  char name[32];
  for (int i = 0; i < 500; i++) {
    sprintf(name, "d/file-%d", i);
    close(OK(open(name, O_CREAT | O_WRONLY, 0644)));
  }
  OK(mkdir("d/dir", 0755));
  OK(symlink("x", "d/link"));
  CHECK_EQ(count_entries("d"), 504);
  DIR *dir = opendir("d");
  char seen[500] = "";
  int types = 0;
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    int n;
    if (sscanf(e->d_name, "file-%d", &n) == 1) {
      CHECK_EQ(e->d_type, DT_REG);
      CHECK_EQ(seen[n]++, 0);
    }
    types += strcmp(e->d_name, "dir") == 0 && e->d_type == DT_DIR;
    types += strcmp(e->d_name, "link") == 0 && e->d_type == DT_LNK;
  }
  CHECK_EQ(types, 2);
  rewinddir(dir);
  CHECK(readdir(dir) != NULL);
  long place = telldir(dir);
  char second[256];
  strcpy(second, readdir(dir)->d_name);
  seekdir(dir, place);
  CHECK_STR(readdir(dir)->d_name, second);
  char small[8];
  CHECK_ERR(syscall(SYS_getdents64, OK(open("d", O_RDONLY)), small, 8), EINVAL);
  CHECK_ERR(syscall(SYS_getdents64, OK(open("d/file-0", O_RDONLY)), small, 8), ENOTDIR);
}

TEST(deleting_while_reading) {
  OK(mkdir("d", 0755));
  char name[300];
  for (int i = 0; i < 300; i++) {
    sprintf(name, "d/f%d", i);
    put_file(name, "");
  }
  DIR *dir = opendir("d");
  int removed = 0;
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    if (e->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "d/%s", e->d_name);
    OK(unlink(name));
    removed++;
  }
  CHECK_EQ(removed, 300);
  closedir(dir);
  OK(rmdir("d"));
}

TEST(extended_attributes) {
  put_file("f", "");
  char text[64];
  if (setxattr("f", "user.one", "1", 1, 0) < 0 && errno == ENOTSUP) SKIP("no xattrs here");
  OK(setxattr("f", "user.two", "value", 5, XATTR_CREATE));
  CHECK_ERR(setxattr("f", "user.two", "value", 5, XATTR_CREATE), EEXIST);
  CHECK_ERR(setxattr("f", "user.three", "v", 1, XATTR_REPLACE), ENODATA);
  CHECK_EQ(getxattr("f", "user.two", text, 64), 5);
  CHECK(memcmp(text, "value", 5) == 0);
  CHECK_EQ(getxattr("f", "user.two", NULL, 0), 5);
  CHECK_ERR(getxattr("f", "user.two", text, 2), ERANGE);
  CHECK_ERR(getxattr("f", "user.none", text, 64), ENODATA);
  ssize_t n = OK(listxattr("f", text, 64));
  CHECK_EQ(n, 18);
  OK(removexattr("f", "user.one"));
  CHECK_ERR(removexattr("f", "user.one"), ENODATA);
  CHECK_EQ(listxattr("f", NULL, 0), 9);
  CHECK_ERR(setxattr("f", "nonsense", "v", 1, 0), EOPNOTSUPP);
}

TEST(special_files) {
  OK(mkfifo("fifo", 0644));
  CHECK(S_ISFIFO(stat_of("fifo").st_mode));
  OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
  struct stat st = stat_of("null");
  CHECK(S_ISCHR(st.st_mode));
  CHECK_EQ(st.st_rdev, makedev(1, 3));
  OK(mknod("plain", S_IFREG | 0600, 0));
  CHECK_ERR(mknod("plain", S_IFREG | 0600, 0), EEXIST);
  CHECK_ERR(mknod("dir", S_IFDIR | 0600, 0), EPERM);
}

TEST(fifos) {
  OK(mkfifo("fifo", 0644));
  CHECK_ERR(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
  pid_t pid = OK(fork());
  if (pid == 0) {
    int out = OK(open("fifo", O_WRONLY));
    CHECK_EQ(write(out, "through", 7), 7);
    _exit(0);
  }
  int in = OK(open("fifo", O_RDONLY));
  char text[16] = "";
  CHECK_EQ(read(in, text, 15), 7);
  CHECK_STR(text, "through");
  CHECK_EQ(read(in, text, 15), 0);
  CHECK_EXIT(pid, 0);
}

TEST(chroot_confines) {
  OK(mkdir("root", 0755));
  put_file("root/inside", "in");
  put_file("outside", "out");
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(chroot("root"));
    OK(chdir("/"));
    CHECK_STR(get_file("/inside"), "in");
    CHECK_STR(get_file("/../../inside"), "in");
    CHECK_ERR(open("/outside", O_RDONLY), ENOENT);
    char path[16];
    CHECK(getcwd(path, 16) != NULL);
    CHECK_STR(path, "/");
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

TEST(file_system_statistics) {
  struct statfs fs;
  OK(statfs(".", &fs));
  CHECK(fs.f_bsize > 0);
  CHECK_EQ(fs.f_namelen, 255);
  OK(statfs("/proc", &fs));
  CHECK_EQ(fs.f_type, 0x9fa0);
  CHECK_ERR(statfs("missing", &fs), ENOENT);
}

TEST(mount_a_tmpfs) {
  OK(mkdir("m", 0755));
  if (mount("none", "m", "tmpfs", 0, "mode=700") < 0 && errno == EPERM) SKIP("may not mount");
  put_file("m/f", "on tmpfs");
  CHECK_EQ(stat_of("m").st_mode & 0777, 0700);
  CHECK(stat_of("m").st_dev != stat_of(".").st_dev);
  CHECK_ERR(rmdir("m"), EBUSY);
  CHECK_ERR(rename("m/f", "f"), EXDEV);
  CHECK_ERR(link("m/f", "f"), EXDEV);
  int fd = OK(open("m/f", O_RDONLY));
  CHECK_ERR(umount("m"), EBUSY);
  close(fd);
  OK(umount("m"));
  CHECK_ERR(access("m/f", F_OK), ENOENT);
  CHECK_ERR(mount("none", "m", "nosuchfs", 0, NULL), ENODEV);
}

TEST(access_uses_real_ids) {
  put_file("f", "");
  OK(chmod("f", 0600));
  OK(chmod(".", 0755));
  OK(setresuid(1000, 0, 0));
  CHECK_ERR(access("f", R_OK), EACCES);
  OK(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
  CHECK_ERR(access("f", 0x10), EINVAL);
}

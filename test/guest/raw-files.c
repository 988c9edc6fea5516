// SPDX-License-Identifier: Apache-2.0
// Calls on files that a C library makes under another name, or not at all any more: each by its own number.
#include "check.h"

#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static long raw(long number, long a, long b, long c, long d, long e, long f) {
  return syscall(number, a, b, c, d, e, f);
}
#define RAW6(NAME, A, B, C, D, E, F) \
  raw(SYS_##NAME, (long)(A), (long)(B), (long)(C), (long)(D), (long)(E), (long)(F))
#define RAW4(NAME, A, B, C, D) RAW6(NAME, A, B, C, D, 0, 0)
#define RAW2(NAME, A, B) RAW6(NAME, A, B, 0, 0, 0, 0)

TEST(pread64_and_pwrite64) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  CHECK_EQ(RAW4(pwrite64, fd, "abcdef", 6, 4), 6);
  char text[16] = "";
  CHECK_EQ(RAW4(pread64, fd, text, sizeof text, 6), 4);
  CHECK_STR(text, "cdef");
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
  CHECK_EQ(RAW4(pread64, fd, text, sizeof text, 10), 0);
  CHECK_ERR(RAW4(pread64, fd, text, 1, -1), EINVAL);
  CHECK_ERR(RAW4(pwrite64, fd, text, 1, -1), EINVAL);
  CHECK_ERR(RAW4(pread64, fd, 1, 1, 0), EFAULT);
  CHECK_ERR(RAW4(pwrite64, fd, text, 1, INT64_MAX), EINVAL);
  CHECK_ERR(RAW4(pread64, fd, text, 1, INT64_MAX), EINVAL);
  CHECK_ERR(RAW4(pread64, -1, text, 1, 0), EBADF);
  int ends[2];
  OK(pipe(ends));
  CHECK_ERR(RAW4(pread64, ends[0], text, 1, 0), ESPIPE);
  CHECK_ERR(RAW4(pwrite64, ends[1], text, 1, 0), ESPIPE);
}

TEST(pwritev2_flags) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
  CHECK_EQ(RAW6(pwritev2, fd, parts, 2, 1, 0, 0), 4);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
  CHECK_EQ(RAW6(pwritev2, fd, parts, 1, -1, -1, 0), 2); /* at the offset, which moves */
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 2);
  CHECK_EQ(RAW6(pwritev2, fd, parts, 1, 0, 0, RWF_APPEND), 2); /* at the end, whatever the offset */
  CHECK_STR(get_file("f"), "abbcdab");
  CHECK_EQ(RAW6(pwritev2, fd, parts, 1, 0, 0, RWF_DSYNC | RWF_SYNC), 2);
  CHECK_ERR(RAW6(pwritev2, fd, parts, 1, 0, 0, 0x4000), EOPNOTSUPP);
  CHECK_ERR(RAW6(pwritev2, fd, parts, 1025, 0, 0, 0), EINVAL);
  CHECK_EQ(RAW6(pwritev2, fd, parts, 0, 0, 0, 0), 0);
}

TEST(creat_truncates) {
  put_file("f", "old");
  int fd = OK(RAW2(creat, "f", 0600));
  CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
  CHECK_EQ(lseek(fd, 0, SEEK_END), 0);
  umask(022);
  OK(RAW2(creat, "g", 0666));
  struct stat st;
  OK(stat("g", &st));
  CHECK_EQ(st.st_mode, S_IFREG | 0644);
  CHECK_ERR(RAW2(creat, ".", 0600), EISDIR);
  CHECK_ERR(RAW2(creat, "no/f", 0600), ENOENT);
}

struct old_entry {
  unsigned long ino, off;
  unsigned short length;
  char name[];
};

TEST(getdents_has_the_type_at_the_end) {
  OK(mkdir("d", 0755));
  put_file("f", "");
  int fd = OK(open(".", O_RDONLY | O_DIRECTORY));
  _Alignas(8) char buffer[1024];
  int seen = 0;
  for (long n; (n = OK(RAW4(getdents, fd, buffer, sizeof buffer, 0))) > 0;) {
    for (long at = 0; at < n;) {
      struct old_entry *entry = (struct old_entry *)(buffer + at);
      char type = buffer[at + entry->length - 1];
      if (strcmp(entry->name, "d") == 0 && type == DT_DIR) seen |= 1;
      if (strcmp(entry->name, "f") == 0 && type == DT_REG) seen |= 2;
      CHECK(entry->ino != 0);
      CHECK_EQ(entry->length % 8, 0);
      at += entry->length;
    }
  }
  CHECK_EQ(seen, 3);
  CHECK_EQ(RAW4(getdents, fd, buffer, sizeof buffer, 0), 0);
  lseek(fd, 0, SEEK_SET);
  CHECK_ERR(RAW4(getdents, fd, buffer, 8, 0), EINVAL);
  CHECK_ERR(RAW4(getdents, open("f", O_RDONLY), buffer, sizeof buffer, 0), ENOTDIR);
}

TEST(lchown_is_of_the_link) {
  if (geteuid() != 0) SKIP("not root");
  put_file("f", "");
  OK(symlink("f", "l"));
  OK(RAW4(lchown, "l", 12, 34, 0));
  struct stat st;
  OK(lstat("l", &st));
  CHECK_EQ(st.st_uid, 12);
  CHECK_EQ(st.st_gid, 34);
  OK(stat("l", &st));
  CHECK_EQ(st.st_uid, 0);
  OK(RAW4(lchown, "l", -1, 35, 0));
  OK(lstat("l", &st));
  CHECK_EQ(st.st_uid, 12);
  CHECK_EQ(st.st_gid, 35);
  CHECK_ERR(RAW4(lchown, "no", 0, 0, 0), ENOENT);
}

static void check_times(const char *path, long atime_us, long mtime_us) {
  struct stat st;
  OK(stat(path, &st));
  CHECK_EQ(st.st_atim.tv_sec * 1000000 + st.st_atim.tv_nsec / 1000, atime_us);
  CHECK_EQ(st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000, mtime_us);
}

TEST(utimes_and_futimesat) {
  put_file("f", "");
  struct timeval times[2] = {{1000, 5}, {2000, 6}};
  OK(RAW2(utimes, "f", times));
  check_times("f", 1000000005, 2000000006);
  times[0].tv_sec = 3000;
  int dir = OK(open(".", O_RDONLY | O_DIRECTORY));
  OK(RAW4(futimesat, dir, "f", times, 0));
  check_times("f", 3000000005, 2000000006);
  times[1].tv_sec = 4000;
  int fd = OK(open("f", O_RDONLY));
  OK(RAW4(futimesat, fd, NULL, times, 0)); /* the descriptor itself */
  check_times("f", 3000000005, 4000000006);
  OK(RAW4(futimesat, AT_FDCWD, "f", NULL, 0)); /* now */
  struct stat st;
  OK(stat("f", &st));
  CHECK(st.st_mtim.tv_sec > 1000000000);
  times[0].tv_usec = 1000000;
  CHECK_ERR(RAW2(utimes, "f", times), EINVAL);
  CHECK_ERR(RAW4(futimesat, AT_FDCWD, "f", times, 0), EINVAL);
  times[0].tv_usec = -1;
  CHECK_ERR(RAW2(utimes, "f", times), EINVAL);
  times[0].tv_usec = 0;
  CHECK_ERR(RAW2(utimes, "no", times), ENOENT);
  CHECK_ERR(RAW2(utimes, "f", 8), EFAULT);
}

TEST(mknodat_kinds) {
  int dir = OK(open(".", O_RDONLY | O_DIRECTORY));
  umask(0);
  OK(RAW4(mknodat, dir, "fifo", S_IFIFO | 0640, 0));
  OK(RAW4(mknodat, dir, "file", 0604, 0)); /* no kind: a regular file */
  OK(RAW4(mknodat, dir, "sock", S_IFSOCK | 0600, 0));
  struct stat st;
  OK(stat("fifo", &st));
  CHECK_EQ(st.st_mode, S_IFIFO | 0640);
  OK(stat("file", &st));
  CHECK_EQ(st.st_mode, S_IFREG | 0604);
  OK(stat("sock", &st));
  CHECK_EQ(st.st_mode, S_IFSOCK | 0600);
  CHECK_ERR(RAW4(mknodat, dir, "fifo", S_IFIFO | 0640, 0), EEXIST);
  CHECK_ERR(RAW4(mknodat, dir, "d", S_IFDIR | 0755, 0), EPERM);
  CHECK_ERR(RAW4(mknodat, dir, "x", S_IFLNK | 0755, 0), EINVAL);
  CHECK_ERR(RAW4(mknodat, -1, "x", S_IFIFO, 0), EBADF);
}

TEST(newfstatat_flags) {
  put_file("f", "12345");
  OK(symlink("f", "l"));
  int fd = OK(open("f", O_RDONLY));
  struct stat st;
  OK(RAW4(newfstatat, AT_FDCWD, "l", &st, 0));
  CHECK(S_ISREG(st.st_mode) && st.st_size == 5);
  OK(RAW4(newfstatat, AT_FDCWD, "l", &st, AT_SYMLINK_NOFOLLOW));
  CHECK(S_ISLNK(st.st_mode) && st.st_size == 1);
  OK(RAW4(newfstatat, fd, "", &st, AT_EMPTY_PATH));
  CHECK_EQ(st.st_size, 5);
  CHECK_ERR(RAW4(newfstatat, fd, "", &st, 0), ENOENT);
  CHECK_ERR(RAW4(newfstatat, fd, "x", &st, 0), ENOTDIR);
  CHECK_ERR(RAW4(newfstatat, AT_FDCWD, "f", &st, 0x40000000), EINVAL);
  CHECK_ERR(RAW4(newfstatat, AT_FDCWD, "f", 8, 0), EFAULT);
}

TEST(faccessat2_judges_effective_ids) {
  if (geteuid() != 0) SKIP("not root");
  put_file("f", "");
  OK(chmod("f", 0600));
  OK(chmod(".", 0755));
  CHECK_EQ(RAW4(faccessat2, AT_FDCWD, "f", R_OK, 0), 0);
  CHECK_ERR(RAW4(faccessat2, AT_FDCWD, "f", X_OK, 0), EACCES);
  OK(setresuid(0, 4321, 0)); /* root asks, another acts */
  CHECK_EQ(RAW4(faccessat2, AT_FDCWD, "f", R_OK, 0), 0);
  CHECK_ERR(RAW4(faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS), EACCES);
  OK(setresuid(0, 0, 0));
  OK(symlink("gone", "l"));
  CHECK_ERR(RAW4(faccessat2, AT_FDCWD, "l", F_OK, 0), ENOENT);
  CHECK_EQ(RAW4(faccessat2, AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW), 0);
  int fd = OK(open("f", O_PATH));
  CHECK_EQ(RAW4(faccessat2, fd, "", R_OK, AT_EMPTY_PATH), 0);
  CHECK_ERR(RAW4(faccessat2, AT_FDCWD, "f", 8, 0), EINVAL);
  CHECK_ERR(RAW4(faccessat2, AT_FDCWD, "f", R_OK, 1), EINVAL);
}

TEST(fchmodat2_flags) {
  put_file("f", "");
  OK(symlink("f", "l"));
  if (RAW4(fchmodat2, AT_FDCWD, "f", 0640, 0) < 0 && errno == ENOSYS) SKIP("older than Linux 6.6");
  struct stat st;
  OK(stat("f", &st));
  CHECK_EQ(st.st_mode & 07777, 0640);
  int fd = OK(open("f", O_PATH));
  OK(RAW4(fchmodat2, fd, "", 0604, AT_EMPTY_PATH));
  OK(stat("f", &st));
  CHECK_EQ(st.st_mode & 07777, 0604);
  CHECK_ERR(RAW4(fchmodat2, AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
  OK(stat("f", &st));
  CHECK_EQ(st.st_mode & 07777, 0604);
  CHECK_ERR(RAW4(fchmodat2, AT_FDCWD, "f", 0600, 1), EINVAL);
  CHECK_ERR(RAW4(fchmodat2, AT_FDCWD, "no", 0600, 0), ENOENT);
}

TEST(readahead_fadvise64_and_sync_file_range) {
  put_file("f", "12345");
  int fd = OK(open("f", O_RDWR));
  int ends[2];
  OK(pipe(ends));
  CHECK_EQ(RAW4(readahead, fd, 0, 4096, 0), 0);
  CHECK_ERR(RAW4(readahead, open("f", O_WRONLY), 0, 4096, 0), EBADF);
  CHECK_ERR(RAW4(readahead, ends[0], 0, 4096, 0), EINVAL);
  CHECK_ERR(RAW4(readahead, -1, 0, 4096, 0), EBADF);
  for (int advice = POSIX_FADV_NORMAL; advice <= POSIX_FADV_NOREUSE; advice++) {
    CHECK_EQ(RAW4(fadvise64, fd, 0, 0, advice), 0);
  }
  CHECK_ERR(RAW4(fadvise64, fd, 0, 0, 6), EINVAL);
  CHECK_ERR(RAW4(fadvise64, ends[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
  CHECK_ERR(RAW4(fadvise64, -1, 0, 0, POSIX_FADV_NORMAL), EBADF);
  CHECK_EQ(RAW4(sync_file_range, fd, 0, 4096, SYNC_FILE_RANGE_WRITE), 0);
  CHECK_EQ(RAW4(sync_file_range, fd, 0, 0, 7), 0);
  CHECK_ERR(RAW4(sync_file_range, fd, 0, 0, 8), EINVAL);
  CHECK_ERR(RAW4(sync_file_range, fd, -1, 1, 0), EINVAL);
  CHECK_ERR(RAW4(sync_file_range, ends[0], 0, 1, 0), ESPIPE);
}

// Linux looks for positions before it looks at the access mode, and for O_PATH before both.
TEST(positioned_calls_on_the_wrong_end) {
  int ends[2];
  char byte;
  OK(pipe(ends));
  CHECK_ERR(RAW4(pread64, ends[1], &byte, 1, 0), ESPIPE);
  CHECK_ERR(RAW4(pwrite64, ends[0], &byte, 1, 0), ESPIPE);
  CHECK_ERR(RAW4(pread64, ends[1], &byte, 1, -1), EINVAL);
  int file = OK(open("only-written", O_WRONLY | O_CREAT, 0600));
  CHECK_ERR(RAW4(pread64, file, &byte, 1, 0), EBADF);
  int path = OK(open(".", O_PATH));
  CHECK_ERR(RAW4(pread64, path, &byte, 1, 0), EBADF);
}

// O_DIRECT is for regular files; a pipe has it for packets, but not when it is opened by name.
TEST(direct_where_there_is_none) {
  int ends[2];
  CHECK_ERR(open(".", O_DIRECT), EINVAL);
  CHECK_ERR(open("/dev/null", O_DIRECT), EINVAL);
  OK(mkfifo("fifo", 0600));
  CHECK_ERR(open("fifo", O_RDWR | O_DIRECT), EINVAL);
  int directory = OK(open(".", O_RDONLY));
  CHECK_ERR(fcntl(directory, F_SETFL, O_DIRECT), EINVAL);
  OK(pipe(ends));
  OK(fcntl(ends[0], F_SETFL, O_DIRECT));
}

// SPDX-License-Identifier: Apache-2.0
// Regular files and open files: open(2), read(2), write(2), lseek(2), truncate(2), fcntl(2), flock(2),
// dup(2), fallocate(2), copy_file_range(2), sendfile(2), preadv(2).
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "check.h"

static off_t size_of(int fd) {
  struct stat st;
  OK(fstat(fd, &st));
  return st.st_size;
}

TEST(open_flags) {
  CHECK_ERR(open("f", O_RDONLY), ENOENT);
  int fd = OK(open("f", O_WRONLY | O_CREAT | O_EXCL, 0600));
  CHECK_ERR(open("f", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
  CHECK_EQ(write(fd, "12345", 5), 5);
  CHECK_ERR(read(fd, &(char){0}, 1), EBADF);
  int ro = OK(open("f", O_RDONLY));
  CHECK_ERR(write(ro, "x", 1), EBADF);
  OK(close(OK(open("f", O_WRONLY | O_TRUNC))));
  CHECK_EQ(size_of(ro), 0);
  CHECK_ERR(open(".", O_WRONLY), EISDIR);
  CHECK_ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
  CHECK_ERR(open("f/x", O_RDONLY), ENOTDIR);
  CHECK_ERR(open("", O_RDONLY), ENOENT);
  OK(symlink("f", "link"));
  CHECK_ERR(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
  CHECK_ERR(open("link", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
  char name[300];
  memset(name, 'n', 299);
  name[299] = 0;
  CHECK_ERR(open(name, O_RDONLY), ENAMETOOLONG);
}

TEST(mode_and_umask) {
  umask(027);
  int fd = OK(open("f", O_WRONLY | O_CREAT, 0666));
  struct stat st;
  OK(fstat(fd, &st));
  CHECK_EQ(st.st_mode, S_IFREG | 0640);
  CHECK_EQ(umask(0), 027);
  // A fresh file may be opened for writing though its mode says no.
  fd = OK(open("g", O_RDWR | O_CREAT, 0));
  CHECK_EQ(write(fd, "x", 1), 1);
}

TEST(lowest_descriptor) {
  int a = OK(open("/dev/null", O_RDONLY));
  int b = OK(open("/dev/null", O_RDONLY));
  CHECK_EQ(b, a + 1);
  close(a);
  CHECK_EQ(OK(open("/dev/null", O_RDONLY)), a);
  CHECK_EQ(OK(fcntl(a, F_DUPFD, 50)), 50);
  CHECK_EQ(OK(fcntl(a, F_DUPFD_CLOEXEC, 50)), 51);
  CHECK_EQ(fcntl(51, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(OK(dup2(a, 60)), 60);
  CHECK_EQ(OK(dup2(a, a)), a);
  CHECK_ERR(dup2(99, 5), EBADF);
  CHECK_ERR(dup3(a, a, 0), EINVAL);
  CHECK_EQ(OK(dup3(a, 61, O_CLOEXEC)), 61);
  CHECK_EQ(fcntl(61, F_GETFD), FD_CLOEXEC);
  CHECK_ERR(close(99), EBADF);
}

TEST(descriptor_limit) {
  struct rlimit limit = {20, 20};
  OK(setrlimit(RLIMIT_NOFILE, &limit));
  int last = -1;
  for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0;) last = fd;
  CHECK_EQ(errno, EMFILE);
  CHECK_EQ(last, 19);
  CHECK_ERR(fcntl(0, F_DUPFD, 20), EINVAL);
  CHECK_ERR(dup2(0, 20), EBADF);
}

TEST(close_range) {
  for (int i = 0; i < 10; i++) OK(dup2(1, 20 + i));
  OK(syscall(SYS_close_range, 22, 27, 0));
  CHECK_EQ(fcntl(21, F_GETFD), 0);
  CHECK_ERR(fcntl(22, F_GETFD), EBADF);
  CHECK_ERR(fcntl(27, F_GETFD), EBADF);
  CHECK_EQ(fcntl(28, F_GETFD), 0);
  OK(syscall(SYS_close_range, 28, ~0U, 4));  // CLOSE_RANGE_CLOEXEC
  CHECK_EQ(fcntl(28, F_GETFD), FD_CLOEXEC);
  CHECK_ERR(syscall(SYS_close_range, 5, 4, 0), EINVAL);
}

TEST(seek) {
  put_file("f", "0123456789");
  int fd = OK(open("f", O_RDWR));
  CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
  CHECK_EQ(lseek(fd, 2, SEEK_CUR), 5);
  CHECK_EQ(lseek(fd, -1, SEEK_END), 9);
  CHECK_ERR(lseek(fd, -11, SEEK_END), EINVAL);
  CHECK_ERR(lseek(fd, 0, 77), EINVAL);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 9);
  CHECK_EQ(lseek(fd, 1L << 40, SEEK_SET), 1L << 40);
  char c;
  CHECK_EQ(read(fd, &c, 1), 0);
  int fds[2];
  OK(pipe(fds));
  CHECK_ERR(lseek(fds[0], 0, SEEK_CUR), ESPIPE);
}

TEST(seek_data_and_hole) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  OK(ftruncate(fd, 1 << 20));
  CHECK_EQ(pwrite(fd, "x", 1, 512 << 10), 1);
  CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
  CHECK_EQ(lseek(fd, 0, SEEK_DATA), 512 << 10);
  CHECK_EQ(lseek(fd, 512 << 10, SEEK_HOLE), (512 << 10) + 4096);
  CHECK_ERR(lseek(fd, 600 << 10, SEEK_DATA), ENXIO);
  CHECK_ERR(lseek(fd, 1 << 20, SEEK_DATA), ENXIO);
  struct stat st;
  OK(fstat(fd, &st));
  CHECK(st.st_blocks < 100);
}

TEST(append) {
  put_file("f", "ab");
  int a = OK(open("f", O_WRONLY | O_APPEND)), b = OK(open("f", O_RDWR));
  CHECK_EQ(write(a, "c", 1), 1);
  CHECK_EQ(lseek(a, 0, SEEK_CUR), 3);
  CHECK_EQ(pwrite(b, "de", 2, 3), 2);
  CHECK_EQ(write(a, "f", 1), 1);
  CHECK_STR(get_file("f"), "abcdef");
  // pwrite on an append descriptor appends as well: pwrite(2), BUGS.
  CHECK_EQ(pwrite(a, "g", 1, 0), 1);
  CHECK_STR(get_file("f"), "abcdefg");
}

TEST(pread_and_pwrite_leave_the_offset) {
  put_file("f", "0123456789");
  int fd = OK(open("f", O_RDWR));
  char text[4] = "";
  CHECK_EQ(pread(fd, text, 3, 4), 3);
  CHECK_STR(text, "456");
  CHECK_EQ(pwrite(fd, "XY", 2, 8), 2);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
  CHECK_STR(get_file("f"), "01234567XY");
  CHECK_ERR(pread(fd, text, 1, -1), EINVAL);
  CHECK_EQ(pread(fd, text, 3, 100), 0);
}

TEST(vectors) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  struct iovec out[3] = {{"one", 3}, {"", 0}, {"two!", 4}};
  CHECK_EQ(writev(fd, out, 3), 7);
  char a[5] = "", b[5] = "";
  struct iovec in[2] = {{a, 4}, {b, 4}};
  CHECK_EQ(preadv(fd, in, 2, 0), 7);
  CHECK_STR(a, "onet");
  CHECK_STR(b, "wo!");
  CHECK_EQ(pwritev(fd, out, 1, 7), 3);
  CHECK_EQ(preadv2(fd, in, 1, 7, 0), 3);
  CHECK_ERR(readv(fd, in, -1), EINVAL);
  CHECK_ERR(readv(fd, in, 2000), EINVAL);
  in[0].iov_len = -1;
  CHECK_ERR(readv(fd, in, 1), EINVAL);
  CHECK_EQ(readv(fd, in, 0), 0);
}

TEST(truncate_and_sparse) {
  put_file("f", "hello world");
  OK(truncate("f", 5));
  CHECK_STR(get_file("f"), "hello");
  int fd = OK(open("f", O_RDWR));
  OK(ftruncate(fd, 10));
  char text[10];
  CHECK_EQ(pread(fd, text, 10, 0), 10);
  CHECK(memcmp(text, "hello\0\0\0\0\0", 10) == 0);
  CHECK_EQ(pwrite(fd, "end", 3, 1 << 20), 3);
  CHECK_EQ(size_of(fd), (1 << 20) + 3);
  CHECK_EQ(pread(fd, text, 10, 500000), 10);
  CHECK(memcmp(text, "\0\0\0\0\0\0\0\0\0\0", 10) == 0);
  CHECK_ERR(ftruncate(fd, -1), EINVAL);
  CHECK_ERR(truncate("missing", 0), ENOENT);
  CHECK_ERR(truncate(".", 0), EISDIR);
  int ro = OK(open("f", O_RDONLY));
  CHECK_ERR(ftruncate(ro, 0), EINVAL);
}

TEST(file_size_limit) {
  struct rlimit limit = {100, RLIM_INFINITY};
  OK(setrlimit(RLIMIT_FSIZE, &limit));
  signal(SIGXFSZ, SIG_IGN);
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  char data[200] = "";
  CHECK_EQ(write(fd, data, 200), 100);
  CHECK_ERR(write(fd, data, 1), EFBIG);
  CHECK_ERR(ftruncate(fd, 101), EFBIG);
}

TEST(unlinked_files_live_on) {
  put_file("f", "still here");
  int fd = OK(open("f", O_RDWR));
  OK(unlink("f"));
  CHECK_ERR(access("f", F_OK), ENOENT);
  char text[20] = "";
  CHECK_EQ(read(fd, text, 19), 10);
  CHECK_STR(text, "still here");
  CHECK_EQ(write(fd, "!", 1), 1);
  struct stat st;
  OK(fstat(fd, &st));
  CHECK_EQ(st.st_nlink, 0);
  CHECK_EQ(st.st_size, 11);
  put_file("f", "another");
  CHECK_EQ(pread(fd, text, 5, 0), 5);
  CHECK(memcmp(text, "still", 5) == 0);
}

TEST(temporary_files) {
  int fd = OK(open(".", O_TMPFILE | O_RDWR, 0600));
  CHECK_EQ(write(fd, "tmp", 3), 3);
  struct stat st;
  OK(fstat(fd, &st));
  CHECK_EQ(st.st_nlink, 0);
  char path[64];
  sprintf(path, "/proc/self/fd/%d", fd);
  OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  CHECK_STR(get_file("named"), "tmp");
}

TEST(status_flags) {
  int fd = OK(open("f", O_RDWR | O_CREAT | O_APPEND, 0644));
  CHECK_EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR | O_APPEND);
  OK(fcntl(fd, F_SETFL, O_NONBLOCK));
  CHECK_EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR | O_NONBLOCK);
  int dup_fd = OK(dup(fd));
  CHECK_EQ(fcntl(dup_fd, F_GETFL) & ~0100000, O_RDWR | O_NONBLOCK);
  OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
  CHECK_EQ(fcntl(dup_fd, F_GETFD), 0);
  CHECK_ERR(fcntl(fd, 9999), EINVAL);
  int on = 0;
  OK(ioctl(fd, FIONBIO, &on));
  CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

TEST(o_path) {
  put_file("f", "text");
  int fd = OK(open("f", O_PATH));
  CHECK_ERR(read(fd, &(char){0}, 1), EBADF);
  struct stat st;
  OK(fstat(fd, &st));
  CHECK_EQ(st.st_size, 4);
  char path[64];
  sprintf(path, "/proc/self/fd/%d", fd);
  CHECK_STR(get_file(path), "text");
  int dir = OK(open(".", O_PATH | O_DIRECTORY));
  OK(faccessat(dir, "f", R_OK, 0));
  OK(symlink("f", "link"));
  int link = OK(open("link", O_PATH | O_NOFOLLOW));
  char target[8] = "";
  CHECK_EQ(readlinkat(link, "", target, 8), 1);
}

TEST(posix_locks) {
  put_file("f", "0123456789");
  int fd = OK(open("f", O_RDWR));
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 4};
  OK(fcntl(fd, F_SETLK, &lock));
  pid_t pid = OK(fork());
  if (pid == 0) {
    struct flock other = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 1};
    CHECK_ERR(fcntl(fd, F_SETLK, &other), EAGAIN);
    OK(fcntl(fd, F_GETLK, &other));
    CHECK_EQ(other.l_type, F_WRLCK);
    CHECK_EQ(other.l_start, 2);
    CHECK_EQ(other.l_len, 4);
    CHECK_EQ(other.l_pid, getppid());
    other = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 6, .l_len = 0};
    OK(fcntl(fd, F_SETLK, &other));
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  // Closing any descriptor of the file drops the locks of the process.
  close(OK(open("f", O_RDONLY)));
  pid = OK(fork());
  if (pid == 0) {
    OK(fcntl(fd, F_SETLK, &lock));
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

TEST(posix_locks_wait) {
  put_file("f", "x");
  int fd = OK(open("f", O_RDWR));
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  OK(fcntl(fd, F_SETLK, &lock));
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(fcntl(fd, F_SETLKW, &lock));
    _exit(0);
  }
  until_asleep(pid);
  sleep_ms(20);
  CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
  lock.l_type = F_UNLCK;
  OK(fcntl(fd, F_SETLK, &lock));
  CHECK_EXIT(pid, 0);
}

TEST(posix_locks_detect_deadlock) {
  put_file("f", "ab");
  int fd = OK(open("f", O_RDWR));
  struct flock first = {.l_type = F_WRLCK, .l_start = 0, .l_len = 1};
  struct flock second = {.l_type = F_WRLCK, .l_start = 1, .l_len = 1};
  OK(fcntl(fd, F_SETLK, &first));
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(fcntl(fd, F_SETLK, &second));
    OK(fcntl(fd, F_SETLKW, &first));
    _exit(0);
  }
  until_asleep(pid);
  CHECK_ERR(fcntl(fd, F_SETLKW, &second), EDEADLK);
  first.l_type = F_UNLCK;
  OK(fcntl(fd, F_SETLK, &first));
  CHECK_EXIT(pid, 0);
}

TEST(ofd_locks_belong_to_the_open_file) {
  put_file("f", "x");
  int a = OK(open("f", O_RDWR)), b = OK(open("f", O_RDWR));
  struct flock lock = {.l_type = F_WRLCK};
  OK(fcntl(a, F_OFD_SETLK, &lock));
  CHECK_ERR(fcntl(b, F_OFD_SETLK, &lock), EAGAIN);
  OK(fcntl(OK(dup(a)), F_OFD_SETLK, &lock));
  OK(fcntl(b, F_OFD_GETLK, &lock));
  CHECK_EQ(lock.l_pid, -1);
}

TEST(flock_locks) {
  put_file("f", "x");
  int a = OK(open("f", O_RDWR)), b = OK(open("f", O_RDWR));
  OK(flock(a, LOCK_SH));
  OK(flock(b, LOCK_SH | LOCK_NB));
  CHECK_ERR(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
  OK(flock(b, LOCK_UN));
  OK(flock(a, LOCK_EX));
  CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EAGAIN);
  close(a);
  OK(flock(b, LOCK_EX | LOCK_NB));
  CHECK_ERR(flock(b, 77), EINVAL);
}

TEST(fallocate_modes) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  OK(fallocate(fd, 0, 0, 10000));
  CHECK_EQ(size_of(fd), 10000);
  OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
  CHECK_EQ(size_of(fd), 10000);
  CHECK_EQ(pwrite(fd, "data", 4, 4096), 4);
  OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096));
  char text[4];
  CHECK_EQ(pread(fd, text, 4, 4096), 4);
  CHECK(memcmp(text, "\0\0\0\0", 4) == 0);
  CHECK_ERR(fallocate(fd, 0, -1, 10), EINVAL);
  CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
  OK(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
}

TEST(sendfile_and_copy_file_range) {
  put_file("in", "copy this text");
  int in = OK(open("in", O_RDONLY)), out = OK(open("out", O_RDWR | O_CREAT, 0644));
  off_t offset = 5;
  CHECK_EQ(sendfile(out, in, &offset, 4), 4);
  CHECK_EQ(offset, 9);
  CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
  CHECK_STR(get_file("out"), "this");
  CHECK_EQ(sendfile(out, in, NULL, 100), 14);
  CHECK_STR(get_file("out"), "thiscopy this text");
  loff_t from = 0, to = 0;
  CHECK_EQ(copy_file_range(in, &from, out, &to, 4, 0), 4);
  CHECK_STR(get_file("out"), "copycopy this text");
  int fds[2];
  OK(pipe(fds));
  offset = 0;
  CHECK_EQ(sendfile(fds[1], in, &offset, 4), 4);
  char text[5] = "";
  CHECK_EQ(read(fds[0], text, 4), 4);
  CHECK_STR(text, "copy");
}

TEST(device_files) {
  char buffer[64];
  int null = OK(open("/dev/null", O_RDWR)), zero = OK(open("/dev/zero", O_RDWR));
  CHECK_EQ(read(null, buffer, 64), 0);
  CHECK_EQ(write(null, buffer, 64), 64);
  memset(buffer, 1, 64);
  CHECK_EQ(read(zero, buffer, 64), 64);
  CHECK_EQ(buffer[63], 0);
  int full = OK(open("/dev/full", O_RDWR));
  CHECK_ERR(write(full, "x", 1), ENOSPC);
  int random = OK(open("/dev/urandom", O_RDONLY));
  CHECK_EQ(read(random, buffer, 64), 64);
  struct stat st;
  OK(stat("/dev/null", &st));
  CHECK(S_ISCHR(st.st_mode));
  CHECK_EQ(st.st_rdev, 0x103);
}

TEST(fsync_calls) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  OK(fsync(fd));
  OK(fdatasync(fd));
  OK(syncfs(fd));
  sync();
  int fds[2];
  OK(pipe(fds));
  CHECK_ERR(fsync(fds[0]), EINVAL);
}

TEST(large_transfers) {
  size_t size = 9 << 20;
  char *data = malloc(size), *back = malloc(size);
  for (size_t i = 0; i < size; i++) data[i] = i * 2654435761U >> 13;
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  CHECK_EQ(write(fd, data, size), size);
  CHECK_EQ(pread(fd, back, size, 0), size);
  CHECK(memcmp(data, back, size) == 0);
  CHECK_EQ(size_of(fd), size);
}

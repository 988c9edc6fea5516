// SPDX-License-Identifier: Apache-2.0
// splice(2), vmsplice(2), sendfile(2), copy_file_range(2): which files take part, how much one call
// moves, and when it waits.
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "check.h"

static void nothing(__attribute__((unused)) int signal) {}

static void interrupt_after(int ms) {
  struct sigaction action = {.sa_handler = nothing};
  OK(sigaction(SIGALRM, &action, NULL));
  struct itimerval timer = {.it_value = {ms / 1000, (ms % 1000) * 1000}};
  OK(setitimer(ITIMER_REAL, &timer, NULL));
}

static void refuses_splice_into(int fd) {
  int ends[2];
  OK(pipe(ends));
  interrupt_after(2000);
  CHECK_ERR(splice(ends[0], NULL, fd, NULL, 1, 0), EINVAL);
  OK(write(ends[1], "x", 1));
  CHECK_ERR(splice(ends[0], NULL, fd, NULL, 1, 0), EINVAL);
  int source = OK(open("source", O_RDWR | O_CREAT, 0600));
  OK(write(source, "12345678", 8));
  lseek(source, 0, SEEK_SET);
  CHECK_ERR(sendfile(fd, source, NULL, 8), EINVAL);
  close(source);
}

TEST(splice_into_what_takes_none) {
  sigset_t none;
  sigemptyset(&none);
  refuses_splice_into(OK(epoll_create1(0)));
  refuses_splice_into(OK(eventfd(0, 0)));
  refuses_splice_into(OK(timerfd_create(CLOCK_MONOTONIC, 0)));
  refuses_splice_into(OK(signalfd(-1, &none, 0)));
  refuses_splice_into(OK(open("/dev/full", O_WRONLY)));
  refuses_splice_into(OK(open("/proc/self/comm", O_WRONLY)));
  refuses_splice_into(OK(open("appended", O_WRONLY | O_CREAT | O_APPEND, 0600)));
}

static void refuses_splice_from(int fd) {
  int ends[2];
  OK(pipe(ends));
  interrupt_after(2000);
  CHECK_ERR(splice(fd, NULL, ends[1], NULL, 1, 0), EINVAL);
  CHECK_ERR(sendfile(ends[1], fd, NULL, 1), EINVAL);
}

TEST(splice_from_what_gives_none) {
  refuses_splice_from(OK(eventfd(1, 0)));
  refuses_splice_from(OK(open("/", O_RDONLY)));
  refuses_splice_from(OK(open("/dev/null", O_RDONLY)));
  refuses_splice_from(OK(open("/proc/self/status", O_RDONLY)));
  refuses_splice_from(OK(open("/proc/net/tcp", O_RDONLY)));
  char bytes[4];
  int ends[2], zero = OK(open("/dev/zero", O_RDONLY)),
               meminfo = OK(open("/proc/meminfo", O_RDONLY));
  OK(pipe(ends));
  CHECK_EQ(sendfile(ends[1], zero, NULL, 4), 4);
  CHECK_EQ(read(ends[0], bytes, 4), 4);
  CHECK_EQ(splice(meminfo, NULL, ends[1], NULL, 3, 0), 3);
  CHECK_EQ(read(ends[0], bytes, 4), 3);
  CHECK(memcmp(bytes, "Mem", 3) == 0);
}

TEST(sendfile_of_streams_goes_to_pipes_only) {
  int pair[2], ends[2], out = OK(open("out", O_RDWR | O_CREAT, 0600));
  char bytes[8];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  OK(pipe(ends));
  OK(write(pair[1], "stream", 6));
  CHECK_ERR(sendfile(out, pair[0], NULL, 6), EINVAL);
  off_t position = 0;
  CHECK_ERR(sendfile(ends[1], pair[0], &position, 6), ESPIPE);
  CHECK_EQ(sendfile(ends[1], pair[0], NULL, 6), 6);
  CHECK_EQ(read(ends[0], bytes, 8), 6);
}

TEST(vmsplice_takes_what_fits) {
  int ends[2];
  OK(pipe(ends));
  char *bytes = mmap(NULL, 131072, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct iovec all = {bytes, 131072}, one = {bytes, 1};
  interrupt_after(2000);
  CHECK_EQ(vmsplice(ends[1], &all, 1, 0), 65536);
  CHECK_ERR(vmsplice(ends[1], &one, 1, SPLICE_F_NONBLOCK), EAGAIN);
  // The file's own flag does not count.
  OK(fcntl(ends[1], F_SETFL, O_NONBLOCK));
  interrupt_after(100);
  CHECK_ERR(vmsplice(ends[1], &one, 1, 0), EINTR);
  CHECK_EQ(vmsplice(ends[0], &all, 1, 0), 65536);
  CHECK_ERR(vmsplice(ends[0], &one, 1, SPLICE_F_NONBLOCK), EAGAIN);
  interrupt_after(0);
  close(ends[1]);
  CHECK_EQ(vmsplice(ends[0], &one, 1, 0), 0);
}

#define MANY (40L << 20)

static int sparse_file(const char *name, long bytes) {
  int fd = OK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0600));
  OK(ftruncate(fd, bytes));
  OK(pwrite(fd, "begin", 5, 0));
  OK(pwrite(fd, "end", 3, bytes - 3));
  return fd;
}

static void has_end(int fd, long bytes) {
  char end[3];
  struct stat st;
  OK(fstat(fd, &st));
  CHECK_EQ(st.st_size, bytes);
  CHECK_EQ(pread(fd, end, 3, bytes - 3), 3);
  CHECK(memcmp(end, "end", 3) == 0);
}

TEST(sendfile_sends_all) {
  int from = sparse_file("from", MANY), to = OK(open("to", O_RDWR | O_CREAT, 0600));
  CHECK_EQ(sendfile(to, from, NULL, MANY * 2), MANY);
  CHECK_EQ(lseek(from, 0, SEEK_CUR), MANY);
  CHECK_EQ(lseek(to, 0, SEEK_CUR), MANY);
  has_end(to, MANY);
  CHECK_EQ(sendfile(to, from, NULL, 10), 0);
}

TEST(sendfile_sends_all_to_a_slow_reader) {
  int ends[2], from = sparse_file("from", MANY);
  OK(pipe(ends));
  pid_t pid = OK(fork());
  if (pid == 0) {
    static char buffer[65536];
    long total = 0, n;
    close(ends[1]);
    while ((n = read(ends[0], buffer, sizeof buffer)) > 0) total += n;
    _exit(total == MANY ? 0 : 1);
  }
  CHECK_EQ(sendfile(ends[1], from, NULL, MANY) > 0, 1);
  off_t sent = lseek(from, 0, SEEK_CUR);
  while (sent < MANY) sent += OK(sendfile(ends[1], from, NULL, MANY - sent));
  close(ends[1]);
  CHECK_EXIT(pid, 0);
}

TEST(copy_file_range_copies_all) {
  int from = sparse_file("from", MANY), to = OK(open("to", O_RDWR | O_CREAT, 0600));
  loff_t in = 0, out = 4096;
  CHECK_EQ(copy_file_range(from, &in, to, &out, MANY * 4, 0), MANY);
  CHECK_EQ(in, MANY);
  CHECK_EQ(out, MANY + 4096);
  has_end(to, MANY + 4096);
  // What lies past the end does not overlap.
  in = MANY - 10, out = MANY;
  CHECK_EQ(copy_file_range(from, &in, from, &out, 4096, 0), 10);
  in = 0, out = 5;
  CHECK_ERR(copy_file_range(from, &in, from, &out, 10, 0), EINVAL);
}

TEST(copies_heed_the_size_limit) {
  int from = sparse_file("from", 8192), to = OK(open("to", O_RDWR | O_CREAT, 0600));
  struct rlimit limit = {6000, 6000};
  OK(setrlimit(RLIMIT_FSIZE, &limit));
  signal(SIGXFSZ, SIG_DFL);
  loff_t in = 0, out = 0;
  CHECK_EQ(copy_file_range(from, &in, to, &out, 8192, 0), 6000);
  signal(SIGXFSZ, SIG_IGN);
  CHECK_ERR(copy_file_range(from, &in, to, &out, 10, 0), EFBIG);
}

static int epoll_takes(const char *path) {
  int epoll = OK(epoll_create1(0)), fd = OK(open(path, O_RDONLY));
  struct epoll_event event = {.events = EPOLLIN}, got;
  errno = 0;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    CHECK_EQ(errno, EPERM);
    return 0;
  }
  CHECK_EQ(epoll_wait(epoll, &got, 1, 1000), 1);
  return 1;
}

TEST(which_files_epoll_takes) {
  CHECK_EQ(epoll_takes("/"), 0);
  CHECK_EQ(epoll_takes("/etc/passwd"), 0);
  CHECK_EQ(epoll_takes("/dev/null"), 0);
  CHECK_EQ(epoll_takes("/dev/zero"), 0);
  CHECK_EQ(epoll_takes("/dev/full"), 0);
  CHECK_EQ(epoll_takes("/dev/urandom"), 0);
  CHECK_EQ(epoll_takes("/dev/random"), 1);
  CHECK_EQ(epoll_takes("/proc/mounts"), 1);
  CHECK_EQ(epoll_takes("/proc/self/mountinfo"), 1);
  CHECK_EQ(epoll_takes("/proc/self/status"), 0);
  CHECK_EQ(epoll_takes("/proc/self/ns/net"), 0);
  CHECK_EQ(epoll_takes("/proc/meminfo"), 1);
  CHECK_EQ(epoll_takes("/proc/sys/kernel/osrelease"), 1);
  CHECK_EQ(epoll_takes("/sys/devices/system/cpu/online"), 1);
  int epoll = OK(epoll_create1(0));
  struct epoll_event event = {.events = EPOLLIN};
  CHECK_ERR(epoll_ctl(epoll, EPOLL_CTL_ADD, OK(memfd_create("m", 0)), &event), EPERM);
}

TEST(mounts_tell_of_changes) {
  if (geteuid() != 0) SKIP("needs root");
  // A sandbox has mounts of its own, and no more namespaces of them.
  if (unshare(CLONE_NEWNS) == 0) OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  struct pollfd mounts[2] = {{.fd = OK(open("/proc/self/mounts", O_RDONLY)), .events = POLLPRI},
                             {.fd = OK(open("/proc/self/mountinfo", O_RDONLY)), .events = POLLPRI}};
  CHECK_EQ(poll(mounts, 2, 0), 0);
  OK(mkdir("point", 0700));
  OK(mount("none", "point", "tmpfs", 0, NULL));
  CHECK_EQ(poll(mounts, 2, 1000), 2);
  CHECK_EQ(mounts[0].revents, POLLPRI | POLLERR);
  CHECK_EQ(mounts[1].revents, POLLPRI | POLLERR);
  CHECK_EQ(poll(mounts, 2, 0), 0);
  pid_t pid = OK(fork());
  if (pid == 0) {
    sleep_ms(100);
    _exit(umount("point") == 0 ? 0 : 1);
  }
  CHECK_EQ(poll(mounts, 1, 20000), 1);
  CHECK_EXIT(pid, 0);
}

// Everything in the pipe goes out before the call returns, and SPLICE_F_NONBLOCK is about the pipe only.
TEST(splice_from_a_pipe_to_a_slow_socket) {
  static char bytes[300000];
  for (int flags = 0; flags <= SPLICE_F_NONBLOCK; flags += SPLICE_F_NONBLOCK) {
    int ends[2], pair[2], size = 4608;
    OK(pipe(ends));
    OK(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20));
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    CHECK_EQ(write(ends[1], bytes, sizeof bytes), (long)sizeof bytes);
    pid_t pid = OK(fork());
    if (pid == 0) {
      long total = 0, count;
      close(pair[0]);
      while ((count = read(pair[1], bytes, 5000)) > 0) total += count;
      CHECK_EQ(total, (long)sizeof bytes);
      _exit(0);
    }
    CHECK_EQ(splice(ends[0], NULL, pair[0], NULL, 1 << 20, flags), (long)sizeof bytes);
    // Nothing is there any more: now the pipe decides.
    if (flags != 0) CHECK_ERR(splice(ends[0], NULL, pair[0], NULL, 1, flags), EAGAIN);
    close(pair[0]);
    CHECK_EXIT(pid, 0);
    close(pair[1]);
    close(ends[0]);
    close(ends[1]);
  }
}

// A socket that may not wait takes a part; the rest stays in the pipe.
TEST(splice_into_a_full_nonblocking_socket) {
  static char bytes[300000];
  int ends[2], pair[2], size = 4608;
  OK(pipe(ends));
  OK(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20));
  OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
  OK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
  CHECK_EQ(write(ends[1], bytes, sizeof bytes), (long)sizeof bytes);
  long sent = OK(splice(ends[0], NULL, pair[0], NULL, 1 << 20, 0)), left = 0, count;
  CHECK(sent < (long)sizeof bytes);
  CHECK_ERR(splice(ends[0], NULL, pair[0], NULL, 1 << 20, 0), EAGAIN);
  OK(fcntl(ends[0], F_SETFL, O_NONBLOCK));
  while ((count = read(ends[0], bytes, sizeof bytes)) > 0) left += count;
  CHECK_EQ(sent + left, (long)sizeof bytes);
}

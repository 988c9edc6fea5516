// SPDX-License-Identifier: Apache-2.0
// pipe(2), poll(2), select(2), splice(2), tee(2), vmsplice(2).
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "check.h"

TEST(data_in_order) {
  int fds[2];
  OK(pipe(fds));
  CHECK_EQ(write(fds[1], "abc", 3), 3);
  CHECK_EQ(write(fds[1], "def", 3), 3);
  char text[16] = "";
  CHECK_EQ(read(fds[0], text, 4), 4);
  CHECK_EQ(read(fds[0], text + 4, 10), 2);
  CHECK_STR(text, "abcdef");
  CHECK_ERR(read(fds[1], text, 1), EBADF);
  CHECK_ERR(write(fds[0], text, 1), EBADF);
}

TEST(end_of_file_and_epipe) {
  int fds[2];
  OK(pipe(fds));
  CHECK_EQ(write(fds[1], "x", 1), 1);
  close(fds[1]);
  char c;
  CHECK_EQ(read(fds[0], &c, 1), 1);
  CHECK_EQ(read(fds[0], &c, 1), 0);
  OK(pipe(fds));
  close(fds[0]);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(fds[1], "x", 1), EPIPE);
}

TEST(flags) {
  int fds[2];
  OK(pipe2(fds, O_CLOEXEC | O_NONBLOCK));
  CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
  CHECK_EQ(fcntl(fds[1], F_GETFL), O_WRONLY | O_NONBLOCK);
  char c;
  CHECK_ERR(read(fds[0], &c, 1), EAGAIN);
  CHECK_ERR(pipe2(fds, O_APPEND), EINVAL);
  struct stat st;
  OK(fstat(fds[0], &st));
  CHECK(S_ISFIFO(st.st_mode));
}

TEST(capacity) {
  int fds[2];
  OK(pipe2(fds, O_NONBLOCK));
  CHECK_EQ(fcntl(fds[1], F_GETPIPE_SZ), 65536);
  char block[4096] = "";
  int total = 0;
  for (ssize_t n; (n = write(fds[1], block, 4096)) > 0;) total += n;
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(total, 65536);
  int ready;
  OK(ioctl(fds[0], FIONREAD, &ready));
  CHECK_EQ(ready, 65536);
  CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, 131072), 131072);
  CHECK_EQ(write(fds[1], block, 4096), 4096);
  CHECK_ERR(fcntl(fds[1], F_SETPIPE_SZ, 4096), EBUSY);
}

TEST(small_writes_are_atomic) {
  int fds[2];
  OK(pipe(fds));
  for (int i = 0; i < 4; i++) {
    if (OK(fork()) == 0) {
      char line[512];
      memset(line, 'a' + i, sizeof line);
      for (int n = 0; n < 100; n++) CHECK_EQ(write(fds[1], line, sizeof line), sizeof line);
      _exit(0);
    }
  }
  close(fds[1]);
  FILE *in = fdopen(fds[0], "r");
  char line[512];
  int lines = 0;
  while (fread(line, sizeof line, 1, in) == 1) {
    for (unsigned i = 1; i < sizeof line; i++) CHECK_EQ(line[i], line[0]);
    lines++;
  }
  CHECK_EQ(lines, 400);
}

TEST(large_writes_block_until_read) {
  int fds[2];
  OK(pipe(fds));
  size_t size = 1 << 20;
  pid_t pid = OK(fork());
  if (pid == 0) {
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++) data[i] = i % 251;
    CHECK_EQ(write(fds[1], data, size), size);
    _exit(0);
  }
  close(fds[1]);
  size_t total = 0;
  char block[10000];
  for (ssize_t n; (n = OK(read(fds[0], block, sizeof block))) > 0; total += n) {
    for (ssize_t i = 0; i < n; i++) CHECK_EQ((unsigned char)block[i], (total + i) % 251);
  }
  CHECK_EQ(total, size);
  CHECK_EXIT(pid, 0);
}

TEST(interrupted_large_write_is_short) {
  int fds[2];
  OK(pipe(fds));
  void nothing(int signal) { (void)signal; }
  struct sigaction action = {.sa_handler = nothing};
  OK(sigaction(SIGUSR1, &action, NULL));
  pid_t parent = getpid();
  if (OK(fork()) == 0) {
    until_asleep(parent);
    kill(parent, SIGUSR1);
    _exit(0);
  }
  static char data[200000];
  CHECK_EQ(write(fds[1], data, sizeof data), 65536);
}

TEST(poll_events) {
  int fds[2];
  OK(pipe(fds));
  struct pollfd set[3] = {{fds[0], POLLIN, 0}, {fds[1], POLLOUT, 0}, {-1, POLLIN, 0}};
  CHECK_EQ(poll(set, 3, 0), 1);
  CHECK_EQ(set[0].revents, 0);
  CHECK_EQ(set[1].revents, POLLOUT);
  CHECK_EQ(set[2].revents, 0);
  CHECK_EQ(write(fds[1], "x", 1), 1);
  CHECK_EQ(poll(set, 2, -1), 2);
  CHECK_EQ(set[0].revents, POLLIN);
  close(fds[1]);
  set[1].fd = 99;
  CHECK_EQ(poll(set, 2, -1), 2);
  CHECK_EQ(set[0].revents, POLLIN | POLLHUP);
  CHECK_EQ(set[1].revents, POLLNVAL);
  OK(pipe(fds));
  close(fds[0]);
  set[0] = (struct pollfd){fds[1], POLLOUT, 0};
  CHECK_EQ(poll(set, 1, 0), 1);
  CHECK_EQ(set[0].revents, POLLOUT | POLLERR);
}

TEST(poll_timeout_and_wakeup) {
  int fds[2];
  OK(pipe(fds));
  struct pollfd set = {fds[0], POLLIN, 0};
  long long start = now_ns();
  CHECK_EQ(poll(&set, 1, 30), 0);
  CHECK(now_ns() - start >= 30000000);
  if (OK(fork()) == 0) {
    sleep_ms(30);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    _exit(0);
  }
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK_EQ(poll(NULL, 0, 5), 0);
  struct pollfd file = {OK(open("/dev/null", O_RDWR)), POLLIN | POLLOUT, 0};
  CHECK_EQ(poll(&file, 1, 0), 1);
  CHECK_EQ(file.revents, POLLIN | POLLOUT);
}

TEST(ppoll_swaps_the_mask) {
  sigset_t mask, empty;
  sigemptyset(&empty);
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  OK(sigprocmask(SIG_BLOCK, &mask, NULL));
  static volatile int got;
  void note(int signal) { got = signal; }
  struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
  OK(sigaction(SIGUSR1, &action, NULL));
  OK(raise(SIGUSR1));
  struct timespec t = {5, 0};
  CHECK_ERR(ppoll(NULL, 0, &t, &empty), EINTR);
  CHECK_EQ(got, SIGUSR1);
}

TEST(select_sets) {
  int fds[2];
  OK(pipe(fds));
  fd_set in, out;
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_SET(fds[0], &in);
  FD_SET(fds[1], &out);
  struct timeval zero = {0, 0};
  CHECK_EQ(select(fds[1] + 1, &in, &out, NULL, &zero), 1);
  CHECK(!FD_ISSET(fds[0], &in) && FD_ISSET(fds[1], &out));
  CHECK_EQ(write(fds[1], "x", 1), 1);
  FD_SET(fds[0], &in);
  CHECK_EQ(select(fds[1] + 1, &in, NULL, NULL, NULL), 1);
  CHECK(FD_ISSET(fds[0], &in));
  FD_ZERO(&in);
  /*
   * Below 64: Linux looks at no descriptor above the size of the process's table, which a parent
   * with many open ones made larger.
   */
  FD_SET(61, &in);
  CHECK_ERR(select(62, &in, NULL, NULL, &zero), EBADF);
  CHECK_ERR(select(-1, NULL, NULL, NULL, &zero), EINVAL);
  struct timeval t = {0, 20000};
  CHECK_EQ(select(0, NULL, NULL, NULL, &t), 0);
  CHECK_EQ(t.tv_usec, 0);
}

TEST(splice_and_tee) {
  put_file("f", "some file text");
  int file = OK(open("f", O_RDONLY)), a[2], b[2];
  OK(pipe(a));
  OK(pipe(b));
  loff_t offset = 5;
  CHECK_EQ(splice(file, &offset, a[1], NULL, 4, 0), 4);
  CHECK_EQ(offset, 9);
  CHECK_EQ(tee(a[0], b[1], 10, 0), 4);
  char text[16] = "";
  CHECK_EQ(read(a[0], text, 15), 4);
  CHECK_STR(text, "file");
  int out = OK(open("out", O_RDWR | O_CREAT, 0644));
  CHECK_EQ(splice(b[0], NULL, out, NULL, 10, 0), 4);
  CHECK_STR(get_file("out"), "file");
  struct iovec vec = {"from memory", 11};
  CHECK_EQ(vmsplice(a[1], &vec, 1, 0), 11);
  CHECK_EQ(read(a[0], text, 15), 11);
  CHECK_ERR(splice(file, NULL, out, NULL, 10, 0), EINVAL);
}

static void *write_later(void *arg) {
  sleep_ms(20);
  CHECK_EQ(write(*(int *)arg, "t", 1), 1);
  return NULL;
}

TEST(reader_and_writer_threads) {
  int fds[2];
  OK(pipe(fds));
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, write_later, &fds[1]), 0);
  char c;
  CHECK_EQ(read(fds[0], &c, 1), 1);
  pthread_join(thread, NULL);
}

TEST(ping_pong) {
  int a[2], b[2];
  OK(pipe(a));
  OK(pipe(b));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char c;
    close(a[1]);
    while (read(a[0], &c, 1) == 1) CHECK_EQ(write(b[1], &c, 1), 1);
    _exit(0);
  }
  for (int i = 0; i < 1000; i++) {
    char c = i, back;
    CHECK_EQ(write(a[1], &c, 1), 1);
    CHECK_EQ(read(b[0], &back, 1), 1);
    CHECK_EQ(back, c);
  }
  close(a[1]);
  CHECK_EXIT(pid, 0);
}

TEST(reopen_through_proc) {
  int fds[2];
  OK(pipe(fds));
  char path[64], link[64], want[64];
  sprintf(path, "/proc/self/fd/%d", fds[0]);
  struct stat st;
  OK(fstat(fds[0], &st));
  ssize_t n = OK(readlink(path, link, 63));
  link[n] = 0;
  sprintf(want, "pipe:[%lu]", st.st_ino);
  CHECK_STR(link, want);
  int again = OK(open(path, O_WRONLY));
  CHECK_EQ(write(again, "x", 1), 1);
  char c;
  CHECK_EQ(read(fds[0], &c, 1), 1);
}

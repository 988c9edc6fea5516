// SPDX-License-Identifier: Apache-2.0
// Micro-benchmarks: one line `NAME NANOSECONDS` each, the median of a few rounds. Runs natively, under
// runsc and under runts; bench/run.ts puts the figures side by side. `micro NAME...` runs only those,
// `micro --short` each for a moment only, to see that it works.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
// How long one round should take.
static double round_ns = 20000000.0;

static char buffer[65536];
static int file, pipe_a[2], pipe_b[2];
static const char *self;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void must(int good, const char *what) {
  if (good) return;
  fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void do_getpid(void) { syscall(SYS_getpid); }
static void do_getppid(void) { syscall(SYS_getppid); }

static void do_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
}

static void do_stat(void) {
  struct stat st;
  must(stat("/etc/passwd", &st) == 0, "stat");
}

static void do_open_close(void) {
  int fd = open("/etc/passwd", O_RDONLY);
  must(fd >= 0, "open");
  close(fd);
}

static void do_pread_1(void) { must(pread(file, buffer, 1, 0) == 1, "pread"); }
static void do_pread_4k(void) { must(pread(file, buffer, 4096, 0) == 4096, "pread"); }
static void do_pread_64k(void) { must(pread(file, buffer, 65536, 0) == 65536, "pread"); }
static void do_pwrite_1(void) { must(pwrite(file, buffer, 1, 0) == 1, "pwrite"); }
static void do_pwrite_4k(void) { must(pwrite(file, buffer, 4096, 0) == 4096, "pwrite"); }
static void do_pwrite_64k(void) { must(pwrite(file, buffer, 65536, 0) == 65536, "pwrite"); }

static void do_pipe(void) {
  must(write(pipe_a[1], buffer, 1) == 1, "write");
  must(read(pipe_a[0], buffer, 1) == 1, "read");
}

static void do_ping_pong(void) {
  must(write(pipe_a[1], buffer, 1) == 1, "write");
  must(read(pipe_b[0], buffer, 1) == 1, "read");
}

static void map_and_touch(size_t size) {
  char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(at != MAP_FAILED, "mmap");
  for (size_t i = 0; i < size; i += 4096) ((volatile char *)at)[i] = 1;
  munmap(at, size);
}

static void do_mmap(void) { map_and_touch(4096); }

static void do_mmap_64k(void) { map_and_touch(65536); }

static void do_fork(void) {
  pid_t pid = fork();
  must(pid >= 0, "fork");
  if (pid == 0) _exit(0);
  waitpid(pid, NULL, 0);
}

static void do_exec(void) {
  pid_t pid = fork();
  must(pid >= 0, "fork");
  if (pid == 0) {
    execl(self, self, "--nothing", (char *)NULL);
    _exit(1);
  }
  int status;
  waitpid(pid, &status, 0);
  must(status == 0, "exec");
}

static void *nothing(void *arg) { return arg; }

static void do_thread(void) {
  pthread_t thread;
  must(pthread_create(&thread, NULL, nothing, NULL) == 0, "pthread_create");
  pthread_join(thread, NULL);
}

// Futex ping-pong: the word says whose turn it is.
static unsigned turn;
static volatile int futex_stop;

static void pass_turn(unsigned from, unsigned to) {
  while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != from && !futex_stop) {
    syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, to, NULL, NULL, 0);
  }
  __atomic_store_n(&turn, to, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *futex_peer(void *arg) {
  while (!futex_stop) pass_turn(1, 0);
  return arg;
}

static void do_futex(void) { pass_turn(0, 1); }

static pthread_t peer;
static pid_t echo;

static void start_futex(void) { pthread_create(&peer, NULL, futex_peer, NULL); }

static void stop_futex(void) {
  futex_stop = 1;
  __atomic_store_n(&turn, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0);
  pthread_join(peer, NULL);
}

static void start_echo(void) {
  must(pipe(pipe_a) == 0 && pipe(pipe_b) == 0, "pipe");
  echo = fork();
  if (echo == 0) {
    char c;
    close(pipe_a[1]);
    while (read(pipe_a[0], &c, 1) == 1) must(write(pipe_b[1], &c, 1) == 1, "write");
    _exit(0);
  }
}

static void stop_echo(void) {
  close(pipe_a[1]);
  waitpid(echo, NULL, 0);
}

static void start_pipe(void) { must(pipe(pipe_a) == 0, "pipe"); }

struct benchmark {
  const char *name;
  void (*run)(void), (*start)(void), (*stop)(void);
};

static const struct benchmark benchmarks[] = {
    {"getpid", do_getpid, 0, 0},
    {"getppid", do_getppid, 0, 0},
    {"clock_gettime", do_clock, 0, 0},
    {"stat", do_stat, 0, 0},
    {"open+close", do_open_close, 0, 0},
    {"pread 1 B", do_pread_1, 0, 0},
    {"pread 4 KiB", do_pread_4k, 0, 0},
    {"pread 64 KiB", do_pread_64k, 0, 0},
    {"pwrite 1 B", do_pwrite_1, 0, 0},
    {"pwrite 4 KiB", do_pwrite_4k, 0, 0},
    {"pwrite 64 KiB", do_pwrite_64k, 0, 0},
    {"pipe write+read", do_pipe, start_pipe, 0},
    {"pipe ping-pong", do_ping_pong, start_echo, stop_echo},
    {"futex ping-pong", do_futex, start_futex, stop_futex},
    {"mmap+touch+munmap", do_mmap, 0, 0},
    {"mmap+touch+munmap 64 KiB", do_mmap_64k, 0, 0},
    {"thread create+join", do_thread, 0, 0},
    {"fork+exit+wait", do_fork, 0, 0},
    {"fork+exec+wait", do_exec, 0, 0},
};

static double one_round(const struct benchmark *b, long count) {
  double start = now();
  for (long i = 0; i < count; i++) b->run();
  return (now() - start) / count;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure(const struct benchmark *b) {
  if (b->start != NULL) b->start();
  // Doubles the count until a round is long enough: also warms up.
  long count = 1;
  double each = one_round(b, count);
  while (each * count < round_ns) {
    count *= 2;
    each = one_round(b, count);
  }
  // The median: the best would hide a slow stretch, and the mean is one hiccup's.
  double rounds[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) rounds[i] = one_round(b, count);
  qsort(rounds, ROUNDS, sizeof *rounds, by_value);
  if (b->stop != NULL) b->stop();
  printf("%s\t%.1f\n", b->name, rounds[ROUNDS / 2]);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--nothing") == 0) return 0;
  self = argv[0];
  if (argc > 1 && strcmp(argv[1], "--short") == 0) {
    round_ns = 1;
    argc--;
    argv++;
  }
  char path[] = "/tmp/micro-XXXXXX";
  file = mkstemp(path);
  must(file >= 0 && write(file, buffer, sizeof buffer) == (ssize_t)sizeof buffer, path);
  unlink(path);
  for (size_t i = 0; i < sizeof benchmarks / sizeof *benchmarks; i++) {
    int wanted = argc == 1;
    for (int n = 1; n < argc; n++) wanted |= strcmp(argv[n], benchmarks[i].name) == 0;
    if (wanted) measure(&benchmarks[i]);
  }
  return 0;
}

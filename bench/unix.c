// SPDX-License-Identifier: Apache-2.0
// The kinds of measurements that UnixBench makes, as programs of our own: `unix SECONDS COPIES
// [NAME...]` prints a line `NAME MICROSECONDS` for each, the time of one pass through the loop:
// elapsed time by the passes of all copies together, so that two copies on two processors halve it
// at best.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_COPIES 64

static const char *self;
// In microseconds. A test that has to prepare something puts both off.
static double began_at, end_at;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void must(int good, const char *what) {
  if (good) return;
  fprintf(stderr, "unix: %s: %s\n", what, strerror(errno));
  exit(1);
}

// Loops without system calls look at the clock once in so many passes.
#define PASSES 256

/* Integers, strings, records and calls, as Dhrystone mixes them. */
struct record {
  struct record *next;
  int kind, number;
  char text[32];
};

static int __attribute__((noinline)) compare(const char *a, const char *b, int *at) {
  int i = 0;
  while (a[i] == b[i] && a[i] != 0) i++;
  *at = i;
  return a[i] > b[i];
}

static void __attribute__((noinline)) change(struct record *r, int value) {
  struct record *other = r->next;
  *other = *r;
  r->number = value;
  other->number = r->number / 3 + other->kind;
  other->next = r;
  if (other->kind == 0) other->kind = value & 3;
}

static long integers(void) {
  static int table[50][50];
  struct record a = {.kind = 0, .text = "some program, 1st string"}, b = a;
  a.next = &b;
  volatile int sink = 0;
  long count = 0;
  for (; now() < end_at; count += PASSES) {
    for (int i = 0; i < PASSES; i++) {
      int at;
      a.next = &b;
      change(&a, i);
      a.text[20] = (char)('a' + i % 26);
      if (compare(a.text, b.text, &at)) table[at][i % 50] += a.number;
      for (int j = 0; j < 8; j++) table[i % 50][j] = table[j][i % 50] * 3 + at / (j + 1);
      sink = table[at % 50][i % 50];
    }
  }
  (void)sink;
  return count;
}

/* Arrays of doubles and the functions of libm, as Whetstone mixes them. */
static long floats(void) {
  double e[4] = {1, -1, -1, -1}, x = 0.5, y = 0.5;
  volatile double sink = 0;
  long count = 0;
  for (; now() < end_at; count += PASSES) {
    for (int i = 0; i < PASSES; i++) {
      for (int j = 0; j < 6; j++) {
        e[0] = (e[0] + e[1] + e[2] - e[3]) * 0.499975;
        e[1] = (e[0] + e[1] - e[2] + e[3]) * 0.499975;
        e[2] = (e[0] - e[1] + e[2] + e[3]) * 0.499975;
        e[3] = (-e[0] + e[1] + e[2] + e[3]) / 2.000025;
      }
      x = 0.499975 * atan(2 * sin(x) * cos(x) / (cos(x + y) + cos(x - y) - 1));
      y = sqrt(exp(log(fabs(y) + 1) / 0.50025));
      sink = x + y + e[i & 3];
    }
  }
  (void)sink;
  return count;
}

/* The program replaces itself again and again, and tells by a pipe how often. */
static void replace(long count, int fd) {
  char words[3][32];
  if (now() >= end_at) {
    must(write(fd, &count, sizeof count) == sizeof count, "write");
    _exit(0);
  }
  snprintf(words[0], 32, "%.0f", end_at);
  snprintf(words[1], 32, "%ld", count + 1);
  snprintf(words[2], 32, "%d", fd);
  execl(self, self, "--execl", words[0], words[1], words[2], (char *)NULL);
  must(0, "execl");
}

static long execs(void) {
  int ends[2];
  long count = 0;
  must(pipe(ends) == 0, "pipe");
  pid_t pid = fork();
  must(pid >= 0, "fork");
  if (pid == 0) replace(0, ends[1]);
  must(read(ends[0], &count, sizeof count) == sizeof count, "read");
  waitpid(pid, NULL, 0);
  return count;
}

static int temporary(void) {
  char path[] = "/tmp/unix-XXXXXX";
  int fd = mkstemp(path);
  must(fd >= 0, path);
  unlink(path);
  return fd;
}

/* A file of `blocks` blocks is copied over another, over and over. */
static long copied(size_t size, int blocks) {
  static char buffer[4096];
  int from = temporary(), to = temporary();
  for (int i = 0; i < blocks; i++) must(write(from, buffer, size) == (ssize_t)size, "write");
  double spent = now() - began_at;
  began_at += spent;
  end_at += spent;
  long count = 0;
  while (now() < end_at) {
    must(lseek(from, 0, SEEK_SET) == 0 && lseek(to, 0, SEEK_SET) == 0, "lseek");
    for (int i = 0; i < blocks && (i % 64 != 0 || now() < end_at); i++, count++) {
      must(read(from, buffer, size) == (ssize_t)size, "read");
      must(write(to, buffer, size) == (ssize_t)size, "write");
    }
  }
  return count;
}

static long copy_256(void) { return copied(256, 500); }
static long copy_1024(void) { return copied(1024, 2000); }
static long copy_4096(void) { return copied(4096, 2000); }

static long pipe_throughput(void) {
  static char buffer[512];
  int ends[2];
  must(pipe(ends) == 0, "pipe");
  long count = 0;
  for (; now() < end_at; count++) {
    must(write(ends[1], buffer, sizeof buffer) == sizeof buffer, "write");
    must(read(ends[0], buffer, sizeof buffer) == sizeof buffer, "read");
  }
  return count;
}

static long pipe_switching(void) {
  int there[2], back[2];
  must(pipe(there) == 0 && pipe(back) == 0, "pipe");
  pid_t pid = fork();
  must(pid >= 0, "fork");
  unsigned number = 0, answer;
  if (pid == 0) {
    close(there[1]);
    while (read(there[0], &number, sizeof number) == sizeof number)
      must(write(back[1], &number, sizeof number) == sizeof number, "write");
    _exit(0);
  }
  long count = 0;
  for (; now() < end_at; count++, number++) {
    must(write(there[1], &number, sizeof number) == sizeof number, "write");
    must(read(back[0], &answer, sizeof answer) == sizeof answer && answer == number, "read");
  }
  close(there[1]);
  waitpid(pid, NULL, 0);
  return count;
}

static long processes(void) {
  long count = 0;
  for (; now() < end_at; count++) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) _exit(0);
    must(waitpid(pid, NULL, 0) == pid, "waitpid");
  }
  return count;
}

/* What a script is made of: a loop, variables, pipelines of small programs, a file made and removed. */
static const char script[] =
    "f=${TMPDIR:-/tmp}/unix-script.$$\n"
    "i=0; while [ $i -lt 40 ]; do echo \"line $((i * 7 % 40)) of the text\"; i=$((i + 1)); done "
    ">$f\n"
    "sort -n -k 2 $f | tr a-z A-Z | grep -c '1' >$f.2\n"
    "wc -l <$f >>$f.2; od -c $f | tail -n 1 >>$f.2\n"
    "rm -f $f $f.2\n";

static long scripts(int at_once) {
  long count = 0;
  for (; now() < end_at; count++) {
    for (int i = 0; i < at_once; i++) {
      pid_t pid = fork();
      must(pid >= 0, "fork");
      if (pid == 0) {
        execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
      }
    }
    for (int i = 0; i < at_once; i++) {
      int status;
      must(waitpid(-1, &status, 0) > 0, "waitpid");
      must(status == 0, "script");
    }
  }
  return count;
}

static long scripts_1(void) { return scripts(1); }
static long scripts_8(void) { return scripts(8); }

static long calls(void) {
  int fd = temporary();
  long count = 0;
  for (; now() < end_at; count++) {
    close(dup(fd));
    syscall(SYS_getpid);
    syscall(SYS_getuid);
    umask(022);
  }
  return count;
}

struct test {
  const char *name;
  long (*run)(void);
};

static const struct test tests[] = {
    {"integers", integers},
    {"floats", floats},
    {"execl", execs},
    {"file copy 256", copy_256},
    {"file copy 1024", copy_1024},
    {"file copy 4096", copy_4096},
    {"pipe throughput", pipe_throughput},
    {"pipe switching", pipe_switching},
    {"process creation", processes},
    {"shell script", scripts_1},
    {"shell scripts, 8 at once", scripts_8},
    {"five calls", calls},
};

/* A copy begins when its byte has come, and measures its own time. */
static void measure(const struct test *test, double seconds, int copies) {
  int results[2], gate[2];
  must(pipe(results) == 0 && pipe(gate) == 0, "pipe");
  pid_t pids[MOST_COPIES];
  for (int i = 0; i < copies; i++) {
    pids[i] = fork();
    must(pids[i] >= 0, "fork");
    if (pids[i] > 0) continue;
    char byte;
    must(read(gate[0], &byte, 1) == 1, "gate");
    began_at = now();
    end_at = began_at + seconds * 1e6;
    struct {
      long count;
      double spent;
    } result = {.count = test->run()};
    result.spent = now() - began_at;
    must(write(results[1], &result, sizeof result) == sizeof result, "result");
    _exit(0);
  }
  for (int i = 0; i < copies; i++) must(write(gate[1], "", 1) == 1, "gate");
  close(results[1]);
  double rate = 0;
  for (int i = 0; i < copies; i++) {
    struct {
      long count;
      double spent;
    } result;
    must(read(results[0], &result, sizeof result) == sizeof result, test->name);
    rate += result.count / result.spent;
  }
  for (int i = 0; i < copies; i++) waitpid(pids[i], NULL, 0);
  close(results[0]);
  close(gate[0]);
  close(gate[1]);
  printf("%s\t%.4f\n", test->name, 1 / rate);
  fflush(stdout);
}

int main(int argc, char **argv) {
  self = argv[0];
  if (argc == 5 && strcmp(argv[1], "--execl") == 0) {
    end_at = atof(argv[2]);
    replace(atol(argv[3]), atoi(argv[4]));
  }
  double seconds = argc > 1 ? atof(argv[1]) : 1;
  int copies = argc > 2 ? atoi(argv[2]) : 1;
  must(copies > 0 && copies <= MOST_COPIES, "COPIES");
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    int wanted = argc <= 3;
    for (int n = 3; n < argc; n++) wanted |= strcmp(argv[n], tests[i].name) == 0;
    if (wanted) measure(&tests[i], seconds, copies);
  }
  return 0;
}

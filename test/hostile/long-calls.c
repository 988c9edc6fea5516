// SPDX-License-Identifier: Apache-2.0
// Calls with the most work that one call can be given. Each is to do it whole, as Linux does, and
// none may keep the Sentry from others for long: the test that runs this file reads how long from
// the Sentry's own account (RUNTS_TURNS=1).
#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/time.h>

#include "hostile.h"

#define VECTOR 1024
#define MOST 0x7ffff000L  // MAX_RW_COUNT

static struct iovec vector[VECTOR];
static char *area;

// 2 GiB, which is 1024 times the same 2 MiB.
static void fill_vector(size_t each) {
  area = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(area != MAP_FAILED);
  memset(area, 1, 2 << 20);
  for (int i = 0; i < VECTOR; i++) vector[i] = (struct iovec){area, each};
}

TEST(read_of_zeros) {
  fill_vector(2 << 20);
  CHECK_EQ(readv(OK(open("/dev/zero", O_RDONLY)), vector, VECTOR), MOST);
}

TEST(read_of_random_bytes) {
  fill_vector(128 << 10);
  CHECK_EQ(readv(OK(open("/dev/urandom", O_RDONLY)), vector, VECTOR), 128L << 20);
  CHECK_EQ(syscall(SYS_getrandom, area, 2 << 20, 0), 2 << 20);
}

TEST(copy_between_processes) {
  fill_vector(2 << 20);
  CHECK_EQ(process_vm_readv(getpid(), vector, VECTOR, vector, VECTOR, 0), MOST);
  CHECK_EQ(process_vm_writev(getpid(), vector, VECTOR, vector, VECTOR, 0), MOST);
}

TEST(files) {
  fill_vector(2 << 20);
  int sparse = OK(open("sparse", O_RDWR | O_CREAT | O_TRUNC, 0600));
  OK(ftruncate(sparse, 1L << 40));
  CHECK_EQ(readv(sparse, vector, VECTOR), MOST);
  CHECK_EQ(lseek(sparse, 0, SEEK_CUR), MOST);
  CHECK_EQ(preadv(sparse, vector, VECTOR, 4096), MOST);
  CHECK_EQ(lseek(sparse, 0, SEEK_CUR), MOST);
  CHECK_EQ(sendfile(OK(open("/dev/null", O_WRONLY)), sparse, NULL, MOST), MOST);
  CHECK_EQ(lseek(sparse, 0, SEEK_CUR), 2 * MOST);
  int copy = OK(open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600));
  off_t from = 0, to = 7;
  CHECK_EQ(syscall(SYS_copy_file_range, sparse, &from, copy, &to, 300L << 20, 0), 300L << 20);
  CHECK_EQ(from, 300L << 20);
  CHECK_EQ(to, (300L << 20) + 7);
  unlink("sparse"), unlink("copy");
}

static void *append(void *bytes) {
  int file = open("appended", O_WRONLY | O_APPEND);
  return (void *)write(file, bytes, 8 << 20);
}

// What one call writes lies together, though the calls go on in turns.
TEST(appending_calls_do_not_mix) {
  OK(close(OK(open("appended", O_RDWR | O_CREAT | O_TRUNC, 0600))));
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) {
    char *bytes = malloc(8 << 20);
    memset(bytes, 'a' + i, 8 << 20);
    pthread_create(&threads[i], NULL, append, bytes);
  }
  for (int i = 0; i < 3; i++) {
    void *count;
    pthread_join(threads[i], &count);
    CHECK_EQ((long)count, 8 << 20);
  }
  int file = OK(open("appended", O_RDONLY));
  for (int i = 0; i < 3; i++) {
    char *bytes = malloc(8 << 20);
    CHECK_EQ(read(file, bytes, 8 << 20), 8 << 20);
    for (int at = 0; at < 8 << 20; at++) CHECK_EQ(bytes[at], bytes[0]);
  }
  unlink("appended");
}

static void on_alarm(int signal) { (void)signal; }

// A signal ends a read of a device with what is there, one of a file goes on, as in Linux.
TEST(signals_and_long_reads) {
  fill_vector(2 << 20);
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval soon = {{0, 0}, {0, 20000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  long count = readv(OK(open("/dev/urandom", O_RDONLY)), vector, VECTOR);
  CHECK(count > 0 && count < MOST);
  int sparse = OK(open("sparse", O_RDWR | O_CREAT | O_TRUNC, 0600));
  OK(ftruncate(sparse, 1L << 40));
  setitimer(ITIMER_REAL, &soon, NULL);
  CHECK_EQ(readv(sparse, vector, VECTOR), MOST);
  unlink("sparse");
}

TEST(death_in_a_long_call) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    fill_vector(2 << 20);
    for (;;) readv(open("/dev/urandom", O_RDONLY), vector, VECTOR);
  }
  sleep_ms(100);
  OK(kill(pid, SIGKILL));
  CHECK_KILLED(pid, SIGKILL);
}

TEST(mincore_of_much) {
  size_t range = 1UL << 40;
  char *memory = mmap(NULL, range, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  char *answer =
      mmap(NULL, range >> 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED && answer != MAP_FAILED);
  // The answer's pages are the same 4 MiB again and again.
  int file = OK(memfd_create("answer", 0));
  OK(ftruncate(file, 4 << 20));
  for (size_t at = 0; at < range >> 12; at += 4 << 20)
    mmap(answer + at, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
  OK(mincore(memory, range, (unsigned char *)answer));
}

#define MAPPINGS 30000

static long read_all(const char *name) {
  static char text[65536];
  int file = OK(open(name, O_RDONLY));
  long lines = 0, count;
  while ((count = OK(read(file, text, sizeof text))) > 0)
    for (long i = 0; i < count; i++) lines += text[i] == '\n';
  close(file);
  return lines;
}

TEST(many_mappings) {
  char *memory =
      mmap(NULL, 1UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  for (int i = 0; i < MAPPINGS; i++) OK(mprotect(memory + 8192L * i, 4096, PROT_READ | PROT_WRITE));
  CHECK(read_all("/proc/self/maps") > 2 * MAPPINGS);
  CHECK(read_all("/proc/self/smaps") > 40L * MAPPINGS);
  CHECK(read_all("/proc/self/smaps_rollup") > 15);
  // Far behind the beginning, without what lies before having been read.
  char line[64];
  int maps = OK(open("/proc/self/maps", O_RDONLY));
  CHECK_EQ(pread(maps, line, sizeof line, 1500000), 64);
  OK(madvise(memory, 8192L * MAPPINGS, MADV_RANDOM));
  OK(madvise(memory, 8192L * MAPPINGS, MADV_DONTNEED));
  CHECK_EQ(mprotect(memory, 8192L * MAPPINGS, PROT_READ), 0);
  CHECK(read_all("/proc/self/maps") < 100);
  for (int i = 0; i < MAPPINGS; i++) OK(mprotect(memory + 8192L * i, 4096, PROT_READ | PROT_WRITE));
  pid_t pid = OK(fork());
  if (pid == 0) _exit(7);
  CHECK_EXIT(pid, 7);
  OK(munmap(memory, 1UL << 30));
}

TEST(many_arguments) {
  static char *arguments[150000];
  for (int i = 0; i < 149999; i++) arguments[i] = "x";
  char *none[] = {NULL};
  pid_t pid = OK(fork());
  if (pid == 0) {
    execve("/bin/true", arguments, none);
    _exit(1);
  }
  CHECK_EXIT(pid, 0);
}

TEST(many_files) {
  struct rlimit limit = {200000, 200000};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return;  // An ordinary user may not.
  int ends[2], count = 100000;
  OK(pipe(ends));
  for (int i = 0; i < count; i++) OK(dup(ends[0]));
  struct pollfd *asked = calloc(count, sizeof *asked);
  for (int i = 0; i < count; i++) asked[i] = (struct pollfd){ends[1] + 1 + i, POLLIN, 0};
  CHECK_EQ(poll(asked, count, 0), 0);
  CHECK_EQ(poll(asked, count, 50), 0);
  pid_t pid = OK(fork());
  if (pid == 0) {
    sleep_ms(50);
    _exit(write(ends[1], "x", 1) != 1);
  }
  CHECK_EQ(poll(asked, count, -1), count);
  for (int i = 0; i < count; i++) CHECK_EQ(asked[i].revents, POLLIN);
  CHECK_EXIT(pid, 0);
  unsigned char *set = calloc(1, 25000);
  memset(set + 8, 255, 10000);
  CHECK_EQ(syscall(SYS_select, 90000, set, NULL, NULL, NULL), 80000);
  long seen = 0;
  DIR *dir = opendir("/proc/self/fd");
  while (readdir(dir) != NULL) seen++;
  CHECK(seen > count);
  OK(syscall(SYS_close_range, ends[1] + 1, ~0U, 0));
}

// SPDX-License-Identifier: Apache-2.0
// Small arguments of system calls (paths, structures, buffers of up to a page) may take a shorter way
// between a program and its kernel (in runts: through the stub's mailbox). What memory is missing,
// not writable, shared between arguments, or changed meanwhile shows as ever.
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define OFTEN 40
#define PAGE 4096UL

/* Two pages of which the second is missing. */
static char *edge(void) {
  char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  OK(munmap(pages + PAGE, PAGE));
  return pages;
}

static int file_of(size_t bytes) {
  int file = OK(open("file", O_RDWR | O_CREAT | O_TRUNC, 0600));
  for (size_t i = 0; i < bytes; i++) {
    char byte = (char)(i * 7 + i / 256);
    CHECK_EQ(write(file, &byte, 1), 1);
  }
  return file;
}

TEST(sizes) {
  static const size_t sizes[] = {0, 1, 2, 255, 256, 257, 1000, 4095, 4096, 4097, 6000, 8192};
  static char from[16384], to[16384];
  int file = file_of(0);
  for (size_t i = 0; i < sizeof from; i++) from[i] = (char)(i * 3 + i / 100);
  for (int turn = 0; turn < OFTEN; turn++) {
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
      size_t bytes = sizes[k], at = (size_t)turn * 97 % 5000;
      CHECK_EQ(pwrite(file, from + at, bytes, turn), (long)bytes);
      memset(to, 0x55, sizeof to);
      CHECK_EQ(pread(file, to + at, bytes, turn), (long)bytes);
      CHECK_EQ(memcmp(to + at, from + at, bytes), 0);
      CHECK_EQ(to[at + bytes], 0x55);
      if (at > 0) CHECK_EQ(to[at - 1], 0x55);
      OK(lseek(file, 0, SEEK_SET));
      CHECK_EQ(write(file, from, bytes), (long)bytes);
      OK(lseek(file, 0, SEEK_SET));
      memset(to, 0, bytes);
      CHECK_EQ(read(file, to, bytes), (long)bytes);
      CHECK_EQ(memcmp(to, from, bytes), 0);
    }
  }
}

/* As much as there is memory for. */
TEST(buffers_that_end_early) {
  char *pages = edge(), *half = pages + PAGE - 100;
  int file = file_of(300), pair[2];
  OK(pipe(pair));
  for (int i = 0; i < OFTEN; i++) {
    memset(half, 0, 100);
    CHECK_EQ(pread(file, half, 300, 0), 100);
    CHECK_EQ(half[99], (char)(99 * 7));
    CHECK_ERR(pread(file, pages + PAGE, 300, 0), EFAULT);
    CHECK_EQ(pwrite(file, half, 300, 0), 100);
    CHECK_ERR(pwrite(file, pages + PAGE, 300, 0), EFAULT);
    CHECK_ERR(write(pair[1], pages + PAGE, 10), EFAULT);
    CHECK_EQ(write(pair[1], "abcdef", 6), 6);
    CHECK_ERR(read(pair[0], pages + PAGE, 6), EFAULT);
    CHECK_EQ(read(pair[0], half, 6), 6);
    CHECK_EQ(memcmp(half, "abcdef", 6), 0);
    struct stat *status = (struct stat *)(pages + PAGE - 72);
    CHECK_ERR(syscall(SYS_stat, "file", status), EFAULT);
    CHECK_ERR(syscall(SYS_fstat, file, status), EFAULT);
    CHECK_ERR(syscall(SYS_getcwd, pages + PAGE, 100), EFAULT);
  }
}

TEST(paths_at_the_end_of_memory) {
  char *pages = edge();
  file_of(1);
  struct stat status;
  for (int i = 0; i < OFTEN; i++) {
    char *path = pages + PAGE - 5;
    memcpy(path, "file", 5);
    OK(stat(path, &status));
    CHECK_EQ(status.st_size, 1L);
    close(OK(open(path, O_RDONLY)));
    OK(access(path, R_OK));
    path[4] = 'x';
    CHECK_ERR(stat(path, &status), EFAULT);
    CHECK_ERR(open(path, O_RDONLY), EFAULT);
    CHECK_ERR(access(path, R_OK), EFAULT);
    /* Over a border between pages. */
    memcpy(pages + 2 * PAGE, "x", 2);
    char *name = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(name + PAGE - 2, "file", 5);
    OK(stat(name + PAGE - 2, &status));
    memset(name, 'n', PAGE + 100);
    CHECK_ERR(stat(name, &status), ENAMETOOLONG);
    CHECK_ERR(stat(name + PAGE - 200, &status), ENAMETOOLONG);
    OK(munmap(name, 2 * PAGE));
  }
}

TEST(memory_that_may_not_be_written) {
  int file = file_of(5000);
  char *constant = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *behind = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  for (int i = 0; i < OFTEN; i++) {
    CHECK_ERR(pread(file, constant, 10, 0), EFAULT);
    CHECK_ERR(fstat(file, (struct stat *)constant), EFAULT);
    CHECK_ERR(readlink("/proc/self/exe", constant, 100), EFAULT);
    /* Pages of a file behind its end. */
    CHECK_ERR(pread(file, behind + 2 * PAGE, 10, 0), EFAULT);
    CHECK_ERR(pwrite(file, behind + 2 * PAGE, 10, 0), EFAULT);
    CHECK_EQ(pread(file, behind + 100, 50, 0), 50);
    CHECK_EQ(constant[0], 0);
  }
}

/* Path and answer in the same memory. */
TEST(arguments_that_overlap) {
  char text[512];
  OK(symlink("a-target-of-some-length", "link"));
  file_of(77);
  for (int i = 0; i < OFTEN; i++) {
    strcpy(text, "link");
    CHECK_EQ(syscall(SYS_readlink, text, text, sizeof text), 23);
    CHECK_EQ(memcmp(text, "a-target-of-some-length", 23), 0);
    strcpy(text + 40, "file");
    OK(stat(text + 40, (struct stat *)text));
    CHECK_EQ(((struct stat *)text)->st_size, 77L);
    int own = OK(open("/proc/self/mem", O_RDWR));
    char other[16] = "before", more[16] = "changed";
    CHECK_EQ(pread(own, more + 8, 7, (long)other), 7);
    CHECK_STR(more + 8, "before");
    CHECK_EQ(pwrite(own, more, 8, (long)other), 8);
    CHECK_STR(other, "changed");
    /* A piece of memory onto itself, a little further. */
    CHECK_EQ(pread(own, other + 2, 8, (long)other), 8);
    CHECK_EQ(memcmp(other, "chchanged", 9), 0);
    close(own);
  }
}

static int full[2];
static char late[64];
static void *write_late(void *unused) {
  (void)unused;
  CHECK_EQ(write(full[1], late, sizeof late), (long)sizeof late);
  return NULL;
}

/* What a call that had to wait writes is what is there when it goes on. */
TEST(buffers_that_change_while_a_call_waits) {
  static char filler[65536];
  for (int i = 0; i < 10; i++) {
    OK(pipe(full));
    CHECK_EQ(write(full[1], filler, sizeof filler), (long)sizeof filler);
    memset(late, 'a', sizeof late);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, write_late, NULL), 0);
    char state = 0;
    while (state != 'S') {
      /* The only other thread of the process. */
      DIR *tasks = opendir("/proc/self/task");
      for (struct dirent *one; (one = readdir(tasks)) != NULL;) {
        char name[300], line[64] = "";
        if (one->d_name[0] == '.' || atoi(one->d_name) == (int)getpid()) continue;
        snprintf(name, sizeof name, "/proc/self/task/%s/syscall", one->d_name);
        int file = open(name, O_RDONLY);
        if (file < 0) {
          snprintf(name, sizeof name, "/proc/self/task/%s/stat", one->d_name);
          file = OK(open(name, O_RDONLY));
          CHECK(read(file, line, sizeof line - 1) > 0);
          state = strchr(line, ')')[2];
        } else {
          state = read(file, line, 1) == 1 && line[0] == '1' ? 'S' : 0;
        }
        close(file);
      }
      closedir(tasks);
    }
    memset(late, 'b', sizeof late);
    CHECK_EQ(read(full[0], filler, sizeof filler), (long)sizeof filler);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    char got[64];
    CHECK_EQ(read(full[0], got, sizeof got), 64);
    CHECK_EQ(got[0], 'b');
    CHECK_EQ(got[63], 'b');
    close(full[0]);
    close(full[1]);
  }
}

static char *vanishing;
static atomic_int over;
static void *make_vanish(void *unused) {
  (void)unused;
  while (!atomic_load(&over)) {
    mprotect(vanishing, PAGE, PROT_NONE);
    mprotect(vanishing, PAGE, PROT_READ);
    munmap(vanishing, PAGE);
    mmap(vanishing, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  }
  return NULL;
}

/* Memory that comes and goes: an error, or what there is, and nothing else. */
TEST(memory_that_vanishes) {
  int file = file_of(PAGE);
  vanishing = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, make_vanish, NULL), 0);
  for (int i = 0; i < 3000; i++) {
    ssize_t got = pread(file, vanishing, PAGE, 0);
    CHECK(got > 0 || (got < 0 && errno == EFAULT));
    got = pwrite(file, vanishing, 64, 0);
    CHECK(got > 0 || (got < 0 && errno == EFAULT));
    int result = fstat(file, (struct stat *)vanishing);
    CHECK(result == 0 || errno == EFAULT);
    result = access(vanishing, R_OK);
    CHECK(result == 0 || errno == EFAULT || errno == ENOENT || errno == ENOTDIR ||
          errno == ENAMETOOLONG);
  }
  atomic_store(&over, 1);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

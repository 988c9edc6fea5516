/* SPDX-License-Identifier: Apache-2.0 */
// A small test frame for guest programs. Each TEST runs in a child of its own, in a fresh directory
// below /tmp, and has CHECK_SECONDS, more than any needs on a machine with much else to do. Output
// is TAP: `ok 1 - name`, `not ok 2 - name`, with `# file:line:` lines before for what went wrong.
// `prog` runs all cases, `prog --after NAME` those that come after one (to go on where a sandbox
// broke), `prog NAME` runs one without a child (for strace), `prog @NAME ARGS` runs a HELPER (for
// tests of exec).
#ifndef TEST_GUEST_CHECK_H_
#define TEST_GUEST_CHECK_H_

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK_MAX_CASES 128
#define CHECK_FAILED 99
#define CHECK_SKIPPED 98
#ifndef CHECK_SECONDS
#define CHECK_SECONDS 100
#endif

struct check_case {
  const char *name;
  void (*run)(void);
  int (*help)(int argc, char **argv);
};

static struct check_case check_cases[CHECK_MAX_CASES];
static int check_count;
// Absolute path of this program, for exec.
static char check_self[PATH_MAX];

#define TEST(NAME)                                                           \
  static void test_##NAME(void);                                             \
  __attribute__((constructor)) static void add_##NAME(void) {                \
    check_cases[check_count++] = (struct check_case){#NAME, test_##NAME, 0}; \
  }                                                                          \
  static void test_##NAME(void)

#define HELPER(NAME)                                                         \
  static int help_##NAME(int argc, char **argv);                             \
  __attribute__((constructor)) static void add_##NAME(void) {                \
    check_cases[check_count++] = (struct check_case){#NAME, 0, help_##NAME}; \
  }                                                                          \
  static int help_##NAME(__attribute__((unused)) int argc, __attribute__((unused)) char **argv)

#define CHECK(COND)                                                             \
  do {                                                                          \
    if (!(COND)) {                                                              \
      dprintf(1, "# %s:%d: %s (errno %d)\n", __FILE__, __LINE__, #COND, errno); \
      _exit(CHECK_FAILED);                                                      \
    }                                                                           \
  } while (0)

#define CHECK_EQ(GOT, WANT)                                                                     \
  do {                                                                                          \
    long long got_ = (long long)(GOT), want_ = (long long)(WANT);                               \
    if (got_ != want_) {                                                                        \
      dprintf(1, "# %s:%d: %s is %lld, not %s (%lld)\n", __FILE__, __LINE__, #GOT, got_, #WANT, \
              want_);                                                                           \
      _exit(CHECK_FAILED);                                                                      \
    }                                                                                           \
  } while (0)

// The value of a call that must not fail.
#define OK(CALL)                                                                   \
  ({                                                                               \
    long ok_ = (long)(CALL);                                                       \
    if (ok_ == -1) {                                                               \
      dprintf(1, "# %s:%d: %s: %s\n", __FILE__, __LINE__, #CALL, strerror(errno)); \
      _exit(CHECK_FAILED);                                                         \
    }                                                                              \
    ok_;                                                                           \
  })

#define CHECK_ERR(CALL, WANT)                                                                     \
  do {                                                                                            \
    errno = 0;                                                                                    \
    long err_ = (long)(CALL);                                                                     \
    int errno_ = errno;                                                                           \
    if (err_ != -1 || errno_ != (WANT)) {                                                         \
      dprintf(1, "# %s:%d: %s gives %ld with errno %d, not %s (%d)\n", __FILE__, __LINE__, #CALL, \
              err_, errno_, #WANT, (WANT));                                                       \
      _exit(CHECK_FAILED);                                                                        \
    }                                                                                             \
  } while (0)

#define CHECK_STR(GOT, WANT)                                                                      \
  do {                                                                                            \
    const char *gots_ = (GOT), *wants_ = (WANT);                                                  \
    if (strcmp(gots_, wants_) != 0) {                                                             \
      dprintf(1, "# %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #GOT, gots_, wants_); \
      _exit(CHECK_FAILED);                                                                        \
    }                                                                                             \
  } while (0)

#define SKIP(WHY)              \
  do {                         \
    dprintf(1, "# %s\n", WHY); \
    _exit(CHECK_SKIPPED);      \
  } while (0)

// Waits for a child and checks that it left with `code`.
#define CHECK_EXIT(PID, CODE)                   \
  do {                                          \
    pid_t pid_ = (PID);                         \
    int status_ = -1;                           \
    CHECK_EQ(waitpid(pid_, &status_, 0), pid_); \
    CHECK(WIFEXITED(status_));                  \
    CHECK_EQ(WEXITSTATUS(status_), (CODE));     \
  } while (0)

#define CHECK_KILLED(PID, SIGNAL)               \
  do {                                          \
    pid_t pid_ = (PID);                         \
    int status_ = -1;                           \
    CHECK_EQ(waitpid(pid_, &status_, 0), pid_); \
    CHECK(WIFSIGNALED(status_));                \
    CHECK_EQ(WTERMSIG(status_), (SIGNAL));      \
  } while (0)

__attribute__((unused)) static void sleep_ms(int ms) {
  struct timespec t = {ms / 1000, (ms % 1000) * 1000000L};
  while (nanosleep(&t, &t) < 0 && errno == EINTR) {
  }
}

__attribute__((unused)) static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// The letter of a process's state, or that of one of our own threads: /proc/PID/stat (proc(5)).
__attribute__((unused)) static char state_of(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", pid);
  int fd = open(path, O_RDONLY);
  if (fd < 0) {
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    fd = OK(open(path, O_RDONLY));
  }
  ssize_t n = OK(read(fd, text, sizeof text - 1));
  close(fd);
  text[n] = 0;
  return strrchr(text, ')')[2];
}

// Until it waits for something, and goes on waiting: in the call that it was about to make.
__attribute__((unused)) static void until_asleep(pid_t pid) {
  for (int seen = 0; seen < 3; sleep_ms(10)) seen = state_of(pid) == 'S' ? seen + 1 : 0;
}

// Writes a whole file.
__attribute__((unused)) static void put_file(const char *path, const char *text) {
  int fd = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
  close(fd);
}

// Reads up to 4095 bytes of a file.
__attribute__((unused)) static const char *get_file(const char *path) {
  static char text[4096];
  int fd = OK(open(path, O_RDONLY));
  ssize_t n = OK(read(fd, text, sizeof text - 1));
  text[n] = 0;
  close(fd);
  return text;
}

static int check_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static int check_run_child(const struct check_case *test) {
  char dir[] = "/tmp/check-XXXXXX";
  if (mkdtemp(dir) == NULL) {
    printf("# mkdtemp: %s\n", strerror(errno));
    return CHECK_FAILED << 8;
  }
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    if (chdir(dir) < 0) _exit(CHECK_FAILED);
    test->run();
    _exit(0);
  }
  int status = CHECK_FAILED << 8;
  long long deadline = now_ns() + CHECK_SECONDS * 1000000000LL;
  for (int ms = 0; pid > 0;) {
    pid_t got = waitpid(pid, &status, WNOHANG);
    if (got != 0) break;
    if (now_ns() > deadline) {
      printf("# still running after %d seconds\n", CHECK_SECONDS);
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    sleep_ms(ms < 10 ? ms++ : 10);
  }
  if (pid > 0) kill(-pid, SIGKILL);
  nftw(dir, check_unlink, 16, FTW_DEPTH | FTW_PHYS);
  return status;
}

int main(int argc, char **argv) {
  if (readlink("/proc/self/exe", check_self, sizeof check_self - 1) < 0 &&
      realpath(argv[0], check_self) == NULL) {
    return 2;
  }
  int first = 0;
  if (argc == 3 && strcmp(argv[1], "--after") == 0) {
    while (first < check_count && strcmp(check_cases[first].name, argv[2]) != 0) first++;
    first++;
  } else if (argc > 1) {
    for (int i = 0; i < check_count; i++) {
      const struct check_case *test = &check_cases[i];
      if (test->help != NULL && argv[1][0] == '@' && strcmp(test->name, argv[1] + 1) == 0) {
        return test->help(argc - 1, argv + 1);
      }
      if (test->run != NULL && strcmp(test->name, argv[1]) == 0) {
        char dir[] = "/tmp/check-XXXXXX";
        if (mkdtemp(dir) == NULL || chdir(dir) < 0) return 2;
        test->run();
        printf("ok 1 - %s\n", test->name);
        return 0;
      }
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
  }
  int number = 0, failed = 0;
  for (int i = first; i < check_count; i++) {
    if (check_cases[i].run == NULL) continue;
    int status = check_run_child(&check_cases[i]);
    number++;
    const char *name = check_cases[i].name;
    if (status == 0) {
      printf("ok %d - %s\n", number, name);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == CHECK_SKIPPED) {
      printf("ok %d - %s # SKIP\n", number, name);
    } else {
      failed++;
      if (WIFSIGNALED(status)) printf("# killed by signal %d\n", WTERMSIG(status));
      printf("not ok %d - %s\n", number, name);
    }
    fflush(stdout);
  }
  printf("1..%d\n", number);
  return failed == 0 ? 0 : 1;
}

#endif  // TEST_GUEST_CHECK_H_

// SPDX-License-Identifier: Apache-2.0
// seccomp(2) and prctl(PR_SET_SECCOMP): modes, actions of filters, inheritance, stacks, limits.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "check.h"

#define LENGTH(ARRAY) (sizeof(ARRAY) / sizeof(ARRAY)[0])
#define LOAD(FIELD) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, FIELD))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define ANSWER(VALUE) BPF_STMT(BPF_RET | BPF_K, (VALUE))
#define UNLESS_EQUAL(VALUE, SKIP) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (VALUE), 0, (SKIP))

static long seccomp(unsigned op, unsigned flags, const void *arg) {
  return syscall(SYS_seccomp, op, flags, arg);
}

static long install_flags(const struct sock_filter *filter, int count, unsigned flags) {
  struct sock_fprog program = {count, (struct sock_filter *)filter};
  return seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);
}

// Answers `value` to one call, allows all others.
static long answer_to(int number, unsigned value, unsigned flags) {
  struct sock_filter filter[] = {LOAD(nr), UNLESS_EQUAL(number, 1), ANSWER(value), ALLOW};
  return install_flags(filter, LENGTH(filter), flags);
}

static void no_new_privs(void) { OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }

// A line of /proc/self/status, or of a thread's.
static int status_of(int tid, const char *key) {
  char path[64], want[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
  snprintf(want, sizeof want, "\n%s:\t", key);
  const char *at = strstr(get_file(path), want);
  return at == NULL ? -1 : atoi(at + strlen(want));
}

static int status(const char *key) { return status_of((int)syscall(SYS_gettid), key); }

TEST(bad_requests) {
  struct sock_filter allow[] = {ALLOW};
  struct sock_fprog program = {1, allow};
  unsigned action = SECCOMP_RET_ALLOW;
  no_new_privs();
  CHECK_ERR(seccomp(99, 0, NULL), EINVAL);
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_STRICT, 0, &program), EINVAL);
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 1 << 12, &program), EINVAL);
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL), EFAULT);
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, NULL), EFAULT);
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, (void *)8), EFAULT);
  program.filter = NULL;
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 0, &program), EINVAL);
  program.filter = (void *)8;
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 0, &program), EFAULT);
  program.filter = allow;
  program.len = 0;
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 0, &program), EINVAL);
  program.len = BPF_MAXINSNS + 1;
  CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 0, &program), EINVAL);
  CHECK_ERR(prctl(PR_SET_SECCOMP, 3, &program), EINVAL);
  CHECK_ERR(prctl(PR_SET_SECCOMP, 0, &program), EINVAL);
  CHECK_EQ(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action), 0);
  CHECK_ERR(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, &action), EINVAL);
  CHECK_ERR(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, NULL), EFAULT);
  action = 0x12340000;
  CHECK_ERR(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action), EOPNOTSUPP);
  CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
  CHECK_EQ(status("Seccomp"), 0);
}

TEST(needs_privilege_or_no_new_privs) {
  struct sock_filter allow[] = {ALLOW};
  struct sock_filter bad[] = {LOAD(nr)};
  if (geteuid() == 0) {
    CHECK_EQ(install_flags(allow, 1, 0), 0);
    OK(setresuid(65534, 65534, 65534));
  }
  CHECK_ERR(install_flags(allow, 1, 0), EACCES);
  CHECK_ERR(install_flags(bad, 1, 0), EACCES);
  no_new_privs();
  CHECK_EQ(install_flags(allow, 1, 0), 0);
  CHECK_ERR(install_flags(bad, 1, 0), EINVAL);
}

TEST(strict_mode) {
  int fds[2];
  OK(pipe(fds));
  pid_t pid = fork();
  if (pid == 0) {
    char byte;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) _exit(1);
    write(fds[1], "x", 1);
    read(fds[0], &byte, 1);
    syscall(SYS_exit, 7);
  }
  CHECK_EXIT(pid, 7);
  pid = fork();
  if (pid == 0) {
    if (seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL) != 0) _exit(1);
    syscall(SYS_getpid);
    syscall(SYS_exit, 8);
  }
  CHECK_KILLED(pid, SIGKILL);
}

static volatile int handled;
static void count_signal(int number) {
  (void)number;
  handled++;
}

TEST(strict_mode_has_sigreturn) {
  int fds[2];
  OK(pipe(fds));
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGUSR1, count_signal);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    write(fds[1], "x", 1);
    while (!handled) {
    }
    syscall(SYS_exit, 6);
  }
  char byte;
  OK(read(fds[0], &byte, 1));
  kill(pid, SIGUSR1);
  CHECK_EXIT(pid, 6);
}

static int strict_pipe[2];
static void *strict_thread(void *arg) {
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
  write(strict_pipe[1], "x", 1);
  syscall(SYS_getpid);
  write(strict_pipe[1], "y", 1);
  return arg;
}

TEST(strict_mode_kills_the_thread_alone) {
  pid_t pid = fork();
  if (pid == 0) {
    pthread_t thread;
    char byte;
    OK(pipe(strict_pipe));
    pthread_create(&thread, NULL, strict_thread, NULL);
    read(strict_pipe[0], &byte, 1);
    sleep_ms(50);
    fcntl(strict_pipe[0], F_SETFL, O_NONBLOCK);
    _exit(read(strict_pipe[0], &byte, 1) == -1 ? 5 : 1);
  }
  CHECK_EXIT(pid, 5);
}

TEST(no_way_between_modes) {
  no_new_privs();
  CHECK_EQ(answer_to(SYS_getpid, SECCOMP_RET_ERRNO | 5, 0), 0);
  CHECK_EQ(prctl(PR_GET_SECCOMP), SECCOMP_MODE_FILTER);
  CHECK_ERR(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), EINVAL);
}

TEST(errno_values) {
  static const struct {
    unsigned data;
    long result;
  } cases[] = {{0, 0},      {1, -1},     {511, -511},   {512, -512},   {513, -513},
               {516, -516}, {600, -600}, {4095, -4095}, {4096, -4095}, {0xffff, -4095}};
  no_new_privs();
  for (unsigned i = 0; i < LENGTH(cases); i++) {
    int number = 400 + (int)i;
    CHECK_EQ(answer_to(number, SECCOMP_RET_ERRNO | cases[i].data, 0), 0);
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    CHECK_EQ(result, cases[i].result);
  }
}

TEST(log_trace_and_notify) {
  no_new_privs();
  CHECK_EQ(answer_to(SYS_getppid, SECCOMP_RET_LOG, SECCOMP_FILTER_FLAG_LOG), 0);
  CHECK_EQ(getppid() > 0, 1);
  CHECK_EQ(answer_to(SYS_getuid, SECCOMP_RET_TRACE | 3, SECCOMP_FILTER_FLAG_SPEC_ALLOW), 0);
  CHECK_ERR(syscall(SYS_getuid), ENOSYS);
  CHECK_EQ(answer_to(SYS_getgid, SECCOMP_RET_USER_NOTIF, 0), 0);
  CHECK_ERR(syscall(SYS_getgid), ENOSYS);
}

static siginfo_t trap_info;
static unsigned long trap_ip, trap_ax;
static long trap_answer;
static void on_trap(int number, siginfo_t *info, void *context) {
  ucontext_t *u = context;
  (void)number;
  trap_info = *info;
  trap_ip = (unsigned long)u->uc_mcontext.gregs[REG_RIP];
  trap_ax = (unsigned long)u->uc_mcontext.gregs[REG_RAX];
  if (trap_answer != 0) u->uc_mcontext.gregs[REG_RAX] = trap_answer;
}

static void handle_trap(void) {
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  OK(sigaction(SIGSYS, &action, NULL));
}

__attribute__((noinline)) static long labelled_getppid(unsigned long *after) {
  long result;
  unsigned long here;
  __asm__ volatile("lea 1f(%%rip), %1\n\tmov %2, %%eax\n\tsyscall\n1:"
                   : "=&a"(result), "=&r"(here)
                   : "i"(SYS_getppid)
                   : "rcx", "r11", "memory");
  *after = here;
  return result;
}

TEST(trap_tells_of_the_call) {
  unsigned long after;
  no_new_privs();
  handle_trap();
  CHECK_EQ(answer_to(SYS_getppid, SECCOMP_RET_TRAP | 0x1234, 0), 0);
  CHECK_EQ(labelled_getppid(&after), SYS_getppid);
  CHECK_EQ(trap_info.si_signo, SIGSYS);
  CHECK_EQ(trap_info.si_code, 1);
  CHECK_EQ(trap_info.si_errno, 0x1234);
  CHECK_EQ(trap_info.si_syscall, SYS_getppid);
  CHECK_EQ(trap_info.si_arch, AUDIT_ARCH_X86_64);
  CHECK_EQ((unsigned long)trap_info.si_call_addr, after);
  CHECK_EQ(trap_ip, after);
  CHECK_EQ(trap_ax, SYS_getppid);
  trap_answer = 4711;
  CHECK_EQ(labelled_getppid(&after), 4711);
}

TEST(trap_without_handler_kills) {
  for (int way = 0; way < 3; way++) {
    pid_t pid = fork();
    if (pid == 0) {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGSYS);
      if (way == 1) signal(SIGSYS, SIG_IGN);
      if (way == 2) {
        handle_trap();
        sigprocmask(SIG_BLOCK, &set, NULL);
      }
      no_new_privs();
      answer_to(SYS_getppid, SECCOMP_RET_TRAP, 0);
      syscall(SYS_getppid);
      _exit(1);
    }
    CHECK_KILLED(pid, SIGSYS);
  }
}

// Set right before the call.
static volatile int called;

static void *call_getppid(void *arg) {
  called = 1;
  syscall(SYS_getppid);
  return arg;
}

static void wait_for_the_call(void) {
  while (!called) sleep_ms(1);
  sleep_ms(300);
}

static void *exit_later(void *arg) {
  wait_for_the_call();
  _exit(9);
  return arg;
}

// What a process ends with when `action` meets a call of one of two threads.
static int ends_with(unsigned action, int leader_calls) {
  pid_t pid = fork();
  if (pid == 0) {
    pthread_t thread;
    handle_trap();
    no_new_privs();
    answer_to(SYS_getppid, action, 0);
    if (leader_calls) {
      pthread_create(&thread, NULL, exit_later, NULL);
      called = 1;
      syscall(SYS_getppid);
      _exit(1);
    }
    pthread_create(&thread, NULL, call_getppid, NULL);
    wait_for_the_call();
    _exit(9);
  }
  int ended = -1;
  waitpid(pid, &ended, 0);
  return WIFSIGNALED(ended) ? -WTERMSIG(ended) : WEXITSTATUS(ended);
}

TEST(kill_thread_and_process) {
  pid_t pid = fork();
  if (pid == 0) {
    handle_trap();
    no_new_privs();
    answer_to(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0);
    syscall(SYS_getppid);
    _exit(1);
  }
  CHECK_KILLED(pid, SIGSYS);
  CHECK_EQ(ends_with(SECCOMP_RET_KILL_THREAD, 0), 9);
  CHECK_EQ(ends_with(SECCOMP_RET_KILL_THREAD, 1), 9);
  CHECK_EQ(ends_with(SECCOMP_RET_KILL_PROCESS, 0), -SIGSYS);
  CHECK_EQ(ends_with(SECCOMP_RET_KILL_PROCESS, 1), -SIGSYS);
  CHECK_EQ(ends_with(0x12340000, 0), -SIGSYS);  // No action at all.
}

TEST(arguments_of_64_bits) {
  struct sock_filter filter[] = {
      LOAD(nr),
      UNLESS_EQUAL(SYS_getppid, 7),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
      UNLESS_EQUAL(0x55667788, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
      UNLESS_EQUAL(0x11223344, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]) + 4),
      UNLESS_EQUAL(0x80000000, 1),
      ANSWER(SECCOMP_RET_ERRNO | 77),
      ALLOW,
  };
  no_new_privs();
  CHECK_EQ(install_flags(filter, LENGTH(filter), 0), 0);
  CHECK(syscall(SYS_getppid, 0, 0x1122334455667788, 0, 0, 0, 0) > 0);
  CHECK(syscall(SYS_getppid, 0, 0x1122334455667789, 0, 0, 0, 0x8000000000000000) > 0);
  CHECK_ERR(syscall(SYS_getppid, 0, 0x1122334455667788, 0, 0, 0, 0x8000000000000000), 77);
}

TEST(instruction_pointer) {
  unsigned long after;
  CHECK(labelled_getppid(&after) > 0);
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
      UNLESS_EQUAL((unsigned)after, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
      UNLESS_EQUAL((unsigned)(after >> 32), 1),
      ANSWER(SECCOMP_RET_ERRNO | 66),
      ALLOW,
  };
  no_new_privs();
  CHECK_EQ(install_flags(filter, LENGTH(filter), 0), 0);
  CHECK(getppid() > 0);
  CHECK_EQ(labelled_getppid(&after), -66);
}

TEST(numbers_outside_the_table) {
  no_new_privs();
  static const int numbers[] = {-1, 0x40000000 | SYS_getppid, 1000, 511, 512, 0x7fffffff};
  for (unsigned i = 0; i < LENGTH(numbers); i++) {
    CHECK_ERR(syscall(numbers[i]), ENOSYS);
    CHECK_EQ(answer_to(numbers[i], SECCOMP_RET_ERRNO | 33, 0), 0);
    CHECK_ERR(syscall(numbers[i]), 33);
  }
  // The upper half of rax is no part of the number.
  CHECK_EQ(answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 34, 0), 0);
  CHECK_ERR(syscall(0x100000000 | SYS_getppid), 34);
}

static void *inheriting_thread(void *arg) {
  CHECK_ERR(syscall(SYS_getuid), 71);
  CHECK_EQ(answer_to(SYS_getgid, SECCOMP_RET_ERRNO | 72, 0), 0);
  CHECK_EQ(status("Seccomp_filters"), 3);
  return arg;
}

TEST(inheritance) {
  no_new_privs();
  CHECK_EQ(answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 70, 0), 0);
  pid_t pid = fork();
  if (pid == 0) {
    CHECK_ERR(syscall(SYS_getppid), 70);
    CHECK_EQ(answer_to(SYS_getuid, SECCOMP_RET_ERRNO | 71, 0), 0);
    CHECK_ERR(syscall(SYS_getuid), 71);
    pthread_t thread;
    pthread_create(&thread, NULL, inheriting_thread, NULL);
    pthread_join(thread, NULL);
    CHECK_EQ(syscall(SYS_getgid), getgid());
    CHECK_EQ(status("Seccomp_filters"), 2);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  CHECK_EQ(status("Seccomp"), 2);
  CHECK_EQ(status("Seccomp_filters"), 1);
  CHECK_EQ(status("NoNewPrivs"), 1);
  CHECK(syscall(SYS_getuid) >= 0);
}

HELPER(after_exec) {
  CHECK_ERR(syscall(SYS_getppid), 70);
  CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
  return 3;
}

TEST(kept_over_exec) {
  pid_t pid = fork();
  if (pid == 0) {
    no_new_privs();
    answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 70, 0);
    execl(check_self, check_self, "@after_exec", NULL);
    _exit(1);
  }
  CHECK_EXIT(pid, 3);
}

TEST(exec_can_be_refused) {
  no_new_privs();
  CHECK_EQ(answer_to(SYS_execve, SECCOMP_RET_ERRNO | EPERM, 0), 0);
  CHECK_ERR(execl(check_self, check_self, "@after_exec", NULL), EPERM);
}

TEST(strictest_of_a_stack_wins) {
  static const unsigned order[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD,
                                   SECCOMP_RET_TRAP | 1,     SECCOMP_RET_ERRNO | 40,
                                   SECCOMP_RET_TRACE,        SECCOMP_RET_LOG,
                                   SECCOMP_RET_ALLOW};
  for (unsigned a = 0; a < LENGTH(order); a++) {
    for (unsigned b = 0; b < LENGTH(order); b++) {
      pid_t pid = fork();
      if (pid == 0) {
        no_new_privs();
        handle_trap();
        answer_to(SYS_getppid, order[a], 0);
        answer_to(SYS_getppid, order[b], 0);
        errno = 0;
        long result = syscall(SYS_getppid);
        _exit(trap_info.si_errno == 1 ? 100 : result > 0 ? 0 : errno);
      }
      unsigned strict = order[a < b ? a : b];
      int ended;
      waitpid(pid, &ended, 0);
      if ((int)strict <= 0)
        CHECK(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGSYS);
      else
        CHECK_EQ(WEXITSTATUS(ended), strict == order[2]   ? 100
                                     : strict == order[3] ? 40
                                     : strict == order[4] ? ENOSYS
                                                          : 0);
    }
  }
  no_new_privs();
  answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 41, 0);
  answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 42, 0);
  CHECK_ERR(syscall(SYS_getppid), 42);
}

static pthread_barrier_t barrier;
static volatile int thread_tid, thread_errno, thread_own_filter;
static void *waiting_thread(void *arg) {
  thread_tid = (int)syscall(SYS_gettid);
  if (thread_own_filter) answer_to(SYS_getuid, SECCOMP_RET_ERRNO | 51, 0);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  errno = 0;
  syscall(SYS_getppid);
  thread_errno = errno;
  return arg;
}

TEST(tsync) {
  pthread_t thread;
  pthread_barrier_init(&barrier, NULL, 2);
  OK(pthread_create(&thread, NULL, waiting_thread, NULL));
  pthread_barrier_wait(&barrier);
  no_new_privs();
  CHECK_EQ(status_of(thread_tid, "NoNewPrivs"), 0);
  CHECK_EQ(answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 50, SECCOMP_FILTER_FLAG_TSYNC), 0);
  CHECK_EQ(status_of(thread_tid, "NoNewPrivs"), 1);
  CHECK_EQ(status_of(thread_tid, "Seccomp"), 2);
  pthread_barrier_wait(&barrier);
  OK(pthread_join(thread, NULL));
  CHECK_EQ(thread_errno, 50);
}

TEST(tsync_with_a_stray_thread) {
  pthread_t thread;
  pthread_barrier_init(&barrier, NULL, 2);
  no_new_privs();
  thread_own_filter = 1;
  OK(pthread_create(&thread, NULL, waiting_thread, NULL));
  pthread_barrier_wait(&barrier);
  CHECK_EQ(answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 50, SECCOMP_FILTER_FLAG_TSYNC), thread_tid);
  CHECK_ERR(answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 50,
                      SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH),
            ESRCH);
  CHECK_EQ(status("Seccomp"), 0);
  pthread_barrier_wait(&barrier);
  OK(pthread_join(thread, NULL));
  CHECK_EQ(thread_errno, 0);
  // It is gone: nobody is left behind.
  CHECK_EQ(answer_to(SYS_getppid, SECCOMP_RET_ERRNO | 50, SECCOMP_FILTER_FLAG_TSYNC), 0);
}

TEST(limit_of_a_stack) {
  struct sock_filter allow[] = {ALLOW};
  int count = 0;
  no_new_privs();
  while (install_flags(allow, 1, 0) == 0) count++;
  CHECK_EQ(errno, ENOMEM);
  CHECK_EQ(count, 3641);
  CHECK_EQ(status("Seccomp_filters"), 3641);
  for (int i = 0; i < 50; i++) CHECK(getppid() > 0);
}

TEST(limit_of_large_filters) {
  static struct sock_filter large[BPF_MAXINSNS];
  struct sock_filter step = LOAD(args[3]);
  struct sock_filter end = ALLOW;
  int count = 0;
  for (int i = 0; i < BPF_MAXINSNS - 1; i++) large[i] = step;
  large[BPF_MAXINSNS - 1] = end;
  no_new_privs();
  while (install_flags(large, BPF_MAXINSNS, 0) == 0) count++;
  CHECK_EQ(errno, ENOMEM);
  CHECK_EQ(count, 7);
  for (int i = 0; i < 200; i++) CHECK(getppid() > 0);
}

TEST(filters_after_interrupted_calls) {
  int fds[2];
  OK(pipe(fds));
  pid_t pid = fork();
  if (pid == 0) {
    struct timespec time = {1000, 0};
    no_new_privs();
    answer_to(SYS_restart_syscall, SECCOMP_RET_ERRNO | 80, 0);
    write(fds[1], "x", 1);
    errno = 0;
    syscall(SYS_nanosleep, &time, NULL);
    _exit(errno);
  }
  char byte;
  int ended;
  OK(read(fds[0], &byte, 1));
  until_asleep(pid);
  kill(pid, SIGSTOP);
  OK(waitpid(pid, &ended, WUNTRACED));
  kill(pid, SIGCONT);
  CHECK_EXIT(pid, 80);
}

TEST(vdso_makes_no_calls) {
  no_new_privs();
  struct timespec time;
  CHECK_EQ(answer_to(SYS_clock_gettime, SECCOMP_RET_ERRNO | 90, 0), 0);
  CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &time), 0);
  CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time), 90);
}

TEST(default_deny) {
  struct sock_filter filter[] = {
      LOAD(arch), UNLESS_EQUAL(AUDIT_ARCH_X86_64, 5), LOAD(nr), UNLESS_EQUAL(SYS_write, 1),
      ALLOW,      UNLESS_EQUAL(SYS_exit_group, 1),    ALLOW,    ANSWER(SECCOMP_RET_ERRNO | EPERM),
  };
  no_new_privs();
  CHECK_EQ(install_flags(filter, LENGTH(filter), 0), 0);
  CHECK_ERR(syscall(SYS_getppid), EPERM);
  CHECK_ERR(open("/", O_RDONLY), EPERM);
  CHECK_ERR(fork(), EPERM);
  CHECK((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1);
}

// SPDX-License-Identifier: Apache-2.0
// Worst cases: processes and threads, signals, timers, futexes, arguments.
#include <grp.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/time.h>

#include "worst.h"

#define PROCESSES 300
#define THREADS 1500

WORST(many_arguments) {
  static char *arguments[700000];
  char *none[] = {NULL};
  // What RLIMIT_STACK allows: six megabytes of strings and pointers at the most.
  struct rlimit limit = {64 << 20, RLIM_INFINITY};
  setrlimit(RLIMIT_STACK, &limit);
  for (int i = 0; i < 600000; i++) arguments[i] = "";
  execve("/bin/true", arguments, none);
  CHECK_EQ(errno, E2BIG);
  arguments[300000] = NULL;
  execve("/bin/true", arguments, arguments);
  CHECK_EQ(errno, E2BIG);
  execve("/bin/true", arguments, none);
}

WORST(long_arguments) {
  char *arguments[60], *none[] = {NULL};
  struct rlimit limit = {64 << 20, RLIM_INFINITY};
  setrlimit(RLIMIT_STACK, &limit);
  for (int i = 0; i < 45; i++) {
    arguments[i] = malloc(131071);
    memset(arguments[i], 'x', 131070);
    arguments[i][131070] = 0;
  }
  arguments[45] = NULL;
  execve("/bin/true", arguments, none);
}

static void many_children(void) {
  for (int i = 0; i < PROCESSES; i++) {
    if (OK(fork()) != 0) continue;
    setpgid(0, getppid());
    pause();
    _exit(0);
  }
}

WORST(many_processes) {
  setpgid(0, 0);
  signal(SIGUSR1, SIG_IGN);
  many_children();
  sleep_ms(200);
  OK(kill(0, SIGUSR1));
  OK(setpriority(PRIO_PGRP, 0, 3));
  OK(getpriority(PRIO_USER, 0));
  syscall(SYS_ioprio_set, 2, 0, 16384);
  syscall(SYS_ioprio_get, 3, 0);
  siginfo_t info;
  for (int i = 0; i < 200; i++) OK(waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT));
  read_through("/proc/stat");
  read_through("/proc/loadavg");
  read_through("/proc/meminfo");
  signal(SIGTERM, SIG_IGN);
  OK(kill(0, SIGTERM));
  while (wait(NULL) > 0) {
  }
}

// Processes of which each has as many mappings as one may have end at once.
WORST(many_ends) {
  pid_t pids[4];
  for (int i = 0; i < 4; i++) {
    pids[i] = OK(fork());
    if (pids[i] != 0) continue;
    char *memory = mmap(NULL, 4096L * 60000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int k = 0; k < 60000; k += 2) OK(mprotect(memory + 4096L * k, 4096, PROT_NONE));
    raise(SIGSTOP);
    _exit(0);
  }
  for (int i = 0; i < 4; i++) {
    int status;
    OK(waitpid(pids[i], &status, WUNTRACED));
  }
  for (int i = 0; i < 4; i++) kill(pids[i], SIGKILL);
  for (int i = 0; i < 4; i++) CHECK_KILLED(pids[i], SIGKILL);
}

static uint32_t word, other_word;

static void *futex_wait(void *unused) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  return unused;
}

static uint32_t go;
static void *(*thread_body)(void *);

// Nobody begins before all are there.
static void *begin(void *unused) {
  while (__atomic_load_n(&go, __ATOMIC_ACQUIRE) == 0)
    syscall(SYS_futex, &go, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  return thread_body(unused);
}

static int many_threads(void *(*body)(void *)) {
  thread_body = body;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 32768);
  int made = 0;
  for (pthread_t thread; made < THREADS; made++)
    if (pthread_create(&thread, &attributes, begin, NULL) != 0) break;
  dprintf(1, "# %d threads\n", made);
  __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, &go, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
  return made;
}

WORST(many_futex_waiters) {
  int made = many_threads(futex_wait);
  CHECK(made > 100);
  long moved = 0;
  for (int i = 0; i < 2000 && moved < made; i++) {
    moved += OK(syscall(SYS_futex, &word, FUTEX_REQUEUE_PRIVATE, 0, INT_MAX, &other_word, 0));
    sleep_ms(1);
  }
  OK(syscall(SYS_futex, &other_word, FUTEX_CMP_REQUEUE_PRIVATE, 0, INT_MAX, &word, 0));
  word = 1;
  OK(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
}

static void *call_always(void *unused) {
  for (;;) syscall(SYS_getppid);
  return unused;
}

// All in calls at once: the neighbour's turn comes as often as that of this whole process.
WORST(many_calling_threads) {
  many_threads(call_always);
  sleep_ms(1000);
}

static void *poll_always(void *unused) {
  static char bytes[65536];
  int zero = open("/dev/zero", O_RDONLY);
  for (;;) (void)!read(zero, bytes, sizeof bytes);
  return unused;
}

WORST(many_working_threads) {
  many_threads(poll_always);
  sleep_ms(1000);
}

static void *sleep_shortly(void *unused) {
  for (;;) {
    struct timespec t = {0, 10000000 - now_ns() % 10000000};
    nanosleep(&t, NULL);
  }
  return unused;
}

// All are woken at once, a hundred times a second.
WORST(many_sleeping_threads) {
  many_threads(sleep_shortly);
  sleep_ms(1000);
  read_through("/proc/self/status");
}

WORST(ending_with_threads) {
  many_threads(futex_wait);
  pid_t pid = OK(fork());
  if (pid == 0) _exit(7);
  CHECK_EXIT(pid, 7);
  OK(syscall(SYS_tgkill, getpid(), getpid(), 0));
  execl("/bin/true", "true", NULL);
}

WORST(queued_signals) {
  struct rlimit limit = {200000, 200000};
  setrlimit(RLIMIT_SIGPENDING, &limit);
  sigset_t set;
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, NULL);
  long sent = 0;
  while (sent < 60000 && sigqueue(getpid(), SIGRTMIN + sent % 10, (union sigval){0}) == 0) sent++;
  dprintf(1, "# %ld signals\n", sent);
  siginfo_t info;
  for (long i = 0; i < sent / 2; i++) CHECK(sigwaitinfo(&set, &info) >= SIGRTMIN);
  OK(sigpending(&set));
  signal(SIGRTMIN + 1, SIG_IGN);
}

WORST(many_timers) {
  struct rlimit limit = {200000, 200000};
  setrlimit(RLIMIT_SIGPENDING, &limit);
  signal(SIGRTMIN, SIG_IGN);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  struct itimerspec soon = {{0, 20000000}, {0, 20000000}};
  long made = 0;
  timer_t timer, first = 0;
  for (; made < 30000 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0; made++) {
    if (made == 0) first = timer;
    OK(timer_settime(timer, 0, &soon, NULL));
  }
  dprintf(1, "# %ld timers\n", made);
  for (int i = 0; i < 50; i++) {
    OK(timer_gettime(first, &soon));
    sleep_ms(10);
  }
}

WORST(many_processor_timers) {
  struct rlimit limit = {200000, 200000};
  setrlimit(RLIMIT_SIGPENDING, &limit);
  signal(SIGRTMIN, SIG_IGN);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  struct itimerspec soon = {{0, 1000000}, {0, 1000000}};
  timer_t timer;
  for (int i = 0; i < 20000; i++) {
    if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) != 0) break;
    OK(timer_settime(timer, 0, &soon, NULL));
  }
  for (long long end = now_ns() + 300000000LL; now_ns() < end;) {
  }
}

WORST(many_groups) {
  gid_t *groups = calloc(65536, sizeof *groups);
  for (int i = 0; i < 65536; i++) groups[i] = 65536 - i;
  if (setgroups(65536, groups) != 0) SKIP("no right to set groups");
  CHECK_EQ(getgroups(65536, groups), 65536);
  read_through("/proc/self/status");
  struct stat st;
  for (int i = 0; i < 100; i++) OK(stat("/", &st));
}

// The longest filters, as many as one may have; every call is judged by all.
WORST(long_filters) {
  static struct sock_filter filter[4096];
  for (int i = 0; i < 4095; i++)
    filter[i] = (struct sock_filter){BPF_ALU | BPF_XOR | BPF_K, 0, 0, i};
  filter[4095] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  struct sock_fprog program = {4096, filter};
  OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  int installed = 0;
  while (installed < 20 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
    installed++;
  for (int i = 0; i < 100; i++) syscall(SYS_getppid);
}

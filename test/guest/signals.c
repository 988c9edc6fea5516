// SPDX-License-Identifier: Apache-2.0
// Signals: sigaction(2), sigaltstack(2), sigprocmask(2), sigqueue(3), sigwaitinfo(2), restart of calls,
// faults, floating point state, job-control signals.
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

#include "check.h"

static volatile sig_atomic_t count;
static volatile siginfo_t last;
static volatile int order[64], order_length;

static void on_signal(int signal) {
  count++;
  order[order_length++] = signal;
}

static void on_info(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  last = *info;
  order[order_length++] = info->si_value.sival_int;
  count++;
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  OK(sigaction(signal, &action, NULL));
}

static void handle_info(int signal, int flags) {
  struct sigaction action = {.sa_sigaction = on_info, .sa_flags = flags | SA_SIGINFO};
  OK(sigaction(signal, &action, NULL));
}

static void block(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void unblock(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

// Sends a signal to this process from a child after some time, or as soon as this one sleeps.
enum { WHEN_ASLEEP = -1 };
static pid_t send_later(int signal, int ms) {
  pid_t parent = getpid();
  pid_t pid = OK(fork());
  if (pid == 0) {
    if (ms == WHEN_ASLEEP) {
      until_asleep(parent);
    } else {
      sleep_ms(ms);
    }
    kill(parent, signal);
    _exit(0);
  }
  return pid;
}

TEST(handler_runs) {
  handle(SIGUSR1, on_signal, 0);
  OK(raise(SIGUSR1));
  CHECK_EQ(count, 1);
  OK(kill(getpid(), SIGUSR1));
  CHECK_EQ(count, 2);
}

TEST(siginfo_of_kill) {
  handle_info(SIGUSR1, 0);
  OK(kill(getpid(), SIGUSR1));
  CHECK_EQ(last.si_signo, SIGUSR1);
  CHECK_EQ(last.si_code, SI_USER);
  CHECK_EQ(last.si_pid, getpid());
  CHECK_EQ(last.si_uid, getuid());
  OK(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
  CHECK_EQ(last.si_code, SI_TKILL);
}

TEST(siginfo_of_sigqueue) {
  handle_info(SIGUSR1, 0);
  OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77}));
  CHECK_EQ(last.si_code, SI_QUEUE);
  CHECK_EQ(last.si_value.sival_int, 77);
}

TEST(siginfo_of_sigchld) {
  handle_info(SIGCHLD, 0);
  pid_t pid = OK(fork());
  if (pid == 0) _exit(5);
  CHECK_EXIT(pid, 5);
  CHECK_EQ(last.si_code, CLD_EXITED);
  CHECK_EQ(last.si_pid, pid);
  CHECK_EQ(last.si_status, 5);
}

TEST(sigchld_for_stop_and_continue) {
  handle_info(SIGCHLD, SA_RESTART);
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  int status;
  OK(kill(pid, SIGSTOP));
  OK(waitpid(pid, &status, WUNTRACED));
  CHECK_EQ(last.si_code, CLD_STOPPED);
  CHECK_EQ(last.si_status, SIGSTOP);
  OK(kill(pid, SIGCONT));
  OK(waitpid(pid, &status, WCONTINUED));
  // The child notifies when it runs again, after it became waitable.
  for (int ms = 0; ms < 60000 && last.si_code != CLD_CONTINUED; ms++) sleep_ms(1);
  CHECK_EQ(last.si_code, CLD_CONTINUED);
  OK(kill(pid, SIGKILL));
  OK(waitpid(pid, &status, 0));
  CHECK_EQ(last.si_code, CLD_KILLED);
  count = 0;
  handle_info(SIGCHLD, SA_RESTART | SA_NOCLDSTOP);
  pid = OK(fork());
  if (pid == 0) {
    raise(SIGSTOP);
    _exit(0);
  }
  OK(waitpid(pid, &status, WUNTRACED));
  CHECK_EQ(count, 0);
  OK(kill(pid, SIGCONT));
  CHECK_EXIT(pid, 0);
  CHECK_EQ(count, 1);
}

TEST(blocked_signals_stay_pending) {
  handle(SIGUSR1, on_signal, 0);
  block(SIGUSR1);
  OK(raise(SIGUSR1));
  OK(raise(SIGUSR1));
  CHECK_EQ(count, 0);
  sigset_t pending;
  OK(sigpending(&pending));
  CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
  unblock(SIGUSR1);
  CHECK_EQ(count, 1);  // standard signals do not queue
}

TEST(realtime_signals_queue_in_order) {
  handle_info(SIGRTMIN + 1, 0);
  handle_info(SIGRTMIN, 0);
  block(SIGRTMIN);
  block(SIGRTMIN + 1);
  for (int i = 0; i < 3; i++) {
    OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i}));
    OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}));
  }
  sigset_t both;
  sigemptyset(&both);
  sigaddset(&both, SIGRTMIN);
  sigaddset(&both, SIGRTMIN + 1);
  struct timespec zero = {0, 0};
  siginfo_t info;
  for (int i = 0; i < 6; i++) {
    OK(sigtimedwait(&both, &info, &zero));
    CHECK_EQ(info.si_signo, i < 3 ? SIGRTMIN : SIGRTMIN + 1);
    CHECK_EQ(info.si_value.sival_int, i < 3 ? i : 10 + i - 3);
  }
  CHECK_ERR(sigtimedwait(&both, &info, &zero), EAGAIN);
}

static volatile int depth, deepest;

static void nest(int signal) {
  if (++depth > deepest) deepest = depth;
  if (++count < 3) raise(signal);
  depth--;
}

TEST(nodefer_nests) {
  handle(SIGUSR1, nest, 0);
  OK(raise(SIGUSR1));
  CHECK_EQ(count, 3);
  CHECK_EQ(deepest, 1);
  count = deepest = 0;
  handle(SIGUSR1, nest, SA_NODEFER);
  OK(raise(SIGUSR1));
  CHECK_EQ(count, 3);
  CHECK_EQ(deepest, 3);
}

TEST(mask_during_handler) {
  static sigset_t inside;
  void look(int signal) {
    (void)signal;
    sigprocmask(SIG_BLOCK, NULL, &inside);
  }
  struct sigaction action = {.sa_handler = look};
  sigaddset(&action.sa_mask, SIGUSR2);
  OK(sigaction(SIGUSR1, &action, NULL));
  OK(raise(SIGUSR1));
  CHECK_EQ(sigismember(&inside, SIGUSR1), 1);
  CHECK_EQ(sigismember(&inside, SIGUSR2), 1);
  CHECK_EQ(sigismember(&inside, SIGHUP), 0);
  sigset_t after;
  OK(sigprocmask(SIG_BLOCK, NULL, &after));
  CHECK_EQ(sigismember(&after, SIGUSR1), 0);
}

TEST(resethand_runs_once) {
  handle(SIGUSR1, on_signal, SA_RESETHAND);
  OK(raise(SIGUSR1));
  CHECK_EQ(count, 1);
  struct sigaction action;
  OK(sigaction(SIGUSR1, NULL, &action));
  CHECK(action.sa_handler == SIG_DFL);
}

TEST(alternate_stack) {
  static char stack[65536];
  static volatile char *inside;
  static stack_t within;
  void look(int signal) {
    (void)signal;
    char local;
    inside = &local;
    sigaltstack(NULL, &within);
  }
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack}, old;
  OK(sigaltstack(&alternate, &old));
  CHECK_EQ(old.ss_flags, SS_DISABLE);
  handle(SIGUSR1, look, SA_ONSTACK);
  OK(raise(SIGUSR1));
  CHECK(inside > stack && inside < stack + sizeof stack);
  CHECK_EQ(within.ss_flags, SS_ONSTACK);
  OK(sigaltstack(NULL, &old));
  CHECK_EQ(old.ss_flags, 0);
  CHECK(old.ss_sp == stack);
  handle(SIGUSR1, look, 0);
  OK(raise(SIGUSR1));
  CHECK(!(inside > stack && inside < stack + sizeof stack));
  alternate.ss_size = 100;
  CHECK_ERR(sigaltstack(&alternate, NULL), ENOMEM);
  alternate.ss_flags = 0x70;
  CHECK_ERR(sigaltstack(&alternate, NULL), EINVAL);
}

static sigjmp_buf escape;

static void jump_out(int signal, siginfo_t *info, void *context) {
  (void)context;
  last = *info;
  siglongjmp(escape, signal);
}

static void catch_fault(int signal, int flags) {
  struct sigaction action = {.sa_sigaction = jump_out, .sa_flags = SA_SIGINFO | flags};
  OK(sigaction(signal, &action, NULL));
}

TEST(segv_tells_the_address) {
  catch_fault(SIGSEGV, 0);
  volatile char *unmapped = (volatile char *)0x1000;
  if (sigsetjmp(escape, 1) == 0) {
    *unmapped = 1;
    CHECK(0);
  }
  CHECK_EQ(last.si_code, SEGV_MAPERR);
  CHECK(last.si_addr == unmapped);
  char *readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sigsetjmp(escape, 1) == 0) {
    *(volatile char *)(readonly + 5) = 1;
    CHECK(0);
  }
  CHECK_EQ(last.si_code, SEGV_ACCERR);
  CHECK(last.si_addr == readonly + 5);
}

TEST(segv_handler_can_mend_and_go_on) {
  static char *page;
  void mend(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    count++;
    if (info->si_addr == page) mprotect(page, 4096, PROT_READ | PROT_WRITE);
  }
  page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO};
  OK(sigaction(SIGSEGV, &action, NULL));
  *(volatile char *)page = 42;
  CHECK_EQ(*page, 42);
  CHECK_EQ(count, 1);
}

static int (*volatile recurse)(int);

static int go_deep(int n) {
  volatile char space[4096];
  space[0] = n;
  return recurse(n + 1) + space[0];
}

TEST(stack_overflow_on_the_alternate_stack) {
  static char stack[65536];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  OK(sigaltstack(&alternate, NULL));
  catch_fault(SIGSEGV, SA_ONSTACK);
  if (sigsetjmp(escape, 1) == 0) {
    recurse = go_deep;
    recurse(0);
  }
  CHECK_EQ(last.si_signo, SIGSEGV);
}

TEST(division_by_zero) {
  catch_fault(SIGFPE, 0);
  volatile int zero = 0;
  if (sigsetjmp(escape, 1) == 0) {
    __asm__ volatile("mov $1, %%eax\n\t cltd\n\t idivl %0" ::"m"(zero) : "eax", "edx");
    CHECK(0);
  }
  CHECK_EQ(last.si_code, FPE_INTDIV);
}

TEST(illegal_instruction_and_breakpoint) {
  catch_fault(SIGILL, 0);
  if (sigsetjmp(escape, 1) == 0) {
    __asm__ volatile("ud2");
    CHECK(0);
  }
  CHECK_EQ(last.si_signo, SIGILL);
  CHECK_EQ(last.si_code, ILL_ILLOPN);
  handle(SIGTRAP, on_signal, 0);
  __asm__ volatile("int3");
  CHECK_EQ(count, 1);
}

TEST(bus_error_past_the_end_of_a_file) {
  catch_fault(SIGBUS, 0);
  put_file("f", "short");
  int fd = OK(open("f", O_RDONLY));
  char *map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
  CHECK_EQ(map[0], 's');
  CHECK_EQ(map[4095], 0);
  if (sigsetjmp(escape, 1) == 0) {
    volatile char c = map[4096];
    (void)c;
    CHECK(0);
  }
  CHECK_EQ(last.si_code, BUS_ADRERR);
  CHECK(last.si_addr == map + 4096);
}

TEST(faults_cannot_be_ignored_or_blocked) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    signal(SIGSEGV, SIG_IGN);
    block(SIGSEGV);
    *(volatile int *)8 = 1;
    _exit(0);
  }
  CHECK_KILLED(pid, SIGSEGV);
}

TEST(context_is_readable_and_writable) {
  static volatile unsigned long seen;
  void skip(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *uc = context;
    seen = uc->uc_mcontext.gregs[REG_R12];
    uc->uc_mcontext.gregs[REG_R13] = 0x1234567890abcdefL;
    uc->uc_mcontext.gregs[REG_RIP] += 2;  // ud2
  }
  struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
  OK(sigaction(SIGILL, &action, NULL));
  unsigned long result;
  __asm__ volatile(
      "movabs $0x1122334455667788, %%r12\n\t"
      "ud2\n\t"
      "mov %%r13, %0"
      : "=r"(result)
      :
      : "r12", "r13");
  CHECK(seen == 0x1122334455667788UL);
  CHECK(result == 0x1234567890abcdefUL);
}

TEST(registers_survive_a_handler) {
  // All callee- and caller-saved registers but rsp, over a signal raised by a raw system call.
  handle(SIGUSR1, on_signal, 0);
  unsigned long bad;
  __asm__ volatile(
      "mov $0x101, %%rbx\n\t mov $0x202, %%r8\n\t mov $0x303, %%r9\n\t mov $0x404, %%r10\n\t"
      "mov $0x505, %%r12\n\t mov $0x606, %%r13\n\t mov $0x707, %%r14\n\t mov $0x808, %%r15\n\t"
      "mov $200, %%eax\n\t"  // tkill
      "syscall\n\t"
      "xor %%rdx, %%rdx\n\t"
      "sub $0x101, %%rbx\n\t or %%rbx, %%rdx\n\t sub $0x202, %%r8\n\t or %%r8, %%rdx\n\t"
      "sub $0x303, %%r9\n\t or %%r9, %%rdx\n\t sub $0x404, %%r10\n\t or %%r10, %%rdx\n\t"
      "sub $0x505, %%r12\n\t or %%r12, %%rdx\n\t sub $0x606, %%r13\n\t or %%r13, %%rdx\n\t"
      "sub $0x707, %%r14\n\t or %%r14, %%rdx\n\t sub $0x808, %%r15\n\t or %%r15, %%rdx\n\t"
      "or %%rax, %%rdx"
      : "=d"(bad)
      : "D"((long)gettid()), "S"((long)SIGUSR1)
      : "rax", "rcx", "r11", "rbx", "r8", "r9", "r10", "r12", "r13", "r14", "r15", "memory");
  CHECK_EQ(bad, 0);
  CHECK_EQ(count, 1);
}

TEST(floating_point_survives_a_handler) {
  static volatile double sink;
  void disturb(int signal) {
    (void)signal;
    count++;
    __asm__ volatile("pxor %%xmm0, %%xmm0\n\t pxor %%xmm1, %%xmm1\n\t pxor %%xmm15, %%xmm15" ::
                         : "xmm0", "xmm1", "xmm15");
    sink = sink * 3.5 + 1;
  }
  handle(SIGUSR1, disturb, 0);
  double a = 1.25, b = 2.5, c = 4.75;
  double ra, rb, rc;
  __asm__ volatile(
      "movsd %[a], %%xmm0\n\t movsd %[b], %%xmm1\n\t movsd %[c], %%xmm15\n\t"
      "mov $200, %%eax\n\t syscall\n\t"
      "movsd %%xmm0, %[ra]\n\t movsd %%xmm1, %[rb]\n\t movsd %%xmm15, %[rc]"
      : [ra] "=m"(ra), [rb] "=m"(rb), [rc] "=m"(rc)
      : [a] "m"(a), [b] "m"(b), [c] "m"(c), "D"((long)gettid()), "S"((long)SIGUSR1)
      : "rax", "rcx", "r11", "xmm0", "xmm1", "xmm15", "memory");
  CHECK_EQ(count, 1);
  CHECK(ra == a && rb == b && rc == c);
}

TEST(avx_survives_a_handler) {
  if (!__builtin_cpu_supports("avx")) SKIP("no AVX");
  void disturb(int signal) {
    (void)signal;
    count++;
    __asm__ volatile("vzeroall" ::: "memory");
  }
  handle(SIGUSR1, disturb, 0);
  unsigned char in[32], out[32];
  for (int i = 0; i < 32; i++) in[i] = i * 7;
  __asm__ volatile(
      "vmovdqu %[in], %%ymm5\n\t mov $200, %%eax\n\t syscall\n\t vmovdqu %%ymm5, %[out]\n\t"
      "vzeroupper"
      : [out] "=m"(out)
      : [in] "m"(in), "D"((long)gettid()), "S"((long)SIGUSR1)
      : "rax", "rcx", "r11", "xmm5", "memory");
  CHECK_EQ(count, 1);
  CHECK(memcmp(in, out, 32) == 0);
}

TEST(read_is_interrupted) {
  handle(SIGUSR1, on_signal, 0);
  int fds[2];
  OK(pipe(fds));
  send_later(SIGUSR1, WHEN_ASLEEP);
  char c;
  CHECK_ERR(read(fds[0], &c, 1), EINTR);
  CHECK_EQ(count, 1);
}

TEST(read_is_restarted) {
  handle(SIGUSR1, on_signal, SA_RESTART);
  int fds[2];
  OK(pipe(fds));
  pid_t parent = getpid();
  pid_t pid = OK(fork());
  if (pid == 0) {
    until_asleep(parent);
    kill(parent, SIGUSR1);
    sleep_ms(30);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    _exit(0);
  }
  char c;
  CHECK_EQ(OK(read(fds[0], &c, 1)), 1);
  CHECK_EQ(count, 1);
}

TEST(nanosleep_is_never_restarted_after_a_handler) {
  handle(SIGUSR1, on_signal, SA_RESTART);
  send_later(SIGUSR1, WHEN_ASLEEP);
  struct timespec long_time = {1000, 0}, rest = {0, 0};
  CHECK_ERR(nanosleep(&long_time, &rest), EINTR);
  CHECK(rest.tv_sec >= 900 && rest.tv_sec < 1000);
}

TEST(ignored_signals_do_not_interrupt) {
  signal(SIGUSR1, SIG_IGN);
  send_later(SIGUSR1, WHEN_ASLEEP);
  struct timespec t = {0, 100000000};
  long long start = now_ns();
  OK(nanosleep(&t, NULL));
  CHECK(now_ns() - start >= 100000000);
}

TEST(stop_and_continue_does_not_disturb_nanosleep) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    struct timespec t = {0, 150000000};
    long long start = now_ns();
    OK(nanosleep(&t, NULL));
    CHECK(now_ns() - start >= 150000000);
    _exit(0);
  }
  sleep_ms(30);
  OK(kill(pid, SIGSTOP));
  int status;
  OK(waitpid(pid, &status, WUNTRACED));
  OK(kill(pid, SIGCONT));
  CHECK_EXIT(pid, 0);
}

TEST(sigsuspend_swaps_the_mask) {
  handle(SIGUSR1, on_signal, 0);
  block(SIGUSR1);
  OK(raise(SIGUSR1));
  sigset_t empty;
  sigemptyset(&empty);
  CHECK_ERR(sigsuspend(&empty), EINTR);
  CHECK_EQ(count, 1);
  sigset_t mask;
  OK(sigprocmask(SIG_BLOCK, NULL, &mask));
  CHECK_EQ(sigismember(&mask, SIGUSR1), 1);
}

TEST(sigwaitinfo_takes_the_signal) {
  handle(SIGUSR1, on_signal, 0);
  block(SIGUSR1);
  pid_t pid = send_later(SIGUSR1, WHEN_ASLEEP);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  siginfo_t info;
  CHECK_EQ(OK(sigwaitinfo(&set, &info)), SIGUSR1);
  CHECK_EQ(info.si_pid, pid);
  CHECK_EQ(count, 0);
  struct timespec t = {0, 20000000};
  CHECK_ERR(sigtimedwait(&set, &info, &t), EAGAIN);
}

TEST(sigwaitinfo_is_interrupted_by_others) {
  handle(SIGUSR2, on_signal, SA_RESTART);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  send_later(SIGUSR2, WHEN_ASLEEP);
  CHECK_ERR(sigwaitinfo(&set, NULL), EINTR);
}

TEST(sigkill_and_sigstop_cannot_be_caught) {
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_ERR(sigaction(SIGKILL, &action, NULL), EINVAL);
  CHECK_ERR(sigaction(SIGSTOP, &action, NULL), EINVAL);
  CHECK_ERR(sigaction(0, &action, NULL), EINVAL);
  CHECK_ERR(sigaction(65, &action, NULL), EINVAL);
  sigset_t all, got;
  sigfillset(&all);
  OK(sigprocmask(SIG_SETMASK, &all, NULL));
  OK(sigprocmask(SIG_BLOCK, NULL, &got));
  CHECK_EQ(sigismember(&got, SIGKILL), 0);
  CHECK_EQ(sigismember(&got, SIGSTOP), 0);
}

TEST(default_actions) {
  static const int deadly[] = {SIGHUP,    SIGINT,  SIGPIPE, SIGALRM, SIGTERM,  SIGUSR1,
                               SIGVTALRM, SIGPROF, SIGIO,   SIGPWR,  SIGSTKFLT};
  for (unsigned i = 0; i < sizeof deadly / sizeof *deadly; i++) {
    pid_t pid = OK(fork());
    if (pid == 0) {
      raise(deadly[i]);
      _exit(0);
    }
    CHECK_KILLED(pid, deadly[i]);
  }
  static const int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
  for (unsigned i = 0; i < sizeof harmless / sizeof *harmless; i++) OK(raise(harmless[i]));
}

TEST(sigpipe_on_write) {
  int fds[2];
  OK(pipe(fds));
  close(fds[0]);
  handle_info(SIGPIPE, 0);
  CHECK_ERR(write(fds[1], "x", 1), EPIPE);
  CHECK_EQ(count, 1);
  signal(SIGPIPE, SIG_IGN);
  CHECK_ERR(write(fds[1], "x", 1), EPIPE);
}

TEST(continue_clears_pending_stops) {
  block(SIGTSTP);
  OK(raise(SIGTSTP));
  sigset_t pending;
  OK(sigpending(&pending));
  CHECK_EQ(sigismember(&pending, SIGTSTP), 1);
  OK(raise(SIGCONT));
  OK(sigpending(&pending));
  CHECK_EQ(sigismember(&pending, SIGTSTP), 0);
}

TEST(terminal_stops_are_ignored_in_orphaned_groups) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setsid());
    OK(raise(SIGTSTP));
    _exit(3);
  }
  CHECK_EXIT(pid, 3);
}

TEST(signals_to_a_group) {
  signal(SIGUSR1, SIG_IGN);
  int fds[2];
  OK(pipe(fds));
  for (int i = 0; i < 3; i++) {
    if (OK(fork()) == 0) {
      signal(SIGUSR1, SIG_DFL);
      CHECK_EQ(write(fds[1], "x", 1), 1);
      for (;;) pause();
    }
  }
  char c;
  for (int i = 0; i < 3; i++) CHECK_EQ(read(fds[0], &c, 1), 1);
  OK(kill(0, SIGUSR1));
  for (int i = 0; i < 3; i++) {
    int status;
    OK(wait(&status));
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGUSR1);
  }
}

static void *thread_waits(void *arg) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  siginfo_t info;
  *(int *)arg = sigwaitinfo(&set, &info);
  return NULL;
}

TEST(process_signals_go_to_a_thread_that_takes_them) {
  block(SIGUSR1);
  int got = 0;
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, thread_waits, &got), 0);
  sleep_ms(30);
  OK(kill(getpid(), SIGUSR1));
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(got, SIGUSR1);
}

static volatile pid_t handler_tid;

static void note_tid(int signal) {
  (void)signal;
  handler_tid = gettid();
}

static void *thread_spins(void *arg) {
  *(volatile pid_t *)arg = gettid();
  while (handler_tid == 0) sleep_ms(1);
  return NULL;
}

TEST(pthread_kill_hits_the_thread) {
  handle(SIGUSR1, note_tid, 0);
  volatile pid_t tid = 0;
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, thread_spins, (void *)&tid), 0);
  while (tid == 0) sleep_ms(1);
  CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(handler_tid, tid);
}

TEST(a_spinning_process_takes_signals) {
  handle(SIGUSR1, on_signal, 0);
  send_later(SIGUSR1, 30);
  long long end = now_ns() + 60000000000LL;
  while (count == 0 && now_ns() < end) {
  }
  CHECK_EQ(count, 1);
  // Without a single system call in the loop.
  send_later(SIGUSR1, 30);
  while (count == 1) {
  }
}

TEST(nested_handlers) {
  static volatile int trace[8], length;
  void outer(int signal) {
    trace[length++] = signal;
    raise(SIGUSR2);
    trace[length++] = -signal;
  }
  void inner(int signal) { trace[length++] = signal; }
  handle(SIGUSR1, outer, 0);
  handle(SIGUSR2, inner, 0);
  OK(raise(SIGUSR1));
  CHECK_EQ(length, 3);
  CHECK_EQ(trace[0], SIGUSR1);
  CHECK_EQ(trace[1], SIGUSR2);
  CHECK_EQ(trace[2], -SIGUSR1);
}

TEST(permission_to_signal) {
  pid_t victim = OK(fork());
  if (victim == 0) {
    for (;;) pause();
  }
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setresuid(1234, 1234, 1234));
    CHECK_ERR(kill(victim, SIGTERM), EPERM);
    CHECK_ERR(kill(victim, 0), EPERM);
    OK(kill(victim, SIGCONT));  // same session
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  OK(kill(victim, SIGKILL));
  CHECK_KILLED(victim, SIGKILL);
}

static unsigned entry_mxcsr, entry_control, entry_vector;

static void note_vector_state(__attribute__((unused)) int signal) {
  unsigned short control;
  unsigned lane, mxcsr;
  __asm__ volatile("movd %%xmm7, %0; fnstcw %1; stmxcsr %2"
                   : "=r"(lane), "=m"(control), "=m"(mxcsr));
  entry_vector = lane;
  entry_control = control;
  entry_mxcsr = mxcsr;
}

// A handler begins with the processor's initial state, and the interrupted code gets its own back.
TEST(handlers_start_with_fresh_fp_state) {
  signal(SIGUSR1, note_vector_state);
  unsigned usual, odd = 0x7f80, lane_before = 0x1234, lane, mxcsr;
  unsigned short control = 0xf7f, control_after;
  long pid = getpid(), result;
  __asm__ volatile("stmxcsr %0" : "=m"(usual));
  __asm__ volatile(
      "ldmxcsr %[odd]; fldcw %[control]; movd %[before], %%xmm7; syscall; movd %%xmm7, %[lane]; "
      "stmxcsr %[mxcsr]; fnstcw %[after]; ldmxcsr %[usual]; fninit"
      : "=a"(result), [lane] "=&r"(lane), [mxcsr] "=m"(mxcsr), [after] "=m"(control_after)
      : "0"((long)SYS_kill), "D"(pid), "S"((long)SIGUSR1), [odd] "m"(odd), [control] "m"(control),
        [before] "r"(lane_before), [usual] "m"(usual)
      : "rcx", "r11", "memory", "xmm7");
  CHECK_EQ(result, 0);
  CHECK_EQ(entry_mxcsr, 0x1f80);
  CHECK_EQ(entry_control, 0x37f);
  CHECK_EQ(entry_vector, 0);
  CHECK_EQ(lane, lane_before);
  CHECK_EQ(mxcsr, odd);
  CHECK_EQ(control_after, control);
}

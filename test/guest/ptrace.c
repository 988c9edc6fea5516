// SPDX-License-Identifier: Apache-2.0
// ptrace(2): bonds, stops, registers, memory, events, and who may trace whom.
#include "check.h"

#include <elf.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#define TRACE(REQUEST, PID, ADDR, DATA) \
  ptrace(REQUEST, PID, (void *)(long)(ADDR), (void *)(long)(DATA))

static int wait_for(pid_t pid) {
  int status;
  CHECK_EQ(waitpid(pid, &status, __WALL), pid);
  return status;
}

// A child that asked to be traced and stands in its SIGSTOP. It calls `run` when it goes on.
static pid_t traced_child(void (*run)(void)) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(90);
    raise(SIGSTOP);
    run();
    _exit(0);
  }
  int status = wait_for(pid);
  CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  OK(TRACE(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
  return pid;
}

static void end(pid_t pid) {
  kill(pid, SIGKILL);
  int status = wait_for(pid);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void nothing(void) {}
static void exit_seven(void) { _exit(7); }
static void call_getppid(void) { _exit(syscall(SYS_getppid) == 4242 ? 5 : 6); }

TEST(stopped_child_goes_on) {
  pid_t pid = traced_child(exit_seven);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  int status = wait_for(pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  CHECK_ERR(TRACE(PTRACE_CONT, pid, 0, 0), ESRCH);
}

TEST(requests_want_a_stopped_tracee) {
  struct user_regs_struct regs;
  CHECK_ERR(ptrace(PTRACE_GETREGS, 1, 0, &regs), ESRCH);
  CHECK_ERR(ptrace(PTRACE_GETREGS, getpid(), 0, &regs), ESRCH);
  CHECK_ERR(ptrace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
  CHECK_ERR(ptrace(PTRACE_ATTACH, 4000000, 0, 0), ESRCH);
  pid_t pid = traced_child(nothing);
  CHECK_ERR(TRACE(PTRACE_CONT, pid, 0, 65), EIO);
  CHECK_ERR(TRACE(PTRACE_SETOPTIONS, pid, 0, 0x40000000), EINVAL);
  CHECK_ERR(TRACE(PTRACE_SEIZE, pid, 0, 0), EPERM);
  CHECK_ERR(TRACE(999, pid, 0, 0), EIO);
  CHECK_ERR(TRACE(PTRACE_LISTEN, pid, 0, 0), EIO);
  CHECK_ERR(TRACE(PTRACE_INTERRUPT, pid, 0, 0), EIO);
  end(pid);
}

TEST(calls_stop_twice) {
  pid_t pid = traced_child(call_getppid);
  struct user_regs_struct regs = {0};
  for (;;) {
    OK(TRACE(PTRACE_SYSCALL, pid, 0, 0));
    int status = wait_for(pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80));
    OK(ptrace(PTRACE_GETREGS, pid, 0, &regs));
    if (regs.orig_rax == SYS_getppid) break;
  }
  CHECK_EQ((long)regs.rax, -ENOSYS);
  siginfo_t info;
  OK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info));
  CHECK_EQ(info.si_signo, SIGTRAP);
  CHECK_EQ(info.si_code, SIGTRAP | 0x80);
  OK(TRACE(PTRACE_SYSCALL, pid, 0, 0));
  CHECK_EQ(WSTOPSIG(wait_for(pid)), SIGTRAP | 0x80);
  OK(ptrace(PTRACE_GETREGS, pid, 0, &regs));
  CHECK_EQ((long)regs.orig_rax, SYS_getppid);
  CHECK_EQ((long)regs.rax, getpid());
  regs.rax = 4242;
  OK(ptrace(PTRACE_SETREGS, pid, 0, &regs));
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 5);
}

// At the entry a tracer can put another call, or none, in the place of the one at hand.
TEST(calls_can_be_changed) {
  pid_t pid = traced_child(call_getppid);
  struct user_regs_struct regs = {0};
  do {
    OK(TRACE(PTRACE_SYSCALL, pid, 0, 0));
    wait_for(pid);
    OK(ptrace(PTRACE_GETREGS, pid, 0, &regs));
  } while (regs.orig_rax != SYS_getppid);
  regs.orig_rax = -1;
  regs.rax = 4242;
  OK(ptrace(PTRACE_SETREGS, pid, 0, &regs));
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 5);
}

TEST(emulated_calls_are_not_made) {
  pid_t pid = traced_child(call_getppid);
  struct user_regs_struct regs = {0};
  OK(TRACE(PTRACE_SYSEMU, pid, 0, 0));
  wait_for(pid);
  OK(ptrace(PTRACE_GETREGS, pid, 0, &regs));
  while (regs.orig_rax != SYS_getppid) {
    // What raise(3) still calls is answered with success.
    regs.rax = 0;
    OK(ptrace(PTRACE_SETREGS, pid, 0, &regs));
    OK(TRACE(PTRACE_SYSEMU, pid, 0, 0));
    CHECK_EQ(WSTOPSIG(wait_for(pid)) & 0x7f, SIGTRAP);
    OK(ptrace(PTRACE_GETREGS, pid, 0, &regs));
  }
  regs.rax = 4242;
  OK(ptrace(PTRACE_SETREGS, pid, 0, &regs));
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 5);
}

TEST(syscall_info) {
  struct {
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t ip, sp, words[9];
  } info;
  pid_t pid = traced_child(call_getppid);
  do {
    OK(TRACE(PTRACE_SYSCALL, pid, 0, 0));
    wait_for(pid);
    memset(&info, 0, sizeof info);
    CHECK(ptrace(0x420e, pid, sizeof info, &info) >= 33);
  } while (!(info.op == 1 && info.words[0] == SYS_getppid));
  CHECK_EQ(info.arch, 0xc000003e);
  CHECK_EQ(ptrace(0x420e, pid, sizeof info, &info), 80);
  OK(TRACE(PTRACE_SYSCALL, pid, 0, 0));
  wait_for(pid);
  CHECK_EQ(ptrace(0x420e, pid, sizeof info, &info), 33);
  CHECK_EQ(info.op, 2);
  CHECK_EQ(info.words[0], (uint64_t)getpid());
  end(pid);
}

static void raise_usr1(void) {
  raise(SIGUSR1);
  _exit(3);
}

TEST(signals_pass_the_tracer) {
  pid_t pid = traced_child(raise_usr1);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  int status = wait_for(pid);
  CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
  siginfo_t info;
  OK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info));
  CHECK_EQ(info.si_signo, SIGUSR1);
  CHECK_EQ(info.si_pid, pid);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));  // Suppressed.
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 3);

  pid = traced_child(raise_usr1);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  wait_for(pid);
  OK(TRACE(PTRACE_CONT, pid, 0, SIGTERM));  // Another in its place.
  status = wait_for(pid);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

// A signal that the tracee ignores is still shown to the tracer.
static void raise_ignored(void) {
  signal(SIGUSR2, SIG_IGN);
  raise(SIGUSR2);
  _exit(4);
}

TEST(ignored_signals_are_shown) {
  pid_t pid = traced_child(raise_ignored);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WSTOPSIG(wait_for(pid)), SIGUSR2);
  OK(TRACE(PTRACE_CONT, pid, 0, SIGUSR2));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 4);
}

static volatile long shared_word = 0x1122334455667788;
static const long constant_word = 0x0102030405060708;

static void exit_by_words(void) {
  const volatile long *constant = &constant_word;
  _exit(shared_word == 99 && *constant == 77 ? 9 : 8);
}

TEST(memory_is_read_and_written) {
  pid_t pid = traced_child(exit_by_words);
  errno = 0;
  CHECK_EQ(ptrace(PTRACE_PEEKDATA, pid, &shared_word, 0), 0x1122334455667788);
  CHECK_EQ(errno, 0);
  OK(ptrace(PTRACE_POKEDATA, pid, &shared_word, 99));
  // Read-only memory of the process: it gets a page of its own.
  OK(ptrace(PTRACE_POKETEXT, pid, &constant_word, 77));
  CHECK_EQ(constant_word, 0x0102030405060708);
  CHECK_ERR(ptrace(PTRACE_PEEKDATA, pid, 8, 0), EIO);
  CHECK_ERR(ptrace(PTRACE_POKEDATA, pid, 8, 0), EIO);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 9);
}

TEST(memory_file_writes_text) {
  pid_t pid = traced_child(exit_by_words);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int fd = OK(open(path, O_RDWR));
  long word = 99;
  CHECK_EQ(pwrite(fd, &word, sizeof word, (off_t)&shared_word), (ssize_t)sizeof word);
  word = 77;
  CHECK_EQ(pwrite(fd, &word, sizeof word, (off_t)&constant_word), (ssize_t)sizeof word);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 9);
}

static void run_breakpoint(void) {
  __asm__ volatile("int3");
  _exit(11);
}

TEST(breakpoint_and_single_step) {
  pid_t pid = traced_child(run_breakpoint);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WSTOPSIG(wait_for(pid)), SIGTRAP);
  struct user_regs_struct before, after;
  OK(ptrace(PTRACE_GETREGS, pid, 0, &before));
  CHECK_EQ((long)before.orig_rax, -1);
  for (int step = 0; step < 3; step++) {
    OK(TRACE(PTRACE_SINGLESTEP, pid, 0, 0));
    CHECK_EQ(WSTOPSIG(wait_for(pid)), SIGTRAP);
    OK(ptrace(PTRACE_GETREGS, pid, 0, &after));
    CHECK(after.rip != before.rip);
    CHECK_EQ((long)(after.eflags & 0x100), 0);
    before = after;
  }
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 11);
}

static void run_vectors(void) {
  double got;
  __asm__ volatile("mov $0x3ff8000000000000, %%rax\n movq %%rax, %%xmm3\n int3\n movq %%xmm3, %0"
                   : "=r"(got)
                   :
                   : "rax", "xmm3");
  _exit(got == 2.5 ? 12 : 13);
}

TEST(vector_registers) {
  pid_t pid = traced_child(run_vectors);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WSTOPSIG(wait_for(pid)), SIGTRAP);
  struct user_fpregs_struct fp;
  OK(ptrace(PTRACE_GETFPREGS, pid, 0, &fp));
  double value;
  memcpy(&value, (char *)fp.xmm_space + 3 * 16, sizeof value);
  CHECK(value == 1.5);
  value = 2.5;
  memcpy((char *)fp.xmm_space + 3 * 16, &value, sizeof value);
  OK(ptrace(PTRACE_SETFPREGS, pid, 0, &fp));
  static char state[16384] __attribute__((aligned(64)));
  struct iovec vector = {state, sizeof state};
  OK(ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &vector));
  CHECK(vector.iov_len > 512 && vector.iov_len < sizeof state);
  CHECK(memcmp(state + 160 + 3 * 16, &value, sizeof value) == 0);
  OK(ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &vector));
  vector.iov_len = sizeof state;
  OK(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector));
  CHECK_EQ((long)vector.iov_len, (long)sizeof(struct user_regs_struct));
  CHECK_ERR(ptrace(PTRACE_GETREGSET, pid, 77, &vector), EINVAL);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 12);
}

static void fork_once(void) {
  pid_t pid = fork();
  if (pid == 0) _exit(21);
  int status;
  waitpid(pid, &status, 0);
  _exit(WEXITSTATUS(status));
}

TEST(fork_is_an_event) {
  pid_t pid = traced_child(fork_once);
  OK(TRACE(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_EXITKILL));
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  int status = wait_for(pid);
  CHECK_EQ(status >> 8, SIGTRAP | (PTRACE_EVENT_FORK << 8));
  unsigned long child = 0;
  OK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &child));
  CHECK_EQ(WSTOPSIG(wait_for((pid_t)child)), SIGSTOP);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  OK(TRACE(PTRACE_CONT, child, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for((pid_t)child)), 21);
  // The child's parent hears of it after its tracer did, and of SIGCHLD so does the tracer.
  CHECK_EQ(WSTOPSIG(wait_for(pid)), SIGCHLD);
  OK(TRACE(PTRACE_CONT, pid, 0, SIGCHLD));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 21);
}

static void *thread_body(void *argument) { return argument; }

static void make_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, thread_body, NULL) != 0) _exit(31);
  pthread_join(thread, NULL);
  _exit(22);
}

TEST(threads_are_traced_and_waited_for) {
  pid_t pid = traced_child(make_thread);
  OK(TRACE(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL));
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(wait_for(pid) >> 8, SIGTRAP | (PTRACE_EVENT_CLONE << 8));
  unsigned long thread = 0;
  OK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &thread));
  CHECK_EQ(WSTOPSIG(wait_for((pid_t)thread)), SIGSTOP);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  OK(TRACE(PTRACE_CONT, thread, 0, 0));
  int status = wait_for((pid_t)thread);
  // Whoever joins can end the process before the thread is quite gone.
  CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 22));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 22);
}

static void exec_true(void) {
  execl(check_self, check_self, "@leave", NULL);
  _exit(32);
}

HELPER(leave) {
  (void)argc, (void)argv;
  return 23;
}

TEST(exec_is_an_event) {
  pid_t pid = traced_child(exec_true);
  OK(TRACE(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL));
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(wait_for(pid) >> 8, SIGTRAP | (PTRACE_EVENT_EXEC << 8));
  unsigned long message = 0;
  OK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &message));
  CHECK_EQ((pid_t)message, pid);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(wait_for(pid) >> 8, SIGTRAP | (PTRACE_EVENT_EXIT << 8));
  OK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &message));
  CHECK_EQ((int)message, 23 << 8);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 23);
}

TEST(exec_traps_without_options) {
  pid_t pid = traced_child(exec_true);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  int status = wait_for(pid);
  CHECK_EQ(status >> 8, SIGTRAP);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 23);
}

static pid_t busy_child(void) {
  pid_t pid = OK(fork());
  if (pid == 0)
    for (volatile long i = 0;; i++) continue;
  return pid;
}

TEST(attach_and_detach) {
  pid_t pid = busy_child();
  OK(TRACE(PTRACE_ATTACH, pid, 0, 0));
  CHECK_EQ(wait_for(pid) >> 8, SIGSTOP);
  char text[4096] = "", path[64];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  int fd = OK(open(path, O_RDONLY));
  CHECK(read(fd, text, sizeof text - 1) > 0);
  CHECK(strstr(text, "State:\tt (tracing stop)") != NULL);
  char want[32];
  snprintf(want, sizeof want, "TracerPid:\t%d\n", getpid());
  CHECK(strstr(text, want) != NULL);
  OK(TRACE(PTRACE_DETACH, pid, 0, 0));
  CHECK_ERR(TRACE(PTRACE_CONT, pid, 0, 0), ESRCH);
  OK(TRACE(PTRACE_ATTACH, pid, 0, 0));
  CHECK_EQ(wait_for(pid) >> 8, SIGSTOP);
  OK(TRACE(PTRACE_DETACH, pid, 0, SIGTERM));
  int status = wait_for(pid);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST(seize_and_interrupt) {
  pid_t pid = busy_child();
  CHECK_ERR(TRACE(PTRACE_SEIZE, pid, 0, 0x40000000), EIO);
  OK(TRACE(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL));
  CHECK_ERR(TRACE(PTRACE_CONT, pid, 0, 0), ESRCH);
  OK(TRACE(PTRACE_INTERRUPT, pid, 0, 0));
  CHECK_EQ(wait_for(pid) >> 8, SIGTRAP | (128 << 8));
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  // A stop of the whole process is told as such, and can be listened to.
  OK(kill(pid, SIGSTOP));
  CHECK_EQ(wait_for(pid) >> 8, SIGSTOP);
  OK(TRACE(PTRACE_CONT, pid, 0, SIGSTOP));
  CHECK_EQ(wait_for(pid) >> 8, SIGSTOP | (128 << 8));
  OK(TRACE(PTRACE_LISTEN, pid, 0, 0));
  OK(kill(pid, SIGCONT));
  CHECK_EQ(wait_for(pid) >> 8, SIGTRAP | (128 << 8));
  end(pid);
}

// An interrupted call goes on, and its caller never knows.
TEST(interrupted_call_is_restarted) {
  int ends[2];
  OK(pipe(ends));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char byte;
    _exit(read(ends[0], &byte, 1) == 1 ? 41 : 42);
  }
  OK(TRACE(PTRACE_SEIZE, pid, 0, 0));
  OK(TRACE(PTRACE_INTERRUPT, pid, 0, 0));
  wait_for(pid);
  OK(TRACE(PTRACE_CONT, pid, 0, 0));
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(WEXITSTATUS(wait_for(pid)), 41);
}

TEST(end_of_the_tracer) {
  int told[2];
  OK(pipe(told));
  pid_t tracer = OK(fork());
  if (tracer == 0) {
    pid_t kept = busy_child(), killed = busy_child();
    if (ptrace(PTRACE_SEIZE, kept, 0, 0) != 0) _exit(1);
    if (ptrace(PTRACE_SEIZE, killed, 0, (void *)PTRACE_O_EXITKILL) != 0) _exit(2);
    pid_t both[2] = {kept, killed};
    _exit(write(told[1], both, sizeof both) == sizeof both ? 0 : 3);
  }
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  pid_t both[2];
  CHECK_EQ(read(told[0], both, sizeof both), (ssize_t)sizeof both);
  CHECK_EXIT(tracer, 0);
  int status = wait_for(both[1]);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  CHECK_EQ(waitpid(both[0], &status, WNOHANG), 0);
  end(both[0]);
}

// As ptrace_scope 1 has it: only ancestors, or who was allowed, or who may trace everybody.
TEST(others_may_not_attach) {
  if (geteuid() != 0) SKIP("needs root");
  pid_t victim = OK(fork());
  if (victim == 0) {
    if (setresuid(4242, 4242, 4242) != 0) _exit(1);
    for (;;) pause();
  }
  pid_t other = OK(fork());
  if (other == 0) {
    if (setresuid(4243, 4243, 4243) != 0) _exit(1);
    _exit(ptrace(PTRACE_ATTACH, victim, 0, 0) == -1 && errno == EPERM ? 0 : 2);
  }
  CHECK_EXIT(other, 0);
  end(victim);
}

// A set-user-ID program gains nothing while somebody without rights traces it.
HELPER(show_euid) {
  (void)argc, (void)argv;
  return geteuid() == 0 ? 51 : 52;
}

TEST(traced_programs_gain_nothing) {
  if (geteuid() != 0) SKIP("needs root");
  char command[PATH_MAX + 64];
  snprintf(command, sizeof command, "cp '%s' gains && chmod 4755 gains && chmod 755 .", check_self);
  if (system(command) != 0) SKIP("no copy");
  pid_t tracer = OK(fork());
  if (tracer == 0) {
    if (setresgid(4242, 4242, 4242) != 0 || setresuid(4242, 4242, 4242) != 0) _exit(1);
    pid_t pid = fork();
    if (pid == 0) {
      ptrace(PTRACE_TRACEME, 0, 0, 0);
      execl("gains", "gains", "@show_euid", NULL);
      _exit(2);
    }
    int status;
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) ptrace(PTRACE_CONT, pid, 0, 0);
    _exit(WEXITSTATUS(status));
  }
  CHECK_EXIT(tracer, 52);
}

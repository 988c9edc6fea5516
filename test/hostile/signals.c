// SPDX-License-Identifier: Apache-2.0
// Signal frames, alternate stacks and handlers that are garbage; signal storms.
#include <sys/time.h>
#include <sys/ucontext.h>

#include "hostile.h"

static char alternate[65536];

// What a handler does to its own frame before rt_sigreturn takes it back.
static int frame_mode;
static void ruin_frame(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  ucontext_t *frame = context;
  greg_t *regs = frame->uc_mcontext.gregs;
  uint8_t *fp = (uint8_t *)frame->uc_mcontext.fpregs;
  switch (frame_mode) {
    case 0:
      regs[REG_RIP] = 0x8000000000000000;
      break;
    case 1:
      regs[REG_RIP] = (greg_t)0xffff888000000000;
      break;
    case 2:
      regs[REG_RSP] = 0x4141414141414141;
      break;
    case 3:
      regs[REG_CSGSFS] = 0;
      break;
    case 4:
      regs[REG_CSGSFS] = 0x2b00000000000010;  // the kernel's own code segment
      break;
    case 5:
      regs[REG_CSGSFS] = 0x002b000000000023;  // 32-bit code
      break;
    case 6:
      regs[REG_CSGSFS] = ~0L;
      break;
    case 7:
      regs[REG_EFL] = ~0L;
      break;
    case 8:
      frame->uc_mcontext.fpregs = (void *)1;
      break;
    case 9:
      frame->uc_mcontext.fpregs = (void *)0xffffffff80000000;
      break;
    case 10:
      memset(fp, 0xff, 512);
      break;
    case 11:  // sizes in the software bytes
      memset(fp + 464, 0xff, 48);
      break;
    case 12: {
      uint32_t size = 0x7fffffff;
      memcpy(fp + 468, &size, 4);
      break;
    }
    case 13:  // header of the extended state
      memset(fp + 512, 0xff, 64);
      break;
    case 14:
      memset(fp + 576, 0xff, 256);
      break;
    case 15:
      for (int i = 0; i < 23; i++) regs[i] = (greg_t)random64();
      break;
    case 16:
      memset(&frame->uc_sigmask, 0xff, sizeof frame->uc_sigmask);
      break;
    case 17:
      frame->uc_stack.ss_sp = (void *)0xfffffffffffff000;
      frame->uc_stack.ss_size = ~0UL;
      frame->uc_stack.ss_flags = 0x7fffffff;
      break;
    case 18:
      frame->uc_flags = ~0UL;
      break;
    case 19:
      regs[REG_RIP] = 0x7f0000000000;
      break;
    case 20:
      regs[REG_RSP] = 0x7efffffffff8;
      break;
    case 21:
      frame->uc_mcontext.fpregs = (void *)((uintptr_t)fp + 1);
      break;
    case 22:
      frame->uc_mcontext.fpregs = NULL;
      break;
  }
}

static void ruin(int mode) {
  seed_random(mode);
  frame_mode = mode;
  alarm(2);
  struct sigaction action = {.sa_sigaction = ruin_frame, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  for (int i = 0; i < 3; i++) {
    raise(SIGUSR1);
    volatile double x = 1.5;
    if (x * 2 != 3.0) _exit(0);
  }
}

TEST(ruined_frames_kill_only_their_process) {
  for (int mode = 0; mode <= 22; mode++) run_attack(ruin, mode, 1000);
  check_well();
}

static void return_from_nowhere(int mode) {
  static char page[8192];
  seed_random(mode);
  for (size_t i = 0; i < sizeof page; i++) page[i] = (char)random64();
  static const uintptr_t stacks[] = {
      0, 8, 0x7effffffffff, 0x8000000000000000, ~0UL, 0x7f0000000000};
  uintptr_t stack = mode < 6 ? stacks[mode] : (uintptr_t)page + random_below(4096);
  __asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" ::"r"(stack));
}

TEST(sigreturn_from_random_memory) {
  for (int mode = 0; mode < 30; mode++) run_attack(return_from_nowhere, mode, 1000);
  check_well();
}

static void bad_handler(int mode) {
  static const uintptr_t places[] = {1 << 4,          0x7f0000000000,     0xffffffff80000000,
                                     0x8000000000000, 0xffffffffff600000, 0x7efffffff000};
  struct sigaction action = {.sa_handler = (void (*)(int))places[mode]};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGILL, &action, NULL);
  raise(SIGUSR1);
}

TEST(handlers_where_nothing_is) {
  for (int mode = 0; mode < 6; mode++) {
    // The vsyscall page has something: a call that fails.
    CHECK(WIFSIGNALED(run_attack(bad_handler, mode, 2000)) || mode == 4);
  }
  check_well();
}

struct raw_action {
  uintptr_t handler;
  unsigned long flags;
  uintptr_t restorer;
  uint64_t mask;
};

static void handle(int signal) { (void)signal; }

static void bad_restorer(int mode) {
  static const uintptr_t places[] = {0, 0x7f0000000000, ~0UL, 0xffffffff80000000};
  struct raw_action action = {(uintptr_t)handle, 0x04000000, places[mode], 0};
  CHECK_EQ(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8), 0);
  raise(SIGUSR1);
}

TEST(restorers_where_nothing_is) {
  for (int mode = 0; mode < 4; mode++) {
    CHECK(WIFSIGNALED(run_attack(bad_restorer, mode, 2000)));
  }
}

static void bad_stack(int mode) {
  static const uintptr_t places[] = {0x1000, 0x7f0000000000, 0xffffffff80000000, 0x7effffff0000,
                                     ~0UL};
  stack_t stack = {.ss_sp = (void *)places[mode % 5], .ss_size = 8192};
  stack_t odd = {.ss_sp = alternate, .ss_size = mode & 8 ? ~0UL : 4096, .ss_flags = 0};
  sigaltstack(mode < 5 ? &stack : &odd, NULL);
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  raise(SIGUSR1);
}

TEST(alternate_stacks_where_nothing_is) {
  for (int mode = 0; mode < 16; mode++) run_attack(bad_stack, mode, 1000);
  check_well();
}

// A handler for SIGSEGV that faults at once, on a stack that runs out.
static void recurse(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  *(volatile char *)1 = 1;
}

static void fault_forever(int mode) {
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  if (mode & 1) sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = recurse,
                             .sa_flags = SA_SIGINFO | SA_NODEFER | (mode & 1 ? SA_ONSTACK : 0)};
  sigaction(SIGSEGV, &action, NULL);
  *(volatile char *)1 = 1;
}

TEST(faults_in_fault_handlers) {
  run_attack(fault_forever, 0, 3000);
  run_attack(fault_forever, 1, 3000);
  check_well();
}

static void storm(int unused) {
  (void)unused;
  for (int i = 1; i < 65; i++) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = i % 2 ? SA_NODEFER : 0};
    sigaction(i, &action, NULL);
  }
  pid_t parent = getpid();
  for (int i = 0; i < 3; i++) {
    if (fork() != 0) continue;
    for (;;) {
      if (kill(parent, 1 + (int)random_below(8)) < 0) _exit(0);
      union sigval value = {.sival_int = 1};
      sigqueue(parent, SIGRTMIN + (int)random_below(30), value);
    }
  }
  struct itimerval tick = {{0, 100}, {0, 100}};
  setitimer(ITIMER_REAL, &tick, NULL);
  for (;;) {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    sigpending(&set);
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
  }
}

TEST(signal_storms) {
  run_attack(storm, 0, 1000);
  check_well();
}

// The frame's place disappears while a signal is under way.
static void *pull_the_rug(void *page) {
  for (;;) {
    mprotect(page, 65536, PROT_NONE);
    mprotect(page, 65536, PROT_READ | PROT_WRITE);
  }
  return NULL;
}

static void raced_frames(int unused) {
  (void)unused;
  void *page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t stack = {.ss_sp = page, .ss_size = 65536};
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, NULL);
  pthread_t thread;
  pthread_create(&thread, NULL, pull_the_rug, page);
  for (;;) raise(SIGUSR1);
}

TEST(frames_on_memory_that_goes_away) {
  for (int i = 0; i < 5; i++) run_attack(raced_frames, 0, 300);
  check_well();
}

// ---- calls by other doors ----

static void i386_call(int nr) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(0), "c"(0), "d"(0) : "memory");
  _exit(3);
}

TEST(i386_calls_kill_or_fail) {
  static const int numbers[] = {1, 2, 4, 5, 11, 20, 37, 120, 0, -1};
  for (int i = 0; i < 10; i++) run_attack(i386_call, numbers[i], 1000);
  check_well();
}

TEST(x32_calls_are_absent) {
  CHECK_ERR(syscall(0x40000000 | SYS_getpid), ENOSYS);
  CHECK_ERR(syscall(0x40000000 | SYS_mmap, 0, 4096, 3, 0x22, -1, 0), ENOSYS);
  CHECK_ERR(syscall(512), ENOSYS);
  CHECK_ERR(syscall(-1L), ENOSYS);
  CHECK_ERR(syscall(0xffffffff00000000UL | SYS_mount), EFAULT);  // only 32 bits count
}

static void vsyscall(int which) {
  static const uintptr_t places[] = {0xffffffffff600000, 0xffffffffff600400, 0xffffffffff600800,
                                     0xffffffffff600001, 0xffffffffff600c00, 0xffffffffff601000};
  long (*call)(void *, void *) = (long (*)(void *, void *))places[which];
  static char result[64];
  call(which == 4 ? (void *)8 : result, NULL);
}

TEST(calls_into_the_vsyscall_page) {
  for (int which = 0; which < 6; which++) run_attack(vsyscall, which, 1000);
  check_well();
}

TEST(calls_from_made_code) {
  unsigned char *code =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(code != MAP_FAILED);
  memcpy(code, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);
  CHECK_EQ(((int (*)(void))code)(), getpid());
  // The call as the last bytes before a hole.
  memcpy(code + 4096 - 7, "\xb8\x27\x00\x00\x00\x0f\x05", 7);
  fflush(stdout);
  pid_t pid = OK(fork());
  if (pid == 0) ((void (*)(void))(code + 4096 - 7))();
  CHECK_KILLED(pid, SIGSEGV);
  // sysenter, and other ways into a kernel.
  static const char *const ways[] = {"\x0f\x34\xc3", "\x0f\x07\xc3",     "\xcd\x81\xc3",
                                     "\xf4\xc3",     "\x0f\x01\xc1\xc3", "\x0f\x30\xc3",
                                     "\xcd\x03\xc3", "\xf1\xc3"};
  for (int i = 0; i < 8; i++) {
    memcpy(code, ways[i], 5);
    pid = OK(fork());
    if (pid == 0) {
      ((void (*)(void))code)();
      _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
  }
  check_well();
}

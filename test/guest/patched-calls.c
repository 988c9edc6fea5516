// SPDX-License-Identifier: Apache-2.0
// System calls that are made again and again from one place: a kernel may rewrite the instruction
// (runts does), and nobody may be able to tell but by reading the code.
#include "check.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <ucontext.h>

// Far more often than it takes to be rewritten.
#define OFTEN 300

// `mov $number, %eax; syscall` as the C library has it. NAME_inside is the second instruction.
#define SITE(name, number)                                                \
  __asm__(".text\n.p2align 3\n" #name ":\n mov $" #number ",%eax\n" #name \
          "_inside: syscall\n"                                            \
          " ret\n.p2align 3\n")
SITE(site_getppid, 110);
SITE(site_read, 0);
SITE(site_arch_prctl, 158);
SITE(site_sched_yield, 24);
SITE(site_shared, 110);
long site_getppid(void);
long site_read(int, void *, size_t);
long site_arch_prctl(int, unsigned long);
long site_sched_yield(void);
long site_shared(void);
extern char site_shared_inside[];

static void warm(void) {
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(site_getppid(), getppid());
}

TEST(results_stay_right) {
  warm();
  int pair[2];
  OK(pipe(pair));
  char byte;
  for (int i = 0; i < OFTEN; i++) {
    byte = (char)i;
    CHECK_EQ(write(pair[1], &byte, 1), 1);
    byte = 0;
    CHECK_EQ(site_read(pair[0], &byte, 1), 1);
    CHECK_EQ(byte, (char)i);
  }
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(site_read(-1, &byte, 1), -EBADF);
}

/* Where the assembly below leaves what it found. */
unsigned long registers_out[14];

/* All registers but rax, rcx and r11 are as they were, those of vectors and the red zone included. */
TEST(registers_stay) {
  warm();
  for (int i = 0; i < 2 * OFTEN; i++) {
    __asm__ volatile(
        "push %%rbp\n"
        "push %%rbp\n"
        "mov $0x1111, %%rdi\n mov $0x2222, %%rsi\n mov $0x3333, %%rdx\n mov $0x4444, %%r8\n"
        "mov $0x5555, %%r9\n mov $0x6666, %%r10\n mov $0x7777, %%rbx\n mov $0x8888, %%r12\n"
        "mov $0x9999, %%r13\n mov $0xaaaa, %%r14\n mov $0xbbbb, %%r15\n mov $0xcccc, %%rbp\n"
        "movq %%r12, %%xmm5\n"
        "movq $0x5a5a5a, -64(%%rsp)\n"
        "call site_getppid\n"
        "lea registers_out(%%rip), %%rax\n"
        "mov %%rdi, 0(%%rax)\n mov %%rsi, 8(%%rax)\n mov %%rdx, 16(%%rax)\n mov %%r8, 24(%%rax)\n"
        "mov %%r9, 32(%%rax)\n mov %%r10, 40(%%rax)\n mov %%rbx, 48(%%rax)\n mov %%r12, 56(%%rax)\n"
        "mov %%r13, 64(%%rax)\n mov %%r14, 72(%%rax)\n mov %%r15, 80(%%rax)\n mov %%rbp, "
        "88(%%rax)\n"
        "movq %%xmm5, 96(%%rax)\n"
        "mov -64(%%rsp), %%rcx\n mov %%rcx, 104(%%rax)\n"
        "pop %%rbp\n pop %%rbp\n" ::
            : "rax", "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "rbx", "r12", "r13",
              "r14", "r15", "xmm5", "memory");
    for (unsigned long k = 0; k < 12; k++) CHECK_EQ(registers_out[k], (k + 1) * 0x1111);
    CHECK_EQ(registers_out[12], 0x8888UL);
    CHECK_EQ(registers_out[13], 0x5a5a5aUL);
  }
}

TEST(segment_base_is_the_programs) {
  warm();
  unsigned long base = 1;
  for (int i = 0; i < OFTEN; i++) {
    OK(site_arch_prctl(ARCH_GET_GS, (unsigned long)&base));
    CHECK_EQ(base, 0UL);
  }
  static unsigned long word[4096] = {77};
  OK(site_arch_prctl(ARCH_SET_GS, (unsigned long)word));
  for (int i = 0; i < OFTEN; i++) {
    unsigned long read;
    CHECK_EQ(site_getppid(), getppid());
    __asm__ volatile("mov %%gs:0, %0" : "=r"(read));
    CHECK_EQ(read, 77UL);
  }
  OK(site_arch_prctl(ARCH_SET_GS, 0));
  warm();
}

/* The instruction in the middle is one that programs may jump to, with another number. */
TEST(middle_of_the_site) {
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(site_shared(), getppid());
  for (int i = 0; i < 20; i++) {
    long result;
    __asm__ volatile("call *%[inside]"
                     : "=a"(result)
                     : [inside] "r"(site_shared_inside), "0"(39L)
                     : "rcx", "r11", "memory");
    CHECK_EQ(result, (long)getpid());
  }
}

/* An instruction stands between the number and the call. NAME_middle is that instruction. */
#define SITE_WITH(name, number, offset, middle)                                                   \
  __asm__(".text\n.p2align 6\n.skip " #offset ",0x90\n" #name ":\n mov $" #number ",%eax\n" #name \
          "_middle: " middle "\n syscall\n ret\n.p2align 6\n");                                   \
  extern long name(unsigned long, unsigned long, unsigned long);                                  \
  extern char name##_middle[]
SITE_WITH(xor_before, 0, 3, "xor $1,%sil");
SITE_WITH(and_before, 0, 20, "and $0xffffff0f,%esi");
SITE_WITH(clear_before, 293, 9, "xor %esi,%esi");
SITE_WITH(move_before, 33, 40, "mov %edx,%esi");
SITE_WITH(load_before, 33, 12, "mov $63,%esi");
SITE_WITH(place_before, 33, 33, "lea 7(%rdx),%rsi");

/* They are made once for each call, whatever stops the thread on its way. */
TEST(instructions_between) {
  int pair[2];
  char bytes[512];
  unsigned long base = ((unsigned long)bytes + 255) & ~255UL;
  char *at = (char *)base;
  OK(pipe(pair));
  for (int i = 0; i < OFTEN; i++) {
    at[0] = at[1] = 0;
    CHECK_EQ(write(pair[1], "z", 1), 1);
    CHECK_EQ(xor_before((unsigned long)pair[0], base, 1), 1);
    CHECK_EQ(at[1], 'z');
    CHECK_EQ(at[0], 0);
    int made[2];
    OK(clear_before((unsigned long)made, 0xfff, 0));
    close(made[0]);
    close(made[1]);
    CHECK_EQ(move_before((unsigned long)pair[0], 99999, 60), 60);
    CHECK_EQ(load_before((unsigned long)pair[0], 99999, 60), 63);
    CHECK_EQ(place_before((unsigned long)pair[0], 99999, 43), 50);
  }
  CHECK_EQ(and_before(99, base, 1), -EBADF);
}

/* Whoever jumps to the instruction in the middle brings a number of his own. */
TEST(middle_with_an_instruction) {
  int pair[2];
  OK(pipe(pair));
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(move_before((unsigned long)pair[0], 0, 60), 60);
  for (int i = 0; i < 20; i++) {
    long result;
    unsigned long target = (unsigned long)move_before_middle + (i % 2 == 0 ? 0 : 2);
    __asm__ volatile("call *%[target]"
                     : "=a"(result)
                     : [target] "r"(target), "0"(39L), "d"(5L)
                     : "rcx", "r11", "rsi", "memory");
    CHECK_EQ(result, (long)getpid());
  }
}

#define RUNNERS 3
SITE_WITH(crowded, 110, 4, "");
SITE_WITH(crowded_between, 33, 35, "mov %edx,%esi");
SITE_WITH(crowded_word, 110, 8, "");
static volatile int crowd_pipe;

static void *run_crowded(void *number) {
  long parent = getppid();
  unsigned long own = 40 + (unsigned long)number;
  for (int i = 0; i < 4000; i++) {
    CHECK_EQ(crowded(0, 0, 0), parent);
    CHECK_EQ(crowded_between((unsigned long)crowd_pipe, 77777, own), (long)own);
    CHECK_EQ(crowded_word(0, 0, 0), parent);
  }
  return NULL;
}

/* Sites are rewritten while other threads go through them. In a child, so that each turn is a first. */
TEST(rewritten_in_a_crowd) {
  crowd_pipe = OK(open("/dev/null", O_RDONLY));
  for (int turn = 0; turn < 6; turn++) {
    pid_t child = OK(fork());
    if (child == 0) {
      pthread_t threads[RUNNERS];
      for (long i = 0; i < RUNNERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, run_crowded, (void *)i), 0);
      for (int i = 0; i < 10; i++) {
        pid_t grandchild = OK(fork());
        if (grandchild == 0) {
          run_crowded((void *)(long)RUNNERS);
          _exit(0);
        }
        int ended;
        CHECK_EQ(waitpid(grandchild, &ended, 0), grandchild);
        CHECK_EQ(ended, 0);
      }
      for (int i = 0; i < RUNNERS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
      _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }
}

static volatile sig_atomic_t alarms;
static unsigned long places[1024];

static void on_alarm(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)info;
  unsigned long ip = (unsigned long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
  places[alarms % 1024] = ip;
  alarms++;
}

/* All handlers were told places in code that the program has mapped. */
static void check_places(void) {
  for (int i = 0; i < 1024 && i < alarms; i++) {
    unsigned long start, end;
    char line[512], execute;
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (!found && fgets(line, sizeof line, maps) != NULL) {
      if (sscanf(line, "%lx-%lx %*c%*c%c", &start, &end, &execute) != 3) continue;
      found = execute == 'x' && places[i] >= start && places[i] < end;
    }
    fclose(maps);
    CHECK(found);
  }
}

static void alarm_every_ms(int flags) {
  struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | flags};
  OK(sigaction(SIGALRM, &action, NULL));
  struct itimerval each = {{0, 1000}, {0, 1000}};
  OK(setitimer(ITIMER_REAL, &each, NULL));
}

/* Signals arrive, in time, and find the program where it is: in its own code. */
TEST(signals_among_calls) {
  warm();
  alarm_every_ms(0);
  long parent = getppid();
  while (alarms < 300) CHECK_EQ(site_getppid(), parent);
  struct itimerval none = {{0, 0}, {0, 0}};
  OK(setitimer(ITIMER_REAL, &none, NULL));
  check_places();
}

TEST(interrupted_and_restarted) {
  warm();
  int pair[2];
  char byte;
  OK(pipe(pair));
  for (int i = 0; i < OFTEN; i++) {
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_EQ(site_read(pair[0], &byte, 1), 1);
  }
  alarm_every_ms(0);
  for (int i = 0; i < 20; i++) CHECK_EQ(site_read(pair[0], &byte, 1), -EINTR);
  alarm_every_ms(SA_RESTART);
  pid_t child = fork();
  if (child == 0) {
    usleep(50000);
    _exit(write(pair[1], "y", 1) == 1 ? 0 : 1);
  }
  alarm_every_ms(SA_RESTART);
  byte = 0;
  long got;
  do got = site_read(pair[0], &byte, 1);
  while (got == -EINTR);
  CHECK_EQ(got, 1L);
  CHECK_EQ(byte, 'y');
  struct itimerval none = {{0, 0}, {0, 0}};
  OK(setitimer(ITIMER_REAL, &none, NULL));
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  check_places();
}

TEST(children_inherit) {
  warm();
  pid_t self = getpid();
  for (int i = 0; i < 10; i++) {
    pid_t child = fork();
    if (child == 0) {
      for (int k = 0; k < OFTEN; k++)
        if (site_getppid() != self) _exit(1);
      for (int k = 0; k < OFTEN; k++)
        if (site_sched_yield() != 0) _exit(2);
      _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }
}

static void *call_often(void *failed) {
  long parent = getppid();
  for (int i = 0; i < 20 * OFTEN; i++) {
    if (site_getppid() != parent || site_sched_yield() != 0) *(int *)failed = 1;
  }
  return NULL;
}

/* Threads that all run through a site while it is rewritten, and as many that start afterwards. */
TEST(threads_race) {
  for (int round = 0; round < 2; round++) {
    pthread_t threads[8];
    int failed[8] = {0};
    for (int i = 0; i < 8; i++)
      CHECK_EQ(pthread_create(&threads[i], NULL, call_often, &failed[i]), 0);
    for (int i = 0; i < 8; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 8; i++) CHECK_EQ(failed[i], 0);
  }
}

/* What a program maps and unmaps at low addresses does not take the way of its calls from it. */
TEST(low_memory) {
  warm();
  char *low = (char *)0x30000000;
  void *at = mmap(low, 0x10000, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (at != MAP_FAILED) *(volatile char *)at = 1;
  OK(munmap(low, 0x10000000));
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(site_getppid(), getppid());
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(site_sched_yield(), 0);
}

TEST(code_that_is_written_again) {
  /* A copy of a site in anonymous memory, and then another call in its place. */
  unsigned char *code =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(code != MAP_FAILED);
  const unsigned char ppid[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
  memcpy(code, ppid, sizeof ppid);
  long (*call)(void) = (long (*)(void))code;
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(call(), (long)getppid());
  CHECK(memcmp(code, ppid, sizeof ppid) == 0);
  code[1] = 39;
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(call(), (long)getpid());
}

SITE(site_getpid, 39);
SITE(site_gettid, 186);
SITE(site_getuid, 102);
SITE(site_geteuid, 107);
SITE(site_getgid, 104);
SITE(site_getegid, 108);
long site_getpid(void);
long site_gettid(void);
long site_getuid(void);
long site_geteuid(void);
long site_getgid(void);
long site_getegid(void);

/* Whether the ids by the sites are those that /proc tells, which nobody can have kept. */
static int ids_agree(void) {
  unsigned uid[2], gid[2];
  int pid, tid;
  FILE *status = fopen("/proc/thread-self/status", "r");
  char line[256];
  while (fgets(line, sizeof line, status) != NULL) {
    sscanf(line, "Tgid: %d", &pid);
    sscanf(line, "Pid: %d", &tid);
    sscanf(line, "Uid: %u %u", &uid[0], &uid[1]);
    sscanf(line, "Gid: %u %u", &gid[0], &gid[1]);
  }
  fclose(status);
  for (int i = 0; i < OFTEN; i++) {
    if (site_getpid() != pid || site_gettid() != tid) return 0;
    if (site_getuid() != uid[0] || site_geteuid() != uid[1]) return 0;
    if (site_getgid() != gid[0] || site_getegid() != gid[1]) return 0;
  }
  return 1;
}

static void *ids_of_thread(void *agree) {
  *(int *)agree = ids_agree();
  return NULL;
}

TEST(ids_stay_right) {
  CHECK(ids_agree());
  pid_t child = OK(fork());
  if (child == 0) _exit(ids_agree() ? 0 : 1);
  CHECK_EXIT(child, 0);
  for (int i = 0; i < 3; i++) { /* the second takes over what the first leaves */
    pthread_t thread;
    int agree = 0;
    CHECK_EQ(pthread_create(&thread, NULL, ids_of_thread, &agree), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(agree);
  }
  if (geteuid() != 0) return;
  OK(setresgid(4321, 4322, 4323));
  CHECK(ids_agree());
  OK(setresuid(1234, 1235, 0));
  CHECK(ids_agree());
  OK(setresuid(0, 0, 0));
  CHECK(ids_agree());
}

/* A filter sees each call, also those whose answers never change. */
TEST(filters_see_calls) {
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(site_getpid(), (long)getpid());
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 39, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, code};
  OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(site_getpid(), -77);
}

HELPER(code_where_a_table_was) {
  // The program that runs now has no patched calls, and code of its own at this address.
  unsigned char *code = mmap((void *)0x3f3f0000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  CHECK_EQ(code, (void *)0x3f3f0000);
  const unsigned char ppid[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
  memcpy(code, ppid, sizeof ppid);
  long (*call)(void) = (long (*)(void))code;
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(call(), (long)getppid());
  for (int i = 0; i < OFTEN; i++) CHECK_EQ(site_getppid(), (long)getppid());
  return 0;
}

TEST(a_new_program_begins_anew) {
  warm();
  pid_t child = OK(fork());
  if (child == 0) {
    warm();
    execl("/proc/self/exe", "patched-calls", "@code_where_a_table_was", NULL);
    _exit(1);
  }
  CHECK_EXIT(child, 0);
}

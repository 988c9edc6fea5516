// SPDX-License-Identifier: Apache-2.0
// execve(2), fexecve(3), execveat(2): arguments, environment, auxiliary vector, scripts, what is kept.
#include <elf.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "check.h"

extern char **environ;

// Runs a helper of this program and waits for it.
static int run_helper(char *const argv[], char *const envp[]) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    execve(check_self, argv, envp);
    _exit(CHECK_FAILED);
  }
  int status;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

HELPER(arguments) {
  CHECK_EQ(argc, 4);
  CHECK_STR(argv[1], "");
  CHECK_STR(argv[2], "two words");
  CHECK_STR(argv[3], "\xff\x01");
  CHECK(argv[4] == NULL);
  CHECK_STR(environ[0], "A=1");
  CHECK_STR(environ[1], "B=");
  CHECK(environ[2] == NULL);
  return 21;
}

TEST(argv_and_envp_arrive) {
  char *argv[] = {"prog", "@arguments", "", "two words", "\xff\x01", NULL};
  char *envp[] = {"A=1", "B=", NULL};
  CHECK_EQ(run_helper(argv, envp), 21);
}

HELPER(auxv) {
  CHECK_EQ(getauxval(AT_PAGESZ), 4096);
  CHECK_EQ(getauxval(AT_UID), getuid());
  CHECK_EQ(getauxval(AT_EUID), geteuid());
  CHECK_EQ(getauxval(AT_GID), getgid());
  CHECK_EQ(getauxval(AT_EGID), getegid());
  CHECK_EQ(getauxval(AT_SECURE), 0);
  CHECK_EQ(getauxval(AT_CLKTCK), 100);
  CHECK_EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
  CHECK(getauxval(AT_PHNUM) > 2);
  CHECK(getauxval(AT_ENTRY) != 0);
  CHECK(getauxval(AT_HWCAP) != 0);
  CHECK_STR((const char *)getauxval(AT_PLATFORM), "x86_64");
  CHECK_STR((const char *)getauxval(AT_EXECFN), check_self);
  const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
  int sum = 0;
  for (int i = 0; i < 16; i++) sum += random[i];
  CHECK(sum != 0);
  const Elf64_Phdr *phdr = (const Elf64_Phdr *)getauxval(AT_PHDR);
  int loads = 0;
  for (unsigned i = 0; i < getauxval(AT_PHNUM); i++) loads += phdr[i].p_type == PT_LOAD;
  CHECK(loads >= 2);
  return 22;
}

TEST(auxiliary_vector) {
  char *argv[] = {"prog", "@auxv", NULL};
  CHECK_EQ(run_helper(argv, environ), 22);
}

HELPER(stack_alignment) {
  // Entry has rsp on 16 bytes; by main the compiler relies on it for SSE. argc and argv lie above.
  uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
  CHECK_EQ(frame % 16, 0);
  CHECK((uintptr_t)argv > frame);
  CHECK((uintptr_t)environ > (uintptr_t)argv);
  return 20;
}

TEST(initial_stack) {
  char *argv[] = {"prog", "@stack_alignment", NULL};
  CHECK_EQ(run_helper(argv, environ), 20);
}

HELPER(descriptors) {
  int open_fd = atoi(argv[1]), closed_fd = atoi(argv[2]);
  CHECK_EQ(fcntl(open_fd, F_GETFD), 0);
  CHECK_ERR(fcntl(closed_fd, F_GETFD), EBADF);
  return 23;
}

TEST(cloexec) {
  int kept = OK(open("/dev/null", O_RDONLY));
  int closed = OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK_EQ(fcntl(closed, F_GETFD), FD_CLOEXEC);
  char a[16], b[16];
  sprintf(a, "%d", kept);
  sprintf(b, "%d", closed);
  char *argv[] = {"prog", "@descriptors", a, b, NULL};
  CHECK_EQ(run_helper(argv, environ), 23);
}

HELPER(dispositions) {
  struct sigaction action;
  OK(sigaction(SIGUSR1, NULL, &action));
  CHECK(action.sa_handler == SIG_DFL);
  OK(sigaction(SIGUSR2, NULL, &action));
  CHECK(action.sa_handler == SIG_IGN);
  sigset_t mask, pending;
  OK(sigprocmask(SIG_BLOCK, NULL, &mask));
  CHECK_EQ(sigismember(&mask, SIGHUP), 1);
  CHECK_EQ(sigismember(&mask, SIGTERM), 0);
  OK(sigpending(&pending));
  CHECK_EQ(sigismember(&pending, SIGHUP), 1);
  stack_t stack;
  OK(sigaltstack(NULL, &stack));
  CHECK_EQ(stack.ss_flags, SS_DISABLE);
  char name[16];
  OK(prctl(PR_GET_NAME, name));
  char want[16] = "";
  strncpy(want, strrchr(check_self, '/') + 1, 15);
  CHECK_STR(name, want);
  return 24;
}

static void ignore(int signal) { (void)signal; }

TEST(signals_across_exec) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    static char alternate[8192];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    OK(sigaltstack(&stack, NULL));
    signal(SIGUSR1, ignore);
    signal(SIGUSR2, SIG_IGN);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    OK(sigprocmask(SIG_BLOCK, &mask, NULL));
    OK(raise(SIGHUP));
    OK(prctl(PR_SET_NAME, "other"));
    char *argv[] = {"prog", "@dispositions", NULL};
    execve(check_self, argv, environ);
    _exit(99);
  }
  CHECK_EXIT(pid, 24);
}

HELPER(pid_is) { return getpid() == atoi(argv[1]) ? 25 : 1; }

static void *exec_from_thread(void *arg) {
  char *argv[] = {"prog", "@pid_is", arg, NULL};
  execve(check_self, argv, environ);
  return NULL;
}

#include <pthread.h>

TEST(exec_from_another_thread_keeps_the_pid) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    char text[16];
    sprintf(text, "%d", getpid());
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, exec_from_thread, text), 0);
    for (;;) pause();
  }
  CHECK_EXIT(pid, 25);
}

TEST(scripts_run_their_interpreter) {
  put_file("script", "#!/bin/sh -e\nexit $(($# + 30))\n");
  OK(chmod("script", 0755));
  pid_t pid = OK(fork());
  if (pid == 0) {
    execl("./script", "script", "a", "b", NULL);
    _exit(99);
  }
  CHECK_EXIT(pid, 32);
  // The rest of the first line is one argument, and the script's path replaces argv[0].
  put_file("args", "#!/bin/echo one two\n");
  OK(chmod("args", 0755));
  int fds[2];
  OK(pipe(fds));
  pid = OK(fork());
  if (pid == 0) {
    dup2(fds[1], 1);
    execl("./args", "zero", "three", NULL);
    _exit(99);
  }
  CHECK_EXIT(pid, 0);
  char text[64];
  ssize_t n = OK(read(fds[0], text, 63));
  text[n] = 0;
  CHECK_STR(text, "one two ./args three\n");
}

TEST(failures) {
  char *argv[] = {"x", NULL};
  CHECK_ERR(execve("missing", argv, environ), ENOENT);
  CHECK_ERR(execve("", argv, environ), ENOENT);
  CHECK_ERR(execve("/tmp", argv, environ), EACCES);
  CHECK_ERR(execve("/etc/passwd", argv, environ), EACCES);
  put_file("text", "just text\n");
  OK(chmod("text", 0755));
  CHECK_ERR(execve("./text", argv, environ), ENOEXEC);
  put_file("empty", "");
  OK(chmod("empty", 0755));
  CHECK_ERR(execve("./empty", argv, environ), ENOEXEC);
  put_file("nointerp", "#!/no/such/interpreter\n");
  OK(chmod("nointerp", 0755));
  CHECK_ERR(execve("./nointerp", argv, environ), ENOENT);
  put_file("elf", "\177ELF\2\1\1");
  OK(chmod("elf", 0755));
  CHECK_ERR(execve("./elf", argv, environ), ENOEXEC);
  CHECK_ERR(execve((char *)8, argv, environ), EFAULT);
  CHECK_ERR(execve("/bin/sh", (char **)8, environ), EFAULT);
  put_file("dir", "");
  CHECK_ERR(execve("dir/x", argv, environ), ENOTDIR);
}

TEST(arguments_too_long) {
  size_t size = 4 << 20;
  char *big = malloc(size);
  memset(big, 'x', size - 1);
  big[size - 1] = 0;
  char *argv[] = {"sh", "-c", "exit 0", big, NULL};
  CHECK_ERR(execve("/bin/sh", argv, environ), E2BIG);
}

TEST(many_arguments) {
  // 1000 arguments of 100 bytes.
  char *argv[1005] = {"sh", "-c", "exit $(($# / 10))", "sh"};
  for (int i = 4; i < 1004; i++) {
    argv[i] = malloc(101);
    memset(argv[i], 'a', 100);
    argv[i][100] = 0;
  }
  pid_t pid = OK(fork());
  if (pid == 0) {
    execve("/bin/sh", argv, environ);
    _exit(99);
  }
  CHECK_EXIT(pid, 100);
}

TEST(fexecve_runs_a_descriptor) {
  int fd = OK(open(check_self, O_RDONLY | O_CLOEXEC));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char text[16];
    sprintf(text, "%d", getpid());
    char *argv[] = {"prog", "@pid_is", text, NULL};
    fexecve(fd, argv, environ);
    _exit(99);
  }
  CHECK_EXIT(pid, 25);
}

TEST(execveat_relative_to_a_directory) {
  char dir[PATH_MAX];
  strcpy(dir, check_self);
  char *slash = strrchr(dir, '/');
  *slash = 0;
  int fd = OK(open(dir, O_PATH | O_DIRECTORY));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char text[16];
    sprintf(text, "%d", getpid());
    char *argv[] = {"prog", "@pid_is", text, NULL};
    syscall(SYS_execveat, fd, slash + 1, argv, environ, 0);
    _exit(99);
  }
  CHECK_EXIT(pid, 25);
}

HELPER(waits_for_end_of_input) {
  char byte;
  return read(0, &byte, 1) == 0 ? 0 : 1;
}

// A program that runs is not written to, under whatever name; when it has ended it is.
TEST(running_program_is_busy) {
  char buffer[65536], link_name[] = "busy-link", text[64];
  int in = OK(open(check_self, O_RDONLY));
  int out = OK(open("busy", O_WRONLY | O_CREAT, 0755));
  for (ssize_t n; (n = OK(read(in, buffer, sizeof buffer))) > 0;)
    CHECK_EQ(write(out, buffer, n), n);
  close(in), close(out);
  OK(link("busy", link_name));
  int ends[2], started[2];
  OK(pipe(ends)), OK(pipe(started));
  pid_t pid = OK(fork());
  if (pid == 0) {
    close(ends[1]), close(started[0]);
    OK(dup2(ends[0], 0)), OK(fcntl(started[1], F_SETFD, FD_CLOEXEC));
    execl("busy", "prog", "@waits_for_end_of_input", NULL);
    _exit(99);
  }
  close(started[1]);
  CHECK_EQ(read(started[0], buffer, 1), 0);  // it runs: exec closed the other end
  sprintf(text, "/proc/%d/exe", pid);
  const char *names[] = {"busy", link_name, text};
  for (int i = 0; i < 3; i++) {
    CHECK_ERR(open(names[i], O_WRONLY), ETXTBSY);
    CHECK_ERR(open(names[i], O_RDWR | O_CREAT, 0755), ETXTBSY);
    CHECK_ERR(open(names[i], O_RDONLY | O_TRUNC), ETXTBSY);
    CHECK_ERR(truncate(names[i], 5), ETXTBSY);
    close(OK(open(names[i], O_RDONLY)));
  }
  // Of a child of its own too, after it has ended.
  OK(chmod("busy", 0700));
  OK(rename("busy", "busy-2"));
  close(ends[1]);
  CHECK_EXIT(pid, 0);
  close(OK(open("busy-2", O_WRONLY)));
  OK(truncate(link_name, 5));
}

TEST(memfd_is_executable) {
  int in = OK(open(check_self, O_RDONLY));
  int fd = OK(memfd_create("program", 0));
  char buffer[65536];
  for (ssize_t n; (n = OK(read(in, buffer, sizeof buffer))) > 0;) CHECK_EQ(write(fd, buffer, n), n);
  pid_t pid = OK(fork());
  if (pid == 0) {
    // Opened for writing it could not be executed: ETXTBSY.
    char path[64], text[16];
    sprintf(path, "/proc/self/fd/%d", fd);
    int ro = OK(open(path, O_RDONLY));
    close(fd);
    sprintf(text, "%d", getpid());
    char *argv[] = {"prog", "@pid_is", text, NULL};
    fexecve(ro, argv, environ);
    _exit(99);
  }
  close(fd);
  CHECK_EXIT(pid, 25);
}

TEST(set_user_id_program) {
  // A copy of id(1)-like helper that is set-user-ID 1234, started by root.
  int in = OK(open(check_self, O_RDONLY));
  int out = OK(open("suid", O_WRONLY | O_CREAT, 0700));
  char buffer[65536];
  for (ssize_t n; (n = OK(read(in, buffer, sizeof buffer))) > 0;)
    CHECK_EQ(write(out, buffer, n), n);
  OK(fchown(out, 1234, 1234));
  OK(fchmod(out, 06755));
  close(out);
  pid_t pid = OK(fork());
  if (pid == 0) {
    execl("./suid", "suid", "@ids", NULL);
    _exit(99);
  }
  CHECK_EXIT(pid, 26);
}

HELPER(ids) {
  CHECK_EQ(getuid(), 0);
  CHECK_EQ(geteuid(), 1234);
  CHECK_EQ(getegid(), 1234);
  CHECK_EQ(getauxval(AT_SECURE), 1);
  return 26;
}

TEST(proc_shows_the_command_line) {
  const char *text = get_file("/proc/self/cmdline");
  CHECK(strlen(text) > 0);
  char link[PATH_MAX];
  ssize_t n = OK(readlink("/proc/self/exe", link, sizeof link - 1));
  link[n] = 0;
  CHECK_STR(link, check_self);
}

// ---- nothing of the old program is left ----

static sigjmp_buf fault_jump;

static void on_fault(int signal) {
  (void)signal;
  siglongjmp(fault_jump, 1);
}

static int is_readable(volatile char *at) {
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
  OK(sigaction(SIGSEGV, &action, NULL));
  if (sigsetjmp(fault_jump, 1) != 0) return 0;
  (void)*at;
  return 1;
}

HELPER(old_memory) {
  for (int i = 1; i < argc; i++) CHECK(!is_readable((char *)strtoul(argv[i], NULL, 16)));
  // All of it is new: zeroes where nothing was written, and a heap of its own.
  static char bss[100000];
  for (size_t i = 0; i < sizeof bss; i++) CHECK_EQ(bss[i], 0);
  char *heap = sbrk(4096);
  for (int i = 0; i < 4096; i++) CHECK_EQ(heap[i], 0);
  // Floating point control is as at the start of any program.
  uint32_t mxcsr;
  uint16_t control;
  __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(control));
  CHECK_EQ(mxcsr & 0xffc0, 0x1f80);
  CHECK_EQ(control, 0x37f);
  // What an mmap of mine gets is empty.
  char *fresh = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(fresh != MAP_FAILED);
  for (int i = 0; i < 1 << 20; i += 512) CHECK_EQ(fresh[i], 0);
  return 28;
}

static void exec_old_memory(size_t bytes) {
  char texts[3][32];
  static const uintptr_t places[3] = {0x10000000, 0x200000000000, 0x700000000000};
  for (int i = 0; i < 3; i++) {
    char *at = mmap((void *)places[i], bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    CHECK(at == (char *)places[i]);
    *at = 'x';
    sprintf(texts[i], "%lx", (unsigned long)places[i]);
  }
  uint32_t mxcsr = 0x3f80;
  uint16_t control = 0x27f;
  __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(control));
  char *argv[] = {"prog", "@old_memory", texts[0], texts[1], texts[2], NULL};
  execve(check_self, argv, environ);
  _exit(99);
}

TEST(old_memory_is_gone) {
  pid_t pid = OK(fork());
  if (pid == 0) exec_old_memory(1 << 20);
  CHECK_EXIT(pid, 28);
}

TEST(much_old_memory_is_gone) {
  pid_t pid = OK(fork());
  if (pid == 0) exec_old_memory(128 << 20);
  CHECK_EXIT(pid, 28);
  pid = OK(fork());
  if (pid == 0) {
    // A reservation as large as Go and the sanitizers make.
    void *at = mmap(NULL, 1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED);
    exec_old_memory(1 << 20);
  }
  CHECK_EXIT(pid, 28);
}

HELPER(exec_again) {
  int left = atoi(argv[1]), parent = atoi(argv[2]);
  // Often enough for the call to be patched, in each of the programs.
  for (int i = 0; i < 40; i++) CHECK_EQ(getppid(), parent);
  if (left == 0) return 29;
  char text[16];
  sprintf(text, "%d", left - 1);
  execl(check_self, "prog", "@exec_again", text, argv[2], NULL);
  return 99;
}

TEST(one_process_execs_many_times) {
  char parent[16];
  sprintf(parent, "%d", getpid());
  pid_t pid = OK(fork());
  if (pid == 0) {
    execl(check_self, "prog", "@exec_again", "100", parent, NULL);
    _exit(99);
  }
  CHECK_EXIT(pid, 29);
}

TEST(most_resident_memory_is_the_old_program_s_too) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    size_t bytes = 64 << 20;
    char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                    -1, 0);
    CHECK(at != MAP_FAILED);
    char parent[16];
    sprintf(parent, "%d", getppid());
    execl(check_self, "prog", "@exec_again", "0", parent, NULL);
    _exit(99);
  }
  int status;
  struct rusage usage;
  CHECK_EQ(wait4(pid, &status, 0, &usage), pid);
  CHECK_EQ(status, 29 << 8);
  CHECK(usage.ru_maxrss > 60000);
}

// The child has its own copy of memory, and its parent waits all the same until it gives that up.
TEST(vfork_without_shared_memory_ends_at_exec) {
  pid_t pid = OK((pid_t)syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
  if (pid == 0) {
    char parent[16];
    sprintf(parent, "%d", getppid());
    execl(check_self, "prog", "@exec_again", "0", parent, NULL);
    _exit(99);
  }
  CHECK_EXIT(pid, 29);
}

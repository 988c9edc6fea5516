// SPDX-License-Identifier: Apache-2.0
// Processes: fork(2), vfork(2), clone(2), wait(2), waitid(2), setpgid(2), setsid(2), exit codes.
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "check.h"

TEST(fork_gives_a_copy) {
  int value = 1;
  pid_t parent = getpid();
  pid_t pid = OK(fork());
  if (pid == 0) {
    value = 2;
    _exit(getppid() == parent && getpid() != parent ? 7 : 8);
  }
  CHECK_EXIT(pid, 7);
  CHECK_EQ(value, 1);
}

TEST(exit_codes_are_eight_bits) {
  pid_t pid = OK(fork());
  if (pid == 0) _exit(0x1ff);
  CHECK_EXIT(pid, 255);
  pid = OK(fork());
  if (pid == 0) _exit(-1);
  CHECK_EXIT(pid, 255);
}

TEST(death_by_signal_shows_in_the_status) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  OK(kill(pid, SIGTERM));
  CHECK_KILLED(pid, SIGTERM);
  pid = OK(fork());
  if (pid == 0) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    abort();
  }
  CHECK_KILLED(pid, SIGABRT);
}

TEST(wait_without_children) {
  CHECK_ERR(wait(NULL), ECHILD);
  CHECK_ERR(waitpid(1, NULL, 0), ECHILD);
  siginfo_t info;
  CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
  CHECK_ERR(waitid(P_ALL, 0, &info, 0), EINVAL);
  CHECK_ERR(waitpid(-1, NULL, 0x100), EINVAL);
}

TEST(wait_nohang) {
  int fds[2];
  OK(pipe(fds));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char c;
    close(fds[1]);
    CHECK_EQ(read(fds[0], &c, 1), 0);
    _exit(3);
  }
  int status = 77;
  CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
  CHECK_EQ(status, 77);
  close(fds[1]);
  CHECK_EXIT(pid, 3);
  CHECK_ERR(waitpid(pid, &status, 0), ECHILD);
}

TEST(wait_any_reaps_all) {
  int sum = 0;
  for (int i = 1; i <= 10; i++) {
    if (OK(fork()) == 0) _exit(i);
  }
  for (int i = 0; i < 10; i++) {
    int status;
    OK(wait(&status));
    CHECK(WIFEXITED(status));
    sum += WEXITSTATUS(status);
  }
  CHECK_EQ(sum, 55);
  CHECK_ERR(wait(NULL), ECHILD);
}

TEST(waitid_fills_siginfo) {
  pid_t pid = OK(fork());
  if (pid == 0) _exit(42);
  siginfo_t info;
  memset(&info, 0, sizeof info);
  OK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  CHECK_EQ(info.si_pid, pid);
  CHECK_EQ(info.si_signo, SIGCHLD);
  CHECK_EQ(info.si_code, CLD_EXITED);
  CHECK_EQ(info.si_status, 42);
  CHECK_EQ(info.si_uid, getuid());
  memset(&info, 0, sizeof info);
  OK(waitid(P_PID, pid, &info, WEXITED));
  CHECK_EQ(info.si_pid, pid);
  CHECK_ERR(waitid(P_PID, pid, &info, WEXITED), ECHILD);
}

TEST(waitid_nohang_clears_siginfo) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  siginfo_t info;
  memset(&info, 0xff, sizeof info);
  OK(waitid(P_PID, pid, &info, WEXITED | WNOHANG));
  CHECK_EQ(info.si_signo, 0);
  CHECK_EQ(info.si_pid, 0);
  OK(kill(pid, SIGKILL));
  OK(waitid(P_PID, pid, &info, WEXITED));
  CHECK_EQ(info.si_code, CLD_KILLED);
  CHECK_EQ(info.si_status, SIGKILL);
}

TEST(stop_and_continue_are_reported) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  int status;
  OK(kill(pid, SIGSTOP));
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  CHECK_EQ(WSTOPSIG(status), SIGSTOP);
  OK(kill(pid, SIGCONT));
  CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
  CHECK(WIFCONTINUED(status));
  OK(kill(pid, SIGSTOP));
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  // SIGKILL ends a stopped process at once.
  OK(kill(pid, SIGKILL));
  CHECK_KILLED(pid, SIGKILL);
}

TEST(vfork_shares_memory_and_waits) {
  volatile int value = 1;
  pid_t pid = vfork();
  if (pid == 0) {
    value = 2;
    _exit(4);
  }
  CHECK(pid > 0);
  CHECK_EQ(value, 2);
  CHECK_EXIT(pid, 4);
}

TEST(vfork_then_exec) {
  pid_t pid = vfork();
  if (pid == 0) {
    execl("/bin/sh", "sh", "-c", "exit 5", NULL);
    _exit(99);
  }
  CHECK_EXIT(pid, 5);
}

static int clone_child(void *arg) {
  *(volatile int *)arg = 9;
  return 6;
}

TEST(clone_vm_shares_memory) {
  static char stack[65536] __attribute__((aligned(16)));
  volatile int value = 0;
  pid_t pid = OK(clone(clone_child, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)&value));
  CHECK_EXIT(pid, 6);
  CHECK_EQ(value, 9);
}

static int clone_closes(void *arg) {
  close(*(int *)arg);
  return 0;
}

TEST(clone_files_shares_descriptors) {
  static char stack[65536] __attribute__((aligned(16)));
  int fd = OK(open("/dev/null", O_RDONLY));
  pid_t pid = OK(clone(clone_closes, stack + sizeof stack, CLONE_FILES | SIGCHLD, &fd));
  CHECK_EXIT(pid, 0);
  CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
}

TEST(clone_parent_settid_and_exit_signal) {
  pid_t tid = 0;
  long pid = OK(syscall(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, 0, &tid, 0, 0));
  if (pid == 0) _exit(0);
  CHECK_EQ(tid, pid);
  CHECK_EXIT(pid, 0);
  // A child without an exit signal is only seen with __WCLONE or __WALL.
  pid = OK(syscall(SYS_clone, 0, 0, 0, 0, 0));
  if (pid == 0) _exit(2);
  CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
  int status;
  CHECK_EQ(waitpid(pid, &status, __WALL), pid);
  CHECK_EQ(WEXITSTATUS(status), 2);
}

TEST(clone_refuses_nonsense) {
  CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
  CHECK_ERR(syscall(SYS_clone, CLONE_THREAD | CLONE_VM | SIGCHLD, 0, 0, 0, 0), EINVAL);
  CHECK_ERR(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0), EINVAL);
}

TEST(clone3_forks) {
  struct clone_args args;
  memset(&args, 0, sizeof args);
  args.exit_signal = SIGCHLD;
  long pid = OK(syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) _exit(11);
  CHECK_EXIT(pid, 11);
  CHECK_ERR(syscall(SYS_clone3, &args, 8), EINVAL);
}

TEST(orphans_go_to_the_subreaper) {
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  int fds[2];
  OK(pipe(fds));
  pid_t pid = OK(fork());
  if (pid == 0) {
    pid_t grandchild = fork();
    if (grandchild == 0) {
      while (getppid() != getpgrp()) sleep_ms(1);  // the test is its group's leader
      _exit(13);
    }
    CHECK_EQ(write(fds[1], &grandchild, sizeof grandchild), sizeof grandchild);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  pid_t grandchild;
  CHECK_EQ(read(fds[0], &grandchild, sizeof grandchild), sizeof grandchild);
  CHECK_EXIT(grandchild, 13);
}

TEST(parent_death_signal) {
  int fds[2], ready[2];
  OK(pipe(fds));
  OK(pipe(ready));
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  pid_t pid = OK(fork());
  if (pid == 0) {
    if (fork() == 0) {
      OK(prctl(PR_SET_PDEATHSIG, SIGKILL));
      pid_t me = getpid();
      CHECK_EQ(write(fds[1], &me, sizeof me), sizeof me);
      CHECK_EQ(write(ready[1], "x", 1), 1);
      for (;;) pause();
    }
    char c;
    CHECK(read(0, &c, 0) <= 0);
    CHECK_EQ(read(ready[0], &c, 1), 1);
    _exit(0);
  }
  pid_t grandchild;
  CHECK_EQ(read(fds[0], &grandchild, sizeof grandchild), sizeof grandchild);
  CHECK_EXIT(pid, 0);
  CHECK_KILLED(grandchild, SIGKILL);
}

TEST(process_groups) {
  CHECK_EQ(getpgrp(), getpid());
  pid_t pid = OK(fork());
  if (pid == 0) {
    CHECK_EQ(getpgrp(), getppid());
    OK(setpgid(0, 0));
    CHECK_EQ(getpgrp(), getpid());
    CHECK_EQ(getpgid(getppid()), getppid());
    CHECK_EQ(getsid(0), getsid(getppid()));
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  CHECK_ERR(setpgid(0, -1), EINVAL);
  CHECK_ERR(setpgid(999999, 0), ESRCH);
  CHECK_ERR(getpgid(999999), ESRCH);
}

TEST(setpgid_of_a_child_that_execed_is_refused) {
  int fds[2];
  OK(pipe2(fds, O_CLOEXEC));
  pid_t pid = OK(fork());
  if (pid == 0) {
    execl("/bin/sh", "sh", "-c", "sleep 5", NULL);
    _exit(99);
  }
  close(fds[1]);
  char c;
  CHECK_EQ(read(fds[0], &c, 1), 0);  // closed by exec
  CHECK_ERR(setpgid(pid, pid), EACCES);
  OK(kill(pid, SIGKILL));
  CHECK_KILLED(pid, SIGKILL);
}

TEST(sessions) {
  CHECK_ERR(setsid(), EPERM);  // a group leader
  pid_t pid = OK(fork());
  if (pid == 0) {
    CHECK_EQ(setsid(), getpid());
    CHECK_EQ(getsid(0), getpid());
    CHECK_EQ(getpgrp(), getpid());
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    CHECK_ERR(setpgid(0, 0), EPERM);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

TEST(wait_for_a_group) {
  pid_t a = OK(fork());
  if (a == 0) {
    setpgid(0, 0);
    _exit(1);
  }
  setpgid(a, a);
  pid_t b = OK(fork());
  if (b == 0) _exit(2);
  int status;
  CHECK_EQ(waitpid(-a, &status, 0), a);
  CHECK_EQ(WEXITSTATUS(status), 1);
  CHECK_EQ(waitpid(0, &status, 0), b);
  CHECK_EQ(WEXITSTATUS(status), 2);
}

TEST(ignored_sigchld_reaps_children) {
  signal(SIGCHLD, SIG_IGN);
  pid_t pid = OK(fork());
  if (pid == 0) _exit(0);
  CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
}

TEST(rusage_of_children) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    struct timespec spent = {0, 0};
    while (spent.tv_sec == 0 && spent.tv_nsec < 60000000)
      OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent));
    _exit(0);
  }
  struct rusage usage;
  int status;
  CHECK_EQ(wait4(pid, &status, 0, &usage), pid);
  CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_sec * 1000000 +
            usage.ru_stime.tv_usec >
        10000);
  CHECK(usage.ru_maxrss > 0);
  OK(getrusage(RUSAGE_CHILDREN, &usage));
  OK(getrusage(RUSAGE_SELF, &usage));
  CHECK_ERR(getrusage(99, &usage), EINVAL);
}

TEST(fork_copies_private_and_shares_shared_memory) {
  int *priv = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  *priv = *shared = 1;
  pid_t pid = OK(fork());
  if (pid == 0) {
    *priv = *shared = 2;
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  CHECK_EQ(*priv, 1);
  CHECK_EQ(*shared, 2);
}

TEST(fork_shares_the_file_offset) {
  put_file("f", "abcdef");
  int fd = OK(open("f", O_RDONLY));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char c;
    CHECK_EQ(read(fd, &c, 1), 1);
    _exit(c);
  }
  CHECK_EXIT(pid, 'a');
  char c;
  CHECK_EQ(read(fd, &c, 1), 1);
  CHECK_EQ(c, 'b');
}

TEST(fork_chain) {
  int fds[2];
  OK(pipe(fds));
  pid_t pid = OK(fork());
  if (pid == 0) {
    int depth = 1;
    for (; depth < 20; depth++) {
      pid_t next = fork();
      if (next > 0) {
        int status;
        waitpid(next, &status, 0);
        _exit(WEXITSTATUS(status));
      }
    }
    _exit(depth);
  }
  CHECK_EXIT(pid, 20);
}

TEST(pidfd_polls_and_signals) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (;;) pause();
  }
  int fd = OK(syscall(SYS_pidfd_open, pid, 0));
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  OK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
  siginfo_t info;
  OK(waitid(P_PIDFD, fd, &info, WEXITED));
  CHECK_EQ(info.si_status, SIGUSR1);
  CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
  CHECK_ERR(syscall(SYS_pidfd_open, 999999, 0), ESRCH);
}

TEST(kill_zero_probes) {
  OK(kill(getpid(), 0));
  CHECK_ERR(kill(999999, 0), ESRCH);
  CHECK_ERR(kill(getpid(), 65), EINVAL);
  CHECK_ERR(kill(getpid(), -1), EINVAL);
}

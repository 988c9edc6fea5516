// SPDX-License-Identifier: Apache-2.0
// An ordinary user against the processes and files of others.
#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>

#include "hostile.h"

static char victim_data[64] = "victim's secret";
static pid_t start_victim(uid_t uid) {
  pid_t pid = OK(fork());
  if (pid != 0) return pid;
  setenv("PASSWORD", "victim", 1);
  if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
    _exit(1);
  for (;;) pause();
}

static void become(uid_t uid) {
  OK(setgroups(0, NULL));
  OK(setresgid(uid, uid, uid));
  OK(setresuid(uid, uid, uid));
}

static void attack_process(pid_t victim) {
  char text[256], path[64];
  struct iovec here = {text, 16}, there = {victim_data, 16};
  CHECK_ERR(kill(victim, SIGKILL), EPERM);
  CHECK_ERR(kill(victim, 0), EPERM);
  CHECK_ERR(syscall(SYS_tgkill, victim, victim, SIGTERM), EPERM);
  CHECK_ERR(process_vm_readv(victim, &here, 1, &there, 1, 0), EPERM);
  CHECK_ERR(process_vm_writev(victim, &here, 1, &there, 1, 0), EPERM);
  CHECK(ptrace(PTRACE_ATTACH, victim, 0, 0) < 0);
  static const char *const files[] = {"mem",   "environ", "maps",    "auxv",   "io",
                                      "stack", "smaps",   "pagemap", "syscall"};
  for (int i = 0; i < 9; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s", victim, files[i]);
    int fd = open(path, O_RDONLY);
    if (fd >= 0) CHECK(read(fd, text, sizeof text) <= 0);
    fd = open(path, O_RDWR);
    CHECK(fd < 0 || read(fd, text, sizeof text) <= 0);
  }
  static const char *const links[] = {"exe", "cwd", "root", "fd/0"};
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s", victim, links[i]);
    CHECK(readlink(path, text, sizeof text) < 0);
    CHECK(open(path, O_RDONLY) < 0);
  }
  snprintf(path, sizeof path, "/proc/%d/fd", victim);
  CHECK(opendir(path) == NULL);
  snprintf(path, sizeof path, "/proc/%d/fdinfo", victim);
  CHECK(opendir(path) == NULL);
  snprintf(path, sizeof path, "/proc/%d/timerslack_ns", victim);
  int slack = open(path, O_RDWR);
  if (slack >= 0) {
    CHECK_ERR(read(slack, text, sizeof text), EPERM);
    CHECK_ERR(write(slack, "1", 1), EPERM);
  }
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", victim);
  CHECK(open(path, O_WRONLY) < 0);
  struct rlimit limit = {1, 1};
  CHECK_ERR(prlimit(victim, RLIMIT_NOFILE, &limit, NULL), EPERM);
  CHECK_ERR(prlimit(victim, RLIMIT_NOFILE, NULL, &limit), EPERM);
  CHECK(setpriority(PRIO_PROCESS, victim, 5) < 0);
  struct sched_param parameter = {0};
  CHECK(sched_setscheduler(victim, SCHED_OTHER, &parameter) < 0);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  CHECK_ERR(sched_setaffinity(victim, sizeof set, &set), EPERM);
  CHECK(setpgid(victim, 0) < 0);
  int pidfd = syscall(SYS_pidfd_open, victim, 0);
  if (pidfd >= 0) {
    CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0), EPERM);
    CHECK(syscall(SYS_pidfd_getfd, pidfd, 0, 0) < 0);
  }
  void *head;
  size_t size;
  CHECK_ERR(syscall(SYS_get_robust_list, victim, &head, &size), EPERM);
}

static void attack_as_user(uid_t victim_uid) {
  pid_t victim = start_victim(victim_uid);
  sleep_ms(20);
  pid_t pid = OK(fork());
  if (pid == 0) {
    become(3000);
    attack_process(victim);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  CHECK_EQ(waitpid(victim, NULL, WNOHANG), 0);  // still there
  OK(kill(victim, SIGKILL));
  CHECK_KILLED(victim, SIGKILL);
}

TEST(a_user_against_another_users_process) { attack_as_user(4000); }
TEST(a_user_against_root) { attack_as_user(0); }

// Whoever may execute a program and not read it shall not read it out of its process.
TEST(a_program_that_may_not_be_read) {
  char program[64], text[16];
  snprintf(program, sizeof program, "/tmp/execute-only-%d", getpid());
  int from = OK(open("/bin/sleep", O_RDONLY)), to = OK(open(program, O_CREAT | O_WRONLY, 0700));
  while (sendfile(to, from, NULL, 1 << 20) > 0)
    ;
  close(to);
  OK(chmod(program, 0711));
  pid_t victim = OK(fork());
  if (victim == 0) {
    become(3000);
    execl(program, "sleep", "100", NULL);
    _exit(1);
  }
  sleep_ms(100);
  pid_t pid = OK(fork());
  if (pid == 0) {
    become(3000);
    CHECK_ERR(open(program, O_RDONLY), EACCES);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", victim);
    CHECK_ERR(open(path, O_RDONLY), EACCES);
    snprintf(path, sizeof path, "/proc/%d/fd", victim);
    CHECK_ERR(open(path, O_RDONLY), EACCES);
    struct iovec here = {text, 16}, there = {victim_data, 16};
    CHECK_ERR(process_vm_readv(victim, &here, 1, &there, 1, 0), EPERM);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  OK(kill(victim, SIGKILL));
  CHECK_KILLED(victim, SIGKILL);
  OK(unlink(program));
}

TEST(a_user_does_not_become_another) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    become(3000);
    CHECK_ERR(setuid(0), EPERM);
    CHECK_ERR(setresuid(-1, 0, -1), EPERM);
    CHECK_ERR(setgid(0), EPERM);
    CHECK_ERR(setgroups(0, NULL), EPERM);
    setfsuid(0);
    CHECK_EQ(setfsuid(-1), 3000);
    CHECK(open("/etc/shadow", O_RDONLY) < 0);
    CHECK(chroot("/tmp") < 0);
    CHECK(mount("none", "/mnt", "tmpfs", 0, NULL) < 0);
    CHECK(umount("/proc") < 0);
    CHECK(sethostname("evil", 4) < 0);
    CHECK(mknod("/tmp/node", S_IFCHR | 0666, 0x103) < 0);
    struct rlimit limit = {1 << 30, 1 << 30};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) < 0);
    CHECK(nice(-5) == -1);
    prctl(PR_SET_KEEPCAPS, 1);
    CHECK(setuid(0) < 0);
    put_file("/tmp/suid-attempt", "x");
    CHECK_ERR(chown("/tmp/suid-attempt", 0, 0), EPERM);
    OK(unlink("/tmp/suid-attempt"));
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

// access(2) judges by the real ids, and must do so in every file system.
TEST(access_in_proc_as_a_user) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    become(3000);
    static const char *const paths[] = {
        "/proc/self",         "/proc/self/exe", "/proc/self/cwd",  "/proc/thread-self",
        "/proc/self/fd/0",    "/proc/self/mem", "/proc/self/maps", "/proc/1/environ",
        "/proc/self/ns",      "/dev/tty",       "/dev/ptmx",       "/proc/self/root/tmp",
        "/proc/self/environ", "/proc/mounts",   "/dev/stdin"};
    for (int i = 0; i < 15; i++) {
      for (int mode = 0; mode < 8; mode++) {
        access(paths[i], mode);
        faccessat(AT_FDCWD, paths[i], mode, AT_EACCESS);
        faccessat(AT_FDCWD, paths[i], mode, AT_SYMLINK_NOFOLLOW);
      }
    }
    OK(access("/proc/self", X_OK));
    CHECK_EQ(geteuid(), 3000);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

// Access bits of a thread whose real and effective ids differ, while another thread looks on.
TEST(access_by_real_ids) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    put_file("private", "x");
    OK(chmod("private", 0600));
    OK(setresuid(3000, 0, 0));
    CHECK_ERR(access("private", R_OK), EACCES);
    CHECK_EQ(geteuid(), 0);
    OK(open("private", O_RDONLY));
    OK(faccessat(AT_FDCWD, "private", R_OK, AT_EACCESS));
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

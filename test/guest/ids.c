// SPDX-License-Identifier: Apache-2.0
// Credentials, capabilities, limits, prctl(2), names of the machine, random numbers, priorities.
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "check.h"

static void check_uids(uid_t real, uid_t effective, uid_t saved) {
  uid_t r, e, s;
  OK(getresuid(&r, &e, &s));
  CHECK_EQ(r, real);
  CHECK_EQ(e, effective);
  CHECK_EQ(s, saved);
}

struct caps {
  uint64_t effective, permitted, inheritable;
};

static struct caps get_caps(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  OK(syscall(SYS_capget, &header, data));
  return (struct caps){data[0].effective | (uint64_t)data[1].effective << 32,
                       data[0].permitted | (uint64_t)data[1].permitted << 32,
                       data[0].inheritable | (uint64_t)data[1].inheritable << 32};
}

static int set_caps(struct caps caps) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {
      {caps.effective, caps.permitted, caps.inheritable},
      {caps.effective >> 32, caps.permitted >> 32, caps.inheritable >> 32}};
  return syscall(SYS_capset, &header, data);
}

TEST(setuid_of_root_is_final) {
  check_uids(0, 0, 0);
  OK(setuid(1000));
  check_uids(1000, 1000, 1000);
  CHECK_ERR(setuid(0), EPERM);
  OK(setuid(1000));
  CHECK_EQ(get_caps().permitted, 0);
}

TEST(saved_id_lets_back) {
  OK(seteuid(1000));
  check_uids(0, 1000, 0);
  CHECK_EQ(get_caps().effective, 0);
  CHECK(get_caps().permitted != 0);
  OK(seteuid(0));
  CHECK(get_caps().effective != 0);
  OK(setresuid(1, 2, 3));
  check_uids(1, 2, 3);
  OK(setresuid(-1, 3, -1));
  OK(setreuid(3, 1));
  check_uids(3, 1, 1);
  CHECK_ERR(setresuid(0, -1, -1), EPERM);
}

TEST(groups) {
  gid_t list[4] = {10, 20, 30, 0};
  OK(setgroups(3, list));
  gid_t got[4];
  CHECK_EQ(getgroups(0, NULL), 3);
  CHECK_EQ(getgroups(4, got), 3);
  CHECK_EQ(got[0], 10);
  CHECK_EQ(got[2], 30);
  CHECK_ERR(getgroups(2, got), EINVAL);
  OK(setresgid(1, 2, 3));
  CHECK_EQ(getegid(), 2);
  OK(setuid(5));
  CHECK_ERR(setgroups(0, NULL), EPERM);
  CHECK_ERR(setgid(77), EPERM);
  OK(setgid(3));
  CHECK_ERR(setgroups(70000, NULL), EPERM);
}

TEST(capabilities_can_be_dropped) {
  struct caps caps = get_caps();
  CHECK(caps.effective & 1ULL << CAP_CHOWN);
  put_file("f", "");
  OK(chown("f", 1, 1));
  struct caps less = caps;
  less.effective &= ~(1ULL << CAP_CHOWN);
  OK(set_caps(less));
  CHECK_ERR(chown("f", 2, 2), EPERM);
  OK(set_caps(caps));
  OK(chown("f", 2, 2));
  less.permitted &= ~(1ULL << CAP_CHOWN);
  OK(set_caps(less));
  CHECK_ERR(set_caps(caps), EPERM);
}

TEST(keep_capabilities) {
  OK(prctl(PR_SET_KEEPCAPS, 1));
  CHECK_EQ(prctl(PR_GET_KEEPCAPS), 1);
  struct caps before = get_caps();
  OK(setuid(1000));
  struct caps after = get_caps();
  CHECK(after.permitted == before.permitted);
  CHECK_EQ(after.effective, 0);
}

TEST(bounding_set) {
  CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SETUID), 1);
  OK(prctl(PR_CAPBSET_DROP, CAP_SETUID));
  CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SETUID), 0);
  CHECK_ERR(prctl(PR_CAPBSET_READ, 99), EINVAL);
  pid_t pid = OK(fork());
  if (pid == 0) {
    execl(check_self, "x", "@lost_setuid", NULL);
    _exit(99);
  }
  CHECK_EXIT(pid, 31);
}

HELPER(lost_setuid) {
  CHECK_EQ(get_caps().permitted & 1ULL << CAP_SETUID, 0);
  CHECK_ERR(setuid(1000), EPERM);
  return 31;
}

TEST(no_new_privileges) {
  CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
  CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0), EINVAL);
  OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
  CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
}

TEST(name_and_dumpable) {
  char name[16];
  OK(prctl(PR_SET_NAME, "new-name"));
  OK(prctl(PR_GET_NAME, name));
  CHECK_STR(name, "new-name");
  CHECK_STR(get_file("/proc/self/comm"), "new-name\n");
  CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
  OK(prctl(PR_SET_DUMPABLE, 0));
  CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
  CHECK_ERR(prctl(PR_SET_DUMPABLE, 5), EINVAL);
  CHECK_ERR(prctl(99999), EINVAL);
  int signal;
  OK(prctl(PR_SET_PDEATHSIG, SIGHUP));
  OK(prctl(PR_GET_PDEATHSIG, &signal));
  CHECK_EQ(signal, SIGHUP);
  CHECK_ERR(prctl(PR_SET_PDEATHSIG, 99), EINVAL);
}

TEST(limits) {
  struct rlimit limit;
  OK(getrlimit(RLIMIT_NOFILE, &limit));
  CHECK(limit.rlim_cur <= limit.rlim_max);
  limit.rlim_cur = 100;
  OK(setrlimit(RLIMIT_NOFILE, &limit));
  OK(getrlimit(RLIMIT_NOFILE, &limit));
  CHECK_EQ(limit.rlim_cur, 100);
  limit.rlim_cur = limit.rlim_max + 1;
  if (limit.rlim_max != RLIM_INFINITY) CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
  CHECK_ERR(getrlimit(99, &limit), EINVAL);
  struct rlimit old;
  limit = (struct rlimit){50, 60};
  OK(prlimit(0, RLIMIT_NOFILE, &limit, &old));
  CHECK_EQ(old.rlim_cur, 100);
  OK(getrlimit(RLIMIT_STACK, &limit));
  CHECK(limit.rlim_cur >= 1 << 20);
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    CHECK_EQ(limit.rlim_cur, 50);
    OK(setuid(1000));
    limit.rlim_max = 70;
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

TEST(machine_names) {
  struct utsname name;
  OK(uname(&name));
  CHECK_STR(name.sysname, "Linux");
  CHECK_STR(name.machine, "x86_64");
  CHECK(name.release[0] >= '3' && name.release[1] != 0);
  char host[65];
  OK(gethostname(host, 65));
  CHECK_STR(host, name.nodename);
}

TEST(system_information) {
  struct sysinfo info;
  OK(sysinfo(&info));
  CHECK(info.totalram > 0);
  CHECK(info.freeram <= info.totalram);
  CHECK(info.procs > 0);
  CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
  CHECK_EQ(sysconf(_SC_PAGESIZE), 4096);
}

TEST(random_numbers) {
  unsigned char a[64] = "", b[64] = "";
  CHECK_EQ(getrandom(a, 64, 0), 64);
  CHECK_EQ(getrandom(b, 64, GRND_NONBLOCK), 64);
  CHECK(memcmp(a, b, 64) != 0);
  CHECK_ERR(getrandom(a, 64, 0x100), EINVAL);
}

TEST(priorities) {
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
  OK(setpriority(PRIO_PROCESS, 0, 5));
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), 5);
  OK(setpriority(PRIO_PROCESS, 0, 100));
  CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
  errno = 0;
  CHECK_EQ(nice(-1), 18);
  CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
  struct sched_param param = {0};
  OK(sched_setscheduler(0, SCHED_BATCH, &param));
  CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
  CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
  CHECK_ERR(setpriority(PRIO_PROCESS, 999999, 0), ESRCH);
  CHECK_ERR(setpriority(77, 0, 0), EINVAL);
}

TEST(status_file) {
  const char *text = get_file("/proc/self/status");
  char want[64];
  sprintf(want, "\nPid:\t%d\n", getpid());
  CHECK(strstr(text, want) != NULL);
  sprintf(want, "\nPPid:\t%d\n", getppid());
  CHECK(strstr(text, want) != NULL);
  CHECK(strstr(text, "\nUid:\t0\t0\t0\t0\n") != NULL);
  CHECK(strstr(text, "\nThreads:\t1\n") != NULL);
  CHECK(strstr(text, "\nState:\tR (running)\n") != NULL);
}

TEST(stat_file_of_a_zombie) {
  pid_t pid = OK(fork());
  if (pid == 0) _exit(0);
  siginfo_t info;
  OK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
  char path[64];
  sprintf(path, "/proc/%d/stat", pid);
  const char *text = get_file(path);
  CHECK(strstr(text, ") Z ") != NULL);
  CHECK_EXIT(pid, 0);
  CHECK_ERR(open(path, O_RDONLY), ENOENT);
}

TEST(unknown_calls) {
  CHECK_ERR(syscall(9999), ENOSYS);
  CHECK_ERR(syscall(-1), ENOSYS);
}

static void capabilities(struct __user_cap_data_struct data[2]) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  OK(syscall(SYS_capget, &header, data));
}

HELPER(permitted) {
  struct __user_cap_data_struct data[2];
  capabilities(data);
  return data[0].permitted == 0 ? 30 : 31;
}

TEST(no_new_privileges_gives_nothing_back) {
  if (getuid() != 0) SKIP("not root");
  for (int bound = 0; bound < 2; bound++) {
    pid_t pid = OK(fork());
    if (pid == 0) {
      struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
      struct __user_cap_data_struct none[2] = {{0}};
      if (bound) OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
      OK(syscall(SYS_capset, &header, none));
      execl(check_self, check_self, "@permitted", NULL);
    }
    CHECK_EXIT(pid, bound ? 30 : 31);
  }
}

TEST(securebits_can_be_locked) {
  if (getuid() != 0) SKIP("not root");
  OK(prctl(PR_SET_SECUREBITS, 16 | 32));
  CHECK_EQ(prctl(PR_GET_KEEPCAPS), 1);
  CHECK_ERR(prctl(PR_SET_KEEPCAPS, 0), EPERM);
  CHECK_ERR(prctl(PR_SET_SECUREBITS, 32), EPERM);
  CHECK_ERR(prctl(PR_SET_SECUREBITS, 16), EPERM);
  CHECK_ERR(prctl(PR_SET_SECUREBITS, 0x1000), EPERM);
  OK(prctl(PR_SET_SECUREBITS, 16 | 32 | 1));
}

TEST(ambient_capabilities) {
  if (getuid() != 0) SKIP("not root");
  CHECK_ERR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), EPERM);
  CHECK_ERR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0), EINVAL);
  CHECK_ERR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 1, 0), EINVAL);
  CHECK_ERR(prctl(PR_CAP_AMBIENT, 9, CAP_KILL, 0, 0), EINVAL);
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  capabilities(data);
  data[0].inheritable |= 1 << CAP_KILL;
  OK(syscall(SYS_capset, &header, data));
  OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
  CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 1);
  data[0].inheritable = 0;
  OK(syscall(SYS_capset, &header, data));
  CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0);
}

TEST(file_system_capabilities_follow_fsuid) {
  if (getuid() != 0) SKIP("not root");
  struct __user_cap_data_struct data[2];
  CHECK_EQ(setfsuid(1000), 0);
  capabilities(data);
  CHECK_EQ(data[0].effective & (1 << CAP_DAC_OVERRIDE), 0);
  CHECK(data[0].effective & (1 << CAP_KILL));
  CHECK_EQ(setfsuid(0), 1000);
  capabilities(data);
  CHECK(data[0].effective & (1 << CAP_DAC_OVERRIDE));
}

TEST(prctl_oddities) {
  int value = 0;
  OK(prctl(PR_GET_TSC, &value));
  CHECK_EQ(value, 1);
  OK(prctl(PR_SET_TSC, 1));
  CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), 2);
  OK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
  CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), 1);
  CHECK_ERR(prctl(PR_MCE_KILL, 7, 0, 0, 0), EINVAL);
  CHECK_ERR(prctl(PR_SET_TIMING, 1), EINVAL);
  CHECK_ERR(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
  OK(prctl(PR_TASK_PERF_EVENTS_DISABLE));
  CHECK_ERR(prctl(0x59999), EINVAL);
  if (getuid() == 0) OK(setresuid(1000, 1000, 1000));
  CHECK_ERR(prctl(PR_SET_MM, 1, 0, 0, 0), EPERM);
  CHECK_ERR(prctl(57 /* PR_SET_IO_FLUSHER */, 1, 0, 0, 0), EPERM);
  unsigned long auxv[128];
  long size = prctl(0x41555856 /* PR_GET_AUXV */, auxv, sizeof auxv, 0, 0);
  CHECK(size > 64 && size % 16 == 0);
}

TEST(others_may_not_be_signalled_or_rescheduled) {
  if (getuid() != 0) SKIP("not root");
  pid_t parent = getpid();
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setresuid(1000, 1000, 1000));
    CHECK_ERR(kill(1, 0), EPERM);
    CHECK_ERR(kill(parent, 0), EPERM);
    int fd = OK(syscall(SYS_pidfd_open, parent, 0));
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), EPERM);
    CHECK_ERR(syscall(SYS_pidfd_getfd, fd, 0, 0), EPERM);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    CHECK_ERR(sched_setaffinity(parent, sizeof set, &set), EPERM);
    void *head;
    size_t length;
    CHECK_ERR(syscall(SYS_get_robust_list, parent, &head, &length), EPERM);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

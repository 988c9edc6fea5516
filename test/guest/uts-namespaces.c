// SPDX-License-Identifier: Apache-2.0
// UTS namespaces (uts_namespaces(7)): unshare, clone, setns, and names that are one namespace's.
// Cases that need the right to make one are skipped without it.
#include <sched.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <pthread.h>

#include "check.h"

static void enter_new(void) {
  if (unshare(CLONE_NEWUTS) < 0) SKIP("no rights for a UTS namespace");
}

static const char *host(void) {
  static char name[65];
  OK(gethostname(name, sizeof name));
  return name;
}

static const char *link_of(const char *path) {
  static char text[2][64];
  static int turn;
  char *out = text[turn = !turn];
  memset(out, 0, 64);
  OK(readlink(path, out, 63));
  return out;
}

static int in_child(void (*run)(void)) {
  pid_t child = OK(fork());
  if (child == 0) {
    run();
    _exit(0);
  }
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == CHECK_SKIPPED) SKIP("no rights for a UTS namespace");
  return status;
}

static char outer[65];

static void change_names(void) {
  const char *before = link_of("/proc/self/ns/uts");
  enter_new();
  CHECK(strcmp(before, link_of("/proc/self/ns/uts")) != 0);
  // It starts with the names of the old one.
  CHECK_STR(host(), outer);
  OK(sethostname("inner", 5));
  OK(setdomainname("inner.domain", 12));
  CHECK_STR(host(), "inner");
  struct utsname names;
  OK(uname(&names));
  CHECK_STR(names.nodename, "inner");
  CHECK_STR(names.domainname, "inner.domain");
  CHECK_STR(get_file("/proc/sys/kernel/hostname"), "inner\n");
  CHECK_STR(get_file("/proc/sys/kernel/domainname"), "inner.domain\n");
  put_file("/proc/sys/kernel/hostname", "by-file\n");
  CHECK_STR(host(), "by-file");
}

TEST(uts_names_are_one_namespace_s) {
  strcpy(outer, host());
  CHECK_EQ(in_child(change_names), 0);
  CHECK_STR(host(), outer);
}

TEST(uts_clone_makes_one) {
  strcpy(outer, host());
  pid_t child = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL, NULL);
  if (child < 0 && errno == EPERM) SKIP("no rights for a UTS namespace");
  OK(child);
  if (child == 0) {
    OK(sethostname("cloned", 6));
    CHECK_STR(host(), "cloned");
    _exit(0);
  }
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  CHECK_STR(host(), outer);
}

static void leave_and_return(void) {
  int back = OK(open("/proc/self/ns/uts", O_RDONLY));
  const char *before = link_of("/proc/self/ns/uts");
  enter_new();
  OK(sethostname("away", 4));
  int away = OK(open("/proc/self/ns/uts", O_RDONLY));
  CHECK_ERR(setns(back, CLONE_NEWIPC), EINVAL);
  CHECK_ERR(setns(away, CLONE_NEWPID), EINVAL);
  OK(setns(back, CLONE_NEWUTS));
  CHECK_STR(link_of("/proc/self/ns/uts"), before);
  CHECK_STR(host(), outer);
  OK(setns(away, 0));
  CHECK_STR(host(), "away");
  struct stat one, other;
  OK(fstat(back, &one));
  OK(fstat(away, &other));
  CHECK(one.st_ino != other.st_ino);
}

TEST(uts_setns_goes_and_comes_back) {
  strcpy(outer, host());
  CHECK_EQ(in_child(leave_and_return), 0);
}

static void *rename_in_thread(void *unused) {
  (void)unused;
  if (unshare(CLONE_NEWUTS) < 0) return (void *)1;
  sethostname("thread", 6);
  return NULL;
}

TEST(uts_is_a_thread_s) {
  strcpy(outer, host());
  pthread_t thread;
  void *failed;
  CHECK_EQ(pthread_create(&thread, NULL, rename_in_thread, NULL), 0);
  CHECK_EQ(pthread_join(thread, &failed), 0);
  if (failed != NULL) SKIP("no rights for a UTS namespace");
  CHECK_STR(host(), outer);
}

static void lose_rights(void) {
  enter_new();
  int other = OK(open("/proc/self/ns/uts", O_RDONLY));
  OK(setresuid(65534, 65534, 65534));
  CHECK_ERR(sethostname("no", 2), EPERM);
  CHECK_ERR(setdomainname("no", 2), EPERM);
  CHECK_ERR(unshare(CLONE_NEWUTS), EPERM);
  CHECK_ERR(setns(other, CLONE_NEWUTS), EPERM);
}

TEST(uts_needs_rights) { CHECK_EQ(in_child(lose_rights), 0); }

static void long_names(void) {
  char name[80];
  memset(name, 'n', sizeof name);
  enter_new();
  OK(sethostname(name, 64));
  CHECK_EQ(strlen(host()), 64);
  CHECK_ERR(sethostname(name, 65), EINVAL);
  CHECK_ERR(sethostname(name, -1), EINVAL);
  CHECK_ERR(sethostname((char *)8, 5), EFAULT);
  OK(sethostname("", 0));
  CHECK_STR(host(), "");
}

TEST(uts_bounds_of_names) { CHECK_EQ(in_child(long_names), 0); }

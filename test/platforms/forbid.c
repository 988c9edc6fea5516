// SPDX-License-Identifier: Apache-2.0
// forbid WHAT... -- COMMAND: runs it on a host that refuses a platform's needs. WHAT: listener (seccomp
// filters with user notification), ptrace (as Yama scope 3 does), or getfd (pidfd_getfd).
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_NOT(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skipped))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))

static void install(struct sock_filter *code, unsigned short count) {
  struct sock_fprog program = {count, code};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) perror("seccomp");
}

static void refuse(int number, int error) {
  struct sock_filter code[] = {LOAD(nr), IF_NOT((unsigned)number, 1),
                               ANSWER(SECCOMP_RET_ERRNO | (unsigned)error),
                               ANSWER(SECCOMP_RET_ALLOW)};
  install(code, 4);
}

static void refuse_listeners(void) {
  struct sock_filter code[] = {
      LOAD(nr),
      IF_NOT(SYS_seccomp, 4),
      LOAD(args[1]),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0, 2),
      ANSWER(SECCOMP_RET_ERRNO | EBUSY),
      ANSWER(SECCOMP_RET_ALLOW),
      ANSWER(SECCOMP_RET_ALLOW)};
  install(code, 7);
}

int main(int argc, char **argv) {
  int i = 1;
  if (geteuid() != 0) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "listener") == 0) refuse_listeners();
    if (strcmp(argv[i], "ptrace") == 0) refuse(SYS_ptrace, EPERM);
    if (strcmp(argv[i], "getfd") == 0) refuse(SYS_pidfd_getfd, EPERM);
  }
  if (i + 1 >= argc) return 2;
  execvp(argv[i + 1], argv + i + 1);
  return 127;
}

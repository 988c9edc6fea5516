// SPDX-License-Identifier: Apache-2.0
// Calls on memory that few programs make: locks, remap_file_pages, protection keys, NUMA policy (as
// a machine with one memory node has it).
#include "check.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/resource.h>

static char *map(size_t pages) {
  char *at = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(at != MAP_FAILED);
  return at;
}

/* VmLck of /proc/self/status, in kB. */
static long locked_kb(void) {
  const char *line = strstr(get_file("/proc/self/status"), "VmLck:");
  CHECK(line != NULL);
  return atol(line + 6);
}

TEST(mlock2_on_fault) {
  char *at = map(4);
  long before = locked_kb();
  CHECK_EQ(syscall(SYS_mlock2, at, 8192, MLOCK_ONFAULT), 0);
  CHECK_EQ(locked_kb(), before + 8);
  CHECK_EQ(syscall(SYS_mlock2, at + 8192, 4096, 0), 0);
  CHECK_EQ(locked_kb(), before + 12);
  CHECK_ERR(syscall(SYS_mlock2, at, 4096, 2), EINVAL);
  OK(munlock(at, 4 * 4096));
  CHECK_EQ(locked_kb(), before);
  OK(munmap(at + 4096, 4096));
  CHECK_ERR(syscall(SYS_mlock2, at, 3 * 4096, 0), ENOMEM);
}

TEST(mlockall_and_munlockall) {
  CHECK_ERR(syscall(SYS_mlockall, 0), EINVAL);
  CHECK_ERR(syscall(SYS_mlockall, MCL_ONFAULT), EINVAL);
  CHECK_ERR(syscall(SYS_mlockall, 8), EINVAL);
  if (syscall(SYS_mlockall, MCL_FUTURE) < 0) SKIP("may not lock memory");
  long before = locked_kb();
  char *at = map(16);
  CHECK_EQ(locked_kb(), before + 64);
  OK(munmap(at, 16 * 4096));
  OK(syscall(SYS_munlockall));
  CHECK_EQ(locked_kb(), 0);
  map(16);
  CHECK_EQ(locked_kb(), 0); /* the future is over as well */
}

TEST(limit_of_locked_memory) {
  if (geteuid() == 0) OK(setresuid(4321, 4321, 4321)); /* CAP_IPC_LOCK goes with it */
  struct rlimit limit = {8192, 8192};
  OK(setrlimit(RLIMIT_MEMLOCK, &limit));
  char *at = map(4);
  CHECK_ERR(syscall(SYS_mlock2, at, 3 * 4096, 0), ENOMEM);
  OK(syscall(SYS_mlock2, at, 2 * 4096, 0));
  CHECK_ERR(syscall(SYS_mlockall, MCL_CURRENT), ENOMEM);
  limit.rlim_cur = limit.rlim_max = 0;
  OK(setrlimit(RLIMIT_MEMLOCK, &limit));
  CHECK_ERR(syscall(SYS_mlock2, at + 2 * 4096, 4096, 0), EPERM);
}

TEST(remap_file_pages_of_a_shared_mapping) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  for (int page = 0; page < 4; page++) {
    char letter = (char)('a' + page);
    CHECK_EQ(pwrite(fd, &letter, 1, page * 4096), 1);
  }
  OK(ftruncate(fd, 4 * 4096));
  char *at = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(at != MAP_FAILED);
  OK(syscall(SYS_remap_file_pages, at, 4096, 0, 3, 0));
  CHECK_EQ(at[0], 'd');
  CHECK_EQ(at[4096], 'b');
  CHECK_ERR(syscall(SYS_remap_file_pages, at, 4096, PROT_READ, 3, 0), EINVAL);
  CHECK_ERR(syscall(SYS_remap_file_pages, map(1), 4096, 0, 0, 0), EINVAL);
  CHECK_ERR(syscall(SYS_remap_file_pages, at, 0, 0, 0, 0), EINVAL);
}

TEST(protection_keys) {
  int key = (int)syscall(SYS_pkey_alloc, 0, 0);
  char *at = map(1);
  /* Key -1 is mprotect(2), with or without hardware. */
  OK(syscall(SYS_pkey_mprotect, at, 4096, PROT_READ, -1));
  CHECK_ERR(read(OK(open("/dev/zero", O_RDONLY)), at, 1), EFAULT);
  CHECK_ERR(syscall(SYS_pkey_mprotect, at, 4096, PROT_READ, 99), EINVAL);
  CHECK_ERR(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
  CHECK_ERR(syscall(SYS_pkey_free, 99), EINVAL);
  if (key < 0) SKIP("no protection keys");
  OK(syscall(SYS_pkey_free, key));
  CHECK_ERR(syscall(SYS_pkey_free, key), EINVAL);
}

static int policy_now(unsigned long *nodes) {
  int mode = -1;
  *nodes = 0;
  OK(syscall(SYS_get_mempolicy, &mode, nodes, 1024UL, NULL, 0)); /* at least the host's nodes */
  return mode;
}

TEST(memory_policy) {
  unsigned long nodes[16] = {0}, one = 1, none = 0, far = 1UL << 40;
  CHECK_EQ(policy_now(nodes), MPOL_DEFAULT);
  CHECK_EQ(nodes[0], 0);
  OK(syscall(SYS_set_mempolicy, MPOL_BIND, &one, 64UL));
  CHECK_EQ(policy_now(nodes), MPOL_BIND);
  CHECK_EQ(nodes[0], 1);
  pid_t child = fork();
  if (child == 0) _exit(policy_now(nodes) == MPOL_BIND && nodes[0] == 1 ? 0 : 1);
  CHECK_EXIT(child, 0);
  OK(syscall(SYS_set_mempolicy, MPOL_PREFERRED, &none, 64UL)); /* none is preferred: local */
  CHECK_EQ(policy_now(nodes), MPOL_LOCAL);
  OK(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0UL));
  CHECK_ERR(syscall(SYS_set_mempolicy, MPOL_BIND, &none, 64UL), EINVAL);
  CHECK_ERR(syscall(SYS_set_mempolicy, MPOL_BIND, &far, 64UL), EINVAL);
  CHECK_ERR(syscall(SYS_set_mempolicy, MPOL_DEFAULT, &one, 64UL), EINVAL);
  CHECK_ERR(syscall(SYS_set_mempolicy, 99, &one, 64UL), EINVAL);
  CHECK_ERR(syscall(SYS_set_mempolicy, MPOL_BIND, 8, 64UL), EFAULT);
  int mode = 0;
  OK(syscall(SYS_get_mempolicy, NULL, nodes, 1024UL, NULL, MPOL_F_MEMS_ALLOWED));
  CHECK(nodes[0] & 1);
  CHECK_ERR(syscall(SYS_get_mempolicy, &mode, NULL, 0UL, 8, MPOL_F_ADDR), EFAULT);
  CHECK_ERR(syscall(SYS_get_mempolicy, &mode, NULL, 0UL, NULL, 0x100), EINVAL);
}

TEST(policy_of_a_range) {
  char *at = map(4);
  unsigned long one = 1, none = 0;
  OK(syscall(SYS_mbind, at, 2 * 4096UL, MPOL_BIND, &one, 64UL, 0));
  int mode = -1;
  OK(syscall(SYS_get_mempolicy, &mode, NULL, 0UL, at, MPOL_F_ADDR));
  CHECK_EQ(mode, MPOL_BIND);
  OK(syscall(SYS_get_mempolicy, &mode, NULL, 0UL, at + 2 * 4096, MPOL_F_ADDR));
  CHECK_EQ(mode, MPOL_DEFAULT);
  CHECK_ERR(syscall(SYS_mbind, at + 1, 4096UL, MPOL_BIND, &one, 64UL, 0), EINVAL);
  CHECK_ERR(syscall(SYS_mbind, at, 4096UL, MPOL_BIND, &none, 64UL, 0), EINVAL);
  CHECK_ERR(syscall(SYS_mbind, at, 4096UL, MPOL_BIND, &one, 64UL, 0x100), EINVAL);
  OK(munmap(at + 4096, 4096));
  CHECK_ERR(syscall(SYS_mbind, at, 3 * 4096UL, MPOL_BIND, &one, 64UL, 0), EFAULT);
}

TEST(migrate_pages_on_one_node) {
  unsigned long one = 1, none = 0;
  CHECK_EQ(syscall(SYS_migrate_pages, 0, 64UL, &one, &one), 0);
  CHECK_ERR(syscall(SYS_migrate_pages, 0, 64UL, &one, &none), EINVAL);
  CHECK_ERR(syscall(SYS_migrate_pages, 0, 64UL, 8, &one), EFAULT);
  CHECK_ERR(syscall(SYS_migrate_pages, 0x3fffffff, 64UL, &one, &one), ESRCH);
}

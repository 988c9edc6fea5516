// SPDX-License-Identifier: Apache-2.0
// Ranges of addresses whose end is past 2^64, or nearly: the sum wraps as Linux's does, and nothing
// else is changed.
#include <sys/mman.h>

#include "check.h"

#define MPOL_DEFAULT 0
static const unsigned long near_top = -4096UL;
static const unsigned long half = 1UL << 63;

TEST(madvise_past_the_end) {
  CHECK_ERR(syscall(SYS_madvise, 0, -2049UL, MADV_DONTFORK), EINVAL);
  CHECK_ERR(syscall(SYS_madvise, 0, -4095UL, MADV_DONTFORK), EINVAL);
  CHECK_ERR(syscall(SYS_madvise, 0, -1UL, MADV_DONTFORK), EINVAL);
  CHECK_ERR(syscall(SYS_madvise, half, half, MADV_DONTFORK), EINVAL);
  CHECK_ERR(syscall(SYS_madvise, near_top, 1, MADV_DONTFORK), EINVAL);
  CHECK_ERR(syscall(SYS_madvise, -1UL, 0, MADV_DONTFORK), EINVAL);
  CHECK_ERR(syscall(SYS_madvise, 0, -2049UL, MADV_WIPEONFORK), EINVAL);
  pid_t pid = OK(fork());
  if (pid == 0) _exit(0);
  CHECK_EXIT(pid, 0);
}

TEST(mlock_past_the_end) {
  OK(syscall(SYS_mlock, 0, -1UL));
  OK(syscall(SYS_mlock, 0x10000000, -4095UL));
  CHECK_ERR(syscall(SYS_mlock, half, half), EINVAL);
  CHECK_ERR(syscall(SYS_mlock, near_top, 1), EINVAL);
  CHECK_ERR(syscall(SYS_mlock, half, 1), ENOMEM);
  CHECK_ERR(syscall(SYS_munlock, half, half), EINVAL);
  OK(syscall(SYS_munlock, 0, -1UL));
  CHECK_ERR(syscall(SYS_munlock, half, 1), ENOMEM);
}

TEST(protect_and_sync_past_the_end) {
  CHECK_ERR(syscall(SYS_mprotect, 0x10000000, -1UL, PROT_NONE), ENOMEM);
  CHECK_ERR(syscall(SYS_mprotect, half, half, PROT_NONE), ENOMEM);
  CHECK_ERR(syscall(SYS_mprotect, -1UL, 4096, PROT_NONE), EINVAL);
  CHECK_ERR(syscall(SYS_mprotect, near_top, 4096, PROT_NONE), ENOMEM);
  CHECK_ERR(syscall(SYS_msync, half, half, MS_ASYNC), ENOMEM);
  OK(syscall(SYS_msync, 0x10000000, -1UL, MS_ASYNC));
  CHECK_ERR(syscall(SYS_munmap, half, half), EINVAL);
  CHECK_ERR(syscall(SYS_munmap, 0, -1UL), EINVAL);
  unsigned char vector[1];
  CHECK_ERR(syscall(SYS_mincore, half, 0, vector), ENOMEM);
  CHECK_ERR(syscall(SYS_mincore, -1UL, 0, vector), EINVAL);
}

TEST(mbind_past_the_end) {
  OK(syscall(SYS_mbind, 0x10000000, -1UL, MPOL_DEFAULT, NULL, 0, 0));
  CHECK_ERR(syscall(SYS_mbind, half, half, MPOL_DEFAULT, NULL, 0, 0), EINVAL);
  CHECK_ERR(syscall(SYS_mbind, 0, 1, MPOL_DEFAULT, NULL, 0, 0), EFAULT);
  OK(syscall(SYS_mbind, 0, 1UL << 47, MPOL_DEFAULT, NULL, 0, 0));
}

// SPDX-License-Identifier: Apache-2.0
// Worst cases: calls about a process's memory, where it has as many mappings as one may have.
#include <linux/mempolicy.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "worst.h"

#define MAPPINGS 60000
#define BYTES (4096L * MAPPINGS)

// Neighbours differ, so that none is joined with the next.
static char *many_mappings(void) {
  char *memory = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  for (long at = 0; at < BYTES; at += 8192) OK(mprotect(memory + at, 4096, PROT_READ | PROT_WRITE));
  return memory;
}

WORST(unmapping) { OK(munmap(many_mappings(), BYTES)); }

WORST(mapping_over) {
  char *memory = many_mappings();
  CHECK(mmap(memory, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory);
}

WORST(protecting) {
  char *memory = many_mappings();
  OK(mprotect(memory, BYTES, PROT_NONE));
  OK(mprotect(memory, BYTES, PROT_READ | PROT_WRITE));
  for (long at = 0; at < BYTES; at += 8192) OK(mprotect(memory + at, 4096, PROT_READ));
  syscall(SYS_pkey_mprotect, memory, BYTES, PROT_READ, -1);
}

WORST(moving) {
  char *memory = many_mappings();
  char *from = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(from != MAP_FAILED);
  CHECK(mremap(from, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, memory) == memory);
}

WORST(advising) {
  static const int advices[] = {MADV_DONTNEED, MADV_FREE,     MADV_DONTFORK,      MADV_DOFORK,
                                MADV_RANDOM,   MADV_HUGEPAGE, MADV_POPULATE_READ, MADV_WIPEONFORK};
  char *memory = many_mappings();
  for (unsigned i = 0; i < sizeof advices / sizeof *advices; i++)
    madvise(memory, BYTES, advices[i]);
  pid_t pid = OK(fork());
  if (pid == 0) _exit(7);
  CHECK_EXIT(pid, 7);
}

WORST(locking) {
  char *memory = many_mappings();
  syscall(SYS_mlock2, memory, BYTES, 1 /* MLOCK_ONFAULT */);
  munlock(memory, BYTES);
  mlock(memory, BYTES);
  OK(munlockall());
  mlockall(MCL_CURRENT | MCL_FUTURE);
  OK(munlockall());
}

WORST(synchronizing) {
  char *memory = many_mappings();
  OK(msync(memory, BYTES, MS_SYNC));
  OK(msync(memory, BYTES, MS_ASYNC | MS_INVALIDATE));
  unsigned char *answer = malloc(MAPPINGS);
  OK(mincore(memory, BYTES, answer));
}

WORST(policies) {
  char *memory = many_mappings();
  unsigned long nodes = 1;
  int mode;
  OK(syscall(SYS_mbind, memory, BYTES, MPOL_BIND, &nodes, 64, 0));
  OK(syscall(SYS_get_mempolicy, &mode, NULL, 0, memory, MPOL_F_ADDR));
  syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 64);
  syscall(SYS_migrate_pages, 0, 64, &nodes, &nodes);
}

WORST(forking) {
  many_mappings();
  for (int i = 0; i < 3; i++) {
    pid_t pid = OK(fork());
    if (pid == 0) _exit(7);
    CHECK_EXIT(pid, 7);
  }
  pid_t pid = vfork();
  if (pid == 0) _exit(7);
  CHECK_EXIT(pid, 7);
}

WORST(executing) {
  many_mappings();
  execl("/bin/true", "true", NULL);
}

WORST(reading_maps) {
  many_mappings();
  read_through("/proc/self/maps");
  read_through("/proc/self/smaps");
  read_through("/proc/self/smaps_rollup");
  read_through("/proc/self/status");
  read_through("/proc/self/statm");
}

WORST(shared_segments) {
  char *memory = many_mappings();
  int id = OK(shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600));
  CHECK(shmat(id, memory, SHM_REMAP) == memory);
  for (long at = 0; at < BYTES; at += 8192) OK(mprotect(memory + at, 4096, PROT_READ));
  OK(shmdt(memory));
  OK(shmctl(id, IPC_RMID, NULL));
}

// A range of a gigabyte that is touched.
WORST(large_ranges) {
  long bytes = 400L << 20;
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  for (long at = 0; at < bytes; at += 4096) memory[at] = 1;
  OK(mprotect(memory, bytes, PROT_READ));
  OK(mprotect(memory, bytes, PROT_READ | PROT_WRITE));
  char *moved = mremap(memory, bytes, bytes + 4096, MREMAP_MAYMOVE);
  CHECK(moved != MAP_FAILED);
  pid_t pid = OK(fork());
  if (pid == 0) _exit(7);
  CHECK_EXIT(pid, 7);
  OK(madvise(moved, bytes, MADV_DONTNEED));
  OK(munmap(moved, bytes));
  char *end = sbrk(200 << 20);
  if (end == (char *)-1) return;
  memset(end, 1, 200 << 20);
  OK(brk(end));
}

WORST(file_mappings) {
  long bytes = 300L << 20;
  int file = OK(open("file", O_RDWR | O_CREAT, 0600));
  OK(ftruncate(file, bytes));
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  CHECK(memory != MAP_FAILED);
  for (long at = 0; at < bytes; at += 4096) memory[at] = 1;
  OK(msync(memory, bytes, MS_SYNC));
  OK(fsync(file));
  OK(ftruncate(file, 0));
  OK(munmap(memory, bytes));
}

WORST(many_file_mappings) {
  int file = OK(open("file", O_RDWR | O_CREAT, 0600));
  OK(ftruncate(file, 1 << 20));
  char *area = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  for (long i = 0; i < MAPPINGS; i++)
    CHECK(mmap(area + 4096 * i, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
               (i * 37 % 256) * 4096) != MAP_FAILED);
  OK(msync(area, BYTES, MS_SYNC));
  OK(syscall(SYS_remap_file_pages, area, 4096, 0, 1, 0));
  OK(ftruncate(file, 0));
}

// SPDX-License-Identifier: Apache-2.0
// A guest that abuses the way of patched system calls: it jumps into the stub's entry with registers
// and segment bases of its choice, rewrites the table, and scribbles on what stands behind a call.
// Each attack ruins its own process at most.
#include <signal.h>

#include "hostile.h"

#define TABLE 0x3f3f0000UL
#define TABLE_BYTES 0x10000UL
#define ATTEMPTS 60

__asm__(".text\n.p2align 3\nsite: mov $110,%eax\nsyscall\nret\n");
long site(void);
extern const unsigned char site_code[] __asm__("site");

/* Makes the site a patched one. Returns the stub's entry, as the table has it. */
static unsigned long warm(void) {
  for (int i = 0; i < 200; i++) CHECK_EQ(site(), (long)getppid());
  if (site_code[0] != 0xff) {
    dprintf(1, "# not patched: not in the sandbox, or told not to\n");
    _exit(CHECK_SKIPPED);
  }
  return ((const unsigned long *)TABLE)[1];
}

/* Runs an attack in a child of its own, which may end as it likes but soon. */
static void ruin(void (*attack)(unsigned long entry, int attempt)) {
  unsigned long entry = warm();
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    pid_t pid = OK(fork());
    if (pid == 0) {
      seed_random((uint64_t)attempt + 1);
      attack(entry, attempt);
      _exit(0);
    }
    int status, waited = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
      usleep(2000);
      if (++waited == 250) OK(kill(pid, SIGKILL));
    }
  }
  CHECK_EQ(site(), (long)getppid());
  check_well();
}

/* A fake entry in memory of the guest's: any number, any address to go on at. */
static unsigned long fake[8];

static void jump(unsigned long entry, int attempt) {
  fake[2] = attempt % 3 == 0 ? random64() : (unsigned long)site;
  fake[3] = attempt % 2 == 0 ? random_below(512) : random64();
  unsigned long block = attempt % 5 == 0 ? random64() : (unsigned long)fake;
  __asm__ volatile("mov %0, %%r11\n mov %1, %%rdi\n mov %2, %%rsi\n jmp *%3" ::"r"(block),
                   "r"(random64()), "r"(random64()), "r"(entry)
                   : "r11", "rdi", "rsi", "memory");
}

TEST(jumps_to_the_entry) { ruin(jump); }

/* The segment base is that of other threads' blocks, of no thread's, or anywhere. */
static void forge_base(unsigned long entry, int attempt) {
  unsigned long base;
  (void)entry;
  __asm__ volatile("rdgsbase %0" : "=r"(base));
  switch (attempt % 4) {
    case 0:
      base += 0x10000;
      break;
    case 1:
      base -= 0x10000 * random_below(4);
      break;
    case 2:
      base = random64();
      break;
    default:
      base = (base & ~0xffffUL) + random_below(0x10000);
  }
  __asm__ volatile("wrgsbase %0" ::"r"(base));
  for (int i = 0; i < 50; i++) site();
}

TEST(bases_of_others) { ruin(forge_base); }

static volatile unsigned long victim_block;

static void *scribble(void *unused) {
  (void)unused;
  for (;;) ((volatile unsigned long *)victim_block)[random_below(18)] = random64();
}

static void scribble_on_block(unsigned long entry, int attempt) {
  pthread_t thread;
  unsigned long base;
  (void)entry;
  (void)attempt;
  __asm__ volatile("rdgsbase %0" : "=r"(base));
  victim_block = base;
  CHECK_EQ(pthread_create(&thread, NULL, scribble, NULL), 0);
  for (int i = 0; i < 2000; i++) site();
}

TEST(scribbles_on_the_block) { ruin(scribble_on_block); }

/* Neither mapped over, nor unmapped, nor made writable, nor moved, by any call. */
TEST(the_table_stays) {
  warm();
  void *table = (void *)TABLE;
  CHECK_ERR(mprotect(table, 4096, PROT_READ | PROT_WRITE), ENOMEM);
  CHECK(mmap(table, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED);
  CHECK_EQ(errno, ENOMEM);
  CHECK(mremap(table, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
  munmap(table, TABLE_BYTES);
  munmap((void *)(TABLE - 0x1000000), 0x2000000);
  madvise(table, TABLE_BYTES, MADV_DONTNEED);
  for (int i = 0; i < 100; i++) CHECK_EQ(site(), (long)getppid());
  check_well();
}

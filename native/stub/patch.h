/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patched system calls. `mov $number, %eax; syscall` is rewritten, once it has trapped often, into a
 * jump through the table (protocol/mailbox.ts), whose entry goes on in the stub (entry.S):
 *
 *   ff 24 25 a a a a   jmp *entry->code
 *
 * Bytes 5 and 6 of the site, where `syscall` was, are the upper half of the entry's address and no
 * instruction. So a thread that stands between the two old instructions, or is sent back to the
 * second one to restart a call, traps there, and goes on at the start of the site.
 */
#ifndef RUNTS_STUB_PATCH_H
#define RUNTS_STUB_PATCH_H

#include "stub/memory.h"

extern __attribute__((visibility("hidden"))) char stub_call_entry[];
extern __attribute__((visibility("hidden"))) uint64_t stub_copy(void *to, const void *from,
                                                                uint64_t bytes);

/* Registers of a patched call, at the top of the thread's area. entry.S knows the offsets. */
struct call_block {
  uint64_t rax;
  uint64_t rcx; /* the address after the call */
  uint64_t rdx, rdi, rsi, r8, r9, r10;
  uint64_t rsp, flags;
  uint64_t rbx, rbp, r12, r13, r14, r15;
  uint32_t is_interrupted; /* a signal wants the guest stopped before it goes on */
  uint32_t reason;         /* of the trap */
};
_Static_assert(sizeof(struct call_block) <= STUB_AREA_RESERVED, "entry.S");
_Static_assert(__builtin_offsetof(struct call_block, rsp) == 64, "entry.S");
_Static_assert(__builtin_offsetof(struct call_block, rbx) == 80, "entry.S");
_Static_assert(__builtin_offsetof(struct call_block, is_interrupted) == 128, "entry.S");
_Static_assert(STUB_AREAS_OFFSET == 0x2000000, "entry.S");
_Static_assert(STUB_SLOTS *STUB_AREA_BYTES == 0x10000000, "entry.S");
_Static_assert(STUB_AREA_BYTES - STUB_AREA_RESERVED == 0xff00, "entry.S");
enum { CALL_ANSWERED = 1, CALL_INTERRUPTED = 2 };

/* One entry of the table. entry.S knows the offsets of number, after and slow. */
struct table_entry {
  uint64_t code;     /* address of enter: what the site jumps through */
  uint64_t handler;  /* stub_call_entry */
  uint64_t after;    /* the address after the site */
  uint32_t number;   /* of the call */
  uint8_t enter[13]; /* lea entry(%rip), %r11; jmp *handler(%rip) */
  uint8_t slow[8];   /* syscall; jmp *after(%rip): where the thread has a %gs of its own */
  uint8_t padding[15];
};
_Static_assert(sizeof(struct table_entry) == TABLE_ENTRY_BYTES, "protocol/mailbox.ts");
_Static_assert(__builtin_offsetof(struct table_entry, enter) == 28, "patch.h");
_Static_assert(__builtin_offsetof(struct table_entry, slow) == 41, "entry.S");

static struct table_entry *table_entry_at(uint64_t address) {
  return (struct table_entry *)(address & ~(TABLE_ENTRY_BYTES - 1UL));
}

static void store32(uint8_t *at, uint32_t value) { *(uint32_t *)(void *)at = value; }

static uint32_t load32(const uint8_t *at) { return *(const uint32_t *)(const void *)at; }

/* Whether `ip` is where the syscall instruction of a patched site was. */
static int is_inside_site(uint64_t ip) {
  uint8_t code[SITE_BYTES];
  if (stub_copy(code, (const void *)(ip + 2 - SITE_BYTES), sizeof code) != 0) return 0;
  if (code[0] != 0xff || code[1] != 0x24 || code[2] != 0x25) return 0;
  uint64_t entry = load32(code + 3);
  uint64_t after;
  if (entry - TABLE_START >= TABLE_BYTES) return 0;
  if (stub_copy(&after, &table_entry_at(entry)->after, sizeof after) != 0) return 0;
  return after == ip + 2;
}

static long protect(uint64_t start, uint64_t end, int prot) {
  start &= ~(PAGE_BYTES - 1);
  end = (end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
  return stub_syscall(SYS_mprotect, (long)start, (long)(end - start), prot, 0, 0, 0);
}

static int fill_entry(uint64_t place, uint64_t after, uint32_t number) {
  enum { PROT_EXEC = 4 };
  struct table_entry entry = {.code = place + 28,
                              .handler = (uint64_t)stub_call_entry,
                              .after = after,
                              .number = number,
                              .enter = {0x4c, 0x8d, 0x1d, 0, 0, 0, 0, 0xff, 0x25, 0, 0, 0, 0},
                              .slow = {0x0f, 0x05, 0xff, 0x25, 0, 0, 0, 0}};
  store32(entry.enter + 3, (uint32_t)-35); /* from the end of the lea, at 35 */
  store32(entry.enter + 9, (uint32_t)(8 - 41));
  store32(entry.slow + 4, (uint32_t)(16 - 49));
  if (protect(place, place + sizeof entry, PROT_READ_WRITE | PROT_EXEC) != 0) return -1;
  uint64_t left = stub_copy((void *)place, &entry, sizeof entry);
  return protect(place, place + sizeof entry, PROT_READ | PROT_EXEC) != 0 || left != 0 ? -1 : 0;
}

/* The seven bytes at once where they lie in one word of eight, as other threads may run here then. */
static int write_site(uint64_t site, const uint8_t *code) {
  uint64_t word;
  uint64_t offset = site & 7;
  if (offset > 1) return stub_copy((void *)site, code, SITE_BYTES) == 0 ? 0 : -1;
  if (stub_copy(&word, (const void *)(site - offset), sizeof word) != 0) return -1;
  uint8_t *bytes = (uint8_t *)&word;
  for (int i = 0; i < SITE_BYTES; i++) bytes[offset + (uint64_t)i] = code[i];
  __atomic_store_n((uint64_t *)(site - offset), word, __ATOMIC_SEQ_CST);
  return 0;
}

static void patch_site(const struct operation *op, uint32_t *has_table) {
  enum { PROT_EXEC = 4 };
  uint64_t site = op->addr;
  uint64_t entry = op->extra1;
  uint8_t code[SITE_BYTES];
  if (stub_copy(code, (const void *)site, sizeof code) != 0) return;
  if (code[0] != 0xb8 || load32(code + 1) != op->extra0 || code[5] != 0x0f || code[6] != 0x05) {
    return;
  }
  if ((op->flags & 1) != 0) {
    long made = stub_syscall(SYS_mmap, TABLE_START, TABLE_BYTES, PROT_READ | PROT_EXEC,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (made != TABLE_START) return;
    *has_table = 1;
  }
  if (*has_table == 0) return;
  if (fill_entry(entry, site + SITE_BYTES, (uint32_t)op->extra0) != 0) return;
  uint8_t jump[SITE_BYTES] = {0xff, 0x24, 0x25, 0, 0, 0, 0};
  store32(jump + 3, (uint32_t)entry);
  if (protect(site, site + SITE_BYTES, PROT_READ_WRITE | PROT_EXEC) != 0) return;
  write_site(site, jump);
  protect(site, site + SITE_BYTES, (int)op->prot);
}

#endif

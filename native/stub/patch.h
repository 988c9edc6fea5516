/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patched system calls. `mov $number, %eax; middle; syscall` is rewritten, once it has trapped often,
 * into a jump through the table (protocol/mailbox.ts), whose entry goes on in the stub (entry.S):
 *
 *   ff 24 25 a a a a   jmp *entry->code
 *
 * The middle is nothing, or one instruction of up to MOST_MIDDLE bytes that only moves arguments
 * (is_movable); a copy of it stands in the entry. Bytes 5 and 6 of the site are the upper half of
 * the entry's address and no instruction. So a thread that stands after the mov, or is sent back to
 * where `syscall` was to restart a call, traps there, and goes on as if nothing had been rewritten.
 * After a middle the syscall instruction is still there.
 */
#ifndef RUNTS_STUB_PATCH_H
#define RUNTS_STUB_PATCH_H

#include "stub/places.h"

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
_Static_assert(STUB_AREAS_OFFSET == 0x2200000, "entry.S");
_Static_assert(STUB_SLOTS *STUB_AREA_BYTES == 0x10000000, "entry.S");
_Static_assert(STUB_AREA_BYTES - STUB_AREA_RESERVED == 0xff00, "entry.S");
enum { CALL_ANSWERED = 1, CALL_INTERRUPTED = 2 };

#define MOST_MIDDLE 6
#define ENTRY_ENTER 30
#define ENTRY_SLOW 56

/* One entry of the table. entry.S knows the offsets of number, after and slow. */
struct table_entry {
  uint64_t code;    /* address of enter: what the site jumps through */
  uint64_t handler; /* stub_call_entry */
  uint64_t after;   /* the address after the site */
  uint32_t number;  /* of the call */
  uint16_t middle;  /* bytes */
  /* enter: the middle; lea entry(%rip), %r11; jmp *handler(%rip) */
  uint8_t enter[ENTRY_SLOW - ENTRY_ENTER];
  /* syscall; jmp *after(%rip): where the thread has a %gs of its own. Before it the middle again. */
  uint8_t slow[8];
};
_Static_assert(sizeof(struct table_entry) == TABLE_ENTRY_BYTES, "protocol/mailbox.ts");
_Static_assert(__builtin_offsetof(struct table_entry, enter) == ENTRY_ENTER, "patch.h");
_Static_assert(__builtin_offsetof(struct table_entry, slow) == ENTRY_SLOW, "entry.S");
_Static_assert(ENTRY_ENTER + 2 * MOST_MIDDLE + 13 <= ENTRY_SLOW, "the middle twice");

static struct table_entry *table_entry_at(uint64_t address) {
  return (struct table_entry *)(address & ~(TABLE_ENTRY_BYTES - 1UL));
}

static void store32(uint8_t *at, uint32_t value) { *(uint32_t *)(void *)at = value; }

static uint32_t load32(const uint8_t *at) { return *(const uint32_t *)(const void *)at; }

static uint64_t site_of(const struct table_entry *entry) {
  return entry->after - SITE_BYTES - entry->middle;
}

/* Copies the entry of the patched site at `site`. Returns its address, 0 where none is. */
static uint64_t patched_entry(uint64_t site, struct table_entry *entry) {
  uint8_t code[SITE_BYTES];
  if (stub_copy(code, (const void *)site, sizeof code) != 0) return 0;
  if (code[0] != 0xff || code[1] != 0x24 || code[2] != 0x25) return 0;
  uint64_t place = load32(code + 3);
  if (place - TABLE_START >= TABLE_BYTES) return 0;
  if (stub_copy(entry, table_entry_at(place), sizeof *entry) != 0) return 0;
  return site_of(entry) == site ? place : 0;
}

static long protect(uint64_t start, uint64_t end, int prot) {
  start &= ~(PAGE_BYTES - 1);
  end = (end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
  return stub_syscall(SYS_mprotect, (long)start, (long)(end - start), prot, 0, 0, 0);
}

/* Registers by number without rax, rcx, rsp (and r11), which a middle may not name. */
static int is_free(uint32_t reg) { return reg != 0 && reg != 1 && reg != 4 && reg != 11; }

/*
 * The length of an instruction that may be run elsewhere, and before the mov: it moves arguments
 * among registers, reads no memory, and has nothing to do with rax, rcx, r11 and the stack. 0: none.
 */
static uint32_t movable_length(const uint8_t *code) {
  uint32_t rex = 0, length = 0;
  if ((code[0] & 0xf0) == 0x40) {
    rex = code[0];
    length = 1;
  }
  uint32_t opcode = code[length], modrm = code[length + 1];
  uint32_t reg = (modrm >> 3 & 7) | (rex & 4) << 1;
  uint32_t rm = (modrm & 7) | (rex & 1) << 3;
  int is_register = modrm >= 0xc0;
  if ((rex & 2) != 0) return 0;
  switch (opcode) {
    case 0x31: /* xor, mov */
    case 0x89:
      return is_register && is_free(reg) && is_free(rm) ? length + 2 : 0;
    case 0x80: /* add, or, and, sub, xor (not adc and sbb, which read flags) with an immediate */
    case 0x83:
    case 0x81:
      if (!is_register || !is_free(rm) || (reg & 7) == 2 || (reg & 7) == 3) return 0;
      /* Without a prefix 4 to 7 are ah, ch, dh and bh. */
      if (opcode == 0x80 && rex == 0) return 0;
      return length + (opcode == 0x81 ? 6 : 3);
    case 0x8d: /* lea with a displacement of 8 bits */
      return modrm >> 6 == 1 && is_free(reg) && is_free(rm) && (modrm & 7) != 4 ? length + 3 : 0;
    default:
      if (opcode < 0xb8 || opcode > 0xbf || (rex & 8) != 0) return 0;
      return is_free((opcode & 7) | (rex & 1) << 3) ? length + 5 : 0;
  }
}

/* One instruction or none: who is stopped between two could not be told where he stands. */
static int is_movable(const uint8_t *code, uint32_t bytes) {
  uint8_t room[16] = {0};
  for (uint32_t i = 0; i < bytes; i++) room[i] = code[i];
  return bytes == 0 || movable_length(room) == bytes;
}

/* How many bytes the middle of the site before `code + MOST_MIDDLE + SITE_BYTES` has; -1: no site. */
static int middle_before(const uint8_t *code, uint32_t number) {
  if (code[MOST_MIDDLE + 5] != 0x0f || code[MOST_MIDDLE + 6] != 0x05) return -1;
  for (uint32_t middle = 0; middle <= MOST_MIDDLE; middle++) {
    const uint8_t *site = code + MOST_MIDDLE - middle;
    /* One byte would leave the syscall instruction half overwritten. */
    if (middle == 1 || site[0] != 0xb8 || load32(site + 1) != number) continue;
    if (is_movable(site + 5, middle)) return (int)middle;
  }
  return -1;
}

static int fill_entry(uint64_t place, uint64_t after, uint32_t number, const uint8_t *middle,
                      uint32_t bytes) {
  enum { PROT_EXEC = 4 };
  static const uint8_t enter[13] = {0x4c, 0x8d, 0x1d, 0, 0, 0, 0, 0xff, 0x25, 0, 0, 0, 0};
  struct table_entry entry = {.code = place + ENTRY_ENTER,
                              .handler = (uint64_t)stub_call_entry,
                              .after = after,
                              .number = number,
                              .middle = (uint16_t)bytes,
                              .slow = {0x0f, 0x05, 0xff, 0x25, 0, 0, 0, 0}};
  uint8_t *jump = entry.enter + bytes;
  for (uint32_t i = 0; i < bytes; i++) {
    entry.enter[i] = middle[i];
    entry.enter[ENTRY_SLOW - ENTRY_ENTER - bytes + i] = middle[i];
  }
  for (uint32_t i = 0; i < sizeof enter; i++) jump[i] = enter[i];
  store32(jump + 3, -(ENTRY_ENTER + bytes + 7)); /* from the end of the lea */
  store32(jump + 9, 8 - (ENTRY_ENTER + bytes + 13));
  store32(entry.slow + 4, (uint32_t)(16 - TABLE_ENTRY_BYTES));
  if (protect(place, place + sizeof entry, PROT_READ_WRITE | PROT_EXEC) != 0) return -1;
  uint64_t left = stub_copy((void *)place, &entry, sizeof entry);
  return protect(place, place + sizeof entry, PROT_READ | PROT_EXEC) != 0 || left != 0 ? -1 : 0;
}

/* The seven bytes at once where they lie in one word of eight. */
static void write_word(uint64_t site, const uint8_t *code) {
  uint64_t word;
  uint64_t offset = site & 7;
  if (stub_copy(&word, (const void *)(site - offset), sizeof word) != 0) return;
  uint8_t *bytes = (uint8_t *)&word;
  for (int i = 0; i < SITE_BYTES; i++) bytes[offset + (uint64_t)i] = code[i];
  __atomic_store_n((uint64_t *)(site - offset), word, __ATOMIC_SEQ_CST);
}

/* Taking the right to write away interrupts every processor on which the process runs. */
static int synchronise(uint64_t site) {
  enum { PROT_EXEC = 4 };
  return protect(site, site + SITE_BYTES, PROT_READ | PROT_EXEC) == 0 &&
         protect(site, site + SITE_BYTES, PROT_READ_WRITE | PROT_EXEC) == 0;
}

/*
 * Where other threads may run here meanwhile, within one line of the cache: first a breakpoint, then
 * the rest, then the first byte. Who comes to the breakpoint, or stands in the middle where half of
 * the address is no instruction, traps and tries again (on_own_trap). `page` is told first, and told
 * last that it is over: a child that is forked meanwhile sees that, and takes it back (undo_patch).
 */
static void write_under_way(uint64_t site, const uint8_t *code, uint32_t prot,
                            struct process_page *page) {
  uint64_t none = 0;
  volatile uint8_t *at = (volatile uint8_t *)site;
  if (!__atomic_compare_exchange_n(&page->patch_lock, &none, 1, 0, __ATOMIC_SEQ_CST,
                                   __ATOMIC_SEQ_CST)) {
    return;
  }
  uint8_t first = at[0];
  for (int i = 0; i < SITE_BYTES; i++) page->unpatched[i] = at[i];
  page->patch_prot = prot;
  __atomic_store_n(&page->patching, site, __ATOMIC_SEQ_CST);
  at[0] = 0xcc;
  if (synchronise(site)) {
    /* Who stands behind the mov finds the fifth byte first, which is no instruction. */
    for (int i = 1; i < SITE_BYTES; i++) at[i] = code[i];
    if (synchronise(site)) first = code[0];
  }
  at[0] = first;
  __atomic_store_n(&page->patching, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&page->patch_lock, 0, __ATOMIC_SEQ_CST);
}

/* In a forked child, which nobody else runs in: what another thread of the parent's had begun. */
static void undo_patch(struct process_page *page) {
  enum { PROT_EXEC = 4 };
  uint64_t site = page->patching;
  page->patch_lock = 0;
  if (site == 0) return;
  if (protect(site, site + SITE_BYTES, PROT_READ_WRITE | PROT_EXEC) == 0) {
    stub_copy((void *)site, page->unpatched, SITE_BYTES);
    protect(site, site + SITE_BYTES, (int)page->patch_prot);
  }
  page->patching = 0;
}

static void patch_site(const struct operation *op, struct process_page *page) {
  enum { PROT_EXEC = 4, FIRST = 1, ALONE = 2 };
  uint64_t after = op->addr;
  uint8_t code[MOST_MIDDLE + SITE_BYTES];
  if (stub_copy(code, (const void *)(after - sizeof code), sizeof code) != 0) return;
  int middle = middle_before(code, (uint32_t)op->extra0);
  if ((op->flags & FIRST) != 0) {
    long made = stub_syscall(SYS_mmap, TABLE_START, TABLE_BYTES, PROT_READ | PROT_EXEC,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (made != TABLE_START) return;
    page->has_table = 1;
  }
  if (page->has_table == 0 || middle < 0) return;
  uint64_t site = after - SITE_BYTES - (uint64_t)middle;
  int is_word = (site & 7) <= 1;
  int is_alone = (op->flags & ALONE) != 0;
  int is_line = (site & 63) <= 64 - SITE_BYTES;
  if (!is_word && !is_alone && !is_line) return;
  const uint8_t *moved = code + sizeof code - 2 - middle;
  if (fill_entry(op->extra1, after, (uint32_t)op->extra0, moved, (uint32_t)middle) != 0) return;
  uint8_t jump[SITE_BYTES] = {0xff, 0x24, 0x25, 0, 0, 0, 0};
  store32(jump + 3, (uint32_t)op->extra1);
  if (protect(site, site + SITE_BYTES, PROT_READ_WRITE | PROT_EXEC) != 0) return;
  if (is_word) {
    write_word(site, jump);
  } else if (is_alone) {
    stub_copy((void *)site, jump, sizeof jump);
  } else {
    write_under_way(site, jump, op->prot, page);
  }
  protect(site, site + SITE_BYTES, (int)op->prot);
}

#endif

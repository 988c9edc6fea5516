// SPDX-License-Identifier: Apache-2.0
/*
 * What execve(2) does about PT_INTERP: maps ld.so into this process. See entry.h.
 */
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <stddef.h>

#include "single-file/entry.h"

enum { PAGE = 4096, MOST_SEGMENTS = 16 };

static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static void complain(const char *text) {
  long length = 0;
  while (text[length] != 0) length++;
  call(__NR_write, 2, (long)text, length, 0, 0, 0);
}

void give_up(const char *what, const char *path) {
  complain("runts: ");
  complain(path);
  complain(what);
  complain("\n");
  for (;;) call(__NR_exit_group, 127, 0, 0, 0, 0, 0);
}

struct interpreter {
  const char *path;
  int fd;
  Elf64_Ehdr header;
  Elf64_Phdr segments[MOST_SEGMENTS];
};

static void read_at(const struct interpreter *one, void *to, uint64_t bytes, uint64_t offset) {
  long got = call(__NR_pread64, one->fd, (long)to, (long)bytes, (long)offset, 0, 0);
  if (got != (long)bytes) give_up(": cannot be read", one->path);
}

static void read_headers(struct interpreter *one) {
  const Elf64_Ehdr *header = &one->header;
  read_at(one, &one->header, sizeof one->header, 0);
  if (header->e_ident[EI_MAG0] != ELFMAG0 || header->e_ident[EI_MAG1] != ELFMAG1 ||
      header->e_type != ET_DYN || header->e_machine != EM_X86_64 ||
      header->e_phentsize != sizeof *one->segments || header->e_phnum > MOST_SEGMENTS) {
    give_up(": not a program loader", one->path);
  }
  read_at(one, one->segments, header->e_phnum * sizeof *one->segments, header->e_phoff);
}

static uint64_t map(const struct interpreter *one, uint64_t at, uint64_t bytes, int protection,
                    int flags, int fd, uint64_t offset) {
  long result = call(__NR_mmap, (long)at, (long)bytes, protection, flags, fd, (long)offset);
  if (result < 0 && result > -PAGE) give_up(": cannot be mapped", one->path);
  return (uint64_t)result;
}

static uint64_t page_above(uint64_t address) {
  return (address + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static int protection_of(const Elf64_Phdr *segment) {
  return (segment->p_flags & PF_R ? PROT_READ : 0) | (segment->p_flags & PF_W ? PROT_WRITE : 0) |
         (segment->p_flags & PF_X ? PROT_EXEC : 0);
}

/* The page of the file that its end is in, and what follows without being in the file, is zeros. */
static void map_zeros(const struct interpreter *one, const Elf64_Phdr *segment, uint64_t base) {
  uint64_t from = base + segment->p_vaddr + segment->p_filesz;
  uint64_t end = page_above(base + segment->p_vaddr + segment->p_memsz);
  uint64_t page = page_above(from);
  if (segment->p_memsz == segment->p_filesz) return;
  for (volatile char *byte = (volatile char *)from; (uint64_t)byte < page; byte++) *byte = 0;
  if (end == page) return;
  map(one, page, end - page, protection_of(segment), MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
      0);
}

static void map_segment(const struct interpreter *one, const Elf64_Phdr *segment, uint64_t base) {
  uint64_t before = segment->p_vaddr % PAGE;
  if (segment->p_filesz > 0) {
    map(one, base + segment->p_vaddr - before, segment->p_filesz + before, protection_of(segment),
        MAP_PRIVATE | MAP_FIXED, one->fd, segment->p_offset - before);
  }
  map_zeros(one, segment, base);
}

uint64_t load_interpreter(const char *path, uint64_t *base) {
  struct interpreter one;
  uint64_t end = 0;
  one.path = path;
  one.fd = (int)call(__NR_open, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
  if (one.fd < 0) give_up(": cannot be opened: this program needs glibc", path);
  read_headers(&one);
  for (int i = 0; i < one.header.e_phnum; i++) {
    const Elf64_Phdr *segment = &one.segments[i];
    if (segment->p_type != PT_LOAD) continue;
    if (segment->p_vaddr + segment->p_memsz > end) end = segment->p_vaddr + segment->p_memsz;
  }
  *base = map(&one, 0, page_above(end), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < one.header.e_phnum; i++) {
    if (one.segments[i].p_type == PT_LOAD) map_segment(&one, &one.segments[i], *base);
  }
  call(__NR_close, one.fd, 0, 0, 0, 0, 0);
  return *base + one.header.e_entry;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory operations of the stub, each as host calls that are over soon. A call on a large range
 * holds the lock of the address space until all page tables below have been walked, and everybody
 * else who wants to look at this process waits meanwhile: the Sentry, and ps(1) on the host. So the
 * filter lets no call through on more than STUB_PIECE_BYTES, but for a new mapping of what is
 * empty, and none that touches pages on its own (MAP_POPULATE, MADV_POPULATE_READ).
 */
#ifndef RUNTS_STUB_MEMORY_H
#define RUNTS_STUB_MEMORY_H

#include "stub/mailbox.h"

enum { EIO = 5, E2BIG = 7, EFAULT = 14, EEXIST = 17, EINVAL = 22 };
enum {
  SYS_mmap = 9,
  SYS_mprotect = 10,
  SYS_munmap = 11,
  SYS_mremap = 25,
  SYS_madvise = 28,
};
enum {
  PROT_READ = 1,
  PROT_WRITE = 2,
  PROT_READ_WRITE = 3,
  MAP_SHARED = 1,
  MAP_PRIVATE = 2,
  MAP_FIXED = 0x10,
  MAP_ANONYMOUS = 0x20,
  MAP_NORESERVE = 0x4000,
  MAP_POPULATE = 0x8000,
  MAP_FIXED_NOREPLACE = 0x100000,
  MREMAP_MAYMOVE_FIXED = 3,
  MADV_POPULATE_READ = 22,
  MADV_POPULATE_WRITE = 23,
};
#define PAGE_BYTES 4096UL

extern __attribute__((visibility("hidden"))) long stub_syscall(long nr, long a0, long a1, long a2,
                                                               long a3, long a4, long a5);
/* entry.S: a byte is read, or written back as it is. 0, or 1 where it faults. */
extern __attribute__((visibility("hidden"))) long stub_touch_read(const void *at);
extern __attribute__((visibility("hidden"))) long stub_touch_write(void *at);

static int is_error(long result) { return result < 0 && result >= -4095; }

static uint64_t piece_of(uint64_t left) {
  return left < STUB_PIECE_BYTES ? left : STUB_PIECE_BYTES;
}

/* One of the calls that take a start, a length, and one argument more. */
static long in_pieces(long nr, uint64_t start, uint64_t length, long argument) {
  for (uint64_t done = 0; done < length;) {
    uint64_t piece = piece_of(length - done);
    long result = stub_syscall(nr, (long)(start + done), (long)piece, argument, 0, 0, 0);
    if (is_error(result)) return result;
    done += piece;
  }
  return 0;
}

#ifdef TOUCHES_FROM_OUTSIDE
static long touch(uint64_t start, uint64_t length, int writes);
#else
/* Up to the first page that faults. */
static long touch(uint64_t start, uint64_t length, int writes) {
  for (uint64_t at = start; at < start + length; at += PAGE_BYTES) {
    if (writes ? stub_touch_write((void *)at) : stub_touch_read((const void *)at)) return -EFAULT;
  }
  return 0;
}
#endif

/* As mm_populate(): what cannot be had is no error. */
static void populate(const struct operation *op) {
  if ((op->prot & PROT_READ_WRITE) == 0) return;
  touch(op->addr, op->length, (op->prot & PROT_WRITE) != 0 && (op->flags & MAP_PRIVATE) != 0);
}

/* The Sentry says MAP_FIXED. */
static long map_pieces(const struct operation *op, long flags, int fd) {
  for (uint64_t done = 0; done < op->length;) {
    uint64_t piece = piece_of(op->length - done);
    long offset = fd < 0 ? 0 : (long)(op->extra0 + done);
    long result =
        stub_syscall(SYS_mmap, (long)(op->addr + done), (long)piece, op->prot, flags, fd, offset);
    if (is_error(result)) return result;
    done += piece;
  }
  return 0;
}

static long map_memory(const struct operation *op, int fd) {
  long flags = op->flags & ~MAP_POPULATE;
  long result = -EEXIST;
  if (op->length > STUB_PIECE_BYTES) {
    result =
        stub_syscall(SYS_mmap, (long)op->addr, (long)op->length, op->prot,
                     (flags & ~MAP_FIXED) | MAP_FIXED_NOREPLACE, fd, fd < 0 ? 0 : (long)op->extra0);
  }
  if (result == -EEXIST) result = map_pieces(op, flags, fd);
  if (is_error(result)) return result;
  if ((op->flags & MAP_POPULATE) != 0) populate(op);
  return 0;
}

/* In place, by its last page. */
static long grow(uint64_t end, uint64_t more) {
  for (uint64_t done = 0; done < more;) {
    uint64_t piece = more - done;
    if (piece > STUB_PIECE_BYTES - PAGE_BYTES) piece = STUB_PIECE_BYTES - PAGE_BYTES;
    long result = stub_syscall(SYS_mremap, (long)(end + done - PAGE_BYTES), PAGE_BYTES,
                               (long)(PAGE_BYTES + piece), 0, 0, 0);
    if (is_error(result)) {
      in_pieces(SYS_munmap, end, done, 0);
      return result;
    }
    done += piece;
  }
  return 0;
}

static long move_piece(uint64_t from, uint64_t to, uint64_t bytes) {
  return stub_syscall(SYS_mremap, (long)from, (long)bytes, (long)bytes, MREMAP_MAYMOVE_FIXED,
                      (long)to, 0);
}

/* To a place that does not overlap; what is moved already goes back where the host refuses the rest. */
static long move(uint64_t from, uint64_t to, uint64_t length) {
  for (uint64_t done = 0; done < length;) {
    uint64_t piece = piece_of(length - done);
    long result = move_piece(from + done, to + done, piece);
    if (is_error(result)) {
      while (done > 0) {
        done -= STUB_PIECE_BYTES;
        move_piece(to + done, from + done, STUB_PIECE_BYTES);
      }
      return result;
    }
    done += piece;
  }
  return 0;
}

/* Never to a smaller length: the Sentry unmaps first what is too much. */
static long remap_memory(const struct operation *op) {
  uint64_t to = op->extra0;
  uint64_t length = op->length, wanted = op->extra1;
  if (length < PAGE_BYTES || wanted < length) return -EINVAL;
  long result = to == op->addr ? 0 : move(op->addr, to, length);
  if (is_error(result)) return result;
  result = grow(to + length, wanted - length);
  if (is_error(result) && to != op->addr) move(to, op->addr, length);
  return result;
}

static long advise_memory(const struct operation *op) {
  if (op->prot == MADV_POPULATE_READ) return touch(op->addr, op->length, 0);
  if (op->prot == MADV_POPULATE_WRITE) return touch(op->addr, op->length, 1);
  return in_pieces(SYS_madvise, op->addr, op->length, op->prot);
}

#endif

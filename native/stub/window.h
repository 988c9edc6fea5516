/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data window: what a call reads of its guest's memory (a path, a buffer of up to a page) is
 * copied into the slot before the Sentry is asked, and what it writes is copied from there after
 * the answer, so that the Sentry copies neither from nor to another process. Both are only
 * offers: what is not in the window the Sentry reads and writes as ever.
 *
 * Memory that is to be written is touched first. So a call that the Sentry carries out finds its
 * memory there, unless another thread takes it away meanwhile: then the answer is -EFAULT.
 */
#ifndef RUNTS_STUB_WINDOW_H
#define RUNTS_STUB_WINDOW_H

#include "stub/patch.h"

/* Which arguments of a call, counted from 1, are a path, a buffer and its length; 0: none. */
struct window_use {
  uint8_t path;
  uint8_t in, in_length;
  uint8_t out, out_length;
  uint16_t out_bytes; /* of a structure */
};

static const struct window_use window_uses[] = {
    [0] = {.out = 2, .out_length = 3},               /* read */
    [1] = {.in = 2, .in_length = 3},                 /* write */
    [2] = {.path = 1},                               /* open */
    [4] = {.path = 1, .out = 2, .out_bytes = 144},   /* stat */
    [5] = {.out = 2, .out_bytes = 144},              /* fstat */
    [6] = {.path = 1, .out = 2, .out_bytes = 144},   /* lstat */
    [17] = {.out = 2, .out_length = 3},              /* pread64 */
    [18] = {.in = 2, .in_length = 3},                /* pwrite64 */
    [21] = {.path = 1},                              /* access */
    [44] = {.in = 2, .in_length = 3},                /* sendto */
    [45] = {.out = 2, .out_length = 3},              /* recvfrom */
    [79] = {.out = 1, .out_length = 2},              /* getcwd */
    [80] = {.path = 1},                              /* chdir */
    [83] = {.path = 1},                              /* mkdir */
    [84] = {.path = 1},                              /* rmdir */
    [87] = {.path = 1},                              /* unlink */
    [89] = {.path = 1, .out = 2, .out_length = 3},   /* readlink */
    [90] = {.path = 1},                              /* chmod */
    [217] = {.out = 2, .out_length = 3},             /* getdents64 */
    [257] = {.path = 2},                             /* openat */
    [262] = {.path = 2, .out = 3, .out_bytes = 144}, /* newfstatat */
    [263] = {.path = 2},                             /* unlinkat */
    [267] = {.path = 2, .out = 3, .out_length = 4},  /* readlinkat */
    [269] = {.path = 2},                             /* faccessat */
    [332] = {.path = 2, .out = 5, .out_bytes = 256}, /* statx */
    [439] = {.path = 2},                             /* faccessat2 */
};
#define WINDOW_CALLS (sizeof window_uses / sizeof window_uses[0])

static int is_guest_range(uint64_t addr, uint64_t bytes) {
  return addr < (uint64_t)stub_base && bytes <= (uint64_t)stub_base - addr;
}

static void copy_in(struct slot *slot, uint64_t addr, uint64_t bytes) {
  if (bytes == 0 || bytes > WINDOW_MOST || !is_guest_range(addr, bytes)) return;
  uint64_t left = stub_copy(slot->window, (const void *)addr, bytes);
  slot->in_addr = addr;
  slot->in_bytes = (uint32_t)(bytes - left);
}

static void offer_out(struct slot *slot, uint64_t addr, uint64_t bytes) {
  if (bytes == 0 || bytes > WINDOW_MOST || !is_guest_range(addr, bytes)) return;
  uint64_t last = addr + bytes - 1;
  if (stub_touch_write((void *)addr) != 0) return;
  if (last / PAGE_BYTES != addr / PAGE_BYTES && stub_touch_write((void *)last) != 0) return;
  slot->out_addr = addr;
  slot->out_bytes = (uint32_t)bytes;
}

/* `call`: number and arguments. Returns EVENT_WINDOW, or 0 where nothing is copied. */
static uint32_t fill_window(struct slot *slot, const uint64_t *call) {
  if (call[0] >= WINDOW_CALLS || global()->windows == 0) return 0;
  const struct window_use *use = &window_uses[call[0]];
  if ((use->path | use->in | use->out) == 0) return 0;
  slot->in_bytes = 0;
  slot->out_bytes = 0;
  if (use->path != 0) {
    /* As much as the Sentry reads first: never into the next page, which may be missing. */
    uint64_t addr = call[use->path], page = PAGE_BYTES - addr % PAGE_BYTES;
    copy_in(slot, addr, page < WINDOW_OUT ? page : WINDOW_OUT);
  }
  if (use->in != 0) copy_in(slot, call[use->in], call[use->in_length]);
  if (use->out != 0) {
    uint64_t bytes = use->out_bytes != 0 ? use->out_bytes : call[use->out_length];
    offer_out(slot, call[use->out], bytes);
  }
  return EVENT_WINDOW;
}

/* Carries out ORDER_COPY. Returns the order that is left. */
static uint32_t copy_out(struct slot *slot, uint32_t order) {
  if ((order & ORDER_COPY) == 0) return order;
  uint64_t addr = slot->out_addr, bytes = slot->out_bytes;
  order &= ~(uint32_t)ORDER_COPY;
  slot->kind = order;
  if (bytes > WINDOW_MOST || stub_copy((void *)addr, slot->window + WINDOW_OUT, bytes) != 0) {
    if ((order & ORDER_RESULT) != 0) slot->call[0] = (uint64_t)-EFAULT;
  }
  return order;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a stopped guest thread: from its signal frame to its slot, and back. */
#ifndef RUNTS_STUB_REGISTERS_H
#define RUNTS_STUB_REGISTERS_H

#include "stub/frame.h"
#include "stub/patch.h"
#include "stub/places.h"

static uint64_t read_fs_base(void) {
  uint64_t base;
  __asm__ volatile("rdfsbase %0" : "=r"(base));
  return base;
}

/* The thread's block at the top of the area in which `frame` lies. */
static struct call_block *block_of(const void *frame) {
  uint64_t area = (uint64_t)frame & ~(STUB_AREA_BYTES - 1);
  return (struct call_block *)(area + STUB_AREA_BYTES - STUB_AREA_RESERVED);
}

/*
 * The guest's segment base: while it has none of its own, the register holds the block, by which
 * patched calls find their thread. A new thread starts with its creator's.
 */
static uint64_t read_gs_base(void) {
  uint64_t base;
  __asm__ volatile("rdgsbase %0" : "=r"(base));
  uint64_t offset = base - area_of(0);
  int is_block = offset < STUB_SLOTS * STUB_AREA_BYTES &&
                 offset % STUB_AREA_BYTES == STUB_AREA_BYTES - STUB_AREA_RESERVED;
  return is_block ? 0 : base;
}

static void write_gs_base(uint64_t base, const void *frame) {
  if (base == 0) base = (uint64_t)block_of(frame);
  __asm__ volatile("wrgsbase %0" ::"r"(base));
}

static void save_registers(struct slot *slot, const struct frame *frame) {
  for (int i = 0; i <= GREG_EFLAGS; i++) slot->regs[i] = frame->gregs[i];
  slot->regs[18] = read_fs_base();
  slot->regs[19] = read_gs_base();
  slot->fp_addr = (uint64_t)frame->fpstate;
}

static void load_registers(const struct slot *slot, struct frame *frame) {
  for (int i = 0; i <= GREG_EFLAGS; i++) frame->gregs[i] = slot->regs[i];
  __asm__ volatile("wrfsbase %0" ::"r"(slot->regs[18]));
  write_gs_base(slot->regs[19], frame);
}

static void save_call(struct slot *slot, const struct frame *frame) {
  static const uint8_t order[7] = {GREG_RAX, GREG_RDI, GREG_RSI, GREG_RDX,
                                   GREG_R10, GREG_R8,  GREG_R9};
  for (int i = 0; i < 7; i++) slot->call[i] = frame->gregs[order[i]];
}

#endif

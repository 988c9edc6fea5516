/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stopped guest thread was doing: registers and floating point state between ptrace(2) and the
 * slot, system calls, faults.
 */
#ifndef RUNTS_TRACER_STATE_H
#define RUNTS_TRACER_STATE_H

#include "stub/fpstate.h"
#include "stub/frame.h"
#include "tracer/inject.h"

#define FP_XSTATE_MAGIC2 0x46505845U
/* First address that is no guest's: segment bases above it the kernel refuses. */
#define USER_END 0x7ffffffff000UL
/* Pushed by SYSCALL into r11; single-stepping changes what ptrace shows of the flags. */
#define FLAGS_THAT_DIFFER 0x10100UL

static void save_registers(struct tracee *t) {
  const struct registers *r = &t->regs;
  const uint64_t values[SLOT_REGISTERS] = {
      r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,    r->rdi,     r->rsi,
      r->rbp, r->rbx, r->rdx, r->rax, r->rcx, r->rsp, r->rip, r->eflags, r->fs_base, r->gs_base};
  memcpy(t->slot->regs, values, sizeof values);
}

static uint64_t segment_base(uint64_t base) { return base < USER_END ? base : 0; }

static void load_registers(struct tracee *t) {
  struct registers *r = &t->regs;
  uint64_t *const places[SLOT_REGISTERS] = {&r->r8,  &r->r9,  &r->r10,    &r->r11,     &r->r12,
                                            &r->r13, &r->r14, &r->r15,    &r->rdi,     &r->rsi,
                                            &r->rbp, &r->rbx, &r->rdx,    &r->rax,     &r->rcx,
                                            &r->rsp, &r->rip, &r->eflags, &r->fs_base, &r->gs_base};
  for (int i = 0; i < SLOT_REGISTERS; i++) *places[i] = t->slot->regs[i];
  r->fs_base = segment_base(r->fs_base);
  r->gs_base = segment_base(r->gs_base);
  t->is_moved = 1;
}

/* Puts the guest's registers where the thread goes on with them. */
static void restore_registers(struct tracee *t) {
  t->regs.orig_rax = (uint64_t)-1; /* nothing is to be restarted */
  if (trace(t, PTRACE_SETREGS, 0, (uint64_t)&t->regs) == 0) t->is_moved = 0;
}

static void save_call(struct tracee *t, uint64_t number) {
  const struct registers *r = &t->regs;
  struct slot *slot = t->slot;
  slot->call[0] = number;
  slot->call[1] = r->rdi;
  slot->call[2] = r->rsi;
  slot->call[3] = r->rdx;
  slot->call[4] = r->r10;
  slot->call[5] = r->r8;
  slot->call[6] = r->r9;
}

/*
 * Whether the guest stopped behind a `syscall` in 64-bit code, which leaves the address and the flags
 * in rcx and r11: not int 0x80, whose numbers are those of i386.
 */
static int is_native_call(const struct registers *r) {
  return r->cs == USER_CS && r->rcx == r->rip && ((r->r11 ^ r->eflags) & ~FLAGS_THAT_DIFFER) == 0;
}

/* ---- floating point ---- */

/* The state as ptrace has it, into t->xstate: its bytes, 0 where the thread is dead. */
static uint64_t fetch_xstate(struct tracee *t) {
  struct part part = {t->xstate, XSTATE_ROOM};
  if (trace(t, PTRACE_GETREGSET, NT_X86_XSTATE, (uint64_t)&part) < 0) return 0;
  return part.bytes;
}

static long put_xstate(struct tracee *t, uint64_t bytes) {
  struct part part = {t->xstate, bytes};
  return trace(t, PTRACE_SETREGSET, NT_X86_XSTATE, (uint64_t)&part);
}

/* As a signal frame has it: what the kernel says there of size and parts, and the second magic. */
static void frame_xstate(struct tracee *t, uint64_t bytes) {
  struct fp_software software = {.magic1 = FP_XSTATE_MAGIC1,
                                 .extended_size = (uint32_t)bytes + 4,
                                 .xstate_size = (uint32_t)bytes};
  software.xfeatures = fp_load64(t->xstate + FP_SOFTWARE_OFFSET); /* the regset has them there */
  uint32_t magic2 = FP_XSTATE_MAGIC2;
  memcpy(t->xstate + FP_SOFTWARE_OFFSET, &software, sizeof software);
  memcpy(t->xstate + bytes, &magic2, sizeof magic2);
}

static long save_fp(struct tracee *t, uint64_t addr) {
  uint64_t bytes = fetch_xstate(t);
  if (bytes == 0) return -EFAULT;
  frame_xstate(t, bytes);
  return write_guest(t, addr, t->xstate, bytes + 4);
}

/* The parts that a state without the extended magic has: x87 and SSE; all others become initial. */
static void only_legacy(uint8_t *state) {
  uint64_t legacy = 3;
  memset(state + FP_HEADER_OFFSET, 0, FP_HEADER_BYTES);
  memcpy(state + FP_HEADER_OFFSET, &legacy, sizeof legacy);
}

static long load_fp(struct tracee *t, uint64_t addr) {
  uint64_t bytes = fetch_xstate(t);
  if (bytes < FP_HEADER_OFFSET + FP_HEADER_BYTES) return -EFAULT;
  struct fp_software software;
  uint32_t mask = fp_load32(t->xstate + FP_MXCSR_MASK_OFFSET);
  frame_xstate(t, bytes);
  memcpy(&software, t->xstate + FP_SOFTWARE_OFFSET, sizeof software);
  if (addr == 0) {
    fp_reset(t->xstate);
    only_legacy(t->xstate);
    return put_xstate(t, bytes) < 0 ? -EFAULT : 0;
  }
  if (read_guest(t, addr, t->xstate, bytes) < 0) return -EFAULT;
  if (fp_load32(t->xstate + FP_SOFTWARE_OFFSET) != FP_XSTATE_MAGIC1) only_legacy(t->xstate);
  memcpy(t->xstate + FP_SOFTWARE_OFFSET, &software, sizeof software);
  if (fp_check(t->xstate, mask) != 0) return -EFAULT;
  return put_xstate(t, bytes) < 0 ? -EFAULT : 0;
}

/* ---- faults ---- */

/*
 * What only a signal frame tells: trap number and error code. So the signal is delivered, to the
 * handler in the page and with a stack in the thread's area, and undone once the frame was read. The
 * guest's other threads may write over the frame, and deceive themselves.
 */
static void read_trap(struct tracee *t, int number) {
  enum { RSP_OFFSET = 152 };
  struct registers regs;
  uint64_t words[4] = {0, 0, 0, 0};
  uint64_t bytes = fetch_xstate(t); /* a handler starts with the initial one */
  t->is_moved = 1;
  if (trace(t, PTRACE_POKEUSER, RSP_OFFSET, area_top(t)) < 0) return;
  int stop;
  int deliver = number;
  do {
    if (trace(t, PTRACE_CONT, 0, (uint64_t)deliver) < 0) return;
    deliver = 0;
    stop = await_stop(t);
    if (stop == SIGURG) t->is_interrupted = 1;
    if (stop == STOP_DEAD) return;
  } while (stop != SIGTRAP && stop != SIGSEGV);
  if (trace(t, PTRACE_GETREGS, 0, (uint64_t)&regs) < 0) return;
  if (regs.rip == tracer.base + tracer.page.handler + 1) {
    uint64_t at = regs.rdx + offsetof(struct frame, gregs) + GREG_ERR * 8;
    read_guest(t, at, words, sizeof words);
    t->slot->error_code = (uint32_t)words[0];
    t->slot->trap_number = (uint32_t)words[GREG_TRAPNO - GREG_ERR];
  }
  if (bytes != 0) put_xstate(t, bytes);
}

static uint32_t on_fault(struct tracee *t, int number) {
  struct {
    struct signal_info head;
    uint8_t rest[104];
  } info;
  struct slot *slot = t->slot;
  if (trace(t, PTRACE_GETSIGINFO, 0, (uint64_t)&info) < 0) return EVENT_FAULT;
  slot->signal = (uint32_t)number;
  slot->code = (uint32_t)info.head.code;
  slot->fault_addr = info.head.addr;
  slot->trap_number = 0;
  slot->error_code = 0;
  read_trap(t, number);
  return EVENT_FAULT;
}

#endif

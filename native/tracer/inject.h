/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ptrace(2) on one guest thread: letting guest code run up to its next stop, and running a few
 * instructions of tracee.S in its place.
 */
#ifndef RUNTS_TRACER_INJECT_H
#define RUNTS_TRACER_INJECT_H

#include "tracer/tracer.h"

enum {
  PTRACE_TRACEME = 0,
  PTRACE_POKEUSER = 6,
  PTRACE_CONT = 7,
  PTRACE_GETREGS = 12,
  PTRACE_SETREGS = 13,
  PTRACE_SYSEMU = 31,
  PTRACE_SETOPTIONS = 0x4200,
  PTRACE_GETSIGINFO = 0x4202,
  PTRACE_GETREGSET = 0x4204,
  PTRACE_SETREGSET = 0x4205,
  PTRACE_SEIZE = 0x4206,
  PTRACE_INTERRUPT = 0x4207,
};
enum { PTRACE_O_TRACESYSGOOD = 1, PTRACE_O_EXITKILL = 1 << 20 };
#define TRACE_OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)
enum { NT_X86_XSTATE = 0x202 };
#define WAIT_ALL 0x40000000L /* __WALL */
enum { USER_CS = 0x33, USER_SS = 0x2b };

/* How a guest thread stopped: the number of a signal, or one of these. */
enum { STOP_CALL = 0x85, STOP_EVENT = 0x100, STOP_DEAD = -1 };

static long trace(struct tracee *t, long request, uint64_t address, uint64_t data) {
  long result = host(SYS_ptrace, request, t->tid, (long)address, (long)data, 0, 0);
  /* It was killed while it stood; what else a request could lack is a fault of this program. */
  if (result == -ESRCH) t->is_dead = 1;
  return result;
}

/* Waits for the thread's next stop, or its end. */
static int await_stop(struct tracee *t) {
  int32_t status = 0;
  long got;
  do {
    got = host(SYS_wait4, t->tid, (long)&status, WAIT_ALL, 0, 0, 0);
  } while (got == -EINTR);
  if (got == t->tid && (status & 0xff) == 0x7f) {
    if ((status >> 16) != 0) return STOP_EVENT;
    return (status >> 8) & 0xff;
  }
  t->is_dead = 1;
  t->is_reaped = 1;
  if (got == t->tid && t->tid == t->process->pid) t->process->status = status;
  return STOP_DEAD;
}

/* Signals that leave a process as it is where it has no handler, and those that stop it. */
static int is_harmless(int number) {
  return number == SIGCHLD || number == SIGWINCH || (number >= SIGCONT && number <= SIGTTOU);
}

/*
 * Runs the instructions at `entry` of the page, up to their int3, with these registers. Guest code
 * does not run meanwhile, and nothing that guests can write says what is run. `regs` are those at
 * the end: 0, the number of a signal that the instructions raised, or STOP_DEAD.
 */
static int run_page(struct tracee *t, uint32_t entry, struct registers *regs) {
  regs->orig_rax = (uint64_t)-1;
  regs->rip = tracer.base + entry;
  regs->eflags = 0x202;
  regs->rsp = area_top(t) - 256;
  regs->cs = USER_CS;
  regs->ss = USER_SS;
  t->is_moved = 1;
  if (trace(t, PTRACE_SETREGS, 0, (uint64_t)regs) < 0) return STOP_DEAD;
  for (;;) {
    if (trace(t, PTRACE_CONT, 0, 0) < 0) return STOP_DEAD;
    int stop = await_stop(t);
    if (stop == STOP_DEAD) return STOP_DEAD;
    if (stop == SIGURG) t->is_interrupted = 1;
    if (stop != SIGTRAP && stop != SIGSEGV && stop != SIGBUS && stop != SIGSYS) continue;
    if (trace(t, PTRACE_GETREGS, 0, (uint64_t)regs) < 0) return STOP_DEAD;
    if (regs->rip - tracer.base < 4096) return stop == SIGTRAP ? 0 : stop;
  }
}

static struct registers page_registers(const struct tracee *t) {
  struct registers regs = t->regs;
  return regs;
}

static long inject_at(struct tracee *t, uint32_t entry, long nr, const long args[6]) {
  struct registers regs = page_registers(t);
  regs.rax = (uint64_t)nr;
  regs.rdi = (uint64_t)args[0];
  regs.rsi = (uint64_t)args[1];
  regs.rdx = (uint64_t)args[2];
  regs.r10 = (uint64_t)args[3];
  regs.r8 = (uint64_t)args[4];
  regs.r9 = (uint64_t)args[5];
  int stop = run_page(t, entry, &regs);
  if (stop == SIGSYS) return -EPERM; /* the filter's answer */
  return stop == 0 ? (long)regs.rax : -ESRCH;
}

/* A host call in the guest thread: stub/memory.h makes its calls by this name. */
long stub_syscall(long nr, long a0, long a1, long a2, long a3, long a4, long a5) {
  const long args[6] = {a0, a1, a2, a3, a4, a5};
  return inject_at(current(), tracer.page.call, nr, args);
}

/* Up to the first page that faults. */
static long touch(uint64_t start, uint64_t length, int writes) {
  struct tracee *t = current();
  struct registers regs = page_registers(t);
  if (length == 0) return 0;
  regs.rdi = start;
  regs.rsi = start + length;
  int stop = run_page(t, writes ? tracer.page.touch_write : tracer.page.touch_read, &regs);
  return stop == 0 ? 0 : -EFAULT;
}

/* ---- guest memory ---- */

struct part {
  void *data;
  uint64_t bytes;
};

static int copy_memory(long nr, const struct tracee *t, uint64_t at, void *data, uint64_t bytes) {
  struct part here = {data, bytes}, there = {(void *)at, bytes};
  return host(nr, t->process->pid, (long)&here, 1, (long)&there, 1, 0) == (long)bytes ? 0 : -EFAULT;
}

static int read_guest(const struct tracee *t, uint64_t at, void *data, uint64_t bytes) {
  return copy_memory(SYS_process_vm_readv, t, at, data, bytes);
}

static int write_guest(const struct tracee *t, uint64_t at, const void *data, uint64_t bytes) {
  return copy_memory(SYS_process_vm_writev, t, at, (void *)(uint64_t)data, bytes);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of the tracer: the first guest process, which all others are forked from, and what this
 * process gives up before anything in it can come from a guest.
 */
#ifndef RUNTS_TRACER_START_H
#define RUNTS_TRACER_START_H

#include "tracer/clones.h"
#include "zygote/zygote.h"

extern HIDDEN const char tracee_page[], tracee_page_end[];

/* The filters of the first message: of a stub, of guest processes here, of the tracer. */
static const uint8_t *tracee_filter(const struct zygote_init *init) {
  return (const uint8_t *)(init + 1) + init->filter_instructions * FILTER_INSTRUCTION_BYTES;
}

static const uint8_t *tracer_filter(const struct zygote_init *init) {
  return tracee_filter(init) + init->tracee_instructions * FILTER_INSTRUCTION_BYTES;
}

struct filter_program {
  uint64_t count;
  uint64_t instructions;
};

/* Everything but the page and the first area goes; the filter lies in the area until it is installed. */
static void become_tracee(const struct zygote_init *init, int socket) {
  enum { PTRACE_TRACEME = 0 };
  uint64_t base = init->base;
  uint64_t area = base + STUB_AREAS_OFFSET;
  uint64_t end = base + STUB_RANGE_BYTES;
  map_fixed(base, STUB_TEXT_BYTES, PROT_READ_WRITE, -1);
  memcpy((void *)base, tracee_page, (unsigned long)(tracee_page_end - tracee_page));
  need(host(SYS_mprotect, (long)base, STUB_TEXT_BYTES, PROT_READ | 4, 0, 0, 0) == 0, FAIL_MAP);
  map_fixed(area, AREA_MAPPED_BYTES, PROT_READ_WRITE, -1);
  seal(base, STUB_TEXT_BYTES);

  const struct tracee_page *page = (const void *)base;
  struct filter_program *program = (void *)area;
  uint64_t bytes = init->tracee_instructions * (uint64_t)FILTER_INSTRUCTION_BYTES;
  need(bytes <= AREA_MAPPED_BYTES - sizeof *program, FAIL_MESSAGE);
  program->count = init->tracee_instructions;
  program->instructions = (uint64_t)(program + 1);
  memcpy(program + 1, tracee_filter(init), bytes);

  need(host(SYS_dup2, socket, 0, 0, 0, 0, 0) == 0, FAIL_DESCRIPTORS);
  close_from(1);
  limit_descriptors();
  limit_rights();
  install_handlers(base + page->handler, base + page->handler, 0);
  need(host(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0, 0, 0) == 0, FAIL_TRACE);
  register uint64_t r12 __asm__("r12") = base;
  register uint64_t r13 __asm__("r13") = end;
  register uint64_t r14 __asm__("r14") = 0x7ffffffff000UL - end;
  register uint64_t r15 __asm__("r15") = area;
  __asm__ volatile("jmp *%0" ::"a"(base + page->boot), "r"(r12), "r"(r13), "r"(r14), "r"(r15)
                   : "memory");
  __builtin_unreachable();
}

/* Floating point state as a signal frame has it: its bytes. */
static uint32_t frame_bytes(struct tracee *t) { return (uint32_t)fetch_xstate(t) + 4; }

/* Makes the first guest process, traced by this thread. Its steps end in a trap. */
static struct tracee *start_first(const struct zygote_init *init, int mailbox) {
  enum { ARCH_SET_FS = 0x1002, AF_UNIX = 1, SOCK_SEQPACKET = 5, SIG_BLOCK = 0 };
  int32_t pair[2];
  tracer.base = init->base;
  tracer.parent = (int32_t)host(SYS_getppid, 0, 0, 0, 0, 0, 0);
  tracer.page = *(const struct tracee_page *)(const void *)tracee_page;
  tracer.global = (const void *)host(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, ZYGOTE_PAGE, 0);
  need(!is_error((long)tracer.global), FAIL_MAP);
  need(host(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET, 0, (long)pair, 0, 0) == 0, FAIL_DESCRIPTORS);
  struct process *process = new_process(ZYGOTE_CONTROL, mailbox);
  need(process != 0 && process->mailbox != 0, FAIL_MAP);
  struct tracee *t = new_tracee(process, 0);
  need(t != 0, FAIL_MAP);
  process->socket = pair[0];
  process->socket_number = 0;
  process->areas[0] = 1;
  need(host(SYS_arch_prctl, ARCH_SET_FS, (long)t, 0, 0, 0, 0) == 0, FAIL_THREAD);

  long pid = host(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
  need(pid >= 0, FAIL_THREAD);
  if (pid == 0) become_tracee(init, pair[1]);
  t->tid = process->pid = (int32_t)pid;
  enlist(t);
  int stop;
  while ((stop = await_stop(t)) != SIGTRAP) {
    if (stop == STOP_DEAD) host(SYS_exit_group, (process->status >> 8) & 0xff, 0, 0, 0, 0, 0);
    trace(t, PTRACE_CONT, 0, 0);
  }
  need(trace(t, PTRACE_SETOPTIONS, 0, TRACE_OPTIONS) == 0, FAIL_TRACE);
  need(trace(t, PTRACE_GETREGS, 0, (uint64_t)&t->regs) == 0, FAIL_TRACE);
  tracer.fp_bytes = frame_bytes(t);
  need(tracer.fp_bytes > FP_LEGACY_BYTES + FP_HEADER_BYTES, FAIL_TRACE);
  t->is_moved = 1;
  host(SYS_close, mailbox, 0, 0, 0, 0, 0);
  host(SYS_close, pair[1], 0, 0, 0, 0, 0);
  host(SYS_close, ZYGOTE_PAGE, 0, 0, 0, 0, 0);
  return t;
}

/* What threads to come have as well: the mask for SIGCHLD, and the filter where the host has seccomp. */
static void restrict_tracer(const struct zygote_init *init) {
  enum { SIG_BLOCK = 0, SA_NOCLDSTOP = 1, SET_MODE_FILTER = 1 };
  const uint64_t mask = 1UL << (SIGCHLD - 1);
  const uint64_t action[4] = {0, SA_NOCLDSTOP, 0, 0};
  need(host(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, 8, 0, 0) == 0, FAIL_SIGNALS);
  need(host(SYS_rt_sigaction, SIGCHLD, (long)action, 0, 8, 0, 0) == 0, FAIL_SIGNALS);
  raise_descriptors();
  limit_rights();
  struct filter_program program = {init->tracer_instructions, (uint64_t)tracer_filter(init)};
  host(SYS_seccomp, SET_MODE_FILTER, 0, (long)&program, 0, 0, 0);
}

#endif

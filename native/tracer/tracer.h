/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracer of the platform ptrace: a process without guest code that stands between the Sentry and
 * the guest threads. Each guest thread has a thread here that traces it, and does for it in the
 * mailbox what the stub does under systrap.
 */
#ifndef RUNTS_TRACER_H
#define RUNTS_TRACER_H

#include "stub/frame.h"
#include "stub/mailbox.h"
#include "stub/memory.h"
#include "zygote/host-call.h"

enum {
  SYS_read = 0,
  SYS_write = 1,
  SYS_close = 3,
  SYS_rt_sigaction = 13,
  SYS_rt_sigprocmask = 14,
  SYS_dup2 = 33,
  SYS_sendmsg = 46,
  SYS_recvmsg = 47,
  SYS_socketpair = 53,
  SYS_clone = 56,
  SYS_exit = 60,
  SYS_wait4 = 61,
  SYS_kill = 62,
  SYS_ptrace = 101,
  SYS_getppid = 110,
  SYS_rt_sigtimedwait = 128,
  SYS_prctl = 157,
  SYS_arch_prctl = 158,
  SYS_gettid = 186,
  SYS_futex = 202,
  SYS_clock_gettime = 228,
  SYS_exit_group = 231,
  SYS_waitid = 247,
  SYS_prlimit64 = 302,
  SYS_process_vm_readv = 310,
  SYS_process_vm_writev = 311,
  SYS_seccomp = 317,
};
enum { EPERM = 1, ESRCH = 3, EINTR = 4, EAGAIN = 11, ENOMEM = 12 };
enum { SIGFPE = 8, SIGKILL = 9, SIGCHLD = 17, SIGCONT = 18, SIGTTOU = 22, SIGWINCH = 28 };
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_PRIVATE = 128 };

/* Room for the XSAVE area of any processor so far, AMX included. */
#define XSTATE_ROOM 12288
#define STASH_ENTRIES 32
/* What a guest thread's area has for the tracer: the frame of a signal, and arguments of calls. */
#define AREA_MAPPED_BYTES 0x8000UL

/* struct user_regs_struct: arch/x86/include/asm/user_64.h. */
struct registers {
  uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  uint64_t orig_rax, rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};
#define RAX_OFFSET 80
_Static_assert(offsetof(struct registers, rax) == RAX_OFFSET, "PTRACE_POKEUSER");

/* Descriptors that came from the Sentry, for an order that has not asked for them yet. */
struct stashed {
  uint32_t id;
  uint32_t count;
  int32_t fds[2];
};

struct process {
  struct process *next;
  uint32_t lock;    /* while a descriptor is in the process's table, and while it forks */
  uint32_t threads; /* ours that still have to do with it */
  int32_t pid;
  int32_t status;        /* of wait4(2), once it has ended */
  int32_t control_fd;    /* from the Sentry to us */
  int32_t socket;        /* our end of the guest process's own descriptor */
  int32_t socket_number; /* what that is in the guest process: 0 or 1 */
  struct slot *mailbox;
  struct stashed stash[STASH_ENTRIES];
  uint8_t areas[STUB_SLOTS / 8]; /* bits: the area of a slot is mapped */
};

struct tracee {
  struct tracee *self; /* first: %fs:0 of its thread here */
  struct tracee *next;
  struct process *process;
  struct slot *slot;
  uint32_t index;
  int32_t tid;
  uint32_t is_dead;        /* also set by the thread that hears of deaths */
  uint32_t is_reaped;      /* wait4 has told how it ended */
  uint32_t is_interrupted; /* the Sentry's signal came while it ran no guest code */
  uint32_t is_moved;       /* its registers are not those of the guest now */
  uint32_t is_forked;      /* the first of a process that has its creator's socket still */
  struct registers regs;   /* the guest's, as of the stop */
  uint8_t *xstate;
};

/* ---- host calls of this process ---- */

static inline long host_futex(uint32_t *word, long operation, uint32_t value) {
  return host(SYS_futex, (long)word, operation, value, 0, 0, 0);
}

static inline void lock(uint32_t *word) {
  uint32_t seen = 0;
  if (__atomic_compare_exchange_n(word, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) return;
  while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0) {
    host_futex(word, FUTEX_WAIT | FUTEX_PRIVATE, 2);
  }
}

static inline void unlock(uint32_t *word) {
  if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2) {
    host_futex(word, FUTEX_WAKE | FUTEX_PRIVATE, 1);
  }
}

/* The guest thread that this thread traces. */
static inline struct tracee *current(void) {
  struct tracee *self;
  __asm__ volatile("mov %%fs:0, %0" : "=r"(self));
  return self;
}

/* First bytes of the page in each guest process (tracee.S): offsets from its start. */
struct tracee_page {
  uint64_t magic;
  uint32_t boot, call, clone, handler, touch_read, touch_write;
};

/* What all threads here share; written once, before there is a second one. */
struct tracer {
  uint64_t base;  /* of the range in guest processes */
  int32_t parent; /* the Sentry's pid */
  uint32_t lock;  /* of the two lists */
  const struct global_page *global;
  struct tracee_page page;
  struct tracee *tracees;
  uint32_t fp_bytes;
};
extern __attribute__((visibility("hidden"))) struct tracer tracer;

static inline uint64_t area_top(const struct tracee *t) {
  return tracer.base + STUB_AREAS_OFFSET + t->index * STUB_AREA_BYTES + AREA_MAPPED_BYTES;
}

/* The lower part of an area is for arguments; frames come from the top. */
static inline uint64_t scratch(const struct tracee *t) { return area_top(t) - AREA_MAPPED_BYTES; }

#endif

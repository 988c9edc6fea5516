/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x86-64 signal frame as the host kernel writes it (arch/x86/include/uapi/asm/{sigcontext,ucontext}.h,
 * asm-generic/siginfo.h): the parts that the stub touches.
 */
#ifndef RUNTS_STUB_FRAME_H
#define RUNTS_STUB_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGSEGV = 11, SIGURG = 23, SIGSYS = 31 };

/* Indexes of frame->gregs: struct sigcontext. */
enum {
  GREG_R8,
  GREG_R9,
  GREG_R10,
  GREG_R11,
  GREG_R12,
  GREG_R13,
  GREG_R14,
  GREG_R15,
  GREG_RDI,
  GREG_RSI,
  GREG_RBP,
  GREG_RBX,
  GREG_RDX,
  GREG_RAX,
  GREG_RCX,
  GREG_RSP,
  GREG_RIP,
  GREG_EFLAGS,
  GREG_SELECTORS,
  GREG_ERR,
  GREG_TRAPNO,
  GREG_OLDMASK,
  GREG_CR2,
  GREG_COUNT
};

struct frame {
  uint64_t flags;
  uint64_t link;
  uint64_t stack_pointer;
  uint32_t stack_flags;
  uint32_t stack_padding;
  uint64_t stack_bytes;
  uint64_t gregs[GREG_COUNT];
  uint8_t *fpstate;
  uint64_t reserved[8];
  uint64_t sigmask;
};

_Static_assert(offsetof(struct frame, gregs) == 40, "uc_mcontext");
_Static_assert(offsetof(struct frame, fpstate) == 224, "uc_mcontext.fpstate");
_Static_assert(offsetof(struct frame, sigmask) == 296, "uc_sigmask");

struct signal_info {
  int32_t number;
  int32_t error;
  int32_t code;
  int32_t padding;
  uint64_t addr; /* si_addr; si_call_addr of SIGSYS */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A system call of the host, without a C library: for the zygote and the tracer that it becomes. */
#ifndef RUNTS_ZYGOTE_HOST_CALL_H
#define RUNTS_ZYGOTE_HOST_CALL_H

static inline long host(long nr, long a0, long a1, long a2, long a3, long a4, long a5) {
  long result;
  register long r10 __asm__("r10") = a3;
  register long r8 __asm__("r8") = a4;
  register long r9 __asm__("r9") = a5;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FP/vector state in a signal frame (arch/x86/include/uapi/asm/sigcontext.h): checks that keep the
 * host's rt_sigreturn from refusing what a guest hands us.
 */
#ifndef RUNTS_STUB_FPSTATE_H
#define RUNTS_STUB_FPSTATE_H

#include <stdint.h>

#define FP_XSTATE_MAGIC1 0x46505853U
#define FP_LEGACY_BYTES 512U
#define FP_HEADER_OFFSET 512U
#define FP_HEADER_BYTES 64U
#define FP_MXCSR_OFFSET 24U
#define FP_MXCSR_MASK_OFFSET 28U
#define FP_SOFTWARE_OFFSET 464U

/* sw_reserved of struct _fpstate. */
struct fp_software {
  uint32_t magic1;
  uint32_t extended_size;
  uint64_t xfeatures;
  uint32_t xstate_size;
  uint32_t padding[7];
};

static inline uint32_t fp_load32(const uint8_t *at) {
  uint32_t value;
  __builtin_memcpy(&value, at, sizeof value);
  return value;
}

static inline uint64_t fp_load64(const uint8_t *at) {
  uint64_t value;
  __builtin_memcpy(&value, at, sizeof value);
  return value;
}

/* Bytes of a state as the host kernel stored it, trailing magic included. */
static inline uint32_t fp_size(const uint8_t *state) {
  struct fp_software software;
  __builtin_memcpy(&software, state + FP_SOFTWARE_OFFSET, sizeof software);
  return software.magic1 == FP_XSTATE_MAGIC1 ? software.extended_size : FP_LEGACY_BYTES;
}

/*
 * May `state` (size bytes as by fp_size of the host's own frame, whose software bytes it carries) be
 * loaded? What would make XRSTOR or FXRSTOR fault is refused: 0 or -1.
 */
static inline int fp_check(const uint8_t *state, uint32_t mxcsr_mask) {
  struct fp_software software;
  __builtin_memcpy(&software, state + FP_SOFTWARE_OFFSET, sizeof software);
  if (mxcsr_mask == 0) mxcsr_mask = 0xffbfU;
  if ((fp_load32(state + FP_MXCSR_OFFSET) & ~mxcsr_mask) != 0) return -1;
  if (software.magic1 != FP_XSTATE_MAGIC1) return 0;

  const uint8_t *header = state + FP_HEADER_OFFSET;
  if ((fp_load64(header) & ~software.xfeatures) != 0) return -1;
  /* xcomp_bv and the reserved words. */
  for (uint32_t at = 8; at < FP_HEADER_BYTES; at += 8) {
    if (fp_load64(header + at) != 0) return -1;
  }
  return 0;
}

/* Makes a state the processor's initial one. */
static inline void fp_reset(uint8_t *state) {
  uint8_t software[48];
  uint32_t mask = fp_load32(state + FP_MXCSR_MASK_OFFSET);
  uint32_t mxcsr = 0x1f80;
  __builtin_memcpy(software, state + FP_SOFTWARE_OFFSET, sizeof software);
  uint32_t bytes =
      fp_load32(software) == FP_XSTATE_MAGIC1 ? FP_LEGACY_BYTES + FP_HEADER_BYTES : FP_LEGACY_BYTES;
  for (uint32_t i = 0; i < bytes; i++) state[i] = 0;
  state[0] = 0x7f; /* fcw */
  state[1] = 0x03;
  __builtin_memcpy(state + FP_MXCSR_OFFSET, &mxcsr, sizeof mxcsr);
  __builtin_memcpy(state + FP_MXCSR_MASK_OFFSET, &mask, sizeof mask);
  __builtin_memcpy(state + FP_SOFTWARE_OFFSET, software, sizeof software);
}

#endif

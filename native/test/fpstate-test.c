// SPDX-License-Identifier: Apache-2.0
/*
 * Unit test of stub/fpstate.h, also run under ASan and UBSan (make asan-test): what load_fp trusts.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stub/fpstate.h"

enum { SIZE = 512 + 64 + 256 + 4 };

static uint8_t *fresh(void) {
  uint8_t *state = calloc(1, SIZE);
  struct fp_software software = {FP_XSTATE_MAGIC1, SIZE, 7, SIZE - 4, {0}};
  uint32_t mask = 0xffff;
  memcpy(state + FP_SOFTWARE_OFFSET, &software, sizeof software);
  memcpy(state + FP_MXCSR_MASK_OFFSET, &mask, sizeof mask);
  return state;
}

static void sizes(void) {
  uint8_t *state = fresh();
  assert(fp_size(state) == SIZE);
  state[FP_SOFTWARE_OFFSET] ^= 1;
  assert(fp_size(state) == FP_LEGACY_BYTES);
  free(state);
}

static void checks(void) {
  uint8_t *state = fresh();
  assert(fp_check(state, 0xffff) == 0);
  uint64_t features = 7;
  memcpy(state + FP_HEADER_OFFSET, &features, 8);
  assert(fp_check(state, 0xffff) == 0);
  features = 8; /* not among the software bytes' features */
  memcpy(state + FP_HEADER_OFFSET, &features, 8);
  assert(fp_check(state, 0xffff) != 0);
  features = 0;
  memcpy(state + FP_HEADER_OFFSET, &features, 8);
  for (uint32_t at = 8; at < FP_HEADER_BYTES; at++) {
    state[FP_HEADER_OFFSET + at] = 1;
    assert(fp_check(state, 0xffff) != 0);
    state[FP_HEADER_OFFSET + at] = 0;
  }
  uint32_t mxcsr = 0x10000;
  memcpy(state + FP_MXCSR_OFFSET, &mxcsr, 4);
  assert(fp_check(state, 0xffff) != 0);
  assert(fp_check(state, 0) != 0);
  free(state);
}

static void reset(void) {
  uint8_t *state = fresh();
  memset(state + FP_HEADER_OFFSET, 0xff, FP_HEADER_BYTES);
  memset(state, 0xee, 28);
  fp_reset(state);
  assert(fp_check(state, 0xffff) == 0 && fp_size(state) == SIZE);
  assert(fp_load32(state + FP_MXCSR_OFFSET) == 0x1f80 && state[0] == 0x7f && state[1] == 3);
  free(state);
  /* A legacy state ends at 512 bytes: nothing behind it may be touched. */
  uint8_t *legacy = calloc(1, FP_LEGACY_BYTES);
  fp_reset(legacy);
  assert(fp_check(legacy, 0) == 0);
  free(legacy);
}

int main(void) {
  sizes();
  checks();
  reset();
  puts("fpstate: ok");
  return 0;
}

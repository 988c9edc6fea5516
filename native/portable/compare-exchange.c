// SPDX-License-Identifier: Apache-2.0
/*
 * All that Node wants of libatomic, a library that few machines have: __atomic_compare_exchange(3)
 * of GCC's libatomic, for the one size that V8 uses it with. tools/single-file/without-libatomic.ts
 * puts it into the executable.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool compare_exchange(size_t size, void *at, void *expected, const void *desired, int success,
                      int failure);

bool compare_exchange(size_t size, void *at, void *expected, const void *desired, int success,
                      int failure) {
  (void)success;
  (void)failure;
  if (size != sizeof(uint64_t)) __builtin_trap();
  return __atomic_compare_exchange_n((uint64_t *)at, (uint64_t *)expected,
                                     *(const uint64_t *)desired, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
}

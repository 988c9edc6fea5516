/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock parameters: one page that the Sentry writes (addon/clock.c) and every guest maps read-only
 * right before the vDSO code.
 *
 *   monotonic = base_ns + ((tsc - base_tsc) * multiplier >> 32)      realtime = monotonic + realtime offset
 */
#ifndef RUNTS_VDSO_PARAMS_H
#define RUNTS_VDSO_PARAMS_H

#include <stdint.h>

struct clock_params {
  uint32_t sequence; /* odd while being written */
  uint32_t usable;   /* 0: the TSC is no clock here, ask the kernel */
  uint64_t base_tsc;
  uint64_t base_ns;    /* of the sandbox's CLOCK_MONOTONIC, which starts near 0 */
  uint64_t multiplier; /* ns a tick, 32.32 */
  uint64_t realtime_offset_ns;
};

/*
 * What a time namespace adds to the clocks (time_namespaces(7)); nanoseconds from 0 to 999999999.
 * Part of the vDSO's code: a container whose clocks are moved maps a copy with other numbers, found
 * by their mark.
 */
#define VDSO_OFFSETS_MARK \
  { 'r', 'u', 'n', 't', 's', ' ', 't', 'i', 'm', 'e', 'n', 's', ' ', 'm', 'a', 'p' }

struct vdso_offsets {
  char mark[16];
  struct vdso_offset {
    int64_t sec;
    int64_t nsec;
  } monotonic, boottime;
};

static inline uint64_t params_rdtsc(void) {
  uint32_t low, high;
  __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high)::"memory");
  return (uint64_t)high << 32 | low;
}

static inline uint64_t params_ns(uint64_t base_ns, uint64_t base_tsc, uint64_t multiplier,
                                 uint64_t tsc) {
  /* Another CPU's counter may be a little behind the one that the base was read on. */
  uint64_t ticks = (int64_t)(tsc - base_tsc) > 0 ? tsc - base_tsc : 0;
  return base_ns + (uint64_t)((unsigned __int128)ticks * multiplier >> 32);
}

#endif

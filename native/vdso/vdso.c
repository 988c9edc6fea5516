// SPDX-License-Identifier: Apache-2.0
/*
 * The guest's vDSO: clock_gettime, gettimeofday, time, getcpu, clock_getres (vdso(7), x86-64 names).
 * Clocks come from the page of parameters right before this code; what is not there is a system call.
 */
#include "vdso/params.h"

enum { SYS_gettimeofday = 96, SYS_time = 201, SYS_clock_gettime = 228, SYS_clock_getres = 229 };
enum {
  CLOCK_REALTIME = 0,
  CLOCK_MONOTONIC = 1,
  CLOCK_MONOTONIC_RAW = 4,
  CLOCK_REALTIME_COARSE = 5,
  CLOCK_MONOTONIC_COARSE = 6,
  CLOCK_BOOTTIME = 7,
};
#define NS_PER_SEC 1000000000UL

struct timespec {
  int64_t sec;
  int64_t nsec;
};

struct timeval {
  int64_t sec;
  int64_t usec;
};

struct timezone {
  int32_t minutes_west;
  int32_t dst;
};

static const struct vdso_offsets offsets = {.mark = VDSO_OFFSETS_MARK};

/* The page before the ELF header. */
static const volatile struct clock_params *params(void) {
  const volatile struct clock_params *at;
  __asm__(".hidden __ehdr_start\n\tlea __ehdr_start-4096(%%rip), %0" : "=r"(at));
  return at;
}

static long call(long nr, long a0, long a1) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a0), "S"(a1) : "rcx", "r11", "memory");
  return result;
}

/* Monotonic time and realtime offset of one consistent state. 0 where the page cannot tell. */
static int read_clock(uint64_t *monotonic, uint64_t *offset) {
  const volatile struct clock_params *p = params();
  for (;;) {
    uint32_t sequence = p->sequence;
    __asm__ volatile("" ::: "memory");
    if ((sequence & 1) != 0) {
      __builtin_ia32_pause();
      continue;
    }
    if (p->usable == 0) return 0;
    *monotonic = params_ns(p->base_ns, p->base_tsc, p->multiplier, params_rdtsc());
    *offset = p->realtime_offset_ns;
    __asm__ volatile("" ::: "memory");
    if (p->sequence == sequence) return 1;
  }
}

int __vdso_clock_gettime(int clock, struct timespec *out) {
  uint64_t ns, offset;
  int known = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW ||
              clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ||
              clock == CLOCK_BOOTTIME;
  if (!known || !read_clock(&ns, &offset)) {
    return (int)call(SYS_clock_gettime, clock, (long)out);
  }
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
    ns += offset;
    out->sec = (int64_t)(ns / NS_PER_SEC);
    out->nsec = (int64_t)(ns % NS_PER_SEC);
    return 0;
  }
  /* Not what the compiler knows them to be. */
  const volatile struct vdso_offset *moved =
      clock == CLOCK_BOOTTIME ? &offsets.boottime : &offsets.monotonic;
  ns += (uint64_t)moved->nsec;
  out->sec = (int64_t)(ns / NS_PER_SEC) + moved->sec;
  out->nsec = (int64_t)(ns % NS_PER_SEC);
  return 0;
}

int __vdso_gettimeofday(struct timeval *out, struct timezone *zone) {
  uint64_t ns, offset;
  if (!read_clock(&ns, &offset)) return (int)call(SYS_gettimeofday, (long)out, (long)zone);
  if (out != 0) {
    ns += offset;
    out->sec = (int64_t)(ns / NS_PER_SEC);
    out->usec = (int64_t)(ns % NS_PER_SEC / 1000);
  }
  if (zone != 0) {
    zone->minutes_west = 0;
    zone->dst = 0;
  }
  return 0;
}

int64_t __vdso_time(int64_t *out) {
  uint64_t ns, offset;
  if (!read_clock(&ns, &offset)) return call(SYS_time, (long)out, 0);
  int64_t seconds = (int64_t)((ns + offset) / NS_PER_SEC);
  if (out != 0) *out = seconds;
  return seconds;
}

int __vdso_clock_getres(int clock, struct timespec *out) {
  return (int)call(SYS_clock_getres, clock, (long)out);
}

/* The host keeps CPU and node in the limit of a segment: arch/x86/include/asm/segment.h. */
long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused) {
  uint32_t limit = 0;
  (void)unused;
  __asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(0x7bU));
  if (cpu != 0) *cpu = limit & 0xfff;
  if (node != 0) *node = limit >> 12;
  return 0;
}

#define ALIAS(name, of) __typeof__(of) name __attribute__((weak, alias(#of)))
ALIAS(clock_gettime, __vdso_clock_gettime);
ALIAS(gettimeofday, __vdso_gettimeofday);
ALIAS(time, __vdso_time);
ALIAS(clock_getres, __vdso_clock_getres);
ALIAS(getcpu, __vdso_getcpu);

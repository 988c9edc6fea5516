// SPDX-License-Identifier: Apache-2.0
/*
 * The sandbox's time base: the TSC, calibrated against the host's CLOCK_MONOTONIC and shared with the guests'
 * vDSO through the parameter page (vdso/params.h). Where the host itself does not trust the TSC, the
 * host's clocks are asked instead and the vDSO is told to make system calls.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "addon/addon.h"
#include "vdso/params.h"

#define NS_PER_SEC 1000000000L
/* Steps of the realtime clock below this are measuring noise. */
#define REALTIME_NOISE_NS 1000000L
/* Errors above this are a suspended host, not drift: they are stepped over. */
#define STEP_NS 100000000L

static struct clock_params *page;
static struct clock_params *copy; /* for the stubs; NULL: there is none */
static int64_t start_ns;          /* host monotonic time that is the sandbox's 0 */
static uint64_t first_tsc; /* the oldest pair: the longer the distance, the better the slope */
static int64_t first_ns;
static uint64_t next_sync_tsc;
static uint64_t sync_distance_ns;

static int64_t host_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

/* A (tsc, monotonic) pair as close together as can be had. */
static void read_pair(uint64_t *tsc, int64_t *ns) {
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < 8; i++) {
    uint64_t before = params_rdtsc();
    int64_t at = host_ns(CLOCK_MONOTONIC);
    uint64_t after = params_rdtsc();
    if (after - before >= best) continue;
    best = after - before;
    *tsc = before + best / 2;
    *ns = at;
  }
}

/* As early as can be: by the time that the clock is started the distance is nearly long enough. */
__attribute__((constructor)) static void first_pair(void) { read_pair(&first_tsc, &first_ns); }

static int tsc_is_clock(void) {
  char text[16] = {0};
  int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    return got >= 3 && memcmp(text, "tsc", 3) == 0;
  }
  unsigned eax, ebx, ecx, edx; /* no /sys: at least the counter must be invariant */
  return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & 1U << 8) != 0;
}

static uint64_t slope(uint64_t tsc, int64_t ns) {
  return (uint64_t)(((unsigned __int128)(uint64_t)(ns - first_ns) << 32) / (tsc - first_tsc));
}

static void publish_in(struct clock_params *page, uint64_t tsc, uint64_t ns, uint64_t multiplier,
                       uint64_t offset) {
  uint32_t sequence = page->sequence;
  __atomic_store_n(&page->sequence, sequence + 1, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  page->base_tsc = tsc;
  page->base_ns = ns;
  page->multiplier = multiplier;
  page->realtime_offset_ns = offset;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&page->sequence, sequence + 2, __ATOMIC_RELEASE);
}

static void publish(uint64_t tsc, uint64_t ns, uint64_t multiplier, uint64_t offset) {
  publish_in(page, tsc, ns, multiplier, offset);
  if (copy != NULL) publish_in(copy, tsc, ns, multiplier, offset);
}

/* Brings the parameters back to the host's clocks, without ever letting the sandbox's clock jump back. */
static void sync_clock(void) {
  uint64_t tsc;
  int64_t host;
  read_pair(&tsc, &host);
  uint64_t ours = params_ns(page->base_ns, page->base_tsc, page->multiplier, tsc);
  int64_t error = host - start_ns - (int64_t)ours;
  uint64_t multiplier = slope(tsc, host);
  if (error > STEP_NS) {
    ours += (uint64_t)error;
    error = 0;
  }
  if (sync_distance_ns < 8UL * NS_PER_SEC) sync_distance_ns *= 2;
  /* Slew the rest away until the next time, by at most 0.05 %. */
  int64_t most = (int64_t)(sync_distance_ns / 2000);
  if (error > most) error = most;
  if (error < -most) error = -most;
  int64_t correction = (int64_t)((__int128)multiplier * error / (int64_t)sync_distance_ns);

  uint64_t offset = (uint64_t)(host_ns(CLOCK_REALTIME) - host_ns(CLOCK_MONOTONIC) + start_ns);
  int64_t moved = (int64_t)(offset - page->realtime_offset_ns);
  if (moved < REALTIME_NOISE_NS && moved > -REALTIME_NOISE_NS) offset = page->realtime_offset_ns;
  publish(tsc, ours, multiplier + (uint64_t)correction, offset);
  next_sync_tsc = tsc + (uint64_t)(((unsigned __int128)sync_distance_ns << 32) / multiplier);
}

/*
 * startClock() -> descriptor of the parameter page, to be mapped read-only by guests. Takes some
 * milliseconds. Once.
 */
static napi_value StartClock(napi_env env, napi_callback_info info) {
  (void)info;
  if (page != NULL) return answer(env, -EBUSY);
  int fd = memfd_create("clock", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return answer(env, -errno);
  if (ftruncate(fd, 4096) < 0) return answer(env, -errno);
  void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return answer(env, -errno);
  /* This mapping stays writable; no other can become so, nor can the page go away. */
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
    return answer(env, -errno);
  }
  page = at;
  start_ns = host_ns(CLOCK_MONOTONIC);
  uint64_t offset = (uint64_t)(host_ns(CLOCK_REALTIME) - host_ns(CLOCK_MONOTONIC) + start_ns);
  page->realtime_offset_ns = offset;
  if (!tsc_is_clock()) return answer(env, fd);

  uint64_t tsc;
  int64_t now;
  do {
    read_pair(&tsc, &now);
  } while (now - first_ns < 2000000);
  publish(tsc, (uint64_t)(now - start_ns), slope(tsc, now), offset);
  sync_distance_ns = 5000000; /* soon again: the first slope is a rough one */
  next_sync_tsc = tsc + (uint64_t)(((unsigned __int128)sync_distance_ns << 32) / page->multiplier);
  page->usable = 1;
  return answer(env, fd);
}

static uint64_t monotonic(void) {
  if (page->usable == 0) return (uint64_t)(host_ns(CLOCK_MONOTONIC) - start_ns);
  uint64_t tsc = params_rdtsc();
  if (tsc > next_sync_tsc) {
    sync_clock();
    tsc = params_rdtsc();
  }
  return params_ns(page->base_ns, page->base_tsc, page->multiplier, tsc);
}

/* copyClock(page: ArrayBuffer, offset): the parameters are there as well from now on. */
static napi_value CopyClock(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span to = arg_span(env, argv[0]);
  size_t offset = (size_t)arg_i64(env, argv[1]);
  if (page == NULL || offset % 8 != 0 || offset + sizeof *copy > to.length) {
    return answer(env, -EINVAL);
  }
  copy = (struct clock_params *)(to.data + offset);
  publish_in(copy, page->base_tsc, page->base_ns, page->multiplier, page->realtime_offset_ns);
  copy->usable = page->usable;
  return answer(env, 0);
}

/* monotonicNs() */
static napi_value MonotonicNs(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value out = NULL;
  napi_create_double(env, page == NULL ? 0 : (double)monotonic(), &out);
  return out;
}

/* realtime(out: Float64Array(2)): seconds, nanoseconds. */
static napi_value Realtime(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span out = arg_span(env, argv[0]);
  if (page == NULL || out.length < 16) return answer(env, -EINVAL);
  uint64_t now = monotonic(); /* before the offset is read: it may bring that up to date */
  if (page->usable == 0) {
    now = (uint64_t)host_ns(CLOCK_REALTIME);
  } else {
    now += page->realtime_offset_ns;
  }
  double parts[2] = {(double)(now / NS_PER_SEC), (double)(now % NS_PER_SEC)};
  memcpy(out.data, parts, sizeof parts);
  return answer(env, 0);
}

/*
 * clockOrigin(out: Float64Array(4)): the host's monotonic clock and boot time when the sandbox's
 * clock was 0, as seconds and nanoseconds.
 */
static napi_value ClockOrigin(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span out = arg_span(env, argv[0]);
  int64_t boot = host_ns(CLOCK_BOOTTIME) - host_ns(CLOCK_MONOTONIC) + start_ns;
  double parts[4] = {(double)(start_ns / NS_PER_SEC), (double)(start_ns % NS_PER_SEC),
                     (double)(boot / NS_PER_SEC), (double)(boot % NS_PER_SEC)};
  if (out.length < sizeof parts) return answer(env, -EINVAL);
  memcpy(out.data, parts, sizeof parts);
  return answer(env, 0);
}

extern const uint8_t vdso_image[], vdso_image_end[];
__asm__(
    ".pushsection .rodata\n"
    ".balign 16\n"
    "vdso_image: .incbin \"" VDSO_IMAGE
    "\"\n"
    "vdso_image_end:\n"
    ".popsection\n");

/* Where the image has its offsets. */
static off_t offsets_place(void) {
  static const char mark[] = VDSO_OFFSETS_MARK;
  const uint8_t *at = memmem(vdso_image, (size_t)(vdso_image_end - vdso_image), mark, sizeof mark);
  return at == NULL ? -1 : at - vdso_image;
}

/*
 * vdsoCode(offsets: Float64Array(4)) -> sealed memfd with the vDSO, an ELF shared object. Seconds
 * and nanoseconds that it adds to the monotonic clock and to the boot time.
 */
static napi_value VdsoCode(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span from = arg_span(env, argv[0]);
  double parts[4];
  off_t place = offsets_place();
  if (from.length < sizeof parts || place < 0) return answer(env, -EINVAL);
  memcpy(parts, from.data, sizeof parts);
  struct vdso_offsets offsets = {VDSO_OFFSETS_MARK,
                                 {(int64_t)parts[0], (int64_t)parts[1]},
                                 {(int64_t)parts[2], (int64_t)parts[3]}};
  int fd = memfd_create("vdso", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return answer(env, -errno);
  size_t bytes = (size_t)(vdso_image_end - vdso_image);
  if (ftruncate(fd, (off_t)((bytes + 4095) & ~4095UL)) < 0 ||
      pwrite(fd, vdso_image, bytes, 0) != (ssize_t)bytes ||
      pwrite(fd, &offsets, sizeof offsets, place) != (ssize_t)sizeof offsets ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
    long error = errno == 0 ? -EIO : -errno;
    close(fd);
    return answer(env, error);
  }
  return answer(env, fd);
}

/* vdsoBytes() */
static napi_value VdsoBytes(napi_env env, napi_callback_info info) {
  (void)info;
  return answer(env, vdso_image_end - vdso_image);
}

const struct addon_function clock_functions[] = {
    {"startClock", StartClock},   {"copyClock", CopyClock},
    {"monotonicNs", MonotonicNs}, {"realtime", Realtime},
    {"vdsoCode", VdsoCode},       {"vdsoBytes", VdsoBytes},
    {"clockOrigin", ClockOrigin}, {NULL, NULL},
};

// SPDX-License-Identifier: Apache-2.0
// A guest that forges the data window (native/stub/window.h): where it lies, how much it holds, what
// may be written, and what stands in it while the Sentry reads. It lies to itself; nobody else's
// memory is read or written, and the Sentry takes no harm.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "hostile.h"

#define KIND_WORD 1
#define CALL_WORD 2
#define WINDOW_WORD 540
#define WINDOW_DATA 548
#define EVENT_WINDOW 16
#define ATTEMPTS 16

static const char *const secrets[] = {"/etc/passwd", "/proc/self/status"};

static void *make_calls(void *unused) {
  char text[4096], path[300];
  struct stat status;
  (void)unused;
  int file = open("/etc/passwd", O_RDONLY), own = open("/proc/self/mem", O_RDWR), pair[2];
  (void)!pipe(pair);
  for (;;) {
    snprintf(path, sizeof path, "%s", secrets[random_below(2)]);
    switch (random_below(8)) {
      case 0:
        stat(path, &status);
        break;
      case 1:
        (void)!pread(file, text, random_below(5000), 0);
        break;
      case 2:
        close(open(path, O_RDONLY));
        break;
      case 3:
        (void)!write(pair[1], text, 100);
        (void)!read(pair[0], text, 100);
        break;
      case 4:
        (void)!readlink("/proc/self/exe", text, sizeof text);
        break;
      case 5:
        (void)!pread(own, text, 64, (long)random64());
        break;
      case 6:
        (void)!pwrite(own, text, 64, (long)random64());
        break;
      default:
        (void)!syscall(SYS_getdents64, file, text, sizeof text);
    }
  }
  return NULL;
}

static uint32_t odd_word(void) {
  static const uint32_t odd[] = {0, 1, 256, 4096, 4097, 6000, 0x7fffffff, 0x80000000, 0xffffffff};
  return random_below(3) == 0 ? (uint32_t)random64() : odd[random_below(9)];
}

/* Places that one would like to read or write: the stub, other mailboxes, the kernel's half. */
static uint64_t odd_place(const struct stub *stub) {
  const uint64_t places[] = {
      stub->base,           stub->base + 0x10000, stub->base + 0x11000, (uint64_t)stub->mailbox,
      0xffffffff81000000UL, 0x7fffffffffffUL,     (uint64_t)&secrets,   random64()};
  return places[random_below(8)];
}

static void forge_windows(int seed) {
  const struct stub *stub = find_stub();
  pthread_t thread;
  seed_random((uint64_t)seed + 3);
  for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, make_calls, NULL);
  sleep_ms(5);
  for (;;) {
    volatile uint32_t *slot = stub->mailbox + (1 + random_below(4)) * (SLOT_BYTES / 4);
    uint64_t place = odd_place(stub);
    uint32_t which = (uint32_t)random_below(2) * 2;
    switch ((unsigned)seed % 4) {
      case 0:
        slot[WINDOW_WORD + 4 + random_below(2)] = odd_word();
        break;
      case 1:
        slot[WINDOW_WORD + which] = (uint32_t)place;
        slot[WINDOW_WORD + which + 1] = (uint32_t)(place >> 32);
        slot[WINDOW_WORD + 4 + random_below(2)] = odd_word();
        break;
      case 2:
        slot[WINDOW_DATA + random_below(1500)] = (uint32_t)random64();
        break;
      default:
        slot[KIND_WORD] = (random_below(2) == 0 ? 1 : 8) + EVENT_WINDOW;
        slot[CALL_WORD + random_below(14)] = odd_word();
        slot[WINDOW_WORD + random_below(6)] = odd_word();
    }
  }
}

TEST(forged_windows) {
  if (find_stub() == NULL) _exit(CHECK_SKIPPED);
  for (int seed = 0; seed < ATTEMPTS; seed++) run_attack(forge_windows, seed, 200);
  check_well();
}

/* Orders that the Sentry never gave: the stub copies within its own process only. */
static void forge_orders(int seed) {
  const struct stub *stub = find_stub();
  pthread_t thread;
  seed_random((uint64_t)seed + 9);
  for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, make_calls, NULL);
  sleep_ms(5);
  for (;;) {
    volatile uint32_t *slot = stub->mailbox + (1 + random_below(4)) * (SLOT_BYTES / 4);
    uint64_t place = odd_place(stub);
    slot[WINDOW_WORD + 2] = (uint32_t)place;
    slot[WINDOW_WORD + 3] = (uint32_t)(place >> 32);
    slot[WINDOW_WORD + 5] = odd_word();
    slot[KIND_WORD] = 256 | 1;
    if (random_below(50) == 0) slot[0] = 2;
  }
}

TEST(forged_orders_to_copy) {
  if (find_stub() == NULL) _exit(CHECK_SKIPPED);
  for (int seed = 0; seed < ATTEMPTS; seed++) run_attack(forge_orders, seed, 150);
  check_well();
}

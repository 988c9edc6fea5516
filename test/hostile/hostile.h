/* SPDX-License-Identifier: Apache-2.0 */
// What the attacks share: a deterministic random source, victims, the hunt for the stub, and the question
// whether the sandbox is still well. Built on the frame of test/guest/check.h: each TEST is a process of
// its own, so what an attack ruins must be its own process only.
#ifndef TEST_HOSTILE_HOSTILE_H_
#define TEST_HOSTILE_HOSTILE_H_

#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "../guest/check.h"

// ---- random numbers (xorshift64*) ----

__attribute__((unused)) static __thread uint64_t random_state = 88172645463325252ULL;

__attribute__((unused)) static void seed_random(uint64_t seed) {
  random_state = seed * 2685821657736338717ULL + 88172645463325252ULL;
}

__attribute__((unused)) static uint64_t random64(void) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * 2685821657736338717ULL;
}

__attribute__((unused)) static uint64_t random_below(uint64_t bound) {
  return (random64() >> 16) % bound;
}

// ---- is the sandbox well? ----

// A fresh process runs a program; files, pipes and memory do what they should.
__attribute__((unused)) static void check_well(void) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    execl("/bin/true", "true", NULL);
    _exit(1);
  }
  CHECK_EXIT(pid, 0);
  char name[64], text[32];
  snprintf(name, sizeof name, "/tmp/well-%d", getpid());
  put_file(name, "still here");
  CHECK_STR(get_file(name), "still here");
  OK(unlink(name));
  int ends[2];
  OK(pipe(ends));
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(read(ends[0], text, sizeof text), 1);
  close(ends[0]);
  close(ends[1]);
  char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  *page = 1;
  OK(munmap(page, 4096));
}

// Runs `attack` in a process of its own and gives it `ms`; then it is killed. Its wait status.
__attribute__((unused)) static int run_attack(void (*attack)(int), int argument, int ms) {
  fflush(stdout);
  pid_t pid = OK(fork());
  if (pid == 0) {
    setpgid(0, 0);
    attack(argument);
    _exit(0);
  }
  int status = 0;
  long long deadline = now_ns() + ms * 1000000LL;
  for (;;) {
    pid_t got = OK(waitpid(pid, &status, WNOHANG));
    if (got == pid) break;
    if (now_ns() > deadline) {
      kill(pid, SIGKILL);
      CHECK_EQ(waitpid(pid, &status, 0), pid);
      break;
    }
    sleep_ms(2);
  }
  kill(-pid, SIGKILL);
  return status;
}

// ---- the hunt for the stub ----

#define GUEST_TOP 0x7fc000000000UL
#define STUB_TOP 0x7ffb00000000UL
#define MAILBOX_OFFSET 0x100000UL
#define MAILBOX_BYTES 0x2000000UL
#define AREAS_OFFSET 0x2200000UL
#define STUB_TEXT 0x10000UL
#define SLOT_BYTES 8192UL

static sigjmp_buf probe_jump;
__attribute__((unused)) static void probe_fault(int signal) {
  (void)signal;
  siglongjmp(probe_jump, 1);
}

static int can_read(uintptr_t addr) {
  if (sigsetjmp(probe_jump, 1) != 0) return 0;
  (void)*(volatile char *)addr;
  return 1;
}

typedef long stub_call(long nr, long a0, long a1, long a2, long a3, long a4, long a5);

struct stub {
  uintptr_t base;
  stub_call *call;     // the stub's own syscall instruction, as a function
  uintptr_t restorer;  // its rt_sigreturn
  volatile uint32_t *mailbox;
};

// Finds the stub by reading where nothing of the guest's can be; NULL natively.
__attribute__((unused)) static const struct stub *find_stub(void) {
  static struct stub stub;
  if (stub.base != 0) return &stub;
  struct sigaction fault = {.sa_handler = probe_fault}, old[2];
  sigaction(SIGSEGV, &fault, &old[0]);
  sigaction(SIGBUS, &fault, &old[1]);
  uintptr_t hit = 0;
  for (uintptr_t at = GUEST_TOP; at < STUB_TOP + 2 * MAILBOX_BYTES; at += MAILBOX_BYTES) {
    if (can_read(at)) {
      hit = at;
      break;
    }
  }
  if (hit != 0) {
    while (can_read(hit - 0x10000)) hit -= 0x10000;
    uintptr_t base = hit - MAILBOX_OFFSET;
    if (can_read(base) && memcmp((void *)base, "runtstub", 8) == 0) {
      const unsigned char *text = (void *)base;
      static const unsigned char head[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6};
      uint32_t restorer;
      memcpy(&restorer, text + 16, sizeof restorer);
      for (size_t i = 0; i < 4096; i++) {
        if (memcmp(text + i, head, sizeof head) == 0) stub.call = (stub_call *)(base + i);
      }
      stub.restorer = base + restorer;
      stub.mailbox = (void *)(base + MAILBOX_OFFSET);
      stub.base = base;
    }
  }
  sigaction(SIGSEGV, &old[0], NULL);
  sigaction(SIGBUS, &old[1], NULL);
  return stub.base != 0 && stub.call != NULL ? &stub : NULL;
}

#endif  // TEST_HOSTILE_HOSTILE_H_

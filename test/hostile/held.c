// SPDX-License-Identifier: Apache-2.0
/*
 * Guests that want the lock of their address space held for long, or memory of the host's kernel
 * (held.test.ts):
 *
 *   held populate GIB   touches GIB of zeros by one call through the stub, while a second thread wants
 *                       the lock for writing and a third has the Sentry read this process's memory
 *   held mappings N     starts N processes that each make, through the stub, as many mappings as the
 *                       host allows
 *   held sparse GIB     touches one page of zeros in each 2 MiB, which takes page tables and no other
 *                       memory
 */
#define main check_main
#include "hostile.h"
#undef main

static const struct stub *stub;
static long bytes;

static void *populate(void *unused) {
  stub->call(SYS_mmap, 0, bytes, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE, -1, 0);
  return unused;
}

static void *write_lock(void *unused) {
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (;;) stub->call(SYS_mprotect, (long)page, 4096, 1 + (random() & 2), 0, 0, 0);
  return unused;
}

static void *have_memory_read(void *unused) {
  struct stat status;
  for (;;) stat("/tmp", &status);
  return unused;
}

static void run_populate(void) {
  pthread_t threads[3];
  stub = find_stub();
  if (stub == NULL) exit(CHECK_SKIPPED);
  OK(pthread_create(&threads[0], NULL, write_lock, NULL));
  OK(pthread_create(&threads[1], NULL, have_memory_read, NULL));
  sleep_ms(100);
  OK(pthread_create(&threads[2], NULL, populate, NULL));
  pthread_join(threads[2], NULL);
}

static void run_sparse(void) {
  char *start = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(start != MAP_FAILED);
  OK(madvise(start, bytes, MADV_NOHUGEPAGE));
  for (long at = 0; at < bytes; at += 2 << 20) (void)*(volatile char *)(start + at);
}

// No two of them next to each other, and a page in each: nothing of what the host's kernel keeps
// can be shared.
static void make_mappings(void) {
  const long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  for (long i = 0; i < 65000; i++) {
    long at = stub->call(SYS_mmap, 0x600000000000 + i * 8192, 4096, PROT_READ, flags, -1, 0);
    if (at < 0 && at >= -4095) break;
  }
}

static void run_mappings(long processes) {
  stub = find_stub();
  if (stub == NULL) exit(CHECK_SKIPPED);
  for (long i = 0; i < processes; i++) {
    pid_t pid = OK(fork());
    if (pid == 0) {
      make_mappings();
      for (;;) pause();
    }
  }
  int status;
  CHECK(wait(&status) > 0);
  printf("%s\n", WIFSIGNALED(status) ? "killed" : "ended");
  exit(0);
}

int main(int count, char **words) {
  if (count != 3) return 2;
  bytes = atol(words[2]) << 30;
  if (strcmp(words[1], "populate") == 0) {
    run_populate();
  } else if (strcmp(words[1], "mappings") == 0) {
    run_mappings(atol(words[2]));
  } else {
    run_sparse();
  }
  printf("done\n");
  return 0;
}

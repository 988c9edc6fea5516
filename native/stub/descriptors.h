/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that the Sentry passes to this process: any thread receives them, and keeps those of
 * others for them.
 */
#ifndef RUNTS_STUB_DESCRIPTORS_H
#define RUNTS_STUB_DESCRIPTORS_H

#include "stub/places.h"

enum { MSG_DONTWAIT = 0x40 };

static void lock_process(struct process_page *page) {
  uint32_t seen = 0;
  if (__atomic_compare_exchange_n(&page->lock, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
    return;
  }
  while (__atomic_exchange_n(&page->lock, 2, __ATOMIC_ACQUIRE) != 0) {
    futex(&page->lock, FUTEX_WAIT | FUTEX_PRIVATE, 2);
  }
}

static void unlock_process(struct process_page *page) {
  if (__atomic_exchange_n(&page->lock, 0, __ATOMIC_RELEASE) == 2) {
    futex(&page->lock, FUTEX_WAKE | FUTEX_PRIVATE, 1);
  }
}

static void close_fd(long fd) { stub_syscall(SYS_close, fd, 0, 0, 0, 0, 0); }

struct message_header {
  void *name;
  uint64_t name_bytes;
  struct {
    void *data;
    uint64_t bytes;
  } * parts;
  uint64_t part_count;
  void *control;
  uint64_t control_bytes;
  uint64_t flags;
};

/* Receives one message into the stash. 0 or -errno. */
static long receive_one(struct process_page *page) {
  struct passed_message body = {0, 0};
  struct {
    uint64_t bytes;
    int32_t level;
    int32_t type;
    int32_t fds[2];
    uint64_t spare;
  } control = {0};
  struct {
    void *data;
    uint64_t bytes;
  } part = {&body, sizeof body};
  struct message_header header = {0};
  header.parts = (void *)&part;
  header.part_count = 1;
  header.control = &control;
  header.control_bytes = 24; /* CMSG_SPACE(2 * sizeof(int)) */

  long got = stub_syscall(SYS_recvmsg, page->control_fd, (long)&header, MSG_DONTWAIT, 0, 0, 0);
  if (got < 0) return got;
  uint64_t count = control.bytes >= 16 ? (control.bytes - 16) / 4 : 0;
  if (got != sizeof body || count != body.count || count == 0) return -EIO;
  for (int i = 0; i < STASH_ENTRIES; i++) {
    struct stashed *entry = &page->stash[i];
    if (entry->count != 0) continue;
    entry->id = body.id;
    entry->count = (uint32_t)count;
    entry->fds[0] = control.fds[0];
    entry->fds[1] = control.fds[1];
    return 0;
  }
  for (uint64_t i = 0; i < count; i++) close_fd(control.fds[i]);
  return -EIO;
}

/* The descriptors of message `id`, which the Sentry has sent before it gave the order. 0 or -errno. */
static long take_descriptors(uint32_t id, int32_t fds[2]) {
  struct process_page *page = process();
  long result = 0;
  lock_process(page);
  while (result == 0) {
    for (int i = 0; i < STASH_ENTRIES; i++) {
      struct stashed *entry = &page->stash[i];
      if (entry->count == 0 || entry->id != id) continue;
      fds[0] = entry->fds[0];
      fds[1] = entry->fds[1];
      entry->count = 0;
      __atomic_fetch_add(&page->holders, 1, __ATOMIC_RELAXED);
      unlock_process(page);
      return 0;
    }
    result = receive_one(page);
  }
  unlock_process(page);
  return result;
}

static void release_descriptors(void) {
  struct process_page *page = process();
  __atomic_fetch_add(&page->releases, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_sub(&page->holders, 1, __ATOMIC_SEQ_CST);
}

#endif

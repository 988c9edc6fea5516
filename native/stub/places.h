/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything is in the stub's range, the calls that it makes, and what all of its parts use.
 */
#ifndef RUNTS_STUB_PLACES_H
#define RUNTS_STUB_PLACES_H

#include "stub/mailbox.h"
#include "stub/memory.h"

#define HIDDEN __attribute__((visibility("hidden")))

enum {
  SYS_write = 1,
  SYS_close = 3,
  SYS_recvmsg = 47,
  SYS_clone = 56,
  SYS_exit = 60,
  SYS_prctl = 157,
  SYS_futex = 202,
  SYS_clock_gettime = 228,
  SYS_seccomp = 317,
};
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_PRIVATE = 128 };

#define STASH_ENTRIES 32

/* Descriptors received for somebody: messages may arrive at another thread than the one they are for. */
struct stashed {
  uint32_t id;
  uint32_t count;
  int32_t fds[2];
};

/* One private page of the process. */
struct process_page {
  uint32_t lock; /* 0 free, 1 held, 2 held and waited for */
  int32_t control_fd;
  uint32_t holders;   /* threads that hold passed descriptors now */
  uint32_t releases;  /* how often one had held some */
  uint32_t has_table; /* of patched calls */
  uint32_t dozing; /* threads that wait on the host for a futex of the guest's, or are about to */
  uint32_t patch_prot;
  uint64_t patch_lock;
  uint64_t patching; /* the site that a thread is rewriting while others may run there */
  uint8_t unpatched[SITE_BYTES + 1]; /* as it was */
  struct stashed stash[STASH_ENTRIES];
};

extern HIDDEN char stub_base[], stub_thread_entry[], stub_boot_trap[], stub_copy_insn[],
    stub_copy_fault[], stub_touch_read_insn[], stub_touch_write_insn[], stub_touch_fault[],
    stub_call_exit[], stub_call_exit_end[], stub_call_trap[], stub_load_insn[], stub_load_fault[],
    stub_doze_start[], stub_doze_end[], stub_doze_interrupted[];

static struct global_page *global(void) { return (void *)(stub_base + STUB_GLOBAL_OFFSET); }
static struct process_page *process(void) { return (void *)(stub_base + STUB_PROCESS_OFFSET); }

static uint64_t area_of(uint64_t index) {
  return (uint64_t)stub_base + STUB_AREAS_OFFSET + index * STUB_AREA_BYTES;
}

static struct slot *slot_at(uint64_t index) {
  return (struct slot *)(stub_base + STUB_MAILBOX_OFFSET) + index;
}

/* The slot of the thread whose stack this is. */
static struct slot *own_slot(void) {
  uint64_t here = (uint64_t)__builtin_frame_address(0);
  return slot_at((here - area_of(0)) / STUB_AREA_BYTES);
}

static long futex(uint32_t *word, long operation, uint32_t value) {
  return stub_syscall(SYS_futex, (long)word, operation, value, 0, 0, 0);
}

#endif

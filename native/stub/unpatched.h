/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that met a thread in patched code, as they would be without patches. */
#ifndef RUNTS_STUB_UNPATCHED_H
#define RUNTS_STUB_UNPATCHED_H

#include "stub/frame.h"
#include "stub/patch.h"
#include "stub/places.h"

/*
 * A trap of the rewriting's own: somebody came to the breakpoint that stands at a site for a moment,
 * or stood behind it. He tries again.
 */
static int on_own_trap(int number, struct frame *frame) {
  struct table_entry entry;
  uint64_t ip = frame->gregs[GREG_RIP];
  uint64_t patching = __atomic_load_n(&process()->patching, __ATOMIC_SEQ_CST);
  if (number == SIGILL) return patching != 0 && ip == patching + 5;
  if (number != SIGTRAP || process()->has_table == 0) return 0;
  if (ip != patching + 1 && patched_entry(ip - 1, &entry) == 0) return 0;
  frame->gregs[GREG_RIP] = ip - 1;
  return 1;
}

/* Where a thread that a signal met in the table stands as far as the guest knows. */
static void leave_table(int number, struct frame *frame) {
  uint64_t ip = frame->gregs[GREG_RIP];
  const struct table_entry *entry = table_entry_at(ip);
  uint64_t at = ip & (TABLE_ENTRY_BYTES - 1);
  uint64_t middle = entry->middle;
  uint64_t site = site_of(entry);
  if (number == SIGSYS) {
    frame->gregs[GREG_RIP] = entry->after;
    frame->gregs[GREG_RCX] = entry->after;
  } else if (middle == 0 || at <= ENTRY_ENTER) {
    frame->gregs[GREG_RIP] = site;
  } else if (at >= ENTRY_SLOW - middle && at < ENTRY_SLOW) {
    frame->gregs[GREG_RIP] = site + 5;
  } else {
    /* The middle is done: before the syscall instruction, which is there. */
    frame->gregs[GREG_RIP] = entry->after - 2;
    if (at < ENTRY_SLOW) frame->gregs[GREG_RAX] = entry->number;
  }
}

/*
 * A signal in the table happened at the site, as far as the guest knows. After the mov of a patched
 * site the call is made with the registers as they are: somebody jumped there, or restarts a call.
 * Returns the signal as it would be without patches; 0: it was none.
 */
static int as_unpatched(int number, struct frame *frame) {
  struct table_entry entry;
  uint64_t ip = frame->gregs[GREG_RIP];
  if (process()->has_table == 0) return number;
  if (number == SIGILL) {
    uint64_t place = patched_entry(ip - 5, &entry);
    if (place != 0 && entry.middle != 0) {
      frame->gregs[GREG_RIP] =
          table_entry_at(place)->code + ENTRY_SLOW - ENTRY_ENTER - entry.middle;
      return 0;
    }
    if (place != 0) {
      frame->gregs[GREG_RIP] = entry.after;
      frame->gregs[GREG_RCX] = entry.after;
      return SIGSYS;
    }
  }
  if (ip - TABLE_START < TABLE_BYTES) leave_table(number, frame);
  return number;
}

#endif

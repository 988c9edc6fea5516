/* SPDX-License-Identifier: Apache-2.0 */
/* Calls whose answers the Sentry may leave in the slot: of stub and tracer alike. */
#ifndef RUNTS_STUB_KEPT_H
#define RUNTS_STUB_KEPT_H

#include "stub/mailbox.h"

/* The place in slot->answers of a call that the Sentry may have answered for good; -1: none. */
static int kept_place(uint64_t number) {
  switch (number) {
    case 39:
      return KEPT_GETPID;
    case 186:
      return KEPT_GETTID;
    case 102:
      return KEPT_GETUID;
    case 107:
      return KEPT_GETEUID;
    case 104:
      return KEPT_GETGID;
    case 108:
      return KEPT_GETEGID;
    default:
      return -1;
  }
}

#endif

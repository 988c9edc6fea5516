/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a first guest process that do not depend on what stops its guest code. */
#ifndef RUNTS_ZYGOTE_H
#define RUNTS_ZYGOTE_H

#include "stub/mailbox.h"

#define INTERNAL __attribute__((visibility("hidden")))
#define FILTER_INSTRUCTION_BYTES 8UL

/* Reasons to give up, as exit codes. */
enum failure {
  FAIL_MESSAGE = 10,
  FAIL_MAP = 11,
  FAIL_SIGNALS = 12,
  FAIL_LIMITS = 13,
  FAIL_DESCRIPTORS = 14,
  FAIL_TRACE = ZYGOTE_CANNOT_TRACE,
  FAIL_THREAD = 16,
};

INTERNAL void need(int ok, enum failure why);
/* fd -1: private anonymous memory, else the shared file. Where something is, it fails. */
INTERNAL void map_fixed(uint64_t place, uint64_t bytes, int prot, int fd);
/* No later change of the mappings there, where the kernel can see to that. */
INTERNAL void seal(uint64_t place, uint64_t bytes);
/* Closes all descriptors from `first` on. */
INTERNAL void close_from(int first);
/* A guest process has few descriptors; the tracer has as many as it may. */
INTERNAL void limit_descriptors(void);
INTERNAL void raise_descriptors(void);
/* No new rights, no core; the Sentry and the tracer may look in. */
INTERNAL void limit_rights(void);
/* All signals that the processor raises, SIGURG and SIGSYS; `stack`: of the handler, 0: the guest's. */
INTERNAL void install_handlers(uint64_t handler, uint64_t restorer, uint64_t stack);

#endif

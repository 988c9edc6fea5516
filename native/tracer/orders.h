/* SPDX-License-Identifier: Apache-2.0 */
/* Memory operations and whatever else comes with an answer of the Sentry's, as native/stub does it. */
#ifndef RUNTS_TRACER_ORDERS_H
#define RUNTS_TRACER_ORDERS_H

#include "tracer/clones.h"

/* struct prctl_mm_map: include/uapi/linux/prctl.h. */
struct host_layout {
  uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
  uint64_t arg_start, arg_end, env_start, env_end;
  uint64_t auxv;
  uint32_t auxv_bytes;
  uint32_t exe_fd;
};
_Static_assert(sizeof(struct host_layout) == 104, "struct prctl_mm_map");

static long map_file(struct tracee *t, const struct operation *op) {
  struct process *process = t->process;
  int32_t fds[2];
  lock(&process->lock);
  long result = take_descriptors(process, op->message_id, fds);
  if (result == 0) {
    result = give(t, fds[0]);
    close_here(fds[0]);
    if (result == 0) {
      result = map_memory(op, given_number(process));
      take_back(process);
    }
  }
  unlock(&process->lock);
  return result;
}

static long cpu_time(struct tracee *t) {
  enum { CLOCK_THREAD_CPUTIME_ID = 3 };
  uint64_t time[2] = {0, 0};
  stub_syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)scratch(t), 0, 0, 0, 0);
  read_guest(t, scratch(t), time, sizeof time);
  t->slot->cpu_ns = time[0] * 1000000000UL + time[1];
  return 0;
}

/* What the host's ps(1) shows; a host that refuses shows the name alone. */
static long show_arguments(struct tracee *t, const struct operation *op) {
  enum { PR_SET_MM = 35, PR_SET_MM_MAP = 14 };
  uint64_t base = tracer.base;
  struct host_layout layout = {.start_code = base,
                               .end_code = base + 4096,
                               .start_data = base,
                               .end_data = base,
                               .start_brk = base,
                               .brk = base,
                               .start_stack = base,
                               .arg_start = op->addr,
                               .arg_end = op->length,
                               .env_start = op->extra0,
                               .env_end = op->extra1,
                               .exe_fd = ~0U};
  if (write_guest(t, scratch(t), &layout, sizeof layout) < 0) return 0;
  stub_syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)scratch(t), sizeof layout, 0, 0);
  return 0;
}

static long show_name(struct tracee *t, const struct operation *op) {
  enum { PR_SET_NAME = 15 };
  const uint64_t name[2] = {op->extra0, op->extra1 & ~0UL >> 8};
  if (write_guest(t, scratch(t), name, sizeof name) < 0) return 0;
  stub_syscall(SYS_prctl, PR_SET_NAME, (long)scratch(t), 0, 0, 0, 0);
  return 0;
}

static long run_operation(struct tracee *t, const struct operation *op) {
  switch (op->kind) {
    case OP_MAP_ANONYMOUS:
      return map_memory(op, -1);
    case OP_MAP_FILE:
      return map_file(t, op);
    case OP_UNMAP:
      return in_pieces(SYS_munmap, op->addr, op->length, 0);
    case OP_PROTECT:
      return in_pieces(SYS_mprotect, op->addr, op->length, op->prot);
    case OP_REMAP:
      return remap_memory(op);
    case OP_ADVISE:
      return advise_memory(op);
    case OP_SAVE_FP:
      return save_fp(t, op->addr);
    case OP_LOAD_FP:
      return load_fp(t, op->addr);
    case OP_CPU_TIME:
      return cpu_time(t);
    case OP_SHOW_ARGUMENTS:
      return show_arguments(t, op);
    case OP_SHOW_NAME:
      return show_name(t, op);
    default:
      return -EINVAL;
  }
}

/* Stops at the first failure: -errno, and its index in the slot. */
static long run_operations(struct tracee *t) {
  struct slot *slot = t->slot;
  uint32_t count = slot->op_count;
  if (count > SLOT_OPERATIONS) return -EINVAL;
  for (uint32_t i = 0; i < count; i++) {
    struct operation op = slot->ops[i];
    long result = run_operation(t, &op);
    if (is_error(result)) {
      slot->op_index = i;
      return result;
    }
  }
  return 0;
}

#endif

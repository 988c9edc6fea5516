/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New guest processes and threads: a clone(2) in a guest thread, and a thread here that takes the
 * child over. The child sleeps in the page of tracee.S until then, without having been near guest
 * code; no other clone is ever carried out, so nobody has to be asked or found.
 */
#ifndef RUNTS_TRACER_CLONES_H
#define RUNTS_TRACER_CLONES_H

#include "tracer/descriptors.h"
#include "tracer/state.h"

/* CLONE_PARENT|SIGCHLD: its parent is this process, as everybody's. */
#define CLONE_PROCESS_FLAGS 0x8011L
/* CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM. */
#define CLONE_THREAD_FLAGS 0x50f00L
/* The same and SETTLS: threads of this process. */
#define CLONE_TRACER_FLAGS 0xd0f00L
/* One block a thread: the struct, its floating point state, its stack. */
#define BLOCK_BYTES 0x10000UL
#define XSTATE_OFFSET 0x400UL
_Static_assert(sizeof(struct tracee) <= XSTATE_OFFSET, "a block's parts");

static void *map_here(uint64_t bytes, long flags, int fd) {
  long at = host(SYS_mmap, 0, (long)bytes, PROT_READ_WRITE, flags, fd, 0);
  return is_error(at) ? 0 : (void *)at;
}

static struct tracee *new_tracee(struct process *process, uint32_t index) {
  uint8_t *block = map_here(BLOCK_BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (block == 0) return 0;
  struct tracee *t = (struct tracee *)block;
  t->self = t;
  t->process = process;
  t->index = index;
  t->slot = process->mailbox + index;
  t->xstate = block + XSTATE_OFFSET;
  return t;
}

static struct process *new_process(int32_t control_fd, int mailbox_fd) {
  struct process *process = map_here(sizeof *process, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (process == 0) return 0;
  process->mailbox = map_here(STUB_MAILBOX_BYTES, MAP_SHARED, mailbox_fd);
  process->control_fd = control_fd;
  process->socket = -1;
  return process;
}

static void free_process(struct process *process) {
  if (process->mailbox != 0) {
    host(SYS_munmap, (long)process->mailbox, STUB_MAILBOX_BYTES, 0, 0, 0, 0);
  }
  for (int i = 0; i < STASH_ENTRIES; i++) {
    for (uint32_t k = 0; k < process->stash[i].count; k++) close_here(process->stash[i].fds[k]);
  }
  close_here(process->control_fd);
  if (process->socket >= 0) close_here(process->socket);
  host(SYS_munmap, (long)process, sizeof *process, 0, 0, 0, 0);
}

static void enlist(struct tracee *t) {
  lock(&tracer.lock);
  t->next = tracer.tracees;
  tracer.tracees = t;
  t->process->threads++;
  unlock(&tracer.lock);
}

/* Whether `t` was the last of its process. */
static int delist(struct tracee *t) {
  lock(&tracer.lock);
  struct tracee **place = &tracer.tracees;
  while (*place != t) place = &(*place)->next;
  *place = t->next;
  int was_last = --t->process->threads == 0;
  unlock(&tracer.lock);
  return was_last;
}

extern HIDDEN long tracer_clone(long flags, void *stack, void *argument, void (*entry)(void *));
static void trace_child(void *tracee);

/* Starts the thread that takes over child `tid`, a copy of `creator`. 0 or -errno. */
static long take_over(struct tracee *t, int32_t tid, const struct tracee *creator) {
  t->tid = tid;
  t->regs = creator->regs;
  enlist(t);
  void *stack = (uint8_t *)t + BLOCK_BYTES;
  long result = tracer_clone(CLONE_TRACER_FLAGS, stack, t, trace_child);
  if (!is_error(result)) return 0;
  delist(t);
  return result;
}

static void drop_block(struct tracee *t) { host(SYS_munmap, (long)t, BLOCK_BYTES, 0, 0, 0, 0); }

/* A child for which there is no thread here. It has not run any guest code. */
static void end_child(int32_t tid, int is_process) {
  if (!is_process) return; /* the Sentry ends the process */
  host(SYS_kill, tid, SIGKILL, 0, 0, 0, 0);
  host(SYS_wait4, tid, 0, WAIT_ALL, 0, 0, 0);
}

static long clone_in(struct tracee *t, long flags) {
  const long args[6] = {flags, 0, 0, 0, 0, 0};
  return inject_at(t, tracer.page.clone, SYS_clone, args);
}

/* The two ends of a socket: ours and that of the child, which its creator has for a moment. */
static long clone_with_socket(struct tracee *t, struct process *child) {
  enum { AF_UNIX = 1, SOCK_SEQPACKET = 5 };
  int32_t pair[2];
  long result = host(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET, 0, (long)pair, 0, 0);
  if (result < 0) return result;
  child->socket = pair[0];
  child->socket_number = given_number(t->process);
  result = give(t, pair[1]);
  close_here(pair[1]);
  if (result < 0) return result;
  result = clone_in(t, CLONE_PROCESS_FLAGS);
  take_back(t->process);
  return result;
}

static long clone_process_locked(struct tracee *t) {
  int32_t fds[2];
  long result = take_descriptors(t->process, t->slot->message_id, fds);
  if (result < 0) return result;
  struct process *child = new_process(fds[0], fds[1]);
  close_here(fds[1]);
  if (child == 0) {
    close_here(fds[0]);
    return -ENOMEM;
  }
  struct tracee *first = child->mailbox == 0 ? 0 : new_tracee(child, t->index);
  result = first == 0 ? -ENOMEM : clone_with_socket(t, child);
  if (result > 0) {
    memcpy(child->areas, t->process->areas, sizeof child->areas);
    child->pid = (int32_t)result;
    first->is_forked = 1;
    long started = take_over(first, child->pid, t);
    if (started == 0) return result;
    end_child(child->pid, 1);
    result = started;
  }
  if (first != 0) drop_block(first);
  free_process(child);
  return result;
}

static long map_area(struct tracee *t, uint32_t index) {
  uint8_t *byte = &t->process->areas[index / 8];
  uint8_t bit = (uint8_t)(1 << index % 8);
  if ((*byte & bit) != 0) return 0;
  long place = (long)(tracer.base + STUB_AREAS_OFFSET + index * STUB_AREA_BYTES);
  long mapped = stub_syscall(SYS_mmap, place, AREA_MAPPED_BYTES, PROT_READ_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (mapped != place) return mapped < 0 ? mapped : -ENOMEM;
  *byte |= bit;
  return 0;
}

static long clone_thread_locked(struct tracee *t, uint32_t index) {
  if (index >= STUB_SLOTS) return -EINVAL;
  long result = map_area(t, index);
  if (result < 0) return result;
  struct tracee *fresh = new_tracee(t->process, index);
  if (fresh == 0) return -ENOMEM;
  result = clone_in(t, CLONE_THREAD_FLAGS);
  if (result > 0) {
    long started = take_over(fresh, (int32_t)result, t);
    if (started == 0) return result;
    end_child((int32_t)result, 0);
    result = started;
  }
  drop_block(fresh);
  return result;
}

/* The child's id or -errno. */
static int32_t clone_child(struct tracee *t, int is_process, uint32_t index) {
  struct process *process = t->process;
  lock(&process->lock);
  long result = is_process ? clone_process_locked(t) : clone_thread_locked(t, index);
  unlock(&process->lock);
  return (int32_t)(result == 0 ? -EAGAIN : result);
}

#endif

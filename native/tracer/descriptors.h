/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors: from the Sentry to this process over the control socket of each guest process, and
 * from here into the guest process's own table, where they stay for one mapping or one clone.
 */
#ifndef RUNTS_TRACER_DESCRIPTORS_H
#define RUNTS_TRACER_DESCRIPTORS_H

#include "tracer/inject.h"

enum { MSG_DONTWAIT = 0x40, SOL_SOCKET = 1, SCM_RIGHTS = 1 };

struct message_header {
  void *name;
  uint64_t name_bytes;
  struct part *parts;
  uint64_t part_count;
  void *control;
  uint64_t control_bytes;
  uint64_t flags;
};

struct control {
  uint64_t bytes;
  int32_t level;
  int32_t type;
  int32_t fds[2];
};
#define CONTROL_BYTES 24UL /* CMSG_SPACE(2 * sizeof(int)), and of one */

static void close_here(long fd) { host(SYS_close, fd, 0, 0, 0, 0, 0); }

/* Receives one message of the Sentry's into the stash. 0 or -errno. */
static long receive_one(struct process *process) {
  struct passed_message body = {0, 0};
  struct control control = {0, 0, 0, {0, 0}};
  struct part part = {&body, sizeof body};
  struct message_header header = {0, 0, &part, 1, &control, CONTROL_BYTES, 0};
  long got = host(SYS_recvmsg, process->control_fd, (long)&header, MSG_DONTWAIT, 0, 0, 0);
  if (got < 0) return got;
  uint64_t count = control.bytes >= 16 ? (control.bytes - 16) / 4 : 0;
  if (got != sizeof body || count != body.count || count == 0) return -EIO;
  for (int i = 0; i < STASH_ENTRIES; i++) {
    struct stashed *entry = &process->stash[i];
    if (entry->count != 0) continue;
    *entry = (struct stashed){body.id, (uint32_t)count, {control.fds[0], control.fds[1]}};
    return 0;
  }
  for (uint64_t i = 0; i < count; i++) close_here(control.fds[i]);
  return -EIO;
}

/* The descriptors of message `id`, sent before the order that wants them. The process is locked. */
static long take_descriptors(struct process *process, uint32_t id, int32_t fds[2]) {
  for (;;) {
    for (int i = 0; i < STASH_ENTRIES; i++) {
      struct stashed *entry = &process->stash[i];
      if (entry->count == 0 || entry->id != id) continue;
      fds[0] = entry->fds[0];
      fds[1] = entry->fds[1];
      entry->count = 0;
      return 0;
    }
    long result = receive_one(process);
    if (result < 0) return result;
  }
}

/*
 * A guest process has one descriptor of its own, the socket by which it is given others: 0 or 1. What
 * it is given is the other of the two, as nothing else is open and the process is locked.
 */
static int32_t given_number(const struct process *process) { return 1 - process->socket_number; }

/* Puts a copy of `fd` into the guest process's table. */
static long give(struct tracee *t, int32_t fd) {
  struct process *process = t->process;
  uint64_t at = scratch(t);
  uint8_t byte = 0;
  struct control sent = {20, SOL_SOCKET, SCM_RIGHTS, {fd, 0}};
  struct part part = {&byte, 1};
  struct message_header header = {0, 0, &part, 1, &sent, CONTROL_BYTES, 0};
  struct {
    struct message_header header;
    struct part part;
    uint8_t control[CONTROL_BYTES];
    uint64_t byte;
  } there = {.header = {0, 0, (void *)(at + 56), 1, (void *)(at + 72), CONTROL_BYTES, 0},
             .part = {(void *)(at + 96), 1}};
  _Static_assert(sizeof there.header == 56 && sizeof there == 104, "places in the area");

  long result = host(SYS_sendmsg, process->socket, (long)&header, 0, 0, 0, 0);
  if (result < 0) return result;
  result = write_guest(t, at, &there, sizeof there);
  if (result < 0) return result;
  result = stub_syscall(SYS_recvmsg, process->socket_number, (long)at, MSG_DONTWAIT, 0, 0, 0);
  return result < 0 ? result : 0;
}

static void take_back(const struct process *process) {
  stub_syscall(SYS_close, given_number(process), 0, 0, 0, 0, 0);
}

#endif

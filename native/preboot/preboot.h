/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A preboot: a Node that has booted, and loaded the Sentry's and the Gofer's programs, while the
 * command line still judges what it is asked for. It is forked from the command line's Node as soon
 * as that runs, and becomes in turn the container's front, the launcher, the Sentry and the Gofer,
 * by fork(2) where those would otherwise be started by execve(2). README.md.
 */
#ifndef RUNTS_PREBOOT_H
#define RUNTS_PREBOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The file that tells it is wanted, made by native/launcher/quick/preboot.c: it lies here, and in
 * all `taken` places.
 */
enum { MARK_FD = 899 };
enum { MARK = 0x72756e74 };

struct mark {
  uint32_t mark;
  unsigned char taken[113]; /* a bit for each descriptor below MARK_FD + 1 */
};

struct request {
  uint32_t
      kind; /* PREBOOT_LAUNCHER or PREBOOT_FRONT: what the preboot is to be (protocol/processes.ts) */
  uint32_t bytes;      /* of the launcher's arguments, each with a 0 at its end: they follow */
  uint32_t fd_count;   /* descriptors, which came with this */
  int32_t places[240]; /* their numbers with who sent them */
};

/*
 * Frees the descriptors below MARK_FD for the launcher. False where they were not kept free of
 * Node's: then there can be no fork.
 */
bool free_places(void);
/*
 * Waits until a fork is possible, and prepares all that follow. 0 or -errno. Without it fork_node()
 * does so.
 */
int prepare_forks(void);
/* A fork of this Node: the child's pid, in the child 0, or -errno. */
int fork_node(void);
/*
 * Forks a preboot. In the parent the child's pid, and in *socket where it takes its request; in the
 * child 0. Negative: errno, and nothing has happened.
 */
int fork_preboot(int *socket);
/* In a fork: what it shares with the other, it lets go. */
void replace_descriptors(void);
void drop_rings(void);
/* For ps(1). */
void rename_process(const char *name);

struct role {
  const char *name;   /* runts-sentry, runts-gofer */
  const char *config; /* or NULL */
};

/*
 * In the child: waits for a request and carries it out. Returns only in what becomes the Sentry or
 * the Gofer.
 */
struct role await_role(void);

/* In the parent: asks for it. 0 or -errno. */
int send_request_to(int socket, uint32_t kind, const char *words, size_t bytes, const int *fds,
                    size_t fd_count);

#endif

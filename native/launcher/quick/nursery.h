/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `create` by way of a nursery (native/preboot): a Node that runs already is forked, judges
 * config.json and plans the container, while this process stays the parent of its front.
 */
#ifndef RUNTS_QUICK_NURSERY_H
#define RUNTS_QUICK_NURSERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "launcher/quick/quick.h"

/*
 * Has a nursery carry out the call; then this process ends with its exit code. Returns where there
 * is none, or where it does not answer: nothing was done then, and a nursery for the next call is
 * made as soon as this process has ended. The first `words` of `command` are what Node is started
 * with for every call.
 */
void create_in_nursery(const struct call *call, const char *program, char **command, size_t words);

/* nursery-key.c: false where this process cannot be known for what it is. */
bool find_nursery_key(char *const *command, size_t words, uint64_t *key);

/* nursery-start.c: see create_in_nursery(). */
struct nursery_plan {
  const char *name; /* of its socket */
  int seconds;
  const char *program; /* Node's, and what it is called with */
  char **command;
  size_t words;
};

void start_nursery(const struct call *call, const struct nursery_plan *plan);

#endif

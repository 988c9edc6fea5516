/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the Sentry still answers, as seen from outside: watchdog.c.
 */
#ifndef RUNTS_LAUNCHER_WATCHDOG_H
#define RUNTS_LAUNCHER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "stub/mailbox.h"

/*
 * How long a silent Sentry is waited for: until that is said, and until the sandbox ends.
 * docs/security.md has the numbers.
 */
enum { SILENCE_TOLD_MS = 10000, SILENCE_MOST_MS = 60000 };

struct watchdog {
  const volatile struct global_page *page; /* NULL: nobody is watched */
  uint32_t turns;                          /* as of the last look */
  long long looked_ms;                     /* when that was */
  long long cpu_ms;                        /* what the Sentry had used of the processor then */
  long interval_ms;                        /* to the next */
  long silent_ms;                          /* how long it could have answered, and did not */
  char state; /* of the Sentry, as /proc shows it, while it is silent */
  bool told;
};

enum silence {
  SILENCE_NONE,
  SILENCE_BEGAN, /* to be told */
  SILENCE_ENDED, /* after it was told */
  SILENCE_FATAL
};

/* `page`: descriptor of the page that the Sentry writes; a negative one for none. */
void begin_watch(struct watchdog *watchdog, int page);
/* In how many ms `look` is due; -1: never. */
int look_due(const struct watchdog *watchdog);
enum silence look(struct watchdog *watchdog, pid_t sentry, pid_t gofer);

#endif

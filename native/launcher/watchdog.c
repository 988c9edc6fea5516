// SPDX-License-Identifier: Apache-2.0
/*
 * Notices a Sentry that does not answer any more. The page that it shares with its stubs, which can
 * only read it, has a count of what it has dealt with, and says whether it sleeps until something
 * happens. One that neither sleeps nor gets on is silent, and its silence has a time: not that of
 * the clock, for a machine with much to do is no reason to end a sandbox, but
 *   - the processor's, where the Sentry computes or could: what a call that does not end takes of it;
 *   - the clock's, where it waits in the kernel, and neither does the Gofer work, for which it may
 *     wait (a slow file system of the host is nobody's fault), nor was this process held up itself
 *     (a frozen cgroup).
 * An idle sandbox is looked at more and more rarely, in the end every 32 s.
 */
#define _GNU_SOURCE
#include "launcher/watchdog.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SHORTEST_MS = 1000, LONGEST_MS = 32000 };

static long long clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Of /proc/PID/stat: the state, and the processor time so far. '?' where it has gone. */
static char read_state(pid_t pid, long long *cpu_ms) {
  char path[64], text[1024], state;
  unsigned long user, system;
  *cpu_ms = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return '?';
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  text[length > 0 ? length : 0] = 0;
  /* The name, in parentheses, may hold anything. */
  const char *rest = strrchr(text, ')');
  if (rest == NULL || sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &state,
                             &user, &system) != 3) {
    return '?';
  }
  *cpu_ms = (long long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
  return state;
}

void begin_watch(struct watchdog *watchdog, int page) {
  void *at = page < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, page, 0);
  *watchdog = (struct watchdog){
      .page = at == MAP_FAILED ? NULL : at, .looked_ms = clock_ms(), .interval_ms = SHORTEST_MS};
}

int look_due(const struct watchdog *watchdog) {
  if (watchdog->page == NULL) return -1;
  long long left = watchdog->looked_ms + watchdog->interval_ms - clock_ms();
  return left > 0 ? (int)left : 0;
}

/* How much of the time since the last look counts. */
static long charge(struct watchdog *watchdog, pid_t sentry, pid_t gofer) {
  long long cpu_ms, unused, elapsed = clock_ms() - watchdog->looked_ms;
  watchdog->state = read_state(sentry, &cpu_ms);
  if (watchdog->state == 'R') return (long)(cpu_ms - watchdog->cpu_ms);
  if (watchdog->state != 'S' && watchdog->state != 'D') return 0; /* stopped, traced, or gone */
  char other = gofer > 0 ? read_state(gofer, &unused) : '?';
  if (other == 'R' || other == 'D') return 0;
  return (long)(elapsed < 2 * SHORTEST_MS ? elapsed : 2 * SHORTEST_MS);
}

/* An idle one rarely, in the end. */
static long next_interval(const struct watchdog *watchdog, bool is_idle) {
  if (!is_idle) return SHORTEST_MS;
  return watchdog->interval_ms < LONGEST_MS ? 2 * watchdog->interval_ms : LONGEST_MS;
}

enum silence look(struct watchdog *watchdog, pid_t sentry, pid_t gofer) {
  if (watchdog->page == NULL || look_due(watchdog) != 0) return SILENCE_NONE;
  uint32_t turns = watchdog->page->turns;
  bool sleeps = watchdog->page->sleeping != 0, moved = turns != watchdog->turns;
  bool told = watchdog->told;
  if (turns == 0 || sleeps || moved) {
    watchdog->silent_ms = 0;
  } else {
    watchdog->silent_ms += charge(watchdog, sentry, gofer);
  }
  watchdog->told = watchdog->silent_ms >= SILENCE_TOLD_MS;
  watchdog->turns = turns;
  watchdog->interval_ms = next_interval(watchdog, sleeps && !moved);
  read_state(sentry, &watchdog->cpu_ms);
  watchdog->looked_ms = clock_ms();
  if (watchdog->silent_ms >= SILENCE_MOST_MS) return SILENCE_FATAL;
  if (watchdog->told == told) return SILENCE_NONE;
  return told ? SILENCE_ENDED : SILENCE_BEGAN;
}

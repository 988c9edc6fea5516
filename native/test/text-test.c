// SPDX-License-Identifier: Apache-2.0
/*
 * Unit test of launcher/text.c: the time in an engine's log, against the C library (make asan-test).
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "launcher/text.h"

static void same(time_t seconds) {
  char own[TIME_BYTES], library[TIME_BYTES];
  struct tm parts;
  format_time(seconds, own);
  strftime(library, sizeof library, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &parts));
  if (strcmp(own, library) != 0) fprintf(stderr, "%s is not %s\n", own, library);
  assert(strcmp(own, library) == 0);
}

int main(void) {
  enum { DAY = 86400 };
  /* All days until the end of 2999, at their first and last second. */
  for (time_t day = 0; day < 376200; day++) {
    same(day * DAY);
    same(day * DAY + DAY - 1);
  }
  for (time_t second = 0; second < DAY; second++) same(1795000000 + second);
  return 0;
}

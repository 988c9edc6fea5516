/*
 * Verbs that start a sandbox: Node is told to make a preboot (native/preboot), and comes to have its own descriptors above
 * those that the launcher lays out.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "launcher/quick/quick.h"
#include "preboot/preboot.h"

enum { FIRST_FREE = 3, NODE_NEEDS = 64 };

static bool has_room(void) {
  struct rlimit files;
  return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > MARK_FD + NODE_NEEDS &&
         fcntl(MARK_FD, F_GETFD) < 0;
}

void prepare_preboot(void) {
  struct mark mark = {.mark = MARK};
  const char *wish = getenv("RUNTS_PREBOOT");
  if ((wish != NULL && strcmp(wish, "0") == 0) || !has_room()) return;
  int first = memfd_create("runts-mark", 0);
  for (int fd = first; fd >= 0 && fd <= MARK_FD; fd = fcntl(first, F_DUPFD, FIRST_FREE)) {
    mark.taken[fd / 8] |= (unsigned char)(1 << fd % 8);
    if (fd == MARK_FD) break;
  }
  if (first < 0 || pwrite(first, &mark, sizeof mark, 0) != sizeof mark) return;
  setenv("RUNTS_PREBOOT", "1", 1);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * What a Sentry that was taken over could tell a container's front, under the sanitizers (make
 * asan-test): lines of any length, bytes, words and numbers, in pieces of any size.
 */
#include "launcher/front.c"

#include <assert.h>
#include <sys/mman.h>

static unsigned long long state = 1;

static unsigned any(unsigned below) {
  state = state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (unsigned)(state >> 33) % below;
}

static const char *const words[] = {
    "created",
    "started",
    "exited",
    "failed",
    "warning",
    "stopped",
    "continued",
    "error",
    "sentry",
    "signal 9",
    "gofer exit 1",
    "",
    " ",
    "exited ",
    "failed 999999 ",
    "\0",
    "\xff\xfe",
    "%s%n%d",
    "-1",
    "0",
    "256",
    "\x1b[2J",
    "99999999999999999999999",
};

static size_t make_line(char *line, size_t room) {
  size_t used = 0;
  for (unsigned parts = any(5); parts > 0; parts--) {
    const char *word = words[any(sizeof words / sizeof *words)];
    size_t length = any(9) == 0 ? any(3000) : strlen(word) + (any(4) == 0);
    for (size_t i = 0; i < length && used < room - 1; i++) {
      line[used++] = i <= strlen(word) ? word[i] : (char)any(256);
    }
    if (used < room - 1) line[used++] = ' ';
  }
  if (any(8) != 0) line[used++] = '\n';
  return used;
}

static void begin(struct options *options, int log) {
  front.options = options;
  front.launcher = (pid_t)any(2);
  front.end = END_UNKNOWN;
  front.warnings = 0;
  front.casualty[0] = 0;
  front.control.used = front.report.used = 0;
  front.request_bytes = 0;
  options->mode = any(2) == 0 ? MODE_CONTAINER : MODE_EXEC;
  options->container.status_fd = any(2) == 0 ? dup(log) : -1;
  options->container.error_log_json = any(2) == 0;
}

static void say(struct lines *lines, void (*obey)(const char *)) {
  static char line[20000];
  int pair[2];
  assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  lines->fd = pair[0];
  for (unsigned count = any(30); count > 0 && lines->fd >= 0; count--) {
    size_t length = make_line(line, sizeof line), part = any((unsigned)length + 1);
    if (send(pair[1], line, part, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    receive(lines, obey);
    if (send(pair[1], line + part, length - part, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    receive(lines, obey);
  }
  end_channel(lines);
  close(pair[1]);
}

int main(void) {
  static struct options options;
  int log = memfd_create("log", 0);
  init_options(&options);
  options.container.error_log_fd = log;
  for (int i = 0; i < 5000; i++) {
    begin(&options, log);
    say(&front.control, obey_event);
    say(&front.report, obey_report);
    int code = exit_code();
    assert(code >= 0 && code < 256);
    end_status(&options.container);
    if (lseek(log, 0, SEEK_CUR) > 1 << 20) {
      assert(ftruncate(log, 0) == 0 && lseek(log, 0, SEEK_SET) == 0);
    }
  }
  return 0;
}

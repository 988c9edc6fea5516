// SPDX-License-Identifier: Apache-2.0
/*
 * `runts state`, `start`, `kill`, `pause` and `resume`: they do what the files of these names in
 * runts/commands do, with which test/oci/quick.test.ts compares them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "launcher/quick/quick.h"

static const struct option_spec no_options[] = {{0}};

/* Loads the record of the container that is the only argument. */
static void load_only(const struct call *call, struct record *record) {
  const char *id;
  if (take_options(call->arguments, no_options, &id, 1, false) != 1) fall_back();
  if (!load_record(call, id, record)) fall_back();
}

int quick_state(const struct call *call) {
  static const char *const names[] = {"stopped", "created", "running", "paused"};
  struct record record;
  struct text text = {0};
  load_only(call, &record);
  if (record.before == NULL) fall_back();
  enum status status = find_status(&record);
  append(&text, record.before, record.before_length);
  append_format(&text, "%d,\n  \"status\": \"%s", status == STATUS_STOPPED ? 0 : (int)record.front,
                names[status]);
  append(&text, record.after, record.after_length);
  if (text.failed) fall_back();
  open_log(call);
  return print(text.bytes, text.used);
}

static bool send_order(const struct record *record, int order) {
  union sigval value = {.sival_int = ORDER_MARK | order};
  return sigqueue(record->front, ORDER_SIGNAL, value) == 0;
}

int quick_start(const struct call *call) {
  struct record record;
  load_only(call, &record);
  if ((record.hooks & (HOOK_START_CONTAINER | HOOK_POSTSTART)) != 0) fall_back();
  if (find_status(&record) != STATUS_CREATED) fall_back();
  open_log(call);
  int fd =
      openat(record.directory, STATE_STARTED_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) fall_back();
  close(fd);
  if (!send_order(&record, ORDER_START)) {
    unlinkat(record.directory, STATE_STARTED_FILE, 0);
    fall_back();
  }
  return 0;
}

/* ---- kill ---- */

int parse_signal(const char *text) {
  /* The name of signal 1 is the first. */
  static const char *const names[] = {SIGNAL_NAMES};
  size_t digits = strspn(text, "0123456789");
  if (digits > 0) {
    int number = digits <= 2 && text[digits] == 0 ? atoi(text) : 0;
    return number <= 64 ? number : 0;
  }
  if (strncasecmp(text, "SIG", 3) == 0) text += 3;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcasecmp(text, names[i] + 3) == 0) return (int)i + 1;
  }
  return 0;
}

int quick_kill(const struct call *call) {
  const char *all = NULL, *words[2] = {NULL, "SIGTERM"};
  const struct option_spec specs[] = {{"--all", "-a", false, &all, NULL}, {0}};
  struct record record;
  if (take_options(call->arguments, specs, words, 2, false) == 0) fall_back();
  int number = parse_signal(words[1]);
  if (number == 0 || !load_record(call, words[0], &record)) fall_back();
  if (!is_alive(&record)) {
    open_log(call);
    return all != NULL ? 0
                       : refuse(call, 1, "RUNTS_E_CONTAINER_NOT_RUNNING", "container not running");
  }
  /* A frozen process does not die before it is thawed, which is left to Node. */
  if (number == SIGKILL && is_frozen(&record)) fall_back();
  open_log(call);
  if (!send_order(&record, number | (all != NULL ? ORDER_ALL : 0))) fall_back();
  return 0;
}

/* ---- pause and resume ---- */

static void write_freezer(const struct record *record, bool freeze) {
  char path[4096 + 32];
  bool v1 = record->freezer_version == 1;
  const char *value = v1 ? (freeze ? "FROZEN" : "THAWED") : (freeze ? "1" : "0");
  snprintf(path, sizeof path, "%s/%s", record->freezer, v1 ? "freezer.state" : "cgroup.freeze");
  int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd < 0 || write(fd, value, strlen(value)) < 0) fall_back();
  close(fd);
}

/*
 * Node, to which this falls back, waits longer for the freezer. The freezer is thawed before: a
 * container that is half frozen would look to Node like one that is paused already.
 */
int quick_pause(const struct call *call) {
  enum { TRIES = 40 };
  struct record record;
  load_only(call, &record);
  /* The Sentry of a pod has to be told of the pause, which is left to Node. */
  if (record.freezer_version == 0 || strcmp(record.sandbox, record.id) != 0) fall_back();
  enum status status = find_status(&record);
  if (status != STATUS_RUNNING && status != STATUS_CREATED) fall_back();
  open_log(call);
  for (int i = 0; i < TRIES; i++) {
    char text[256] = "";
    if (i == 0 || record.freezer_version == 1) write_freezer(&record, true);
    const char *name = record.freezer_version == 1 ? "freezer.state" : "cgroup.events";
    if (read_small(record.freezer, name, text, sizeof text) &&
        (strcmp(text, "FROZEN") == 0 || strstr(text, "frozen 1") != NULL)) {
      return 0;
    }
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
  }
  write_freezer(&record, false);
  fall_back();
}

int quick_resume(const struct call *call) {
  struct record record;
  load_only(call, &record);
  if (record.freezer_version == 0 || strcmp(record.sandbox, record.id) != 0 ||
      find_status(&record) != STATUS_PAUSED) {
    fall_back();
  }
  open_log(call);
  write_freezer(&record, false);
  return 0;
}

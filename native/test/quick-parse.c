// SPDX-License-Identifier: Apache-2.0
/*
 * What the quick path makes of the files it reads, under the sanitizers: driven by
 * test/native/quick-parse.test.ts.
 *   quick-parse process FILE...   the request for the Sentry, or "slow"; one line each
 *   quick-parse config FILE...    the same for `process` of a config.json, with some options of `runts exec`
 *   quick-parse sandbox FILE...   the sandbox that the container of a config.json joins, or "-"
 *   quick-parse record FILE...    what was understood of ROOT/ID/quick, or "slow"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "launcher/quick/quick.h"

/* The very bytes, so that reading beyond them is noticed. */
static char *read_whole(const char *path, size_t *length) {
  struct stat stat_of;
  FILE *file = fopen(path, "r");
  if (file == NULL || fstat(fileno(file), &stat_of) < 0) exit(2);
  *length = (size_t)stat_of.st_size;
  char *text = malloc(*length + 1);
  if (text == NULL || fread(text, 1, *length, file) != *length) exit(2);
  text[*length] = 0;
  fclose(file);
  return text;
}

static bool plan_process_alone(char *text, size_t length, const struct window *own,
                               struct process_plan *plan) {
  return plan_process("id", text, length, own, plan);
}

/* test/native/quick-parse.test.ts has the same options. */
static bool plan_config(char *text, size_t length, const struct window *own,
                        struct process_plan *plan) {
  static const char *env[] = {"A=changed", "NEW=\xc3\xa9"}, *groups[] = {"7"};
  static const char *capabilities[] = {"CAP_SYS_PTRACE"};
  static const char *const arguments[] = {"echo", "a b", "", NULL};
  const struct process_changes changes = {.arguments = arguments,
                                          .cwd = "/tmp",
                                          .user = "12:34",
                                          .env = {env, 2},
                                          .groups = {groups, 1},
                                          .capabilities = {capabilities, 1},
                                          .terminal = true,
                                          .no_new_privileges = true};
  return plan_changed_process("id", text, length, own, &changes, plan);
}

static void show_process(char *text, size_t length, bool is_config) {
  const struct window none = {0};
  struct process_plan plan;
  if ((is_config ? plan_config : plan_process_alone)(text, length, &none, &plan)) {
    fwrite(plan.request.bytes, 1, plan.request.used, stdout);
  } else {
    puts("slow");
  }
  free(plan.request.bytes);
  free(plan.title.bytes);
}

static void show_record(char *text, size_t length) {
  struct record record = {0};
  if (!parse_record(&record, text, length)) {
    puts("slow");
    return;
  }
  printf("%d %llu hooks %u freezer %d %s unit %d sandbox %s bundle %s", (int)record.front,
         record.front_start, record.hooks, record.freezer_version,
         record.freezer == NULL ? "-" : record.freezer, record.has_unit, record.sandbox,
         record.bundle);
  for (int i = 0; i < record.cgroup_count; i++) {
    printf(" %d:%s", record.cgroups[i].owned, record.cgroups[i].path);
  }
  /* Reads all of it. */
  unsigned sum = 0;
  for (size_t i = 0; i < record.before_length; i++) sum += (unsigned char)record.before[i];
  for (size_t i = 0; i < record.after_length; i++) sum += (unsigned char)record.after[i];
  printf(" document %zu %zu %u\n", record.before_length, record.after_length, sum);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  for (int i = 2; i < argc; i++) {
    size_t length;
    char *text = read_whole(argv[i], &length);
    if (strcmp(argv[1], "sandbox") == 0) {
      const char *sandbox = joined_sandbox(text, length);
      puts(sandbox == NULL ? "-" : sandbox);
    } else if (strcmp(argv[1], "record") != 0) {
      show_process(text, length, strcmp(argv[1], "config") == 0);
    } else {
      show_record(text, length);
    }
    free(text);
  }
  return 0;
}

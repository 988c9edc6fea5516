/*
 * `runts ps --format json`: twin of runts/oci/host-processes.ts.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/quick/quick.h"

enum { MOST_PIDS = 4096 };

struct pids {
  int list[MOST_PIDS];
  int count;
};

static bool has_subdirectory(const char *path) {
  DIR *stream = opendir(path);
  bool found = false;
  if (stream == NULL) return errno != ENOENT;
  for (struct dirent *entry; !found && (entry = readdir(stream)) != NULL;) {
    found = entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0;
  }
  closedir(stream);
  return found;
}

static void read_pids(const char *directory, struct pids *pids) {
  char path[4096 + 32];
  if (has_subdirectory(directory)) fall_back();
  snprintf(path, sizeof path, "%s/cgroup.procs", directory);
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  for (int pid; fscanf(file, "%d", &pid) == 1;) {
    if (pids->count == MOST_PIDS) fall_back();
    if (pid > 0) pids->list[pids->count++] = pid;
  }
  if (ferror(file)) fall_back();
  fclose(file);
}

/* -1 for one that has gone. */
static int parent_of(int pid) {
  char directory[32], text[2048];
  snprintf(directory, sizeof directory, "/proc/%d", pid);
  if (!read_small(directory, "stat", text, sizeof text)) return -1;
  char *at = strrchr(text, ')');
  return at == NULL || strlen(at) < 4 ? -1 : atoi(at + 4);
}

static bool contains(const struct pids *pids, int pid) {
  for (int i = 0; i < pids->count; i++) {
    if (pids->list[i] == pid) return true;
  }
  return false;
}

/* Those that came from outside: what else runs in the cgroup they have started. */
static void append_fronts(struct text *text, const struct pids *all) {
  bool first = true;
  for (int i = 0; i < all->count; i++) {
    int parent = parent_of(all->list[i]);
    if (parent < 0 || contains(all, parent)) continue;
    append_format(text, first ? "%d" : ",%d", all->list[i]);
    first = false;
  }
}

int quick_ps(const struct call *call) {
  static struct pids all;
  const char *format = "table", *id;
  const struct option_spec specs[] = {{"--format", "-f", true, &format}, {0}};
  struct record record;
  struct text text = {0};
  if (take_options(call->arguments, specs, &id, 1, true) != 1) fall_back();
  if (strcmp(format, "json") != 0 || !load_record(call, id, &record)) fall_back();
  if (!is_alive(&record)) fall_back();
  if (record.cgroup_count == 0) fall_back();
  for (int i = 0; i < record.cgroup_count && all.count == 0; i++) {
    if (record.cgroups[i].owned) read_pids(record.cgroups[i].path, &all);
  }
  append(&text, "[", 1);
  append_fronts(&text, &all);
  append(&text, "]\n", 2);
  if (text.failed) fall_back();
  open_log(call);
  return print(text.bytes, text.used);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * `runts ps --format json`: the host processes of a container's processes. Node
 * (runts/oci/host-processes.ts) runs this code too.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

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

/* Returns the parent's pid, or -1 where the process has ended. */
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

/*
 * Appends the fronts: processes of the cgroup whose parent is outside it. A front has started all
 * others there.
 */
static void append_fronts(struct text *text, const struct pids *all) {
  bool first = true;
  for (int i = 0; i < all->count; i++) {
    int parent = parent_of(all->list[i]);
    if (parent < 0 || contains(all, parent)) continue;
    append_format(text, first ? "%d" : ",%d", all->list[i]);
    first = false;
  }
}

/* ---- the Sentry knows which host processes are a container's ---- */

enum { PATIENCE_MS = 1000 };

static int connect_sentry(int directory) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" STATE_SOCKET_FILE,
           directory);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

/*
 * Reads the Sentry's answer. False where it sends none in time, or nonsense: it is treated as gone.
 */
static bool read_answer(int fd, char *answer, size_t room) {
  struct timespec start, now;
  size_t used = 0;
  clock_gettime(CLOCK_MONOTONIC, &start);
  while (used < room - 1) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    long waited = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (waited >= PATIENCE_MS || poll(&poll_fd, 1, (int)(PATIENCE_MS - waited)) <= 0) return false;
    ssize_t got = read(fd, answer + used, room - 1 - used);
    if (got <= 0) return false;
    used += (size_t)got;
    if (answer[used - 1] != '\n') continue;
    answer[used - 1] = 0;
    return true;
  }
  return false;
}

static bool parse_pids(const char *text, struct pids *pids) {
  static const char word[] = EVENT_WORD_PROCESSES;
  if (strncmp(text, word, sizeof word - 1) != 0) return false;
  for (text += sizeof word - 1; *text == ' ';) {
    char *end;
    long pid = strtol(text + 1, &end, 10);
    if (end == text + 1 || pid <= 0 || pid > INT_MAX || pids->count == MOST_PIDS) return false;
    pids->list[pids->count++] = (int)pid;
    text = end;
  }
  return *text == 0;
}

/* In the Sentry's PID namespace. */
static bool ask_sentry(const struct record *sandbox, const char *id, struct pids *pids) {
  static char answer[MOST_PIDS * 12];
  struct text request = {0};
  int fd = connect_sentry(sandbox->directory);
  if (fd < 0) return false;
  append_format(&request, REQUEST_START_PS);
  append_quoted(&request, id, strlen(id));
  append(&request, "}\n", 2);
  bool good = !request.failed &&
              send(fd, request.bytes, request.used, MSG_NOSIGNAL) == (ssize_t)request.used &&
              read_answer(fd, answer, sizeof answer) && parse_pids(answer, pids);
  free(request.bytes);
  close(fd);
  return good;
}

static void read_children(int pid, struct pids *children) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  for (int child; children->count < MOST_PIDS && fscanf(file, "%d", &child) == 1;) {
    children->list[children->count++] = child;
  }
  fclose(file);
}

/* Its number in the innermost PID namespace that it is in; 0: it is only in ours. */
static int inner_pid(int pid) {
  char directory[32], text[4096];
  snprintf(directory, sizeof directory, "/proc/%d", pid);
  if (!read_small(directory, "status", text, sizeof text)) return 0;
  char *line = strstr(text, "\nNSpid:");
  if (line == NULL) return 0;
  char *end = strchr(line + 1, '\n');
  if (end != NULL) *end = 0;
  char *last = strrchr(line, '\t'), *first = strchr(line, '\t');
  return last == first ? 0 : atoi(last + 1);
}

/*
 * The Sentry is process 1 of its namespace, below the launcher, which is below the front; its
 * children run guests.
 */
static bool append_guests(struct text *text, const struct record *sandbox,
                          const struct pids *wanted) {
  static struct pids launchers, sentries, all;
  read_children(sandbox->front, &launchers);
  for (int i = 0; i < launchers.count; i++) read_children(launchers.list[i], &sentries);
  for (int i = 0; i < sentries.count; i++) {
    if (inner_pid(sentries.list[i]) == 1) read_children(sentries.list[i], &all);
  }
  bool any = false;
  for (int i = 0; i < all.count; i++) {
    int inner = inner_pid(all.list[i]);
    if (inner == 0 || !contains(wanted, inner)) continue;
    append_format(text, any ? ",%d" : "%d", all.list[i]);
    any = true;
  }
  return any;
}

/*
 * Otherwise (it is frozen, or in a PID namespace out of our sight) those of its processes that
 * stand for the guest's.
 */
static void append_stand_ins(struct text *text, const struct record *record) {
  static struct pids all;
  if (record->cgroup_count == 0) {
    append_format(text, "%d", (int)record->front);
    return;
  }
  for (int i = 0; i < record->cgroup_count && all.count == 0; i++) {
    if (record->cgroups[i].owned) read_pids(record->cgroups[i].path, &all);
  }
  append_fronts(text, &all);
}

int quick_ps(const struct call *call) {
  static struct pids wanted;
  static struct record record, sandbox;
  const char *format = "table", *id;
  const struct option_spec specs[] = {{"--format", "-f", true, &format, NULL}, {0}};
  struct text text = {0};
  if (take_options(call->arguments, specs, &id, 1, true) != 1) fall_back();
  if (strcmp(format, "json") != 0 || !load_record(call, id, &record)) fall_back();
  if (!is_alive(&record)) fall_back();
  append(&text, "[", 1);
  if (!load_record(call, record.sandbox, &sandbox) || !is_alive(&sandbox) || is_frozen(&sandbox) ||
      !ask_sentry(&sandbox, id, &wanted) || !append_guests(&text, &sandbox, &wanted)) {
    append_stand_ins(&text, &record);
  }
  append(&text, "]\n", 2);
  if (text.failed) fall_back();
  open_log(call);
  return print(text.bytes, text.used);
}

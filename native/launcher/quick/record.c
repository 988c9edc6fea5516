// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the quick record, ROOT/ID/quick, which runts/oci/state/quick-record.ts writes: its format is
 * protocol/state-files.ts.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/quick/quick.h"

bool is_valid_id(const char *id) {
  static const char allowed[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-";
  size_t length = strlen(id);
  return length > 0 && length <= LONGEST_ID && strspn(id, allowed) == length &&
         strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

bool container_path(const struct call *call, const char *id, char *path, size_t room) {
  int length = snprintf(path, room, "%s/%s", call->root, id);
  return length > 0 && (size_t)length < room;
}

/* ---- the text ---- */

struct reader {
  char *at, *end;
};

/*
 * Takes the next line if it starts with `word` and a space. Returns the rest of it, ended by a 0,
 * or NULL.
 */
static char *line_of(struct reader *reader, const char *word) {
  size_t length = strlen(word);
  char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
  if (newline == NULL || (size_t)(newline - reader->at) <= length) return NULL;
  if (memcmp(reader->at, word, length) != 0 || reader->at[length] != ' ') return NULL;
  char *rest = reader->at + length + 1;
  if (memchr(rest, 0, (size_t)(newline - rest)) != NULL) return NULL;
  *newline = 0;
  reader->at = newline + 1;
  return rest;
}

/* Takes a number of at most `most` that is followed by the character `end`. */
static bool take_number(char **text, char end, unsigned long long most, unsigned long long *value) {
  char *at = *text;
  *value = 0;
  while (*at >= '0' && *at <= '9' && at - *text < 18)
    *value = *value * 10 + (unsigned)(*at++ - '0');
  if (at == *text || *at != end || *value > most) return false;
  *text = at + (end != 0);
  return true;
}

static bool parse_front(struct record *record, char *text) {
  unsigned long long pid;
  if (text == NULL || !take_number(&text, ' ', 0x7fffffff, &pid) || pid < 2) return false;
  record->front = (pid_t)pid;
  return take_number(&text, 0, ~0ULL, &record->front_start);
}

static bool parse_hooks(struct record *record, char *text) {
  static const struct {
    const char *name;
    enum hook hook;
  } kinds[] = {{QUICK_HOOK_START_CONTAINER, HOOK_START_CONTAINER},
               {QUICK_HOOK_POSTSTART, HOOK_POSTSTART},
               {QUICK_HOOK_POSTSTOP, HOOK_POSTSTOP},
               {"-", 0}};
  if (text == NULL) return false;
  for (char *rest = text, *word; (word = strsep(&rest, " ")) != NULL;) {
    size_t i = 0;
    while (i < sizeof kinds / sizeof *kinds && strcmp(word, kinds[i].name) != 0) i++;
    if (i == sizeof kinds / sizeof *kinds) return false;
    record->hooks |= kinds[i].hook;
  }
  return true;
}

/* Whether the path is absolute and has no step '..', which could lead out of the cgroups. */
static bool is_plain_path(const char *path) {
  return path[0] == '/' && strstr(path, "/../") == NULL &&
         (strlen(path) < 3 || strcmp(path + strlen(path) - 3, "/..") != 0);
}

static bool parse_freezer(struct record *record, char *text) {
  if (text == NULL) return false;
  if (strcmp(text, "none") == 0) return true;
  if (text[0] != 'v' || (text[1] != '1' && text[1] != '2') || text[2] != ' ') return false;
  record->freezer_version = text[1] - '0';
  record->freezer = text + 3;
  return is_plain_path(record->freezer);
}

static bool parse_cgroups(struct record *record, struct reader *reader) {
  for (char *line; (line = line_of(reader, QUICK_LINE_CGROUP)) != NULL;) {
    if (record->cgroup_count == QUICK_CGROUPS) return false;
    struct record_cgroup *cgroup = &record->cgroups[record->cgroup_count++];
    cgroup->owned = strncmp(line, "owned ", 6) == 0;
    if (!cgroup->owned && strncmp(line, "shared ", 7) != 0) return false;
    cgroup->path = strchr(line, ' ') + 1;
    if (!is_plain_path(cgroup->path)) return false;
  }
  return true;
}

static bool parse_document(struct record *record, struct reader *reader) {
  unsigned long long before, after;
  char *text = line_of(reader, QUICK_LINE_DOCUMENT);
  if (text == NULL) return false;
  size_t left = (size_t)(reader->end - reader->at);
  if (strcmp(text, "none") == 0) return left == 0;
  if (!take_number(&text, ' ', QUICK_LONGEST, &before) ||
      !take_number(&text, 0, QUICK_LONGEST, &after) || before + after != left) {
    return false;
  }
  record->before = reader->at;
  record->before_length = (size_t)before;
  record->after = reader->at + before;
  record->after_length = (size_t)after;
  return true;
}

bool parse_record(struct record *record, char *bytes, size_t length) {
  struct reader reader = {bytes, bytes + length};
  char *version = line_of(&reader, QUICK_LINE_VERSION);
  if (version == NULL || strcmp(version, QUICK_VERSION) != 0) return false;
  if (!parse_front(record, line_of(&reader, QUICK_LINE_FRONT))) return false;
  if (!parse_hooks(record, line_of(&reader, QUICK_LINE_HOOKS))) return false;
  if (!parse_freezer(record, line_of(&reader, QUICK_LINE_FREEZER))) return false;
  char *unit = line_of(&reader, QUICK_LINE_UNIT);
  if (unit == NULL || (strcmp(unit, "yes") != 0 && strcmp(unit, "no") != 0)) return false;
  record->has_unit = unit[0] == 'y';
  record->sandbox = line_of(&reader, QUICK_LINE_SANDBOX);
  if (record->sandbox == NULL || !is_valid_id(record->sandbox)) return false;
  record->bundle = line_of(&reader, QUICK_LINE_BUNDLE);
  if (record->bundle == NULL || record->bundle[0] != '/') return false;
  return parse_cgroups(record, &reader) && parse_document(record, &reader);
}

/* ---- the file ---- */

static bool read_record(int fd, struct record *record) {
  struct stat stat;
  if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size > QUICK_LONGEST) return false;
  size_t size = (size_t)stat.st_size, used = 0;
  record->bytes = malloc(size + 1);
  if (record->bytes == NULL) return false;
  for (ssize_t got; used < size; used += (size_t)got) {
    if ((got = read(fd, record->bytes + used, size - used)) <= 0) return false;
  }
  record->bytes[size] = 0;
  return parse_record(record, record->bytes, size);
}

bool load_record(const struct call *call, const char *id, struct record *record) {
  char path[4096];
  memset(record, 0, sizeof *record);
  record->id = id;
  if (!is_valid_id(id) || !container_path(call, id, path, sizeof path)) return false;
  record->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (record->directory < 0) return false;
  int fd =
      openat(record->directory, STATE_QUICK_FILE, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  bool good = read_record(fd, record);
  close(fd);
  return good;
}

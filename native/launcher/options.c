// SPDX-License-Identifier: Apache-2.0
/*
 * The launcher's arguments, by the table of protocol/launcher-options.ts. Only launcherArguments()
 * there writes them, so anything odd is our own bug.
 */
#include <stdlib.h>
#include <string.h>

#include "launcher/launcher.h"

enum kind { TEXT, DESCRIPTOR, NUMBER, FLAG, MODE, LIST, ATTACH };

struct row {
  const char *name;
  enum kind kind;
  size_t offset;        /* in struct options; of all kinds but ATTACH */
  size_t bytes;         /* NUMBER: of the field */
  size_t count_offset;  /* LIST: offset of the number of elements */
  long long most;       /* NUMBER, 0: any; LIST: elements there is room for */
  const char *what;     /* LIST: they are */
  int mode;             /* MODE */
  struct attach attach; /* ATTACH */
};

#define MEMBER(field) (((struct options *)0)->field)
/* The offset of a member, which must have one of the types that `associations` maps to 1. */
#define PLACE(field, ...) \
  (offsetof(struct options, field) * (size_t) _Generic(MEMBER(field), __VA_ARGS__))

#define TEXT_ROW(option, field) \
  {.name = option, .kind = TEXT, .offset = PLACE(field, const char * : 1)},
#define DESCRIPTOR_ROW(option, field) \
  {.name = option, .kind = DESCRIPTOR, .offset = PLACE(field, int : 1)},
#define NUMBER_ROW(option, field, limit)                              \
  {.name = option,                                                    \
   .kind = NUMBER,                                                    \
   .offset = PLACE(field, int : 1, long : 1, unsigned long long : 1), \
   .bytes = sizeof MEMBER(field),                                     \
   .most = limit},
#define FLAG_ROW(option, field) {.name = option, .kind = FLAG, .offset = PLACE(field, bool : 1)},
#define MODE_ROW(option, field, value) \
  {.name = option, .kind = MODE, .offset = PLACE(field, enum mode : 1), .mode = value},
#define LIST_ROW(option, field, number, elements) \
  {.name = option,                                \
   .kind = LIST,                                  \
   .offset = PLACE(field, const char ** : 1),     \
   .count_offset = PLACE(number, int : 1),        \
   .most = sizeof MEMBER(field) / sizeof(char *), \
   .what = elements},
#define ATTACH_ROW(option, is_writable, is_flat, is_slave, is_overlay) \
  {.name = option,                                                     \
   .kind = ATTACH,                                                     \
   .attach = {.writable = is_writable,                                 \
              .flat = is_flat,                                         \
              .slave = is_slave,                                       \
              .overlay = is_overlay,                                   \
              .tree = -1}},

static const struct row rows[] = {LAUNCHER_OPTIONS(TEXT_ROW, DESCRIPTOR_ROW, NUMBER_ROW, FLAG_ROW,
                                                   MODE_ROW, LIST_ROW, ATTACH_ROW)};
enum { ROWS = sizeof rows / sizeof *rows };

static void *member(struct options *options, size_t offset) { return (char *)options + offset; }

static const struct row *find_row(const char *name) {
  for (int i = 0; i < ROWS; i++) {
    if (strcmp(name, rows[i].name) == 0) return &rows[i];
  }
  fatal("launcher: unknown option %s", name);
}

static void set_number(struct options *options, const struct row *row, const char *text) {
  long long value = strtoll(text, NULL, 10);
  if (row->most > 0 && value > row->most) fatal("%s: at most %lld", row->name, row->most);
  if (row->bytes == sizeof(int)) {
    *(int *)member(options, row->offset) = (int)value;
  } else {
    memcpy(member(options, row->offset), &value, sizeof value);
  }
}
_Static_assert(sizeof(long) == sizeof(long long), "set_number");

static void add_word(struct options *options, const struct row *row, const char *word) {
  int *count = member(options, row->count_offset);
  if (*count == row->most) fatal("more than %lld %s", row->most, row->what);
  ((const char **)member(options, row->offset))[(*count)++] = word;
}

static void add_attach(struct options *options, const struct row *row, const char *path) {
  if (options->attach_count == MAX_ATTACH) fatal("more than %d volumes", MAX_ATTACH - 1);
  struct attach *attach = &options->attach[options->attach_count++];
  *attach = row->attach;
  attach->path = path;
}

static bool has_value(const struct row *row) { return row->kind != FLAG && row->kind != MODE; }

static void set_option(struct options *options, const struct row *row, char *value) {
  switch (row->kind) {
    case TEXT:
      *(const char **)member(options, row->offset) = value;
      break;
    case DESCRIPTOR:
      *(int *)member(options, row->offset) = atoi(value);
      break;
    case NUMBER:
      set_number(options, row, value);
      break;
    case FLAG:
      *(bool *)member(options, row->offset) = true;
      break;
    case MODE:
      *(enum mode *)member(options, row->offset) = (enum mode)row->mode;
      break;
    case LIST:
      add_word(options, row, value);
      break;
    case ATTACH:
      add_attach(options, row, value);
      break;
  }
}

static bool is_complete(const struct options *options) {
  if (options->config_fd < 0) return false;
  if (options->mode != MODE_COMMAND && options->container.state_dir < 0) return false;
  if (options->mode == MODE_EXEC) return true;
  bool has_scripts = options->app && options->sentry && options->gofer;
  return options->node && (has_scripts || options->addon) && options->gofer_config &&
         options->zygote;
}

void init_options(struct options *options) {
  memset(options, 0, sizeof *options);
  for (int i = 0; i < ROWS; i++) {
    if (rows[i].kind == DESCRIPTOR) *(int *)member(options, rows[i].offset) = -1;
  }
  options->zygote_fd = options->addon_fd = options->container.listen_fd = -1;
}

void parse_options(struct options *options, int argc, char **argv) {
  init_options(options);
  for (int i = 1; i < argc; i++) {
    const struct row *row = find_row(argv[i]);
    if (has_value(row) && i + 1 == argc) fatal("launcher: %s lacks its value", argv[i]);
    set_option(options, row, has_value(row) ? argv[++i] : NULL);
  }
  if (!is_complete(options)) fatal("launcher: an option is missing");
}

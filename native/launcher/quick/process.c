// SPDX-License-Identifier: Apache-2.0
/*
 * Turns process.json (`runts exec --process`), or `process` of config.json, into the request for
 * the Sentry. It does what runts/oci/plan-process.ts and runts/oci/spec/{schema,rules}-process.ts
 * do, for documents that those accept without a message. Unknown names, values out of range,
 * contradictions and rare properties are left to them: the document is refused here, and Node reads
 * it again. Names of the kernel come from protocol.h; test/native/quick-parse.test.ts compares the
 * requests that the two make.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/quick/process.h"

enum { MOST_VARIABLES = 4096 };

static const char *const capability_names[] = {CAPABILITY_NAMES};
static const char *const limit_names[] = {RLIMIT_NAMES};
_Static_assert(sizeof limit_names / sizeof *limit_names <= 32, "struct parse: limits_seen");

static const char *const set_names[] = {"bounding", "effective", "inheritable", "permitted",
                                        "ambient"};

static bool is(const struct json_string *string, const char *text) {
  return string->length == strlen(text) && memcmp(string->bytes, text, string->length) == 0;
}

/* Returns the index of the string among `count` names, or -1 where it is none of them. */
static int find_name(const struct json_string *string, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (is(string, names[i])) return (int)i;
  }
  return -1;
}

/* False for a member that is unknown, or that comes twice: Node takes the last one then. */
static bool note(unsigned *seen, int index) {
  if (index < 0 || (*seen & 1U << index) != 0) return false;
  *seen |= 1U << index;
  return true;
}

static void separate(struct text *text) {
  if (text->used > 0) append(text, ",", 1);
}

/* ---- the members ---- */

static bool parse_groups(struct parse *parse) {
  unsigned long long group;
  for (bool first = true; json_element(&parse->json, &first);) {
    if (!json_count(&parse->json, 0xffffffff, &group)) return false;
    separate(&parse->groups);
    append_format(&parse->groups, "%llu", group);
  }
  return true;
}

static bool parse_user(struct parse *parse) {
  static const char *const names[] = {"uid", "gid", "umask", "additionalGids", "username"};
  struct json *json = &parse->json;
  struct json_string name, ignored;
  unsigned seen = 0;
  for (bool first = true; json_member(json, &first, &name);) {
    int index = find_name(&name, names, sizeof names / sizeof *names);
    if (!note(&seen, index)) return false;
    if (json->is_null) continue;
    bool good = index == 0   ? json_count(json, 0xffffffff, &parse->uid)
                : index == 1 ? json_count(json, 0xffffffff, &parse->gid)
                : index == 2 ? json_count(json, 0777, &parse->umask)
                : index == 3 ? parse_groups(parse)
                             : json_string(json, &ignored);
    if (!good) return false;
  }
  return true;
}

static bool parse_size(struct parse *parse) {
  static const char *const names[] = {"height", "width"};
  struct json_string name;
  unsigned seen = 0;
  for (bool first = true; json_member(&parse->json, &first, &name);) {
    int index = find_name(&name, names, 2);
    if (!note(&seen, index) || parse->json.is_null) return false;
    if (!json_count(&parse->json, 0xffff, index == 0 ? &parse->height : &parse->width))
      return false;
  }
  return seen == 3;
}

bool add_argument(struct parse *parse, const struct json_string *argument) {
  if (parse->argv.used > 0) append(&parse->title, " ", 1);
  separate(&parse->argv);
  append_quoted(&parse->argv, argument->bytes, argument->length);
  append(&parse->title, argument->bytes, argument->length);
  return true;
}

static bool parse_args(struct parse *parse) {
  struct json_string argument;
  for (bool first = true; json_element(&parse->json, &first);) {
    if (!json_string(&parse->json, &argument) || !add_argument(parse, &argument)) return false;
  }
  return parse->argv.used > 0;
}

bool add_variable(struct parse *parse, const struct json_string *entry) {
  const char *equals = memchr(entry->bytes, '=', entry->length);
  if (equals == NULL || equals == entry->bytes) return false;
  if (parse->variables == NULL) {
    parse->variables = calloc(MOST_VARIABLES, sizeof *parse->variables);
    if (parse->variables == NULL) return false;
  }
  struct variable variable = {*entry, (size_t)(equals - entry->bytes), 5381};
  for (size_t i = 0; i < variable.name_length; i++) {
    variable.hash = variable.hash * 33 + (unsigned char)entry->bytes[i];
  }
  for (int i = 0; i < parse->variable_count; i++) {
    struct variable *other = &parse->variables[i];
    if (other->hash == variable.hash && other->name_length == variable.name_length &&
        memcmp(other->entry.bytes, entry->bytes, variable.name_length) == 0) {
      other->entry = *entry;
      return true;
    }
  }
  if (parse->variable_count == MOST_VARIABLES) return false;
  parse->variables[parse->variable_count++] = variable;
  return true;
}

static bool parse_env(struct parse *parse) {
  struct json_string entry;
  for (bool first = true; json_element(&parse->json, &first);) {
    if (!json_string(&parse->json, &entry) || !add_variable(parse, &entry)) return false;
  }
  return true;
}

bool add_capability(unsigned long long *set, const struct json_string *name) {
  const size_t count = sizeof capability_names / sizeof *capability_names;
  int number = find_name(name, capability_names, count);
  if (number >= 0) *set |= 1ULL << number;
  return number >= 0;
}

static bool parse_set(struct parse *parse, unsigned long long *set) {
  struct json_string name;
  for (bool first = true; json_element(&parse->json, &first);) {
    if (!json_string(&parse->json, &name) || !add_capability(set, &name)) return false;
  }
  return true;
}

static bool parse_capabilities(struct parse *parse) {
  struct json_string name;
  unsigned seen = 0;
  for (bool first = true; json_member(&parse->json, &first, &name);) {
    int index = find_name(&name, set_names, SETS);
    if (!note(&seen, index)) return false;
    if (!parse->json.is_null && !parse_set(parse, &parse->sets[index])) return false;
  }
  return true;
}

/*
 * The Sentry's JSON numbers are exact up to 2^53. A value close to 2^64 means that there is no
 * limit.
 */
static bool append_limit(struct text *text, unsigned long long value) {
  if (value >= ~0ULL - 1023) {
    append(text, "null", 4);
    return true;
  }
  append_format(text, "%llu", value);
  return value <= 1ULL << 53;
}

static bool parse_limit(struct parse *parse) {
  static const char *const names[] = {"type", "soft", "hard"};
  struct json *json = &parse->json;
  struct json_string name, type;
  unsigned long long soft = 0, hard = 0;
  unsigned seen = 0;
  for (bool first = true; json_member(json, &first, &name);) {
    int index = find_name(&name, names, 3);
    if (!note(&seen, index) || json->is_null) return false;
    bool good = index == 0   ? json_string(json, &type)
                : index == 1 ? json_count(json, ~0ULL, &soft)
                             : json_count(json, ~0ULL, &hard);
    if (!good) return false;
  }
  if (seen != 7 || soft > hard) return false;
  int number = find_name(&type, limit_names, sizeof limit_names / sizeof *limit_names);
  if (!note(&parse->limits_seen, number)) return false;
  separate(&parse->limits);
  append_format(&parse->limits, "[%d,", number);
  bool good = append_limit(&parse->limits, soft);
  append(&parse->limits, ",", 1);
  good = append_limit(&parse->limits, hard) && good;
  append(&parse->limits, "]", 1);
  return good;
}

static bool parse_limits(struct parse *parse) {
  for (bool first = true; json_element(&parse->json, &first);) {
    if (!parse_limit(parse)) return false;
  }
  return true;
}

static bool parse_label(struct parse *parse, const char *harmless, bool *ignored) {
  struct json_string label;
  if (!json_string(&parse->json, &label)) return false;
  *ignored = label.length > 0 && !is(&label, harmless);
  return true;
}

enum member {
  TERMINAL,
  CONSOLE_SIZE,
  USER,
  ARGS,
  ENV,
  CWD,
  CAPABILITIES,
  RLIMITS,
  NO_NEW_PRIVILEGES,
  APPARMOR,
  SELINUX,
  OOM
};

static bool parse_member(struct parse *parse, int member) {
  struct json *json = &parse->json;
  switch (member) {
    case TERMINAL:
      return json_boolean(json, &parse->has_terminal);
    case CONSOLE_SIZE:
      return parse_size(parse);
    case USER:
      return parse_user(parse);
    case ARGS:
      return parse_args(parse);
    case ENV:
      return parse_env(parse);
    case CWD:
      return json_string(json, &parse->cwd) && parse->cwd.length > 0 && parse->cwd.bytes[0] == '/';
    case CAPABILITIES:
      return parse_capabilities(parse);
    case RLIMITS:
      return parse_limits(parse);
    case NO_NEW_PRIVILEGES:
      return json_boolean(json, &parse->no_new_privileges);
    case APPARMOR:
      return parse_label(parse, "unconfined", &parse->apparmor);
    case SELINUX:
      return parse_label(parse, "", &parse->selinux);
    default:
      return json_integer(json, &parse->oom_negative, &parse->oom) && parse->oom <= 1000;
  }
}

static bool parse_members(struct parse *parse) {
  static const char *const names[] = {"terminal",
                                      "consoleSize",
                                      "user",
                                      "args",
                                      "env",
                                      "cwd",
                                      "capabilities",
                                      "rlimits",
                                      "noNewPrivileges",
                                      "apparmorProfile",
                                      "selinuxLabel",
                                      "oomScoreAdj"};
  struct json_string name;
  for (bool first = true; json_member(&parse->json, &first, &name);) {
    int member = find_name(&name, names, sizeof names / sizeof *names);
    if (!note(&parse->seen, member)) return false;
    if (!parse->json.is_null && !parse_member(parse, member)) return false;
  }
  return !parse->json.failed && parse->argv.used > 0 && parse->cwd.length > 0;
}

static bool parse_document(struct parse *parse) {
  return parse_members(parse) && json_at_end(&parse->json);
}

/* All other members of config.json were judged by `runts create`. */
static bool parse_config(struct parse *parse) {
  struct json_string name;
  bool found = false;
  for (bool first = true; json_member(&parse->json, &first, &name);) {
    bool is_process = is(&name, "process");
    if (is_process && (found || parse->json.is_null)) return false;
    found = found || is_process;
    if (parse->json.is_null) continue;
    if (!(is_process ? parse_members(parse) : json_skip(&parse->json))) return false;
  }
  return found && json_at_end(&parse->json);
}

/* ---- the request ---- */

static void append_array(struct text *request, const char *name, const struct text *elements) {
  append_format(request, "\"%s\":[", name);
  append(request, elements->bytes, elements->used);
  append(request, "],", 2);
  request->failed |= elements->failed;
}

static void append_sets(struct text *request, const unsigned long long *sets) {
  append_format(request, "\"capabilities\":{");
  for (int i = 0; i < SETS; i++) {
    append_format(request, "%s\"%s\":{\"lo\":%llu,\"hi\":%llu}", i == 0 ? "" : ",", set_names[i],
                  sets[i] & 0xffffffff, sets[i] >> 32);
  }
  append(request, "},", 2);
}

static void write_request(const struct parse *parse, const char *id, struct process_plan *plan) {
  struct text *request = &plan->request;
  append_format(request, REQUEST_START_EXEC);
  append_quoted(request, id, strlen(id));
  append_format(request, ",\"process\":{");
  append_array(request, "argv", &parse->argv);
  append_format(request, "\"env\":[");
  for (int i = 0; i < parse->variable_count; i++) {
    const struct json_string *entry = &parse->variables[i].entry;
    if (i > 0) append(request, ",", 1);
    append_quoted(request, entry->bytes, entry->length);
  }
  append_format(request, "],\"cwd\":");
  append_quoted(request, parse->cwd.bytes, parse->cwd.length);
  append_format(request, ",\"user\":{\"uid\":%llu,\"gid\":%llu,\"groups\":[", parse->uid,
                parse->gid);
  append(request, parse->groups.bytes, parse->groups.used);
  append_format(request, "]},\"umask\":%llu,", parse->umask);
  append_sets(request, parse->sets);
  append_array(request, "limits", &parse->limits);
  append_format(request, "\"addsHome\":true,\"noNewPrivileges\":%s,\"oomScoreAdjustment\":%d",
                parse->no_new_privileges ? "true" : "false", plan->oom_score_adj);
  if (plan->terminal) {
    append_format(request,
                  ",\"terminal\":{\"streams\":[true,true,true],"
                  "\"window\":{\"rows\":%d,\"columns\":%d}}",
                  plan->rows, plan->columns);
  }
  append(request, "}}\n", 3);
  request->failed |= parse->groups.failed;
}

static bool finish(struct parse *parse, const char *id, const struct window *own,
                   struct process_plan *plan) {
  unsigned long long *sets = parse->sets;
  if ((sets[EFFECTIVE] & ~sets[PERMITTED]) != 0) return false;
  sets[AMBIENT] &= sets[PERMITTED] & sets[INHERITABLE];
  plan->terminal = parse->has_terminal;
  plan->rows = own->given ? own->rows : (int)parse->height;
  plan->columns = own->given ? own->columns : (int)parse->width;
  plan->oom_score_adj = parse->oom_negative ? -(int)parse->oom : (int)parse->oom;
  plan->ignores_apparmor = parse->apparmor;
  plan->ignores_selinux = parse->selinux;
  write_request(parse, id, plan);
  append(&parse->title, "", 1);
  plan->title = parse->title;
  parse->title = (struct text){0};
  return !plan->request.failed && !plan->title.failed;
}

static bool end(struct parse *parse, bool good, const char *id, const struct window *own,
                struct process_plan *plan) {
  good = good && finish(parse, id, own, plan);
  free(parse->variables);
  free(parse->groups.bytes);
  free(parse->argv.bytes);
  free(parse->title.bytes);
  free(parse->limits.bytes);
  return good;
}

bool plan_process(const char *id, char *text, size_t length, const struct window *own,
                  struct process_plan *plan) {
  struct parse parse = {.json = {.at = text, .end = text + length}, .umask = DEFAULT_UMASK};
  memset(plan, 0, sizeof *plan);
  return end(&parse, parse_document(&parse), id, own, plan);
}

bool plan_changed_process(const char *id, char *text, size_t length, const struct window *own,
                          const struct process_changes *changes, struct process_plan *plan) {
  struct parse parse = {.json = {.at = text, .end = text + length}, .umask = DEFAULT_UMASK};
  memset(plan, 0, sizeof *plan);
  /* `runts create` has warned of these properties of config.json already. */
  bool good =
      parse_config(&parse) && apply_changes(&parse, changes) && !parse.apparmor && !parse.selinux;
  return end(&parse, good, id, own, plan);
}

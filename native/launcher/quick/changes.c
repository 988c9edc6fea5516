// SPDX-License-Identifier: Apache-2.0
/*
 * Changes the process of config.json by the options of `runts exec`, as runts/commands/exec.ts
 * does. test/native/quick-parse.test.ts compares the two.
 */
#include <stdlib.h>
#include <string.h>

#include "launcher/quick/process.h"

/*
 * Takes an argument of the command line. False where it is no UTF-8: Node would replace such bytes.
 */
static bool take_text(const char *argument, struct json_string *text) {
  size_t length = strlen(argument);
  for (size_t at = 0; at < length;) {
    size_t step = utf8_length(argument + at, length - at);
    if (step == 0) return false;
    at += step;
  }
  *text = (struct json_string){(char *)argument, length};
  return true;
}

/*
 * Takes an id of at most nine digits that is followed by the character `end`. Returns what follows,
 * or NULL.
 */
static const char *take_id(const char *text, char end, unsigned long long *id) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 9 || text[digits] != end) return NULL;
  *id = strtoull(text, NULL, 10);
  return text + digits + (end != 0);
}

static bool change_user(struct parse *parse, const char *user) {
  const char *group = strchr(user, ':');
  if (group == NULL) return take_id(user, 0, &parse->uid) != NULL;
  return take_id(user, ':', &parse->uid) == group + 1 && take_id(group + 1, 0, &parse->gid) != NULL;
}

static bool add_groups(struct parse *parse, const struct option_values *groups) {
  for (int i = 0; i < groups->count; i++) {
    unsigned long long group;
    if (take_id(groups->list[i], 0, &group) == NULL) return false;
    append_format(&parse->groups, parse->groups.used > 0 ? ",%llu" : "%llu", group);
  }
  return true;
}

/*
 * Adds capabilities to the sets to which runc adds them: to all but the inheritable and the ambient
 * one.
 */
static bool add_capabilities(struct parse *parse, const struct option_values *names) {
  static const int changed[] = {BOUNDING, EFFECTIVE, PERMITTED};
  for (int i = 0; i < names->count; i++) {
    const struct json_string name = {(char *)names->list[i], strlen(names->list[i])};
    for (size_t k = 0; k < sizeof changed / sizeof *changed; k++) {
      if (!add_capability(&parse->sets[changed[k]], &name)) return false;
    }
  }
  return true;
}

static bool change_arguments(struct parse *parse, const char *const *arguments) {
  parse->argv.used = 0;
  parse->title.used = 0;
  for (; *arguments != NULL; arguments++) {
    struct json_string text;
    if (!take_text(*arguments, &text) || !add_argument(parse, &text)) return false;
  }
  return parse->argv.used > 0;
}

static bool change_variables(struct parse *parse, const struct option_values *variables) {
  for (int i = 0; i < variables->count; i++) {
    struct json_string text;
    if (!take_text(variables->list[i], &text) || !add_variable(parse, &text)) return false;
  }
  return true;
}

bool apply_changes(struct parse *parse, const struct process_changes *changes) {
  parse->has_terminal = changes->terminal;
  if (changes->no_new_privileges) parse->no_new_privileges = true;
  if (changes->cwd != NULL && (changes->cwd[0] != '/' || !take_text(changes->cwd, &parse->cwd))) {
    return false;
  }
  if (changes->user != NULL && !change_user(parse, changes->user)) return false;
  return change_arguments(parse, changes->arguments) && change_variables(parse, &changes->env) &&
         add_groups(parse, &changes->groups) && add_capabilities(parse, &changes->capabilities);
}

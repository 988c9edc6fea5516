/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c and changes.c: the process to start, between the document that describes it and the
 * request to the Sentry.
 */
#ifndef RUNTS_PROCESS_H
#define RUNTS_PROCESS_H

#include "launcher/quick/json.h"
#include "launcher/quick/quick.h"

enum { BOUNDING, EFFECTIVE, INHERITABLE, PERMITTED, AMBIENT, SETS };

struct variable {
  struct json_string entry;
  size_t name_length;
  unsigned hash;
};

struct parse {
  struct json json;
  unsigned seen; /* bits of the members that the document had so far */
  bool has_terminal;
  unsigned long long uid, gid, umask;
  struct text groups, argv, title, limits;
  struct json_string cwd;
  unsigned long long sets[SETS];
  unsigned limits_seen;
  bool no_new_privileges;
  bool oom_negative;
  unsigned long long oom;
  unsigned long long height, width;
  bool apparmor, selinux;
  struct variable *variables;
  int variable_count;
};

/* False where a value cannot be taken. */
bool add_argument(struct parse *parse, const struct json_string *argument);
/*
 * Adds "NAME=VALUE". A variable that is named twice keeps its first place and its last value, as
 * with runc.
 */
bool add_variable(struct parse *parse, const struct json_string *entry);
/* Adds the capability "CAP_..." to one of the sets. */
bool add_capability(unsigned long long *set, const struct json_string *name);

/* changes.c: changes the process as runts/commands/exec.ts does. */
bool apply_changes(struct parse *parse, const struct process_changes *changes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick path: the verbs that engines call most (state, start, kill, delete, exec, ps, pause,
 * resume), carried out without Node, whose boot alone takes longer. See README.md here.
 *
 * The quick path handles plain cases only. Where it does not understand something with certainty
 * (an option, a record, a state of the container in which the command fails) it runs Node instead,
 * before it has changed anything: fall_back().
 */
#ifndef RUNTS_QUICK_H
#define RUNTS_QUICK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "launcher/text.h"
#include "protocol.h"

/*
 * Runs a quick verb. `arguments` are NAME SLOW... -- ARGUMENT...: the command to fall back to, and
 * the user's arguments, which are added to that command. Returns an exit code unless it falls back.
 */
int quick_main(int count, char **arguments);

/*
 * The same for the one-file build (native/single-file/): `arguments` are the user's, and it falls
 * back to its own file.
 */
int quick_alone(int count, char **arguments);

/* ---- call.c ---- */

/* The command line: the options before the verb, and the arguments after it. */
struct call {
  const char *root; /* of the containers' states */
  const char *log;  /* or NULL */
  bool log_json;
  const char *verb;
  char **arguments; /* after the verb; NULL ends them */
};

/* Runs the command with Node: this process is replaced. */
void fall_back(void) __attribute__((noreturn));

/*
 * Returns a descriptor of the log, which is opened (and made, as Node makes it) at the first use;
 * -1 without --log.
 */
int open_log(const struct call *call);

/*
 * For a command that has failed where Node could not do better: to the log, with its family
 * (runts/errors.ts), and the user. Answers `status`, the exit code.
 */
int refuse(const struct call *call, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * An option of a verb: "--name VALUE", "--name=VALUE", or "--name" where `takes_value` is not set.
 */
struct option_values {
  const char **list; /* room for as many as there are arguments */
  int count;
};

struct option_spec {
  const char *name;   /* with its dashes */
  const char *letter; /* "-x", or NULL */
  bool takes_value;
  const char **value;        /* gets the value, or the name of an option without one; may be NULL */
  struct option_values *all; /* instead of `value`, for an option that may be repeated */
};

/*
 * Takes options apart. Up to `most` other arguments go to `others`; returns their number. With
 * `positional` nothing after the first other argument is an option. Falls back where the arguments
 * are not that simple.
 */
int take_options(char **arguments, const struct option_spec *specs, const char **others, int most,
                 bool positional);

/* ---- preboot.c ---- */

/*
 * Becomes `program`, and tells it to make a preboot, with the Gofer's program alone where no Sentry
 * will be started. Returns where that is not possible.
 */
void start_with_preboot(const char *program, char **command, bool gofer_only);

/* ---- pod.c ---- */

/* Whether the container to be made most likely joins the running sandbox of a pod. */
bool joins_sandbox(const struct call *call);
/*
 * Returns the sandbox that the annotations of a config.json name for a container that is not the
 * sandbox itself, or NULL. `text` has a 0 after its end, and is written to.
 */
const char *joined_sandbox(char *text, size_t length);

/* ---- record.c ---- */

enum hook { HOOK_START_CONTAINER = 1, HOOK_POSTSTART = 2, HOOK_POSTSTOP = 4 };

struct record_cgroup {
  const char *path;
  bool owned;
};

/* A quick record (protocol/state-files.ts); runts/oci/state/quick-record.ts writes it. */
struct record {
  char *bytes; /* the file's; the strings below point into them */
  int directory;
  const char *id;
  pid_t front;
  unsigned long long front_start;
  unsigned hooks;
  int freezer_version; /* 0: none */
  const char *freezer;
  bool has_unit;
  const char *sandbox;
  const char *bundle;
  struct record_cgroup cgroups[QUICK_CGROUPS];
  int cgroup_count;
  const char *before, *after; /* the document of `runts state` around pid and status, or NULL */
  size_t before_length, after_length;
};

/*
 * Loads a container's quick record. False where there is none, or none that is understood. Checks
 * `id` too.
 */
bool load_record(const struct call *call, const char *id, struct record *record);
/* Parses the text of a quick record, which has a 0 after its end. */
bool parse_record(struct record *record, char *bytes, size_t length);
bool is_valid_id(const char *id);

/* Writes ROOT/ID to `path`. False where it does not fit. */
bool container_path(const struct call *call, const char *id, char *path, size_t room);

/* ---- status.c ---- */

enum status { STATUS_STOPPED, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED };

bool is_alive(const struct record *record);
enum status find_status(const struct record *record);
/* Reads a small file, without the white space at its end. False where it cannot be read. */
bool read_small(const char *directory, const char *name, char *text, size_t room);
bool is_frozen(const struct record *record);

/* ---- the verbs: each takes the call, and answers an exit code or falls back ---- */

int quick_state(const struct call *call);
int quick_start(const struct call *call);
int quick_kill(const struct call *call);
int quick_delete(const struct call *call);
int quick_ps(const struct call *call);
int quick_pause(const struct call *call);
int quick_resume(const struct call *call);
int quick_exec(const struct call *call);

/* The number of the signal that `text` names (verbs.c); 0 where the quick path does not know it. */
int parse_signal(const char *text);

/* Writes to standard output. Returns an exit code. */
int print(const char *bytes, size_t length);

/* ---- exec.c ---- */

/* The memory of the arguments, where the front of an exec writes its title. */
extern char *arguments_start;
extern const char *arguments_end;

/* ---- process.c ---- */

struct process_plan {
  struct text request; /* the line for the Sentry: ConnectionRequest of protocol/control.ts */
  struct text title;   /* the arguments, with a 0 after them */
  bool terminal;
  int rows, columns; /* of the terminal */
  int oom_score_adj;
  bool ignores_apparmor, ignores_selinux; /* warnings */
};

/* The size of the caller's terminal, where the process uses it. */
struct window {
  bool given;
  int rows, columns;
};

/* Options of `runts exec` that change the process of the container's config.json. */
struct process_changes {
  const char *const *arguments; /* NULL ends them */
  const char *cwd, *user;       /* or NULL */
  struct option_values env, groups, capabilities;
  bool terminal, no_new_privileges;
};

/*
 * Makes the plan that planProcess(parseProcess(text)) of runts/oci makes of process.json. False for
 * every text that those would refuse, and for those that are not simple enough. `text` has a 0
 * after its end, and is written to.
 */
bool plan_process(const char *id, char *text, size_t length, const struct window *own,
                  struct process_plan *plan);
/* The same for the process of a config.json, with the changes that runts/commands/exec.ts makes. */
bool plan_changed_process(const char *id, char *text, size_t length, const struct window *own,
                          const struct process_changes *changes, struct process_plan *plan);

#endif

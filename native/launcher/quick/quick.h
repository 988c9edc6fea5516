/*
 * The quick path: what engines ask for most (state, start, kill, delete, exec, ps, pause, resume), answered without
 * Node, which takes longer to boot than all of it. README.md here.
 *
 * It holds the straight ways only. Whatever it does not understand with certainty (an option, a record, a state of the
 * container in which the command fails) it leaves to Node, before it has changed anything: fall_back().
 */
#ifndef RUNTS_QUICK_H
#define RUNTS_QUICK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "launcher/text.h"

/*
 * `arguments` are NAME SLOW... -- ARGUMENT...: the command to fall back to, and the user's arguments, which are added to it.
 * Returns an exit code, if at all.
 */
int quick_main(int count, char **arguments);

/* For the one-file build (native/single-file/): `arguments` are the process's own, what to fall back to is the file. */
int quick_alone(int count, char **arguments);

/* ---- call.c ---- */

/* What stands before and after the verb. */
struct call {
  const char *root; /* of the containers' states */
  const char *log;  /* or NULL */
  bool log_json;
  const char *verb;
  char **arguments; /* after the verb; NULL ends them */
};

/* Runs the command with Node: this process is replaced. */
void fall_back(void) __attribute__((noreturn));

/* Opened at the first use, and made as Node would. Answers -1 where there is none. */
int open_log(const struct call *call);

/*
 * For a command that has failed where Node could not do better: to the log, with its family (runts/errors.ts), and the user.
 * Answers `status`, the exit code.
 */
int refuse(const struct call *call, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* An option of a verb: "--name VALUE", "--name=VALUE", or "--name" where `takes_value` is not set. */
struct option_values {
  const char **list; /* room for as many as there are arguments */
  int count;
};

struct option_spec {
  const char *name;   /* with its dashes */
  const char *letter; /* "-x", or NULL */
  bool takes_value;
  const char **value; /* set to it, or to the option where it takes none; may be NULL: ignored */
  struct option_values *all; /* instead of `value`, for one that may be given again */
};

/*
 * Takes options apart, up to `most` others go to `others`; answers their number. With `positional` what follows the first
 * of these is no option any more. Falls back on everything that is not that simple.
 */
int take_options(char **arguments, const struct option_spec *specs, const char **others, int most,
                 bool positional);

/* ---- preboot.c ---- */

/* Becomes `program`, which is to make one. Returns where that is not possible. */
void start_with_preboot(const char *program, char **command);

/* ---- record.c ---- */

enum { QUICK_CGROUPS = 20 };

enum hook { HOOK_START_CONTAINER = 1, HOOK_POSTSTART = 2, HOOK_POSTSTOP = 4 };

struct record_cgroup {
  const char *path;
  bool owned;
};

/* Twin of runts/oci/state/quick-record.ts. */
struct record {
  char *bytes; /* of the file: what follows points into it */
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
  const char *before, *after; /* of `runts state`, or NULL */
  size_t before_length, after_length;
};

/* False where there is none, or none that can be understood. `id` is checked. */
bool load_record(const struct call *call, const char *id, struct record *record);
/* From the text of the file, with a 0 after it. */
bool parse_record(struct record *record, char *bytes, size_t length);
bool is_valid_id(const char *id);

/* ROOT/ID. False where that is too long. */
bool container_path(const struct call *call, const char *id, char *path, size_t room);

/* ---- status.c ---- */

enum status { STATUS_STOPPED, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED };

bool is_alive(const struct record *record);
enum status find_status(const struct record *record);
/* What a small file says, without white space at its end: false where it cannot be read. */
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

/* To standard output. Answers an exit code. */
int print(const char *bytes, size_t length);

/* ---- exec.c ---- */

/* The arguments' memory, for the title of an exec's front. */
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

/* Where the terminal is the caller's own its size is that one's. */
struct window {
  bool given;
  int rows, columns;
};

/* What `runts exec` is told of a process beside a document, which then is the container's config.json. */
struct process_changes {
  const char *const *arguments; /* NULL ends them */
  const char *cwd, *user;       /* or NULL */
  struct option_values env, groups, capabilities;
  bool terminal, no_new_privileges;
};

/*
 * process.json as planProcess(parseProcess(text)) of runts/oci has it: false for every text that this would refuse, or
 * that is not simple enough. `text` has a 0 after it, and is written to.
 */
bool plan_process(const char *id, char *text, size_t length, const struct window *own,
                  struct process_plan *plan);
/* The same for the process of a config.json, as runts/commands/exec.ts changes it. */
bool plan_changed_process(const char *id, char *text, size_t length, const struct window *own,
                          const struct process_changes *changes, struct process_plan *plan);

#endif

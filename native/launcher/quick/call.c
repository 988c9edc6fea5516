// SPDX-License-Identifier: Apache-2.0
/*
 * The command line of a quick verb, and falling back to Node.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "launcher/quick/nursery.h"
#include "launcher/quick/quick.h"

static const char *slow_program;
static char **slow_command; /* the whole command, the user's arguments included */
static size_t slow_words;   /* of it, those before the user's arguments */

char *arguments_start;
const char *arguments_end;

/* Starts Node with a preboot where the verb starts a sandbox. Returns where it does not. */
static void start_sandbox(const struct call *call) {
  bool is_container = strcmp(call->verb, "create") == 0 || strcmp(call->verb, "run") == 0;
  if (!is_container && strcmp(call->verb, "do") != 0) return;
  if (strcmp(call->verb, "create") == 0)
    create_in_nursery(call, slow_program, slow_command, slow_words);
  start_with_preboot(slow_program, slow_command, is_container && joins_sandbox(call));
}

void fall_back(void) {
  execv(slow_program, slow_command);
  fprintf(stderr, "runts: cannot start %s: %s\n", slow_program, strerror(errno));
  _exit(127);
}

int print(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t wrote = write(1, bytes, length);
    if (wrote < 0 && errno == EINTR) continue;
    /* Where nobody reads, the exit code is that of a process which SIGPIPE ended. */
    if (wrote < 0) return errno == EPIPE ? 141 : 125;
    bytes += wrote;
    length -= (size_t)wrote;
  }
  return 0;
}

int open_log(const struct call *call) {
  static int fd = -1;
  if (call->log == NULL || fd >= 0) return fd;
  fd = open(call->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0) fall_back();
  return fd;
}

/* Lowers the first letter of each error text, as inGoWords() of runts/oci/context.ts does. */
static void put_in_go_words(char *text) {
  static const int errors[] = {ENOENT, EACCES, EPERM,  ENOTDIR, EISDIR, ENOSPC, EROFS,  ELOOP,
                               ENOMEM, EAGAIN, EMFILE, EINVAL,  EBUSY,  ENODEV, ERANGE, EOPNOTSUPP};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    char *found = strstr(text, strerror(errors[i]));
    if (found != NULL) *found = (char)tolower((unsigned char)*found);
  }
}

int refuse(const struct call *call, int status, const char *code, const char *format, ...) {
  char text[8192], line[8300];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  put_in_go_words(text);
  write_log(open_log(call), call->log_json, "error", text, code);
  for (char *at = text; *at != 0; at++) {
    if ((unsigned char)*at < ' ' || *at == 0x7f) *at = ' ';
  }
  int length = snprintf(line, sizeof line, "runts: %s\n", text);
  if (write(2, line, (size_t)length) < 0) return status;
  return status;
}

/* ---- options ---- */

/* Whether `word` is the option, alone or with "=VALUE", to which `value` then points. */
static bool is_option(const char *word, const struct option_spec *spec, const char **value) {
  size_t length = strlen(spec->name);
  *value = NULL;
  if (spec->letter != NULL && strcmp(word, spec->letter) == 0) return true;
  if (strncmp(word, spec->name, length) != 0) return false;
  if (word[length] == 0) return true;
  *value = word + length + 1;
  return word[length] == '=' && spec->takes_value;
}

/* Takes one option and returns the number of its words. */
static int take_option(char **words, const struct option_spec *specs) {
  for (const struct option_spec *spec = specs; spec->name != NULL; spec++) {
    const char *value;
    if (!is_option(words[0], spec, &value)) continue;
    int count = 1;
    if (!spec->takes_value) {
      value = spec->name;
    } else if (value == NULL) {
      value = words[count++];
    }
    /*
     * A value that is missing or looks like an option is left to Node, which has the messages for
     * it.
     */
    if (value == NULL || value[0] == 0 || (spec->takes_value && value[0] == '-')) fall_back();
    if (spec->value != NULL) *spec->value = value;
    if (spec->all != NULL) spec->all->list[spec->all->count++] = value;
    return count;
  }
  fall_back();
}

int take_options(char **arguments, const struct option_spec *specs, const char **others, int most,
                 bool positional) {
  int count = 0;
  while (*arguments != NULL) {
    if ((*arguments)[0] == '-' && !(positional && count > 0)) {
      arguments += take_option(arguments, specs);
    } else {
      if (count == most) fall_back();
      others[count++] = *arguments++;
    }
  }
  return count;
}

/* ---- what stands before the verb: runts/oci/context.ts ---- */

/* Whether the caller is in a user namespace: only the first one has all ids, as themselves. */
static bool is_in_user_namespace(void) {
  unsigned inside, outside, count;
  FILE *file = fopen("/proc/self/uid_map", "re");
  if (file == NULL) return false;
  bool is_read = fscanf(file, "%u %u %u", &inside, &outside, &count) == 3;
  fclose(file);
  return is_read && !(inside == 0 && outside == 0 && count == UINT_MAX);
}

/* userRuntimeDirectory() of runts/oci/caller.ts */
static const char *user_runtime_directory(void) {
  const char *directory = getenv("XDG_RUNTIME_DIR"), *user = getenv("USER");
  if (directory == NULL || directory[0] == 0) return NULL;
  if (geteuid() != 0) return directory;
  if (!is_in_user_namespace() || (user != NULL && strcmp(user, "root") == 0)) return NULL;
  return directory;
}

static const char *default_root(void) {
  const char *directory = user_runtime_directory();
  char *root;
  if (directory == NULL) return "/run/runts";
  if (asprintf(&root, "%s/runts", directory) < 0) fall_back();
  return root;
}

static bool is_any(const char *text, const char *const *words) {
  while (*words != NULL && strcmp(text, *words) != 0) words++;
  return *words != NULL;
}

/*
 * Whether the path has a step '..': Node resolves it by the text of the path, the kernel by the
 * directories.
 */
static bool has_parent_step(const char *path) {
  for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2) {
    if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == 0)) return true;
  }
  return false;
}

/* Takes the options before the verb. Returns where the verb is. */
static char **take_globals(char **arguments, struct call *call) {
  const char *format = "text", *rootless = "auto";
  const struct option_spec specs[] = {
      {"--root", NULL, true, &call->root, NULL},
      {"--log", NULL, true, &call->log, NULL},
      {"--log-format", NULL, true, &format, NULL},
      {"--debug", NULL, false, NULL, NULL},
      {"--systemd-cgroup", NULL, false, NULL, NULL},
      {"--rootless", NULL, true, &rootless, NULL},
      {"--criu", NULL, true, NULL, NULL},
      {"--network", NULL, true, NULL, NULL},
      {"--platform", NULL, true, NULL, NULL},
      {0},
  };
  static const char *const formats[] = {"text", "json", NULL};
  static const char *const answers[] = {"auto", "true", "false", NULL};
  while (*arguments != NULL && (*arguments)[0] == '-') arguments += take_option(arguments, specs);
  if (!is_any(format, formats) || !is_any(rootless, answers)) fall_back();
  call->log_json = strcmp(format, "json") == 0;
  if (call->root == NULL) call->root = default_root();
  if (has_parent_step(call->root)) fall_back();
  return arguments;
}

static const struct verb {
  const char *name;
  int (*run)(const struct call *call);
} verbs[] = {
    {"state", quick_state},   {"start", quick_start},   {"kill", quick_kill},
    {"delete", quick_delete}, {"exec", quick_exec},     {"ps", quick_ps},
    {"pause", quick_pause},   {"resume", quick_resume},
};

/*
 * Splits NAME SLOW... -- ARGUMENT... into the command to fall back to and the user's arguments,
 * which it returns.
 */
static char **split(int count, char **arguments) {
  int separator = 1;
  while (separator < count && strcmp(arguments[separator], "--") != 0) separator++;
  if (separator == count || separator == 1) {
    fprintf(stderr, "runts: launcher quick: the other command is missing\n");
    _exit(125);
  }
  slow_command = calloc((size_t)count, sizeof *slow_command);
  if (slow_command == NULL) _exit(125);
  int slow = 0;
  for (int i = 1; i < count; i++) {
    if (i != separator) slow_command[slow++] = arguments[i];
  }
  slow_program = slow_command[0];
  slow_words = (size_t)separator - 1;
  return arguments + separator + 1;
}

/*
 * Notes where arguments and environment lie, one behind the other: a title may cover both
 * (proc_pid_cmdline(5)).
 */
static void note_memory(const char *last) {
  arguments_start = program_invocation_name;
  arguments_end = last + strlen(last) + 1;
  for (char **variable = environ; *variable == arguments_end; variable++) {
    arguments_end += strlen(*variable) + 1;
  }
}

/*
 * Opens /dev/null for each standard stream that is closed, as Node does, so that no other file
 * takes its number.
 */
static void fill_streams(void) {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd < 3);
  if (fd >= 0) close(fd);
}

static int run(char **words, const char *last) {
  struct call call = {0};
  fill_streams();
  const char *wish = getenv("RUNTS_QUICK");
  if (wish != NULL && strcmp(wish, "0") == 0) fall_back();
  note_memory(last);
  words = take_globals(words, &call);
  if (*words == NULL) fall_back();
  call.verb = *words;
  call.arguments = words + 1;
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    if (strcmp(call.verb, verbs[i].name) == 0) return verbs[i].run(&call);
  }
  start_sandbox(&call);
  fall_back();
}

int quick_main(int count, char **arguments) {
  return run(split(count, arguments), arguments[count - 1]);
}

int quick_alone(int count, char **arguments) {
  slow_command = calloc((size_t)count + 1, sizeof *slow_command);
  if (slow_command == NULL) return 125;
  memcpy(slow_command, arguments, (size_t)count * sizeof *slow_command);
  slow_command[0] = "runts-cli";
  slow_words = 1;
  /* The file may have been renamed or removed since it was started. */
  slow_program = "/proc/self/exe";
  if (access(slow_program, X_OK) < 0) slow_program = (const char *)getauxval(AT_EXECFN);
  prctl(PR_SET_NAME, "runts");
  return run(arguments + 1, arguments[count - 1]);
}

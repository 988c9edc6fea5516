// SPDX-License-Identifier: Apache-2.0
/*
 * `runts exec`: does what runts/oci/exec.ts does; test/oci/quick.test.ts compares the two. This
 * process, or a child of it, becomes the front of the new one (container.c, front.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "launcher/quick/quick.h"

enum { LONGEST_PROCESS = 8 << 20, EXEC_FAILED = 255 };

struct exec {
  const struct call *call;
  const char *process, *detach, *pid_file, *console_socket;
  struct process_changes changes; /* where there is no `process` */
  struct record record;
  struct process_plan plan;
  int config, state_dir;
};

static void take_exec_options(struct exec *exec, const char **id) {
  const char *kept = "0", *terminal = NULL, *no_new_privileges = NULL;
  struct process_changes *changes = &exec->changes;
  int room = 1;
  while (exec->call->arguments[room - 1] != NULL) room++;
  const char **words = calloc((size_t)room * 4, sizeof *words);
  if (words == NULL) fall_back();
  changes->env.list = words + room;
  changes->groups.list = words + 2 * room;
  changes->capabilities.list = words + 3 * room;
  const struct option_spec specs[] = {
      {"--process", "-p", true, &exec->process, NULL},
      {"--detach", "-d", false, &exec->detach, NULL},
      {"--tty", "-t", false, &terminal, NULL},
      {"--env", "-e", true, NULL, &changes->env},
      {"--cwd", NULL, true, &changes->cwd, NULL},
      {"--user", "-u", true, &changes->user, NULL},
      {"--additional-gids", "-g", true, NULL, &changes->groups},
      {"--cap", "-c", true, NULL, &changes->capabilities},
      {"--no-new-privs", NULL, false, &no_new_privileges, NULL},
      {"--pid-file", NULL, true, &exec->pid_file, NULL},
      {"--console-socket", NULL, true, &exec->console_socket, NULL},
      {"--process-label", NULL, true, NULL, NULL},
      {"--apparmor", NULL, true, NULL, NULL},
      {"--preserve-fds", NULL, true, &kept, NULL},
      {"--cgroup", NULL, true, NULL, NULL},
      {"--ignore-paused", NULL, false, NULL, NULL},
      {0},
  };
  int count = take_options(exec->call->arguments, specs, words, room - 1, true);
  if (count == 0 || strcmp(kept, "0") != 0) fall_back();
  /*
   * Node ignores a command beside --process; here there must be none. A command that looks like an
   * option is left to Node.
   */
  if ((exec->process != NULL) != (count == 1) || (count > 1 && words[1][0] == '-')) fall_back();
  changes->terminal = terminal != NULL;
  changes->no_new_privileges = no_new_privileges != NULL;
  *id = words[0];
  changes->arguments = words + 1;
}

static char *read_process(const char *path, size_t *length) {
  struct stat stat;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  /* A pipe could not be read again by Node. */
  if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) fall_back();
  if (stat.st_size > LONGEST_PROCESS) fall_back();
  size_t size = (size_t)stat.st_size, used = 0;
  char *text = malloc(size + 1);
  if (text == NULL) fall_back();
  for (ssize_t got; used < size; used += (size_t)got) {
    if ((got = read(fd, text + used, size - used)) <= 0) fall_back();
  }
  close(fd);
  text[used] = 0;
  *length = used;
  return text;
}

/*
 * Returns the size of the caller's terminal where the process uses that terminal
 * (runts/terminal.ts).
 */
static struct window own_window(const struct exec *exec) {
  struct winsize size = {.ws_row = DEFAULT_ROWS, .ws_col = DEFAULT_COLUMNS};
  if (exec->console_socket != NULL) return (struct window){0};
  if (ioctl(0, TIOCGWINSZ, &size) < 0)
    size = (struct winsize){.ws_row = DEFAULT_ROWS, .ws_col = DEFAULT_COLUMNS};
  return (struct window){true, size.ws_row, size.ws_col};
}

static bool plan_changes(struct exec *exec, const struct window *own) {
  char path[4096];
  size_t length;
  int used = snprintf(path, sizeof path, "%s/config.json", exec->record.bundle);
  if ((size_t)used >= sizeof path) fall_back();
  char *text = read_process(path, &length);
  bool good = plan_changed_process(exec->record.id, text, length, own, &exec->changes, &exec->plan);
  free(text);
  return good;
}

static bool plan_file(struct exec *exec, const struct window *own) {
  size_t length;
  char *text = read_process(exec->process, &length);
  bool good = plan_process(exec->record.id, text, length, own, &exec->plan);
  free(text);
  return good;
}

static void make_plan(struct exec *exec) {
  struct window own = own_window(exec);
  if (!(exec->process == NULL ? plan_changes : plan_file)(exec, &own)) fall_back();
  bool has_console = exec->console_socket != NULL;
  if (exec->plan.terminal == has_console) return;
  if (has_console || exec->detach != NULL || !isatty(0)) fall_back();
}

static void open_descriptors(struct exec *exec) {
  char path[4096];
  const struct text *request = &exec->plan.request;
  exec->config = memfd_create("runts-config", MFD_CLOEXEC);
  if (exec->config < 0 ||
      write(exec->config, request->bytes, request->used) != (ssize_t)request->used ||
      lseek(exec->config, 0, SEEK_SET) != 0) {
    fall_back();
  }
  if (!container_path(exec->call, exec->record.sandbox, path, sizeof path)) fall_back();
  exec->state_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (exec->state_dir < 0 || faccessat(exec->state_dir, STATE_SOCKET_FILE, F_OK, 0) < 0)
    fall_back();
}

static void warn(const struct exec *exec, const char *property) {
  char text[4096 + 128];
  snprintf(text, sizeof text, "%s: %s is ignored: the Sentry, not the host, confines the container",
           exec->process, property);
  write_log(open_log(exec->call), exec->call->log_json, "warning", text, NULL);
}

/*
 * Writes the pid file as runts/oci/pid-file.ts does: under another name first, so that nobody reads
 * a part of it.
 */
static bool write_pid_file(const char *path, pid_t pid) {
  char temporary[4096 + 32];
  const char *slash = strrchr(path, '/');
  int parent = slash == NULL ? 0 : (int)(slash - path) + 1;
  int length = snprintf(temporary, sizeof temporary, "%.*s.%s.%d", parent, path, path + parent,
                        (int)getpid());
  if ((size_t)length >= sizeof temporary) {
    errno = ENAMETOOLONG;
    return false;
  }
  unlink(temporary);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  bool good = dprintf(fd, "%d", (int)pid) > 0;
  close(fd);
  if (good && rename(temporary, path) == 0) return true;
  int error = errno;
  unlink(temporary);
  errno = error;
  return false;
}

/* Does not return. */
static void become_front(struct exec *exec, int status) __attribute__((noreturn));
static void become_front(struct exec *exec, int status) {
  static struct options options;
  static char *no_environment[] = {NULL};
  struct container *container = &options.container;
  const struct record *record = &exec->record;
  init_options(&options);
  options.mode = MODE_EXEC;
  options.config_fd = exec->config;
  options.terminal = exec->plan.terminal;
  container->title = exec->plan.title.bytes;
  container->state_dir = exec->state_dir;
  container->status_fd = status;
  container->error_log_fd = open_log(exec->call);
  container->error_log_json = exec->call->log_json;
  container->oom_score_adj = exec->plan.oom_score_adj;
  container->is_foreground = status < 0;
  if (exec->console_socket != NULL) {
    container->console_socket = strdup(exec->console_socket);
    container->rows = exec->plan.rows;
    container->columns = exec->plan.columns;
  }
  for (int i = 0; i < record->cgroup_count; i++) {
    char *file;
    if (asprintf(&file, "%s/cgroup.procs", record->cgroups[i].path) < 0) _exit(125);
    container->cgroups[container->cgroup_count++] = file;
  }
  /* From here on nothing points into the arguments, and the title may take their place. */
  environ = no_environment;
  set_title(arguments_start, arguments_end, container->title);
  if (options.terminal && container->console_socket == NULL) remember_terminal();
  start_front(&options);
  _exit(125);
}

/* ---- the front as a child, left to whoever reaps our children (detach() of runts/oci) ---- */

/* Reads one line, or a part of a line that the end of the stream cuts off. */
static void read_line(int fd, char *line, size_t room) {
  size_t used = 0;
  while (used < room - 1) {
    ssize_t got = read(fd, line + used, room - 1 - used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    used += (size_t)got;
    if (memchr(line, '\n', used) != NULL) break;
  }
  line[used] = 0;
}

static int await_start(const struct exec *exec, int status, pid_t front) {
  char line[8192];
  read_line(status, line, sizeof line);
  char *newline = strchr(line, '\n');
  if (newline != NULL) *newline = 0;
  if (newline != NULL && strcmp(line, STATUS_WORD_STARTED) == 0) {
    if (exec->pid_file == NULL || write_pid_file(exec->pid_file, front)) return 0;
    return refuse(exec->call, EXEC_FAILED, "RUNTS_E_OPTION_FILE", "--pid-file: %s: %s",
                  exec->pid_file, strerror(errno));
  }
  const char *text = "the container's process ended before it was ready";
  int code, start = 0;
  if (newline != NULL && sscanf(line, STATUS_WORD_FAILED " %d %n", &code, &start) == 1 &&
      start > 0) {
    text = line + start;
  }
  return refuse(exec->call, EXEC_FAILED, "RUNTS_E_EXEC", "exec failed: %s", text);
}

static int detach(struct exec *exec) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) fall_back();
  pid_t front = fork();
  if (front < 0) fall_back();
  if (front == 0) {
    close(pair[0]);
    become_front(exec, pair[1]);
  }
  close(pair[1]);
  return await_start(exec, pair[0], front);
}

int quick_exec(const struct call *call) {
  static struct exec exec;
  const char *id;
  exec.call = call;
  take_exec_options(&exec, &id);
  if (!load_record(call, id, &exec.record)) fall_back();
  if (!is_alive(&exec.record) || is_frozen(&exec.record)) fall_back();
  make_plan(&exec);
  open_descriptors(&exec);
  open_log(call);
  if (exec.detach != NULL || exec.console_socket != NULL) {
    if (exec.plan.ignores_apparmor) warn(&exec, "apparmorProfile");
    if (exec.plan.ignores_selinux) warn(&exec, "selinuxLabel");
    return detach(&exec);
  }
  if (exec.pid_file != NULL && !write_pid_file(exec.pid_file, getpid())) fall_back();
  if (exec.plan.ignores_apparmor) warn(&exec, "apparmorProfile");
  if (exec.plan.ignores_selinux) warn(&exec, "selinuxLabel");
  become_front(&exec, -1);
}

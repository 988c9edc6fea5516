// SPDX-License-Identifier: Apache-2.0
/*
 * Host processes: signals, reaping; the command line's terminal.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "addon/addon.h"

/* kill(pid, signal) */
static napi_value Kill(napi_env env, napi_callback_info info) {
  ARGS(2);
  return answer(env, host(kill(arg_int(env, argv[0]), arg_int(env, argv[1]))));
}

/* waitAny(status: Int32Array) -> pid of a dead child, 0 if none is dead now, -ECHILD. Status in status[0]. */
static napi_value WaitAny(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span out = arg_span(env, argv[0]);
  int status = 0;
  pid_t pid = wait4(-1, &status, WNOHANG | __WALL, NULL);
  if (pid < 0) return answer(env, -errno);
  if (out.length >= sizeof status) memcpy(out.data, &status, sizeof status);
  return answer(env, pid);
}

/* exitNow(status): _exit(2), past everything Node would still do. */
static napi_value ExitNow(napi_env env, napi_callback_info info) {
  ARGS(1);
  _exit(arg_int(env, argv[0]));
}

/*
 * killNamespace(): all other processes of the PID namespace whose init this is. The number is asked
 * for here: Node's process.pid is that of the process it was forked from.
 */
static napi_value KillNamespace(napi_env env, napi_callback_info info) {
  (void)info;
  return answer(env, getpid() == 1 ? host(kill(-1, SIGKILL)) : 0);
}

/* keepAtExec(fd): execve(2) does not close it. */
static napi_value KeepAtExec(napi_env env, napi_callback_info info) {
  ARGS(1);
  return answer(env, host(fcntl(arg_int(env, argv[0]), F_SETFD, 0)));
}

/* windowSize(fd, out: Int32Array): rows and columns. */
static napi_value WindowSize(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span out = arg_span(env, argv[1]);
  struct winsize size;
  if (out.length < 2 * sizeof(int32_t)) return answer(env, -EINVAL);
  if (ioctl(arg_int(env, argv[0]), TIOCGWINSZ, &size) < 0) return answer(env, -errno);
  int32_t values[2] = {size.ws_row, size.ws_col};
  memcpy(out.data, values, sizeof values);
  return answer(env, 0);
}

/* queueSignal(pid, signal, value): sigqueue(3), a signal with a number in it. */
static napi_value QueueSignal(napi_env env, napi_callback_info info) {
  ARGS(3);
  union sigval value = {.sival_int = arg_int(env, argv[2])};
  return answer(env, host(sigqueue(arg_int(env, argv[0]), arg_int(env, argv[1]), value)));
}

/*
 * spawn(args: Uint8Array, streams?: Int32Array): a child with an empty environment, every
 * descriptor that keepAtExec was called for, and `streams` as its standard ones where they are
 * given. `args` is the program's path and its arguments, each ended by a 0. Answers its pid.
 */
static napi_value Spawn(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span bytes = arg_span(env, argv[0]);
  struct span streams = arg_span(env, argv[1]);
  char *words[MAX_WORDS + 1];
  char *const environment[] = {NULL};
  if (bytes.length == 0) return answer(env, -EINVAL);
  long error = split_words(bytes, words);
  if (error < 0) return answer(env, error);
  pid_t pid;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (size_t i = 0; i < 3 && streams.length == 3 * sizeof(int32_t); i++) {
    posix_spawn_file_actions_adddup2(&actions, ((int32_t *)streams.data)[i], (int)i);
  }
  error = posix_spawn(&pid, words[0], &actions, NULL, words, environment);
  posix_spawn_file_actions_destroy(&actions);
  return answer(env, error != 0 ? -error : pid);
}

/*
 * execute(words: Uint8Array): execve(2) of the first word, the others being its arguments, with an
 * empty environment, the standard streams and every descriptor that keepAtExec was called for;
 * answers only where it fails. Node's process.execve would load its worker threads and streams
 * first, to see that it is not in one: 8 ms.
 */
static napi_value Execute(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span bytes = arg_span(env, argv[0]);
  char *words[MAX_WORDS + 1];
  char *const environment[] = {NULL};
  if (bytes.length == 0) return answer(env, -EINVAL);
  long error = split_words(bytes, words);
  if (error < 0) return answer(env, error);
  /* Node has them closed at exec. */
  for (int fd = 0; fd < 3; fd++) fcntl(fd, F_SETFD, 0);
  execve(words[0], words + 1, environment);
  return answer(env, -errno);
}

const struct addon_function process_functions[] = {
    {"windowSize", WindowSize},
    {"keepAtExec", KeepAtExec},
    {"exitNow", ExitNow},
    {"kill", Kill},
    {"killNamespace", KillNamespace},
    {"waitAny", WaitAny},
    {"spawn", Spawn},
    {"execute", Execute},
    {"queueSignal", QueueSignal},
    {NULL, NULL},
};

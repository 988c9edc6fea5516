/*
 * Host processes: signals, reaping; the command line's terminal.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
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

const struct addon_function process_functions[] = {
    {"windowSize", WindowSize}, {"keepAtExec", KeepAtExec},
    {"exitNow", ExitNow},       {"kill", Kill},
    {"waitAny", WaitAny},       {NULL, NULL},
};

// SPDX-License-Identifier: Apache-2.0
/*
 * A program of the host that is run to its end while this process waits: hooks of a container.
 * posix_spawn(3) would do, but for descriptors: not every glibc has it close those that were left
 * open.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "addon/addon.h"

/* Where what it says on one of its streams is kept, up to `room`; the rest is read and forgotten. */
struct kept {
  int reader;
  uint8_t *bytes;
  size_t room, used;
};

struct program {
  const char *path, *directory;
  char *words[MAX_WORDS + 1], *environment[MAX_WORDS + 1];
  int input, outputs[2];
};

/* In the child, which has this process's memory until it executes: system calls only. */
static int become_program(const struct program *program) {
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < 65; number++) {
    if (number != SIGKILL && number != SIGSTOP) signal(number, SIG_DFL);
  }
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (dup2(program->input, 0) < 0 || dup2(program->outputs[0], 1) < 0 ||
      dup2(program->outputs[1], 2) < 0 || chdir(program->directory) < 0) {
    return errno;
  }
  syscall(SYS_close_range, 3, ~0U, 0);
  execve(program->path, program->words, program->environment);
  return errno;
}

/* A pid, or -errno: also where it could not be executed. */
static pid_t start(const struct program *program) {
  volatile int error = 0;
  sigset_t all, before;
  /* No handler of ours may run in the child. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = vfork();
  if (pid == 0) {
    error = become_program(program);
    _exit(127);
  }
  int fork_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (pid < 0) return -fork_error;
  if (error == 0) return pid;
  waitpid(pid, NULL, 0);
  return -error;
}

/* False once there is nothing more to come. */
static bool keep(struct kept *kept) {
  uint8_t bytes[4096];
  ssize_t got = read(kept->reader, bytes, sizeof bytes);
  if (got <= 0) return got < 0 && errno == EINTR;
  size_t part = (size_t)got < kept->room - kept->used ? (size_t)got : kept->room - kept->used;
  memcpy(kept->bytes + kept->used, bytes, part);
  kept->used += part;
  return true;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until it ends, whoever of its children lives on and holds its streams. False: its time is over. */
static bool await_end(int pidfd, struct kept *kept, int64_t timeout_ms) {
  const int64_t end = now_ms() + timeout_ms;
  struct pollfd watch[3] = {
      {pidfd, POLLIN, 0}, {kept[0].reader, POLLIN, 0}, {kept[1].reader, POLLIN, 0}};
  for (;;) {
    int64_t left = timeout_ms < 0 ? -1 : end - now_ms();
    if (timeout_ms >= 0 && left <= 0) return false;
    if (poll(watch, 3, left > INT32_MAX ? INT32_MAX : (int)left) < 0 && errno != EINTR) return true;
    for (int i = 0; i < 2; i++) {
      if (watch[i + 1].revents != 0 && !keep(kept + i) && errno != EAGAIN) watch[i + 1].fd = -1;
    }
    if (watch[0].revents != 0) return true;
  }
}

static long run(struct program *program, struct kept *kept, int64_t timeout_ms, int *status) {
  pid_t pid = start(program);
  close(program->outputs[0]);
  close(program->outputs[1]);
  if (pid < 0) return pid;
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  bool in_time = pidfd < 0 || await_end(pidfd, kept, timeout_ms);
  if (!in_time) kill(pid, SIGKILL);
  while (waitpid(pid, status, 0) < 0 && errno == EINTR) continue;
  if (pidfd >= 0) close(pidfd);
  for (int i = 0; i < 2; i++) {
    while (kept[i].used < kept[i].room && keep(kept + i)) continue;
  }
  return in_time ? 0 : -ETIMEDOUT;
}

/*
 * runProgram(path, words, environment, directory, input, timeoutMs, said: Uint8Array, out:
 * Int32Array): the wait status in out[0]; the beginnings of both output streams in the halves of
 * `said`, their lengths in out[1] and out[2].
 */
static napi_value RunProgram(napi_env env, napi_callback_info info) {
  ARGS(8);
  static struct program program; /* large */
  char path[4096], directory[4096];
  struct span said = arg_span(env, argv[6]), out = arg_span(env, argv[7]);
  int readers[2], pair[2], result[3] = {0};
  long refused = arg_string(env, argv[0], path, sizeof path);
  if (refused == 0) refused = arg_string(env, argv[3], directory, sizeof directory);
  if (refused == 0 && (split_words(arg_span(env, argv[1]), program.words) < 0 ||
                       split_words(arg_span(env, argv[2]), program.environment) < 0)) {
    refused = -E2BIG;
  }
  if (refused != 0 || out.length < sizeof result) return answer(env, refused ? refused : -EINVAL);
  for (int i = 0; i < 2; i++) {
    if (pipe2(pair, O_CLOEXEC) < 0) return answer(env, -errno);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    readers[i] = pair[0];
    program.outputs[i] = pair[1];
  }
  program.path = path;
  program.directory = directory;
  program.input = arg_int(env, argv[4]);
  size_t half = said.length / 2;
  struct kept kept[2] = {{readers[0], said.data, half, 0}, {readers[1], said.data + half, half, 0}};
  long ended = run(&program, kept, arg_i64(env, argv[5]), result);
  close(readers[0]);
  close(readers[1]);
  result[1] = (int)kept[0].used;
  result[2] = (int)kept[1].used;
  memcpy(out.data, result, sizeof result);
  return answer(env, ended);
}

const struct addon_function program_functions[] = {{"runProgram", RunProgram}, {NULL, NULL}};

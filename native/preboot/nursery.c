// SPDX-License-Identifier: Apache-2.0
/*
 * A nursery: it waits for calls of the quick path, and forks for each. See nursery.h for what is
 * said, and README.md for why. It reads nothing of what callers send: its forks do, so that no
 * caller's data are in the next one's.
 */
#define _GNU_SOURCE
#include "preboot/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "preboot/preboot.h"

enum { CALL_PATIENCE_MS = 2000 };

struct nursery {
  int listener, directory, file, events;
  char name[128]; /* of the socket, in the directory */
  int calls;
  pid_t running[NURSERY_MOST_AT_ONCE]; /* 0: none */
};

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Whether callers still come to this one by its name. */
static bool is_reachable(const struct nursery *nursery) {
  struct stat now, own;
  return fstatat(nursery->directory, nursery->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstat(nursery->file, &own) == 0 && now.st_ino == own.st_ino && now.st_dev == own.st_dev;
}

static void end(const struct nursery *nursery) __attribute__((noreturn));
static void end(const struct nursery *nursery) {
  if (is_reachable(nursery)) unlinkat(nursery->directory, nursery->name, 0);
  _exit(0);
}

static void ignore(int number) { (void)number; }

static bool begin(struct nursery *nursery) {
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  char path[64];
  if (!free_places() || prepare_forks() < 0) return false;
  if (getsockname(nursery->listener, (struct sockaddr *)&address, &length) < 0) {
    return false;
  }
  const char *slash = strrchr(address.sun_path, '/');
  if (slash == NULL || strlen(slash) > sizeof nursery->name) return false;
  strcpy(nursery->name, slash + 1);
  nursery->events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  snprintf(path, sizeof path, "/proc/self/fd/%d", nursery->directory);
  if (nursery->events < 0 ||
      inotify_add_watch(nursery->events, path, IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) < 0) {
    return false;
  }
  return is_reachable(nursery);
}

/* The ends of calls, and of sandboxes' processes that were forked here and have lost their parent. */
static void reap(struct nursery *nursery) {
  siginfo_t info;
  for (;;) {
    info.si_pid = 0;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0) break;
    for (int i = 0; i < NURSERY_MOST_AT_ONCE; i++) {
      if (nursery->running[i] == info.si_pid) nursery->running[i] = 0;
    }
  }
}

static pid_t *free_place(struct nursery *nursery) {
  for (int i = 0; i < NURSERY_MOST_AT_ONCE; i++) {
    if (nursery->running[i] == 0) return &nursery->running[i];
  }
  return NULL;
}

/* The next caller's socket, or -1 where something else happened. */
static int next_call(struct nursery *nursery, long long until) {
  char events[4096];
  sigset_t none;
  sigemptyset(&none);
  long long left = until - now_ms();
  if (left <= 0) end(nursery);
  struct timespec wait = {left / 1000, left % 1000 * 1000000};
  struct pollfd fds[] = {{.fd = nursery->listener, .events = POLLIN},
                         {.fd = nursery->events, .events = POLLIN}};
  int ready = ppoll(fds, 2, &wait, &none);
  reap(nursery);
  if (ready <= 0) return -1;
  if (fds[1].revents != 0) {
    while (read(nursery->events, events, sizeof events) > 0) {
    }
    if (!is_reachable(nursery)) _exit(0);
  }
  return fds[0].revents == 0 ? -1 : accept4(nursery->listener, NULL, NULL, SOCK_CLOEXEC);
}

/* The file's mode keeps others away: this is a second look. */
static bool is_own_user(int socket) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
         peer.uid == geteuid() && peer.pid > 0;
}

int await_call(int listener, int directory, int file, int seconds) {
  static struct nursery nursery;
  sigset_t children;
  nursery = (struct nursery){.listener = listener, .directory = directory, .file = file};
  if (!begin(&nursery)) _exit(1);
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, NULL);
  struct sigaction action = {.sa_handler = ignore};
  sigaction(SIGCHLD, &action, NULL);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* the launchers, when their command line has ended */
  long long until = now_ms() + seconds * 1000LL;
  for (;;) {
    int socket = next_call(&nursery, until);
    if (socket < 0) continue;
    int pid = -1;
    pid_t *place = free_place(&nursery);
    if (place != NULL && is_own_user(socket)) pid = fork_node();
    if (pid == 0) {
      signal(SIGCHLD, SIG_DFL);
      sigprocmask(SIG_UNBLOCK, &children, NULL);
      return socket;
    }
    close(socket); /* where nothing was forked, the caller does without */
    if (pid > 0) *place = pid;
    if (pid > 0 && ++nursery.calls == NURSERY_MOST_CALLS) end(&nursery);
    until = now_ms() + seconds * 1000LL;
  }
}

/* ---- in the fork ---- */

static bool has_message(int socket) {
  struct pollfd fd = {.fd = socket, .events = POLLIN};
  return poll(&fd, 1, CALL_PATIENCE_MS) == 1;
}

/* The kernel kills this process as soon as its caller is gone: nothing goes on in its name. */
static void live_as_long_as(int pipe) {
  struct pollfd fd = {.fd = pipe, .events = POLLIN};
  if (fcntl(pipe, F_SETOWN, getpid()) < 0 || fcntl(pipe, F_SETSIG, SIGKILL) < 0 ||
      fcntl(pipe, F_SETFL, O_ASYNC | O_NONBLOCK) < 0 || poll(&fd, 1, 0) != 0) {
    _exit(0);
  }
}

static const char *map_text(int file, size_t bytes) {
  struct stat stat;
  if (bytes == 0 || bytes > NURSERY_LONGEST || fstat(file, &stat) < 0 ||
      (size_t)stat.st_size != bytes) {
    return NULL;
  }
  const char *text = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  return text == MAP_FAILED || text[bytes - 1] != 0 ? NULL : text;
}

static uint32_t count_texts(const char *text, size_t bytes) {
  uint32_t count = 0;
  for (size_t i = 0; i < bytes; i++) count += text[i] == 0;
  return count;
}

/* The forks of this one become other processes of the sandbox: they have none of these. */
static void take_streams(const struct nursery_call *call, int *fds) {
  for (int i = 0; i < 3; i++) {
    if (dup2(fds[CALL_STREAMS + i], i) < 0) _exit(0);
    close(fds[CALL_STREAMS + i]);
  }
  umask(call->umask);
}

static void take_environment(const struct nursery_call *call, const char *text) {
  for (uint32_t i = 0; i < call->variables; i++, text += strlen(text) + 1) {
    char *variable = strdup(text);
    if (variable == NULL) _exit(0);
    if (strchr(variable, '=') != NULL) putenv(variable); /* keeps the text */
  }
}

void take_call(int socket, struct taken_call *taken) {
  struct nursery_call call;
  struct nursery_message message = {.kind = NURSERY_READY};
  int fds[CALL_FDS];
  size_t count = CALL_FDS;
  replace_descriptors();
  if (!has_message(socket) ||
      receive_with_descriptors(socket, &call, sizeof call, fds, &count) != sizeof call ||
      count != CALL_FDS || call.magic != NURSERY_MAGIC) {
    _exit(0);
  }
  live_as_long_as(fds[CALL_LIFE]);
  take_streams(&call, fds);
  taken->preboot = fork_preboot(&taken->preboot_socket);
  if (taken->preboot < 0) _exit(0);
  if (taken->preboot == 0) return;
  const char *text = map_text(fds[CALL_TEXT], call.bytes);
  if (text == NULL || count_texts(text, call.bytes) != call.words + call.variables ||
      fchdir(fds[CALL_DIRECTORY]) < 0) {
    _exit(0);
  }
  close(fds[CALL_TEXT]);
  close(fds[CALL_DIRECTORY]);
  taken->words = text;
  taken->count = call.words;
  for (uint32_t i = 0; i < call.words; i++) text += strlen(text) + 1;
  take_environment(&call, text);
  if (send(socket, &message, sizeof message, MSG_NOSIGNAL) < 0 || !has_message(socket) ||
      recv(socket, &message, sizeof message, 0) != sizeof message || message.kind != NURSERY_GO) {
    _exit(0);
  }
}

int start_front_of_caller(int socket, const char *words, size_t bytes, const int *fds,
                          size_t count) {
  struct nursery_message message = {
      .kind = NURSERY_FRONT, .bytes = (uint32_t)bytes, .fd_count = (uint32_t)count};
  int all[sizeof message.places / sizeof *message.places + 1];
  if (count > sizeof message.places / sizeof *message.places) return -EMSGSIZE;
  int file = memfd_create("runts-front", MFD_CLOEXEC);
  if (file < 0) return -errno;
  all[0] = file;
  memcpy(all + 1, fds, count * sizeof *fds);
  memcpy(message.places, fds, count * sizeof *fds);
  bool sent = write(file, words, bytes) == (ssize_t)bytes &&
              send_with_descriptors(socket, &message, sizeof message, all, count + 1);
  close(file);
  if (!sent || recv(socket, &message, sizeof message, 0) != sizeof message ||
      message.kind != NURSERY_STARTED) {
    return -EPIPE;
  }
  return message.value;
}

void end_call(int socket, int code) {
  struct nursery_message message = {.kind = NURSERY_EXIT, .value = code};
  _exit(send(socket, &message, sizeof message, MSG_NOSIGNAL) < 0 ? 1 : 0);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The launcher's life after the start: it waits for the end of the sandbox or of the command line,
 * ends what is left, tells which process went first, and puts the terminal's settings back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "launcher/watchdog.h"

static struct termios settings;
static bool have_settings;

void remember_terminal(void) { have_settings = tcgetattr(0, &settings) == 0; }

/*
 * From another session than the terminal's no job control stands in the way. Settings that are not the raw
 * ones of the command line (front.c) are somebody else's: a shell that saw it die has set its own.
 */
static void restore_terminal(void) {
  struct termios now, raw = settings;
  if (!have_settings || tcgetattr(0, &now) < 0) return;
  cfmakeraw(&raw);
  if (now.c_iflag == raw.c_iflag && now.c_oflag == raw.c_oflag && now.c_lflag == raw.c_lflag) {
    tcsetattr(0, TCSADRAIN, &settings);
  }
}

static void report_end(const char *who, int status) {
  if (WIFSIGNALED(status)) {
    report("%s signal %d", who, WTERMSIG(status));
  } else {
    report("%s exit %d", who, WEXITSTATUS(status));
  }
}

/* A container that joins another's has none of its own. */
static bool has_sentry(const struct sandbox *sandbox) { return sandbox->sentry_pid > 0; }

/* Reaps what is dead. True while both children live. */
static bool reap(struct sandbox *sandbox) {
  bool alive = true;
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return alive;
    if (pid == sandbox->sentry_pid) {
      sandbox->sentry_pid = 0;
      report_end("sentry", status);
      alive = false;
    } else if (pid == sandbox->broker_pid) {
      sandbox->broker_pid = 0; /* then nothing is made any more */
    } else if (pid == sandbox->proxy_pid) {
      sandbox->proxy_pid = 0; /* the Sentry notices, and goes on without a way out */
    } else if (pid == sandbox->gofer_pid) {
      sandbox->gofer_pid = 0;
      /* It ends well when the Sentry hung up: that one's end is the news, and comes at once. */
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && sandbox->sentry_pid > 0) continue;
      report_end("gofer", status);
      alive = false;
    }
  }
}

/*
 * Two pids, the broker's and the proxy's side of their socket pairs, the page that is watched, and
 * the terminal's settings, as text.
 */
static void go_on_elsewhere(const struct sandbox *sandbox) {
  char text[64 + 2 * sizeof settings];
  const unsigned char *bytes = (const unsigned char *)&settings;
  int broker = has_broker(sandbox) ? sandbox->broker_pair[1] : -1;
  int proxy = has_proxy(sandbox) ? sandbox->proxy_pair[1] : -1;
  int page = has_sentry(sandbox) ? sandbox->page : -1;
  if (broker >= 0) fcntl(broker, F_SETFD, 0);
  if (page >= 0) fcntl(page, F_SETFD, 0);
  if (proxy >= 0) {
    fcntl(proxy, F_SETFD, 0);
    fcntl(FD_PROXY, F_SETFD, 0);
  }
  int used = snprintf(text, sizeof text, "%d,%d,%d,%d,%d,", sandbox->sentry_pid, sandbox->gofer_pid,
                      broker, proxy, page);
  for (size_t i = 0; have_settings && i < sizeof settings; i++) {
    used += snprintf(text + used, sizeof text - (size_t)used, "%02x", bytes[i]);
  }
  leave_preboot(OPTION_SUPERVISED, text);
}

static void resume_network(struct sandbox *sandbox, int broker, int proxy) {
  if (broker < 0 && proxy < 0) return;
  sandbox->broker_pair[1] = broker;
  sandbox->proxy_pair[1] = proxy;
  sandbox->null = high(open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null");
  find_identity(sandbox);
  if (broker >= 0) {
    read_ping_groups(sandbox);
    start_broker(sandbox);
    close(broker);
  }
  if (proxy >= 0) {
    start_proxy(sandbox);
    close(proxy);
    close(FD_PROXY);
  }
  close(sandbox->null);
}

void resume_supervision(struct options *options) {
  static struct sandbox sandbox;
  unsigned char *bytes = (unsigned char *)&settings;
  unsigned value;
  char *at = (char *)options->supervised;
  sandbox.options = *options;
  sandbox.sentry_pid = (pid_t)strtol(at, &at, 10);
  sandbox.gofer_pid = (pid_t)strtol(at + 1, &at, 10);
  int broker = (int)strtol(at + 1, &at, 10);
  int proxy = (int)strtol(at + 1, &at, 10);
  sandbox.page = (int)strtol(at + 1, &at, 10);
  have_settings = at[1] != 0;
  for (size_t i = 0; have_settings && i < sizeof settings; i++) {
    if (sscanf(at + 1 + 2 * i, "%2x", &value) == 1) bytes[i] = (unsigned char)value;
  }
  report_open = true;
  resume_network(&sandbox, broker, proxy);
  supervise(&sandbox);
}

/* False where the sandbox is to end: the Sentry has been silent for too long. */
static bool watch_sentry(struct watchdog *watchdog, const struct sandbox *sandbox) {
  switch (look(watchdog, sandbox->sentry_pid, sandbox->gofer_pid)) {
    case SILENCE_BEGAN:
      report("silent %c %d", watchdog->state, SILENCE_TOLD_MS / 1000);
      return true;
    case SILENCE_ENDED:
      report("answers");
      return true;
    case SILENCE_FATAL:
      report("error the sentry has not answered for %d s (state %c): its sandbox was ended",
             SILENCE_MOST_MS / 1000, watchdog->state);
      return false;
    default:
      return true;
  }
}

void supervise(struct sandbox *sandbox) {
  if (preboot.become != NULL) go_on_elsewhere(sandbox);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  sigaddset(&watched, SIGHUP);
  int signals = signalfd(-1, &watched, SFD_CLOEXEC);
  if (signals < 0) fatal("signalfd: %s", strerror(errno));
  struct pollfd watch[2] = {{.fd = signals, .events = POLLIN}, {.fd = FD_REPORT, .events = 0}};
  struct watchdog watchdog;
  begin_watch(&watchdog, has_sentry(sandbox) ? sandbox->page : -1);
  bool running = reap(sandbox);
  while (running) {
    if (poll(watch, 2, look_due(&watchdog)) < 0 && errno != EINTR) break;
    if (watch[1].revents & (POLLHUP | POLLERR)) break; /* the command line is gone */
    if (watch[0].revents & POLLIN) {
      struct signalfd_siginfo info;
      if (read(signals, &info, sizeof info) != sizeof info) break;
      running = info.ssi_signo == SIGCHLD ? reap(sandbox) : false;
    }
    if (running) running = watch_sentry(&watchdog, sandbox);
  }
  end_children(sandbox);
  restore_terminal();
  _exit(0);
}

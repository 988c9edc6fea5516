// SPDX-License-Identifier: Apache-2.0
/*
 * The front: the process that stands for one guest process on the host. For `runts do` it is the
 * command line's own process, which Node hands over by execve (runts/launch.ts), in the caller's
 * process group and session. For a container it is the process of the pid file, and each `runts
 * exec` has a front as well (container.c). The front gives the Sentry its configuration, forwards
 * signals and the window's size, keeps the terminal raw while the guest has it, tells the user what
 * went wrong, and ends with the exit code of the guest process.
 *
 * Lines on the control channel come from the Sentry, which hostile code may have taken over. Their
 * length is bounded, and a line is never more than a number to take note of or a text to show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "launcher/front.h"

struct front front = {.control.fd = -1, .report.fd = -1, .config = -1};

/* ---- what the user sees ---- */

void complain(const char *format, ...) {
  static char line[LINE_BYTES + 64];
  va_list list;
  va_start(list, format);
  int used = snprintf(line, sizeof line, "runts: ");
  int wanted = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, list);
  va_end(list);
  used = wanted < (int)sizeof line - used - 1 ? used + wanted : (int)sizeof line - 2;
  for (int i = 0; i < used; i++) {
    if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) line[i] = ' ';
  }
  if (front.options != NULL && front.options->mode != MODE_COMMAND) {
    line[used] = 0;
    log_error(&front.options->container, line + strlen("runts: "));
    if (!front.options->container.is_foreground) return;
  }
  line[used++] = '\n';
  /* A message that standard error does not take is lost: there is nobody else to tell. */
  if (write(2, line, (size_t)used) < 0) return;
}

/* Writes the last line of --debug-log, in the form of the Sentry's lines (sentry/host/log.ts). */
static void log_end(int code) {
  if (front.options->log_fd < 0) return;
  struct timespec now;
  char line[160];
  clock_gettime(CLOCK_REALTIME, &now);
  int used = snprintf(line, sizeof line,
                      "{\"level\":30,\"time\":%lld,\"pid\":%d,\"name\":\"runts\",\"code\":%d,"
                      "\"msg\":\"ended\"}\n",
                      (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, (int)getpid(), code);
  if (write(front.options->log_fd, line, (size_t)used) < 0) return;
}

/*
 * Whether this process is in the background of its terminal. The terminal is the shell's then, and
 * a change of its settings would stop this process (SIGTTOU).
 */
static bool in_background(void) {
  pid_t foreground = tcgetpgrp(0);
  return foreground >= 0 && foreground != getpgrp();
}

static void restore(void) {
  if (front.raw && !in_background()) tcsetattr(0, TCSADRAIN, &front.settings);
  front.raw = false;
}

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the two channels: protocol/control.ts, report.c ---- */

static void send_request(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void send_request(const char *format, ...) {
  va_list list;
  size_t room = sizeof front.requests - front.request_bytes;
  va_start(list, format);
  int used = vsnprintf(front.requests + front.request_bytes, room, format, list);
  va_end(list);
  /* A Sentry that has left so many requests unread will not read this one either: it is dropped. */
  if (used > 0 && (size_t)used < room) front.request_bytes += (size_t)used;
}

/*
 * Sends what requests there are. The configuration is the first line on the channel, and was sent
 * before.
 */
static void send_requests(void) {
  ssize_t sent = send(front.control.fd, front.requests, front.request_bytes, MSG_NOSIGNAL);
  if (sent < 0) sent = errno == EAGAIN || errno == EINTR ? 0 : (ssize_t)front.request_bytes;
  front.request_bytes -= (size_t)sent;
  memmove(front.requests, front.requests + sent, front.request_bytes);
}

static void send_window(void) {
  struct winsize size;
  if (!front.options->terminal || ioctl(0, TIOCGWINSZ, &size) < 0) return;
  send_request(REQUEST_FORMAT_WINDOW, size.ws_row, size.ws_col);
}

/*
 * Gives the terminal to the guest, if this process is in the foreground. Otherwise it is tried
 * again from time to time (FOREGROUND_POLL_MS), because nothing tells a running process that fg(1)
 * has brought it to the foreground.
 */
static void take_terminal(void) {
  struct termios raw;
  if (!front.options->terminal || front.raw) return;
  front.wants_terminal = in_background();
  if (front.wants_terminal || tcgetattr(0, &front.settings) < 0) return;
  raw = front.settings;
  cfmakeraw(&raw);
  front.raw = tcsetattr(0, TCSADRAIN, &raw) == 0;
  send_window();
  send_request(REQUEST_FORMAT_FOREGROUND);
}

/* Sends a piece of the configuration, a memfd that may be as long as a program's arguments. */
static void send_config(void) {
  ssize_t sent = sendfile(front.control.fd, front.config, NULL, 1 << 20);
  if (sent > 0 || (sent < 0 && (errno == EAGAIN || errno == EINTR))) return;
  close(front.config);
  front.config = -1;
}

static void fail(int code, const char *text) {
  if (front.end != END_UNKNOWN) return;
  front.end = END_FAILED;
  front.code = code;
  snprintf(front.text, sizeof front.text, "%s", text);
}

static void end_channel(struct lines *lines) {
  if (lines->fd >= 0) close(lines->fd);
  lines->fd = -1;
}

/* Ends the sandbox at once: the launcher sees its report channel hang up. */
static void end_sandbox(void) {
  if (front.ending_ms == 0) front.ending_ms = now_ms();
  end_channel(&front.report);
  if (front.launcher == 0) end_channel(&front.control);
}

/* Whether the line starts with `word`; then `rest` is what follows the word. */
static bool starts_with(const char *line, const char *word, const char **rest) {
  size_t length = strlen(word);
  if (strncmp(line, word, length) != 0 || (line[length] != ' ' && line[length] != 0)) return false;
  *rest = line + length + (line[length] == ' ');
  return true;
}

static bool is_command(void) { return front.options->mode == MODE_COMMAND; }

/*
 * Whether the process runs in the Sentry of another front: `runts exec`, or a further container of
 * a pod.
 */
static bool is_guest_of_another(void) {
  return front.options->mode == MODE_EXEC || front.options->container.joins;
}

/*
 * Stops this process by the signal that stopped the guest process, so that the shell reports the
 * stop as it was ("Stopped (tty input)", $? is 128 more than the signal). The terminal's signals do
 * not stop an orphaned process group, which no shell looks after: SIGSTOP does.
 */
static void stop_self(int number) {
  if (front.stop_asked != 0) number = front.stop_asked;
  front.stop_asked = 0;
  restore();
  if (number == SIGTSTP || number == SIGTTIN || number == SIGTTOU) {
    sigset_t only, before, pending;
    sigemptyset(&only);
    sigaddset(&only, number);
    signal(number, SIG_DFL);
    kill(getpid(), number);
    sigprocmask(SIG_UNBLOCK, &only, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    /* SIGCONT is pending where it ended the stop: the process has been stopped already. */
    if (sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 1) return;
  }
  kill(getpid(), SIGSTOP);
}

/* The Sentry is heard of: by the watchdog, or by an event that came before the watchdog looked. */
static void end_silence(void) {
  if (!front.is_silent) return;
  front.is_silent = false;
  complain("the sentry answers again");
}

static void obey_event(const char *line) {
  const char *rest;
  end_silence();
  if (starts_with(line, EVENT_WORD_CREATED, &rest)) {
    tell_status(&front.options->container, STATUS_WORD_CREATED);
    end_status(&front.options->container);
  } else if (starts_with(line, EVENT_WORD_STARTED, &rest)) {
    tell_status(&front.options->container, STATUS_WORD_STARTED);
    end_status(&front.options->container);
    take_terminal();
    if (front.options->terminal) send_request(REQUEST_FORMAT_RAW);
  } else if (starts_with(line, EVENT_WORD_EXITED, &rest)) {
    if (front.end == END_UNKNOWN) front.end = END_EXITED, front.code = atoi(rest);
    /* The exit status is the Sentry's last event. */
    end_sandbox();
  } else if (starts_with(line, EVENT_WORD_FAILED, &rest)) {
    char *text;
    long code = strtol(rest, &text, 10);
    fail(code > 0 && code < 256 ? (int)code : EXIT_OWN_FAILURE, *text == ' ' ? text + 1 : text);
  } else if (starts_with(line, EVENT_WORD_WARNING, &rest)) {
    if (front.warnings++ < MOST_WARNINGS) complain("%s", rest);
  } else if (starts_with(line, EVENT_WORD_STOPPED, &rest)) {
    if (is_command()) stop_self(atoi(rest));
  } else if (!starts_with(line, EVENT_WORD_CONTINUED, &rest)) {
    fail(EXIT_OWN_FAILURE, "the sentry sent a malformed event");
  }
}

static void obey_report(const char *line) {
  const char *rest;
  if (starts_with(line, "error", &rest)) {
    fail(EXIT_OWN_FAILURE, rest);
    return;
  }
  if (starts_with(line, "silent", &rest)) {
    front.is_silent = true;
    complain("the sentry has not answered for %s s (state %c)%s", *rest != 0 ? rest + 2 : "some",
             *rest != 0 ? *rest : '?', is_command() ? "; a signal (^C) ends it now" : "");
    return;
  }
  if (starts_with(line, "answers", &rest)) {
    end_silence();
    return;
  }
  char subject[16], how[16];
  int number;
  if (front.casualty[0] != 0 || sscanf(line, "%15s %15s %d", subject, how, &number) != 3) return;
  snprintf(
      front.casualty, sizeof front.casualty,
      strcmp(how, "signal") == 0 ? "the %s was killed by signal %d" : "the %s ended with status %d",
      subject, number);
}

/*
 * Reads all lines that are there. The channel is closed at a line which is longer than any that an
 * honest peer sends.
 */
static void receive(struct lines *lines, void (*obey)(const char *)) {
  while (lines->fd >= 0) {
    ssize_t got =
        recv(lines->fd, lines->text + lines->used, sizeof lines->text - lines->used, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      end_channel(lines);
      return;
    }
    lines->used += (size_t)got;
    char *start = lines->text;
    char *end = lines->text + lines->used;
    for (char *newline; (newline = memchr(start, '\n', (size_t)(end - start))) != NULL;) {
      *newline = 0;
      obey(start);
      start = newline + 1;
    }
    lines->used = (size_t)(end - start);
    memmove(lines->text, start, lines->used);
    if (lines->used == sizeof lines->text) end_channel(lines);
  }
}

/* ---- signals ---- */

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};

static void watch_signal(sigset_t *watched, int number) {
  sigaddset(watched, number);
  signal(number, SIG_DFL);
}

static int watch_signals(void) {
  static const int own[] = {SIGTSTP, SIGCONT, SIGWINCH, SIGCHLD};
  sigset_t watched;
  sigemptyset(&watched);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) watch_signal(&watched, own[i]);
  if (is_command()) {
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) {
      watch_signal(&watched, forwarded[i]);
    }
  } else {
    /*
     * Whatever signal an engine sends is for the container. Exceptions: this program ignores
     * SIGPIPE, and SIGSEGV and SIGBUS are faults of its own.
     */
    for (int number = 1; number <= 64; number++) {
      if (number != SIGPIPE && number != SIGSEGV && number != SIGBUS) {
        watch_signal(&watched, number);
      }
    }
  }
  sigprocmask(SIG_SETMASK, &watched, NULL);
  return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

/*
 * Carries out an order of `runts start` or `runts kill`. An order is the value of a real-time
 * signal (protocol/orders.ts), so that SIGKILL and SIGSTOP, which a process cannot catch, can be
 * ordered too. The kernel lets only those send an order who may signal this process.
 */
static void obey_order(int order) {
  int number = order & ORDER_NUMBER;
  if ((order & ORDER_START) != 0) {
    send_request(REQUEST_FORMAT_START);
  } else {
    send_request((order & ORDER_ALL) != 0 ? REQUEST_FORMAT_SIGNAL_ALL : REQUEST_FORMAT_SIGNAL,
                 number);
  }
  /* A Sentry that does not carry out a SIGKILL in time is killed itself (next_wait). */
  if (number == SIGKILL) front.kill_by_ms = now_ms() + KILL_PATIENCE_MS;
}

static bool is_order(const struct signalfd_siginfo *info) {
  return !is_command() && (int)info->ssi_signo == ORDER_SIGNAL && info->ssi_code == SI_QUEUE &&
         (info->ssi_int & ORDER_MARK) == ORDER_MARK;
}

void watch_stranger(pid_t launcher) {
  siginfo_t info;
  if (waitid(P_PID, (id_t)launcher, &info, WEXITED | WNOHANG | WNOWAIT) == 0) return;
  front.stranger = high((int)syscall(SYS_pidfd_open, launcher, 0), "the launcher");
}

static bool has_ended(void) {
  if (front.stranger <= 0) {
    return waitpid(front.launcher, &front.launcher_status, WNOHANG) == front.launcher;
  }
  struct pollfd fd = {.fd = front.stranger, .events = POLLIN};
  if (poll(&fd, 1, 0) != 1) return false;
  /* How is not told to a stranger. It tells all other ends itself. */
  front.launcher_status = SIGKILL;
  return true;
}

/*
 * Reaps the launcher if it has ended; returns false when the front has nothing left to wait for. A
 * further container of a pod ends when its launcher does, because its Gofer ended with the
 * launcher. The Sentry of the pod lives on and may not have noticed: it is asked to kill the
 * container, and gets some time to tell the exit status.
 */
static bool reap_launcher(void) {
  if (front.launcher == 0 || !has_ended()) return true;
  if (!is_guest_of_another() || front.control.fd < 0) return false;
  front.launcher = 0;
  send_request(REQUEST_FORMAT_SIGNAL_ALL, SIGKILL);
  if (front.kill_by_ms == 0) front.kill_by_ms = now_ms() + KILL_PATIENCE_MS;
  return true;
}

static bool take_signal(int signals) {
  struct signalfd_siginfo info;
  if (read(signals, &info, sizeof info) != sizeof info) return true;
  int number = (int)info.ssi_signo;
  if (is_order(&info)) {
    obey_order(info.ssi_int);
    return true;
  }
  if (number == SIGCHLD) return reap_launcher();
  if (number == SIGWINCH) {
    send_window();
  } else if (!is_command()) {
    if (number == SIGCONT) take_terminal();
    send_request(REQUEST_FORMAT_SIGNAL, number);
  } else if (number == SIGTSTP) {
    front.stop_asked = SIGTSTP;
    send_request(REQUEST_FORMAT_STOP);
  } else if (number == SIGCONT) {
    take_terminal();
    send_request(REQUEST_FORMAT_CONTINUE);
  } else if (front.is_silent && number != SIGUSR1 && number != SIGUSR2) {
    front.ended_by = number;
    end_sandbox();
  } else {
    send_request(REQUEST_FORMAT_SIGNAL, number);
  }
  return true;
}

/* ---- from start to end ---- */

/*
 * Killed processes end at once, unless the host's kernel holds them: the user is told once what is
 * waited for.
 */
static long long end_wait(long long now) {
  if (front.ending_ms <= 0 || front.launcher == 0) return -1;
  long long left = front.ending_ms + END_PATIENCE_MS - now;
  if (left > 0) return left;
  front.ending_ms = -1;
  complain("the sandbox has not ended within %d s: the host's kernel holds its processes",
           END_PATIENCE_MS / 1000);
  return -1;
}

/*
 * Returns how long poll may wait, in ms (-1: for ever). Ends the sandbox when --timeout or the time
 * for a SIGKILL is over.
 */
static int next_wait(long long timeout_at) {
  long long now = now_ms();
  long long wait = -1;
  if (timeout_at > 0 && !front.timed_out) {
    if (now >= timeout_at) {
      front.timed_out = true;
      end_sandbox();
    } else {
      wait = timeout_at - now;
    }
  }
  if (front.kill_by_ms > 0) {
    if (now >= front.kill_by_ms) {
      front.kill_by_ms = 0;
      front.was_killed = true;
      end_sandbox();
    } else if (wait < 0 || wait > front.kill_by_ms - now) {
      wait = front.kill_by_ms - now;
    }
  }
  long long end = end_wait(now);
  if (end >= 0 && (wait < 0 || wait > end)) wait = end;
  if (front.wants_terminal && (wait < 0 || wait > FOREGROUND_POLL_MS)) wait = FOREGROUND_POLL_MS;
  return wait > 1000000000 ? 1000000000 : (int)wait;
}

static void watch(int signals) {
  const long timeout = front.options->timeout_ms;
  const long long timeout_at = timeout > 0 ? now_ms() + timeout : 0;
  /*
   * No SIGCHLD comes for a launcher that ended before SIGCHLD was blocked, so it is looked for
   * once.
   */
  for (bool running = reap_launcher(); running;) {
    int wait = next_wait(timeout_at);
    if (is_guest_of_another() && front.control.fd < 0 && front.launcher == 0) break;
    bool writes = front.config >= 0 || front.request_bytes > 0;
    struct pollfd fds[4] = {
        {.fd = signals, .events = POLLIN},
        {.fd = front.control.fd, .events = writes ? POLLIN | POLLOUT : POLLIN},
        {.fd = front.report.fd, .events = POLLIN},
        {.fd = front.stranger > 0 && front.launcher != 0 ? front.stranger : -1, .events = POLLIN},
    };
    if (poll(fds, 4, wait) < 0) continue;
    if (front.wants_terminal) take_terminal();
    if ((fds[1].revents & POLLOUT) != 0) front.config >= 0 ? send_config() : send_requests();
    if ((fds[1].revents & ~POLLOUT) != 0) receive(&front.control, obey_event);
    if (fds[2].revents != 0) receive(&front.report, obey_report);
    if (fds[3].revents != 0) running = reap_launcher();
    if (running && fds[0].revents != 0) running = take_signal(signals);
    /* A process in the Sentry of another front lives as long as its connection to that Sentry. */
    if (is_guest_of_another() && front.control.fd < 0) end_sandbox();
  }
  receive(&front.control, obey_event);
  receive(&front.report, obey_report);
}

/* Tells a failure to the command line while that waits for the start, otherwise to the user. */
void explain(int code, const char *text) {
  struct container *container = &front.options->container;
  if (container->status_fd >= 0) {
    tell_status(container, STATUS_WORD_FAILED " %d %s", code, text);
    end_status(container);
  } else {
    complain("%s", text);
  }
}

static int exit_code(void) {
  if (front.timed_out) {
    complain("timed out after %g s", (double)front.options->timeout_ms / 1000);
    return EXIT_TIMEOUT;
  }
  if (front.was_killed && front.end == END_UNKNOWN) return 128 + SIGKILL;
  if (front.ended_by != 0 && front.end == END_UNKNOWN) return 128 + front.ended_by;
  /*
   * A Sentry reports that its Gofer died. The launcher's report is better: it tells how the Gofer
   * died.
   */
  bool gofer_killed = strncmp(front.casualty, "the gofer was", 13) == 0;
  if (front.end == END_EXITED) {
    int signal = front.code & 0x7f;
    return signal == 0 ? (front.code >> 8) & 0xff : 128 + signal;
  }
  if (front.end == END_FAILED && !gofer_killed) {
    explain(front.code, front.text);
    return front.options->mode == MODE_EXEC ? EXIT_EXEC_FAILED : front.code;
  }
  /*
   * The sandbox ended under a process of `runts exec` or a container of a pod, which the kernel
   * killed with it.
   */
  if (is_guest_of_another()) {
    explain(EXIT_OWN_FAILURE, "the sandbox ended");
    return 128 + SIGKILL;
  }
  char text[96];
  bool was_killed =
      WIFSIGNALED(front.launcher_status) && WTERMSIG(front.launcher_status) == SIGKILL;
  if (front.casualty[0] != 0) {
    was_killed = strstr(front.casualty, " killed by signal 9") != NULL;
    snprintf(text, sizeof text, "%s", front.casualty);
  } else if (WIFSIGNALED(front.launcher_status)) {
    snprintf(text, sizeof text, "the launcher was killed by signal %d",
             WTERMSIG(front.launcher_status));
  } else {
    snprintf(text, sizeof text, "the launcher ended with status %d",
             WEXITSTATUS(front.launcher_status));
  }
  explain(EXIT_OWN_FAILURE, text);
  /* Engines recognize by this status a container that the OOM killer killed. */
  return was_killed && !is_command() ? 128 + SIGKILL : EXIT_OWN_FAILURE;
}

void run_front(void) {
  struct options *options = front.options;
  fcntl(front.control.fd, F_SETFL, O_NONBLOCK);
  front.config = options->config_fd;
  if (options->container.console_socket != NULL) take_terminal();
  signal(SIGPIPE, SIG_IGN);
  watch(watch_signals());
  restore();
  int code = exit_code();
  log_end(code);
  exit(code);
}

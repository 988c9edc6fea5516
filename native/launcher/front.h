/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations that the two halves of the front share: its start (front-start.c) and the time after
 * (front.c).
 */
#ifndef RUNTS_FRONT_H
#define RUNTS_FRONT_H

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

#include "launcher/launcher.h"

enum {
  EXIT_TIMEOUT = 124,
  EXIT_OWN_FAILURE = 125,
  EXIT_EXEC_FAILED = 255,
  LINE_BYTES = 16384,
  FOREGROUND_POLL_MS = 200
};

/* A channel that is read line by line. */
struct lines {
  int fd; /* -1 once the channel has ended */
  size_t used;
  char text[LINE_BYTES];
};

enum { KILL_PATIENCE_MS = 3000, END_PATIENCE_MS = 15000 };

/*
 * Warnings beyond this number are dropped: a Sentry that was taken over must not fill the engine's
 * log.
 */
enum { MOST_WARNINGS = 100 };

enum end { END_UNKNOWN, END_EXITED, END_FAILED };

struct front {
  struct options *options;
  pid_t launcher; /* 0: there is none (MODE_EXEC) */
  int launcher_status;
  int stranger; /* pidfd of a launcher that is no child of this process (a nursery's), or 0 */
  struct lines control, report;
  int config; /* memfd of the configuration, -1 once all of it is sent */
  char requests[4096];
  size_t request_bytes;
  struct termios settings;
  bool raw;
  int stop_asked; /* the signal because of which the Sentry was asked to stop the guest, or 0 */
  bool wants_terminal; /* takes the terminal once it is in the foreground */
  bool timed_out;
  long long kill_by_ms; /* when the sandbox is ended after a SIGKILL; 0: there was none */
  bool is_silent;       /* the Sentry does not answer, as the launcher has noticed */
  int ended_by;         /* the signal that ended a silent one, or 0 */
  long long ending_ms;  /* since when the sandbox is being ended; 0: it is not */
  bool was_killed;
  unsigned warnings; /* so far */
  enum end end;
  int code;              /* END_EXITED: wait status; END_FAILED: exit code */
  char text[LINE_BYTES]; /* END_FAILED */
  char casualty[64];     /* the first process that ended although nobody asked */
};

extern struct front front;

/* Writes a message for the user, for a container to its log. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tells a failure to the command line while that waits for the start, otherwise to the user. */
void explain(int code, const char *text);
/* That launcher is nobody's child here perhaps: then its end is seen by a pidfd. */
void watch_stranger(pid_t launcher);
/* Stands for the guest process until that ends; then ends with its exit code. */
void run_front(void) __attribute__((noreturn));

#endif

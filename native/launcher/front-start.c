// SPDX-License-Identifier: Apache-2.0
/*
 * The start of the front. It starts the launcher as its child; where the front is a fork of Node
 * (native/preboot), it then goes on in its own program, which is much smaller.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/front.h"

static void make_channel(int pair[2], int type) {
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0) {
    complain("socketpair: %s", strerror(errno));
    exit(EXIT_OWN_FAILURE);
  }
  pair[0] = high(pair[0], "socketpair");
  pair[1] = high(pair[1], "socketpair");
}

/*
 * What a front gives a preboot that becomes its launcher, in this order: the two channels, and for a
 * container, where the launcher was forked elsewhere, all that a fork of the front would have.
 */
enum { GIVES_STREAMS = 1, GIVES_LISTENER = 2, GIVES_NETWORK = 4, MOST_GIVEN = 7 };

/* Returns the preboot's pid. */
static pid_t take_preboot(const struct options *options, int control, int report) {
  int fds[MOST_GIVEN] = {control, report};
  int count = 2, network = -1;
  char what = 0;
  if (options->mode == MODE_CONTAINER) {
    what |= GIVES_STREAMS;
    for (int fd = 0; fd < 3; fd++) fds[count++] = fd;
  }
  if (options->container.listen_fd >= 0) {
    what |= GIVES_LISTENER;
    fds[count++] = options->container.listen_fd;
  }
  if (options->container.network != NULL &&
      (network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) >= 0) {
    what |= GIVES_NETWORK;
    fds[count++] = network;
  }
  if (!send_with_descriptors(options->preboot_fd, &what, 1, fds, (size_t)count)) {
    explain(EXIT_OWN_FAILURE, "the sandbox ended before it began");
    exit(EXIT_OWN_FAILURE);
  }
  if (network >= 0) close(network);
  close(options->preboot_fd);
  watch_stranger(options->preboot_pid);
  return options->preboot_pid;
}

/*
 * Makes the launcher. Returns true in the child, which has to become the launcher, and false in the
 * front.
 */
static bool fork_launcher(struct options *options) {
  int control[2], report_pair[2];
  make_channel(control, SOCK_STREAM);
  make_channel(report_pair, SOCK_STREAM);
  front.launcher = options->preboot_fd >= 0 ? take_preboot(options, control[1], report_pair[1])
                                            : clone_process(0);
  if (front.launcher < 0) {
    explain(EXIT_OWN_FAILURE, "fork: no process left");
    exit(EXIT_OWN_FAILURE);
  }
  if (front.launcher == 0) {
    take_places(options, control[1], report_pair[1]);
    return true;
  }
  close(control[1]);
  close(report_pair[1]);
  if (options->container.listen_fd >= 0) close(options->container.listen_fd);
  front.control.fd = control[0];
  front.report.fd = report_pair[0];
  return false;
}

/*
 * Forks the launcher of a further container of a pod in the cgroups of the Sentry, where its Gofer
 * is then too. The Sentry waits for the Gofer: if the Gofer were in the container's cgroups, a
 * freezer or a limit of processor time would stop the Gofer, and the Sentry would keep all other
 * containers of the pod waiting. Where the host refuses the move, launcher and Gofer stay in the
 * container's cgroups.
 */
static bool fork_beside_sentry(struct options *options) {
  const struct container *container = &options->container;
  bool is_forked = options->preboot_fd >= 0; /* then it goes there by itself */
  if (!is_forked) move_to_cgroups(container->gofer_cgroups, container->gofer_cgroup_count, 0);
  if (fork_launcher(options)) return true;
  if (!is_forked && move_to_cgroups(container->cgroups, container->cgroup_count, 0) != NULL) {
    explain(EXIT_OWN_FAILURE, "cgroups: the way back failed");
    exit(EXIT_OWN_FAILURE);
  }
  return false;
}

/*
 * Adds a further container to a pod: starts its launcher and Gofer, and gives the pod's Sentry the
 * Gofer's socket.
 */
static bool join_sandbox(struct options *options) {
  int gofer[2];
  make_channel(gofer, SOCK_SEQPACKET);
  options->container.listen_fd = gofer[1];
  if (fork_beside_sentry(options)) return true;
  close(front.control.fd);
  front.control.fd = connect_sandbox(options, gofer[0]);
  close(gofer[0]);
  return false;
}

void take_over(struct options *options) {
  int fds[MOST_GIVEN];
  size_t count = MOST_GIVEN;
  char what;
  keep_given(options);
  if (options->mode == MODE_CONTAINER) enter_beside(options);
  if (receive_with_descriptors(options->preboot_fd, &what, 1, fds, &count) != 1 || count < 2) {
    _exit(0); /* the front gave up */
  }
  for (size_t i = 0; i < count; i++) fds[i] = high(fds[i], "channel");
  const int *next = fds + 2;
  if ((what & GIVES_STREAMS) != 0) {
    for (int fd = 0; fd < 3; fd++) dup2(*next++, fd);
  }
  if ((what & GIVES_LISTENER) != 0) options->container.listen_fd = *next++;
  if ((what & GIVES_NETWORK) != 0 && setns(*next, CLONE_NEWNET) < 0) _exit(125);
  take_places(options, fds[0], fds[1]);
}

/* ---- from a preboot to this program ---- */

/*
 * Lists the state that the front takes along to its own program. Both functions below go by this
 * order.
 */
static void list_state(int *state[7]) {
  struct options *options = front.options;
  int *const list[7] = {&front.launcher,
                        &front.control.fd,
                        &front.report.fd,
                        &options->config_fd,
                        &options->log_fd,
                        &options->container.error_log_fd,
                        &options->container.status_fd};
  memcpy(state, list, sizeof list);
}

static void go_on_elsewhere(void) {
  char text[128];
  int *state[7];
  size_t used = 0;
  list_state(state);
  for (int i = 0; i < 7; i++) {
    used += (size_t)snprintf(text + used, sizeof text - used, "%d,", *state[i]);
    if (i > 0 && *state[i] >= 0) fcntl(*state[i], F_SETFD, 0);
  }
  leave_preboot(OPTION_RESUMED, text);
}

static void go_on_here(struct options *options) {
  int *state[7];
  char *at = (char *)options->resumed;
  list_state(state);
  for (int i = 0; i < 7; i++, at += *at == ',') *state[i] = (int)strtol(at, &at, 10);
  options->strace_fd = options->stats_fd = options->profile_fd = options->proxy_fd = -1;
}

/* ---- all of it ---- */

static void finish_start(struct options *options) {
  let_preserved_go(&options->container);
  if (options->mode != MODE_COMMAND && !options->container.is_foreground) let_streams_go(options);
  enter_root(options);
  const int outputs[] = {options->strace_fd, options->stats_fd, options->profile_fd,
                         options->proxy_fd};
  for (int i = 0; i < 4; i++) {
    if (outputs[i] >= 0) close(outputs[i]);
  }
  run_front();
}

void start_front(struct options *options) {
  front.options = options;
  if (options->resumed != NULL) {
    go_on_here(options);
    options->container.preserved_count = 0;
    finish_start(options);
  }
  keep_given(options);
  if (options->mode != MODE_COMMAND) enter_container(options);
  if (options->mode == MODE_EXEC) {
    front.control.fd = connect_sandbox(options, -1);
  } else if (options->container.joins ? join_sandbox(options) : fork_launcher(options)) {
    return;
  } else if (!options->container.joins) {
    send_preserved(options, front.control.fd);
  }
  if (preboot.become != NULL) go_on_elsewhere();
  finish_start(options);
}

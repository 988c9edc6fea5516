// SPDX-License-Identifier: Apache-2.0
/*
 * The start of the front. It starts the launcher as its child; where the front is a fork of Node
 * (native/preboot), it then goes on in its own program, which is much smaller.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
 * Sends a preboot, which becomes the launcher, its ends of the two channels. Returns the preboot's
 * pid.
 */
static pid_t take_preboot(const struct options *options, int control, int report) {
  const int fds[2] = {control, report};
  if (!send_with_descriptors(options->preboot_fd, "", 1, fds, 2)) {
    explain(EXIT_OWN_FAILURE, "the sandbox ended before it began");
    exit(EXIT_OWN_FAILURE);
  }
  close(options->preboot_fd);
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
  const char *const *cgroups = container->gofer_cgroups;
  bool is_forked = options->preboot_fd >= 0;
  move_to_cgroups(cgroups, container->gofer_cgroup_count, is_forked ? options->preboot_pid : 0);
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

void take_over(struct options *options, int (*receive_channels)(int from, int channels[2])) {
  int channels[2];
  keep_given(options);
  if (receive_channels(options->preboot_fd, channels) < 0) _exit(0); /* the front gave up */
  take_places(options, high(channels[0], "channel"), high(channels[1], "channel"));
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

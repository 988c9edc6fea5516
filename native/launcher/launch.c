// SPDX-License-Identifier: Apache-2.0
/*
 * From the arguments to a running sandbox: the front, then in its child the launcher.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/launcher.h"

static void block_signals(void) {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGHUP);
  sigaddset(&blocked, SIGTTOU);
  sigprocmask(SIG_SETMASK, &blocked, NULL);
  signal(SIGPIPE, SIG_IGN);
}

/* Descriptors that were not given (no log, no strace) are /dev/null. */
static void fill_given(void) {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  } while (fd >= 0 && fd < FD_GIVEN);
  if (fd >= 0) close(fd);
}

static void make_pair(int pair[2]) {
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
    fatal("socketpair: %s", strerror(errno));
  }
  pair[0] = high(pair[0], "socketpair");
  pair[1] = high(pair[1], "socketpair");
}

static void make_network_descriptors(struct sandbox *sandbox) {
  sandbox->net_settings = sandbox->broker_pair[0] = sandbox->broker_pair[1] = sandbox->null;
  sandbox->proxy_pair[0] = sandbox->proxy_pair[1] = sandbox->null;
  if (has_proxy(sandbox)) make_pair(sandbox->proxy_pair);
  if (!sandbox->options.host_network) return;
  make_pair(sandbox->broker_pair);
  int settings = open("/proc/sys/net", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (settings < 0) return;
  sandbox->net_settings = high(settings, "/proc/sys/net");
  read_ping_groups(sandbox);
}

static void make_descriptors(struct sandbox *sandbox) {
  sandbox->zygote = high(FD_ZYGOTE, "zygote");
  sandbox->addon = sandbox->options.addon == NULL ? -1 : high(FD_ADDON, "addon");
  sandbox->wake = high(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
  sandbox->page = high(memfd_create("runts-page", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd");
  if (ftruncate(sandbox->page, 4096) < 0) fatal("memfd: %s", strerror(errno));
  char page_path[64];
  snprintf(page_path, sizeof page_path, "/proc/self/fd/%d", sandbox->page);
  sandbox->page_read_only = high(open(page_path, O_RDONLY | O_CLOEXEC), "global page");
  sandbox->cpuinfo = high(open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC), "/proc/cpuinfo");
  sandbox->meminfo = high(open("/proc/meminfo", O_RDONLY | O_CLOEXEC), "/proc/meminfo");
  sandbox->null = high(open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null");
  make_pair(sandbox->zygote_pair);
  make_pair(sandbox->gofer_pair);
  make_network_descriptors(sandbox);
  sandbox->links = sandbox->options.own_stack ? take_over_network(sandbox) : sandbox->null;
}

/* The Sentry is there already, and so is the Gofer's socket. */
static void make_gofer_descriptors(struct sandbox *sandbox) {
  sandbox->gofer_pair[1] = high(dup(FD_LISTEN), "gofer socket");
  sandbox->addon = sandbox->options.addon == NULL ? -1 : high(FD_ADDON, "addon");
  sandbox->null = high(open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null");
  make_pair(sandbox->zygote_pair);
  sandbox->gofer_pair[0] = high(dup(sandbox->null), "gofer socket");
}

/* The children have their copies; the ends kept here would hide a hang-up. */
static void drop_descriptors(const struct sandbox *sandbox) {
  close(FD_CONTROL);
  close(FD_LOG);
  close(FD_STRACE);
  close(FD_STATS);
  close(FD_PROFILE);
  close(FD_LISTEN);
  close(sandbox->zygote_pair[0]);
  close(sandbox->zygote_pair[1]);
  close(sandbox->gofer_pair[0]);
  close(sandbox->gofer_pair[1]);
  if (sandbox->options.own_stack && sandbox->links > 0) close(sandbox->links);
  if (has_broker(sandbox)) {
    close(sandbox->broker_pair[0]);
    /* In a preboot the broker is still to be started, when the memory of Node is gone: supervise.c. */
    if (preboot.become == NULL) close(sandbox->broker_pair[1]);
  }
  if (has_proxy(sandbox)) {
    close(sandbox->proxy_pair[0]);
    /* Likewise. */
    if (preboot.become == NULL) {
      close(sandbox->proxy_pair[1]);
      close(FD_PROXY);
    }
  }
  close(1);
  close(2);
  if (!sandbox->options.terminal) close(0);
}

/* Words of its own: the title of the process is written over the ones it was given. */
static char **copy_words(int count, char **words) {
  char **copies = calloc((size_t)count + 1, sizeof *copies);
  if (copies == NULL) _exit(125);
  for (int i = 0; i < count; i++) {
    if ((copies[i] = strdup(words[i])) == NULL) _exit(125);
  }
  return copies;
}

void start_launcher(struct sandbox *sandbox) {
  const struct options *options = &sandbox->options;
  block_signals();
  fill_given();
  setsid(); /* the terminal's signals are for the command line, which forwards them */
  find_identity(sandbox);
  own_mounts(sandbox);
  if (options->container.joins) {
    make_gofer_descriptors(sandbox);
  } else {
    make_descriptors(sandbox);
  }
  start_children(sandbox);
  drop_descriptors(sandbox);
  supervise(sandbox);
}

void launch(int argc, char **argv) {
  static struct sandbox sandbox;
  struct options *options = &sandbox.options;
  parse_options(options, argc, copy_words(argc, argv));
  if (options->container.title != NULL) {
    set_title(argv[0], argv[argc - 1] + strlen(argv[argc - 1]) + 1, options->container.title);
  }
  prctl(PR_SET_NAME, "runts"); /* a program in memory would be called by its descriptor */
  if (options->supervised != NULL) resume_supervision(options);
  if (options->terminal && options->container.console_socket == NULL) remember_terminal();
  start_front(options);
  start_launcher(&sandbox);
}

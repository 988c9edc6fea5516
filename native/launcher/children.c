// SPDX-License-Identifier: Apache-2.0
/*
 * Starts the Gofer and the Sentry, each in namespaces of its own, and in the Sentry's PID namespace
 * the zygote of the stubs, as a child of the process that becomes the Sentry.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "proxy/proxy.h"

/* fork() into new namespaces; that of the network may be left out. */
static pid_t fork_into_namespaces(bool own_network) {
  unsigned long flags =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (own_network) flags |= CLONE_NEWNET;
  pid_t pid = clone_process(flags);
  if (pid < 0) fatal_namespaces("making namespaces");
  return pid;
}

/* Waits until the launcher has written the id maps. */
static void wait_for_maps(int gate) {
  char byte;
  if (read(gate, &byte, 1) != 1) _exit(1);
}

void die_with_launcher(int gate) {
  struct pollfd launcher = {.fd = gate, .events = POLLIN};
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (poll(&launcher, 1, 0) != 0) _exit(1); /* it was gone already */
}

/*
 * libuv submits some work through io_uring where it can, past every seccomp filter: it must not get
 * one. This filter stays beneath the one that the process installs on itself later.
 */
static void forbid_io_uring(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
    fatal("seccomp: %s (the kernel needs CONFIG_SECCOMP_FILTER)", strerror(errno));
  }
}

static void set_limits(void) {
  struct rlimit none = {0, 0};
  struct rlimit files;
  setrlimit(RLIMIT_CORE, &none); /* a core file would hold the guest's data */
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

void reset_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < 65; number++) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The single-file build: node has its flags and scripts in it, and finds by its name what it is to be. */
static void start_single_file(const struct sandbox *sandbox, char *name, const char *config) {
  char *const argv[] = {name, (char *)config, NULL};
  char *const environment[] = {"UV_USE_IO_URING=0", NULL};
  if (dup2(sandbox->addon, ADDON_PLACE) < 0) return;
  execve(NODE_PATH, argv, environment);
}

static void start_node(const struct sandbox *sandbox, char *name, const char *script,
                       const char *config) {
  if (preboot.become != NULL) preboot.become(name, config);
  if (sandbox->addon >= 0) {
    start_single_file(sandbox, name, config);
    return;
  }
  char path[512];
  char *argv[MAX_NODE_FLAGS + 8];
  char *const environment[] = {"UV_USE_IO_URING=0", "NODE_COMPILE_CACHE=/app/build/compile-cache",
                               NULL};
  int count = 0;
  snprintf(path, sizeof path, "/app/%s", script);
  argv[count++] = name;
  for (int i = 0; i < sandbox->options.flag_count; i++) {
    argv[count++] = (char *)sandbox->options.flags[i];
  }
  argv[count++] = path;
  if (config != NULL) argv[count++] = (char *)config;
  argv[count] = NULL;
  execve(NODE_PATH, argv, environment);
}

/*
 * Where memory ends, a guest's process is to go before the Sentry, which all of them need. The file
 * is of this process, and opened while /proc is there; a child has its parent's score.
 */
static int open_oom_score(void) { return open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC); }

static int read_oom_score(int file) {
  char text[16];
  ssize_t length = pread(file, text, sizeof text - 1, 0);
  text[length > 0 ? length : 0] = 0;
  return atoi(text);
}

static void write_oom_score(int file, int score) {
  char text[16];
  int length = snprintf(text, sizeof text, "%d", score < 1000 ? score : 1000);
  if (write(file, text, (size_t)length) < 0) errno = 0; /* it is a wish */
}

/* No capabilities, no way to others, and what else the Sentry and the zygote have in common. */
static void give_up_rights(void) {
  drop_all_capabilities();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fatal("no_new_privs: %s", strerror(errno));
  set_limits();
  reset_signals();
}

static void become_zygote(void *argument) {
  const struct sandbox *sandbox = argument;
  if (sandbox->options.host_network && unshare(CLONE_NEWNET) < 0) {
    fatal_namespaces("an empty network");
  }
  give_up_rights();
  const struct placed placed[ZYGOTE_FDS] = {
      {-1}, {-1}, {-1}, {sandbox->zygote_pair[1]}, {sandbox->wake}, {sandbox->page_read_only},
  };
  int zygote = sandbox->zygote;
  place_descriptors(placed, ZYGOTE_FDS);
  char *const argv[] = {"runts-zygote", NULL};
  syscall(SYS_execveat, zygote, "", argv, argv + 1, AT_EMPTY_PATH);
  _exit(127);
}

/*
 * The zygote has its three descriptors and nothing else, and the ids and (no) rights of the Sentry.
 * Its network is always an empty one: where the Sentry shares the host's, guest code does not.
 * Memory is not shared with it, as it is with the sealer: the kernel gives the score to all who
 * share the writer's.
 */
static void start_zygote(struct sandbox *sandbox, int oom_score) {
  int own_score = read_oom_score(oom_score);
  write_oom_score(oom_score, own_score + sandbox->options.oom_margin);
  pid_t pid = clone_process(0);
  if (pid < 0) fatal("fork: %s", strerror(errno));
  if (pid == 0) become_zygote(sandbox);
  write_oom_score(oom_score, own_score);
  close(oom_score);
}

static void run_sentry(struct sandbox *sandbox, int gate) {
  wait_for_maps(gate);
  int oom_score = open_oom_score();
  become_sentry(sandbox); /* capabilities stay: id 0 does not exist in there */
  enter_private_root(sandbox, false);
  int sealer = start_sealer();
  start_zygote(sandbox, oom_score); /* it needs a capability for its network */
  give_up_rights();
  die_with_launcher(gate);
  forbid_io_uring();
  const struct placed placed[SENTRY_FDS] = {
      {sandbox->null},
      {sandbox->null},
      {FD_LOG},
      {FD_CONTROL},
      {sandbox->wake},
      {sandbox->page},
      {sandbox->zygote_pair[0]},
      {sandbox->gofer_pair[0]},
      {sealer},
      {sandbox->cpuinfo},
      {sandbox->meminfo},
      {0},
      {1},
      {2},
      {FD_STRACE},
      {FD_LISTEN},
      {sandbox->broker_pair[0]},
      {sandbox->net_settings},
      {FD_STATS},
      {FD_PROFILE},
      {sandbox->proxy_pair[0]},
      {sandbox->links},
  };
  int report_copy = high(dup(FD_REPORT), "report channel");
  place_descriptors(placed, SENTRY_FDS);
  start_node(sandbox, SENTRY_NAME, sandbox->options.sentry,
             sandbox->options.host_network ? sandbox->ping_groups : NULL);
  dup2(report_copy, FD_REPORT);
  fatal("starting node for the sentry: %s", strerror(errno));
}

static void run_gofer(struct sandbox *sandbox, int gate) {
  wait_for_maps(gate);
  enter_private_root(sandbox, true);
  int sealer = start_sealer();
  bool writable = false;
  for (int i = 0; i < sandbox->options.attach_count; i++) {
    writable |= sandbox->options.attach[i].writable;
  }
  if (sandbox->privileged) {
    keep_file_capabilities(writable);
  } else {
    drop_all_capabilities();
  }
  die_with_launcher(gate);
  set_limits();
  reset_signals();
  signal(SIGCHLD, SIG_IGN); /* nobody waits for the sealer */
  forbid_io_uring();
  struct placed placed[GOFER_ATTACH + MAX_ATTACH] = {
      {sandbox->null}, {sandbox->null}, {FD_LOG}, {sandbox->gofer_pair[1]}, {sealer},
  };
  int count = GOFER_ATTACH;
  for (int i = 0; i < sandbox->options.attach_count; i++) {
    placed[count++].source = sandbox->options.attach[i].tree;
  }
  int report_copy = high(dup(FD_REPORT), "report channel");
  place_descriptors(placed, count);
  start_node(sandbox, GOFER_NAME, sandbox->options.gofer, sandbox->options.gofer_config);
  dup2(report_copy, FD_REPORT);
  fatal("starting node for the gofer: %s", strerror(errno));
}

/* It stays in the network of the caller; all else of it is as the Sentry's. */
static void become_proxy(struct sandbox *sandbox, int gate) {
  wait_for_maps(gate);
  become_sentry(sandbox);
  enter_empty_root();
  give_up_rights();
  die_with_launcher(gate);
  const struct placed placed[PROXY_START_FDS] = {
      {sandbox->null}, {sandbox->null}, {sandbox->null}, {sandbox->proxy_pair[1]}, {FD_PROXY},
  };
  place_descriptors(placed, PROXY_START_FDS);
  close_range(PROXY_START_FDS, ~0U, 0);
  prctl(PR_SET_NAME, "runts-proxy");
  run_proxy();
}

static pid_t start_child(struct sandbox *sandbox, bool own_network,
                         void (*run)(struct sandbox *, int),
                         void (*write_maps)(const struct sandbox *, pid_t)) {
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) < 0) fatal("pipe: %s", strerror(errno));
  pid_t pid = fork_into_namespaces(own_network);
  if (pid == 0) {
    close(gate[1]);
    run(sandbox, gate[0]);
    _exit(1);
  }
  close(gate[0]);
  write_maps(sandbox, pid);
  if (write(gate[1], "", 1) != 1) fatal("starting a child: %s", strerror(errno));
  /* It stays open, also at leave_preboot(): its end tells the child that the launcher is gone. */
  fcntl(high(gate[1], "pipe"), F_SETFD, 0);
  return pid;
}

bool has_proxy(const struct sandbox *sandbox) { return sandbox->options.proxy_fd >= 0; }

void start_proxy(struct sandbox *sandbox) {
  if (!has_proxy(sandbox)) return;
  sandbox->proxy_pid = start_child(sandbox, false, become_proxy, write_sentry_maps);
}

void start_children(struct sandbox *sandbox) {
  if (!sandbox->options.container.joins) {
    open_privileged_trees(sandbox, false);
    sandbox->sentry_pid =
        start_child(sandbox, !sandbox->options.host_network, run_sentry, write_sentry_maps);
    close_trees(sandbox);
    if (preboot.become == NULL) { /* else supervise.c does */
      start_broker(sandbox);
      start_proxy(sandbox);
    }
  }
  open_privileged_trees(sandbox, true);
  sandbox->gofer_pid = start_child(sandbox, true, run_gofer, write_gofer_maps);
  close_trees(sandbox);
}

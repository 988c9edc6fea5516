/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher: a small static program between the command line and a sandbox. Its first process
 * takes over from the command line's Node (front.c) and starts the second, which makes the
 * namespaces and private roots of the Sentry and the Gofer before Node (which is never
 * single-threaded) starts in them, and stays outside as their supervisor.
 *
 * Descriptors of the second:
 *   0 1 2  the guest's standard streams
 *   3      control channel between the command line and the Sentry, passed through
 *   4      report channel: this program's lines for the command line; its hang-up ends the sandbox
 *   5      debug log (or /dev/null), standard error of the Sentry and the Gofer
 *   6      strace output (or /dev/null)
 *   7      a container's control socket, on which the Sentry accepts connections (or /dev/null);
 *          where the container joins another's Sentry, its Gofer's end of the socket between both
 *   8 9    the programs it was given by path: the zygote, and in the single-file build the addon
 *          (or /dev/null)
 *   10 11  what the Sentry counted and its profile (or /dev/null)
 *   12     a socket with the configuration of the network proxy (or /dev/null)
 */
#ifndef RUNTS_LAUNCHER_H
#define RUNTS_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "protocol.h"

enum {
  FD_CONTROL = 3,
  FD_REPORT = 4,
  FD_LOG = 5,
  FD_STRACE = 6,
  FD_LISTEN = 7,
  FD_ZYGOTE = 8,
  FD_ADDON = 9,
  FD_STATS = 10,
  FD_PROFILE = 11,
  FD_PROXY = 12,
  FD_GIVEN = 13
};

/*
 * The descriptors of what it starts: protocol/descriptors.ts. What the launcher makes lies at
 * LAUNCHER_HIGH and above.
 */

/*
 * The descriptors below are ours to lay out. Those from here on are Node's in a preboot
 * (native/preboot/preboot.h).
 */
enum { PREBOOT_FDS = 900 };

enum { MAX_TREES = 8 };

struct attach {
  const char *path;
  bool writable;
  bool flat;    /* without the mounts below it */
  bool slave;   /* what the host mounts below it later is there too */
  bool overlay; /* a new overlay, and `path` the data of mount(2) for it */
  int tree;     /* detached mount */
};

/* Who the front stands for. */
enum mode {
  MODE_COMMAND,   /* `runts do`: the caller's child, in the caller's process group */
  MODE_CONTAINER, /* a container's process on the host: the one of the pid file */
  MODE_EXEC       /* a further process of a container: no sandbox of its own, a connection to one */
};

/* What MODE_CONTAINER and MODE_EXEC add: container.c. */
struct container {
  const char *title; /* what ps(1) shows */
  int state_dir;     /* directory of the control socket */
  int status_fd;     /* pipe to the command line, told of the start; or -1 */
  int gate_fd;       /* a byte here lets the sandbox start; -1: at once */
  int error_log_fd;  /* or -1 */
  bool error_log_json;
  const char *cgroups[MAX_CGROUPS]; /* files that take a process id */
  int cgroup_count;
  /* MODE_CONTAINER that joins: those of the Sentry, where its Gofer goes too. */
  const char *gofer_cgroups[MAX_CGROUPS];
  int gofer_cgroup_count;
  const char *network; /* "new", a path, or NULL: the caller's */
  const char
      *settings[MAX_NETWORK_SETTINGS]; /* of that network: files below /proc/sys, "PATH=VALUE" */
  int setting_count;
  const char *network_notice; /* told where the namespace has a network that guests do not get */
  const char *console_socket; /* receives the terminal's other side */
  int rows, columns;          /* of that terminal, 0: not said */
  int oom_score_adj;
  bool is_foreground;           /* MODE_EXEC: in the place of the caller, with its streams */
  int preserved[MAX_PRESERVED]; /* descriptors of the caller, from 3 on, for the process */
  int preserved_count;
  bool joins; /* MODE_CONTAINER: it lives in the Sentry of the container whose state_dir this is */
  int listen_fd; /* made here; for one that joins its Gofer's socket */
};

/* Its members are named by protocol/launcher-options.ts, which says what they are. */
struct options {
  enum mode mode;
  struct container container;
  const char *node;
  const char *app;    /* directory of the scripts, seen as /app inside; NULL: node has them in it */
  const char *sentry; /* script, relative to app */
  const char *gofer;
  const char *gofer_config;
  const char *zygote;
  const char *addon; /* without an app: the Node-API addon */
  struct attach attach[MAX_ATTACH];
  int attach_count;
  const char *flags[MAX_NODE_FLAGS]; /* for node */
  int flag_count;
  bool host_network; /* the Sentry stays in the network namespace of the caller */
  bool own_stack;    /* it gets the network of that namespace for a stack of its own: link.c */
  unsigned long long network_capabilities; /* bits: what the guests may have in it; broker.c */
  const char *resumed;                     /* the front goes on here: front-start.c */
  const char *supervised;                  /* the launcher goes on here: supervise.c */
  int preboot_fd;                          /* what is to become the launcher listens there; or -1 */
  int preboot_pid;
  bool terminal;         /* descriptor 0 is a terminal whose settings are put back at the end */
  int config_fd;         /* the Sentry's configuration, a memfd */
  int log_fd, strace_fd; /* or -1 */
  int stats_fd, profile_fd;
  int proxy_fd;            /* the network proxy's configuration; or -1: there is none */
  int zygote_fd, addon_fd; /* opened early: the paths may be descriptors of the command line */
  long timeout_ms;         /* 0: none */
  int oom_margin;          /* by how much the oom_score_adj of guest processes is higher */
};

/* Where the node binary is in the private roots. */
#define NODE_PATH "/node"

/* A piece of the host that Node needs while it boots. */
struct tree {
  const char *target;
  int fd;
};

/*
 * Everything made once, before the children. All descriptors are numbered LAUNCHER_HIGH and up,
 * close-on-exec.
 */
struct sandbox {
  struct options options;
  bool privileged; /* real root: may open trees itself and map other ids */
  uid_t uid;       /* host ids that the Sentry and the stubs run as */
  gid_t gid;
  int zygote;                     /* O_PATH of the zygote's */
  int addon;                      /* likewise, or -1 */
  int wake, page, page_read_only; /* stubs must not write the global page */
  int zygote_pair[2], gofer_pair[2];
  int broker_pair[2]; /* or /dev/null, where there is none */
  int proxy_pair[2];  /* likewise */
  int cpuinfo, meminfo, null;
  int net_settings; /* or /dev/null */
  int links;        /* a network taken over, or /dev/null */
  char ping_groups
      [32]; /* the first and the last that may ping: only read in this user namespace are they right */
  struct tree trees[MAX_TREES];
  int tree_count;
  pid_t sentry_pid, gofer_pid, broker_pid, proxy_pid;
};

/* launch.c: all of it. Ends this process. */
void launch(int argc, char **argv) __attribute__((noreturn));
/* Of `options`, for whom this is the launcher: descriptors 0 to FD_ADDON are in their places. */
void start_launcher(struct sandbox *sandbox) __attribute__((noreturn));

/*
 * process.c. The launcher is a program of its own, or runs in a process that was forked from a Node
 * (native/preboot). What is different there:
 */
struct preboot {
  unsigned last_fd; /* of the descriptors that are ours to close */
  int program; /* the launcher's own, for those that stay: they must not keep Node's memory; -1: this is it */
  int *tid;     /* where the C library keeps the thread's number */
  char **words; /* the launcher's arguments */
  /* In the place of execve: goes on in JavaScript as the Sentry or the Gofer. Does not return. */
  void (*become)(const char *name, const char *config);
};
extern struct preboot preboot;
/* fork(), into new namespaces where `flags` (CLONE_NEW...) says so. */
pid_t clone_process(unsigned long flags);
/*
 * A process that runs `body`, which does not return. In a preboot, which has more memory than is
 * cheap to copy, it shares the memory of this one: `body` makes system calls only, on a stack of
 * its own. With `waits` until it has executed something.
 */
pid_t start_process(void (*body)(void *), void *argument, bool waits);
/* In a preboot: this process becomes the launcher's program, with one option more. */
void leave_preboot(const char *option, const char *value) __attribute__((noreturn));

/* front-start.c: returns in the launcher's second process only. */
void start_front(struct options *options);
/*
 * In a preboot that becomes the launcher of a front which runs already: what the front makes for it
 * is still to come.
 */
void take_over(struct options *options);

/* message.c: false where the other side is gone. */
bool send_with_descriptors(int socket, const void *bytes, size_t length, const int *fds,
                           size_t count);
/*
 * Answers how many bytes came, and as a negative number that it failed; `count` is the room for
 * descriptors and their number.
 */
ssize_t receive_with_descriptors(int socket, void *bytes, size_t length, int *fds, size_t *count);

/* given.c: the options' descriptors move to LAUNCHER_HIGH and above, all others of the caller are closed. */
void keep_given(struct options *options);
/*
 * Process `pid`, 0 for this one, moves to cgroups. Answers the first where the host does not let it
 * (errno), or NULL.
 */
const char *move_to_cgroups(const char *const *files, int count, pid_t pid);
/* In the launcher: the descriptors that are listed above. */
void take_places(const struct options *options, int control, int report);
/* What outlives the command line must not hold the caller's streams: the guest has its copies. */
void let_streams_go(const struct options *options);
void let_preserved_go(const struct container *container);

/*
 * container.c: what a container's front does before there is a sandbox, and its reports to the
 * command line.
 */
void enter_container(struct options *options);
/* What a launcher that is not a fork of its front does of that for itself. */
void enter_beside(const struct options *options);
void enter_root(struct options *options);
void tell_missing_network(const struct container *container);
/*
 * A connection to the control socket, with standard input, output and error sent, and a Gofer's
 * socket or -1.
 */
int connect_sandbox(struct options *options, int gofer);
/* Sends the preserved descriptors ahead of the configuration. */
void send_preserved(struct options *options, int control);
/* Told once: "created", "started", or "failed CODE TEXT". */
void tell_status(struct container *container, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void end_status(struct container *container);
void log_error(const struct container *container, const char *text);

/*
 * link.c: what the Sentry receives of the network of this process's namespace; /dev/null where there
 * is none, or where it is the host's own.
 */
int take_over_network(const struct sandbox *sandbox);

/* report.c: lines on the report channel. `fatal` reports and ends this process. */
extern bool report_open; /* FD_REPORT is the report channel */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* The same for a failed call (errno) that a host without user namespaces explains. */
void fatal_namespaces(const char *what) __attribute__((noreturn));

/*
 * container.c: what ps(1) shows instead of the arguments. They lie one after the other from `start`
 * to `end`.
 */
void set_title(char *start, const char *end, const char *title);

/* options.c */
void init_options(struct options *options);
void parse_options(struct options *options, int argc, char **argv);

/* descriptors.c */
int high(int fd, const char *what);
struct placed {
  int source; /* negative: the place stays closed */
};
/* Makes descriptor i a copy of placed[i] for all i < count; all others close at exec. */
void place_descriptors(const struct placed *placed, int count);

/* identity.c */
void find_identity(struct sandbox *sandbox);
void write_sentry_maps(const struct sandbox *sandbox, pid_t pid);
void write_gofer_maps(const struct sandbox *sandbox, pid_t pid);
void become_sentry(const struct sandbox *sandbox);
unsigned long long effective_capabilities(void);
void become_broker(const struct sandbox *sandbox, gid_t group, unsigned long long kept);
void drop_all_capabilities(void);
/* Leaves the file capabilities that the attach points call for. */
void keep_file_capabilities(bool writable);

/* root.c */
/*
 * Root of a user namespace may live among mounts of another (`unshare -U` alone), of which it may copy
 * none. Then the launcher gets a mount namespace of its own, which has the same mounts.
 */
void own_mounts(const struct sandbox *sandbox);
/* For one child: a detached tree can be mounted once. Nothing happens for an ordinary user. */
void open_privileged_trees(struct sandbox *sandbox, bool gofer);
void close_trees(struct sandbox *sandbox);
/* Replaces the root by a private one: the boot trees, /app, and `final` (what stays after sealing). */
void enter_private_root(struct sandbox *sandbox, bool gofer);
/* In a mount namespace of its own, among others: nothing. */
void enter_empty_root(void);
/* Starts the process that, on a byte over the socket it answers, leaves only `final` of the file system. */
int start_sealer(void);

/* children.c */
void start_children(struct sandbox *sandbox);
/* The network proxy (native/proxy), where there is to be one. */
bool has_proxy(const struct sandbox *sandbox);
void start_proxy(struct sandbox *sandbox);
/* From here on this process dies with the launcher, which holds the other side of `gate`. */
void die_with_launcher(int gate);
void reset_signals(void);

/* broker.c: where the Sentry's network and capabilities call for one. */
void start_broker(struct sandbox *sandbox);
/* It has a socket pair, at least. */
bool has_broker(const struct sandbox *sandbox);
void read_ping_groups(struct sandbox *sandbox);

/* ending.c: kills all processes of the sandbox, and returns when they are gone. */
void end_children(struct sandbox *sandbox);

/* supervise.c */
void remember_terminal(void);
void supervise(struct sandbox *sandbox) __attribute__((noreturn));
/* The same in the launcher's own program, after a preboot. */
void resume_supervision(struct options *options) __attribute__((noreturn));

#endif

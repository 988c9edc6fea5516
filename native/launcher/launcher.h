/*
 * The launcher: a small static program between the command line and a sandbox. Its first process takes over from
 * the command line's Node (front.c) and starts the second, which makes the namespaces and private roots of the Sentry
 * and the Gofer before Node (which is never single-threaded) starts in them, and stays outside as their supervisor.
 *
 * Descriptors of the second:
 *   0 1 2  the guest's standard streams
 *   3      control channel between the command line and the Sentry, passed through
 *   4      report channel: this program's lines for the command line; its hang-up ends the sandbox
 *   5      debug log (or /dev/null), standard error of the Sentry and the Gofer
 *   6      strace output (or /dev/null)
 */
#ifndef RUNTS_LAUNCHER_H
#define RUNTS_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { FD_CONTROL = 3, FD_REPORT = 4, FD_LOG = 5, FD_STRACE = 6, FD_GIVEN = 7 };

/* Descriptors of the Sentry: twin of sentry/host/descriptors.ts. */
enum {
  SENTRY_CONTROL = 3,
  SENTRY_WAKE = 4,
  SENTRY_PAGE = 5,
  SENTRY_ZYGOTE = 6,
  SENTRY_GOFER = 7,
  SENTRY_SEALER = 8,
  SENTRY_CPUINFO = 9,
  SENTRY_MEMINFO = 10,
  SENTRY_STDIO = 11, /* three of them */
  SENTRY_STRACE = 14,
  SENTRY_FDS = 15
};

/* Descriptors of the zygote: platform-ptrace/systrap/README.md. */
enum { ZYGOTE_CONTROL = 3, ZYGOTE_WAKE = 4, ZYGOTE_PAGE = 5, ZYGOTE_FDS = 6 };

/* Descriptors of the Gofer: twin of gofer/main.ts; the attach points follow. */
enum { GOFER_SOCKET = 3, GOFER_SEALER = 4, GOFER_ATTACH = 5 };

/* What the launcher makes lies at HIGH and above. */
enum { HIGH = 200 };

enum { MAX_ATTACH = 64, MAX_FLAGS = 24, MAX_TREES = 8 };

struct attach {
  const char *path;
  bool writable;
  int tree; /* detached mount */
};

struct options {
  const char *node;
  const char *app;    /* directory of the scripts, seen as /app inside */
  const char *sentry; /* script, relative to app */
  const char *gofer;
  const char *gofer_config;
  const char *zygote;
  struct attach attach[MAX_ATTACH];
  int attach_count;
  char *flags[MAX_FLAGS]; /* for node */
  int flag_count;
  bool terminal;         /* descriptor 0 is a terminal whose settings are put back at the end */
  int config_fd;         /* the Sentry's configuration, a memfd */
  int log_fd, strace_fd; /* or -1 */
  long timeout_ms;       /* 0: none */
};

/* Where the node binary is in the private roots. */
#define NODE_PATH "/node"

/* A piece of the host that Node needs while it boots. */
struct tree {
  const char *target;
  int fd;
};

/* Everything made once, before the children. All descriptors are numbered HIGH and up, close-on-exec. */
struct sandbox {
  struct options options;
  bool privileged; /* real root: may open trees itself and map other ids */
  uid_t uid;       /* host ids that the Sentry and the stubs run as */
  gid_t gid;
  int zygote;                     /* O_PATH of the zygote's */
  int wake, page, page_read_only; /* stubs must not write the global page */
  int zygote_pair[2], gofer_pair[2];
  int cpuinfo, meminfo, null;
  struct tree trees[MAX_TREES];
  int tree_count;
  pid_t sentry_pid, gofer_pid;
};

/* front.c: returns in the launcher's second process only. */
void start_front(struct options *options);

/* report.c: lines on the report channel. `fatal` reports and ends this process. */
extern bool report_open; /* FD_REPORT is the report channel */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* The same for a failed call (errno) that a host without user namespaces explains. */
void fatal_namespaces(const char *what) __attribute__((noreturn));

/* options.c */
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
void drop_all_capabilities(void);
/* Leaves the file capabilities that the attach points call for. */
void keep_file_capabilities(bool writable);

/* root.c */
/* For one child: a detached tree can be mounted once. Nothing happens for an ordinary user. */
void open_privileged_trees(struct sandbox *sandbox, bool gofer);
void close_trees(struct sandbox *sandbox);
/* Replaces the root by a private one: the boot trees, /app, and `final` (what stays after sealing). */
void enter_private_root(struct sandbox *sandbox, bool gofer);
/* Forks the process that, on a byte over the socket it answers, leaves only `final` of the file system. */
int fork_sealer(const char *final);

/* children.c */
void start_children(struct sandbox *sandbox);

/* supervise.c */
void remember_terminal(void);
int supervise(struct sandbox *sandbox) __attribute__((noreturn));

#endif

// SPDX-License-Identifier: Apache-2.0
/*
 * A container's front, and that of `runts exec`: its place among the host's cgroups and namespaces,
 * its terminal, the control socket, and what it tells the command line, which waits for the start
 * and leaves.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "launcher/text.h"

static const char socket_name[] = STATE_SOCKET_FILE;

/* ---- telling ---- */

void tell_status(struct container *container, const char *format, ...) {
  char line[4096];
  va_list list;
  if (container->status_fd < 0) return;
  va_start(list, format);
  int used = vsnprintf(line, sizeof line - 1, format, list);
  va_end(list);
  if (used > (int)sizeof line - 2) used = (int)sizeof line - 2;
  line[used++] = '\n';
  if (write(container->status_fd, line, (size_t)used) < 0) end_status(container);
}

void end_status(struct container *container) {
  if (container->status_fd >= 0) close(container->status_fd);
  container->status_fd = -1;
}

void log_error(const struct container *container, const char *text) {
  write_log(container->error_log_fd, container->error_log_json, "error", text, "RUNTS_E_START");
}

static void fail(struct container *container, const char *what) __attribute__((noreturn));
static void fail(struct container *container, const char *what) {
  char text[512];
  snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
  if (container->status_fd >= 0) {
    tell_status(container, STATUS_WORD_FAILED " 125 %s", text);
  } else {
    log_error(container, text);
    if (write(2, "runts: ", 7) == 7 && write(2, text, strlen(text)) > 0) (void)!write(2, "\n", 1);
  }
  exit(container->is_foreground ? 255 : 125);
}

/* ---- its place ---- */

static void write_file(struct container *container, const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail(container, path);
  close(fd);
}

const char *move_to_cgroups(const char *const *files, int count, pid_t pid) {
  char text[16];
  size_t length = (size_t)snprintf(text, sizeof text, "%d\n", (int)pid);
  for (int i = 0; i < count; i++) {
    int fd = open(files[i], O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, length) < 0) return files[i];
    close(fd);
  }
  return NULL;
}

/* As runc: a wish that a host without CAP_SYS_RESOURCE refuses is an error only there. */
static void set_oom_score(struct container *container) {
  char text[16];
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  int length = snprintf(text, sizeof text, "%d", container->oom_score_adj);
  if (fd >= 0 && write(fd, text, (size_t)length) < 0 && errno != EACCES && errno != EPERM) {
    fail(container, "oom_score_adj");
  }
  if (fd >= 0) close(fd);
}

/* The loopback device of a new namespace is down. */
static void raise_loopback(void) {
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) errno = 0; /* an engine may do it itself */
  }
  close(fd);
}

static void enter_network(struct container *container) {
  const char *network = container->network;
  if (network == NULL) return;
  if (strcmp(network, "new") == 0) {
    if (unshare(CLONE_NEWNET) < 0) fail(container, "a network namespace");
    raise_loopback();
    return;
  }
  int fd = open(network, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) fail(container, network);
  close(fd);
}

/* net.* of linux.sysctl. The hooks have been: what they made (an interface) has settings too. */
static void write_network_settings(struct container *container) {
  char path[512];
  for (int i = 0; i < container->setting_count; i++) {
    const char *equals = strchr(container->settings[i], '=');
    if (equals == NULL) continue;
    snprintf(path, sizeof path, "/proc/sys/%.*s", (int)(equals - container->settings[i]),
             container->settings[i]);
    write_file(container, path, equals + 1);
  }
}

/* Detached, and as the Gofer serves it. -1: errno is set. */
static int clone_root(const struct attach *root) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                                  .propagation = MS_PRIVATE};
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, root->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (!root->writable) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (tree < 0 ||
      syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
    return tree;
  }
  close(tree);
  return -1;
}

/*
 * Makes the working directory, a mount, the root. An initial root in memory cannot be exchanged,
 * only covered.
 */
static int change_root(void) {
  if (syscall(SYS_pivot_root, ".", ".") == 0) return umount2(".", MNT_DETACH);
  if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0) return -1;
  return chroot(".");
}

/*
 * Who enters "the container's mount namespace" by the process of the pid file (podman cp) is to
 * find the container's files there, not the host's: so this process has such a namespace. What is
 * mounted in the container is not in it. Where the right to make one is missing, others lack it to
 * enter.
 */
void enter_root(struct options *options) {
  struct container *container = &options->container;
  const struct attach *root = &options->attach[0];
  if (options->mode != MODE_CONTAINER || options->attach_count == 0) return;
  int tree = clone_root(root);
  if (tree < 0 && errno == EPERM) return;
  if (tree < 0 || unshare(CLONE_NEWNS) < 0 ||
      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      syscall(SYS_move_mount, tree, "", AT_FDCWD, root->path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
      fchdir(tree) < 0 || change_root() < 0 || chdir("/") < 0) {
    fail(container, "a mount namespace");
  }
  close(tree);
}

/* ---- its terminal ---- */

static void send_descriptor(struct container *container, int socket, int fd, const char *name) {
  if (!send_with_descriptors(socket, name, strlen(name), &fd, 1)) fail(container, "console socket");
}

static void send_console(struct container *container, int master, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(container->console_socket) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(container, "console socket");
  }
  strcpy(address.sun_path, container->console_socket);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    fail(container, "console socket");
  }
  send_descriptor(container, fd, master, name);
  close(fd);
}

/*
 * A new pseudo-terminal: its master goes to the engine; its slave, opened for this program alone
 * and so free to be non-blocking, is the standard streams and the controlling terminal.
 */
static void open_console(struct container *container) {
  char name[32];
  unsigned number;
  int unlocked = 0;
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0 ||
      ioctl(master, TIOCGPTN, &number) < 0) {
    fail(container, "/dev/ptmx");
  }
  snprintf(name, sizeof name, "/dev/pts/%u", number);
  struct winsize size = {.ws_row = (unsigned short)container->rows,
                         .ws_col = (unsigned short)container->columns};
  if (container->rows > 0 && ioctl(master, TIOCSWINSZ, &size) < 0) fail(container, name);
  int slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (slave < 0) fail(container, name);
  send_console(container, master, name);
  close(master);
  for (int fd = 0; fd < 3; fd++) {
    if (slave != fd && dup2(slave, fd) < 0) fail(container, name);
  }
  if (slave > 2) close(slave);
  if (ioctl(0, TIOCSCTTY, 0) < 0) fail(container, name);
}

/* ---- the control socket ---- */

/* By way of the directory's descriptor: a socket's name is short, a state directory's may be long. */
static struct sockaddr_un socket_address(const struct container *container) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", container->state_dir,
           socket_name);
  return address;
}

static void listen_for_commands(struct container *container) {
  struct sockaddr_un address = socket_address(container);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 128) < 0) {
    fail(container, socket_name);
  }
  container->listen_fd = high(fd, socket_name);
}

/* One byte ahead of a request, for descriptors to travel with. */
static void send_descriptors(struct container *container, int socket, const int *fds, int count) {
  if (!send_with_descriptors(socket, " ", 1, fds, (size_t)count)) fail(container, socket_name);
}

/*
 * The three streams, what a container has beside its processes, and what else the process is given.
 * Of a container: its Gofer's socket, and its cgroups' lists of processes to be written, by which
 * the Sentry puts its guest processes there. The host kernel knows the numbers that the Sentry
 * writes as those of the Sentry's own PID namespace: it can move nothing but itself and its stubs,
 * and only there.
 */
static void send_streams(struct container *container, int socket, int gofer) {
  int fds[4 + MAX_CGROUPS + MAX_PRESERVED] = {0, 1, 2};
  int count = 3, first_cgroup;
  if (gofer >= 0) fds[count++] = gofer;
  first_cgroup = count;
  for (int i = 0; gofer >= 0 && i < container->cgroup_count; i++) {
    fds[count] = open(container->cgroups[i], O_WRONLY | O_CLOEXEC);
    if (fds[count++] < 0) fail(container, container->cgroups[i]);
  }
  int preserved = count;
  for (int i = 0; i < container->preserved_count; i++) fds[count++] = container->preserved[i];
  send_descriptors(container, socket, fds, count);
  while (preserved > first_cgroup) close(fds[--preserved]);
}

void send_preserved(struct options *options, int control) {
  struct container *container = &options->container;
  if (container->preserved_count == 0) return;
  send_descriptors(container, control, container->preserved, container->preserved_count);
}

int connect_sandbox(struct options *options, int gofer) {
  struct container *container = &options->container;
  struct sockaddr_un address = socket_address(container);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    fail(container, "the container does not answer");
  }
  send_streams(container, fd, gofer);
  return high(fd, socket_name);
}

/* ---- all of it ---- */

static void await_gate(struct container *container) {
  char byte;
  ssize_t got;
  if (container->gate_fd < 0) return;
  tell_status(container, STATUS_WORD_NAMESPACES);
  do {
    got = read(container->gate_fd, &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) exit(125); /* the command line gave up */
  close(container->gate_fd);
  container->gate_fd = -1;
}

/*
 * `start` and `kill` may come before there is anybody to carry them out (front.c): they wait,
 * instead of ending us.
 */
static void hold_orders(void) {
  sigset_t orders;
  sigemptyset(&orders);
  sigaddset(&orders, ORDER_SIGNAL);
  sigprocmask(SIG_BLOCK, &orders, NULL);
}

/*
 * Whether an interface has an address and a way out. A namespace without a network may have more
 * interfaces than the loopback (those of tunnels, which every new one gets), but no routes of them.
 */
static bool has_routes(void) {
  char line[512];
  int lines = 0;
  bool found = false;
  FILE *file = fopen("/proc/self/net/route", "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) lines++;
  if (file != NULL) fclose(file);
  if (lines > 1) return true; /* the first is the heading */
  file = fopen("/proc/self/net/ipv6_route", "re");
  while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
    const char *interface = strrchr(line, ' ');
    found = interface != NULL && strcmp(interface, " lo\n") != 0;
  }
  if (file != NULL) fclose(file);
  return found;
}

/*
 * The hooks have been, and the standard error is the container's: where an engine gave it a network
 * that guests do not get, the notice says so. Where nobody reads it is lost.
 */
void tell_missing_network(const struct container *container) {
  const char *notice = container->network_notice;
  if (notice == NULL || !has_routes()) return;
  struct iovec line[] = {{(char *)notice, strlen(notice)}, {"\n", 1}};
  if (writev(2, line, 2) < 0) return;
}

void enter_beside(const struct options *options) {
  struct container container = options->container;
  const char *const *cgroups = container.joins ? container.gofer_cgroups : container.cgroups;
  int count = container.joins ? container.gofer_cgroup_count : container.cgroup_count;
  prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  /* The front, which goes to the same cgroups, says what is wrong with them. */
  if (move_to_cgroups(cgroups, count, 0) != NULL && !container.joins) _exit(125);
  set_oom_score(&container);
}

void enter_container(struct options *options) {
  struct container *container = &options->container;
  hold_orders();
  /* An engine's PDEATHSIG is for the command line, not for what it leaves behind. */
  prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  /* Else it stays in the session of the terminal that it is given. */
  bool is_apart = !options->terminal && !container->is_foreground;
  if (is_apart || container->console_socket != NULL) setsid();
  const char *refused = move_to_cgroups(container->cgroups, container->cgroup_count, 0);
  if (refused != NULL) fail(container, refused);
  set_oom_score(container);
  enter_network(container);
  if (options->mode == MODE_CONTAINER && !container->joins) listen_for_commands(container);
  await_gate(container);
  write_network_settings(container);
  if (container->console_socket != NULL) open_console(container);
  /* Where a stack of the sandbox's own is to have it, link.c finds out. */
  if (!options->own_stack) tell_missing_network(container);
}

void set_title(char *start, const char *end, const char *title) {
  size_t room = (size_t)(end - start);
  size_t length = strnlen(title, room - 1);
  memmove(start, title, length);
  memset(start + length, 0, room - length);
}

// SPDX-License-Identifier: Apache-2.0
/*
 * See preboot.h.
 */
#define _GNU_SOURCE
#include "preboot/preboot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/launcher.h"

static int own_socket = -1;
static jmp_buf back;
static struct role role;

/* ---- before the fork ---- */

/* Only where low numbers were kept free of Node's descriptors can the launcher lay its own out. */
bool free_places(void) {
  struct mark mark;
  if (pread(MARK_FD, &mark, sizeof mark, 0) != sizeof mark || mark.mark != MARK) return false;
  for (int fd = 0; fd <= MARK_FD; fd++) {
    if ((mark.taken[fd / 8] & 1 << fd % 8) != 0) close(fd);
  }
  return true;
}

/* V8 keeps its heap from being copied to children. */
static bool let_memory_be_copied(void) {
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[512];
  unsigned long start, end;
  if (maps == NULL) return false;
  while (fgets(line, sizeof line, maps) != NULL) {
    /* Refused for the rings of io_uring alone, which a child has no use for. */
    if (sscanf(line, "%lx-%lx", &start, &end) == 2)
      madvise((void *)start, end - start, MADV_DOFORK);
  }
  fclose(maps);
  return true;
}

/* All others sleep, and so hold no lock: a child would wait for it for ever. */
static bool threads_sleep(void) {
  char path[64], text[256];
  bool all = true;
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL) return false;
  for (struct dirent *entry; all && (entry = readdir(tasks)) != NULL;) {
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == gettid()) continue;
    snprintf(path, sizeof path, "/proc/self/task/%.16s/stat", entry->d_name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (got <= 0) continue; /* it has ended */
    text[got] = 0;
    const char *state = strrchr(text, ')');
    all = state != NULL && state[1] == ' ' && state[2] == 'S';
  }
  closedir(tasks);
  return all;
}

/*
 * Where glibc keeps the number of this thread, which is the first: fork(3) sets it anew, clone(2)
 * only where it is told.
 */
static int *find_tid(void) {
  int *words = (int *)pthread_self();
  const pid_t own = gettid();
  for (size_t i = 0; i < 1024 / sizeof *words; i++) {
    if (words[i] == own) return words + i;
  }
  return NULL;
}

/* The engine's environment is no business of a sandbox. */
static void forget_environment(void) {
  for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
    memset(*variable, 0, strlen(*variable));
  }
  if (environ != NULL) environ[0] = NULL;
}

/* Once for a nursery: neither it nor its forks allocate anything of V8's until they have forked. */
static bool is_prepared;

int prepare_forks(void) {
  enum { TRIES = 200 };
  for (int i = 0; !threads_sleep(); i++) {
    if (i == TRIES) return -EAGAIN;
    usleep(100);
  }
  if ((preboot.tid = find_tid()) == NULL || !let_memory_be_copied()) return -ENOSYS;
  is_prepared = true;
  return 0;
}

int fork_node(void) {
  int error = is_prepared ? 0 : prepare_forks();
  if (error < 0) return error;
  preboot.become = (void (*)(const char *, const char *))abort; /* for clone_process */
  pid_t pid = clone_process(0);
  preboot.become = NULL;
  return pid < 0 ? -EAGAIN : pid;
}

int fork_preboot(int *socket) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
  pid_t pid = fork_node();
  close(pair[pid == 0 ? 0 : 1]);
  if (pid < 0) {
    close(pair[0]);
    return pid;
  }
  if (pid == 0) {
    own_socket = pair[1];
    forget_environment();
  } else {
    *socket = pair[0];
  }
  return pid;
}

/* ---- requests ---- */

static bool write_whole(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t wrote = send(fd, bytes, length, MSG_NOSIGNAL);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    bytes += wrote;
    length -= (size_t)wrote;
  }
  return true;
}

static bool read_whole(int fd, char *bytes, size_t length) {
  while (length > 0) {
    ssize_t got = read(fd, bytes, length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    length -= (size_t)got;
  }
  return true;
}

int send_request_to(int socket, uint32_t kind, const char *words, size_t bytes, const int *fds,
                    size_t fd_count) {
  struct request request = {kind, (uint32_t)bytes, (uint32_t)fd_count, {0}};
  if (fd_count > sizeof request.places / sizeof *request.places) return -EMSGSIZE;
  memcpy(request.places, fds, fd_count * sizeof *fds);
  bool sent = send_with_descriptors(socket, &request, sizeof request, fds, fd_count) &&
              write_whole(socket, words, bytes);
  return sent ? 0 : -EPIPE;
}

/* The numbers that the sender's arguments name are theirs here too. */
static void take_descriptors(const struct request *request, int *fds) {
  for (uint32_t i = 0; i < request->fd_count; i++) {
    fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PREBOOT_FDS);
    if (fds[i] < 0) _exit(125);
  }
  close_range(3, PREBOOT_FDS - 1, 0);
  for (int fd = 0; fd < 3; fd++) fcntl(fd, F_SETFD, 0); /* Node has them closed at exec */
  for (uint32_t i = 0; i < request->fd_count; i++) {
    int place = request->places[i];
    if (place < 0 || place >= PREBOOT_FDS || dup2(fds[i], place) < 0) _exit(125);
    close(fds[i]);
  }
}

/* Words in one piece of memory, over which the title is written: set_title(). */
static char **split_words(char *words, size_t bytes, int *count) {
  char **list = calloc(bytes + 1, sizeof *list);
  if (list == NULL) _exit(125);
  *count = 0;
  for (char *at = words; at < words + bytes; at += strlen(at) + 1) list[(*count)++] = at;
  return list;
}

static void remember_words(char *const *words, int count) {
  preboot.words = calloc((size_t)count + 1, sizeof *preboot.words);
  if (preboot.words == NULL) _exit(125);
  for (int i = 0; i < count; i++) {
    if ((preboot.words[i] = strdup(words[i])) == NULL) _exit(125);
  }
  preboot.words[0] = "runts";
}

/* ---- what it becomes ---- */

/* What ps(1) shows: the memory where execve(2) has put the arguments. */
void rename_process(const char *name) {
  char text[1024];
  unsigned long start = 0, end = 0;
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  prctl(PR_SET_NAME, name);
  if (got <= 0) return;
  text[got] = 0;
  char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 48; field++) at = strchr(at + 1, ' ');
  if (at == NULL || sscanf(at, "%lu %lu", &start, &end) != 2 || start == 0 || end <= start) return;
  set_title((char *)start, (const char *)end, name);
}

/* As execve(2) would. Node's own stay. */
static void close_at_exec(void) {
  for (int fd = 0; fd < PREBOOT_FDS; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) != 0) close(fd);
  }
  close(preboot.program);
}

/* The rest of what execve(2) and Node's start would have done. */
static void become(const char *name, const char *config) {
  rename_process(name);
  close_at_exec();
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* other ids made it 0, as after execve(2): confinement.ts */
  role = (struct role){name, config};
  longjmp(back, 1);
}

/*
 * Node's descriptors are shared with the command line and among the processes of the sandbox, and
 * what libuv writes to them must not land elsewhere: /dev/null takes their places. Its ring, if it
 * has one, is mapped too.
 */
void replace_descriptors(void) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  DIR *fds = opendir("/proc/self/fd");
  if (null < 0 || fds == NULL) _exit(125);
  for (struct dirent *entry; (entry = readdir(fds)) != NULL;) {
    int fd = atoi(entry->d_name);
    if (fd >= PREBOOT_FDS && fd != dirfd(fds)) dup2(null, fd);
  }
  closedir(fds);
  close(null);
}

void drop_rings(void) {
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[512];
  unsigned long start, end;
  if (maps == NULL) _exit(125);
  while (fgets(line, sizeof line, maps) != NULL) {
    if (strstr(line, "[io_uring]") != NULL && sscanf(line, "%lx-%lx", &start, &end) == 2) {
      munmap((void *)start, end - start);
    }
  }
  fclose(maps);
}

static void be_launcher(int count, char **words) {
  static struct sandbox sandbox;
  struct options *options = &sandbox.options;
  parse_options(options, count, words);
  options->preboot_fd = fcntl(own_socket, F_DUPFD_CLOEXEC, 3);
  close(own_socket);
  if (options->terminal && options->container.console_socket == NULL) remember_terminal();
  take_over(options);
  start_launcher(&sandbox);
}

static void serve(void) {
  struct request request;
  int fds[240];
  size_t fd_count = 240;
  ssize_t got = receive_with_descriptors(own_socket, &request, sizeof request, fds, &fd_count);
  if (got != sizeof request || request.fd_count != fd_count) _exit(0); /* nothing has come of it */
  char *words = malloc(request.bytes + 1);
  if (words == NULL || !read_whole(own_socket, words, request.bytes)) _exit(0);
  replace_descriptors();
  own_socket = fcntl(own_socket, F_DUPFD_CLOEXEC, PREBOOT_FDS);
  take_descriptors(&request, fds);
  drop_rings();
  let_memory_be_copied();
  int count;
  char **list = split_words(words, request.bytes, &count);
  remember_words(list, count);
  int program = open(list[0], O_PATH | O_CLOEXEC);
  preboot.program = fcntl(program, F_DUPFD_CLOEXEC, PREBOOT_FDS);
  if (preboot.program < 0) _exit(125);
  close(program);
  preboot.last_fd = PREBOOT_FDS - 1;
  preboot.become = become;
  if (request.kind == PREBOOT_LAUNCHER) be_launcher(count, list);
  close(own_socket);
  launch(count, list);
}

struct role await_role(void) {
  if (setjmp(back) == 0) serve();
  return role;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * A caller of a nursery. See nursery.h, and preboot/nursery.h for what is said.
 */
#define _GNU_SOURCE
#include "launcher/quick/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher/front.h"
#include "preboot/nursery.h"

/*
 * Until the answer: as long as a Node takes that boots on a busy machine. Who does not answer by then
 * is not asked again: its name is taken away.
 */
enum { PATIENCE_MS = 2000 };

struct conversation {
  const struct call *call;
  int socket;
  int life[2]; /* its hang-up is the end of the process that plans for us */
};

/* ---- whom to ask ---- */

static int idle_seconds(void) {
  const char *wish = getenv(NURSERY_VARIABLE);
  if (wish == NULL || wish[0] == 0) return NURSERY_IDLE_SECONDS;
  long seconds = strspn(wish, "0123456789") == strlen(wish) ? atol(wish) : 0;
  return seconds > 0 && seconds <= 86400 ? (int)seconds : 0;
}

/* Names by which a process finds its own descriptors: those of another would be meant. */
static bool names_descriptors(const char *word) {
  return strstr(word, "/proc/") != NULL || strstr(word, "/dev/fd") != NULL ||
         strstr(word, "/dev/std") != NULL;
}

static bool is_plain(const struct call *call) {
  static const char *const special[] = {"NODE_OPTIONS", CODE_CACHE_VARIABLE, PREBOOT_VARIABLE};
  for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
    if (getenv(special[i]) != NULL) return false;
  }
  if (call->log != NULL && names_descriptors(call->log)) return false;
  for (char **word = call->arguments; *word != NULL; word++) {
    if (names_descriptors(*word) || strncmp(*word, "--preserve-fds", 14) == 0) return false;
  }
  return true;
}

static bool is_own(int socket) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid();
}

/* A connection, or -1: errno is ENOENT or ECONNREFUSED where there is nobody. */
static int connect_nursery(int directory, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  /* Without waiting: EAGAIN where more callers stand in line than it can have. */
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && is_own(fd) &&
      fcntl(fd, F_SETFL, 0) == 0) {
    return fd;
  }
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* ---- the call ---- */

static size_t total_length(char *const *words) {
  size_t length = 0;
  for (; *words != NULL; words++) length += strlen(*words) + 1;
  return length;
}

static uint32_t count_words(char *const *words) {
  uint32_t count = 0;
  while (words[count] != NULL) count++;
  return count;
}

static void append_words(char **at, char *const *words) {
  for (; *words != NULL; words++) *at = stpcpy(*at, *words) + 1;
}

/* A file with the words of the call and the environment. */
static int make_text(char *const *words, size_t bytes) {
  int fd = memfd_create("runts-call", MFD_CLOEXEC);
  if (fd < 0 || bytes == 0 || bytes > NURSERY_LONGEST || ftruncate(fd, (off_t)bytes) < 0) return -1;
  char *text = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (text == MAP_FAILED) return -1;
  char *at = text;
  append_words(&at, words);
  append_words(&at, environ);
  munmap(text, bytes);
  return fd;
}

static bool send_call(struct conversation *conversation, char *const *words) {
  const mode_t mask = umask(0);
  umask(mask);
  struct nursery_call message = {.magic = NURSERY_MAGIC,
                                 .words = count_words(words),
                                 .variables = count_words(environ),
                                 .bytes = (uint32_t)(total_length(words) + total_length(environ)),
                                 .umask = mask};
  int fds[CALL_FDS] = {
      make_text(words, message.bytes), open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, 1, 2, -1};
  bool sent = false;
  if (fds[CALL_TEXT] >= 0 && fds[CALL_DIRECTORY] >= 0 &&
      pipe2(conversation->life, O_CLOEXEC) == 0) {
    fds[CALL_LIFE] = conversation->life[0];
    sent = send_with_descriptors(conversation->socket, &message, sizeof message, fds, CALL_FDS);
    close(conversation->life[0]);
  }
  if (fds[CALL_TEXT] >= 0) close(fds[CALL_TEXT]);
  if (fds[CALL_DIRECTORY] >= 0) close(fds[CALL_DIRECTORY]);
  return sent;
}

static bool await_ready(int socket) {
  struct nursery_message message;
  struct pollfd fd = {.fd = socket, .events = POLLIN};
  if (poll(&fd, 1, PATIENCE_MS) != 1) return false;
  if (recv(socket, &message, sizeof message, 0) != sizeof message ||
      message.kind != NURSERY_READY) {
    return false;
  }
  message.kind = NURSERY_GO;
  return send(socket, &message, sizeof message, MSG_NOSIGNAL) == sizeof message;
}

/* ---- the front ---- */

static void lay_out(const struct nursery_message *message, int *fds, size_t count) {
  for (size_t i = 0; i < count; i++) {
    fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PREBOOT_FDS);
    if (fds[i] < 0) _exit(125);
  }
  close_range(3, PREBOOT_FDS - 1, 0);
  for (size_t i = 0; i < count; i++) {
    int place = message->places[i];
    if (place < 3 || place >= PREBOOT_FDS || dup2(fds[i], place) < 0) _exit(125);
    close(fds[i]);
  }
}

static char **read_words(int file, size_t bytes, int *count) {
  char *text = bytes == 0 || bytes > NURSERY_LONGEST ? NULL : malloc(bytes);
  if (text == NULL || pread(file, text, bytes, 0) != (ssize_t)bytes || text[bytes - 1] != 0) {
    _exit(125);
  }
  *count = 0;
  for (size_t i = 0; i < bytes; i++) *count += text[i] == 0;
  char **words = calloc((size_t)*count + 1, sizeof *words);
  if (words == NULL) _exit(125);
  for (int i = 0; i < *count; i++, text += strlen(text) + 1) words[i] = text;
  return words;
}

static void become_front(const struct nursery_message *message, int *fds, size_t count)
    __attribute__((noreturn));
static void become_front(const struct nursery_message *message, int *fds, size_t count) {
  static struct options options;
  static char *no_environment[] = {NULL};
  int words;
  char **list = read_words(fds[0], message->bytes, &words);
  close(fds[0]);
  lay_out(message, fds + 1, count - 1);
  parse_options(&options, words, list);
  environ = no_environment;
  set_title(arguments_start, arguments_end, options.container.title);
  prctl(PR_SET_NAME, "runts");
  start_front(&options);
  _exit(125);
}

static bool start(const struct conversation *conversation, const struct nursery_message *message,
                  int *fds, size_t count) {
  struct nursery_message answer = {.kind = NURSERY_STARTED};
  pid_t pid = fork();
  if (pid == 0) become_front(message, fds, count);
  answer.value = pid < 0 ? -errno : pid;
  for (size_t i = 0; i < count; i++) close(fds[i]);
  return send(conversation->socket, &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer;
}

/* Returns the exit code of the call. */
static int converse(const struct conversation *conversation) {
  struct nursery_message message;
  int fds[sizeof message.places / sizeof *message.places + 1];
  for (;;) {
    size_t count = sizeof fds / sizeof *fds;
    ssize_t got =
        receive_with_descriptors(conversation->socket, &message, sizeof message, fds, &count);
    if (got == -EINTR) continue;
    if (got != sizeof message) break;
    if (message.kind == NURSERY_EXIT) return message.value;
    if (message.kind != NURSERY_FRONT || count != message.fd_count + 1) break;
    if (!start(conversation, &message, fds, count)) break;
  }
  return refuse(conversation->call, 1, "RUNTS_E_START", "the process that made it has ended");
}

/* ---- all of it ---- */

static bool ask(struct conversation *conversation, char **words) {
  return send_call(conversation, words) && await_ready(conversation->socket);
}

void create_in_nursery(const struct call *call, const char *program, char **command, size_t words) {
  const int seconds = idle_seconds();
  char name[64];
  uint64_t key;
  if (seconds == 0 || geteuid() != 0 || !is_plain(call)) return;
  if (!find_nursery_key(command, words, &key)) return;
  snprintf(name, sizeof name, NURSERY_SOCKET_PREFIX "%016llx", (unsigned long long)key);
  int directory = open(call->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct conversation conversation = {.call = call, .socket = -1};
  if (directory >= 0) conversation.socket = connect_nursery(directory, name);
  if (conversation.socket >= 0) {
    if (ask(&conversation, command + words)) _exit(converse(&conversation));
    close(conversation.socket);
  } else if (directory >= 0 && errno == EAGAIN) {
    close(directory);
    return;
  }
  if (directory >= 0) {
    unlinkat(directory, name, 0);
    close(directory);
  }
  const struct nursery_plan plan = {name, seconds, program, command, words};
  start_nursery(call, &plan);
}

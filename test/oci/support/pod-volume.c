// SPDX-License-Identifier: Apache-2.0
// Two processes, most often of two containers, on one directory: `pod-volume CASE SIDE DIRECTORY`,
// where SIDE is a or b. What belongs to a file must be the same for both. Each side says what it
// saw; test/oci/pod-volumes.test.ts knows what is right.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 90000, STEP_MS = 2 };

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  fflush(stdout);
}

static void fail(const char *what) {
  say("FAILED %s: %s", what, strerror(errno));
  exit(1);
}

static int must(int result, const char *what) {
  if (result < 0) fail(what);
  return result;
}

/** Tells the other side that this one has come so far. */
static void reach(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "at-%s", name);
  close(must(open(path, O_CREAT | O_WRONLY, 0666), path));
}

static void await(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "at-%s", name);
  struct stat found;
  for (int waited = 0; stat(path, &found) < 0; waited += STEP_MS) {
    if (waited > PATIENCE_MS) fail(name);
    usleep(STEP_MS * 1000);
  }
}

static struct sockaddr_un address_of(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

static int listener(const char *path) {
  struct sockaddr_un address = address_of(path);
  int fd = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
  must(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
  must(listen(fd, 4), "listen");
  return fd;
}

static int connected(const char *path) {
  struct sockaddr_un address = address_of(path);
  int fd = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -errno;
}

static void send_fd(int socket, int fd) {
  char control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec data = {"x", 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  *head = (struct cmsghdr){
      .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  must(sendmsg(socket, &message, 0), "sendmsg");
}

static int receive_fd(int socket) {
  int fd = -1;
  char control[CMSG_SPACE(sizeof fd)] = {0};
  char byte = 0;
  struct iovec data = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  must(recvmsg(socket, &message, 0), "recvmsg");
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (head == NULL || head->cmsg_type != SCM_RIGHTS) fail("no descriptor");
  memcpy(&fd, CMSG_DATA(head), sizeof fd);
  return fd;
}

/** A server on one side, a client on the other, and a file handed over. */
static void socket_case(int is_a) {
  char text[16] = {0};
  if (is_a) {
    int fd = listener("server");
    reach("listening");
    int peer = must(accept(fd, NULL, NULL), "accept");
    must(read(peer, text, sizeof text), "read");
    struct ucred who;
    socklen_t length = sizeof who;
    must(getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &length), "SO_PEERCRED");
    say("a: %s from pid %s uid %d", text, who.pid == 0 ? "0" : "seen", who.uid);
    int file = must(open("passed", O_RDWR | O_CREAT, 0600), "passed");
    send_fd(peer, file);
    await("written");
    must(pread(file, text, sizeof text, 0), "pread");
    say("a: file says %s", text);
    close(fd);
    reach("closed");
  } else {
    await("listening");
    int fd = must(connected("server"), "connect");
    must(write(fd, "ping", 5), "write");
    int file = receive_fd(fd);
    must(write(file, "thanks", 7), "write to the file");
    reach("written");
    await("closed");
    say("b: %s", strerror(-connected("server")));
  }
}

static void datagram_case(int is_a) {
  struct sockaddr_un server = address_of("dgram"), client = address_of("dgram-b"), from;
  socklen_t length = sizeof from;
  char text[16] = {0};
  int fd = must(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
  if (is_a) {
    must(bind(fd, (struct sockaddr *)&server, sizeof server), "bind");
    reach("bound");
    must(recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&from, &length), "recvfrom");
    say("a: %s from %s", text, from.sun_path);
    must(sendto(fd, "back", 5, 0, (struct sockaddr *)&client, sizeof client), "sendto");
    // Bound anew: the old name is another socket's now.
    await("done");
    must(unlink("dgram"), "unlink");
    int second = must(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
    must(bind(second, (struct sockaddr *)&server, sizeof server), "bind again");
    reach("again");
    must(recv(second, text, sizeof text, 0), "recv");
    say("a: the second got %s", text);
  } else {
    await("bound");
    must(bind(fd, (struct sockaddr *)&client, sizeof client), "bind");
    must(sendto(fd, "there", 6, 0, (struct sockaddr *)&server, sizeof server), "sendto");
    must(recv(fd, text, sizeof text, 0), "recv");
    say("b: %s", text);
    reach("done");
    await("again");
    must(sendto(fd, "anew", 5, 0, (struct sockaddr *)&server, sizeof server), "sendto");
  }
}

static void fifo_case(int is_a) {
  char text[32] = {0};
  if (is_a) {
    must(mkfifo("fifo", 0666), "mkfifo");
    reach("made");
    int fd = must(open("fifo", O_RDONLY), "open to read");
    ssize_t length = 0, count;
    while ((count = read(fd, text + length, sizeof text - length)) > 0) length += count;
    say("a: read %s", text);
    // A new one under the same name has nothing of the old.
    int old = must(open("fifo", O_RDWR), "open both");
    must(write(old, "old", 3), "write old");
    must(unlink("fifo"), "unlink");
    must(mkfifo("fifo", 0666), "mkfifo");
    reach("made-again");
    await("seen");
    close(old);
  } else {
    await("made");
    int fd = must(open("fifo", O_WRONLY), "open to write");
    must(write(fd, "through", 7), "write");
    usleep(50000);
    must(write(fd, " the pipe", 9), "write");
    close(fd);
    await("made-again");
    fd = must(open("fifo", O_RDWR | O_NONBLOCK), "open the second");
    say("b: the new one says %s", read(fd, text, sizeof text) < 0 ? strerror(errno) : text);
    reach("seen");
  }
}

static struct flock record(int type, off_t start, off_t length) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

static void lock_case(int is_a) {
  int fd = must(open("locked", O_RDWR | O_CREAT, 0666), "locked");
  if (is_a) {
    struct flock mine = record(F_WRLCK, 0, 10);
    must(flock(fd, LOCK_EX), "flock");
    must(fcntl(fd, F_SETLK, &mine), "F_SETLK");
    reach("locked");
    await("tried");
    usleep(20000);
    mine.l_type = F_UNLCK;
    must(fcntl(fd, F_SETLK, &mine), "unlock");
    must(flock(fd, LOCK_UN), "unlock");
    // Process 1 of its container is to keep it to its end.
    await("flocked");
    await("ended");
  } else {
    await("locked");
    say("b: flock: %s", flock(fd, LOCK_EX | LOCK_NB) < 0 ? strerror(errno) : "taken");
    struct flock asked = record(F_WRLCK, 5, 1);
    must(fcntl(fd, F_GETLK, &asked), "F_GETLK");
    say("b: F_GETLK: type %d, %d+%d, pid %s", asked.l_type, (int)asked.l_start, (int)asked.l_len,
        asked.l_pid == 0 ? "0" : "seen");
    asked = record(F_RDLCK, 5, 1);
    say("b: F_SETLK: %s", fcntl(fd, F_SETLK, &asked) < 0 ? strerror(errno) : "taken");
    asked = record(F_RDLCK, 10, 1);
    say("b: F_OFD_SETLK beside it: %s",
        fcntl(fd, F_OFD_SETLK, &asked) < 0 ? strerror(errno) : "taken");
    reach("tried");
    asked = record(F_WRLCK, 0, 10);
    must(fcntl(fd, F_SETLKW, &asked), "F_SETLKW");
    must(flock(fd, LOCK_EX), "flock");
    say("b: both taken");
    reach("flocked");
    reach("ended");
  }
}

/** Takes a lock and stays, for whoever is to be killed. */
static void hold_case(int is_a) {
  int fd = must(open("held", O_RDWR | O_CREAT, 0666), "held");
  if (is_a) {
    must(flock(fd, LOCK_EX), "flock");
    int server = listener("held-server");
    reach("held");
    say("a: holds");
    must(accept(server, NULL, NULL), "accept");
    pause();
  } else {
    await("held");
    int peer = must(connected("held-server"), "connect");
    reach("waiting");
    must(flock(fd, LOCK_EX), "flock");
    char byte;
    say("b: got it, %s", read(peer, &byte, 1) == 0 ? "the server hung up" : "the server is there");
    say("b: %s", strerror(-connected("held-server")));
  }
}

struct shared {
  unsigned word;
  pthread_mutex_t mutex;
  unsigned counter;
};

static void memory_case(int is_a) {
  int fd = must(open("memory", O_RDWR | O_CREAT, 0666), "memory");
  must(ftruncate(fd, 4096), "ftruncate");
  struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) fail("mmap");
  if (is_a) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &attributes);
    reach("mapped");
    struct timespec patience = {90, 0};
    long woken = syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, &patience, NULL, 0);
    const char *how = woken == 0 ? "woken" : strerror(errno);
    await("changed");
    say("a: %s, word %u", how, __atomic_load_n(&shared->word, __ATOMIC_SEQ_CST));
  } else {
    await("mapped");
    // As soon as the other has come to wait. Only then the word changes: nobody waits for another value.
    long count = 0;
    for (int waited = 0; count == 0 && waited < PATIENCE_MS; waited += STEP_MS) {
      count = syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1, NULL, NULL, 0);
      if (count == 0) usleep(STEP_MS * 1000);
    }
    __atomic_store_n(&shared->word, 7, __ATOMIC_SEQ_CST);
    reach("changed");
    say("b: woke %ld", count);
  }
  for (int round = 0; round < 2000; round++) {
    pthread_mutex_lock(&shared->mutex);
    unsigned seen = shared->counter;
    if (round % 16 == 0) sched_yield();
    shared->counter = seen + 1;
    pthread_mutex_unlock(&shared->mutex);
  }
  reach(is_a ? "a-counted" : "b-counted");
  await(is_a ? "b-counted" : "a-counted");
  say("%c: counter %u", is_a ? 'a' : 'b', shared->counter);
  if (is_a) {
    must(pwrite(fd, "written", 7, 2048), "pwrite");
    reach("pwritten");
  } else {
    await("pwritten");
    say("b: maps %.7s", (char *)shared + 2048);
  }
}

static void print_events(int fd, int wanted) {
  char bytes[4096] __attribute__((aligned(8)));
  while (wanted > 0) {
    struct pollfd ready = {fd, POLLIN, 0};
    if (poll(&ready, 1, PATIENCE_MS) != 1) fail("no events");
    ssize_t length = must(read(fd, bytes, sizeof bytes), "read");
    for (ssize_t at = 0; at < length; wanted--) {
      struct inotify_event *event = (struct inotify_event *)(bytes + at);
      say("a: %d %x %s", event->wd, event->mask, event->len > 0 ? event->name : "-");
      at += sizeof *event + event->len;
    }
  }
}

static void watch_case(int is_a) {
  if (is_a) {
    must(mkdir("watched", 0777), "mkdir");
    int fd = must(inotify_init1(IN_CLOEXEC), "inotify");
    must(inotify_add_watch(fd, "watched",
                           IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE | IN_MOVE),
         "watch");
    reach("watching");
    print_events(fd, 6);
    reach("read");
  } else {
    await("watching");
    int fd = must(open("watched/new", O_CREAT | O_WRONLY, 0666), "open");
    must(write(fd, "x", 1), "write");
    close(fd);
    must(rename("watched/new", "watched/other"), "rename");
    must(unlink("watched/other"), "unlink");
    await("read");
  }
}

/** What one side did is there when the other hears of it, not a moment later. */
static void fresh_case(int is_a) {
  int server = -1, peer;
  struct stat seen;
  int bad = 0;
  char token = 0;
  if (is_a) {
    server = listener("turns");
    reach("turns");
    peer = must(accept(server, NULL, NULL), "accept");
  } else {
    await("turns");
    peer = must(connected("turns"), "connect");
  }
  int fd = must(open("growing", O_RDWR | O_CREAT, 0666), "growing");
  for (int round = 1; round <= 300; round++) {
    if ((round % 2 == 0) == is_a) {
      must(pwrite(fd, "0123456789", 10, (round - 1) * 10), "pwrite");
      must(fchmod(fd, 0600 + round % 8), "fchmod");
      must(write(peer, "x", 1), "turn");
    } else {
      must(stat("growing", &seen), "stat before");
      must(read(peer, &token, 1), "turn");
      must(stat("growing", &seen), "stat");
      if (seen.st_size != round * 10 || (seen.st_mode & 0777) != 0600u + round % 8) bad++;
      must(fstat(fd, &seen), "fstat");
      if (seen.st_size != round * 10) bad++;
    }
  }
  say("%c: %d late", is_a ? 'a' : 'b', bad);
}

/** Names go and change on one side while the other has the files open. */
static void names_case(int is_a) {
  struct stat seen;
  char text[16] = {0};
  if (is_a) {
    int gone = must(open("gone", O_RDWR | O_CREAT, 0644), "gone");
    int moved = must(open("moved", O_RDWR | O_CREAT, 0644), "moved");
    int replaced = must(open("replaced", O_RDWR | O_CREAT, 0644), "replaced");
    reach("opened");
    await("changed");
    must(fchmod(gone, 0600), "fchmod gone");
    must(fstat(gone, &seen), "fstat gone");
    say("a: gone: %d links, mode %o", (int)seen.st_nlink, seen.st_mode & 0777);
    must(write(gone, "still", 5), "write gone");
    must(fchmod(moved, 0640), "fchmod moved");
    must(fstat(moved, &seen), "fstat moved");
    say("a: moved: %d links, mode %o", (int)seen.st_nlink, seen.st_mode & 0777);
    must(fchmod(replaced, 0604), "fchmod replaced");
    must(fstat(replaced, &seen), "fstat replaced");
    say("a: replaced: %d links, mode %o", (int)seen.st_nlink, seen.st_mode & 0777);
    must(stat("gone", &seen), "stat gone");
    say("a: another: mode %o, %d bytes", seen.st_mode & 0777, (int)seen.st_size);
    must(pread(must(open("replaced", O_RDONLY), "open"), text, sizeof text, 0), "pread");
    say("a: in its place: %s", text);
    reach("looked");
  } else {
    await("opened");
    must(unlink("gone"), "unlink");
    int another = must(open("gone", O_RDWR | O_CREAT | O_EXCL, 0644), "another");
    must(rename("moved", "elsewhere"), "rename");
    int next = must(open("next", O_RDWR | O_CREAT, 0644), "next");
    must(write(next, "next", 4), "write");
    must(rename("next", "replaced"), "rename over");
    reach("changed");
    await("looked");
    must(stat("elsewhere", &seen), "elsewhere");
    say("b: elsewhere: mode %o", seen.st_mode & 0777);
    must(fstat(another, &seen), "another");
    say("b: another: mode %o, %d bytes", seen.st_mode & 0777, (int)seen.st_size);
  }
}

/** b's mount is read-only, a's is not. */
static void rights_case(int is_a) {
  if (is_a) {
    close(must(open("file", O_RDWR | O_CREAT, 0666), "file"));
    must(ftruncate(open("file", O_RDWR), 4096), "ftruncate");
    must(mkfifo("fifo", 0666), "mkfifo");
    int server = listener("server");
    int fifo = must(open("fifo", O_RDWR), "fifo");
    reach("ready");
    int peer = must(accept(server, NULL, NULL), "accept");
    send_fd(peer, open("file", O_RDWR));
    char text[8] = {0};
    must(read(fifo, text, sizeof text), "read");
    say("a: %s", text);
    must(read(peer, text, sizeof text), "read");
  } else {
    await("ready");
    say("b: to write: %s", open("file", O_RDWR) < 0 ? strerror(errno) : "opened");
    say("b: new: %s", open("new", O_RDWR | O_CREAT, 0666) < 0 ? strerror(errno) : "made");
    say("b: unlink: %s", unlink("file") < 0 ? strerror(errno) : "done");
    int fd = must(open("file", O_RDONLY), "to read");
    say("b: flock: %s", flock(fd, LOCK_EX) < 0 ? strerror(errno) : "taken");
    say("b: map: %s",
        mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? strerror(errno) : "mapped");
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    say("b: mprotect: %s",
        mprotect(map, 4096, PROT_READ | PROT_WRITE) < 0 ? strerror(errno) : "done");
    int peer = connected("server");
    say("b: connect: %s", peer < 0 ? strerror(-peer) : "done");
    int passed = receive_fd(peer);
    say("b: by a's file: %s", write(passed, "x", 1) < 0 ? strerror(errno) : "written");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    say("b: its own again: %s", open(link, O_RDWR) < 0 ? strerror(errno) : "opened");
    int fifo = open("fifo", O_WRONLY);
    say("b: fifo: %s", fifo < 0 ? strerror(errno) : "opened");
    must(write(fifo, "into", 5), "write");
    must(write(peer, "bye", 4), "write");
  }
}

/** b's ids are others on the host: what is a's alone stays so. */
static void ids_case(int is_a) {
  if (is_a) {
    umask(0);
    int server = listener("own");
    must(chmod("own", 0700), "chmod");
    int open_to_all = listener("all");
    must(mkfifo("own-fifo", 0600), "mkfifo");
    close(must(open("own-file", O_RDWR | O_CREAT, 0600), "own-file"));
    reach("ready");
    int peer = must(accept(open_to_all, NULL, NULL), "accept");
    struct ucred who;
    socklen_t length = sizeof who;
    must(getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &length), "SO_PEERCRED");
    say("a: peer %d", who.uid);
    char byte;
    must(read(peer, &byte, 1), "read");
    close(server);
  } else {
    await("ready");
    int peer = connected("own");
    say("b: own: %s", peer < 0 ? strerror(-peer) : "connected");
    say("b: own fifo: %s", open("own-fifo", O_RDWR | O_NONBLOCK) < 0 ? strerror(errno) : "opened");
    say("b: own file: %s", open("own-file", O_RDONLY) < 0 ? strerror(errno) : "opened");
    peer = connected("all");
    say("b: all: %s", peer < 0 ? strerror(-peer) : "connected");
    struct ucred who;
    socklen_t length = sizeof who;
    must(getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &length), "SO_PEERCRED");
    say("b: peer %d", who.uid);
    must(write(peer, "x", 1), "write");
  }
}

static const struct {
  const char *name;
  void (*run)(int is_a);
} cases[] = {
    {"socket", socket_case}, {"datagram", datagram_case}, {"fifo", fifo_case},
    {"lock", lock_case},     {"hold", hold_case},         {"memory", memory_case},
    {"watch", watch_case},   {"fresh", fresh_case},       {"names", names_case},
    {"rights", rights_case}, {"ids", ids_case},
};

/* Reads so much that the directories are watched, and known. */
static void look_around(void) {
  char name[32];
  for (int index = 0; index < 400; index++) {
    snprintf(name, sizeof name, "missing%d", index);
    if (access(name, F_OK) == 0) fail(name);
  }
}

int main(int count, char **arguments) {
  if (count < 4 || chdir(arguments[3]) < 0) fail("usage");
  if (count > 4) look_around();
  signal(SIGTERM, SIG_DFL);
  for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
    if (strcmp(cases[index].name, arguments[1]) != 0) continue;
    cases[index].run(arguments[2][0] == 'a');
    return 0;
  }
  fail("no such case");
}

// SPDX-License-Identifier: Apache-2.0
// hoard CASE SECONDS: takes one kind of what the kernel keeps for guests, until a call is refused or
// the time is over; prints which, and holds all of it for a second. memory.test.ts looks at the
// sandbox from outside meanwhile.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define MIB (1L << 20)

static char bytes[MIB];
static long count;

static int fresh_memfd(void) {
  int fd = memfd_create("hoard", 0);
  if (fd >= 0 && ftruncate(fd, 16 * MIB) != 0) return -1;
  return fd;
}

static int touch(char *at, size_t length) {
  if (at == MAP_FAILED) return -1;
  for (size_t offset = 0; offset < length; offset += 4096) at[offset] = 1;
  return munmap(at, length);
}

// Each takes a little more: 0, or -1 with errno.
static int unmapped(void) {
  int fd = fresh_memfd();
  if (fd < 0) return -1;
  return touch(mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), 16 * MIB);
}

static int read_holes(void) {
  int fd = fresh_memfd();
  if (fd < 0) return -1;
  char *at = mmap(NULL, 16 * MIB, PROT_READ, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return -1;
  volatile char sum = 0;
  for (long offset = 0; offset < 16 * MIB; offset += 4096) sum += at[offset];
  return munmap(at, 16 * MIB);
}

static int segments(void) {
  int id = shmget(IPC_PRIVATE, 16 * MIB, 0600);
  if (id < 0) return -1;
  char *at = shmat(id, NULL, 0);
  if (at == (char *)-1) return -1;
  for (long offset = 0; offset < 16 * MIB; offset += 4096) at[offset] = 1;
  return shmdt(at);
}

static int file_at(const char *directory, size_t length) {
  char name[64];
  snprintf(name, sizeof name, "%s/%ld", directory, count);
  int fd = open(name, O_CREAT | O_WRONLY, 0600);
  if (fd < 0) return -1;
  ssize_t wrote = write(fd, bytes, length);
  close(fd);
  return wrote < 0 ? -1 : 0;
}

static int small_files(void) { return file_at(".", 10); }
static int shm_files(void) { return file_at("/dev/shm", MIB); }

static int links(void) {
  char name[32], target[4000];
  memset(target, 'x', sizeof target - 1);
  target[sizeof target - 1] = 0;
  snprintf(name, sizeof name, "l%ld", count);
  return symlink(target, name);
}

static int attributes(void) {
  char name[32];
  snprintf(name, sizeof name, "x%ld", count);
  if (mknod(name, S_IFREG | 0600, 0) != 0) return -1;
  return setxattr(name, "user.hoard", bytes, 60000, 0);
}

static int pipes(void) {
  int ends[2];
  if (pipe2(ends, O_NONBLOCK) != 0) return -1;
  fcntl(ends[1], F_SETPIPE_SZ, MIB);
  while (write(ends[1], bytes, sizeof bytes) > 0)
    ;
  return errno == EAGAIN ? 0 : -1;
}

static int forced_pair(int type, size_t length) {
  int ends[2], size = 0x7fffffff;
  if (socketpair(AF_UNIX, type, 0, ends) != 0) return -1;
  setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  while (send(ends[0], bytes, length, MSG_DONTWAIT) > 0) count += 1;
  return errno == EAGAIN ? 0 : -1;
}

static int streams(void) { return forced_pair(SOCK_STREAM, sizeof bytes); }
static int datagrams(void) { return forced_pair(SOCK_DGRAM, 65536); }

static struct sockaddr_in loopback(int fd) {
  struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  socklen_t length = sizeof address;
  bind(fd, (struct sockaddr *)&address, sizeof address);
  getsockname(fd, (struct sockaddr *)&address, &length);
  return address;
}

static int connections(void) {
  static int listener = -1;
  static struct sockaddr_in address;
  if (listener < 0) {
    listener = socket(AF_INET, SOCK_STREAM, 0);
    address = loopback(listener);
    listen(listener, 100);
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  connect(fd, (struct sockaddr *)&address, sizeof address);
  if (accept(listener, NULL, NULL) < 0) return -1;
  while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
    ;
  return errno == EAGAIN ? 0 : -1;
}

static int packets(void) {
  int receiver = socket(AF_INET, SOCK_DGRAM, 0), size = 0x7fffffff;
  if (receiver < 0) return -1;
  setsockopt(receiver, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  struct sockaddr_in address = loopback(receiver);
  int sender = socket(AF_INET, SOCK_DGRAM, 0);
  if (sender < 0) return -1;
  for (int sent = 0; sent < 500; sent += 1)
    if (sendto(sender, bytes, 60000, 0, (struct sockaddr *)&address, sizeof address) < 0) return -1;
  return close(sender);
}

static int replies(void) {
  struct {
    struct nlmsghdr head;
    struct rtgenmsg body;
  } request = {{sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
  int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (fd < 0) return -1;
  for (int sent = 0; sent < 200; sent += 1)
    if (send(fd, &request, sizeof request, MSG_DONTWAIT) < 0) return errno == ENOBUFS ? 0 : -1;
  return 0;
}

static int flying(void) {
  int ends[2], fds[250];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0) return -1;
  for (int index = 0; index < 250; index += 1) fds[index] = 1;
  char control[CMSG_SPACE(sizeof fds)] = {0};
  struct iovec vector = {bytes, 1};
  struct msghdr message = {NULL, 0, &vector, 1, control, sizeof control, 0};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  *head = (struct cmsghdr){CMSG_LEN(sizeof fds), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(head), fds, sizeof fds);
  while (sendmsg(ends[0], &message, MSG_DONTWAIT) > 0)
    ;
  return errno == EAGAIN ? 0 : -1;
}

static int epoll_entries(void) {
  static int fds[500];
  if (fds[0] == 0)
    for (int index = 0; index < 500; index += 1) fds[index] = eventfd(0, 0);
  int epoll = epoll_create1(0);
  if (epoll < 0) return -1;
  struct epoll_event event = {EPOLLIN, {0}};
  for (int index = 0; index < 500; index += 1)
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[index], &event) != 0) return -1;
  return 0;
}

static int events(void) {
  if (count == 0) {
    mkdir("watched", 0700);
    for (int index = 0; index < 300; index += 1)
      inotify_add_watch(inotify_init1(IN_NONBLOCK), "watched", IN_ALL_EVENTS);
  }
  char name[300];
  snprintf(name, sizeof name, "watched/%0200ld", count);
  return mknod(name, S_IFREG, 0);
}

static int timers(void) {
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_NONE};
  return timer_create(CLOCK_MONOTONIC, &event, &timer);
}

static int timer_files(void) {
  int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  struct itimerspec time = {{0, 1}, {1000, 0}};
  return fd < 0 ? -1 : timerfd_settime(fd, 0, &time, NULL);
}

static int signals(void) { return sigqueue(getpid(), SIGRTMIN + 5, (union sigval){0}); }

static int messages(void) {
  int queue = msgget(IPC_PRIVATE, 0600);
  if (queue < 0) return -1;
  struct {
    long type;
    char text[8192];
  } message = {1, {0}};
  while (msgsnd(queue, &message, sizeof message.text, IPC_NOWAIT) == 0)
    ;
  return errno == EAGAIN ? 0 : -1;
}

static int rendered(void) {
  int fd = open("/proc/self/maps", O_RDONLY);
  return fd < 0 || read(fd, bytes, 100) < 0 ? -1 : 0;
}

static int tables(void) {
  if (dup2(1, 500000) < 0) return -1;
  pid_t child = fork();
  if (child == 0)
    for (;;) pause();
  return child < 0 ? -1 : 0;
}

static int maps(void) {
  if (count == 0) {
    char *at = mmap(NULL, 1L << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int index = 0; index < 30000; index += 1) mprotect(at + 8192L * index, 4096, PROT_NONE);
  }
  pid_t child = fork();
  if (child == 0)
    for (;;) pause();
  return child < 0 ? -1 : 0;
}

static int group_lists(void) {
  pid_t child = fork();
  if (child == 0) {
    static gid_t groups[65536];
    for (int index = 0; index < 65536; index += 1) groups[index] = index + getpid();
    if (setgroups(65536, groups) != 0) _exit(1);
    for (;;) pause();
  }
  return child < 0 ? -1 : 0;
}

static int listings(void) {
  if (count == 0)
    for (count = 1; count <= 20000; count += 1) {
      char name[32];
      snprintf(name, sizeof name, "%ld", count);
      if (mknod(name, S_IFREG | 0600, 0) != 0) return -1;
    }
  int fd = open(".", O_RDONLY | O_DIRECTORY);
  if (fd < 0) return -1;
  long got;
  while ((got = syscall(SYS_getdents64, fd, bytes, sizeof bytes)) > 0)
    ;
  return got;
}

static struct pollfd polled[1 << 20];

static void *poll_for_ever(void *unused) {
  (void)unused;
  poll(polled, 1 << 20, -1);
  return NULL;
}

static int polls(void) {
  static int ends[2];
  if (count == 0) {
    if (pipe(ends) != 0) return -1;
    for (int index = 0; index < 1 << 20; index += 1)
      polled[index] = (struct pollfd){ends[0], POLLIN, 0};
  }
  pthread_t thread;
  int error = pthread_create(&thread, NULL, poll_for_ever, NULL);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

static int names(void) {
  char name[256];
  memset(name, 'n', 250);
  name[250] = 0;
  name[snprintf(name, sizeof name, "%ld", count)] = 'n';
  return access(name, F_OK) == 0 ? -1 : 0;
}

static const struct {
  const char *name;
  int (*take)(void);
} kinds[] = {
    {"unmapped", unmapped},
    {"read_holes", read_holes},
    {"segments", segments},
    {"small_files", small_files},
    {"shm_files", shm_files},
    {"links", links},
    {"attributes", attributes},
    {"pipes", pipes},
    {"streams", streams},
    {"datagrams", datagrams},
    {"connections", connections},
    {"packets", packets},
    {"replies", replies},
    {"flying", flying},
    {"epoll_entries", epoll_entries},
    {"events", events},
    {"timers", timers},
    {"timer_files", timer_files},
    {"signals", signals},
    {"messages", messages},
    {"rendered", rendered},
    {"tables", tables},
    {"maps", maps},
    {"group_lists", group_lists},
    {"listings", listings},
    {"polls", polls},
    {"names", names},
};

static void lift_limits(void) {
  struct rlimit files = {1 << 20, 1 << 20}, none = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_NOFILE, &files);
  setrlimit(RLIMIT_SIGPENDING, &none);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
}

int main(int argc, char **argv) {
  char directory[] = "/tmp/hoard-XXXXXX";
  if (argc != 3 || mkdtemp(directory) == NULL || chdir(directory) != 0) return 2;
  lift_limits();
  long end = time(NULL) + atol(argv[2]);
  for (size_t index = 0; index < sizeof kinds / sizeof *kinds; index += 1) {
    if (strcmp(kinds[index].name, argv[1]) != 0) continue;
    int result = 0;
    while (result == 0 && time(NULL) < end) {
      errno = 0;
      result = kinds[index].take();
      count += 1;
    }
    printf("%s\n", result == 0 ? "time over" : strerror(errno));
    fflush(stdout);
    sleep(1);
    return 0;
  }
  return 2;
}

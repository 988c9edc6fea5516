// SPDX-License-Identifier: Apache-2.0
// eventfd(2), timerfd_create(2), signalfd(2), inotify(7).
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "check.h"

static uint64_t read_u64(int fd) {
  uint64_t value;
  CHECK_EQ(read(fd, &value, 8), 8);
  return value;
}

TEST(eventfd_counts) {
  int fd = OK(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
  uint64_t two = 2;
  CHECK_EQ(write(fd, &two, 8), 8);
  CHECK_EQ(read_u64(fd), 5);
  CHECK_ERR(read(fd, &two, 8), EAGAIN);
  CHECK_ERR(read(fd, &two, 4), EINVAL);
  uint64_t max = ~0ULL;
  CHECK_ERR(write(fd, &max, 8), EINVAL);
  max--;
  CHECK_EQ(write(fd, &max, 8), 8);
  CHECK_ERR(write(fd, &two, 8), EAGAIN);
  struct pollfd set = {fd, POLLIN | POLLOUT, 0};
  CHECK_EQ(poll(&set, 1, 0), 1);
  CHECK_EQ(set.revents, POLLIN);
  CHECK(read_u64(fd) == ~0ULL - 1);
}

TEST(eventfd_semaphore) {
  int fd = OK(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
  CHECK_EQ(read_u64(fd), 1);
  CHECK_EQ(read_u64(fd), 1);
  uint64_t value;
  CHECK_ERR(read(fd, &value, 8), EAGAIN);
}

TEST(eventfd_blocks) {
  int fd = OK(eventfd(0, 0));
  if (OK(fork()) == 0) {
    sleep_ms(20);
    uint64_t one = 1;
    CHECK_EQ(write(fd, &one, 8), 8);
    _exit(0);
  }
  CHECK_EQ(read_u64(fd), 1);
}

TEST(timerfd_once) {
  int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
  struct itimerspec t = {{0, 0}, {1000, 0}}, left;
  OK(timerfd_settime(fd, 0, &t, NULL));
  OK(timerfd_gettime(fd, &left));
  CHECK(left.it_value.tv_sec > 900 && left.it_value.tv_sec <= 1000);
  uint64_t value;
  CHECK_ERR(read(fd, &value, 8), EAGAIN);
  t.it_value = (struct timespec){0, 30000000};
  long long start = now_ns();
  OK(timerfd_settime(fd, 0, &t, NULL));
  struct pollfd set = {fd, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  CHECK(now_ns() - start >= 30000000);
  CHECK_EQ(read_u64(fd), 1);
  OK(timerfd_gettime(fd, &left));
  CHECK_EQ(left.it_value.tv_nsec, 0);
}

TEST(timerfd_periodic) {
  int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));
  struct itimerspec t = {{0, 10000000}, {0, 10000000}};
  OK(timerfd_settime(fd, 0, &t, NULL));
  sleep_ms(55);
  uint64_t ticks = read_u64(fd);
  CHECK(ticks >= 5 && ticks < 6000);
  CHECK(read_u64(fd) >= 1);
  t.it_value.tv_nsec = 0;
  OK(timerfd_settime(fd, 0, &t, NULL));
}

TEST(timerfd_absolute) {
  int fd = OK(timerfd_create(CLOCK_REALTIME, 0));
  struct itimerspec t = {{0, 0}, {1, 0}};  // long past
  OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
  CHECK_EQ(read_u64(fd), 1);
  t.it_value.tv_nsec = 1000000000;
  CHECK_ERR(timerfd_settime(fd, 0, &t, NULL), EINVAL);
  CHECK_ERR(timerfd_create(77, 0), EINVAL);
}

TEST(signalfd_reads_signals) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  sigaddset(&mask, SIGRTMIN);
  OK(sigprocmask(SIG_BLOCK, &mask, NULL));
  int fd = OK(signalfd(-1, &mask, SFD_NONBLOCK));
  struct signalfd_siginfo info[3];
  CHECK_ERR(read(fd, info, sizeof info), EAGAIN);
  OK(raise(SIGUSR1));
  OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 55}));
  struct pollfd set = {fd, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 0), 1);
  CHECK_EQ(read(fd, info, sizeof info), 2 * sizeof *info);
  CHECK_EQ(info[0].ssi_signo, SIGUSR1);
  CHECK_EQ(info[0].ssi_pid, getpid());
  CHECK_EQ(info[1].ssi_signo, SIGRTMIN);
  CHECK_EQ(info[1].ssi_int, 55);
  CHECK_ERR(read(fd, info, 10), EINVAL);
  sigdelset(&mask, SIGUSR1);
  CHECK_EQ(signalfd(fd, &mask, 0), fd);
  OK(raise(SIGUSR1));
  CHECK_EQ(poll(&set, 1, 0), 0);
}

TEST(signalfd_for_children) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  OK(sigprocmask(SIG_BLOCK, &mask, NULL));
  int fd = OK(signalfd(-1, &mask, 0));
  pid_t pid = OK(fork());
  if (pid == 0) _exit(9);
  struct signalfd_siginfo info;
  CHECK_EQ(read(fd, &info, sizeof info), sizeof info);
  CHECK_EQ(info.ssi_signo, SIGCHLD);
  CHECK_EQ(info.ssi_pid, pid);
  CHECK_EQ(info.ssi_status, 9);
  CHECK_EXIT(pid, 9);
}

static char events_buffer[4096] __attribute__((aligned(8)));
static size_t events_length, events_at;

static const struct inotify_event *next_event(int fd) {
  if (events_at == events_length) {
    struct pollfd set = {fd, POLLIN, 0};
    if (poll(&set, 1, 0) == 0) return NULL;
    events_length = OK(read(fd, events_buffer, sizeof events_buffer));
    events_at = 0;
  }
  const struct inotify_event *event = (const struct inotify_event *)(events_buffer + events_at);
  events_at += sizeof *event + event->len;
  return event;
}

#define EXPECT(MASK, NAME)                           \
  do {                                               \
    const struct inotify_event *e_ = next_event(fd); \
    CHECK(e_ != NULL);                               \
    CHECK_EQ(e_->mask, (MASK));                      \
    CHECK_STR(e_->len > 0 ? e_->name : "", NAME);    \
  } while (0)

TEST(inotify_of_a_directory) {
  OK(mkdir("d", 0755));
  int fd = OK(inotify_init1(IN_NONBLOCK));
  int wd = OK(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
  CHECK_EQ(wd, 1);
  CHECK(next_event(fd) == NULL);
  int file = OK(open("d/f", O_CREAT | O_WRONLY, 0644));
  EXPECT(IN_CREATE, "f");
  EXPECT(IN_OPEN, "f");
  CHECK_EQ(write(file, "x", 1), 1);
  EXPECT(IN_MODIFY, "f");
  close(file);
  EXPECT(IN_CLOSE_WRITE, "f");
  OK(rename("d/f", "d/g"));
  const struct inotify_event *from = next_event(fd);
  CHECK_EQ(from->mask, IN_MOVED_FROM);
  uint32_t cookie = from->cookie;
  const struct inotify_event *to = next_event(fd);
  CHECK_EQ(to->mask, IN_MOVED_TO);
  CHECK(cookie != 0);
  CHECK_EQ(to->cookie, cookie);
  OK(chmod("d/g", 0600));
  EXPECT(IN_ATTRIB, "g");
  OK(mkdir("d/sub", 0755));
  EXPECT(IN_CREATE | IN_ISDIR, "sub");
  OK(unlink("d/g"));
  EXPECT(IN_DELETE, "g");
  OK(rmdir("d/sub"));
  EXPECT(IN_DELETE | IN_ISDIR, "sub");
  OK(rmdir("d"));
  EXPECT(IN_DELETE_SELF, "");
  EXPECT(IN_IGNORED, "");
  CHECK(next_event(fd) == NULL);
}

TEST(inotify_of_a_file) {
  put_file("f", "x");
  int fd = OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  int wd = OK(inotify_add_watch(fd, "f", IN_MODIFY | IN_ATTRIB | IN_ONESHOT));
  OK(close(OK(open("f", O_RDONLY))));
  CHECK(next_event(fd) == NULL);
  OK(truncate("f", 0));
  EXPECT(IN_MODIFY, "");
  EXPECT(IN_IGNORED, "");
  CHECK_ERR(inotify_rm_watch(fd, wd), EINVAL);
  CHECK_ERR(inotify_add_watch(fd, "missing", IN_MODIFY), ENOENT);
  CHECK_ERR(inotify_add_watch(fd, "f", 0), EINVAL);
  CHECK_ERR(inotify_add_watch(fd, "f", IN_MODIFY | IN_ONLYDIR), ENOTDIR);
  wd = OK(inotify_add_watch(fd, "f", IN_MODIFY));
  OK(inotify_rm_watch(fd, wd));
  EXPECT(IN_IGNORED, "");
}

TEST(inotify_merges_equal_events) {
  put_file("f", "x");
  int fd = OK(inotify_init1(IN_NONBLOCK));
  OK(inotify_add_watch(fd, "f", IN_MODIFY));
  int file = OK(open("f", O_WRONLY));
  CHECK_EQ(write(file, "a", 1), 1);
  CHECK_EQ(write(file, "b", 1), 1);
  EXPECT(IN_MODIFY, "");
  CHECK(next_event(fd) == NULL);
}

TEST(inotify_when_the_last_name_goes) {
  put_file("closed", "x");
  int fd = OK(inotify_init1(IN_NONBLOCK));
  OK(inotify_add_watch(fd, "closed", IN_ALL_EVENTS));
  OK(unlink("closed"));
  EXPECT(IN_ATTRIB, "");
  EXPECT(IN_DELETE_SELF, "");
  EXPECT(IN_IGNORED, "");
  CHECK(next_event(fd) == NULL);

  // As of the log that `tail -F` follows: the watch ends with the file, not with its name.
  put_file("open", "x");
  int file = OK(open("open", O_RDWR));
  int again = OK(dup(file));
  OK(inotify_add_watch(fd, "open", IN_ALL_EVENTS));
  OK(unlink("open"));
  EXPECT(IN_ATTRIB, "");
  CHECK(next_event(fd) == NULL);
  CHECK_EQ(write(file, "y", 1), 1);
  EXPECT(IN_MODIFY, "");
  void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
  CHECK(page != MAP_FAILED);
  OK(close(file));
  CHECK(next_event(fd) == NULL);
  OK(close(again));
  CHECK(next_event(fd) == NULL);
  OK(munmap(page, 4096));
  EXPECT(IN_CLOSE_WRITE, "");
  EXPECT(IN_DELETE_SELF, "");
  EXPECT(IN_IGNORED, "");
  CHECK(next_event(fd) == NULL);
}

TEST(inotify_of_a_file_with_two_names) {
  put_file("a", "x");
  int fd = OK(inotify_init1(IN_NONBLOCK));
  OK(inotify_add_watch(fd, "a", IN_ALL_EVENTS));
  OK(link("a", "b"));
  EXPECT(IN_ATTRIB, "");
  OK(unlink("a"));
  EXPECT(IN_ATTRIB, "");
  CHECK(next_event(fd) == NULL);
  OK(unlink("b"));
  EXPECT(IN_ATTRIB, "");
  EXPECT(IN_DELETE_SELF, "");
  EXPECT(IN_IGNORED, "");
  CHECK(next_event(fd) == NULL);
}

TEST(inotify_of_a_removed_directory_in_use) {
  OK(mkdir("d", 0755));
  int fd = OK(inotify_init1(IN_NONBLOCK));
  OK(inotify_add_watch(fd, "d", IN_DELETE_SELF));
  int dir = OK(open("d", O_RDONLY | O_DIRECTORY));
  OK(rmdir("d"));
  CHECK(next_event(fd) == NULL);
  OK(close(dir));
  EXPECT(IN_DELETE_SELF, "");
  EXPECT(IN_IGNORED, "");
}

// link(2) changes the file, and for its directory it is a new name.
TEST(inotify_of_a_directory_where_links_are_made) {
  OK(mkdir("d", 0755));
  put_file("d/a", "x");
  int fd = OK(inotify_init1(IN_NONBLOCK));
  OK(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
  OK(link("d/a", "d/b"));
  EXPECT(IN_CREATE, "b");
  OK(unlink("d/a"));
  EXPECT(IN_DELETE, "a");
  CHECK(next_event(fd) == NULL);
}

#define EXPECT_OF(WATCH, MASK, NAME)                 \
  do {                                               \
    const struct inotify_event *e_ = next_event(fd); \
    CHECK(e_ != NULL);                               \
    CHECK_EQ(e_->wd, (WATCH));                       \
    CHECK_EQ(e_->mask, (MASK));                      \
    CHECK_STR(e_->len > 0 ? e_->name : "", NAME);    \
  } while (0)

TEST(inotify_tells_a_directory_before_its_file) {
  OK(mkdir("d", 0755));
  put_file("d/f", "xy");
  int fd = OK(inotify_init1(IN_NONBLOCK));
  int child = OK(inotify_add_watch(fd, "d/f", IN_ALL_EVENTS));
  int parent = OK(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
  OK(chmod("d/f", 0600));
  EXPECT_OF(parent, IN_ATTRIB, "f");
  EXPECT_OF(child, IN_ATTRIB, "");
  int file = OK(open("d/f", O_RDWR));
  EXPECT_OF(parent, IN_OPEN, "f");
  EXPECT_OF(child, IN_OPEN, "");
  char byte;
  CHECK_EQ(read(file, &byte, 1), 1);
  EXPECT_OF(parent, IN_ACCESS, "f");
  EXPECT_OF(child, IN_ACCESS, "");
  CHECK_EQ(write(file, "z", 1), 1);
  EXPECT_OF(parent, IN_MODIFY, "f");
  EXPECT_OF(child, IN_MODIFY, "");
  OK(close(file));
  EXPECT_OF(parent, IN_CLOSE_WRITE, "f");
  EXPECT_OF(child, IN_CLOSE_WRITE, "");
  OK(unlink("d/f"));
  EXPECT_OF(child, IN_ATTRIB, "");
  EXPECT_OF(child, IN_DELETE_SELF, "");
  EXPECT_OF(child, IN_IGNORED, "");
  EXPECT_OF(parent, IN_DELETE, "f");
  CHECK(next_event(fd) == NULL);
}

TEST(inotify_of_a_name_that_is_renamed_over) {
  OK(mkdir("d", 0755));
  put_file("d/new", "x");
  put_file("d/old", "y");
  int fd = OK(inotify_init1(IN_NONBLOCK));
  int parent = OK(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
  int source = OK(inotify_add_watch(fd, "d/new", IN_ALL_EVENTS));
  int target = OK(inotify_add_watch(fd, "d/old", IN_ALL_EVENTS));
  OK(rename("d/new", "d/old"));
  EXPECT_OF(parent, IN_MOVED_FROM, "new");
  EXPECT_OF(parent, IN_MOVED_TO, "old");
  EXPECT_OF(target, IN_ATTRIB, "");
  EXPECT_OF(source, IN_MOVE_SELF, "");
  EXPECT_OF(target, IN_DELETE_SELF, "");
  EXPECT_OF(target, IN_IGNORED, "");
  CHECK(next_event(fd) == NULL);
  OK(mkdir("d/one", 0755));
  OK(mkdir("d/two", 0755));
  EXPECT_OF(parent, IN_CREATE | IN_ISDIR, "one");
  EXPECT_OF(parent, IN_CREATE | IN_ISDIR, "two");
  target = OK(inotify_add_watch(fd, "d/two", IN_ALL_EVENTS));
  OK(rename("d/one", "d/two"));
  EXPECT_OF(parent, IN_MOVED_FROM | IN_ISDIR, "one");
  EXPECT_OF(parent, IN_MOVED_TO | IN_ISDIR, "two");
  EXPECT_OF(target, IN_ATTRIB | IN_ISDIR, "");
  EXPECT_OF(target, IN_DELETE_SELF, "");
  EXPECT_OF(target, IN_IGNORED, "");
  CHECK(next_event(fd) == NULL);
}

TEST(inotify_without_what_is_done_to_unlinked_files) {
  OK(mkdir("d", 0755));
  put_file("d/f", "x");
  int file = OK(open("d/f", O_RDWR));
  int fd = OK(inotify_init1(IN_NONBLOCK));
  int all = OK(inotify_init1(IN_NONBLOCK));
  OK(inotify_add_watch(fd, "d", IN_MODIFY | IN_CLOSE | IN_DELETE | IN_EXCL_UNLINK));
  OK(inotify_add_watch(all, "d", IN_MODIFY));
  CHECK_EQ(write(file, "y", 1), 1);
  EXPECT(IN_MODIFY, "f");
  OK(unlink("d/f"));
  EXPECT(IN_DELETE, "f");
  CHECK_EQ(write(file, "y", 1), 1);
  OK(close(file));
  CHECK(next_event(fd) == NULL);
  struct inotify_event event[8];
  // One event, since the two are alike.
  CHECK_EQ(read(all, event, sizeof event), (ssize_t)sizeof *event + 16);
}

static long setting(const char *path) { return strtol(get_file(path), NULL, 10); }

// The limits of /proc/sys/fs/inotify are those of a user, not of an instance.
TEST(inotify_limits_of_a_user) {
  long instances = setting("/proc/sys/fs/inotify/max_user_instances");
  long watches = setting("/proc/sys/fs/inotify/max_user_watches");
  long files = watches / instances + 100;
  char name[32];
  for (long index = 0; index < files; index++) {
    snprintf(name, sizeof name, "f%ld", index);
    put_file(name, "");
  }
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(chmod(".", 0755));
    if (getuid() == 0) OK(setuid(54321));
    int fds[1000], count = 0;
    while (count < 1000 && (fds[count] = inotify_init1(IN_NONBLOCK)) >= 0) count++;
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(count, instances);
    long watched = 0;
    int error = 0;
    for (int instance = 0; instance < count && error == 0; instance++) {
      for (long index = 0; index < files && error == 0; index++) {
        snprintf(name, sizeof name, "f%ld", index);
        if (inotify_add_watch(fds[instance], name, IN_MODIFY) < 0)
          error = errno;
        else
          watched++;
      }
    }
    CHECK_EQ(error, ENOSPC);
    CHECK_EQ(watched, watches);
    // What is given back can be taken again.
    OK(inotify_rm_watch(fds[0], 1));
    CHECK(inotify_add_watch(fds[0], "f0", IN_MODIFY) > 0);
    OK(close(fds[1]));
    CHECK(inotify_init1(0) >= 0);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

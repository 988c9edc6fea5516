// SPDX-License-Identifier: Apache-2.0
// /proc/PID/fdinfo: what each kind of descriptor shows (proc_pid_fdinfo(5)).
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>

#include "check.h"

static const char *info_of(int fd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  return get_file(path);
}

// The lines that every descriptor has. What comes after them.
static const char *check_common(int fd, long long position, const char *flags) {
  const char *text = info_of(fd);
  struct stat status;
  OK(fstat(fd, &status));
  long long pos = -1, ino = -1;
  char shown[32] = "";
  int mount = -1, length = 0;
  sscanf(text, "pos:\t%lld\nflags:\t%31s\nmnt_id:\t%d\nino:\t%lld\n%n", &pos, shown, &mount, &ino,
         &length);
  CHECK(length > 0);
  CHECK_EQ(pos, position);
  CHECK_STR(shown, flags);
  CHECK(mount >= 0);
  CHECK_EQ(ino, status.st_ino);
  return text + length;
}

TEST(lines_of_every_kind) {
  int fd = OK(open("file", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  CHECK_EQ(write(fd, "four", 4), 4);
  CHECK_STR(check_common(fd, 4, "02102002"), "");
  CHECK_STR(check_common(OK(open("file", O_RDONLY)), 0, "0100000"), "");
  CHECK_STR(check_common(OK(open(".", O_PATH | O_DIRECTORY)), 0, "010200000"), "");
  int ends[2];
  OK(pipe2(ends, O_NONBLOCK));
  CHECK_STR(check_common(ends[0], 0, "04000"), "");
  CHECK_STR(check_common(ends[1], 0, "04001"), "");
  OK(pipe(ends));
  CHECK_STR(check_common(ends[0], 0, "00"), "");
  CHECK_STR(check_common(OK(memfd_create("memory", MFD_CLOEXEC)), 0, "02100002"), "");
  CHECK_STR(check_common(OK(open("/dev/null", O_WRONLY)), 0, "0100001"), "");
  CHECK_STR(check_common(OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0, "02000002"), "");
}

TEST(eventfd_shows_its_counter) {
  int fd = OK(eventfd(0x1234, EFD_CLOEXEC));
  unsigned id, semaphore;
  unsigned long long count;
  const char *own = check_common(fd, 0, "02000002");
  CHECK(strncmp(own, "eventfd-count:             1234\neventfd-id: ", 44) == 0);
  sscanf(own, "eventfd-count: %llx\neventfd-id: %u\neventfd-semaphore: %u\n", &count, &id,
         &semaphore);
  CHECK_EQ(semaphore, 0);
  uint64_t more = 0xfffffffffffffffe - 0x1234;
  CHECK_EQ(write(fd, &more, 8), 8);
  CHECK(strncmp(check_common(fd, 0, "02000002"), "eventfd-count: fffffffffffffffe\n", 32) == 0);
  unsigned other_id;
  own = check_common(OK(eventfd(1, EFD_SEMAPHORE | EFD_NONBLOCK)), 0, "04002");
  sscanf(own, "eventfd-count: %llx\neventfd-id: %u\neventfd-semaphore: %u\n", &count, &other_id,
         &semaphore);
  CHECK_EQ(semaphore, 1);
  CHECK(id != other_id);
}

TEST(epoll_shows_what_it_watches) {
  int fd = OK(epoll_create1(EPOLL_CLOEXEC));
  CHECK_STR(check_common(fd, 0, "02000002"), "");
  int ends[2];
  OK(pipe(ends));
  struct stat status;
  OK(fstat(ends[1], &status));
  struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.u64 = 0x123456789abcdef};
  OK(epoll_ctl(fd, EPOLL_CTL_ADD, ends[1], &event));
  char want[256];
  const char *form = "tfd: %8d events: %8x data: %16llx  pos:0 ino:%llx sdev:%x\n";
  unsigned sdev = major(status.st_dev) << 20 | minor(status.st_dev);
  unsigned long long ino = status.st_ino;
  snprintf(want, sizeof want, form, ends[1], 0x4000001c, 0x123456789abcdefULL, ino, sdev);
  CHECK_STR(check_common(fd, 0, "02000002"), want);
  CHECK_EQ(epoll_wait(fd, &event, 1, 0), 1);  // It has fired: it waits for nothing now.
  snprintf(want, sizeof want, form, ends[1], 0x40000000, 0x123456789abcdefULL, ino, sdev);
  CHECK_STR(check_common(fd, 0, "02000002"), want);
}

TEST(signalfd_shows_its_mask) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGKILL);
  sigaddset(&set, SIGRTMAX);
  int fd = OK(signalfd(-1, &set, 0));
  CHECK_STR(check_common(fd, 0, "02"), "sigmask:\t8000000000000200\n");
}

TEST(timerfd_shows_its_setting) {
  int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  CHECK_STR(check_common(fd, 0, "02000002"),
            "clockid: 1\nticks: 0\nsettime flags: 00\nit_value: (0, 0)\nit_interval: (0, 0)\n");
  struct itimerspec setting = {{1, 5}, {100, 7}};
  OK(timerfd_settime(fd, 0, &setting, NULL));
  long seconds = -1, ns = -1;
  int length = 0;
  sscanf(check_common(fd, 0, "02000002"),
         "clockid: 1\nticks: 0\nsettime flags: 00\nit_value: (%ld, %ld)\nit_interval: (1, 5)\n%n",
         &seconds, &ns, &length);
  CHECK(length > 0);
  CHECK(seconds > 0 && seconds <= 100 && ns >= 0 && ns < 1000000000);
  fd = OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
  setting = (struct itimerspec){{0, 0}, {1, 0}};
  OK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &setting, NULL));
  sleep_ms(20);
  CHECK_STR(check_common(fd, 0, "04002"),
            "clockid: 0\nticks: 1\nsettime flags: 03\nit_value: (0, 0)\nit_interval: (0, 0)\n");
}

TEST(inotify_shows_its_watches) {
  int fd = OK(inotify_init1(IN_CLOEXEC));
  OK(mkdir("directory", 0700));
  put_file("file", "");
  int one = OK(inotify_add_watch(fd, "directory", IN_CREATE | IN_DELETE | IN_ONLYDIR));
  int two = OK(inotify_add_watch(fd, "file", IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK));
  struct stat directory, file;
  OK(stat("directory", &directory));
  OK(stat("file", &file));
  // A line may go on with the file's handle.
  char want[2][128];
  const char *form = "inotify wd:%x ino:%llx sdev:%x mask:%x ignored_mask:0 ";
  unsigned sdev = major(file.st_dev) << 20 | minor(file.st_dev);
  snprintf(want[0], sizeof want[0], form, two, (long long)file.st_ino, sdev, 0x84000fff);
  snprintf(want[1], sizeof want[1], form, one, (long long)directory.st_ino, sdev, 0x300);
  const char *at = check_common(fd, 0, "02000000");
  for (int i = 0; i < 2; i++) {
    CHECK(strncmp(at, want[i], strlen(want[i])) == 0);
    at = strchr(at, '\n') + 1;
  }
  CHECK_STR(at, "");
}

TEST(unix_sockets_show_the_descriptors_that_wait) {
  int ends[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  CHECK_STR(check_common(ends[0], 0, "02"), "scm_fds: 0\n");
  char byte = 'x';
  struct iovec data = {&byte, 1};
  union {
    char bytes[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr header;
  } control = {.header = {CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
  memcpy(CMSG_DATA(&control.header), ends, sizeof ends);
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
  message.msg_control = &control;
  message.msg_controllen = sizeof control;
  CHECK_EQ(sendmsg(ends[1], &message, 0), 1);
  CHECK_STR(check_common(ends[0], 0, "02"), "scm_fds: 2\n");
  CHECK_STR(check_common(ends[1], 0, "02"), "scm_fds: 0\n");
}

TEST(pseudoterminals_show_their_number) {
  int fd = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
  char want[32];
  int number;
  OK(ptsname_r(fd, want, sizeof want));
  CHECK_EQ(sscanf(want, "/dev/pts/%d", &number), 1);
  snprintf(want, sizeof want, "tty-index:\t%d\n", number);
  CHECK_STR(check_common(fd, 0, "0100002"), want);
}

// SPDX-License-Identifier: Apache-2.0
// Terminals, the finer points: packet mode, exclusive use, sessions that end, background writers,
// full buffers (ioctl_tty(2), pty(7), setsid(2)).
#include <asm/termbits.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "check.h"

int posix_openpt(int flags);
char *ptsname(int fd);
int grantpt(int fd);
int unlockpt(int fd);

static int master, slave;

static void open_pair(void) {
  master = OK(posix_openpt(O_RDWR | O_NOCTTY));
  OK(unlockpt(master));
  slave = OK(open(ptsname(master), O_RDWR | O_NOCTTY));
}

static void type(const char *text) { CHECK_EQ(write(master, text, strlen(text)), strlen(text)); }

static const char *read_some(int fd) {
  static char text[65536];
  struct pollfd set = {fd, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  ssize_t n = OK(read(fd, text, sizeof text - 1));
  text[n] = 0;
  return text;
}

static int events_of(int fd) {
  struct pollfd set = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
  OK(poll(&set, 1, 0));
  return set.revents;
}

static void change(int fd, int lflag_on, int lflag_off) {
  struct termios t;
  OK(ioctl(fd, TCGETS, &t));
  t.c_lflag = (t.c_lflag | lflag_on) & ~lflag_off;
  OK(ioctl(fd, TCSETS, &t));
}

// A child that leads a session whose controlling terminal is the slave.
static pid_t session(void (*run)(void)) {
  open_pair();
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setsid());
    OK(ioctl(slave, TIOCSCTTY, 0));
    close(master);
    run();
    _exit(0);
  }
  return pid;
}

TEST(packet_mode) {
  open_pair();
  int on = 1;
  OK(ioctl(master, TIOCPKT, &on));
  CHECK_EQ(write(slave, "data", 4), 4);
  char bytes[64];
  CHECK_EQ(read(master, bytes, sizeof bytes), 5);
  CHECK(memcmp(bytes, "\0data", 5) == 0);
  OK(ioctl(slave, TCFLSH, TCIFLUSH));
  CHECK_EQ(events_of(master) & POLLPRI, POLLPRI);
  CHECK_EQ(read(master, bytes, sizeof bytes), 1);
  CHECK_EQ(bytes[0], TIOCPKT_FLUSHREAD);
  CHECK_EQ(events_of(master) & (POLLPRI | POLLIN), 0);
  OK(ioctl(master, TIOCGPKT, &on));
  CHECK_EQ(on, 1);
}

TEST(termios2_keeps_speeds) {
  open_pair();
  struct termios2 t, got;
  OK(ioctl(slave, TCGETS2, &t));
  CHECK_EQ(t.c_ospeed, 38400);
  t.c_cflag = (t.c_cflag & ~CBAUD) | BOTHER;
  t.c_ospeed = 12345;
  t.c_ispeed = 12345;
  OK(ioctl(slave, TCSETS2, &t));
  OK(ioctl(slave, TCGETS2, &got));
  CHECK_EQ(got.c_ospeed, 12345);
  struct termios plain;
  OK(ioctl(slave, TCGETS, &plain));
  plain.c_cflag = (plain.c_cflag & ~CBAUD) | B115200 | PARENB;
  OK(ioctl(slave, TCSETS, &plain));
  OK(ioctl(slave, TCGETS2, &got));
  CHECK_EQ(got.c_ospeed, 115200);
  CHECK_EQ(got.c_cflag & (CSIZE | PARENB | CREAD), CS8 | CREAD);
}

TEST(exclusive_use) {
  if (geteuid() != 0) SKIP("not root");
  open_pair();
  OK(chmod(ptsname(master), 0666));
  OK(ioctl(slave, TIOCEXCL));
  int got = 0;
  OK(ioctl(slave, TIOCGEXCL, &got));
  CHECK_EQ(got, 1);
  char name[64];
  snprintf(name, sizeof name, "%s", ptsname(master));
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setuid(1234));
    CHECK_ERR(open(name, O_RDWR | O_NOCTTY), EBUSY);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  OK(ioctl(slave, TIOCNXCL));
}

TEST(peer_without_a_name) {
  master = OK(posix_openpt(O_RDWR | O_NOCTTY));
  OK(unlockpt(master));
  int peer = OK(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
  CHECK_EQ(write(peer, "x", 1), 1);
  CHECK_STR(read_some(master), "x");
  CHECK_ERR(ioctl(peer, TIOCGPTPEER, O_RDWR), EIO);
  CHECK(isatty(peer));
}

TEST(names_go_with_the_master) {
  open_pair();
  char name[64];
  snprintf(name, sizeof name, "%s", ptsname(master));
  struct stat status;
  OK(stat(name, &status));
  CHECK(S_ISCHR(status.st_mode));
  CHECK_EQ(status.st_uid, getuid());
  OK(close(master));
  CHECK_ERR(open(name, O_RDWR | O_NOCTTY), ENOENT);
  CHECK_EQ(events_of(slave), POLLIN | POLLOUT | POLLERR | POLLHUP);
  struct termios t;
  CHECK_ERR(ioctl(slave, TCGETS, &t), EIO);
}

TEST(master_sees_the_slave_close_and_open) {
  open_pair();
  CHECK_EQ(events_of(master) & POLLHUP, 0);
  CHECK_EQ(write(slave, "last", 4), 4);
  char name[64];
  snprintf(name, sizeof name, "%s", ptsname(master));
  close(slave);
  CHECK_EQ(events_of(master) & POLLHUP, POLLHUP);
  char bytes[8];
  CHECK_EQ(read(master, bytes, sizeof bytes), 4);
  CHECK_ERR(read(master, bytes, sizeof bytes), EIO);
  slave = OK(open(name, O_RDWR | O_NOCTTY));
  CHECK_EQ(events_of(master) & POLLHUP, 0);
}

TEST(a_full_terminal_makes_writers_wait) {
  open_pair();
  OK(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK));
  char bytes[4096];
  memset(bytes, 'x', sizeof bytes);
  long total = 0;
  for (;;) {
    ssize_t n = write(slave, bytes, sizeof bytes);
    if (n > 0) {
      total += n;
      CHECK(total < 1 << 20);
      continue;
    }
    CHECK_EQ(errno, EAGAIN);
    /* The host kernel moves bytes to the reader's side in a work queue. */
    int full = 0;
    while (full < 10 && (events_of(slave) & POLLOUT) == 0) full++, sleep_ms(20);
    if (full == 10) break;
  }
  CHECK_EQ(events_of(slave) & POLLOUT, 0);
  OK(fcntl(slave, F_SETFL, O_RDWR));
  pid_t pid = OK(fork());
  if (pid == 0) {
    CHECK_EQ(write(slave, bytes, sizeof bytes), sizeof bytes);
    _exit(0);
  }
  sleep_ms(20);
  CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
  for (long got = 0; got < total + (long)sizeof bytes;) {
    ssize_t n = OK(read(master, bytes, sizeof bytes));
    got += n;
  }
  CHECK_EXIT(pid, 0);
}

/* The host kernel takes what is typed in a work queue of its own: wait until it has had its effect. */
static void wait_for_output(int allowed) {
  for (int ms = 0; ms < 60000 && ((events_of(slave) & POLLOUT) != 0) != allowed; ms++) sleep_ms(1);
}

TEST(stop_and_start_characters) {
  open_pair();
  type("\x13");
  wait_for_output(0);
  OK(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK));
  CHECK_ERR(write(slave, "x", 1), EAGAIN);
  CHECK_EQ(events_of(slave) & POLLOUT, 0);
  type("\x11");
  wait_for_output(1);
  CHECK_EQ(write(slave, "x", 1), 1);
  OK(ioctl(slave, TCXONC, TCOOFF));
  CHECK_ERR(write(slave, "x", 1), EAGAIN);
  OK(ioctl(slave, TCXONC, TCOON));
  CHECK_EQ(write(slave, "x", 1), 1);
}

TEST(reads_wait_for_lines) {
  open_pair();
  pid_t pid = OK(fork());
  if (pid == 0) {
    char bytes[64];
    CHECK_EQ(read(slave, bytes, sizeof bytes), 6);
    _exit(0);
  }
  type("hel");
  sleep_ms(20);
  CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
  type("lo\n");
  CHECK_EXIT(pid, 0);
}

TEST(inter_byte_timer) {
  open_pair();
  struct termios t;
  OK(ioctl(slave, TCGETS, &t));
  t.c_lflag = 0;
  t.c_cc[VMIN] = 10;
  t.c_cc[VTIME] = 15;
  OK(ioctl(slave, TCSETS, &t));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char bytes[64];
    long long start = now_ns();
    CHECK_EQ(read(slave, bytes, sizeof bytes), 2);
    CHECK(now_ns() - start >= 1700000000);
    _exit(0);
  }
  until_asleep(pid);
  type("a");
  sleep_ms(300);
  type("b");
  CHECK_EXIT(pid, 0);
}

static void background_write(void) {
  change(slave, TOSTOP, 0);
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setpgid(0, 0));
    CHECK_EQ(write(slave, "x", 1), 1);
    _exit(3);
  }
  int status;
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  CHECK_EQ(WSTOPSIG(status), SIGTTOU);
  change(slave, 0, TOSTOP);
  OK(kill(pid, SIGCONT));
  CHECK_EXIT(pid, 3);
}

TEST(background_writes_stop_with_tostop) { CHECK_EXIT(session(background_write), 0); }

static void background_settings(void) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setpgid(0, 0));
    change(slave, 0, 0);
    _exit(4);
  }
  int status;
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  CHECK_EQ(WSTOPSIG(status), SIGTTOU);
  OK(kill(pid, SIGKILL));
  CHECK_KILLED(pid, SIGKILL);
  pid = OK(fork());
  if (pid == 0) {
    OK(setpgid(0, 0));
    signal(SIGTTOU, SIG_IGN);
    change(slave, 0, 0);
    signal(SIGTTIN, SIG_IGN);
    char c;
    CHECK_ERR(read(slave, &c, 1), EIO);
    _exit(4);
  }
  CHECK_EXIT(pid, 4);
}

TEST(background_settings_stop_unless_ignored) { CHECK_EXIT(session(background_settings), 0); }

static void orphan(void) {
  int ready[2];
  OK(pipe(ready));
  pid_t pid = OK(fork());
  if (pid == 0) {
    pid_t child = OK(fork());
    if (child == 0) {
      OK(setpgid(0, 0));
      for (int ms = 0; ms < 60000 && getsid(getppid()) == getsid(0); ms++) sleep_ms(1);
      char c, result = 0;
      if (read(slave, &c, 1) == -1 && errno == EIO) result = 1;
      CHECK_EQ(write(ready[1], &result, 1), 1);
      _exit(0);
    }
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  char result;
  CHECK_EQ(read(ready[0], &result, 1), 1);
  CHECK_EQ(result, 1);
}

TEST(orphans_are_not_stopped) { CHECK_EXIT(session(orphan), 0); }

static int report[2];
static volatile sig_atomic_t hung_up;

static void on_hangup(int number) { hung_up = number; }

static void leader_leaves(void) {
  int ready[2];
  OK(pipe(ready));
  pid_t pid = OK(fork());
  if (pid == 0) {
    signal(SIGHUP, on_hangup);
    CHECK_EQ(write(ready[1], "r", 1), 1);
    for (int ms = 0; hung_up == 0 && ms < 60000; ms++) sleep_ms(1);
    char signalled = (char)hung_up;
    CHECK_EQ(write(report[1], &signalled, 1), 1);
    char lost = open("/dev/tty", O_RDWR) < 0 && errno == ENXIO ? 'n' : 'y';
    CHECK_EQ(write(report[1], &lost, 1), 1);
    _exit(0);
  }
  char c;
  CHECK_EQ(read(ready[0], &c, 1), 1);
}

TEST(end_of_the_session_leader) {
  OK(pipe(report));
  CHECK_EXIT(session(leader_leaves), 0);
  char c;
  CHECK_EQ(read(report[0], &c, 1), 1);
  CHECK_EQ(c, SIGHUP);
  CHECK_EQ(read(report[0], &c, 1), 1);
  CHECK_EQ(c, 'n');
}

static void give_up(void) {
  int tty = OK(open("/dev/tty", O_RDWR));
  signal(SIGHUP, SIG_IGN);
  OK(ioctl(tty, TIOCNOTTY));
  CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
  CHECK_ERR(ioctl(slave, TIOCNOTTY), ENOTTY);
  pid_t group;
  CHECK_ERR(ioctl(slave, TIOCGPGRP, &group), ENOTTY);
}

TEST(giving_a_terminal_up) { CHECK_EXIT(session(give_up), 0); }

TEST(opening_makes_it_the_controlling_terminal) {
  master = OK(posix_openpt(O_RDWR | O_NOCTTY));
  OK(unlockpt(master));
  char name[64];
  snprintf(name, sizeof name, "%s", ptsname(master));
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setsid());
    int first = OK(open(name, O_RDWR | O_NOCTTY));
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    int second = OK(open(name, O_RDWR));
    OK(open("/dev/tty", O_RDWR));
    pid_t group;
    OK(ioctl(second, TIOCGPGRP, &group));
    CHECK_EQ(group, getpgrp());
    CHECK_EQ(first + 1, second);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

static void foreground_rules(void) {
  pid_t group = 1 << 21;
  CHECK_ERR(ioctl(slave, TIOCSPGRP, &group), ESRCH);
  group = -1;
  CHECK_ERR(ioctl(slave, TIOCSPGRP, &group), EINVAL);
  group = getppid();
  CHECK(ioctl(slave, TIOCSPGRP, &group) < 0 && (errno == EPERM || errno == ESRCH));
  CHECK_ERR(ioctl(slave, TIOCSPGRP, (void *)8), EFAULT);
  group = 0;
  OK(ioctl(slave, TIOCGSID, &group));
  CHECK_EQ(group, getpid());
  CHECK_ERR(ioctl(slave, TIOCSETD, &(int){5}), EINVAL);
  CHECK_ERR(ioctl(slave, 0x5499, 0), ENOTTY);
}

TEST(rules_of_the_foreground_group) {
  pid_t pid = session(foreground_rules);
  CHECK_EXIT(pid, 0);
}

TEST(master_does_not_need_job_control) {
  open_pair();
  pid_t group = 99;
  OK(ioctl(master, TIOCGPGRP, &group));
  CHECK_EQ(group, 0);
  CHECK_ERR(ioctl(slave, TIOCGPGRP, &group), ENOTTY);
  CHECK_ERR(ioctl(master, TIOCGSID, &group), ENOTTY);
}

TEST(signal_from_the_master) {
  open_pair();
  CHECK_ERR(ioctl(master, TIOCSIG, SIGKILL), EINVAL);
  CHECK_ERR(ioctl(slave, TIOCSIG, SIGINT), ENOTTY);
}

TEST(opening_through_proc) {
  open_pair();
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", slave);
  int again = OK(open(path, O_RDWR | O_NOCTTY));
  CHECK_EQ(write(again, "hi", 2), 2);
  CHECK_STR(read_some(master), "hi");
  struct stat a, b;
  OK(fstat(again, &a));
  OK(fstat(slave, &b));
  CHECK_EQ(a.st_ino, b.st_ino);
  CHECK_EQ(a.st_rdev, b.st_rdev);
}

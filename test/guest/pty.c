// SPDX-License-Identifier: Apache-2.0
// Pseudo terminals: pts(4), termios(3), line discipline, job control over a terminal.
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <poll.h>

#include "check.h"

static int master, slave;

static void open_pair(void) {
  master = OK(posix_openpt(O_RDWR | O_NOCTTY));
  OK(grantpt(master));
  OK(unlockpt(master));
  slave = OK(open(ptsname(master), O_RDWR | O_NOCTTY));
}

static const char *read_some(int fd) {
  static char text[4096];
  struct pollfd set = {fd, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 60000), 1);
  ssize_t n = OK(read(fd, text, sizeof text - 1));
  text[n] = 0;
  return text;
}

static void type(const char *text) { CHECK_EQ(write(master, text, strlen(text)), strlen(text)); }

static void raw(void) {
  struct termios t;
  OK(tcgetattr(slave, &t));
  cfmakeraw(&t);
  OK(tcsetattr(slave, TCSANOW, &t));
}

TEST(names) {
  open_pair();
  CHECK(isatty(slave) && isatty(master));
  CHECK(strncmp(ptsname(master), "/dev/pts/", 9) == 0);
  CHECK_STR(ttyname(slave), ptsname(master));
  int number;
  OK(ioctl(master, TIOCGPTN, &number));
  CHECK_EQ(number, atoi(ptsname(master) + 9));
}

TEST(lock) {
  master = OK(posix_openpt(O_RDWR | O_NOCTTY));
  CHECK_ERR(open(ptsname(master), O_RDWR | O_NOCTTY), EIO);
}

TEST(canonical_lines_and_echo) {
  open_pair();
  type("hello\n");
  CHECK_STR(read_some(slave), "hello\n");
  CHECK_STR(read_some(master), "hello\r\n");
  type(
      "abX\x7f"
      "c\n");
  CHECK_STR(read_some(slave), "abc\n");
  read_some(master);
  type("wrong\x15right\n");
  CHECK_STR(read_some(slave), "right\n");
  type("two\nlines\n");
  CHECK_STR(read_some(slave), "two\n");
  CHECK_STR(read_some(slave), "lines\n");
}

TEST(end_of_file_character) {
  open_pair();
  type("part\x04");
  CHECK_STR(read_some(slave), "part");
  type("\x04");
  char c;
  CHECK_EQ(read(slave, &c, 1), 0);
}

TEST(output_processing) {
  open_pair();
  CHECK_EQ(write(slave, "a\nb", 3), 3);
  CHECK_STR(read_some(master), "a\r\nb");
  raw();
  CHECK_EQ(write(slave, "a\nb", 3), 3);
  CHECK_STR(read_some(master), "a\nb");
}

TEST(raw_mode) {
  open_pair();
  raw();
  type("x\x03\r");
  CHECK_STR(read_some(slave), "x\x03\r");
  struct pollfd set = {master, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 20), 0);  // no echo
}

TEST(minimum_and_time) {
  open_pair();
  struct termios t;
  OK(tcgetattr(slave, &t));
  cfmakeraw(&t);
  t.c_cc[VMIN] = 0;
  t.c_cc[VTIME] = 1;
  OK(tcsetattr(slave, TCSANOW, &t));
  char c;
  long long start = now_ns();
  CHECK_EQ(read(slave, &c, 1), 0);
  CHECK(now_ns() - start >= 90000000);
}

TEST(attributes) {
  open_pair();
  struct termios t;
  OK(tcgetattr(slave, &t));
  CHECK_EQ(t.c_lflag & (ICANON | ECHO | ISIG), ICANON | ECHO | ISIG);
  CHECK_EQ(t.c_iflag & ICRNL, ICRNL);
  CHECK_EQ(t.c_cc[VINTR], 3);
  CHECK_EQ(t.c_cc[VEOF], 4);
  t.c_cc[VINTR] = 'q';
  OK(tcsetattr(slave, TCSANOW, &t));
  OK(tcgetattr(master, &t));
  CHECK_EQ(t.c_cc[VINTR], 'q');
  CHECK_ERR(tcgetattr(OK(open("/dev/null", O_RDWR)), &t), ENOTTY);
}

TEST(window_size) {
  open_pair();
  struct winsize size = {24, 80, 0, 0}, got;
  OK(ioctl(master, TIOCSWINSZ, &size));
  OK(ioctl(slave, TIOCGWINSZ, &got));
  CHECK_EQ(got.ws_row, 24);
  CHECK_EQ(got.ws_col, 80);
}

TEST(hangup) {
  open_pair();
  close(master);
  char c;
  CHECK_EQ(read(slave, &c, 1), 0);
  CHECK_ERR(write(slave, "x", 1), EIO);
  open_pair();
  close(slave);
  CHECK_ERR(read(master, &c, 1), EIO);
}

static pid_t session(void (*run)(void)) {
  open_pair();
  pid_t pid = OK(fork());
  if (pid == 0) {
    close(master);
    OK(setsid());
    OK(ioctl(slave, TIOCSCTTY, 0));
    run();
    _exit(0);
  }
  return pid;
}

static void controlling(void) {
  CHECK_EQ(tcgetpgrp(slave), getpgrp());
  CHECK_EQ(tcgetsid(slave), getsid(0));
  int tty = OK(open("/dev/tty", O_RDWR));
  CHECK_EQ(write(tty, "via tty", 7), 7);
}

// TIOCNOTTY of a process that does not lead its session is that process's own doing, and its children's.
static void given_up(void) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(ioctl(OK(open("/dev/tty", O_RDWR)), TIOCNOTTY));
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    pid_t child = OK(fork());
    if (child == 0) {
      CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
      _exit(3);
    }
    CHECK_EXIT(child, 3);
    _exit(4);
  }
  CHECK_EXIT(pid, 4);
  OK(open("/dev/tty", O_RDWR));
}

TEST(a_terminal_given_up_is_not_inherited) { CHECK_EXIT(session(given_up), 0); }

TEST(controlling_terminal) {
  pid_t pid = session(controlling);
  CHECK_STR(read_some(master), "via tty");
  CHECK_EXIT(pid, 0);
}

static void wait_for_signal(void) {
  CHECK_EQ(write(slave, "!", 1), 1);
  for (;;) pause();
}

TEST(interrupt_character) {
  pid_t pid = session(wait_for_signal);
  CHECK_STR(read_some(master), "!");
  type("\x03");
  CHECK_KILLED(pid, SIGINT);
  pid = session(wait_for_signal);
  CHECK_STR(read_some(master), "!");
  type("\x1c");
  CHECK_KILLED(pid, SIGQUIT);
}

static volatile int winch;

static void on_winch(int signal) { winch = signal; }

static void wait_for_winch(void) {
  signal(SIGWINCH, on_winch);
  CHECK_EQ(write(slave, "!", 1), 1);
  while (winch == 0) sleep_ms(1);
}

TEST(window_change_signals) {
  pid_t pid = session(wait_for_winch);
  CHECK_STR(read_some(master), "!");
  struct winsize size = {50, 100, 0, 0};
  OK(ioctl(master, TIOCSWINSZ, &size));
  CHECK_EXIT(pid, 0);
}

static void background(void) {
  // A background child that reads the terminal stops; one that writes with TOSTOP too.
  pid_t pid = OK(fork());
  if (pid == 0) {
    setpgid(0, 0);
    char c;
    CHECK_EQ(read(slave, &c, 1), 1);
    _exit(c);
  }
  setpgid(pid, pid);
  int status;
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  CHECK_EQ(WSTOPSIG(status), SIGTTIN);
  signal(SIGTTOU, SIG_IGN);
  OK(tcsetpgrp(slave, pid));
  CHECK_EQ(write(slave, "!", 1), 1);
  OK(kill(pid, SIGCONT));
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(WEXITSTATUS(status), 'y');
  OK(tcsetpgrp(slave, getpgrp()));
}

TEST(background_reads_stop) {
  pid_t pid = session(background);
  CHECK_STR(read_some(master), "!");
  type("y\n");
  CHECK_EXIT(pid, 0);
}

static void suspended(void) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    setpgid(0, 0);
    for (;;) pause();
  }
  setpgid(pid, pid);
  signal(SIGTTOU, SIG_IGN);
  OK(tcsetpgrp(slave, pid));
  CHECK_EQ(write(slave, "!", 1), 1);
  int status;
  CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
  CHECK_EQ(WSTOPSIG(status), SIGTSTP);
  OK(kill(pid, SIGKILL));
  CHECK_KILLED(pid, SIGKILL);
}

TEST(suspend_character) {
  pid_t pid = session(suspended);
  CHECK_STR(read_some(master), "!");
  type("\x1a");
  CHECK_EXIT(pid, 0);
}

static void hung_up(void) {
  CHECK_EQ(write(slave, "!", 1), 1);
  for (;;) pause();
}

TEST(closing_the_master_hangs_up_the_session) {
  pid_t pid = session(hung_up);
  CHECK_STR(read_some(master), "!");
  close(slave);
  close(master);
  CHECK_KILLED(pid, SIGHUP);
}

TEST(flush) {
  open_pair();
  type("pending\n");
  OK(tcflush(slave, TCIFLUSH));
  struct pollfd set = {slave, POLLIN, 0};
  CHECK_EQ(poll(&set, 1, 0), 0);
  int ready;
  type("four\n");
  CHECK_EQ(poll(&set, 1, 60000), 1);
  OK(ioctl(slave, FIONREAD, &ready));
  CHECK_EQ(ready, 5);
}

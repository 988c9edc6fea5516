// SPDX-License-Identifier: Apache-2.0
// POSIX message queues: mq_overview(7), and the file system that shows them.
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <grp.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/vfs.h>

#include "check.h"

static const char *name(void) {
  static char text[64];
  snprintf(text, sizeof text, "/check-%d", (int)getpid());
  return text;
}

static mqd_t new_queue(long maxmsg, long msgsize, int flags) {
  struct mq_attr attr = {.mq_maxmsg = maxmsg, .mq_msgsize = msgsize};
  mqd_t q = OK(mq_open(name(), O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr));
  OK(mq_unlink(name()));
  return q;
}

static void send_text(mqd_t q, const char *text, unsigned priority) {
  OK(mq_send(q, text, strlen(text), priority));
}

static const char *receive_text(mqd_t q, unsigned *priority) {
  static char text[8193];
  long got = OK(mq_receive(q, text, sizeof text - 1, priority));
  text[got] = 0;
  return text;
}

TEST(mq_priorities_and_order) {
  mqd_t q = new_queue(10, 64, 0);
  send_text(q, "low", 1);
  send_text(q, "high-1", 9);
  send_text(q, "middle", 5);
  send_text(q, "high-2", 9);
  send_text(q, "", 32767);
  unsigned p;
  CHECK_STR(receive_text(q, &p), "");
  CHECK_EQ(p, 32767);
  CHECK_STR(receive_text(q, &p), "high-1");
  CHECK_EQ(p, 9);
  CHECK_STR(receive_text(q, NULL), "high-2");
  CHECK_STR(receive_text(q, NULL), "middle");
  send_text(q, "lowest", 0);
  CHECK_STR(receive_text(q, &p), "low");
  CHECK_STR(receive_text(q, &p), "lowest");
  CHECK_EQ(p, 0);
}

TEST(mq_open_and_unlink_errors) {
  CHECK_ERR(mq_open("/not-there", O_RDWR), ENOENT);
  CHECK_ERR(mq_unlink("/not-there"), ENOENT);
  CHECK_ERR(syscall(SYS_mq_open, "", O_RDWR | O_CREAT, 0600, NULL), ENOENT);
  CHECK_ERR(syscall(SYS_mq_open, ".", O_RDWR, 0600, NULL), EACCES);
  CHECK_ERR(syscall(SYS_mq_open, "..", O_RDWR | O_CREAT, 0600, NULL), EACCES);
  CHECK_ERR(syscall(SYS_mq_open, "a/b", O_RDWR | O_CREAT, 0600, NULL), EACCES);
  CHECK_ERR(syscall(SYS_mq_open, (void *)8, O_RDWR, 0, NULL), EFAULT);
  CHECK_ERR(syscall(SYS_mq_open, "x", O_RDWR | O_CREAT, 0600, (void *)8), EFAULT);
  char longer[300];
  memset(longer, 'a', 299);
  longer[299] = 0;
  CHECK_ERR(syscall(SYS_mq_open, longer, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
  CHECK_ERR(syscall(SYS_mq_unlink, longer), ENAMETOOLONG);
  longer[255] = 0;
  OK(syscall(SYS_mq_open, longer, O_RDWR | O_CREAT, 0600, NULL));
  OK(syscall(SYS_mq_unlink, longer));
  OK(mq_open(name(), O_CREAT | O_RDWR, 0600, NULL));
  CHECK_ERR(mq_open(name(), O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
  CHECK_ERR(syscall(SYS_mq_open, name() + 1, 3, 0, NULL), EINVAL);
  OK(mq_unlink(name()));
  CHECK_ERR(mq_open(name(), O_RDWR), ENOENT);
}

TEST(mq_sizes) {
  struct mq_attr attr = {.mq_maxmsg = 0, .mq_msgsize = 1};
  CHECK_ERR(mq_open(name(), O_CREAT | O_RDWR, 0600, &attr), EINVAL);
  attr = (struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = -1};
  CHECK_ERR(mq_open(name(), O_CREAT | O_RDWR, 0600, &attr), EINVAL);
  attr = (struct mq_attr){.mq_maxmsg = 65537, .mq_msgsize = 1};
  CHECK_ERR(mq_open(name(), O_CREAT | O_RDWR, 0600, &attr), EINVAL);
  attr = (struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = 16777217};
  CHECK_ERR(mq_open(name(), O_CREAT | O_RDWR, 0600, &attr), EINVAL);
  CHECK_ERR(mq_open(name(), O_RDWR), ENOENT);
  mqd_t q = OK(mq_open(name(), O_CREAT | O_RDWR, 0600, NULL));
  OK(mq_unlink(name()));
  OK(mq_getattr(q, &attr));
  CHECK_EQ(attr.mq_maxmsg, 10);
  CHECK_EQ(attr.mq_msgsize, 8192);
  CHECK_EQ(attr.mq_curmsgs, 0);
  CHECK_EQ(attr.mq_flags, 0);
}

TEST(mq_transfer_errors) {
  mqd_t q = new_queue(2, 8, O_NONBLOCK);
  char text[16];
  CHECK_ERR(mq_receive(q, text, 16, NULL), EAGAIN);
  CHECK_ERR(mq_receive(q, text, 7, NULL), EMSGSIZE);
  CHECK_ERR(mq_send(q, "123456789", 9, 0), EMSGSIZE);
  CHECK_ERR(mq_send(q, "1", 1, 32768), EINVAL);
  CHECK_ERR(mq_send(q, (void *)8, 1, 0), EFAULT);
  CHECK_ERR(mq_send(0, "1", 1, 0), EBADF);
  CHECK_ERR(mq_send(-1, "1", 1, 0), EBADF);
  send_text(q, "one", 0);
  send_text(q, "two", 0);
  CHECK_ERR(mq_send(q, "three", 5, 0), EAGAIN);
  // A message whose reader's memory is bad is lost.
  CHECK_ERR(mq_receive(q, (void *)8, 16, NULL), EFAULT);
  CHECK_STR(receive_text(q, NULL), "two");
  CHECK_ERR(mq_receive(q, text, 16, NULL), EAGAIN);
}

TEST(mq_access_modes) {
  OK(mq_open(name(), O_CREAT | O_RDWR, 0600, NULL));
  mqd_t reader = OK(mq_open(name(), O_RDONLY)), writer = OK(mq_open(name(), O_WRONLY));
  char text[8192];
  CHECK_ERR(mq_send(reader, "1", 1, 0), EBADF);
  CHECK_ERR(mq_receive(writer, text, sizeof text, NULL), EBADF);
  send_text(writer, "passed", 3);
  CHECK_STR(receive_text(reader, NULL), "passed");
  CHECK_EQ(fcntl(reader, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(fcntl(writer, F_GETFL) & O_ACCMODE, O_WRONLY);
  OK(mq_unlink(name()));
}

TEST(mq_flags) {
  mqd_t q = new_queue(3, 8, 0);
  struct mq_attr attr = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 99}, old;
  OK(mq_setattr(q, &attr, &old));
  CHECK_EQ(old.mq_flags, 0);
  CHECK_EQ(old.mq_maxmsg, 3);
  CHECK(fcntl(q, F_GETFL) & O_NONBLOCK);
  char text[8];
  CHECK_ERR(mq_receive(q, text, 8, NULL), EAGAIN);
  OK(mq_getattr(q, &attr));
  CHECK_EQ(attr.mq_flags, O_NONBLOCK);
  CHECK_EQ(attr.mq_maxmsg, 3);
  attr.mq_flags = O_NONBLOCK | O_APPEND;
  CHECK_ERR(mq_setattr(q, &attr, NULL), EINVAL);
  CHECK_ERR(syscall(SYS_mq_getsetattr, q, NULL, (void *)8), EFAULT);
  CHECK_ERR(syscall(SYS_mq_getsetattr, q, (void *)8, NULL), EFAULT);
  OK(syscall(SYS_mq_getsetattr, q, NULL, NULL));
  CHECK_ERR(syscall(SYS_mq_getsetattr, 0, NULL, NULL), EBADF);
}

static void after(struct timespec *t, long ms) {
  clock_gettime(CLOCK_REALTIME, t);
  t->tv_nsec += ms * 1000000;
  t->tv_sec += t->tv_nsec / 1000000000;
  t->tv_nsec %= 1000000000;
}

TEST(mq_timeouts) {
  mqd_t q = new_queue(1, 8, 0);
  char text[8];
  struct timespec t;
  long long start = now_ns();
  after(&t, 30);
  CHECK_ERR(mq_timedreceive(q, text, 8, NULL, &t), ETIMEDOUT);
  CHECK(now_ns() - start >= 20000000);
  send_text(q, "full", 0);
  after(&t, 30);
  CHECK_ERR(mq_timedsend(q, "more", 4, 0, &t), ETIMEDOUT);
  t = (struct timespec){0, 0};
  CHECK_ERR(mq_timedsend(q, "more", 4, 0, &t), ETIMEDOUT);
  // A bad time counts even where nothing has to wait.
  t = (struct timespec){1, 1000000000};
  CHECK_ERR(mq_timedreceive(q, text, 8, NULL, &t), EINVAL);
  t = (struct timespec){-1, 0};
  CHECK_ERR(mq_timedreceive(q, text, 8, NULL, &t), EINVAL);
  CHECK_ERR(syscall(SYS_mq_timedreceive, q, text, 8, NULL, (void *)8), EFAULT);
  CHECK_STR(receive_text(q, NULL), "full");
}

TEST(mq_receiver_waits) {
  mqd_t q = new_queue(4, 8, 0);
  pid_t child = OK(fork());
  if (child == 0) {
    unsigned p;
    CHECK_STR(receive_text(q, &p), "first");
    CHECK_EQ(p, 2);
    CHECK_STR(receive_text(q, &p), "second");
    _exit(0);
  }
  sleep_ms(20);
  send_text(q, "first", 2);
  send_text(q, "second", 7);
  CHECK_EXIT(child, 0);
}

TEST(mq_sender_waits) {
  mqd_t q = new_queue(1, 8, 0);
  send_text(q, "first", 0);
  pid_t child = OK(fork());
  if (child == 0) {
    send_text(q, "second", 0);
    send_text(q, "third", 0);
    _exit(0);
  }
  sleep_ms(20);
  CHECK_STR(receive_text(q, NULL), "first");
  CHECK_STR(receive_text(q, NULL), "second");
  CHECK_STR(receive_text(q, NULL), "third");
  CHECK_EXIT(child, 0);
}

static void nothing(int signal) { (void)signal; }

TEST(mq_signals_while_waiting) {
  mqd_t q = new_queue(1, 8, 0);
  char text[8];
  struct sigaction action = {.sa_handler = nothing};
  sigaction(SIGALRM, &action, NULL);
  // Again and again: the first may come before the call.
  struct itimerval soon = {{0, 20000}, {0, 20000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  CHECK_ERR(mq_receive(q, text, 8, NULL), EINTR);
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &soon, NULL);
  struct timespec t;
  after(&t, 60);
  CHECK_ERR(mq_timedreceive(q, text, 8, NULL, &t), ETIMEDOUT);
}

TEST(mq_poll_and_epoll) {
  mqd_t q = new_queue(1, 8, 0);
  struct pollfd set = {q, POLLIN | POLLOUT, 0};
  CHECK_EQ(poll(&set, 1, 0), 1);
  CHECK_EQ(set.revents, POLLOUT);
  int ep = OK(epoll_create1(0));
  struct epoll_event want = {.events = EPOLLIN, .data.fd = 7}, got;
  OK(epoll_ctl(ep, EPOLL_CTL_ADD, q, &want));
  CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
  pid_t child = OK(fork());
  if (child == 0) {
    sleep_ms(20);
    send_text(q, "here", 0);
    _exit(0);
  }
  CHECK_EQ(epoll_wait(ep, &got, 1, 60000), 1);
  CHECK_EQ(got.events, EPOLLIN);
  CHECK_EQ(poll(&set, 1, 0), 1);
  CHECK_EQ(set.revents, POLLIN);
  CHECK_EXIT(child, 0);
  CHECK_STR(receive_text(q, NULL), "here");
  CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
}

TEST(mq_status_text) {
  mqd_t q = new_queue(5, 64, 0);
  char text[100] = {0};
  CHECK_EQ(read(q, text, 99), 60);
  CHECK_STR(text, "QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n");
  CHECK_EQ(read(q, text, 99), 0);
  send_text(q, "abc", 0);
  send_text(q, "de", 0);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  OK(mq_notify(q, &event));
  CHECK_EQ(pread(q, text, 99, 0), 60);
  char want[100];
  snprintf(want, sizeof want, "QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", 5,
           SIGEV_SIGNAL, SIGUSR1, (int)getpid());
  CHECK_STR(text, want);
  CHECK_EQ(lseek(q, 50, SEEK_SET), 50);
  CHECK_EQ(lseek(q, 0, SEEK_END), 80);
  CHECK_ERR(pwrite(q, "x", 1, 0), EINVAL);
  CHECK_EQ(lseek(q, 50, SEEK_SET), 50);
  CHECK_EQ(read(q, text, 99), 10);
  CHECK_ERR(write(q, "x", 1), EINVAL);
  struct stat st;
  OK(fstat(q, &st));
  CHECK_EQ(st.st_mode, S_IFREG | 0600);
  CHECK_EQ(st.st_size, 80);
  CHECK_EQ(st.st_nlink, 0);
  struct statfs fs;
  OK(fstatfs(q, &fs));
  CHECK_EQ(fs.f_type, 0x19800202);
}

TEST(mq_link_name) {
  mqd_t q = OK(mq_open(name(), O_CREAT | O_RDWR, 0600, NULL));
  char path[64], got[100] = {0}, want[100];
  snprintf(path, sizeof path, "/proc/self/fd/%d", q);
  OK(readlink(path, got, 99));
  CHECK_STR(got, name());
  OK(mq_unlink(name()));
  memset(got, 0, sizeof got);
  OK(readlink(path, got, 99));
  snprintf(want, sizeof want, "%s (deleted)", name());
  CHECK_STR(got, want);
}

static volatile sig_atomic_t told;
static volatile siginfo_t told_info;

static void tell(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  told_info = *info;
  told++;
}

TEST(mq_notify_by_signal) {
  mqd_t q = new_queue(5, 64, 0);
  struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  struct sigevent event = {
      .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value = {.sival_int = 42}};
  OK(mq_notify(q, &event));
  CHECK_ERR(mq_notify(q, &event), EBUSY);
  pid_t child = OK(fork());
  if (child == 0) {
    CHECK_ERR(mq_notify(q, &event), EBUSY);
    OK(mq_notify(q, NULL));  // Not its own: nothing happens.
    send_text(q, "one", 0);
    _exit(0);
  }
  int status;
  while (waitpid(child, &status, 0) < 0) CHECK_EQ(errno, EINTR);
  CHECK_EQ(status, 0);
  for (int i = 0; i < 12000 && !told; i++) sleep_ms(5);
  CHECK_EQ(told, 1);
  CHECK_EQ(told_info.si_code, SI_MESGQ);
  CHECK_EQ(told_info.si_pid, child);
  CHECK_EQ(told_info.si_uid, getuid());
  CHECK_EQ(told_info.si_value.sival_int, 42);
  // Once only, and only for a message in an empty queue.
  send_text(q, "two", 0);
  OK(mq_notify(q, &event));
  send_text(q, "three", 0);
  CHECK_EQ(told, 1);
  while (mq_receive(q, (char[64]){0}, 64, NULL), told == 1) {
    struct mq_attr attr;
    OK(mq_getattr(q, &attr));
    if (attr.mq_curmsgs == 0) break;
  }
  CHECK_EQ(told, 1);
  send_text(q, "four", 0);
  CHECK_EQ(told, 2);
  CHECK_EQ(told_info.si_pid, getpid());
}

TEST(mq_notify_not_where_someone_waits) {
  mqd_t q = new_queue(5, 64, 0);
  struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  OK(mq_notify(q, &event));
  pid_t child = OK(fork());
  if (child == 0) {
    receive_text(q, NULL);
    _exit(0);
  }
  until_asleep(child);
  send_text(q, "for the child", 0);
  CHECK_EXIT(child, 0);
  CHECK_EQ(told, 0);
  CHECK_ERR(mq_notify(q, &event), EBUSY);
}

TEST(mq_notify_ends_with_close) {
  OK(mq_open(name(), O_CREAT | O_RDWR, 0600, NULL));
  mqd_t q = OK(mq_open(name(), O_RDWR)), other = OK(mq_open(name(), O_RDWR));
  struct sigevent event = {.sigev_notify = SIGEV_NONE};
  OK(mq_notify(q, &event));
  CHECK_ERR(mq_notify(other, &event), EBUSY);
  pid_t child = OK(fork());
  if (child == 0) {
    close(q);  // Another process's close is nothing to it.
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  CHECK_ERR(mq_notify(other, &event), EBUSY);
  close(other);
  other = OK(mq_open(name(), O_RDWR));
  OK(mq_notify(other, &event));
  OK(mq_notify(other, NULL));
  child = OK(fork());
  if (child == 0) {
    OK(mq_notify(other, &event));
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  OK(mq_notify(other, &event));
  OK(mq_unlink(name()));
}

TEST(mq_notify_errors) {
  mqd_t q = new_queue(5, 64, 0);
  struct sigevent event = {.sigev_notify = 77};
  CHECK_ERR(syscall(SYS_mq_notify, q, &event), EINVAL);
  event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
  CHECK_ERR(syscall(SYS_mq_notify, q, &event), EINVAL);
  CHECK_ERR(syscall(SYS_mq_notify, q, (void *)8), EFAULT);
  CHECK_ERR(syscall(SYS_mq_notify, 0, NULL), EBADF);
  char cookie[32];
  event = (struct sigevent){
      .sigev_notify = SIGEV_THREAD, .sigev_signo = 0, .sigev_value = {.sival_ptr = cookie}};
  CHECK_ERR(syscall(SYS_mq_notify, q, &event), ENOTSOCK);
  event.sigev_signo = 99;
  CHECK_ERR(syscall(SYS_mq_notify, q, &event), EBADF);
  event.sigev_value.sival_ptr = (void *)8;
  CHECK_ERR(syscall(SYS_mq_notify, q, &event), EFAULT);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int threads_run;

static void run_thread(union sigval value) {
  pthread_mutex_lock(&lock);
  threads_run += value.sival_int;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
}

TEST(mq_notify_by_thread) {
  mqd_t q = new_queue(5, 64, 0);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                           .sigev_notify_function = run_thread,
                           .sigev_value = {.sival_int = 5}};
  OK(mq_notify(q, &event));
  OK(mq_notify(q, NULL));
  OK(mq_notify(q, &event));
  send_text(q, "go", 0);
  pthread_mutex_lock(&lock);
  while (threads_run == 0) pthread_cond_wait(&changed, &lock);
  CHECK_EQ(threads_run, 5);
  pthread_mutex_unlock(&lock);
}

TEST(mq_limit_of_bytes) {
  struct rlimit limit = {1000, 1000};
  OK(setrlimit(RLIMIT_MSGQUEUE, &limit));
  OK(setuid(65433));
  struct mq_attr attr = {.mq_maxmsg = 9, .mq_msgsize = 100};
  CHECK_ERR(mq_open(name(), O_CREAT | O_RDWR, 0600, &attr), EMFILE);
  // A message counts for 48 bytes more, a priority for 48.
  attr.mq_msgsize = 4;
  CHECK_EQ(9 * (4 + 48 + 48), 900);
  mqd_t q = OK(mq_open(name(), O_CREAT | O_RDWR, 0600, &attr));
  attr.mq_maxmsg = 1;
  char second[64];
  snprintf(second, sizeof second, "%s-2", name());
  CHECK_EQ(mq_close(OK(mq_open(second, O_CREAT | O_RDWR, 0600, &attr))), 0);
  OK(mq_unlink(second));
  attr.mq_msgsize = 5;
  CHECK_ERR(mq_open(second, O_CREAT | O_RDWR, 0600, &attr), EMFILE);
  // It counts until nobody has it open.
  OK(mq_unlink(name()));
  CHECK_ERR(mq_open(second, O_CREAT | O_RDWR, 0600, &attr), EMFILE);
  OK(mq_close(q));
  OK(mq_open(second, O_CREAT | O_RDWR, 0600, &attr));
  OK(mq_unlink(second));
}

TEST(mq_permissions) {
  mode_t old = umask(077);
  OK(mq_open(name(), O_CREAT | O_RDWR, 0666, NULL));
  umask(old);
  pid_t child = OK(fork());
  if (child == 0) {
    const char *queue = "";
    char text[64];
    snprintf(text, sizeof text, "/check-%d", (int)getppid());
    queue = text;
    OK(setgroups(0, NULL));
    OK(setgid(65433));
    OK(setuid(65433));
    CHECK_ERR(mq_open(queue, O_RDONLY), EACCES);
    CHECK_ERR(mq_open(queue, O_CREAT | O_WRONLY, 0600, NULL), EACCES);
    CHECK_ERR(syscall(SYS_mq_unlink, queue + 1), EPERM);
    CHECK_ERR(mq_unlink(queue), EACCES);
    _exit(0);
  }
  CHECK_EXIT(child, 0);
  OK(mq_unlink(name()));
}

// In an IPC namespace and, where that can be had, a mount namespace of its own: the directory.
static const char *mounted(void) {
  if (unshare(CLONE_NEWIPC) < 0) SKIP("no rights for an IPC namespace");
  if (unshare(CLONE_NEWNS) == 0) OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  static char dir[PATH_MAX];
  CHECK(getcwd(dir, sizeof dir - 8) != NULL);
  strcat(dir, "/mq");
  OK(mkdir(dir, 0755));
  OK(mount("none", dir, "mqueue", 0, NULL));
  OK(chdir(dir));
  return dir;
}

static void unmounted(const char *dir) {
  OK(chdir("/"));
  OK(umount2(dir, MNT_DETACH));
}

TEST(mqueue_mount_shows_queues) {
  const char *dir = mounted();
  struct stat st;
  OK(stat(".", &st));
  CHECK_EQ(st.st_mode, S_IFDIR | 01777);
  CHECK_EQ(st.st_size, 40);
  CHECK_EQ(st.st_nlink, 2);
  mqd_t q = OK(mq_open("/shown", O_CREAT | O_RDWR, 0640, NULL));
  OK(stat("shown", &st));
  CHECK_EQ(st.st_mode, S_IFREG | 0640);
  CHECK_EQ(st.st_size, 80);
  OK(stat(".", &st));
  CHECK_EQ(st.st_size, 60);
  send_text(q, "12345", 0);
  CHECK_STR(get_file("shown"), "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n");
  // Queues are files the other way round, too.
  int fd = OK(open("shown", O_RDWR | O_NONBLOCK));
  CHECK_STR(receive_text(fd, NULL), "12345");
  CHECK_ERR(mq_receive(fd, (char[8192]){0}, 8192, NULL), EAGAIN);
  OK(close(OK(open("by-hand", O_CREAT | O_WRONLY, 0600))));
  struct mq_attr attr;
  OK(mq_getattr(OK(mq_open("/by-hand", O_RDWR)), &attr));
  CHECK_EQ(attr.mq_maxmsg, 10);
  OK(unlink("shown"));
  CHECK_ERR(mq_open("/shown", O_RDWR), ENOENT);
  OK(mq_unlink("/by-hand"));
  CHECK_ERR(access("by-hand", F_OK), ENOENT);
  unmounted(dir);
}

TEST(mqueue_mount_has_only_queues) {
  const char *dir = mounted();
  OK(mq_open("/q", O_CREAT | O_RDWR, 0600, NULL));
  CHECK_ERR(mkdir("d", 0755), EPERM);
  CHECK_ERR(link("q", "r"), EPERM);
  CHECK_ERR(rename("q", "r"), EPERM);
  CHECK_ERR(symlink("q", "r"), EPERM);
  CHECK_ERR(mknod("r", S_IFIFO | 0600, 0), EPERM);
  OK(chmod("q", 0400));
  OK(chown("q", 5, 6));
  struct stat st;
  OK(stat("q", &st));
  CHECK_EQ(st.st_mode, S_IFREG | 0400);
  CHECK_EQ(st.st_uid, 5);
  OK(truncate("q", 3));
  OK(stat("q", &st));
  CHECK_EQ(st.st_size, 3);
  unmounted(dir);
}

TEST(mqueue_limits_of_the_namespace) {
  const char *dir = mounted();
  CHECK_STR(get_file("/proc/sys/fs/mqueue/queues_max"), "256\n");
  put_file("/proc/sys/fs/mqueue/queues_max", "2");
  put_file("/proc/sys/fs/mqueue/msg_max", "5");
  put_file("/proc/sys/fs/mqueue/msg_default", "4");
  put_file("/proc/sys/fs/mqueue/msgsize_default", "200");
  int fd = OK(open("/proc/sys/fs/mqueue/msg_max", O_WRONLY));
  CHECK_ERR(write(fd, "0", 1), EINVAL);
  CHECK_ERR(write(fd, "65537", 5), EINVAL);
  OK(setuid(65433));
  mqd_t q = OK(mq_open("/a", O_CREAT | O_RDWR, 0600, NULL));
  struct mq_attr attr;
  OK(mq_getattr(q, &attr));
  CHECK_EQ(attr.mq_maxmsg, 4);
  CHECK_EQ(attr.mq_msgsize, 200);
  attr.mq_maxmsg = 6;
  CHECK_ERR(mq_open("/b", O_CREAT | O_RDWR, 0600, &attr), EINVAL);
  attr.mq_maxmsg = 5;
  OK(mq_open("/b", O_CREAT | O_RDWR, 0600, &attr));
  CHECK_ERR(mq_open("/c", O_CREAT | O_RDWR, 0600, &attr), ENOSPC);
  OK(mq_unlink("/b"));
  CHECK_ERR(mq_open("/c", O_CREAT | O_RDWR, 0600, &attr), ENOSPC);
  (void)dir;
}

// SPDX-License-Identifier: Apache-2.0
/* Calls whose traces by strace(1) and by `runts do --strace` are compared: strace.test.ts. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <linux/openat2.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/mman.h>
#include <termios.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void handler(int s) { (void)s; }

/* Structures that only one call or two have. No ids of the kernel's: they are others in each run. */
static void structures(void) {
  struct statx extended;
  statx(AT_FDCWD, "/etc/passwd", AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW, STATX_MODE, NULL);
  statx(AT_FDCWD, "/no/such", 0, STATX_BASIC_STATS | STATX_BTIME, &extended);
  struct open_how how = {.flags = O_WRONLY | O_CREAT, .mode = 0644, .resolve = RESOLVE_NO_XDEV};
  syscall(SYS_openat2, AT_FDCWD, "/no/such", &how, sizeof how);
  static char stack[16384];
  stack_t alternate = {stack, 0, sizeof stack}, old;
  sigaltstack(&alternate, &old);
  sigaltstack(NULL, &old);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  struct itimerspec time = {{1, 2}, {3, 4}};
  int timer;
  syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer);
  syscall(SYS_timer_settime, timer, 0, &time, NULL);
  time.it_value.tv_sec = 0;
  time.it_value.tv_nsec = 0;
  syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &time, NULL);
  syscall(SYS_timer_gettime, timer, &time);
  syscall(SYS_timer_delete, timer);
  unsigned one = 0, two = 0;
  syscall(SYS_futex, &one, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, 1, &two,
          FUTEX_OP(FUTEX_OP_OR, 7, FUTEX_OP_CMP_LE, 0));
  struct sembuf operations[2] = {{0, -1, SEM_UNDO}, {1, 2, IPC_NOWAIT}};
  semget(0x7a11, 1, 0);
  semtimedop(-1, operations, 2, NULL);
  semctl(-1, 1, SETVAL, 7);
  shmget(0x7a11, 4096, 0600);
  shmat(-1, NULL, SHM_RDONLY | SHM_RND);
  shmctl(-1, IPC_RMID, NULL);
  msgget(0x7a11, IPC_EXCL | 0640);
  struct {
    long type;
    char text[8];
  } message = {5, "hello"};
  msgsnd(-1, &message, 6, IPC_NOWAIT);
  msgrcv(-1, &message, 8, 3, MSG_NOERROR);
  msgctl(-1, IPC_RMID, NULL);
  int ends[2];
  socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
  char control[CMSG_SPACE(8)] = {0}, taken[64], bytes[8];
  struct iovec vector = {"ab", 2}, room = {bytes, 8};
  struct msghdr sent = {NULL, 0, &vector, 1, control, sizeof control, 0};
  struct cmsghdr *head = CMSG_FIRSTHDR(&sent);
  *head = (struct cmsghdr){CMSG_LEN(8), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(head), ends, 8);
  sendmsg(ends[0], &sent, 0);
  struct msghdr received = {NULL, 0, &room, 1, taken, sizeof taken, 0};
  recvmsg(ends[1], &received, 0);
  struct mmsghdr many[3] = {{{NULL, 0, &vector, 1}}, {{NULL, 0, &vector, 1}}};
  sendmmsg(ends[0], many, 2, 0);
  for (int index = 0; index < 3; index++) many[index].msg_hdr.msg_iov = &room;
  recvmmsg(ends[1], many, 3, MSG_DONTWAIT, NULL);
  for (int fd = ends[0]; fd < ends[0] + 4; fd++) close(fd);
}

int main(void) {
  char buf[64];
  struct stat st;
  struct rlimit64 rl;
  access("/etc/passwd", R_OK | W_OK);
  access("/etc/no-such-file", F_OK);
  int fd = syscall(SYS_open, "/etc/hostname-of-test", O_RDONLY | O_CLOEXEC);
  fd = openat(AT_FDCWD, "given", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  write(fd, "a \"line\"\n\0001\377 of more than thirty-two bytes", 48);
  lseek(fd, 0, SEEK_SET);
  read(fd, buf, 20);
  read(99, buf, 20);
  pread64(fd, buf, 4, 2);
  fstat(fd, &st);
  syscall(SYS_newfstatat, AT_FDCWD, "/dev/null", &st, 0);
  syscall(SYS_stat, "no-such-file", &st);
  struct iovec iov[2] = {{buf, 3}, {buf + 8, 40}};
  lseek(fd, 0, SEEK_SET);
  readv(fd, iov, 2);
  iov[1].iov_len = 5;
  writev(fd, iov, 2);
  ftruncate(fd, 10);
  fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_GETFD);
  int d2 = fcntl(fd, F_DUPFD_CLOEXEC, 20);
  close(d2);
  dup2(fd, 30);
  close(30);
  syscall(SYS_mkdir, "made", 0755);
  int dir = openat(AT_FDCWD, "made", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_DIRECTORY);
  char *big = malloc(32768);
  syscall(SYS_getdents64, dir, big, 32768);
  syscall(SYS_getdents64, dir, big, 32768);
  close(dir);
  syscall(SYS_rmdir, "made");
  syscall(SYS_symlink, "target", "link");
  syscall(SYS_readlink, "link", buf, 64);
  syscall(SYS_unlink, "link");
  unlinkat(AT_FDCWD, "given", 0);
  unlinkat(AT_FDCWD, "given", AT_REMOVEDIR);
  syscall(SYS_umask, 027);
  close(fd);
  int p[2];
  syscall(SYS_pipe, p);
  close(p[0]);
  close(p[1]);
  pipe2(p, O_CLOEXEC);
  struct pollfd pf[2] = {{p[0], POLLIN, 0}, {p[1], POLLOUT | POLLERR, 0}};
  syscall(SYS_poll, pf, 2, 10);
  syscall(SYS_poll, pf, 1, 0);
  int ep = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = 7};
  epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev);
  write(p[1], "x", 1);
  struct epoll_event evs[4];
  syscall(SYS_epoll_wait, ep, evs, 4, 100);
  syscall(SYS_epoll_wait, ep, evs, 4, 0);
  int sv[2];
  socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv);
  sendto(sv[0], "hello", 5, MSG_NOSIGNAL, NULL, 0);
  recvfrom(sv[1], buf, 64, MSG_DONTWAIT, NULL, NULL);
  struct iovec mi = {"abc", 3};
  struct msghdr mh = {.msg_iov = &mi, .msg_iovlen = 1};
  sendmsg(sv[0], &mh, 0);
  struct iovec ri = {buf, 10};
  struct msghdr rh = {.msg_iov = &ri, .msg_iovlen = 1};
  recvmsg(sv[1], &rh, 0);
  int ls = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  int one = 1;
  setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(0)};
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  bind(ls, (void *)&a, sizeof a);
  listen(ls, 5);
  socklen_t al = sizeof(struct sockaddr_storage);
  struct sockaddr_storage ss;
  memset(&ss, 0, sizeof ss);
  getsockname(ls, (void *)&ss, &al);
  struct sockaddr_un u = {.sun_family = AF_UNIX, .sun_path = "sock-of-test"};
  int us = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  bind(us, (void *)&u, sizeof u);
  connect(us, (void *)&u, sizeof u);
  unlink("sock-of-test");
  struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
  sigemptyset(&sa.sa_mask);
  sigaddset(&sa.sa_mask, SIGINT);
  sigaddset(&sa.sa_mask, SIGUSR2);
  sigaction(SIGUSR1, &sa, &old);
  sigaction(SIGUSR1, NULL, &old);
  sigset_t set, before;
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, &before);
  sigprocmask(SIG_SETMASK, &before, NULL);
  kill(getpid(), SIGUSR1);
  syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &rl);
  rl.rlim_cur = 0;
  rl.rlim_max = 4096 * 1024;
  syscall(SYS_setrlimit, RLIMIT_CORE, &rl);
  struct timespec ts = {0, 1000000};
  syscall(SYS_nanosleep, &ts, NULL);
  syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL);
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
  struct utsname un;
  uname(&un);
  struct statfs sf;
  statfs("/proc", &sf);
  struct rusage ru;
  getrusage(RUSAGE_SELF, &ru);
  struct timespec past = {0, 0};
  syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL);
  struct itimerval it = {{0, 0}, {100, 5}}, was;
  setitimer(ITIMER_REAL, &it, &was);
  it.it_value.tv_sec = it.it_value.tv_usec = 0;
  setitimer(ITIMER_REAL, &it, NULL);
  struct winsize ws;
  ioctl(p[0], TIOCGWINSZ, &ws);
  int type;
  socklen_t tl = sizeof type;
  getsockopt(ls, SOL_SOCKET, SO_TYPE, &type, &tl);
  shutdown(sv[0], SHUT_WR);
  struct termios tio;
  ioctl(p[0], TCGETS, &tio);
  int n;
  ioctl(p[0], FIONREAD, &n);
  void *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(m, 4096, PROT_READ | PROT_EXEC);
  madvise(m, 4096, MADV_DONTNEED);
  munmap(m, 8192);
  getcwd(buf, 64);
  getuid();
  getpid();
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(p[1], &readable);
  struct timeval tv = {0, 1000};
  syscall(SYS_select, p[1] + 1, &readable, NULL, NULL, &tv);
  int word = 5;
  syscall(SYS_futex, &word, 1 | 128, 1, NULL, NULL, 0);
  syscall(SYS_futex, &word, 0, 4, NULL, NULL, 0);
  struct timespec soon = {0, 1000};
  syscall(SYS_futex, &word, 9 | 128, 5, &past, NULL, -1);
  siginfo_t info;
  sigset_t waited;
  sigemptyset(&waited);
  sigaddset(&waited, SIGUSR2);
  sigprocmask(SIG_BLOCK, &waited, NULL);
  syscall(SYS_rt_sigtimedwait, &waited, &info, &soon, 8);
  kill(getpid(), SIGUSR2);
  syscall(SYS_rt_sigtimedwait, &waited, &info, &soon, 8);
  structures();
  fflush(NULL);
  int pid = syscall(SYS_fork);
  if (pid == 0) _exit(3);
  int status;
  wait4(pid, &status, 0, NULL);
  pid = syscall(SYS_fork);
  if (pid == 0) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  wait4(-1, &status, 0, &ru);
  wait4(-1, &status, WNOHANG, NULL);
  pid = syscall(SYS_fork);
  if (pid == 0) _exit(4);
  syscall(SYS_waitid, P_PID, pid, &info, WEXITED, NULL);
  char *const argv[] = {"false", "x", NULL};
  char *const envp[] = {"A=1", NULL};
  execve("/no/such/program", argv, envp);
  raise(SIGTERM);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Guests that take all there is: processes, threads, descriptors, mappings, files, pipes, memory.
// Run with --pids and --memory. Others must go on.
#include <dirent.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "hostile.h"

static void bomb(int unused) {
  (void)unused;
  for (;;) fork();
}

// The bomb's processes share a group: one kill ends them all.
TEST(fork_bomb) {
  run_attack(bomb, 0, 1500);
  sleep_ms(300);
  check_well();
}

static void *sleeper(void *unused) {
  pause();
  return unused;
}

static void threads(int unused) {
  (void)unused;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  for (;;) {
    pthread_t thread;
    pthread_create(&thread, &attributes, sleeper, NULL);
  }
}

TEST(thread_bomb) {
  run_attack(threads, 0, 1500);
  check_well();
}

static void descriptors(int kind) {
  struct rlimit limit = {1 << 20, 1 << 20};
  setrlimit(RLIMIT_NOFILE, &limit);
  long long end = now_ns() + 1000000000LL;
  while (now_ns() < end) {
    int fds[2], fd = 0;
    switch (kind) {
      case 0:
        fd = open("/etc/passwd", O_RDONLY);
        break;
      case 1:
        fd = pipe(fds);
        break;
      case 2:
        fd = socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
        break;
      case 3:
        fd = memfd_create("x", 0);
        if (fd > 0 && ftruncate(fd, 1 << 20) == 0) {
          char *at = mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0);
          if (at != MAP_FAILED) *at = 1;
        }
        break;
      case 4:
        fd = epoll_create1(0);
        break;
      case 5:
        fd = timerfd_create(CLOCK_MONOTONIC, 0);
        break;
      case 6:
        fd = inotify_init();
        if (fd > 0) inotify_add_watch(fd, "/tmp", IN_ALL_EVENTS);
        break;
      case 7:
        fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
        break;
      case 8:
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd > 0) listen(fd, 100000);
        break;
    }
    if (fd < 0) break;
  }
}

TEST(descriptors_of_all_kinds) {
  for (int kind = 0; kind < 9; kind++) {
    run_attack(descriptors, kind, 3000);
    check_well();
  }
}

static void mappings(int mode) {
  long long end = now_ns() + 800000000LL;
  int fd = open("/etc/passwd", O_RDONLY);
  char *range =
      mmap(NULL, 1UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  for (size_t i = 0; now_ns() < end; i++) {
    if (mode == 0) {
      mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    } else if (mode == 1) {
      mprotect(range + 8192 * (i % 131072), 4096, PROT_NONE);
    } else {
      mmap(NULL, 4096, PROT_READ, i % 2 ? MAP_PRIVATE : MAP_SHARED, fd, 0);
    }
  }
}

TEST(mappings_without_end) {
  for (int mode = 0; mode < 3; mode++) run_attack(mappings, mode, 3000);
  check_well();
}

TEST(huge_arguments) {
  enum { COUNT = 300000 };
  static char *argv[COUNT + 1];
  for (int i = 0; i < COUNT; i++) argv[i] = "0123456789";
  CHECK_ERR(execv("/bin/true", argv), E2BIG);
  char *big = malloc(8 << 20);
  memset(big, 'a', (8 << 20) - 1);
  char *two[] = {big, NULL};
  CHECK_ERR(execv("/bin/true", two), E2BIG);
  char *none[] = {NULL};
  CHECK_ERR(execve("/bin/true", none, two), E2BIG);
  // An array that never ends, and one that ends at a hole.
  char **hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(hole + 512, 4096);
  for (int i = 0; i < 512; i++) hole[i] = "x";
  CHECK_ERR(execv("/bin/true", hole), EFAULT);
  hole[3] = (char *)1;
  CHECK_ERR(execv("/bin/true", hole), EFAULT);
  CHECK_ERR(execv(big, none), ENAMETOOLONG);
}

TEST(deep_directories) {
  int depth = 0;
  for (; depth < 3000; depth++) {
    OK(mkdir("d", 0755));
    OK(chdir("d"));
  }
  char path[8192];
  CHECK(syscall(SYS_getcwd, path, sizeof path) < 0);  // longer than PATH_MAX
  struct stat st;
  OK(stat("..", &st));
  OK(stat("../../../../../../../..", &st));
  CHECK_ERR(rename("..", "e"), EBUSY);
  for (; depth > 0; depth--) {
    OK(chdir(".."));
    OK(rmdir("d"));
  }
}

// Thousands of mounts, each on the last: nothing in the kernel may recurse as deep.
TEST(mounts_on_mounts) {
  char at[64], copy[64];
  snprintf(at, sizeof at, "/tmp/stack-%d", getpid());
  snprintf(copy, sizeof copy, "/tmp/stack-copy-%d", getpid());
  OK(mkdir(at, 0700));
  OK(mkdir(copy, 0700));
  int depth = 0;
  while (depth < 6000 && mount("none", at, "tmpfs", 0, "size=4096") == 0) depth += 1;
  CHECK(depth > 1000);
  OK(mount("/tmp", copy, NULL, MS_BIND | MS_REC, NULL));
  OK(umount2(copy, MNT_DETACH));
  for (int index = 0; index < depth; index += 1) OK(umount2(at, 0));
  OK(rmdir(at));
  OK(rmdir(copy));
  check_well();
}

TEST(many_files) {
  for (int i = 0; i < 30000; i++) {
    char name[32];
    snprintf(name, sizeof name, "f%d", i);
    OK(mknod(name, S_IFREG | 0644, 0));
  }
  DIR *dir = opendir(".");
  int count = 0;
  while (readdir(dir) != NULL) count++;
  CHECK_EQ(count, 30002);
  closedir(dir);
  for (int i = 0; i < 30000; i++) {
    char name[32];
    snprintf(name, sizeof name, "f%d", i);
    OK(unlink(name));
  }
}

TEST(link_loops) {
  OK(symlink("loop", "loop"));
  CHECK_ERR(open("loop", O_RDONLY), ELOOP);
  OK(symlink("b", "a"));
  OK(symlink("a", "b"));
  CHECK_ERR(mkdir("a/x", 0755), ELOOP);
  char name[16], target[16];
  for (int i = 0; i < 60; i++) {
    snprintf(name, sizeof name, "l%d", i);
    snprintf(target, sizeof target, "l%d", i + 1);
    OK(symlink(target, name));
  }
  put_file("l60", "end");
  CHECK_ERR(open("l0", O_RDONLY), ELOOP);
  OK(open("l25", O_RDONLY));
  // Each link twice the next: 2^40 steps if nobody counted.
  OK(symlink(".", "e0"));
  for (int i = 1; i < 40; i++) {
    snprintf(name, sizeof name, "e%d", i);
    snprintf(target, sizeof target, "e%d/e%d", i - 1, i - 1);
    OK(symlink(target, name));
  }
  CHECK_ERR(open("e39", O_RDONLY), ELOOP);
  char longest[5000];
  memset(longest, 'x', sizeof longest);
  longest[4999] = 0;
  CHECK_ERR(symlink(longest, "long"), ENAMETOOLONG);
}

TEST(huge_sparse_files) {
  int fd = OK(open("sparse", O_RDWR | O_CREAT, 0644));
  struct rlimit limit;
  OK(getrlimit(RLIMIT_FSIZE, &limit));
  off_t sizes[] = {1L << 31, 1L << 40, (1L << 43) - 4096, 1L << 50, 0x7fffffffffffffff, -1};
  for (int i = 0; i < 6; i++) {
    if (ftruncate(fd, sizes[i]) == 0) {
      char text[8];
      CHECK(pread(fd, text, 8, sizes[i] - 8) == 8 || sizes[i] > 1L << 43);
      pwrite(fd, "end", 3, sizes[i] - 3);
      char *at =
          mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (sizes[i] - 4096) & ~4095L);
      if (at != MAP_FAILED) munmap(at, 4096);
    }
    pwrite(fd, "x", 1, sizes[i]);
    lseek(fd, sizes[i], SEEK_DATA);
    lseek(fd, 0, SEEK_HOLE);
    fallocate(fd, 0, sizes[i], 4096);
    fallocate(fd, 3, 0, sizes[i]);
  }
  check_well();
}

static void pipes(int unused) {
  (void)unused;
  static char data[1 << 20];
  for (int i = 0; i < 400; i++) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) < 0) break;
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 30);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    while (write(ends[1], data, sizeof data) > 0) {
    }
  }
}

static void sockets(int unused) {
  (void)unused;
  static char data[1 << 20];
  for (int i = 0; i < 400; i++) {
    int ends[2], size = 0x7fffffff;
    if (socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_DGRAM, 0, ends) < 0) break;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(ends[0], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    int count = 0;
    while (send(ends[0], data, sizeof data / (i % 2 ? 1 : 64), MSG_DONTWAIT) > 0 &&
           count++ < 1000) {
    }
  }
}

TEST(full_pipes_and_sockets) {
  run_attack(pipes, 0, 4000);
  check_well();
  run_attack(sockets, 0, 4000);
  check_well();
}

// Sockets within sockets within sockets, then all let go.
TEST(descriptors_in_flight) {
  int last = OK(open("/dev/null", O_RDWR));
  for (int i = 0; i < 3000; i++) {
    int ends[2];
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    char byte = 0;
    union {
      char bytes[CMSG_SPACE(2 * sizeof(int))];
      struct cmsghdr align;
    } control = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(2 * sizeof(int));
    int both[2] = {last, ends[1]};
    memcpy(CMSG_DATA(head), both, sizeof both);
    if (sendmsg(ends[0], &message, MSG_DONTWAIT) < 0) {
      close(ends[0]);
      close(ends[1]);
      break;
    }
    close(last);
    close(ends[0]);
    last = ends[1];
  }
  close(last);
  check_well();
}

static void memory(int mode) {
  for (;;) {
    size_t bytes = 64 << 20;
    char *at = MAP_FAILED;
    if (mode == 0) {
      at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    } else if (mode == 1) {
      at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    } else {
      int fd = memfd_create("m", 0);
      if (fd < 0 || ftruncate(fd, bytes) < 0) _exit(1);
      at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      close(fd);
    }
    if (at == MAP_FAILED) _exit(1);
    for (size_t i = 0; i < bytes; i += 4096) at[i] = 1;
  }
}

TEST(memory_past_the_limit) {
  for (int mode = 0; mode < 3; mode++) {
    run_attack(memory, mode, 4000);
    check_well();
  }
}

static void files(int unused) {
  (void)unused;
  static char data[1 << 20];
  int fd = open("fat", O_WRONLY | O_CREAT, 0644);
  while (write(fd, data, sizeof data) > 0) {
  }
}

TEST(files_past_the_limit) {
  run_attack(files, 0, 4000);
  unlink("fat");
  check_well();
}

static void timers(int unused) {
  (void)unused;
  for (int i = 0; i < 100000; i++) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) break;
    struct itimerspec soon = {{0, 1}, {0, 1}};
    timer_settime(timer, 0, &soon, NULL);
  }
  int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  struct itimerspec fast = {{0, 1}, {0, 1}};
  timerfd_settime(fd, 0, &fast, NULL);
  for (;;) pause();
}

static void ipc_objects(int kind) {
  struct {
    long type;
    char text[8192];
  } message = {1, "x"};
  static unsigned short values[32000];
  struct sembuf op = {0, 1, SEM_UNDO};
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MSGQUEUE, &limit);
  char name[32];
  for (long i = 0; i < 1 << 30; i++) {
    int id;
    switch (kind) {
      case 0:  // Empty messages in queues that hold as many as they like.
      case 1:
        id = msgget(IPC_PRIVATE, 0600);
        struct msqid_ds queue;
        msgctl(id, IPC_STAT, &queue);
        queue.msg_qbytes = -1;
        msgctl(id, IPC_SET, &queue);
        while (msgsnd(id, &message, kind == 0 ? 0 : 8192, IPC_NOWAIT) == 0) {
        }
        break;
      case 2:
        id = semget(IPC_PRIVATE, 32000, 0600);
        semctl(id, 0, SETALL, values);
        semop(id, &op, 1);
        break;
      case 3:
        sprintf(name, "/%ld", i);
        struct mq_attr attr = {.mq_maxmsg = 65536, .mq_msgsize = 1 << 20};
        int fd = mq_open(name, O_CREAT | O_RDWR | O_NONBLOCK, 0600, i % 2 ? &attr : NULL);
        while (mq_send(fd, message.text, 8192, i % 32768) == 0) {
        }
        break;
      case 4:  // Namespaces that end full.
        unshare(CLONE_NEWIPC);
        mq_open("/x", O_CREAT | O_RDWR, 0600, NULL);
        shmctl(shmget(IPC_PRIVATE, 1 << 20, 0600), IPC_STAT, NULL);
        id = semget(IPC_PRIVATE, 32000, 0600);
        semop(id, &op, 1);
        id = msgget(IPC_PRIVATE, 0600);
        msgsnd(id, &message, 8192, IPC_NOWAIT);
        break;
    }
  }
}

// What one takes is back when its namespace ends: the next can have as much.
TEST(ipc_objects_without_end) {
  for (int kind = 0; kind < 5; kind++) {
    pid_t pid = OK(fork());
    if (pid == 0) {
      if (unshare(CLONE_NEWIPC) < 0) _exit(1);
      run_attack(ipc_objects, kind, 600);
      _exit(0);
    }
    CHECK_EXIT(pid, 0);
    struct {
      long type;
      char text[8192];
    } message = {1, "x"};
    int id = OK(msgget(IPC_PRIVATE, 0600));
    OK(msgsnd(id, &message, 8192, IPC_NOWAIT));
    CHECK_EQ(msgrcv(id, &message, 8192, 0, IPC_NOWAIT), 8192);
    OK(msgctl(id, IPC_RMID, NULL));
    check_well();
  }
}

// Many wait for one semaphore, and are all looked at whenever it changes.
static void semaphore_herd(int id) {
  struct sembuf wait[500], go = {1, 1, 0};
  for (int i = 0; i < 499; i++) wait[i] = (struct sembuf){1, 0, 0};
  wait[499] = (struct sembuf){0, -1, 0};
  for (int i = 0; i < 100; i++) {
    if (fork() == 0) {
      semop(id, wait, 500);
      _exit(0);
    }
  }
  for (;;) {
    semop(id, &go, 1);
    go.sem_op = -go.sem_op;
  }
}

TEST(semaphore_herds) {
  int id = OK(semget(IPC_PRIVATE, 2, 0600));
  run_attack(semaphore_herd, id, 800);
  OK(semctl(id, 0, IPC_RMID));
  check_well();
}

TEST(timers_without_end) {
  run_attack(timers, 0, 1500);
  check_well();
}

// epoll in epoll in epoll, and itself.
TEST(epoll_cycles) {
  int first = OK(epoll_create1(0)), last = first;
  struct epoll_event event = {.events = EPOLLIN};
  CHECK_ERR(epoll_ctl(first, EPOLL_CTL_ADD, first, &event), EINVAL);
  for (int i = 0; i < 100; i++) {
    int next = OK(epoll_create1(0));
    if (epoll_ctl(next, EPOLL_CTL_ADD, last, &event) < 0) break;
    last = next;
  }
  CHECK(epoll_ctl(first, EPOLL_CTL_ADD, last, &event) < 0);
  epoll_wait(last, &event, 1, 0);
  // Many of many: each wake-up must not walk all paths.
  int layers[4][20];
  int bell = OK(eventfd(0, 0));
  for (int k = 0; k < 4; k++) {
    for (int i = 0; i < 20; i++) {
      layers[k][i] = OK(epoll_create1(0));
      if (k == 0) epoll_ctl(layers[k][i], EPOLL_CTL_ADD, bell, &event);
      for (int j = 0; k > 0 && j < 20; j++) {
        epoll_ctl(layers[k][i], EPOLL_CTL_ADD, layers[k - 1][j], &event);
      }
    }
  }
  uint64_t one = 1;
  CHECK_EQ(write(bell, &one, 8), 8);
  epoll_wait(layers[3][0], &event, 1, 100);
  check_well();
}

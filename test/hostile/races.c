// SPDX-License-Identifier: Apache-2.0
// Double fetches and races: arguments that change while the kernel reads them; exec, exit, fork and
// unmap against other threads; futexes, robust lists and clear_child_tid on bad memory.
#include <linux/futex.h>
#include <linux/rseq.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/un.h>

#include "hostile.h"

static volatile int stop;

// ---- arguments that change ----

struct shared {
  char path[64];
  struct iovec parts[16];
  union {
    struct sockaddr_un un;
    struct sockaddr_in in;
    char bytes[256];
  } address;
  struct msghdr message;
  char control[256];
  struct pollfd polls[32];
  char *argv[16];
  uint64_t clone_args[16];
};
static struct shared *shared;
static char buffer[65536];

static void *flip(void *unused) {
  seed_random(7);
  static const char *const paths[] = {
      "/etc/passwd", "../../../../etc", "name", "", "/proc/self/mem",
      "/dev/null",   "/tmp/x/y/z/../.", "."};
  while (!stop) {
    strcpy(shared->path, paths[random_below(8)]);
    if (random_below(8) == 0) memset(shared->path, 'p', sizeof shared->path);  // runs into iovecs
    for (int i = 0; i < 16; i++) {
      uint64_t kind = random_below(6);
      shared->parts[i].iov_base = kind == 0   ? NULL
                                  : kind == 1 ? (void *)0x7f0000000000
                                              : buffer + random_below(60000);
      shared->parts[i].iov_len = kind == 2   ? ~0UL
                                 : kind == 3 ? 0x7fffffffffffffff
                                             : random_below(8192);
      shared->argv[i] = kind == 4 ? NULL : kind == 5 ? (char *)1 : "argument";
      shared->clone_args[i] = kind < 3 ? 0 : random64();
    }
    for (int i = 0; i < 32; i++) {
      shared->polls[i].fd = (int)random_below(20) - 2;
      shared->polls[i].events = (short)random64();
    }
    for (int i = 0; i < 24; i++) shared->address.bytes[random_below(256)] = (char)random64();
    shared->address.un.sun_family = random_below(2) ? AF_UNIX : AF_INET;
    struct msghdr message = {&shared->address,
                             (socklen_t)random_below(300),
                             shared->parts,
                             random_below(20),
                             shared->control,
                             random_below(300),
                             0};
    if (random_below(8) == 0) message.msg_iovlen = random64();
    if (random_below(8) == 0) message.msg_controllen = random64();
    shared->message = message;
    uint64_t *words = (uint64_t *)shared->control;
    words[0] = random_below(8) ? random_below(64) : random64();
    words[1] = random_below(4) ? SOL_SOCKET | 1UL << 32 : random64();
    for (int i = 2; i < 32; i++) words[i] = random_below(20);
  }
  return unused;
}

static void double_fetch(int seed) {
  shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_t thread;
  OK(pthread_create(&thread, NULL, flip, NULL));
  seed_random(seed);
  signal(SIGPIPE, SIG_IGN);
  int ends[2], pair[2];
  OK(pipe2(ends, O_NONBLOCK));
  OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
  int net = OK(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  int file = OK(open("raced", O_RDWR | O_CREAT, 0644));
  for (;;) {
    uint64_t count = random_below(17);
    switch (random_below(18)) {
      case 0:
        close(open(shared->path, O_RDONLY | O_NONBLOCK));
        break;
      case 1:
        readv(file, shared->parts, count);
        break;
      case 2:
        writev(ends[1], shared->parts, count);
        break;
      case 3:
        readv(ends[0], shared->parts, count);
        break;
      case 4:
        sendmsg(pair[0], &shared->message, MSG_DONTWAIT);
        break;
      case 5:
        recvmsg(pair[1], &shared->message, MSG_DONTWAIT);
        break;
      case 6:
        sendmsg(net, &shared->message, MSG_DONTWAIT);
        break;
      case 7: {
        int fd = socket(random_below(2) ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        bind(fd, (void *)&shared->address, random_below(130));
        connect(fd, (void *)&shared->address, random_below(130));
        close(fd);
        break;
      }
      case 8:
        poll(shared->polls, random_below(33), 0);
        break;
      case 9: {
        struct stat st;
        stat(shared->path, &st);
        break;
      }
      case 10:
        pwritev(file, shared->parts, count, random_below(10000));
        break;
      case 11:
        process_vm_readv(getpid(), shared->parts, count, shared->parts, count, 0);
        break;
      case 12:
        process_vm_writev(getpid(), shared->parts, count, shared->parts, count, 0);
        break;
      case 13:
        rename(shared->path, "renamed");
        break;
      case 14: {
        pid_t pid = (pid_t)syscall(SYS_vfork);
        if (pid == 0) {
          execve(shared->path, shared->argv, shared->argv);
          _exit(0);
        }
        if (pid > 0) waitpid(pid, NULL, 0);
        break;
      }
      case 15:
        vmsplice(ends[1], shared->parts, count, SPLICE_F_NONBLOCK);
        break;
      case 16:
        syscall(SYS_sendmmsg, pair[0], &shared->message, 2, MSG_DONTWAIT);
        syscall(SYS_recvmmsg, pair[1], &shared->message, 2, MSG_DONTWAIT, &shared->parts);
        break;
      case 17:
        symlink(shared->path, "link");
        unlink("link");
        break;
    }
  }
}

TEST(arguments_that_change) {
  for (int seed = 1; seed <= 4; seed++) run_attack(double_fetch, seed, 700);
  check_well();
}

// ---- threads against exec, exit and fork ----

static void *exec_thread(void *unused) {
  execl("/bin/true", "true", NULL);
  return unused;
}
static void *exit_thread(void *unused) {
  syscall(SYS_exit_group, 3);
  return unused;
}
static void *fork_thread(void *unused) {
  for (;;) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
  }
  return unused;
}
static void *spin_thread(void *unused) {
  for (;;) getppid();
  return unused;
}
static void *wait_nothing(void *unused) { return unused; }
static void *clone_thread(void *unused) {
  for (;;) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_nothing, NULL) == 0) pthread_detach(thread);
  }
  return unused;
}
static void *unmap_thread(void *unused) {
  sleep_ms(3);
  munmap((void *)4096, 0x7effffffe000);
  return unused;
}
static void *kill_thread(void *unused) {
  sleep_ms(2);
  kill(getpid(), SIGKILL);
  return unused;
}
static void *stop_thread(void *unused) {
  for (;;) {
    kill(getpid(), SIGSTOP);
    sched_yield();
  }
  return unused;
}

static void *(*const players[])(void *) = {exec_thread,  exit_thread,  fork_thread, spin_thread,
                                           clone_thread, unmap_thread, kill_thread, stop_thread};

static void game(int seed) {
  seed_random(seed);
  pthread_t thread;
  for (int i = 0; i < 5; i++) pthread_create(&thread, NULL, players[random_below(8)], NULL);
  if (seed % 3 == 0) syscall(SYS_exit, 0);  // the leader goes first
  if (seed % 3 == 1) execl("/bin/true", "true", NULL);
  for (;;) pause();
}

TEST(threads_against_exec_exit_and_unmap) {
  for (int seed = 0; seed < 40; seed++) run_attack(game, seed, 80);
  check_well();
}

static void *exec_self(void *unused) {
  char *argv[] = {check_self, "@exec_again", NULL};
  execv(check_self, argv);
  return unused;
}
HELPER(exec_again) {
  pthread_t thread;
  for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, exec_self, NULL);
  for (;;) sched_yield();
  return 0;
}
static void exec_forever(int unused) {
  (void)unused;
  exec_self(NULL);
}

TEST(exec_from_many_threads_over_and_over) {
  run_attack(exec_forever, 0, 1200);
  check_well();
}

static void unmap_all(int mode) {
  pthread_t thread;
  if (mode & 1) pthread_create(&thread, NULL, fork_thread, NULL);
  if (mode & 2) pthread_create(&thread, NULL, spin_thread, NULL);
  sleep_ms(5);
  if (mode & 4) munmap(NULL, 0x7f0000000000);
  syscall(SYS_munmap, 0, 0x7ffffffff000);
  syscall(SYS_mprotect, 0x1000, 0x7effffffe000, 0);
  munmap((void *)0x1000, 0x7effffffe000);
}

TEST(unmapping_everything) {
  for (int mode = 0; mode < 8; mode++) run_attack(unmap_all, mode, 500);
  check_well();
}

static void exit_together(int unused) {
  (void)unused;
  pthread_t thread;
  for (int i = 0; i < 8; i++)
    pthread_create(&thread, NULL, i % 2 ? exit_thread : kill_thread, NULL);
  pthread_exit(NULL);
}

TEST(exit_races) {
  for (int i = 0; i < 20; i++) run_attack(exit_together, 0, 500);
  check_well();
}

// ---- futexes ----

static const uintptr_t bad_places[] = {0,
                                       1,
                                       3,
                                       0x1001,
                                       0x7effffffefff,
                                       0x7f0000000000,
                                       0x8000000000000000,
                                       ~0UL,
                                       ~3UL,
                                       0xffffffff80000000};

TEST(futexes_on_bad_addresses) {
  struct timespec soon = {0, 1000000};
  uint32_t good = 0;
  for (int i = 0; i < 10; i++) {
    for (int operation = 0; operation < 16; operation++) {
      for (int flag = 0; flag < 512; flag += 128) {
        syscall(SYS_futex, bad_places[i], operation | flag, 0, &soon, &good, 0);
        syscall(SYS_futex, &good, operation | flag, 0, &soon, bad_places[i], 0);
        if (operation != 6)
          syscall(SYS_futex, &good, operation | flag, 1, bad_places[i], &good, ~0U);
      }
    }
  }
  check_well();
}

// Requeues in circles while others wait.
static uint32_t words[4];
static void *wait_on(void *word) {
  struct timespec soon = {0, 2000000};
  while (!stop) syscall(SYS_futex, word, FUTEX_WAIT, 0, &soon, NULL, 0);
  return NULL;
}
static void requeue(int unused) {
  (void)unused;
  pthread_t thread;
  for (int i = 0; i < 8; i++) pthread_create(&thread, NULL, wait_on, &words[i % 4]);
  for (;;) {
    syscall(SYS_futex, &words[random_below(4)], FUTEX_REQUEUE, random_below(3),
            random_below(2) ? ~0UL : 5, &words[random_below(4)], 0);
    syscall(SYS_futex, &words[random_below(4)], FUTEX_CMP_REQUEUE, 1, 0x7fffffff,
            &words[random_below(4)], 0);
    syscall(SYS_futex, &words[random_below(4)], FUTEX_WAKE_OP, 1, 1, &words[random_below(4)],
            (uint32_t)random64());
  }
}

TEST(requeues_in_circles) {
  run_attack(requeue, 0, 700);
  check_well();
}

struct robust {
  struct robust *next;
  long offset;
  struct robust *pending;
};

static void robust_end(int mode) {
  static struct robust head, nodes[64];
  static const long offsets[] = {0, 1, -1, 0x7fffffffffffffff, 1L << 63, 0x10000, -8, 3};
  for (int i = 0; i < 64; i++) nodes[i].next = &nodes[(i + 1) % 64];  // never the head again
  head.next = mode % 4 == 0 ? &head : mode % 4 == 1 ? nodes : (void *)bad_places[mode % 10];
  head.offset = offsets[mode % 8];
  head.pending = mode % 2 ? (void *)bad_places[(mode / 2) % 10] : nodes;
  syscall(SYS_set_robust_list, mode % 5 ? &head : (void *)bad_places[mode % 10], sizeof head);
  syscall(SYS_set_tid_address, bad_places[mode % 10]);
  if (mode % 3 == 0) kill(getpid(), SIGKILL);
}

TEST(robust_lists_that_never_end) {
  for (int mode = 0; mode < 40; mode++) {
    CHECK(run_attack(robust_end, mode, 2000) == 0 || mode % 3 == 0);
  }
  check_well();
}

static void rseq(int mode) {
  static struct rseq area __attribute__((aligned(32)));
  static struct rseq_cs section __attribute__((aligned(32)));
  syscall(SYS_rseq, bad_places[mode % 10], 32, 0, 0x53053053);
  if (syscall(SYS_rseq, &area, 32, 0, 0x53053053) == 0) {
    section.start_ip = 0;
    section.post_commit_offset = ~0UL;
    section.abort_ip = bad_places[mode % 10];
    area.rseq_cs = mode % 2 ? (uint64_t)&section : bad_places[mode % 10];
  }
  for (int i = 0; i < 100; i++) sched_yield();
}

TEST(restartable_sequences_of_garbage) {
  for (int mode = 0; mode < 20; mode++) run_attack(rseq, mode, 1000);
  check_well();
}

static void odd_clone(int mode) {
  static char stack[16384];
  uintptr_t place = bad_places[mode % 10];
  unsigned long flags[] = {CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_PARENT_SETTID |
                               CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_SETTLS,
                           CLONE_VM | CLONE_VFORK | SIGCHLD,
                           CLONE_FILES | CLONE_FS | SIGCHLD,
                           CLONE_PARENT | SIGCHLD,
                           CLONE_NEWUSER | SIGCHLD,
                           0xffffffff,
                           200};
  syscall(SYS_clone, flags[mode % 7], mode % 2 ? stack + 8192 : (char *)place, place, place, place);
}

TEST(clones_with_bad_pointers) {
  for (int mode = 0; mode < 70; mode++) run_attack(odd_clone, mode, 300);
  check_well();
}

// A vfork parent whose child never lets go is killable; so is one whose child stops.
static void vfork_sleep(int unused) {
  (void)unused;
  if (syscall(SYS_vfork) == 0) {
    for (;;) pause();
  }
}

TEST(vfork_parents_can_be_killed) {
  run_attack(vfork_sleep, 0, 200);
  check_well();
}

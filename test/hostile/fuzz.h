/* SPDX-License-Identifier: Apache-2.0 */
// All system call numbers with arguments that mean something at the wrong place: boundaries, pointers to
// garbage, real descriptors, paths. The sequence of a process hangs on its seed only.
#ifndef TEST_HOSTILE_FUZZ_H_
#define TEST_HOSTILE_FUZZ_H_

#include <grp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "hostile.h"

static unsigned char *pages;

static uint64_t argument(void) {
  static const uint64_t boundary[] = {0,
                                      1,
                                      2,
                                      3,
                                      7,
                                      8,
                                      63,
                                      64,
                                      255,
                                      4095,
                                      4096,
                                      4097,
                                      65536,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x100000000,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      ~0UL,
                                      ~0UL - 1,
                                      ~0UL - 4095,
                                      -100,
                                      0x7ffffffff000,
                                      0x7effffffffff,
                                      0x7f0000000000,
                                      0xffffffffff600000,
                                      0x8000000000000};
  static const char *paths[] = {
      "/",          "/tmp",          ".",     "..",        "",
      "/dev/null",  "/dev/zero",     "/proc", "/dev/ptmx", "/proc/self/maps",
      "/proc/self", "/proc/self/fd", "/dev",  "fuzz-file", "/proc/self/exe",
      "fuzz-dir",   "/dev/shm",      "/sys",  "fuzz-link", "/proc/self/mem"};
  switch (random_below(10)) {
    case 0:
    case 1:
      return boundary[random_below(sizeof boundary / sizeof *boundary)];
    case 2:
    case 3:
      return random_below(40);  // descriptors, small numbers
    case 4:
      return (uint64_t)paths[random_below(sizeof paths / sizeof *paths)];
    case 5:
      return (uint64_t)(pages + random_below(16384));
    case 6:
      return (uint64_t)(pages + 16384 - random_below(64));  // ends at a hole
    case 7:
      return 1UL << random_below(64);
    case 8:
      return random_below(2) ? random64() : random64() & 0xffffffff;
    default:
      return (uint64_t)(pages + 4096 * random_below(4));
  }
}

// Structs are mostly small numbers, pointers and flags.
static void fill_pages(void) {
  uint64_t *words = (uint64_t *)pages;
  for (int i = 0; i < 200; i++) words[random_below(2048)] = argument();
  for (int i = 0; i < 50; i++) ((uint32_t *)pages)[random_below(4096)] = (uint32_t)argument();
}

// What would end or stop this process, or take the others of its user along.
static int is_spared(long nr) {
  switch (nr) {
    case SYS_exit:
    case SYS_exit_group:
    case SYS_rt_sigreturn:
    case SYS_pause:
    case SYS_rt_sigsuspend:
    case SYS_vfork:
    case SYS_reboot:
      return 1;
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
    case SYS_pidfd_send_signal:
    case SYS_prlimit64:  // RLIMIT_CPU of another would end it after a while.
    case SYS_process_vm_writev:
    case SYS_ptrace:
    case SYS_setuid:
    case SYS_setreuid:
    case SYS_setresuid:
    case SYS_mount:
    case SYS_umount2:
    case SYS_pivot_root:
    case SYS_chroot:
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_chmod:
    case SYS_fchmodat:
    case 452:  // fchmodat2
    case SYS_fchmod:
    case SYS_chown:
    case SYS_lchown:
    case SYS_fchown:
    case SYS_fchownat:
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_setdomainname:
    case SYS_sethostname:
      return geteuid() == 0;
    default:
      return 0;
  }
}

static void on_alarm(int signal) { (void)signal; }

static void open_everything(void) {
  int ends[2];
  close(0);
  open("/dev/null", O_RDWR);
  open("fuzz-file", O_RDWR | O_CREAT, 0644);
  mkdir("fuzz-dir", 0755);
  (void)!symlink("fuzz-file", "fuzz-link");
  open(".", O_RDONLY | O_DIRECTORY);
  open("fuzz-file", O_PATH);
  (void)!pipe(ends);
  socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
  socket(AF_INET, SOCK_STREAM, 0);
  socket(AF_INET6, SOCK_DGRAM, 0);
  socket(AF_NETLINK, SOCK_RAW, 0);
  epoll_create1(0);
  eventfd(0, EFD_NONBLOCK);
  timerfd_create(CLOCK_MONOTONIC, 0);
  memfd_create("fuzz", MFD_ALLOW_SEALING);
  sigset_t set;
  sigfillset(&set);
  signalfd(-1, &set, SFD_NONBLOCK);
  syscall(SYS_inotify_init1, 0);
  open("/dev/ptmx", O_RDWR | O_NOCTTY);
  syscall(SYS_pidfd_open, getpid(), 0);
  open("/proc/self", O_RDONLY);
  open("/proc/self/mem", O_RDWR);
}

static void become_fuzzer(int seed) {
  seed_random(seed);
  char dir[64];
  snprintf(dir, sizeof dir, "/tmp/fuzz-%d", seed);
  mkdir(dir, 0777);
  chmod(dir, 0777);
  OK(chdir(dir));
  // Two in three are ordinary users, each one of its own.
  if (seed % 3 != 0) {
    OK(setgroups(0, NULL));
    OK(setresgid(5000 + seed, 5000 + seed, 5000 + seed));
    OK(setresuid(5000 + seed, 5000 + seed, 5000 + seed));
  }
  int quiet = OK(open("/dev/null", O_RDWR));
  dup2(quiet, 1);
  dup2(quiet, 2);
  // Files of a whole memory's size would have the OOM killer end the neighbour, as on Linux.
  struct rlimit most = {16 << 20, 16 << 20};
  setrlimit(RLIMIT_FSIZE, &most);
  pages = mmap((void *)0x10000000, 20480, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  munmap(pages + 16384, 4096);
  open_everything();
  fill_pages();
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval tick = {{0, 20000}, {0, 20000}};
  setitimer(ITIMER_REAL, &tick, NULL);
  signal(SIGPIPE, SIG_IGN);
  for (int i = 0; i < 65; i++) {
    if (i != SIGALRM && i != SIGKILL && i != SIGSTOP && i != SIGSEGV && i != SIGBUS)
      signal(i, SIG_IGN);
  }
}

static void call_for_ever(void) {
  for (;;) {
    long nr = random_below(50) == 0 ? (long)argument() : (long)random_below(470);
    if (nr > 334 && nr < 424) nr = SYS_openat;
    uint64_t a[6];
    for (int i = 0; i < 6; i++) a[i] = argument();
    if (random_below(16) == 0) fill_pages();
    if (is_spared(nr)) continue;
    if (nr == SYS_setitimer || nr == SYS_rt_sigprocmask || nr == SYS_alarm) continue;
    // A thread on a stack of garbage only dies.
    if (nr == SYS_clone || nr == SYS_clone3 || nr == SYS_fork) {
      if (random_below(40) != 0) continue;
      if (nr == SYS_clone) a[0] &= ~0x40000000UL;
    }
    // These may take our pages away, which is allowed, but ends the run too soon.
    if ((nr == SYS_munmap || nr == SYS_mprotect || nr == SYS_mremap || nr == SYS_madvise) &&
        a[0] - 0x10000000 < 0x10000) {
      a[0] = random64() & 0x7ffffffff000;
    }
    long result = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    int may_be_child = nr == SYS_clone || nr == SYS_clone3 || nr == SYS_fork;
    if (may_be_child && result == 0 && random_below(4) == 0) _exit(0);
  }
}

__attribute__((unused)) static void fuzz(int seed) {
  become_fuzzer(seed);
  call_for_ever();
}

// Ends the processes of a round, and stray children of theirs.
static void end_fuzzers(const pid_t *pids, int first_seed, int count) {
  for (int i = 0; i < count; i++) {
    kill(-pids[i], SIGKILL);
    kill(pids[i], SIGKILL);
    waitpid(pids[i], NULL, 0);
  }
  for (int seed = first_seed; seed < first_seed + count; seed++) {
    if (seed % 3 == 0) continue;
    pid_t killer = OK(fork());
    if (killer == 0) {
      if (setresuid(5000 + seed, 5000 + seed, 5000 + seed) == 0) kill(-1, SIGKILL);
      _exit(0);
    }
    waitpid(killer, NULL, 0);
  }
  // What they leave in files is memory, and would be all of it in the end.
  for (int seed = first_seed; seed < first_seed + count; seed++) {
    char dir[64];
    snprintf(dir, sizeof dir, "/tmp/fuzz-%d", seed);
    nftw(dir, check_unlink, 16, FTW_DEPTH | FTW_PHYS);
  }
}

#endif  // TEST_HOSTILE_FUZZ_H_

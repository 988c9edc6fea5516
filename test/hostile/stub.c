// SPDX-License-Identifier: Apache-2.0
// A guest that finds the stub, jumps to its syscall instruction and writes to its mailbox.
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/utsname.h>

#include "hostile.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define FORK_FLAGS 0x1008011L
#define THREAD_FLAGS 0x1250f00L
// The area of a thread that a small process does not have.
#define TRACE_OFFSET (AREAS_OFFSET + 4000 * 0x10000UL)

static const struct stub *hunt(void) {
  const struct stub *stub = find_stub();
  if (stub == NULL) {
    dprintf(1, "# no stub: not in the sandbox, or its place is not as hostile.h says\n");
    _exit(CHECK_SKIPPED);
  }
  return stub;
}

TEST(maps_do_not_show_the_stub) {
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  char line[512];
  while (fgets(line, sizeof line, maps) != NULL) {
    unsigned long start = strtoul(line, NULL, 16);
    CHECK(start < GUEST_TOP || start >= 0xffffffff00000000UL || find_stub() == NULL);
  }
  fclose(maps);
}

TEST(the_kernel_does_not_touch_the_stub_for_its_guest) {
  const struct stub *stub = hunt();
  char text[8];
  int ends[2];
  OK(pipe(ends));
  CHECK_ERR(write(ends[1], (void *)stub->base, 8), EFAULT);
  CHECK_EQ(write(ends[1], "12345678", 8), 8);
  CHECK_ERR(read(ends[0], (void *)stub->mailbox, 8), EFAULT);
  struct iovec here = {text, 8}, there = {(void *)stub->base, 8};
  CHECK_ERR(process_vm_readv(getpid(), &here, 1, &there, 1, 0), EFAULT);
  CHECK_ERR(process_vm_writev(getpid(), &here, 1, &there, 1, 0), EFAULT);
  int mem = OK(open("/proc/self/mem", O_RDWR));
  CHECK(pread(mem, text, 8, (off_t)stub->base) <= 0);
  CHECK(pwrite(mem, text, 8, (off_t)stub->base) <= 0);
  void *page = (void *)stub->base;
  CHECK_ERR(munmap(page, 4096), EINVAL);
  CHECK_ERR(mprotect(page, 4096, PROT_NONE), ENOMEM);
  CHECK(mmap(page, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
  CHECK(mmap(page, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) < (void *)GUEST_TOP);
  CHECK(mremap(page, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
}

// What the filter does not allow comes back to the Sentry, whose answers cannot be the host's.
TEST(forbidden_calls_from_the_stub_reach_the_sentry) {
  const struct stub *stub = hunt();
  CHECK_EQ(stub->call(SYS_getpid, 0, 0, 0, 0, 0, 0), getpid());
  CHECK_EQ(stub->call(SYS_getppid, 0, 0, 0, 0, 0, 0), getppid());
  struct utsname names;
  CHECK_EQ(stub->call(SYS_uname, (long)&names, 0, 0, 0, 0, 0), 0);
  CHECK(strstr(names.release, "runts") != NULL);
  int fd = stub->call(SYS_openat, AT_FDCWD, (long)"/proc/self/status", O_RDONLY, 0, 0, 0);
  char text[64] = "";
  CHECK(fd >= 0 && read(fd, text, 60) > 0);
  char name[32], comm[17] = "";
  OK(prctl(PR_SET_NAME, "hostile-guest"));
  OK(prctl(PR_GET_NAME, comm));
  snprintf(name, sizeof name, "Name:\t%s\n", comm);
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  CHECK(read(fd, text, 60) > 0);
  CHECK(strncmp(text, name, strlen(name)) == 0);
  // Descriptors of the guest's table, not of the host process.
  int mine = OK(dup2(fd, 40));
  CHECK_EQ(stub->call(SYS_fcntl, mine, F_GETFD, 0, 0, 0, 0), 0);
  CHECK_EQ(stub->call(SYS_fcntl, 4, F_GETFD, 0, 0, 0, 0), fcntl(4, F_GETFD) < 0 ? -errno : 0);
  // The host would know neither process by these numbers.
  CHECK_EQ(stub->call(SYS_ptrace, PTRACE_ATTACH, getpid(), 0, 0, 0, 0), -EPERM);
  CHECK_EQ(stub->call(SYS_ptrace, PTRACE_ATTACH, 4000000, 0, 0, 0, 0), -ESRCH);
  // Clones that the filter's two flag sets do not cover are the guest's own.
  pid_t pid = stub->call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
  if (pid == 0) stub->call(SYS_exit_group, 7, 0, 0, 0, 0, 0);
  CHECK_EXIT(pid, 7);
}

// prctl passes for the name and the layout that the host's ps shows: nothing else of it, and no
// other executable.
TEST(what_the_host_shows_is_all_that_prctl_changes) {
  const struct stub *stub = hunt();
  struct prctl_mm_map map = {.exe_fd = (unsigned)-1};
  map.start_code = map.start_data = map.end_data = map.start_brk = map.brk = stub->base;
  map.end_code = stub->base + 4096;
  map.start_stack = map.arg_start = map.arg_end = map.env_start = map.env_end = stub->base;
  CHECK_EQ(stub->call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&map, sizeof map, 0, 0), 0);
  for (int fd = 0; fd < 64; fd++) {
    map.exe_fd = fd;
    long answer = stub->call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&map, sizeof map, 0, 0);
    CHECK(answer == -EPERM || answer == -EINVAL);
  }
  // Nonsense is the host kernel's to refuse, or to show.
  for (int i = 0; i < 2000; i++) {
    unsigned long *words = (unsigned long *)&map;
    for (unsigned k = 0; k < 11; k++) words[k] = (unsigned long)random() << (random() % 34);
    map.auxv = (void *)(random() % 2 ? 0 : stub->base);
    map.auxv_size = random() % 2 ? 0 : (unsigned)random();
    map.exe_fd = (unsigned)-1;
    stub->call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&map, sizeof map, 0, 0);
  }
  // Of another size, or another option: the Sentry's answer.
  long own = prctl(PR_SET_MM, PR_SET_MM_AUXV, &map, 16, 0) < 0 ? -errno : 0;
  CHECK(own < 0);
  CHECK_EQ(stub->call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&map, 96, 0, 0), own);
  for (int option = 1; option <= 15; option++) {
    if (option == PR_SET_MM_MAP) continue;
    CHECK_EQ(stub->call(SYS_prctl, PR_SET_MM, option, (long)&map, 104, 0, 0), own);
  }
  OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
  int signal = 0;
  CHECK_EQ(stub->call(SYS_prctl, PR_GET_PDEATHSIG, (long)&signal, 0, 0, 0, 0), 0);
  CHECK_EQ(signal, SIGUSR1);
  char comm[17] = "";
  OK(prctl(PR_SET_NAME, "as-the-sentry-is"));
  CHECK_EQ(stub->call(SYS_prctl, PR_SET_NAME, (long)"as-the-host-has", 0, 0, 0, 0), 0);
  OK(prctl(PR_GET_NAME, comm));
  CHECK_STR(comm, "as-the-sentry-i");
  pid_t pid = OK(fork());
  if (pid == 0) _exit(7);
  CHECK_EXIT(pid, 7);
}

// Calls that would hold the lock of this process's address space for long, or touch pages on their
// own. The host would do them on the stub's own memory, of which the Sentry knows nothing.
TEST(calls_without_a_bound_are_refused) {
  const struct stub *stub = hunt();
  const long area = stub->base + AREAS_OFFSET, more = 0x10001000, page = 4096;
  const long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  static const int advice[] = {MADV_WILLNEED,      MADV_COLD,           MADV_PAGEOUT,
                               MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_COLLAPSE};
  for (unsigned i = 0; i < sizeof advice / sizeof *advice; i++) {
    CHECK(stub->call(SYS_madvise, area, page, advice[i], 0, 0, 0) < 0);
    CHECK_EQ(stub->call(SYS_madvise, area, page, advice[i], 0, 0, 0),
             madvise((void *)area, page, advice[i]) < 0 ? -errno : 0);
  }
  CHECK_EQ(stub->call(SYS_madvise, area, more, MADV_NOHUGEPAGE, 0, 0, 0), -ENOMEM);
  CHECK_EQ(stub->call(SYS_mprotect, area, more, 3, 0, 0, 0), -ENOMEM);
  CHECK(stub->call(SYS_mremap, area, more, more, 3, 0x100000000000, 0) < 0);
  CHECK(stub->call(SYS_mremap, area, page, more, 3, 0x100000000000, 0) < 0);
  const long forbidden[] = {MAP_POPULATE, MAP_LOCKED, MAP_HUGETLB, MAP_GROWSDOWN};
  for (unsigned i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
    long place = area + 64 * 0x10000;
    CHECK(stub->call(SYS_mmap, place, page, 3, flags | forbidden[i], -1, 0) < 0);
    CHECK(stub->call(SYS_mmap, place, more, 3, flags | forbidden[i], -1, 0) < 0);
  }
  // A small one is as good as the guest's own, a large one passes where nothing is.
  CHECK_EQ(stub->call(SYS_mprotect, area, page, 3, 0, 0, 0), 0);
  const long place = 0x600000000000;
  const long empty = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  CHECK_EQ(stub->call(SYS_mmap, place, 1L << 40, PROT_READ, empty, -1, 0), place);
  CHECK_EQ(stub->call(SYS_mmap, place, 1L << 40, PROT_READ, empty, -1, 0), -EEXIST);
  check_well();
}

TEST(clones_that_nobody_ordered_are_refused) {
  const struct stub *stub = hunt();
  int id = 0;
  for (int i = 0; i < 50; i++) {
    CHECK_EQ(stub->call(SYS_clone, FORK_FLAGS, 0, 0, (long)&id, 0, 0), -EPERM);
    CHECK_EQ(stub->call(SYS_clone, THREAD_FLAGS, (long)(&id - 64), 0, (long)&id, 0, 0), -EPERM);
  }
}

TEST(descriptors_of_the_host_process_give_nothing) {
  const struct stub *stub = hunt();
  long place = (long)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(place > 0);
  for (int fd = 0; fd < 64; fd++) {
    for (int flags = 1; flags <= 2; flags++) {
      for (int prot = 0; prot <= 7; prot++) {
        long at = stub->call(SYS_mmap, place, 4096, prot, flags | MAP_FIXED, fd, 0);
        CHECK(at < 0 && at >= -4095);
      }
    }
    char data[64];
    union {
      char bytes[256];
      struct cmsghdr align;
    } control;
    struct iovec part = {data, sizeof data};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    long got = stub->call(SYS_recvmsg, fd, (long)&message, MSG_DONTWAIT, 0, 0, 0);
    CHECK(got < 0);
  }
}

// Another thread maps files read-only all the time; this one takes the descriptors off the control
// socket first and tries to write through them.
static volatile int stop_mapping;
static void *map_files(void *path) {
  while (!stop_mapping) {
    int fd = open(path, O_RDONLY);
    void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) munmap(at, 4096);
    close(fd);
  }
  return NULL;
}

static void steal(int mode) {
  const struct stub *stub = hunt();
  const char *path = mode == 0 ? "readonly" : "/etc/passwd";
  pthread_t thread;
  long place = (long)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  OK(pthread_create(&thread, NULL, map_files, (void *)path));
  int stolen = 0;
  for (int i = 0; i < 20000 && stolen < 10; i++) {
    char data[64];
    union {
      char bytes[256];
      struct cmsghdr align;
    } control;
    struct iovec part = {data, sizeof data};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    if (stub->call(SYS_recvmsg, 3, (long)&message, MSG_DONTWAIT, 0, 0, 0) < 0) continue;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head == NULL) continue;
    int fd;
    memcpy(&fd, CMSG_DATA(head), sizeof fd);
    stolen++;
    long flags = MAP_SHARED | MAP_FIXED;
    long at = stub->call(SYS_mmap, place, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at > 0) *(char *)at = '!';
    at = stub->call(SYS_mmap, place, 4096, PROT_READ, flags, fd, 0);
    if (at > 0 && stub->call(SYS_mprotect, at, 4096, 3, 0, 0, 0) == 0) *(char *)at = '!';
    stub->call(SYS_close, fd, 0, 0, 0, 0, 0);
  }
  stop_mapping = 1;
}

TEST(stolen_descriptors_are_read_only) {
  hunt();
  put_file("readonly", "as it was\n");
  OK(chmod("readonly", 0444));
  run_attack(steal, 0, 1500);
  CHECK_STR(get_file("readonly"), "as it was\n");
  run_attack(steal, 1, 1500);
  CHECK(get_file("/etc/passwd")[0] != '!');
  check_well();
}

TEST(the_wake_descriptor_can_be_flooded) {
  const struct stub *stub = hunt();
  uint64_t values[] = {1, 0, ~0UL, ~0UL - 1, 0x8000000000000000UL};
  for (int i = 0; i < 3000; i++) stub->call(SYS_write, 4, (long)&values[i % 5], 8, 0, 0, 0);
  check_well();
}

static void close_channels(int from) {
  const struct stub *stub = hunt();
  for (int fd = from; fd < 64; fd++) stub->call(SYS_close, fd, 0, 0, 0, 0, 0);
  int file = open("/etc/passwd", O_RDONLY);
  mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  if (fork() == 0) _exit(0);
  sleep_ms(5);
}

TEST(a_process_can_close_its_channels) {
  hunt();
  run_attack(close_channels, 0, 2000);
  run_attack(close_channels, 4, 2000);
  check_well();
}

static void *exit_thread(void *how) {
  const struct stub *stub = find_stub();
  if (how != NULL) sleep_ms(1);
  stub->call(SYS_exit, 0, 0, 0, 0, 0, 0);
  return NULL;
}

static void exit_behind_the_kernel(int mode) {
  const struct stub *stub = hunt();
  pthread_t thread[4];
  for (long i = 0; mode > 0 && i < 4; i++) pthread_create(&thread[i], NULL, exit_thread, (void *)i);
  if (mode < 2) stub->call(SYS_exit, 0, 0, 0, 0, 0, 0);
  for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
}

TEST(host_threads_can_end_without_leave) {
  hunt();
  for (int mode = 0; mode < 3; mode++) run_attack(exit_behind_the_kernel, mode, 300);
  check_well();
}

static void wreck(int mode) {
  const struct stub *stub = hunt();
  long base = stub->base;
  switch (mode) {
    case 0:
      stub->call(SYS_munmap, 0, 0x7ffffffff000, 0, 0, 0, 0);
      break;
    case 1:  // the handler's stack
      stub->call(SYS_munmap, base + AREAS_OFFSET, 0x100000, 0, 0, 0, 0);
      getpid();
      break;
    case 2:  // the mailbox
      stub->call(SYS_munmap, base + MAILBOX_OFFSET, MAILBOX_BYTES, 0, 0, 0, 0);
      getpid();
      break;
    case 3:  // private memory in the place of the mailbox
      stub->call(SYS_mmap, base + MAILBOX_OFFSET, MAILBOX_BYTES, 3, 0x32, -1, 0);
      getpid();
      break;
    case 4:  // the text
      stub->call(SYS_mprotect, base, STUB_TEXT, 0, 0, 0, 0);
      break;
    case 5:
      stub->call(SYS_mprotect, base, STUB_TEXT, 7, 0, 0, 0);
      memset((void *)base, 0xcc, STUB_TEXT / 16);
      getpid();
      break;
    case 6:  // the global page, which all share
      CHECK(stub->call(SYS_mprotect, base + 0x10000, 4096, 3, 0, 0, 0) < 0);
      break;
    case 7: {  // the process page: lock, control descriptor, stash
      uint32_t *page = (void *)(base + 0x11000);
      for (int i = 0; i < 1024; i++) page[i] = 0x7fffffff;
      int file = open("/etc/passwd", O_RDONLY);
      mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
      break;
    }
    case 8:  // code of ours in the place of the stub's
      stub->call(SYS_mprotect, base, STUB_TEXT, 7, 0, 0, 0);
      // int $0x80 in the range that the filter trusts
      memcpy((void *)(base + 0x8000), "\xb8\x14\x00\x00\x00\xcd\x80\xc3", 8);
      ((void (*)(void))(base + 0x8000))();
      break;
    case 9:  // x32 calls from there: death or ENOSYS
      CHECK_EQ(stub->call(0x40000000 | SYS_getpid, 0, 0, 0, 0, 0, 0), -ENOSYS);
      CHECK_EQ(stub->call(0x40000000 | SYS_mmap, 0, 4096, 3, 0x22, -1, 0), -ENOSYS);
      break;
    case 10:  // the stack pointer inside an area, so that handlers meet their own data
      __asm__ volatile(
          "mov %0, %%rsp; mov $39, %%eax; syscall; ud2" ::"r"(base + AREAS_OFFSET + 0x8000));
      break;
    case 11:  // rt_sigreturn with nonsense on the stack
      __asm__ volatile("mov %0, %%rsp; jmp *%1" ::"r"(base + MAILBOX_OFFSET), "r"(stub->restorer));
      break;
  }
}

TEST(wrecking_the_stub_kills_only_its_process) {
  hunt();
  for (int mode = 0; mode <= 11; mode++) {
    int status = run_attack(wreck, mode, 1500);
    if (mode == 6) CHECK_EQ(status, 0);
    if (mode == 8 || mode == 9) CHECK(WIFSIGNALED(status) || status == 0);
  }
  check_well();
}

// A thread that blocks the interrupt signal and never calls again must still be killable.
static void deaf(int mode) {
  const struct stub *stub = hunt();
  struct {
    uint64_t flags, link, stack[3], gregs[23], fpstate, reserved[8], mask;
  } frame = {0};
  static volatile int reached;
  static char stack[65536];
  frame.mask = ~0UL;
  __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; mov %%cs, %%eax; mov %%rax, %1; 1:"
                   : "=m"(frame.gregs[16]), "=m"(frame.gregs[18])::"rax");
  if (reached++) {
    for (;;) {
    }
  }
  frame.gregs[15] = (uint64_t)stack + 32768;
  frame.gregs[17] = 0x202;
  frame.gregs[18] = 0x2b000000000033UL;
  frame.gregs[10] = (uint64_t)__builtin_frame_address(0);
  if (mode) alarm(1);
  __asm__ volatile("mov %0, %%rsp; jmp *%1" ::"r"(&frame), "r"(stub->restorer));
}

TEST(deaf_threads_can_be_killed) {
  hunt();
  run_attack(deaf, 0, 300);
  check_well();
}

// ---- the mailbox ----

static volatile int stop_noise;
static void *make_noise(void *unused) {
  (void)unused;
  int fd = open("/etc/passwd", O_RDONLY);
  while (!stop_noise) {
    void *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    getppid();
    mprotect(at, 4096, PROT_READ);
    munmap(at, 8192);
    sched_yield();
  }
  return NULL;
}

static void *short_thread(void *unused) { return unused; }

static void *make_threads(void *unused) {
  pthread_t thread;
  while (!stop_noise) {
    if (pthread_create(&thread, NULL, short_thread, NULL) == 0) pthread_join(thread, NULL);
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
  }
  return unused;
}

// Words of a slot that mean something: state, kind, call, fault, operations, child, alive.
static void scribble_once(volatile uint32_t *slot, int mode) {
  static const int64_t boundary[] = {0, 1, -1, 0x7fffffff, -0x80000000L, 16, 17, 64, 4096, 1 << 20};
  uint32_t word = mode == 0 ? random_below(1024) : random_below(80);
  switch (mode) {
    case 0:
      slot[word] = (uint32_t)random64();
      break;
    case 1:
      slot[word] = (uint32_t)boundary[random_below(10)];
      break;
    case 2:  // forged events
      slot[1] = 1 + random_below(8);
      slot[2] = random_below(460);
      slot[26] = (uint32_t)boundary[random_below(10)];
      slot[0] = 1 + 2 * random_below(2);
      break;
    case 3:  // child numbers, new slots, counts
      slot[24 + random_below(8)] = (uint32_t)random_below(5000);
      break;
    case 4:  // states only
      slot[0] = random_below(6);
      break;
    case 5:  // forged clone answers
      slot[1] = 6 + random_below(2);
      slot[26] = 1 + random_below(50);
      slot[31] = 1 + random_below(50);
      slot[0] = 1;
      break;
    default:  // forged operation failures
      slot[1] = 4 + random_below(2);
      slot[24] = (uint32_t) - (int32_t)random_below(200);
      slot[25] = (uint32_t)random64();
      slot[0] = 1;
      break;
  }
}

static void scribble(int seed) {
  const struct stub *stub = hunt();
  seed_random(seed);
  pthread_t threads[3];
  pthread_create(&threads[0], NULL, make_noise, NULL);
  pthread_create(&threads[1], NULL, make_noise, NULL);
  pthread_create(&threads[2], NULL, make_threads, NULL);
  sleep_ms(5);
  // Never our own slot at first: else this thread is the first to be lost.
  for (long i = 0; i < 3000000; i++) {
    uint64_t slot = i % 4000 == 0 ? random_below(4096) : 1 + random_below(6);
    scribble_once(stub->mailbox + slot * (SLOT_BYTES / 4), seed % 7);
  }
}

TEST(scribbling_on_the_mailbox_kills_only_its_process) {
  hunt();
  for (int seed = 0; seed < 21; seed++) run_attack(scribble, seed, 250);
  check_well();
}

// Clones of threads that fail in the stub: the kernel must forget the thread that never was.
static void *ruin_new_slots(void *unused) {
  const struct stub *stub = find_stub();
  for (;;) {
    for (int slot = 0; slot < 4; slot++) stub->mailbox[slot * 1024 + 28] = 9999;
  }
  return unused;
}

static void fail_clones(int unused) {
  (void)unused;
  hunt();
  pthread_t thread;
  pthread_create(&thread, NULL, ruin_new_slots, NULL);
  long long end = now_ns() + 150000000LL;
  while (now_ns() < end) {
    if (pthread_create(&thread, NULL, short_thread, NULL) == 0) pthread_detach(thread);
  }
}

TEST(clones_that_fail_leave_nothing_behind) {
  hunt();
  for (int i = 0; i < 5; i++) run_attack(fail_clones, 0, 1000);
  check_well();
}

// The same through a child that the parent knows by heart: the mailbox of a fork is the child's alone.
TEST(a_fork_does_not_share_its_mailbox) {
  const struct stub *stub = hunt();
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (int i = 0; i < 2000; i++) {
      if (getpid() <= 1) _exit(1);
    }
    _exit(0);
  }
  for (int i = 0; i < 200000; i++) stub->mailbox[(64 + i % 60) * 1024 + 300] = 0xffffffff;
  CHECK_EXIT(pid, 0);
}

#define SILENT 20

static volatile pid_t silent_tids[SILENT];
static volatile int silent_count, silent_go;

static void *fall_silent(void *index) {
  silent_tids[(long)index] = syscall(SYS_gettid);
  __sync_fetch_and_add(&silent_count, 1);
  for (;;) pause();
  return NULL;
}

static void *ask_for_time(void *index) {
  char name[64], text[512];
  snprintf(name, sizeof name, "/proc/self/task/%d/stat", silent_tids[(long)index]);
  int file = open(name, O_RDONLY);
  __sync_fetch_and_add(&silent_count, 1);
  while (!silent_go) __builtin_ia32_pause();
  (void)!read(file, text, sizeof text);
  return NULL;
}

// Sleeping threads lose their slots, and as many others ask for their CPU times, which only they know.
static void ask_the_silent(int unused) {
  (void)unused;
  const struct stub *stub = hunt();
  pthread_t thread;
  for (long i = 0; i < SILENT; i++) pthread_create(&thread, NULL, fall_silent, (void *)i);
  while (silent_count < SILENT) sleep_ms(10);
  sleep_ms(200);
  stub->call(SYS_mmap, (long)stub->mailbox + SLOT_BYTES, SLOT_BYTES * SILENT,
             PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  for (long i = 0; i < SILENT; i++) pthread_create(&thread, NULL, ask_for_time, (void *)i);
  while (silent_count < 2 * SILENT) sleep_ms(10);
  silent_go = 1;
  sleep(600);
}

// That nobody waits for them is seen by the test that runs this file, in the Sentry's account of its turns.
TEST(silent_threads_keep_nobody_waiting) {
  hunt();
  run_attack(ask_the_silent, 0, 4000);
  check_well();
}

// An execve may go on in the host process of the program before it, with a stub that this one may have
// changed. Never where the new program has rights that the old one had not.
HELPER(looks_for_a_trace) {
  const struct stub *stub = hunt();
  (void)argc;
  struct sigaction fault = {.sa_handler = probe_fault};
  OK(sigaction(SIGSEGV, &fault, NULL));
  CHECK_STR(argv[1], "trace");
  return can_read(stub->base + TRACE_OFFSET) ? 31 : 32;
}

static int exec_with_a_trace(const char *program) {
  const struct stub *stub = hunt();
  pid_t pid = OK(fork());
  if (pid == 0) {
    long place = (long)(stub->base + TRACE_OFFSET);
    CHECK_EQ(stub->call(SYS_mmap, place, 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
             place);
    *(volatile char *)place = 1;
    execl(program, "prog", "@looks_for_a_trace", "trace", NULL);
    _exit(99);
  }
  int status;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST(a_program_with_other_rights_gets_a_stub_that_nobody_had) {
  hunt();
  int in = OK(open(check_self, O_RDONLY));
  int out = OK(open("other-rights", O_WRONLY | O_CREAT | O_TRUNC, 0700));
  char buffer[65536];
  for (ssize_t n; (n = OK(read(in, buffer, sizeof buffer))) > 0;)
    CHECK_EQ(write(out, buffer, n), n);
  OK(fchown(out, 1234, 1234));
  OK(fchmod(out, 06755));
  close(out);
  CHECK_EQ(exec_with_a_trace("./other-rights"), 32);
  // The trace is one: with the same rights it may be seen.
  OK(chmod("other-rights", 0755));
  CHECK_EQ(exec_with_a_trace("./other-rights"), 31);
  // Nor where the program may be run and not read.
  OK(chmod("other-rights", 0711));
  OK(chmod(".", 0755));
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setgid(77));
    OK(setuid(77));
    _exit(exec_with_a_trace("./other-rights"));
  }
  CHECK_EXIT(pid, 32);
  OK(unlink("other-rights"));
}

// SPDX-License-Identifier: Apache-2.0
// mmap(2), munmap(2), mremap(2), mprotect(2), madvise(2), brk(2), memfd_create(2), msync(2), mincore(2).
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "check.h"

#define PAGE 4096
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf escape;
static volatile int fault_code;
static void *volatile fault_addr;

static void on_fault(int signal, siginfo_t *info, void *context) {
  (void)context;
  fault_code = info->si_code;
  fault_addr = info->si_addr;
  siglongjmp(escape, signal);
}

static void catch_faults(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  OK(sigaction(SIGSEGV, &action, NULL));
  OK(sigaction(SIGBUS, &action, NULL));
}

// The signal that a read (or write) of one byte raises, 0 for none.
static int touch(volatile char *at, int write) {
  int signal = sigsetjmp(escape, 1);
  if (signal != 0) return signal;
  if (write) {
    *at = *at;
  } else {
    (void)*at;
  }
  return 0;
}

static char *map(size_t size, int prot, int flags) {
  char *at = mmap(NULL, size, prot, flags, -1, 0);
  CHECK(at != MAP_FAILED);
  return at;
}

TEST(anonymous_memory_is_zero) {
  char *at = map(64 * PAGE, RW, ANON);
  for (int i = 0; i < 64 * PAGE; i += 100) CHECK_EQ(at[i], 0);
  memset(at, 7, 64 * PAGE);
  OK(munmap(at, 64 * PAGE));
  at = map(64 * PAGE, RW, ANON);
  CHECK_EQ(at[5 * PAGE], 0);
}

TEST(refusals) {
  CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
  CHECK(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
  CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
  CHECK(mmap((void *)1, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
  CHECK(mmap(NULL, 1UL << 60, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
  CHECK(mmap((void *)(1UL << 47), PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED &&
        errno == ENOMEM);
  CHECK_ERR(munmap((void *)1, PAGE), EINVAL);
  CHECK_ERR(munmap((void *)PAGE, 0), EINVAL);
  CHECK_ERR(mprotect((void *)1, PAGE, RW), EINVAL);
  CHECK_ERR(madvise((void *)PAGE, PAGE, 9999), EINVAL);
  int fd = OK(open("f", O_RDONLY | O_CREAT, 0644));
  CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
  CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 5) == MAP_FAILED && errno == EINVAL);
  int dir = OK(open(".", O_RDONLY));
  CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dir, 0) == MAP_FAILED && errno == ENODEV);
}

TEST(fixed_maps_replace) {
  char *at = map(4 * PAGE, RW, ANON);
  memset(at, 1, 4 * PAGE);
  CHECK(mmap(at + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == at + PAGE);
  CHECK_EQ(at[0], 1);
  CHECK_EQ(at[PAGE], 0);
  CHECK_EQ(at[2 * PAGE], 1);
  CHECK(mmap(at, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
  OK(munmap(at, PAGE));
  CHECK(mmap(at, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == at);
}

TEST(hints_are_taken_when_free) {
  char *at = map(4 * PAGE, RW, ANON);
  OK(munmap(at, 4 * PAGE));
  CHECK(mmap(at, PAGE, RW, ANON, -1, 0) == at);
  CHECK(mmap(at, PAGE, RW, ANON, -1, 0) != at);
}

TEST(holes_fault) {
  catch_faults();
  char *at = map(3 * PAGE, RW, ANON);
  OK(munmap(at + PAGE, PAGE));
  CHECK_EQ(touch(at, 1), 0);
  CHECK_EQ(touch(at + PAGE, 0), SIGSEGV);
  CHECK_EQ(fault_code, SEGV_MAPERR);
  CHECK(fault_addr == at + PAGE);
  CHECK_EQ(touch(at + 2 * PAGE, 1), 0);
  // Holes are fine for munmap, not for mprotect.
  OK(munmap(at, 3 * PAGE));
  CHECK_ERR(mprotect(at, 3 * PAGE, RW), ENOMEM);
}

TEST(protection) {
  catch_faults();
  char *at = map(3 * PAGE, RW, ANON);
  at[PAGE] = 5;
  OK(mprotect(at + PAGE, PAGE, PROT_READ));
  CHECK_EQ(at[PAGE], 5);
  CHECK_EQ(touch(at + PAGE, 1), SIGSEGV);
  CHECK_EQ(fault_code, SEGV_ACCERR);
  CHECK_EQ(touch(at + 2 * PAGE, 1), 0);
  OK(mprotect(at + PAGE, PAGE, PROT_NONE));
  CHECK_EQ(touch(at + PAGE, 0), SIGSEGV);
  OK(mprotect(at, 3 * PAGE, RW));
  CHECK_EQ(at[PAGE], 5);
  CHECK_EQ(touch(at + PAGE, 1), 0);
}

TEST(code_can_be_made) {
  unsigned char *code = mmap(NULL, PAGE, RW, ANON, -1, 0);
  static const unsigned char answer[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov $42,%eax; ret
  memcpy(code, answer, sizeof answer);
  OK(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
  int (*function)(void) = (int (*)(void))(void *)code;
  CHECK_EQ(function(), 42);
  OK(mprotect(code, PAGE, RW));
  code[1] = 43;
  OK(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
  CHECK_EQ(function(), 43);
}

TEST(system_calls_from_made_code) {
  // mov $39,%eax; syscall; ret: the pattern that a platform may patch, in fresh and changing memory.
  unsigned char *code = mmap(NULL, PAGE, RW | PROT_EXEC, ANON, -1, 0);
  CHECK(code != MAP_FAILED);
  static const unsigned char call[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
  memcpy(code, call, sizeof call);
  long (*function)(void) = (long (*)(void))(void *)code;
  for (int i = 0; i < 100; i++) CHECK_EQ(function(), getpid());
  static const unsigned char other[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
  memcpy(code, other, sizeof other);
  for (int i = 0; i < 100; i++) CHECK_EQ(function(), getppid());
}

TEST(private_file_maps) {
  put_file("f", "hello");
  int fd = OK(open("f", O_RDONLY));
  char *at = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
  CHECK(at != MAP_FAILED);
  close(fd);
  CHECK(memcmp(at, "hello\0", 6) == 0);
  at[0] = 'J';
  CHECK_STR(get_file("f"), "hello");
}

TEST(shared_file_maps_write_through) {
  put_file("f", "hello");
  int fd = OK(open("f", O_RDWR));
  char *at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
  CHECK(at != MAP_FAILED);
  at[0] = 'J';
  CHECK_STR(get_file("f"), "Jello");
  CHECK_EQ(pwrite(fd, "p", 1, 2), 1);
  CHECK_EQ(at[2], 'p');
  OK(msync(at, PAGE, MS_SYNC));
  char *second = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
  at[1] = 'U';
  CHECK_EQ(second[1], 'U');
  OK(munmap(at, PAGE));
  CHECK_EQ(second[1], 'U');
}

TEST(file_maps_at_an_offset) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  for (int i = 0; i < 4; i++) {
    char page[PAGE];
    memset(page, 'a' + i, PAGE);
    CHECK_EQ(write(fd, page, PAGE), PAGE);
  }
  char *at = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
  CHECK_EQ(at[0], 'c');
  CHECK_EQ(at[PAGE], 'd');
}

TEST(map_of_a_growing_file) {
  catch_faults();
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  char *at = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
  CHECK(at != MAP_FAILED);
  CHECK_EQ(touch(at, 0), SIGBUS);
  OK(ftruncate(fd, 2 * PAGE));
  CHECK_EQ(touch(at + PAGE, 1), 0);
  at[PAGE] = 'x';
  char c;
  CHECK_EQ(pread(fd, &c, 1, PAGE), 1);
  CHECK_EQ(c, 'x');
  OK(ftruncate(fd, PAGE));
  CHECK_EQ(touch(at + PAGE, 0), SIGBUS);
}

TEST(shared_file_maps_between_processes) {
  int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
  OK(ftruncate(fd, PAGE));
  volatile int *at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
  pid_t pid = OK(fork());
  if (pid == 0) {
    int again = OK(open("f", O_RDWR));
    volatile int *mine = mmap(NULL, PAGE, RW, MAP_SHARED, again, 0);
    mine[3] = 33;
    while (at[4] != 44) sleep_ms(1);
    _exit(0);
  }
  while (at[3] != 33) sleep_ms(1);
  at[4] = 44;
  CHECK_EXIT(pid, 0);
}

TEST(mremap_grows_and_shrinks) {
  char *at = map(4 * PAGE, RW, ANON);
  at[0] = 1;
  at[3 * PAGE] = 4;
  char *bigger = mremap(at, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
  CHECK(bigger != MAP_FAILED);
  CHECK_EQ(bigger[0], 1);
  CHECK_EQ(bigger[3 * PAGE], 4);
  CHECK_EQ(bigger[63 * PAGE], 0);
  CHECK(mremap(bigger, 64 * PAGE, PAGE, 0) == bigger);
  catch_faults();
  CHECK_EQ(touch(bigger + PAGE, 0), SIGSEGV);
  CHECK_EQ(bigger[0], 1);
}

TEST(mremap_to_a_fixed_place) {
  char *at = map(2 * PAGE, RW, ANON), *place = map(2 * PAGE, RW, ANON);
  at[PAGE] = 9;
  CHECK(mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
  CHECK_EQ(place[PAGE], 9);
  catch_faults();
  CHECK_EQ(touch(at, 0), SIGSEGV);
  CHECK(mremap(place, 2 * PAGE, 3 * PAGE, MREMAP_FIXED, at) == MAP_FAILED && errno == EINVAL);
  CHECK(mremap(at, PAGE, PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
}

TEST(mremap_in_place_fails_when_crowded) {
  char *at = map(3 * PAGE, RW, ANON);
  CHECK(mremap(at, PAGE, 2 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
}

TEST(mremap_of_shared_maps) {
  put_file("f", "data");
  int fd = OK(open("f", O_RDWR));
  OK(ftruncate(fd, 4 * PAGE));
  char *at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
  char *moved = mremap(at, PAGE, 4 * PAGE, MREMAP_MAYMOVE);
  CHECK(moved != MAP_FAILED);
  CHECK(memcmp(moved, "data", 4) == 0);
  moved[3 * PAGE] = 'z';
  char c;
  CHECK_EQ(pread(fd, &c, 1, 3 * PAGE), 1);
  CHECK_EQ(c, 'z');
}

TEST(madvise_dontneed) {
  char *at = map(2 * PAGE, RW, ANON);
  at[0] = at[PAGE] = 1;
  OK(madvise(at, PAGE, MADV_DONTNEED));
  CHECK_EQ(at[0], 0);
  CHECK_EQ(at[PAGE], 1);
  put_file("f", "file");
  int fd = OK(open("f", O_RDONLY));
  char *file = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
  file[0] = 'X';
  OK(madvise(file, PAGE, MADV_DONTNEED));
  CHECK_EQ(file[0], 'f');
  char *shared = map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS);
  shared[0] = 3;
  OK(madvise(shared, PAGE, MADV_DONTNEED));
  CHECK_EQ(shared[0], 3);
  OK(munmap(at, PAGE));
  CHECK_ERR(madvise(at, 2 * PAGE, MADV_DONTNEED), ENOMEM);
}

TEST(madvise_hints_are_accepted) {
  char *at = map(PAGE, RW, ANON);
  OK(madvise(at, PAGE, MADV_NORMAL));
  OK(madvise(at, PAGE, MADV_WILLNEED));
  OK(madvise(at, PAGE, MADV_SEQUENTIAL));
  OK(madvise(at, PAGE, MADV_FREE));
  OK(madvise(at, PAGE, MADV_DONTDUMP));
  OK(madvise(at, PAGE, MADV_DODUMP));
}

TEST(madvise_for_fork) {
  char *gone = map(PAGE, RW, ANON), *wiped = map(PAGE, RW, ANON);
  *gone = *wiped = 7;
  OK(madvise(gone, PAGE, MADV_DONTFORK));
  OK(madvise(wiped, PAGE, MADV_WIPEONFORK));
  pid_t pid = OK(fork());
  if (pid == 0) {
    catch_faults();
    CHECK_EQ(*wiped, 0);
    CHECK_EQ(touch(gone, 0), SIGSEGV);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  CHECK_EQ(*wiped, 7);
}

TEST(program_break) {
  char *start = sbrk(0);
  CHECK(sbrk(3 * PAGE) == start);
  memset(start, 5, 3 * PAGE);
  CHECK(sbrk(0) == start + 3 * PAGE);
  CHECK(sbrk(-2 * PAGE) == start + 3 * PAGE);
  CHECK(sbrk(2 * PAGE) == start + PAGE);
  CHECK_EQ(start[0], 5);
  CHECK_EQ(start[2 * PAGE], 0);
  CHECK_EQ(syscall(SYS_brk, 8), (long)sbrk(0));  // refused: the old break
}

TEST(memfd) {
  int fd = OK(memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC));
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  OK(ftruncate(fd, 2 * PAGE));
  char *at = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
  at[PAGE] = 'm';
  char c;
  CHECK_EQ(pread(fd, &c, 1, PAGE), 1);
  CHECK_EQ(c, 'm');
  char path[64], link[64];
  sprintf(path, "/proc/self/fd/%d", fd);
  ssize_t n = OK(readlink(path, link, 63));
  link[n] = 0;
  CHECK_STR(link, "/memfd:name (deleted)");
  CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
  CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
  OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
  CHECK_ERR(ftruncate(fd, PAGE), EPERM);
  CHECK_ERR(ftruncate(fd, 3 * PAGE), EPERM);
  OK(munmap(at, 2 * PAGE));
  OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
  CHECK_ERR(write(fd, "x", 1), EPERM);
  CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
  CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
  int plain = OK(memfd_create("", 0));
  CHECK_EQ(fcntl(plain, F_GET_SEALS), F_SEAL_SEAL);
  CHECK_ERR(memfd_create("x", 0x8000), EINVAL);
}

TEST(memfd_shared_with_a_child) {
  int fd = OK(memfd_create("m", 0));
  OK(ftruncate(fd, PAGE));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char *at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    at[0] = 'c';
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  char *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
  CHECK_EQ(at[0], 'c');
}

TEST(bad_pointers_give_efault) {
  char *at = map(2 * PAGE, RW, ANON);
  OK(munmap(at + PAGE, PAGE));
  int zero = OK(open("/dev/zero", O_RDONLY));
  CHECK_EQ(read(zero, at + PAGE - 10, 10), 10);
  CHECK_ERR(read(zero, at + PAGE, 10), EFAULT);
  CHECK_ERR(read(zero, (void *)-1L, 10), EFAULT);
  CHECK_ERR(stat(at + PAGE, &(struct stat){0}), EFAULT);
  CHECK_ERR(stat("/", (struct stat *)(at + PAGE)), EFAULT);
  int fds[2];
  OK(pipe(fds));
  CHECK_ERR(write(fds[1], at + PAGE, 10), EFAULT);
  CHECK_ERR(pipe((int *)(at + PAGE)), EFAULT);
  // A string may end right before the hole.
  strcpy(at + PAGE - 2, "/");
  OK(stat(at + PAGE - 2, &(struct stat){0}));
}

TEST(large_mappings_cost_nothing) {
  size_t size = 64UL << 30;
  char *at = mmap(NULL, size, RW, ANON | MAP_NORESERVE, -1, 0);
  CHECK(at != MAP_FAILED);
  at[0] = at[size / 2] = at[size - 1] = 1;
  CHECK_EQ(at[size / 2], 1);
  OK(munmap(at, size));
}

TEST(many_mappings) {
  char *at = map(2000 * PAGE, RW, ANON);
  for (int i = 0; i < 2000; i += 2) OK(mprotect(at + i * PAGE, PAGE, PROT_READ));
  for (int i = 1; i < 2000; i += 2) at[i * PAGE] = 1;
  OK(mprotect(at, 2000 * PAGE, RW));
  for (int i = 0; i < 2000; i++) at[i * PAGE] = 2;
  OK(munmap(at, 2000 * PAGE));
}

TEST(grows_down) {
  // The stack grows by itself: 4 MiB at once.
  volatile char big[4 << 20];
  big[0] = 1;
  CHECK_EQ(big[0], 1);
}

TEST(maps_file_shows_mappings) {
  char *at = mmap((void *)0x500000000000, 3 * PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0);
  CHECK(at != MAP_FAILED);
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  char line[512];
  int found = 0, stack = 0, self = 0;
  while (fgets(line, sizeof line, maps) != NULL) {
    found += strncmp(line, "500000000000-500000003000 r--p 00000000 00:00 0 ", 48) == 0;
    stack += strstr(line, "[stack]") != NULL;
    self += strstr(line, check_self) != NULL;
  }
  CHECK_EQ(found, 1);
  CHECK_EQ(stack, 1);
  CHECK(self >= 3);
}

TEST(mincore_and_mlock) {
  char *at = map(2 * PAGE, RW, ANON);
  at[0] = 1;
  unsigned char pages[2];
  OK(mincore(at, 2 * PAGE, pages));
  CHECK_EQ(pages[0] & 1, 1);
  OK(munmap(at + PAGE, PAGE));
  CHECK_ERR(mincore(at, 2 * PAGE, pages), ENOMEM);
  OK(mlock(at, PAGE));
  OK(munlock(at, PAGE));
  CHECK_ERR(mlock(at, 2 * PAGE), ENOMEM);
}

TEST(vm_readv_of_a_child) {
  char text[16] = "from the parent";
  pid_t pid = OK(fork());
  if (pid == 0) {
    strcpy(text, "from the child");
    kill(getpid(), SIGSTOP);
    _exit(text[0] == 'F' ? 0 : 1);
  }
  int status;
  OK(waitpid(pid, &status, WUNTRACED));
  char got[16];
  struct iovec mine = {got, 16}, theirs = {text, 16};
  CHECK_EQ(process_vm_readv(pid, &mine, 1, &theirs, 1, 0), 16);
  CHECK_STR(got, "from the child");
  mine = (struct iovec){"F", 1};
  theirs.iov_len = 1;
  CHECK_EQ(process_vm_writev(pid, &mine, 1, &theirs, 1, 0), 1);
  OK(kill(pid, SIGCONT));
  CHECK_EXIT(pid, 0);
}

TEST(address_space_limit) {
  struct rlimit limit = {256 << 20, RLIM_INFINITY};
  OK(setrlimit(RLIMIT_AS, &limit));
  CHECK(mmap(NULL, 1 << 30, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
  CHECK(mmap(NULL, 1 << 20, RW, ANON, -1, 0) != MAP_FAILED);
}

// ---- where Linux puts things (arch/x86/mm/mmap.c) ----

#define PIE_BASE 0x555555554000UL
#define UNMAPPED_BASE 0x2aaaaaaab000UL
#define TIB (1UL << 40)

struct places {
  uintptr_t program, heap, linker, lowest, stack;
};

// Where `cat`, a PIE, finds its parts under a personality and a stack limit (0: as it is).
static struct places places_of(unsigned long persona, rlim_t stack_limit) {
  int ends[2];
  OK(pipe(ends));
  pid_t child = OK(fork());
  if (child == 0) {
    OK(personality(persona));
    struct rlimit limit;
    OK(getrlimit(RLIMIT_STACK, &limit));
    if (stack_limit != 0) limit.rlim_cur = stack_limit;
    OK(setrlimit(RLIMIT_STACK, &limit));
    OK(dup2(ends[1], 1));
    execl("/bin/cat", "cat", "/proc/self/maps", NULL);
    _exit(127);
  }
  close(ends[1]);
  FILE *maps = fdopen(ends[0], "r");
  CHECK(maps != NULL);
  struct places places = {0};
  char line[512];
  while (fgets(line, sizeof line, maps) != NULL) {
    uintptr_t start = strtoul(line, NULL, 16);
    if (places.lowest == 0) places.lowest = start;
    if (places.program == 0 && strstr(line, "/cat\n") != NULL) places.program = start;
    if (places.linker == 0 && strstr(line, "/ld-linux") != NULL) places.linker = start;
    if (strstr(line, "[heap]") != NULL) places.heap = start;
    if (strstr(line, "[stack]") != NULL) places.stack = start;
  }
  fclose(maps);
  int status;
  OK(waitpid(child, &status, 0));
  CHECK_EQ(status, 0);
  CHECK(places.program != 0 && places.heap != 0 && places.linker != 0 && places.stack != 0);
  return places;
}

TEST(programs_lie_where_linux_puts_them) {
  for (int i = 0; i < 8; i++) {
    struct places at = places_of(0, 0);
    CHECK(at.program >= PIE_BASE && at.program < PIE_BASE + TIB);
    CHECK(at.heap > at.program && at.heap < at.program + (2UL << 30));
    // What ThreadSanitizer's map of memory allows for libraries and the stack.
    CHECK(at.linker >= 0x7e8000000000UL);
    CHECK(at.stack > at.linker);
  }
  struct places a = places_of(0, 0), b = places_of(0, 0);
  CHECK(a.program != b.program && a.linker != b.linker && a.stack != b.stack);
}

TEST(personality_no_randomize_lays_out_one_way) {
  struct places a = places_of(ADDR_NO_RANDOMIZE, 0), b = places_of(ADDR_NO_RANDOMIZE, 0);
  CHECK_EQ(a.program, PIE_BASE);
  CHECK(a.heap > PIE_BASE && a.heap < PIE_BASE + (1UL << 20));
  CHECK(memcmp(&a, &b, sizeof a) == 0);
  CHECK(a.stack - a.linker < 256UL << 20);
}

TEST(personality_compat_layout_goes_up_from_a_third) {
  struct places fixed = places_of(ADDR_COMPAT_LAYOUT | ADDR_NO_RANDOMIZE, 0);
  CHECK_EQ(fixed.lowest, UNMAPPED_BASE);
  CHECK_EQ(fixed.linker, UNMAPPED_BASE);
  CHECK_EQ(fixed.program, PIE_BASE);
  struct places at = places_of(ADDR_COMPAT_LAYOUT, 0);
  CHECK_EQ(at.lowest, at.linker);
  CHECK(at.linker >= UNMAPPED_BASE && at.linker < UNMAPPED_BASE + TIB);
  CHECK(at.program >= PIE_BASE);
}

TEST(a_large_stack_limit_leaves_room_for_the_stack) {
  struct rlimit limit;
  OK(getrlimit(RLIMIT_STACK, &limit));
  if (limit.rlim_max != RLIM_INFINITY) exit(CHECK_SKIPPED);
  struct places gib = places_of(ADDR_NO_RANDOMIZE, 1UL << 30);
  CHECK(gib.stack - gib.linker > 1UL << 30);
  CHECK(gib.stack - gib.linker < (1UL << 30) + (64UL << 20));
  // Five sixths of the space at most, which is not the bottom-up layout.
  struct places unlimited = places_of(ADDR_NO_RANDOMIZE, RLIM_INFINITY);
  CHECK_EQ(unlimited.program, PIE_BASE);
  CHECK(unlimited.linker > 0x154000000000UL && unlimited.linker < 0x155555556000UL);
}

static int is_executable(void *addr) {
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  char line[512];
  int found = -1;
  while (fgets(line, sizeof line, maps) != NULL) {
    uintptr_t start = 0, end = 0;
    char rights[5];
    if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3) continue;
    if ((uintptr_t)addr >= start && (uintptr_t)addr < end) found = rights[2] == 'x';
  }
  fclose(maps);
  return found;
}

TEST(personality_read_implies_exec) {
  char *before = map(PAGE, RW, ANON);
  int file = OK(open("f", O_RDWR | O_CREAT, 0600));
  OK(ftruncate(file, PAGE));
  OK(personality(READ_IMPLIES_EXEC));
  CHECK_EQ(is_executable(before), 0);
  OK(mprotect(before, PAGE, PROT_READ));
  CHECK_EQ(is_executable(before), 1);
  OK(mprotect(before, PAGE, PROT_NONE));
  CHECK_EQ(is_executable(before), 0);
  CHECK_EQ(is_executable(map(PAGE, RW, ANON)), 1);
  CHECK_EQ(is_executable(map(PAGE, PROT_NONE, ANON)), 0);
  CHECK_EQ(is_executable(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0)), 1);
  char *heap = sbrk(0);
  OK(brk(heap + 64 * PAGE));
  CHECK_EQ(is_executable(heap + 63 * PAGE), 1);
  // A 64-bit program does not inherit it.
  int status = system("grep -q 00000000 /proc/self/personality");
  CHECK_EQ(status, 0);
}

// An address is exact where a double would not be: these are the kernel's.
TEST(fault_addresses_of_the_upper_half) {
  catch_faults();
  static const uintptr_t places[] = {0xffffffff81000008, 0xffffffffffffff11, 0xffff800000000001};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    CHECK_EQ(touch((volatile char *)places[i], 0), SIGSEGV);
    CHECK_EQ((uintptr_t)fault_addr, places[i]);
    int signal = sigsetjmp(escape, 1);
    if (signal == 0) ((void (*)(void))places[i])();
    CHECK_EQ(signal, SIGSEGV);
    CHECK_EQ((uintptr_t)fault_addr, places[i]);
  }
}

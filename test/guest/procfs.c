// SPDX-License-Identifier: Apache-2.0
// /proc, /sys and /dev: proc(5), sysfs(5), null(4), full(4), random(4).
#include <dirent.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include "check.h"

static char *text_of(const char *path) {
  static char text[1 << 20];
  int fd = OK(open(path, O_RDONLY));
  size_t length = 0;
  ssize_t n;
  while ((n = OK(read(fd, text + length, sizeof text - 1 - length))) > 0) length += n;
  text[length] = 0;
  close(fd);
  return text;
}

static char *process_file(pid_t pid, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return text_of(path);
}

// The value of `NAME:` in a status file; aborts where it is not there.
static const char *field(const char *text, const char *name) {
  char row[64];
  snprintf(row, sizeof row, "\n%s:", name);
  const char *at = strncmp(text, row + 1, strlen(row) - 1) == 0 ? text - 1 : strstr(text, row);
  CHECK(at != NULL);
  at += strlen(row);
  return at + strspn(at, " \t");
}

static const char *link_of(const char *path) {
  static char target[PATH_MAX];
  ssize_t n = OK(readlink(path, target, sizeof target - 1));
  target[n] = 0;
  return target;
}

TEST(self_is_the_caller) {
  CHECK_EQ(atoi(link_of("/proc/self")), getpid());
  char thread[64];
  snprintf(thread, sizeof thread, "%d/task/%d", getpid(), gettid());
  CHECK_STR(link_of("/proc/thread-self"), thread);
}

TEST(stat_fields) {
  char *text = process_file(getpid(), "stat");
  CHECK_EQ(atoi(text), getpid());
  char *end = strrchr(text, ')');
  CHECK(end != NULL);
  char state;
  int parent, group, session, terminal, foreground;
  CHECK_EQ(sscanf(end + 2, "%c %d %d %d %d %d", &state, &parent, &group, &session, &terminal,
                  &foreground),
           6);
  CHECK_EQ(state, 'R');
  CHECK_EQ(parent, getppid());
  CHECK_EQ(group, getpgrp());
  CHECK_EQ(session, getsid(0));
  int fields = 3;
  for (char *at = end + 2; *at != 0; at++) fields += *at == ' ';
  CHECK_EQ(fields, 52);
}

TEST(status_rows) {
  OK(prctl(PR_SET_NAME, "a\nname"));
  char *text = process_file(getpid(), "status");
  CHECK(strncmp(text, "Name:\ta\\nname\n", 14) == 0);
  CHECK_EQ(atoi(field(text, "Pid")), getpid());
  CHECK_EQ(atoi(field(text, "PPid")), getppid());
  CHECK_EQ(atoi(field(text, "Threads")), 1);
  CHECK(atoi(field(text, "VmRSS")) > 0);
  CHECK_EQ(atoi(field(text, "Uid")), (int)getuid());
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  OK(sigprocmask(SIG_BLOCK, &set, NULL));
  signal(SIGUSR2, SIG_IGN);
  raise(SIGUSR1);
  text = process_file(getpid(), "status");
  CHECK_EQ(strtoull(field(text, "SigBlk"), NULL, 16), 1ull << (SIGUSR1 - 1));
  CHECK_EQ(strtoull(field(text, "SigIgn"), NULL, 16) & (1ull << (SIGUSR2 - 1)),
           1ull << (SIGUSR2 - 1));
  CHECK_EQ(strtoull(field(text, "SigPnd"), NULL, 16) | strtoull(field(text, "ShdPnd"), NULL, 16),
           1ull << (SIGUSR1 - 1));
}

TEST(comm_can_be_written) {
  int fd = OK(open("/proc/self/comm", O_RDWR));
  CHECK_EQ(write(fd, "a-name-that-is-too-long", 23), 23);
  CHECK_STR(process_file(getpid(), "comm"), "a-name-that-is-\n");
  char name[16];
  OK(prctl(PR_GET_NAME, name));
  CHECK_STR(name, "a-name-that-is-");
}

TEST(children_and_zombies) {
  pid_t pid = OK(fork());
  if (pid == 0)
    for (;;) pause();
  while (strrchr(process_file(pid, "stat"), ')')[2] != 'S') sleep_ms(1);
  CHECK_EQ(atoi(field(process_file(pid, "status"), "PPid")), getpid());
  OK(kill(pid, SIGSTOP));
  while (strrchr(process_file(pid, "stat"), ')')[2] != 'T') sleep_ms(1);
  OK(kill(pid, SIGKILL));
  while (strrchr(process_file(pid, "stat"), ')')[2] != 'Z') sleep_ms(1);
  CHECK_STR(process_file(pid, "cmdline"), "");
  CHECK_STR(process_file(pid, "maps"), "");
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  char target[64];
  CHECK_ERR(readlink(path, target, sizeof target), ENOENT);
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = OK(open(path, O_RDONLY));
  CHECK_KILLED(pid, SIGKILL);
  CHECK_ERR(read(fd, target, sizeof target), ESRCH);
  CHECK_ERR(open(path, O_RDONLY), ENOENT);
}

TEST(links) {
  char cwd[PATH_MAX];
  CHECK(getcwd(cwd, sizeof cwd) != NULL);
  CHECK_STR(link_of("/proc/self/cwd"), cwd);
  CHECK_STR(link_of("/proc/self/root"), "/");
  CHECK_STR(link_of("/proc/self/exe"), check_self);
  int fd = OK(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  char path[64], want[PATH_MAX + 32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  snprintf(want, sizeof want, "%s/file", cwd);
  CHECK_STR(link_of(path), want);
  CHECK_EQ(write(fd, "text", 4), 4);
  struct stat direct, through;
  OK(fstat(fd, &direct));
  OK(stat(path, &through));
  CHECK_EQ(direct.st_ino, through.st_ino);
  OK(lstat(path, &through));
  CHECK_EQ(through.st_mode, S_IFLNK | 0700);
  OK(unlink("file"));
  strcat(want, " (deleted)");
  CHECK_STR(link_of(path), want);
  // The link still leads to the file without a name, with an offset of its own.
  int again = OK(open(path, O_RDONLY));
  char text[8] = {0};
  CHECK_EQ(read(again, text, 7), 4);
  CHECK_STR(text, "text");
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  char *info = text_of(path);
  CHECK_EQ(atoi(field(info, "pos")), 4);
  CHECK_EQ(strtol(field(info, "flags"), NULL, 8), O_RDWR | O_CLOEXEC | 0100000);
}

TEST(fd_directory) {
  int pipe_ends[2];
  OK(pipe(pipe_ends));
  DIR *dir = opendir("/proc/self/fd");
  CHECK(dir != NULL);
  int seen = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    CHECK_EQ(entry->d_type, DT_LNK);
    int fd = atoi(entry->d_name);
    if (fd == pipe_ends[0] || fd == pipe_ends[1] || fd == dirfd(dir)) seen++;
  }
  CHECK_EQ(seen, 3);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", pipe_ends[0]);
  CHECK(strncmp(link_of(path), "pipe:[", 6) == 0);
  CHECK_ERR(open("/proc/self/fd/999", O_RDONLY), ENOENT);
}

TEST(maps_show_what_is_mapped) {
  char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  OK(mprotect(page, 4096, PROT_NONE));
  char want[64];
  snprintf(want, sizeof want, "%lx-", (unsigned long)page);
  char *text = process_file(getpid(), "maps");
  char *line = strstr(text, want);
  CHECK(line != NULL);
  CHECK(strncmp(strchr(line, ' ') + 1, "---p", 4) == 0);
  CHECK(strstr(text, check_self) != NULL);
  CHECK(strstr(text, "[stack]") != NULL);
  CHECK(strstr(process_file(getpid(), "smaps"), "VmFlags:") != NULL);
  CHECK(strstr(process_file(getpid(), "smaps_rollup"), "[rollup]") != NULL);
}

TEST(cmdline_and_environ) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    char *const argv[] = {"prog", "@wait", "last arg", NULL};
    char *const envp[] = {"A=1", "B=two", NULL};
    execve(check_self, argv, envp);
    _exit(1);
  }
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
  ssize_t n = 0;
  for (int tries = 0; tries < 30000 && n != 20; tries++, sleep_ms(2)) {
    int fd = OK(open(path, O_RDONLY));
    n = OK(read(fd, text, sizeof text));
    close(fd);
  }
  CHECK_EQ(n, 20);
  CHECK(memcmp(text, "prog\0@wait\0last arg\0", 20) == 0);
  snprintf(path, sizeof path, "/proc/%d/environ", pid);
  int fd = OK(open(path, O_RDONLY));
  CHECK_EQ(read(fd, text, sizeof text), 10);
  CHECK(memcmp(text, "A=1\0B=two\0", 10) == 0);
  OK(kill(pid, SIGKILL));
  CHECK_KILLED(pid, SIGKILL);
}

HELPER(wait) {
  (void)argc, (void)argv;
  for (;;) pause();
  return 0;
}

static int foreign_value = 41;

TEST(memory_file) {
  pid_t pid = OK(fork());
  if (pid == 0)
    for (;;) pause();
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int fd = OK(open(path, O_RDWR));
  int value = 0;
  CHECK_EQ(pread(fd, &value, sizeof value, (off_t)(uintptr_t)&foreign_value), sizeof value);
  CHECK_EQ(value, 41);
  value = 42;
  CHECK_EQ(pwrite(fd, &value, sizeof value, (off_t)(uintptr_t)&foreign_value), sizeof value);
  value = 0;
  CHECK_EQ(pread(fd, &value, sizeof value, (off_t)(uintptr_t)&foreign_value), sizeof value);
  CHECK_EQ(value, 42);
  CHECK_EQ(foreign_value, 41);
  CHECK_ERR(pread(fd, &value, sizeof value, 0), EIO);
  OK(kill(pid, SIGKILL));
  CHECK_KILLED(pid, SIGKILL);
}

TEST(other_users_see_little) {
  if (getuid() != 0) SKIP("not root");
  pid_t target = OK(fork());
  if (target == 0)
    for (;;) pause();
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setgid(1234));
    OK(setuid(1234));
    char path[64], target_text[64];
    const char *const hidden[] = {"maps", "environ", "mem", "auxv", "io", "smaps"};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
      snprintf(path, sizeof path, "/proc/%d/%s", target, hidden[i]);
      CHECK_ERR(open(path, O_RDONLY), EACCES);
    }
    snprintf(path, sizeof path, "/proc/%d/fd", target);
    CHECK_ERR(open(path, O_RDONLY), EACCES);
    snprintf(path, sizeof path, "/proc/%d/fd/0", target);
    CHECK_ERR(readlink(path, target_text, sizeof target_text), EACCES);
    snprintf(path, sizeof path, "/proc/%d/exe", target);
    CHECK_ERR(readlink(path, target_text, sizeof target_text), EACCES);
    CHECK(strlen(process_file(target, "stat")) > 0);
    CHECK(strlen(process_file(target, "status")) > 0);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
  OK(kill(target, SIGKILL));
  CHECK_KILLED(target, SIGKILL);
}

TEST(limits_and_adjustments) {
  CHECK(strstr(process_file(getpid(), "limits"), "Max open files") != NULL);
  int fd = OK(open("/proc/self/oom_score_adj", O_RDWR));
  CHECK_EQ(write(fd, "700", 3), 3);
  CHECK_STR(process_file(getpid(), "oom_score_adj"), "700\n");
  CHECK_ERR(write(fd, "1001", 4), EINVAL);
  CHECK_ERR(write(fd, "x", 1), EINVAL);
}

TEST(mounts) {
  char *text = text_of("/proc/self/mountinfo");
  CHECK(strstr(text, " / / ") != NULL);
  CHECK(strstr(text_of("/proc/mounts"), " /proc proc ") != NULL);
  struct statfs status;
  OK(statfs("/proc", &status));
  CHECK_EQ(status.f_type, 0x9fa0);
}

TEST(machine_files) {
  struct utsname names;
  OK(uname(&names));
  char want[80];
  snprintf(want, sizeof want, "%s\n", names.release);
  CHECK_STR(text_of("/proc/sys/kernel/osrelease"), want);
  snprintf(want, sizeof want, "%s\n", names.nodename);
  CHECK_STR(text_of("/proc/sys/kernel/hostname"), want);
  CHECK(strncmp(text_of("/proc/version"), "Linux version ", 14) == 0);
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  CHECK(cpus > 0);
  int shown_cpus = 0;
  for (char *at = text_of("/proc/cpuinfo"); (at = strstr(at, "processor\t:")) != NULL; at++)
    shown_cpus++;
  CHECK(shown_cpus >= cpus);
  char *memory = text_of("/proc/meminfo");
  CHECK(atol(field(memory, "MemTotal")) > 0);
  CHECK(atol(field(memory, "MemFree")) <= atol(field(memory, "MemTotal")));
  CHECK(strncmp(text_of("/proc/stat"), "cpu  ", 5) == 0);
  double up, idle, load[3];
  CHECK_EQ(sscanf(text_of("/proc/uptime"), "%lf %lf", &up, &idle), 2);
  CHECK_EQ(sscanf(text_of("/proc/loadavg"), "%lf %lf %lf", &load[0], &load[1], &load[2]), 3);
  CHECK_EQ(strlen(text_of("/proc/sys/kernel/random/uuid")), 37);
  CHECK(strstr(text_of("/proc/filesystems"), "\ttmpfs\n") != NULL);
  CHECK(text_of("/sys/devices/system/cpu/online")[0] == '0');
}

TEST(reading_in_pieces_and_seeking) {
  int fd = OK(open("/proc/self/limits", O_RDONLY));
  struct stat status;
  OK(fstat(fd, &status));
  CHECK_EQ(status.st_size, 0);
  char first[16], again[16], c;
  CHECK_EQ(read(fd, first, 5), 5);
  CHECK(memcmp(first, "Limit", 5) == 0);
  CHECK_EQ(read(fd, &c, 1), 1);
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  CHECK_EQ(read(fd, again, 5), 5);
  CHECK(memcmp(first, again, 5) == 0);
  CHECK_EQ(pread(fd, again, 4, 1), 4);
  CHECK(memcmp(again, "imit", 4) == 0);
}

TEST(nothing_can_be_made_in_proc) {
  CHECK(open("/proc/new", O_WRONLY | O_CREAT, 0600) < 0);
  CHECK(mkdir("/proc/dir", 0700) < 0);
  CHECK(unlink("/proc/version") < 0);
  CHECK(open("/proc/nothing", O_RDONLY) < 0 && errno == ENOENT);
  CHECK(open("/proc/0", O_RDONLY) < 0 && errno == ENOENT);
  CHECK(open("/proc/01", O_RDONLY) < 0 && errno == ENOENT);
}

TEST(memory_devices) {
  char bytes[64];
  int fd = OK(open("/dev/null", O_RDWR));
  CHECK_EQ(read(fd, bytes, sizeof bytes), 0);
  CHECK_EQ(write(fd, bytes, sizeof bytes), sizeof bytes);
  CHECK_EQ(syscall(SYS_write, fd, 1L, 100L), 100);  // never looked at
  fd = OK(open("/dev/zero", O_RDWR));
  memset(bytes, 1, sizeof bytes);
  CHECK_EQ(read(fd, bytes, sizeof bytes), sizeof bytes);
  for (size_t i = 0; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0);
  char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  CHECK(page != MAP_FAILED);
  CHECK_EQ(page[100], 0);
  page[100] = 1;
  fd = OK(open("/dev/full", O_RDWR));
  CHECK_ERR(write(fd, bytes, 1), ENOSPC);
  CHECK_EQ(read(fd, bytes, sizeof bytes), sizeof bytes);
  fd = OK(open("/dev/urandom", O_RDONLY));
  char other[64];
  CHECK_EQ(read(fd, bytes, sizeof bytes), sizeof bytes);
  CHECK_EQ(read(fd, other, sizeof other), sizeof other);
  CHECK(memcmp(bytes, other, sizeof bytes) != 0);
  struct stat status;
  OK(stat("/dev/null", &status));
  CHECK_EQ(status.st_rdev, makedev(1, 3));
  CHECK(S_ISCHR(status.st_mode));
}

TEST(standard_stream_links) {
  CHECK_STR(link_of("/dev/fd"), "/proc/self/fd");
  int ends[2];
  OK(pipe(ends));
  OK(dup2(ends[0], 0));
  CHECK_EQ(write(ends[1], "x", 1), 1);
  int fd = OK(open("/dev/stdin", O_RDONLY));
  char c;
  CHECK_EQ(read(fd, &c, 1), 1);
  CHECK_EQ(c, 'x');
}

TEST(no_terminal_no_dev_tty) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setsid());
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    _exit(0);
  }
  CHECK_EXIT(pid, 0);
}

static long links_of(const char *path) {
  struct stat st;
  OK(stat(path, &st));
  return (long)st.st_nlink;
}

static long directories_in(const char *path) {
  DIR *dir = opendir(path);
  CHECK(dir != NULL);
  long count = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] != '.' && entry->d_type == DT_DIR) count++;
  }
  closedir(dir);
  return count;
}

static void *wait_for_byte(void *fd) {
  char byte;
  CHECK_EQ(read(*(int *)fd, &byte, 1), 1);
  return NULL;
}

// Chromium's zygote counts its threads by this.
TEST(task_directory_has_a_link_for_each_thread) {
  CHECK_EQ(links_of("/proc/self/task"), 3);
  int ends[2];
  OK(pipe(ends));
  pthread_t threads[3];
  for (int i = 0; i < 3; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_byte, &ends[0]), 0);
  CHECK_EQ(links_of("/proc/self/task"), 6);
  CHECK_EQ(write(ends[1], "abc", 3), 3);
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
  // A thread that was joined is still there for a moment natively.
  for (int i = 0; i < 500 && links_of("/proc/self/task") != 3; i++) usleep(2000);
  CHECK_EQ(links_of("/proc/self/task"), 3);
}

TEST(directories_count_their_directories) {
  static const char *paths[] = {"/proc/self", "/proc/thread-self",   "/proc/tty",
                                "/sys",       "/sys/devices/system", "/sys/devices/system/node"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    if (access(paths[i], F_OK) != 0) continue;
    CHECK_EQ(links_of(paths[i]), 2 + directories_in(paths[i]));
  }
  static const char *flat[] = {"/proc/self/fd", "/proc/self/fdinfo", "/proc/self/ns"};
  for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) CHECK_EQ(links_of(flat[i]), 2);
  // Settings do not count theirs.
  CHECK_EQ(links_of("/proc/sys"), 1);
  CHECK_EQ(links_of("/proc/sys/kernel"), 1);
}

TEST(proc_has_a_link_for_each_process) {
  // Others come and go natively.
  for (int tries = 0; tries < 50; tries++) {
    long before = links_of("/proc");
    pid_t child = OK(fork());
    if (child == 0) {
      pause();
      _exit(0);
    }
    long with_child = links_of("/proc");
    OK(kill(child, SIGKILL));
    OK(waitpid(child, NULL, 0));
    if (with_child == before + 1 && links_of("/proc") == before) return;
  }
  CHECK(!"no link for a child");
}

TEST(fd_directory_has_the_number_of_descriptors_as_its_size) {
  struct stat before, after;
  OK(stat("/proc/self/fd", &before));
  OK(dup2(0, 77));
  OK(stat("/proc/self/fd", &after));
  CHECK_EQ(after.st_size, before.st_size + 1);
  CHECK(before.st_size >= 3);
  OK(stat("/proc/self/fdinfo", &after));
  CHECK_EQ(after.st_size, 0);
}

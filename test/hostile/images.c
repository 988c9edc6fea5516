// SPDX-License-Identifier: Apache-2.0
// Programs that are none: ELF files with one field after the other ruined, and scripts.
#include <elf.h>
#include <sys/resource.h>

#include "hostile.h"

static void try_program(const char *path) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    struct rlimit none = {0, 0}, soon = {1, 1};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &soon);
    close(1);
    close(2);
    alarm(1);
    char *argv[] = {(char *)path, NULL};
    execve(path, argv, argv + 1);
    _exit(77);
  }
  CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static unsigned char image[1 << 16];
static size_t image_bytes;

static void write_image(const char *path, size_t bytes) {
  unlink(path);
  int fd = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755));
  CHECK_EQ(write(fd, image, bytes), bytes);
  OK(close(fd));
}

static void load_true(void) {
  int fd = OK(open("/bin/true", O_RDONLY));
  image_bytes = OK(read(fd, image, sizeof image));
  close(fd);
}

TEST(ruined_program_headers) {
  static const uint64_t values[] = {
      0,      1,          ~0UL,           0x7fffffffffffffff, 0x8000000000000000,
      0x1001, 0xffffffff, 0x7efffffff000, 0x7f0000000000};
  seed_random(3);
  for (int i = 0; i < 150; i++) {
    load_true();
    Elf64_Ehdr *head = (void *)image;
    Elf64_Phdr *segments = (void *)(image + head->e_phoff);
    for (uint64_t n = 1 + random_below(2); n > 0; n--) {
      uint64_t value = values[random_below(9)];
      if (random_below(3) == 0) {
        unsigned char *field = image + 4 + random_below(60);
        *field = (unsigned char)value;
      } else {
        uint64_t *words = (uint64_t *)&segments[random_below(head->e_phnum % 32)];
        words[random_below(7)] = value;
      }
    }
    write_image("bad", image_bytes);
    try_program("./bad");
  }
  check_well();
}

TEST(truncated_programs) {
  load_true();
  static const size_t sizes[] = {0, 1, 4, 16, 63, 64, 65, 120, 800, 4095, 4096, 4097, 8192, 20000};
  for (int i = 0; i < 14; i++) {
    write_image("short", sizes[i]);
    try_program("./short");
  }
  check_well();
}

TEST(random_programs) {
  seed_random(5);
  for (int i = 0; i < 30; i++) {
    for (size_t k = 0; k < 4096; k++) image[k] = (unsigned char)random64();
    if (i % 2) memcpy(image, "\177ELF\2\1\1", 7);
    if (i % 3 == 0) memcpy(image, "#!", 2);
    write_image("random", 4096);
    try_program("./random");
  }
  check_well();
}

TEST(interpreters_of_themselves) {
  put_file("self", "#!./self\n");
  OK(chmod("self", 0755));
  char *argv[] = {"self", NULL};
  CHECK_ERR(execv("./self", argv), ELOOP);
  put_file("directory", "#!/tmp\n");
  OK(chmod("directory", 0755));
  CHECK_ERR(execv("./directory", argv), EACCES);
  put_file("empty", "#!\n");
  OK(chmod("empty", 0755));
  CHECK(execv("./empty", argv) < 0);
  char line[4096] = "#!/bin/true ";
  memset(line + 12, 'x', sizeof line - 13);
  put_file("long", line);
  OK(chmod("long", 0755));
  try_program("./long");
  memset(line + 2, '/', 4000);
  put_file("slashes", line);
  OK(chmod("slashes", 0755));
  try_program("./slashes");
  // An ELF file whose interpreter is itself, a directory, a device, a pipe.
  load_true();
  Elf64_Ehdr *head = (void *)image;
  Elf64_Phdr *segments = (void *)(image + head->e_phoff);
  static const char *const names[] = {"./loop",    "/tmp",   "/dev/zero", "/proc/self/exe",
                                      "/dev/null", "./fifo", ""};
  OK(mkfifo("fifo", 0755));
  for (int k = 0; k < 7; k++) {
    for (int i = 0; i < head->e_phnum; i++) {
      if (segments[i].p_type == PT_INTERP) strcpy((char *)image + segments[i].p_offset, names[k]);
    }
    write_image("loop", image_bytes);
    try_program("./loop");
  }
  check_well();
}

TEST(programs_that_change_while_they_start) {
  load_true();
  write_image("changing", image_bytes);
  pid_t pid = OK(fork());
  if (pid == 0) {
    for (;;) {
      int fd = open("changing", O_WRONLY);
      if (fd < 0) continue;
      uint64_t noise = random64();
      (void)!pwrite(fd, &noise, 8, (off_t)random_below(1000));
      (void)!ftruncate(fd, (off_t)random_below(image_bytes));
      (void)!pwrite(fd, image, image_bytes, 0);
      close(fd);
    }
  }
  for (int i = 0; i < 60; i++) try_program("./changing");
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  check_well();
}

// SPDX-License-Identifier: Apache-2.0
// Rights that come with files and that must not be gained, kept or passed on by accident: links in
// directories of all, noexec mounts, set-id bits and capabilities of files that change, programs
// that are open for writing.
#include <linux/capability.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

#include "check.h"

#define USER 1234

static int setting(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/sys/fs/%s", name);
  return atoi(get_file(path));
}

static void become_user(void) {
  OK(setresgid(USER, USER, USER));
  OK(setresuid(USER, USER, USER));
}

// Runs `what` as an ordinary user.
#define AS_USER(WHAT)         \
  do {                        \
    pid_t user_ = OK(fork()); \
    if (user_ == 0) {         \
      become_user();          \
      WHAT;                   \
      _exit(0);               \
    }                         \
    CHECK_EXIT(user_, 0);     \
  } while (0)

TEST(hard_links_to_files_of_others) {
  if (geteuid() != 0) SKIP("needs root");
  if (setting("protected_hardlinks") != 1) SKIP("not protected");
  OK(chmod(".", 0777));
  put_file("readable", "r"), put_file("writable", "w"), put_file("program", "p"),
      put_file("own", "o");
  OK(chmod("writable", 0666));
  OK(chmod("program", 04777));
  OK(chown("own", USER, USER));
  OK(mkfifo("fifo", 0666));
  OK(chmod("fifo", 0666));
  AS_USER({
    CHECK_ERR(link("readable", "a"), EPERM);
    OK(link("writable", "b"));
    CHECK_ERR(link("program", "c"), EPERM);
    CHECK_ERR(link("fifo", "d"), EPERM);
    OK(link("own", "e"));
    CHECK_ERR(linkat(AT_FDCWD, "readable", AT_FDCWD, "f", AT_SYMLINK_FOLLOW), EPERM);
  });
  OK(link("readable", "g"));
}

TEST(links_of_others_in_a_sticky_directory) {
  if (geteuid() != 0) SKIP("needs root");
  OK(mkdir("sticky", 0777));
  OK(chmod("sticky", 01777));
  OK(chmod(".", 0755));
  put_file("target", "t");
  OK(symlink("../target", "sticky/root"));
  OK(symlink("..", "sticky/up"));
  AS_USER(OK(symlink("../target", "sticky/user")));
  // The owner of the directory is trusted, other users are not, and nobody's links amid a path are looked at.
  AS_USER(CHECK_STR(get_file("sticky/root"), "t"));
  AS_USER(CHECK_STR(get_file("sticky/user"), "t"));
  CHECK_STR(get_file("sticky/up/target"), "t");
  if (setting("protected_symlinks") == 1) {
    CHECK_ERR(open("sticky/user", O_RDONLY), EACCES);
    struct stat st;
    CHECK_ERR(stat("sticky/user", &st), EACCES);
    OK(lstat("sticky/user", &st));
  } else {
    CHECK_STR(get_file("sticky/user"), "t");
  }
}

TEST(files_of_others_in_a_sticky_directory) {
  if (geteuid() != 0) SKIP("needs root");
  OK(chmod(".", 0755));
  OK(mkdir("sticky", 0777));
  OK(chmod("sticky", 01777));
  AS_USER({
    umask(0);
    OK(open("sticky/file", O_RDWR | O_CREAT, 0666));
    OK(mkfifo("sticky/fifo", 0666));
  });
  OK(open("sticky/file", O_RDWR));
  AS_USER(OK(open("sticky/file", O_RDWR | O_CREAT, 0666)));
  if (setting("protected_regular") > 0) {
    CHECK_ERR(open("sticky/file", O_RDWR | O_CREAT, 0666), EACCES);
    CHECK_ERR(open("sticky/file", O_RDWR | O_CREAT | O_TRUNC, 0666), EACCES);
  } else {
    OK(open("sticky/file", O_RDWR | O_CREAT, 0666));
  }
  CHECK_ERR(open("sticky/file", O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
  if (setting("protected_fifos") > 0) {
    CHECK_ERR(open("sticky/fifo", O_RDWR | O_CREAT, 0666), EACCES);
  } else {
    OK(open("sticky/fifo", O_RDWR | O_CREAT, 0666));
  }
}

TEST(no_code_from_noexec_mounts) {
  if (geteuid() != 0) SKIP("needs root");
  // A sandbox has mounts of its own, and no more namespaces of them.
  if (unshare(CLONE_NEWNS) == 0) OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  OK(mkdir("m", 0700));
  OK(mount("none", "m", "tmpfs", MS_NOEXEC, NULL));
  put_file("m/code", "#!/bin/true\n");
  OK(chmod("m/code", 0755));
  int fd = OK(open("m/code", O_RDWR));
  for (int shared = 0; shared < 2; shared++) {
    int flags = shared ? MAP_SHARED : MAP_PRIVATE;
    CHECK_ERR((long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, flags, fd, 0), EPERM);
    char *data = mmap(NULL, 4096, PROT_READ, flags, fd, 0);
    CHECK(data != MAP_FAILED);
    CHECK_ERR(mprotect(data, 4096, PROT_READ | PROT_EXEC), EACCES);
    OK(mprotect(data, 4096, PROT_READ | PROT_WRITE));
  }
  char *arguments[] = {"code", NULL};
  CHECK_ERR(execv("m/code", arguments), EACCES);
  int outside = OK(memfd_create("code", 0));
  OK(ftruncate(outside, 4096));
  CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, outside, 0) != MAP_FAILED);
}

static const struct vfs_cap_data capabilities = {.magic_etc = VFS_CAP_REVISION_2,
                                                 .data = {{.permitted = 1 << CAP_NET_RAW}}};

static void give_privileges(const char *path) {
  OK(chmod(path, 06755));
  OK(setxattr(path, "security.capability", &capabilities, sizeof capabilities, 0));
}

static int has_capabilities(const char *path) {
  char value[64];
  if (getxattr(path, "security.capability", value, sizeof value) > 0) return 1;
  CHECK_EQ(errno, ENODATA);
  return 0;
}

static int mode_of(const char *path) {
  struct stat st;
  OK(stat(path, &st));
  return st.st_mode & 07777;
}

// The form is judged before the right to set them.
TEST(capabilities_of_files_have_a_form) {
  put_file("f", "x");
  OK(chmod("f", 0777));
  OK(chmod(".", 0777));
  for (int user = 0; user < 2; user++) {
    static const uint32_t wrong[][6] = {{0x02000002, 1}, {0x04000000, 1}, {0x02000000, 1}};
    CHECK_ERR(setxattr("f", "security.capability", "garbagegarbagegarbag", 20, 0), EINVAL);
    CHECK_ERR(setxattr("f", "security.capability", "abc", 3, 0), EINVAL);
    CHECK_ERR(setxattr("f", "security.capability", wrong[0], 20, 0), EINVAL);
    CHECK_ERR(setxattr("f", "security.capability", wrong[1], 24, 0), EINVAL);
    CHECK_ERR(setxattr("f", "security.capability", wrong[2], 24, 0), EINVAL);
    if (geteuid() != 0) {
      CHECK_ERR(setxattr("f", "security.capability", wrong[2], 20, 0), EPERM);
      return;
    }
    OK(setxattr("f", "security.capability", wrong[2], 20, 0));
    OK(setresuid(6000, 6000, 6000));
  }
}

TEST(changed_files_lose_their_capabilities) {
  if (geteuid() != 0) SKIP("needs root");
  put_file("f", "0123456789");
  if (setxattr("f", "security.capability", &capabilities, sizeof capabilities, 0) < 0)
    SKIP("no capabilities of files here");
  int fd = OK(open("f", O_RDWR)), other = OK(open("other", O_RDWR | O_CREAT, 0600)), ends[2];
  OK(pipe(ends));
  OK(write(other, "0123456789", 10));
  // Root keeps the set-id bits of what it writes (CAP_FSETID), but no capabilities.
  for (int how = 0; how < 10; how++) {
    off_t in = 0, out = 0;
    give_privileges("f");
    CHECK(has_capabilities("f"));
    CHECK_EQ(mode_of("f"), 06755);
    switch (how) {
      case 0:
        OK(pwrite(fd, "x", 1, 0));
        break;
      case 1:
        OK(write(fd, "x", 1));
        break;
      case 2:
        OK(ftruncate(fd, 8));
        break;
      case 3:
        OK(truncate("f", 9));
        break;
      case 4:
        OK(open("f", O_WRONLY | O_TRUNC));
        break;
      case 5:
        OK(fallocate(fd, 0, 0, 100));
        break;
      case 6:
        OK(sendfile(fd, other, &in, 4));
        break;
      case 7:
        OK(copy_file_range(other, &in, fd, &out, 4, 0));
        break;
      case 8:
        OK(write(ends[1], "pipe", 4));
        OK(splice(ends[0], NULL, fd, NULL, 4, 0));
        break;
      default:
        OK(chown("f", 0, 0));
        break;
    }
    CHECK_EQ(has_capabilities("f"), 0);
    CHECK_EQ(mode_of("f"), how == 9 ? 0755 : 06755);
  }
  give_privileges("f");
  OK(chmod("f", 0755));
  OK(rename("f", "g"));
  CHECK(has_capabilities("g"));
}

TEST(set_id_bits_of_what_users_write) {
  if (geteuid() != 0) SKIP("needs root");
  OK(chmod(".", 0777));
  put_file("f", "0123456789");
  for (int how = 0; how < 4; how++) {
    OK(chown("f", USER, USER));
    OK(chmod("f", 06777));
    if (how == 3) OK(chmod("f", 02767));
    AS_USER({
      int fd = OK(open("f", O_RDWR));
      if (how == 0) OK(write(fd, "x", 1));
      if (how == 1) OK(ftruncate(fd, 5));
      if (how == 2) OK(chown("f", -1, USER));
      if (how == 3) OK(write(fd, "x", 1));
    });
    // Set-group-ID without the right to execute stays for members of the group.
    CHECK_EQ(mode_of("f"), how == 3 ? 02767 : 0777);
  }
  OK(chown("f", USER, 77));
  OK(chmod("f", 02767));
  AS_USER({
    int fd = OK(open("f", O_RDWR));
    OK(write(fd, "x", 1));
  });
  CHECK_EQ(mode_of("f"), 0767);
}

static void copy_self(const char *to, int mode) {
  int from = OK(open("/proc/self/exe", O_RDONLY)), fd = OK(open(to, O_WRONLY | O_CREAT, 0700));
  struct stat st;
  OK(fstat(from, &st));
  for (off_t left = st.st_size; left > 0;) left -= OK(sendfile(fd, from, NULL, left));
  close(fd);
  OK(chmod(to, mode));
}

HELPER(ids) {
  (void)argc;
  uid_t real, effective, saved;
  OK(getresuid(&real, &effective, &saved));
  int secure = getauxval(AT_SECURE) != 0;
  return (int)effective == atoi(argv[1]) && secure == atoi(argv[2]) ? 0 : 1;
}

static int sleeps(__attribute__((unused)) void *unused) {
  sleep_ms(3000);
  return 0;
}

static int tries(void *path) {
  char *arguments[] = {path, "@ids", "0", "1", NULL};
  execv(path, arguments);
  return 2;
}

static char stack[65536];

TEST(set_user_id_with_a_shared_root) {
  if (geteuid() != 0) SKIP("needs root");
  OK(chmod(".", 0755));
  copy_self("program", 04755);
  char *gains[] = {"./program", "@ids", "0", "1", NULL};
  char *stays[] = {"./program", "@ids", "1234", "1", NULL};
  AS_USER(OK(execv("./program", gains)));
  AS_USER({
    OK(clone(sleeps, stack + sizeof stack, CLONE_FS | SIGCHLD, NULL));
    OK(execv("./program", stays));
  });
  // Threads of the process itself do no harm: they end.
  AS_USER({
    OK(clone(sleeps, stack + sizeof stack, CLONE_FS | CLONE_VM | CLONE_THREAD | CLONE_SIGHAND,
             NULL));
    OK(execv("./program", gains));
  });
  // Who may set ids anyway gets them.
  pid_t pid = OK(fork());
  if (pid == 0) {
    OK(setresuid(USER, 0, 0));
    OK(clone(sleeps, stack + sizeof stack, CLONE_FS | SIGCHLD, NULL));
    _exit(tries("./program"));
  }
  CHECK_EXIT(pid, 0);
}

TEST(programs_that_are_open_for_writing) {
  copy_self("program", 0755);
  put_file("script", "#!./program @ids\n");
  OK(chmod("script", 0755));
  char *arguments[] = {"./program", "@ids", "0", "0", NULL};
  int fd = OK(open("program", O_WRONLY));
  CHECK_ERR(execv("program", arguments), ETXTBSY);
  CHECK_ERR(execv("script", arguments), ETXTBSY);
  int copy = dup(fd);
  close(fd);
  CHECK_ERR(execv("program", arguments), ETXTBSY);
  close(copy);
  fd = OK(open("program", O_RDWR));
  char *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(data != MAP_FAILED);
  close(fd);
  CHECK_ERR(execv("program", arguments), ETXTBSY);
  OK(munmap(data, 4096));
  OK(open("program", O_RDONLY));
  pid_t pid = OK(fork());
  if (pid == 0) {
    char id[16];
    snprintf(id, sizeof id, "%d", geteuid());
    arguments[2] = id;
    execv("program", arguments);
    _exit(3);
  }
  CHECK_EXIT(pid, 0);
}

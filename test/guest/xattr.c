// SPDX-License-Identifier: Apache-2.0
// setxattr(2), getxattr(2), listxattr(2), removexattr(2): each in its three forms (by path, of a
// link, by descriptor).
#include "check.h"

#include <sys/xattr.h>

/* Where the file system of the test's directory has none for users, there is nothing to ask. */
static void need_xattr(void) {
  put_file("f", "");
  if (setxattr("f", "user.probe", "", 0, 0) < 0 && errno == EOPNOTSUPP) SKIP("no user attributes");
  OK(removexattr("f", "user.probe"));
}

TEST(by_descriptor) {
  need_xattr();
  int fd = OK(open("f", O_RDONLY));
  char value[64];
  OK(syscall(SYS_fsetxattr, fd, "user.a", "one", 3, XATTR_CREATE));
  CHECK_ERR(syscall(SYS_fsetxattr, fd, "user.a", "two", 3, XATTR_CREATE), EEXIST);
  OK(syscall(SYS_fsetxattr, fd, "user.a", "three", 5, XATTR_REPLACE));
  CHECK_ERR(syscall(SYS_fsetxattr, fd, "user.b", "", 0, XATTR_REPLACE), ENODATA);
  CHECK_ERR(syscall(SYS_fsetxattr, fd, "user.b", "", 0, 4), EINVAL);
  CHECK_EQ(syscall(SYS_fgetxattr, fd, "user.a", value, sizeof value), 5);
  CHECK(memcmp(value, "three", 5) == 0);
  CHECK_EQ(syscall(SYS_fgetxattr, fd, "user.a", NULL, 0), 5);
  CHECK_ERR(syscall(SYS_fgetxattr, fd, "user.a", value, 4), ERANGE);
  CHECK_ERR(syscall(SYS_fgetxattr, fd, "user.b", value, sizeof value), ENODATA);
  long all = OK(syscall(SYS_flistxattr, fd, NULL, 0));
  CHECK(all >= 7);
  CHECK_ERR(syscall(SYS_flistxattr, fd, value, 1), ERANGE);
  OK(syscall(SYS_fremovexattr, fd, "user.a"));
  CHECK_ERR(syscall(SYS_fremovexattr, fd, "user.a"), ENODATA);
  CHECK_EQ(syscall(SYS_flistxattr, fd, NULL, 0), all - 7);
  int path = OK(open("f", O_PATH));
  CHECK_ERR(syscall(SYS_fgetxattr, path, "user.a", NULL, 0), EBADF);
  CHECK_ERR(syscall(SYS_fsetxattr, path, "user.a", "", 0, 0), EBADF);
  CHECK_ERR(syscall(SYS_flistxattr, path, NULL, 0), EBADF);
  CHECK_ERR(syscall(SYS_fremovexattr, path, "user.a"), EBADF);
}

/* user(7) attributes are of files and directories: a link has none of its own (xattr(7)). */
TEST(of_a_link) {
  need_xattr();
  OK(symlink("f", "l"));
  char value[64];
  OK(setxattr("l", "user.a", "one", 3, 0));
  CHECK_EQ(getxattr("f", "user.a", value, sizeof value), 3);
  CHECK_ERR(syscall(SYS_lsetxattr, "l", "user.a", "two", 3, 0), EPERM);
  CHECK_ERR(syscall(SYS_lgetxattr, "l", "user.a", value, sizeof value), ENODATA);
  CHECK_ERR(syscall(SYS_lremovexattr, "l", "user.a"), EPERM);
  long names = OK(syscall(SYS_llistxattr, "l", value, sizeof value));
  for (char *name = value; name < value + names; name += strlen(name) + 1) {
    CHECK(strncmp(name, "user.", 5) != 0);
  }
  CHECK_EQ(syscall(SYS_lgetxattr, "f", "user.a", value, sizeof value), 3);
  OK(syscall(SYS_lsetxattr, "f", "user.b", "22", 2, 0));
  CHECK(syscall(SYS_llistxattr, "f", value, sizeof value) >= 14);
  OK(syscall(SYS_lremovexattr, "f", "user.b"));
  CHECK_ERR(syscall(SYS_lgetxattr, "f", "user.b", value, sizeof value), ENODATA);
}

TEST(names_and_sizes) {
  need_xattr();
  char long_name[300], value[8];
  memset(long_name, 'x', sizeof long_name);
  memcpy(long_name, "user.", 5);
  long_name[256] = 0;
  CHECK_ERR(setxattr("f", long_name, "", 0, 0), ERANGE);
  CHECK_ERR(setxattr("f", "", "", 0, 0), ERANGE);
  CHECK_ERR(setxattr("f", "nowhere.a", "", 0, 0), EOPNOTSUPP);
  CHECK_ERR(setxattr("f", "user.", "", 0, 0), EINVAL);
  CHECK_ERR(getxattr("f", "user.", value, sizeof value), EINVAL);
  CHECK_ERR(removexattr("f", "user."), EINVAL);
  CHECK_ERR(getxattr("f", "trusted.", value, sizeof value), geteuid() == 0 ? EINVAL : ENODATA);
  CHECK_ERR(setxattr("f", "user.a", "", 65537, 0), E2BIG);
  CHECK_ERR(setxattr("no", "user.a", "", 0, 0), ENOENT);
  CHECK_ERR(setxattr("f", "user.a", (void *)8, 1, 0), EFAULT);
  CHECK_ERR(getxattr("f", (void *)8, value, sizeof value), EFAULT);
  OK(setxattr("f", "user.a", "", 0, 0));
  CHECK_EQ(getxattr("f", "user.a", value, sizeof value), 0);
}

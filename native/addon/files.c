// SPDX-License-Identifier: Apache-2.0
/*
 * Host file calls of the Gofer and the Sentry.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <sys/uio.h>
#include <unistd.h>

#include "addon/addon.h"

static napi_value Close(napi_env env, napi_callback_info info) {
  ARGS(1);
  return answer(env, host(close(arg_int(env, argv[0]))));
}

/* dup(fd) -> fd with close-on-exec. */
static napi_value Dup(napi_env env, napi_callback_info info) {
  ARGS(1);
  return answer(env, host(fcntl(arg_int(env, argv[0]), F_DUPFD_CLOEXEC, 0)));
}

/* Clips [offset, offset + length) to the span. */
static struct span slice(struct span whole, int64_t offset, int64_t length) {
  if (offset < 0 || length < 0 || (uint64_t)offset > whole.length) return (struct span){NULL, 0};
  size_t rest = whole.length - (size_t)offset;
  return (struct span){whole.data + offset, (size_t)length < rest ? (size_t)length : rest};
}

/* read(fd, bytes, offset, length) */
static napi_value Read(napi_env env, napi_callback_info info) {
  ARGS(4);
  struct span to = slice(arg_span(env, argv[1]), arg_i64(env, argv[2]), arg_i64(env, argv[3]));
  return answer(env, host(read(arg_int(env, argv[0]), to.data, to.length)));
}

/* write(fd, bytes, offset, length) */
static napi_value Write(napi_env env, napi_callback_info info) {
  ARGS(4);
  struct span from = slice(arg_span(env, argv[1]), arg_i64(env, argv[2]), arg_i64(env, argv[3]));
  return answer(env, host(write(arg_int(env, argv[0]), from.data, from.length)));
}

/*
 * pread(fd, bytes, offset, length, position). By preadv2, which guest streams need as well: one
 * host call fewer in the lists.
 */
static napi_value Pread(napi_env env, napi_callback_info info) {
  ARGS(5);
  struct span to = slice(arg_span(env, argv[1]), arg_i64(env, argv[2]), arg_i64(env, argv[3]));
  int64_t position = arg_i64(env, argv[4]);
  if (position < 0) return answer(env, -EINVAL);
  struct iovec part = {to.data, to.length};
  return answer(env, host(preadv2(arg_int(env, argv[0]), &part, 1, position, 0)));
}

/* pwrite(fd, bytes, offset, length, position) */
static napi_value Pwrite(napi_env env, napi_callback_info info) {
  ARGS(5);
  struct span from = slice(arg_span(env, argv[1]), arg_i64(env, argv[2]), arg_i64(env, argv[3]));
  return answer(env,
                host(pwrite(arg_int(env, argv[0]), from.data, from.length, arg_i64(env, argv[4]))));
}

/* ftruncate(fd, length) */
static napi_value Ftruncate(napi_env env, napi_callback_info info) {
  ARGS(2);
  return answer(env, host(ftruncate(arg_int(env, argv[0]), arg_i64(env, argv[1]))));
}

/* memfdCreate(name, flags) */
static napi_value MemfdCreate(napi_env env, napi_callback_info info) {
  ARGS(2);
  char name[256];
  long bad = arg_string(env, argv[0], name, sizeof name);
  if (bad < 0) return answer(env, bad);
  return answer(env, host(memfd_create(name, arg_u32(env, argv[1]))));
}

/* addSeals(fd, seals): fcntl(F_ADD_SEALS) */
static napi_value AddSeals(napi_env env, napi_callback_info info) {
  ARGS(2);
  return answer(env, host(fcntl(arg_int(env, argv[0]), F_ADD_SEALS, arg_u32(env, argv[1]))));
}

/* pipe(out: Int32Array): reading end to out[0], writing end to out[1]; both close at exec. */
static napi_value Pipe(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span out = arg_span(env, argv[0]);
  int ends[2];
  if (out.length < sizeof ends) return answer(env, -EINVAL);
  if (pipe2(ends, O_CLOEXEC) < 0) return answer(env, -errno);
  memcpy(out.data, ends, sizeof ends);
  return answer(env, 0);
}

enum { PATH_BYTES = 4096, XATTR_NAME_BYTES = 256 };

/* Declares `name`, a NUL-terminated copy of a string argument; answers its error. */
#define STRING_ARG(variable, index, size)                                          \
  char variable[size];                                                             \
  do {                                                                             \
    long bad_##variable = arg_string(env, argv[index], variable, sizeof variable); \
    if (bad_##variable < 0) return answer(env, bad_##variable);                    \
  } while (0)

/* openat2(dirfd, path, flags, mode, resolve) -> fd with close-on-exec */
static napi_value Openat2(napi_env env, napi_callback_info info) {
  ARGS(5);
  STRING_ARG(path, 1, PATH_BYTES);
  struct open_how how = {.flags = arg_u32(env, argv[2]) | O_CLOEXEC,
                         .mode = arg_u32(env, argv[3]),
                         .resolve = arg_u32(env, argv[4])};
  return answer(env, host(syscall(SYS_openat2, arg_int(env, argv[0]), path, &how, sizeof how)));
}

/*
 * statx(dirfd, path, flags, out: Uint8Array, offset): struct statx at out[offset], basic stats,
 * birth time, mount id
 */
static napi_value Statx(napi_env env, napi_callback_info info) {
  ARGS(5);
  STRING_ARG(path, 1, PATH_BYTES);
  struct span out = slice(arg_span(env, argv[3]), arg_i64(env, argv[4]), sizeof(struct statx));
  if (out.length < sizeof(struct statx)) return answer(env, -EINVAL);
  struct statx result;
  memset(&result, 0, sizeof result);
  long done = host(statx(arg_int(env, argv[0]), path, arg_int(env, argv[2]),
                         STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &result));
  if (done >= 0) memcpy(out.data, &result, sizeof result);
  return answer(env, done);
}

/* getdents64(fd, bytes) -> bytes filled */
static napi_value Getdents64(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span to = arg_span(env, argv[1]);
  return answer(env, host(syscall(SYS_getdents64, arg_int(env, argv[0]), to.data, to.length)));
}

/* readlinkat(dirfd, path, bytes) -> length */
static napi_value Readlinkat(napi_env env, napi_callback_info info) {
  ARGS(3);
  STRING_ARG(path, 1, PATH_BYTES);
  struct span to = arg_span(env, argv[2]);
  return answer(env, host(readlinkat(arg_int(env, argv[0]), path, (char *)to.data, to.length)));
}

/* lseek(fd, offset, whence) */
static napi_value Lseek(napi_env env, napi_callback_info info) {
  ARGS(3);
  return answer(env,
                host(lseek(arg_int(env, argv[0]), arg_i64(env, argv[1]), arg_int(env, argv[2]))));
}

/* fallocate(fd, mode, offset, length) */
static napi_value Fallocate(napi_env env, napi_callback_info info) {
  ARGS(4);
  return answer(env, host(fallocate(arg_int(env, argv[0]), arg_int(env, argv[1]),
                                    arg_i64(env, argv[2]), arg_i64(env, argv[3]))));
}

/* fsync(fd) */
static napi_value Fsync(napi_env env, napi_callback_info info) {
  ARGS(1);
  return answer(env, host(fsync(arg_int(env, argv[0]))));
}

/* fstatfs(fd, out: Float64Array(8)): type bsize blocks bfree bavail files ffree namelen */
static napi_value Fstatfs(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span out = arg_span(env, argv[1]);
  struct statfs result;
  if (out.length < 8 * sizeof(double)) return answer(env, -EINVAL);
  if (fstatfs(arg_int(env, argv[0]), &result) < 0) return answer(env, -errno);
  double values[8] = {(double)result.f_type,  (double)result.f_bsize,  (double)result.f_blocks,
                      (double)result.f_bfree, (double)result.f_bavail, (double)result.f_files,
                      (double)result.f_ffree, (double)result.f_namelen};
  memcpy(out.data, values, sizeof values);
  return answer(env, 0);
}

static int own_descriptors = -1;
/* /proc is that of this process's PID namespace: numbers mean the same here and there. */
static int proc_is_ours;

/* Opens /proc/self/fd the first time: that must be before the process is confined. */
static int open_own_descriptors(void) {
  if (own_descriptors >= 0) return own_descriptors;
  own_descriptors = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (own_descriptors < 0) return -errno;
  char link[16] = {0};
  proc_is_ours = readlink("/proc/self", link, sizeof link - 1) > 0 && atoi(link) == getpid();
  return own_descriptors;
}

/*
 * reopen(fd, flags) -> another open file description of the same file, with other rights: a read-only one of
 * a memfd. The first call opens /proc/self/fd and keeps it, so it must come before the process is confined.
 */
static napi_value Reopen(napi_env env, napi_callback_info info) {
  ARGS(2);
  int descriptors = open_own_descriptors();
  if (descriptors < 0 || arg_int(env, argv[0]) < 0) return answer(env, descriptors);
  char name[16];
  snprintf(name, sizeof name, "%d", arg_int(env, argv[0]));
  /* openat2: the filters forbid openat, which glibc uses for files of its own. */
  struct open_how how = {.flags = arg_u32(env, argv[1]) | O_CLOEXEC};
  return answer(env, host(syscall(SYS_openat2, descriptors, name, &how, sizeof how)));
}

/* A file of /proc/PID, which lies two steps above /proc/self/fd. */
static int open_process_file(int pid, const char *name) {
  int descriptors = open_own_descriptors();
  char path[64];
  if (descriptors < 0 || !proc_is_ours) return -1;
  snprintf(path, sizeof path, "../../%d/%s", pid, name);
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC,
                         .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
  return (int)syscall(SYS_openat2, descriptors, path, &how, sizeof how);
}

/* Its text. Empty where it is not to be had. */
static void read_process_file(int pid, const char *name, char *text, size_t room) {
  int fd = open_process_file(pid, name);
  text[0] = 0;
  if (fd < 0) return;
  ssize_t length = read(fd, text, room - 1);
  close(fd);
  text[length > 0 ? length : 0] = 0;
}

/* residentBytes(pid) -> bytes of a process that are in memory; 0 where that is not known. */
static napi_value ResidentBytes(napi_env env, napi_callback_info info) {
  ARGS(1);
  char text[64];
  long total = 0, resident = 0;
  read_process_file(arg_int(env, argv[0]), "statm", text, sizeof text);
  if (sscanf(text, "%ld %ld", &total, &resident) != 2) return answer(env, 0);
  return answer(env, resident * 4096);
}

/* A line of /proc/PID/status that is a number of KiB, in bytes; 0 where there is none. */
static long bytes_of_line(const char *status, const char *name) {
  const char *line = strstr(status, name);
  return line == NULL ? 0 : strtoll(line + strlen(name), NULL, 10) * 1024;
}

/*
 * chargedBytes(pid) -> the anonymous memory and page tables of a process; 0 where that is not known.
 */
static napi_value ChargedBytes(napi_env env, napi_callback_info info) {
  ARGS(1);
  char text[8192];
  read_process_file(arg_int(env, argv[0]), "status", text, sizeof text);
  return answer(env, bytes_of_line(text, "\nRssAnon:") + bytes_of_line(text, "\nVmPTE:"));
}

/* countMappings(pid, most) -> how many a process has, as far as `most`; 0 where that is not known. */
static napi_value CountMappings(napi_env env, napi_callback_info info) {
  ARGS(2);
  static char text[65536];
  long count = 0, most = arg_int(env, argv[1]);
  int fd = open_process_file(arg_int(env, argv[0]), "maps");
  if (fd < 0) return answer(env, 0);
  for (ssize_t length; count < most && (length = read(fd, text, sizeof text)) > 0;) {
    for (const char *at = text; (at = memchr(at, '\n', (size_t)(text + length - at))) != NULL;
         at++) {
      count++;
    }
  }
  close(fd);
  return answer(env, count < most ? count : most);
}

/* mkdirat(dirfd, name, mode) */
static napi_value Mkdirat(napi_env env, napi_callback_info info) {
  ARGS(3);
  STRING_ARG(name, 1, PATH_BYTES);
  return answer(env, host(mkdirat(arg_int(env, argv[0]), name, arg_u32(env, argv[2]))));
}

/* mknodat(dirfd, name, mode, rdev) */
static napi_value Mknodat(napi_env env, napi_callback_info info) {
  ARGS(4);
  STRING_ARG(name, 1, PATH_BYTES);
  return answer(env, host(mknodat(arg_int(env, argv[0]), name, arg_u32(env, argv[2]),
                                  (dev_t)arg_i64(env, argv[3]))));
}

/* unlinkat(dirfd, name, flags) */
static napi_value Unlinkat(napi_env env, napi_callback_info info) {
  ARGS(3);
  STRING_ARG(name, 1, PATH_BYTES);
  return answer(env, host(unlinkat(arg_int(env, argv[0]), name, arg_int(env, argv[2]))));
}

/* renameat2(dirfd, name, newDirfd, newName, flags) */
static napi_value Renameat2(napi_env env, napi_callback_info info) {
  ARGS(5);
  STRING_ARG(name, 1, PATH_BYTES);
  STRING_ARG(new_name, 3, PATH_BYTES);
  return answer(env, host(syscall(SYS_renameat2, arg_int(env, argv[0]), name, arg_int(env, argv[2]),
                                  new_name, arg_u32(env, argv[4]))));
}

/* linkat(fd, name, newDirfd, newName, flags) */
static napi_value Linkat(napi_env env, napi_callback_info info) {
  ARGS(5);
  STRING_ARG(name, 1, PATH_BYTES);
  STRING_ARG(new_name, 3, PATH_BYTES);
  return answer(env, host(linkat(arg_int(env, argv[0]), name, arg_int(env, argv[2]), new_name,
                                 arg_int(env, argv[4]))));
}

/* symlinkat(target, dirfd, name) */
static napi_value Symlinkat(napi_env env, napi_callback_info info) {
  ARGS(3);
  STRING_ARG(target, 0, PATH_BYTES);
  STRING_ARG(name, 2, PATH_BYTES);
  return answer(env, host(symlinkat(target, arg_int(env, argv[1]), name)));
}

/*
 * watchFromDescriptors(): the working directory becomes /proc/self/fd, so that watchDirectory can
 * name a descriptor: inotify_add_watch(2) takes paths only. Before the process is confined, after
 * reopen(-1, 0).
 */
static napi_value WatchFromDescriptors(napi_env env, napi_callback_info info) {
  (void)info;
  int descriptors = open_own_descriptors();
  return answer(env, descriptors < 0 ? descriptors : host(fchdir(descriptors)));
}

/* inotifyInit() */
static napi_value InotifyInit(napi_env env, napi_callback_info info) {
  (void)info;
  return answer(env, host(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)));
}

/* watchDirectory(inotifyFd, fd, mask): the directory behind `fd`, which may be O_PATH */
static napi_value WatchDirectory(napi_env env, napi_callback_info info) {
  ARGS(3);
  char name[16];
  snprintf(name, sizeof name, "%d", arg_int(env, argv[1]));
  return answer(env, host(inotify_add_watch(arg_int(env, argv[0]), name, arg_u32(env, argv[2]))));
}

/* unwatch(inotifyFd, watch) */
static napi_value Unwatch(napi_env env, napi_callback_info info) {
  ARGS(2);
  return answer(env, host(inotify_rm_watch(arg_int(env, argv[0]), arg_int(env, argv[1]))));
}

/* fchmod(fd, mode) */
static napi_value Fchmod(napi_env env, napi_callback_info info) {
  ARGS(2);
  return answer(env, host(fchmod(arg_int(env, argv[0]), arg_u32(env, argv[1]))));
}

/*
 * chmodHeld(fd, mode): fchmod(2) of any kind of file, by a descriptor that may be O_PATH. Needs
 * reopen(-1, 0) first.
 */
static napi_value ChmodHeld(napi_env env, napi_callback_info info) {
  ARGS(2);
  int descriptors = open_own_descriptors();
  if (descriptors < 0) return answer(env, descriptors);
  char name[16];
  snprintf(name, sizeof name, "%d", arg_int(env, argv[0]));
  return answer(env, host(syscall(SYS_fchmodat, descriptors, name, arg_u32(env, argv[1]))));
}

/*
 * linkHeld(fd, newDirfd, newName): a name for an open file, as for one of O_TMPFILE. Needs
 * reopen(-1, 0) first.
 */
static napi_value LinkHeld(napi_env env, napi_callback_info info) {
  ARGS(3);
  int descriptors = open_own_descriptors();
  if (descriptors < 0) return answer(env, descriptors);
  char name[16];
  snprintf(name, sizeof name, "%d", arg_int(env, argv[0]));
  STRING_ARG(new_name, 2, PATH_BYTES);
  return answer(
      env, host(linkat(descriptors, name, arg_int(env, argv[1]), new_name, AT_SYMLINK_FOLLOW)));
}

/* fchownat(fd, name, uid, gid, flags); -1 leaves an id */
static napi_value Fchownat(napi_env env, napi_callback_info info) {
  ARGS(5);
  STRING_ARG(name, 1, PATH_BYTES);
  return answer(env, host(fchownat(arg_int(env, argv[0]), name, (uid_t)arg_i64(env, argv[2]),
                                   (gid_t)arg_i64(env, argv[3]), arg_int(env, argv[4]))));
}

/* utimensat(fd, name, atimeSec, atimeNsec, mtimeSec, mtimeNsec, flags) */
static napi_value Utimensat(napi_env env, napi_callback_info info) {
  ARGS(7);
  STRING_ARG(name, 1, PATH_BYTES);
  struct timespec times[2] = {{arg_i64(env, argv[2]), arg_i64(env, argv[3])},
                              {arg_i64(env, argv[4]), arg_i64(env, argv[5])}};
  return answer(env, host(utimensat(arg_int(env, argv[0]), name, times, arg_int(env, argv[6]))));
}

/* fgetxattr(fd, name, out) -> length */
static napi_value Fgetxattr(napi_env env, napi_callback_info info) {
  ARGS(3);
  STRING_ARG(name, 1, XATTR_NAME_BYTES);
  struct span out = arg_span(env, argv[2]);
  return answer(env, host(fgetxattr(arg_int(env, argv[0]), name, out.data, out.length)));
}

/* fsetxattr(fd, name, bytes, length, flags) */
static napi_value Fsetxattr(napi_env env, napi_callback_info info) {
  ARGS(5);
  STRING_ARG(name, 1, XATTR_NAME_BYTES);
  struct span from = slice(arg_span(env, argv[2]), 0, arg_i64(env, argv[3]));
  return answer(env, host(fsetxattr(arg_int(env, argv[0]), name, from.data, from.length,
                                    arg_int(env, argv[4]))));
}

/* flistxattr(fd, out) -> length */
static napi_value Flistxattr(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span out = arg_span(env, argv[1]);
  return answer(env, host(flistxattr(arg_int(env, argv[0]), (char *)out.data, out.length)));
}

/* fremovexattr(fd, name) */
static napi_value Fremovexattr(napi_env env, napi_callback_info info) {
  ARGS(2);
  STRING_ARG(name, 1, XATTR_NAME_BYTES);
  return answer(env, host(fremovexattr(arg_int(env, argv[0]), name)));
}

/* pollNow(fd, events) -> revents */
static napi_value PollNow(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct pollfd one = {.fd = arg_int(env, argv[0]), .events = (short)arg_int(env, argv[1])};
  long ready = host(poll(&one, 1, 0));
  return answer(env, ready < 0 ? ready : one.revents);
}

/* readNow(fd, bytes, offset, length): read(2) that answers -EAGAIN rather than wait. */
static napi_value ReadNow(napi_env env, napi_callback_info info) {
  ARGS(4);
  int fd = arg_int(env, argv[0]);
  struct span to = slice(arg_span(env, argv[1]), arg_i64(env, argv[2]), arg_i64(env, argv[3]));
  struct iovec part = {.iov_base = to.data, .iov_len = to.length};
  long count = host(preadv2(fd, &part, 1, -1, RWF_NOWAIT));
  if (count != -EOPNOTSUPP && count != -ENOSYS) return answer(env, count);
  /* Terminals and some devices do not know RWF_NOWAIT. */
  struct pollfd one = {.fd = fd, .events = POLLIN};
  long ready = host(poll(&one, 1, 0));
  if (ready <= 0) return answer(env, ready < 0 ? ready : -EAGAIN);
  return answer(env, host(read(fd, to.data, to.length)));
}

/* statusFlags(fd): fcntl(F_GETFL). */
static napi_value StatusFlags(napi_env env, napi_callback_info info) {
  ARGS(1);
  return answer(env, host(fcntl(arg_int(env, argv[0]), F_GETFL)));
}

const struct addon_function files_functions[] = {
    {"pollNow", PollNow},
    {"readNow", ReadNow},
    {"statusFlags", StatusFlags},
    {"close", Close},
    {"dup", Dup},
    {"read", Read},
    {"write", Write},
    {"pread", Pread},
    {"pwrite", Pwrite},
    {"ftruncate", Ftruncate},
    {"memfdCreate", MemfdCreate},
    {"addSeals", AddSeals},
    {"pipe", Pipe},
    {"openat2", Openat2},
    {"statx", Statx},
    {"getdents64", Getdents64},
    {"readlinkat", Readlinkat},
    {"lseek", Lseek},
    {"fallocate", Fallocate},
    {"fsync", Fsync},
    {"fstatfs", Fstatfs},
    {"reopen", Reopen},
    {"residentBytes", ResidentBytes},
    {"chargedBytes", ChargedBytes},
    {"countMappings", CountMappings},
    {"mkdirat", Mkdirat},
    {"mknodat", Mknodat},
    {"unlinkat", Unlinkat},
    {"renameat2", Renameat2},
    {"linkat", Linkat},
    {"symlinkat", Symlinkat},
    {"watchFromDescriptors", WatchFromDescriptors},
    {"inotifyInit", InotifyInit},
    {"watchDirectory", WatchDirectory},
    {"unwatch", Unwatch},
    {"fchmod", Fchmod},
    {"chmodHeld", ChmodHeld},
    {"linkHeld", LinkHeld},
    {"fchownat", Fchownat},
    {"utimensat", Utimensat},
    {"fgetxattr", Fgetxattr},
    {"fsetxattr", Fsetxattr},
    {"flistxattr", Flistxattr},
    {"fremovexattr", Fremovexattr},
    {NULL, NULL},
};

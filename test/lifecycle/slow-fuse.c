// SPDX-License-Identifier: Apache-2.0
/*
 * A file system with one file, whose answer to one kind of request waits for a byte on standard input:
 *
 *   slow-fuse DIRECTORY read|write|fsync [direct]
 *
 * It says `ready` once it is mounted and `held` when the request has come. Everything else is answered at
 * once, meanwhile too. With `direct` the host keeps nothing of the file in its page cache. At the end of
 * its input it ends.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILE_NODE = 2, FILE_BYTES = 1 << 20, BUFFER_BYTES = 1 << 21 };

static int device;
static bool direct;
static char contents[FILE_BYTES];
static char buffer[BUFFER_BYTES];

static void reply(uint64_t unique, int error, const void *body, size_t length) {
  struct fuse_out_header header = {.len = sizeof header, .error = error, .unique = unique};
  struct iovec parts[2] = {{&header, sizeof header}, {(void *)body, length}};
  if (error == 0) header.len += length;
  /* ENOENT: whoever asked has been interrupted. */
  if (writev(device, parts, error == 0 ? 2 : 1) < 0 && errno != ENOENT) warn("reply");
}

static struct fuse_attr attributes(uint64_t node) {
  bool is_file = node == FILE_NODE;
  return (struct fuse_attr){.ino = node,
                            .size = is_file ? FILE_BYTES : 0,
                            .blocks = is_file ? FILE_BYTES / 512 : 0,
                            .mode = is_file ? S_IFREG | 0666 : S_IFDIR | 0755,
                            .nlink = 1,
                            .blksize = 4096};
}

static void initialize(uint64_t unique, const struct fuse_init_in *in) {
  struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                              .minor = FUSE_KERNEL_MINOR_VERSION,
                              .max_readahead = in->max_readahead,
                              .max_write = 128 * 1024};
  reply(unique, 0, &out, sizeof out);
}

static void answer(const struct fuse_in_header *request, const void *body) {
  uint64_t unique = request->unique;
  switch (request->opcode) {
    case FUSE_INIT:
      initialize(unique, body);
      return;
    case FUSE_LOOKUP: {
      struct fuse_entry_out out = {
          .nodeid = FILE_NODE, .attr_valid = 1000, .entry_valid = 1000, .attr = attributes(2)};
      reply(unique, strcmp(body, "file") == 0 ? 0 : -ENOENT, &out, sizeof out);
      return;
    }
    case FUSE_GETATTR:
    case FUSE_SETATTR: {
      struct fuse_attr_out out = {.attr_valid = 1000, .attr = attributes(request->nodeid)};
      reply(unique, 0, &out, sizeof out);
      return;
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
      struct fuse_open_out out = {.open_flags = direct ? FOPEN_DIRECT_IO : 0};
      reply(unique, 0, &out, sizeof out);
      return;
    }
    case FUSE_READ: {
      const struct fuse_read_in *in = body;
      size_t left = in->offset < FILE_BYTES ? FILE_BYTES - in->offset : 0;
      reply(unique, 0, contents + in->offset, in->size < left ? in->size : left);
      return;
    }
    case FUSE_WRITE: {
      const struct fuse_write_in *in = body;
      if (in->offset + in->size <= FILE_BYTES) memcpy(contents + in->offset, in + 1, in->size);
      struct fuse_write_out out = {.size = in->size};
      reply(unique, 0, &out, sizeof out);
      return;
    }
    case FUSE_STATFS: {
      struct fuse_statfs_out out = {.st = {.bsize = 4096, .namelen = 255}};
      reply(unique, 0, &out, sizeof out);
      return;
    }
    case FUSE_READDIR:
    case FUSE_FSYNC:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
      reply(unique, 0, NULL, 0);
      return;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      return;
    default:
      reply(unique, -ENOSYS, NULL, 0);
  }
}

static uint32_t opcode_of(const char *name) {
  if (strcmp(name, "read") == 0) return FUSE_READ;
  if (strcmp(name, "write") == 0) return FUSE_WRITE;
  return FUSE_FSYNC;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  uint32_t slow = opcode_of(argv[2]);
  direct = argc > 3;
  memset(contents, 'x', sizeof contents);
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) err(1, "/dev/fuse");
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
           device);
  if (mount("slow-fuse", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0) err(1, "mount");
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");

  static char held[BUFFER_BYTES];
  bool is_held = false;
  bool was_held = false;
  for (;;) {
    struct pollfd both[2] = {{.fd = device, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    if (poll(both, 2, -1) < 0) continue;
    if (both[1].revents != 0) {
      char byte;
      if (read(0, &byte, 1) <= 0) break;
      const struct fuse_in_header *request = (const void *)held;
      if (is_held) answer(request, request + 1);
      is_held = false;
    }
    if (both[0].revents == 0) continue;
    if (read(device, buffer, sizeof buffer) < 0) {
      if (errno == ENODEV) break;
      continue;
    }
    const struct fuse_in_header *request = (const void *)buffer;
    if (request->opcode != slow || was_held) {
      answer(request, request + 1);
      continue;
    }
    memcpy(held, buffer, request->len);
    is_held = was_held = true;
    puts("held");
  }
  umount2(argv[1], MNT_DETACH);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Messages with descriptors over AF_UNIX sockets: the Gofer's protocol, stub control sockets, the
 * control channel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "addon/addon.h"

enum { MAX_PASSED_FDS = 253 /* SCM_MAX_FD */ };

/* socketpair(type, out: Int32Array) -> 0; AF_UNIX, close-on-exec. */
static napi_value Socketpair(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span out = arg_span(env, argv[1]);
  if (out.length < 2 * sizeof(int)) return answer(env, -EINVAL);
  int pair[2];
  if (socketpair(AF_UNIX, arg_int(env, argv[0]) | SOCK_CLOEXEC, 0, pair) < 0) {
    return answer(env, -errno);
  }
  memcpy(out.data, pair, sizeof pair);
  return answer(env, 0);
}

/* sendMessage(fd, bytes, length, fds: Int32Array | undefined, fdCount, flags) -> bytes sent */
static napi_value SendMessage(napi_env env, napi_callback_info info) {
  ARGS(6);
  struct span bytes = arg_span(env, argv[1]);
  size_t length = (size_t)arg_i64(env, argv[2]);
  struct span fds = arg_span(env, argv[3]);
  size_t count = arg_u32(env, argv[4]);
  if (length > bytes.length || count > MAX_PASSED_FDS || count * sizeof(int) > fds.length) {
    return answer(env, -EINVAL);
  }

  struct iovec part = {bytes.data, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  union {
    char bytes[CMSG_SPACE(MAX_PASSED_FDS * sizeof(int))];
    struct cmsghdr align;
  } control;
  if (count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds.data, count * sizeof(int));
  }
  return answer(
      env, host(sendmsg(arg_int(env, argv[0]), &message, arg_int(env, argv[5]) | MSG_NOSIGNAL)));
}

/* Moves SCM_RIGHTS descriptors to out, closes those that do not fit. The number kept. */
static size_t take_descriptors(struct msghdr *message, struct span out) {
  size_t kept = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      if ((kept + 2) * sizeof(int) <= out.length) {
        memcpy(out.data + (kept + 1) * sizeof(int), &fd, sizeof fd);
        kept++;
      } else {
        close(fd);
      }
    }
  }
  return kept;
}

/*
 * recvMessage(fd, bytes, fds: Int32Array | undefined, flags) -> bytes received. fds[0] becomes the number of
 * descriptors, fds[1...] the descriptors (close-on-exec); those without room are closed. fds[0] is -1 where
 * this process may have no more descriptors: then none was kept.
 * EMSGSIZE for a message longer than bytes.
 */
static napi_value RecvMessage(napi_env env, napi_callback_info info) {
  ARGS(4);
  struct span bytes = arg_span(env, argv[1]);
  struct span fds = arg_span(env, argv[2]);
  struct iovec part = {bytes.data, bytes.length};
  union {
    char bytes[CMSG_SPACE(MAX_PASSED_FDS * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t received =
      recvmsg(arg_int(env, argv[0]), &message, arg_int(env, argv[3]) | MSG_CMSG_CLOEXEC);
  if (received < 0) return answer(env, -errno);

  int count = (int)take_descriptors(&message, fds);
  /* The table of descriptors is full (or the message had more than anybody sends): none is kept. */
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    for (; count > 0; count--) close(((int *)fds.data)[count]);
    count = -1;
  }
  if (fds.length >= sizeof count) memcpy(fds.data, &count, sizeof count);
  if ((message.msg_flags & MSG_TRUNC) != 0) return answer(env, -EMSGSIZE);
  return answer(env, received);
}

/* acceptConnection(fd): a connection, non-blocking and close-on-exec. */
static napi_value AcceptConnection(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd = accept4(arg_int(env, argv[0]), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return answer(env, host(fd));
}

/* setNonblocking(fd): O_NONBLOCK beside the flags that are there. */
static napi_value SetNonblocking(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd = arg_int(env, argv[0]);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return answer(env, -errno);
  return answer(env, host(fcntl(fd, F_SETFL, flags | O_NONBLOCK)));
}

const struct addon_function sockets_functions[] = {
    {"setNonblocking", SetNonblocking}, {"acceptConnection", AcceptConnection},
    {"socketpair", Socketpair},         {"sendMessage", SendMessage},
    {"recvMessage", RecvMessage},       {NULL, NULL},
};

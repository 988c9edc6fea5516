// SPDX-License-Identifier: Apache-2.0
/*
 * Sockets of the host's network, for sandboxes that share one (sentry/net/host-inet). None of these
 * calls waits: sockets are made non-blocking, and sends and receives say MSG_DONTWAIT besides.
 */
#define _GNU_SOURCE
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addon/addon.h"

static struct sockaddr *address_of(struct span span) {
  return (struct sockaddr *)(void *)span.data;
}

/* hostSocket(domain, type, protocol) -> fd; non-blocking, close-on-exec. */
static napi_value HostSocket(napi_env env, napi_callback_info info) {
  ARGS(3);
  int type = arg_int(env, argv[1]) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return answer(env, host(socket(arg_int(env, argv[0]), type, arg_int(env, argv[2]))));
}

/* bindSocket(fd, address) */
static napi_value BindSocket(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span name = arg_span(env, argv[1]);
  return answer(env, host(bind(arg_int(env, argv[0]), address_of(name), (socklen_t)name.length)));
}

/* connectSocket(fd, address) */
static napi_value ConnectSocket(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span name = arg_span(env, argv[1]);
  return answer(env,
                host(connect(arg_int(env, argv[0]), address_of(name), (socklen_t)name.length)));
}

/* listenSocket(fd, backlog) */
static napi_value ListenSocket(napi_env env, napi_callback_info info) {
  ARGS(2);
  return answer(env, host(listen(arg_int(env, argv[0]), arg_int(env, argv[1]))));
}

/*
 * acceptSocket(fd, name, out: Int32Array(1)) -> fd; non-blocking, close-on-exec. out: bytes of the
 * peer's address.
 */
static napi_value AcceptSocket(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct span name = arg_span(env, argv[1]);
  struct span out = arg_span(env, argv[2]);
  socklen_t length = (socklen_t)name.length;
  if (out.length < sizeof(int32_t)) return answer(env, -EINVAL);
  int fd = accept4(arg_int(env, argv[0]), address_of(name), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  int32_t told = (int32_t)(length < name.length ? length : name.length);
  memcpy(out.data, &told, sizeof told);
  return answer(env, host(fd));
}

/* shutdownSocket(fd, how) */
static napi_value ShutdownSocket(napi_env env, napi_callback_info info) {
  ARGS(2);
  return answer(env, host(shutdown(arg_int(env, argv[0]), arg_int(env, argv[1]))));
}

/* socketName(fd, out, peer: 0 or 1) -> bytes of the address. */
static napi_value SocketName(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd = arg_int(env, argv[0]);
  struct span out = arg_span(env, argv[1]);
  socklen_t length = (socklen_t)out.length;
  int result = arg_int(env, argv[2]) == 0 ? getsockname(fd, address_of(out), &length)
                                          : getpeername(fd, address_of(out), &length);
  if (result < 0) return answer(env, -errno);
  return answer(env, length < out.length ? (long)length : (long)out.length);
}

/* socketOption(fd, level, name, out) -> bytes of the value. */
static napi_value SocketOption(napi_env env, napi_callback_info info) {
  ARGS(4);
  struct span out = arg_span(env, argv[3]);
  socklen_t length = (socklen_t)out.length;
  if (getsockopt(arg_int(env, argv[0]), arg_int(env, argv[1]), arg_int(env, argv[2]), out.data,
                 &length) < 0) {
    return answer(env, -errno);
  }
  return answer(env, length < out.length ? (long)length : (long)out.length);
}

/* setSocketOption(fd, level, name, value) */
static napi_value SetSocketOption(napi_env env, napi_callback_info info) {
  ARGS(4);
  struct span value = arg_span(env, argv[3]);
  return answer(env, host(setsockopt(arg_int(env, argv[0]), arg_int(env, argv[1]),
                                     arg_int(env, argv[2]), value.data, (socklen_t)value.length)));
}

/*
 * sendDatagram(fd, bytes, length, flags, address | undefined, control | undefined) -> bytes sent.
 * Streams too.
 */
static napi_value SendDatagram(napi_env env, napi_callback_info info) {
  ARGS(6);
  struct span bytes = arg_span(env, argv[1]);
  size_t length = (size_t)arg_i64(env, argv[2]);
  if (length > bytes.length) return answer(env, -EINVAL);
  struct span name = arg_span(env, argv[4]);
  struct span control = arg_span(env, argv[5]);
  struct iovec part = {bytes.data, length};
  struct msghdr message = {.msg_name = name.data,
                           .msg_namelen = (socklen_t)name.length,
                           .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.data,
                           .msg_controllen = control.length};
  int flags = arg_int(env, argv[3]) | MSG_DONTWAIT | MSG_NOSIGNAL;
  return answer(env, host(sendmsg(arg_int(env, argv[0]), &message, flags)));
}

/*
 * receiveDatagram(fd, bytes, length, flags, name, control, out: Int32Array(3)) -> bytes received.
 * out: bytes of the sender's address, of control messages, MSG_* flags. Streams too.
 */
static napi_value ReceiveDatagram(napi_env env, napi_callback_info info) {
  ARGS(7);
  struct span bytes = arg_span(env, argv[1]);
  size_t length = (size_t)arg_i64(env, argv[2]);
  struct span name = arg_span(env, argv[4]);
  struct span control = arg_span(env, argv[5]);
  struct span out = arg_span(env, argv[6]);
  if (length > bytes.length || out.length < 3 * sizeof(int32_t)) return answer(env, -EINVAL);
  struct iovec part = {bytes.data, length};
  struct msghdr message = {.msg_name = name.data,
                           .msg_namelen = (socklen_t)name.length,
                           .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.data,
                           .msg_controllen = control.length};
  int flags = arg_int(env, argv[3]) | MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
  ssize_t received = recvmsg(arg_int(env, argv[0]), &message, flags);
  if (received < 0) return answer(env, -errno);
  int32_t told[3] = {(int32_t)message.msg_namelen, (int32_t)message.msg_controllen,
                     message.msg_flags};
  memcpy(out.data, told, sizeof told);
  return answer(env, received);
}

/*
 * socketIoctl(fd, request, bytes): the request's struct (at least 40 bytes) is read from and left
 * in `bytes`.
 */
static napi_value SocketIoctl(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct span bytes = arg_span(env, argv[2]);
  if (bytes.length < sizeof(struct ifreq)) return answer(env, -EINVAL);
  return answer(env, host(ioctl(arg_int(env, argv[0]), arg_u32(env, argv[1]), bytes.data)));
}

/* interfaceList(fd, out) -> bytes of struct ifreq in `out` (SIOCGIFCONF). */
static napi_value InterfaceList(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span out = arg_span(env, argv[1]);
  struct ifconf list = {.ifc_len = (int)out.length, .ifc_buf = (char *)out.data};
  if (ioctl(arg_int(env, argv[0]), SIOCGIFCONF, &list) < 0) return answer(env, -errno);
  return answer(env, list.ifc_len);
}

const struct addon_function inet_functions[] = {
    {"hostSocket", HostSocket},           {"bindSocket", BindSocket},
    {"connectSocket", ConnectSocket},     {"listenSocket", ListenSocket},
    {"acceptSocket", AcceptSocket},       {"shutdownSocket", ShutdownSocket},
    {"socketName", SocketName},           {"socketOption", SocketOption},
    {"setSocketOption", SetSocketOption}, {"sendDatagram", SendDatagram},
    {"receiveDatagram", ReceiveDatagram}, {"socketIoctl", SocketIoctl},
    {"interfaceList", InterfaceList},     {NULL, NULL},
};

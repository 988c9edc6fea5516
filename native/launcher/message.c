// SPDX-License-Identifier: Apache-2.0
/*
 * Messages with descriptors: unix(7), SCM_RIGHTS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "launcher/launcher.h"

enum { MOST_DESCRIPTORS = 240 };

union ancillary {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
};

bool send_with_descriptors(int socket, const void *bytes, size_t length, const int *fds,
                           size_t count) {
  union ancillary control = {0};
  struct iovec payload = {(void *)bytes, length};
  struct msghdr message = {.msg_iov = &payload, .msg_iovlen = 1};
  ssize_t sent;
  if (count > MOST_DESCRIPTORS) return false;
  if (count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(header), fds, count * sizeof *fds);
  }
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == (ssize_t)length;
}

ssize_t receive_with_descriptors(int socket, void *bytes, size_t length, int *fds, size_t *count) {
  union ancillary control;
  struct iovec payload = {bytes, length};
  struct msghdr message = {.msg_iov = &payload,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t got;
  size_t room = *count;
  *count = 0;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return -errno;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_type != SCM_RIGHTS) return got;
  size_t came = (header->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
  if (came > room) return -EMSGSIZE;
  memcpy(fds, CMSG_DATA(header), came * sizeof *fds);
  *count = came;
  return got;
}

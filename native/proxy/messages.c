// SPDX-License-Identifier: Apache-2.0
/*
 * Messages to the Sentry: protocol/proxy.ts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proxy/messages.h"
#include "proxy/proxy.h"

static void put(struct told told, int flags) {
  struct message_head head = {
      .type = told.type, .id = told.id, .value = told.value, .flags = told.flags};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec parts[2] = {{&head, sizeof head}, {(void *)told.body, told.length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = told.length > 0 ? 2 : 1};
  if (told.place != NULL) {
    head.port = told.place->port;
    head.family = told.place->family;
    memcpy(head.address, told.place->bytes, sizeof head.address);
  }
  if (told.fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof told.fd);
    memcpy(CMSG_DATA(&control.header), &told.fd, sizeof told.fd);
  }
  ssize_t sent;
  do {
    sent = sendmsg(PROXY_SENTRY, &message, flags | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) _exit(0); /* the Sentry is gone */
}

void tell(struct told told) { put(told, 0); }

void tell_or_drop(struct told told) { put(told, MSG_DONTWAIT); }

void tell_denied(uint32_t type, uint32_t id, int error, const struct place *place,
                 const char *reason) {
  tell((struct told){.type = type,
                     .id = id,
                     .value = (uint32_t)error,
                     .flags = PROXY_DENIED,
                     .place = place,
                     .body = reason,
                     .length = strlen(reason),
                     .fd = -1});
}

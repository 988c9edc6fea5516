/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heads of messages as protocol/proxy.ts has them.
 */
#ifndef RUNTS_PROXY_MESSAGES_H
#define RUNTS_PROXY_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

struct message_head {
  uint32_t type, id, value;
  uint16_t port;
  uint8_t family, flags;
  uint8_t address[16];
};
#define ASSERT_HEAD(member, at) \
  _Static_assert(offsetof(struct message_head, member) == (at), "protocol/proxy.ts: " #member)
ASSERT_HEAD(type, PROXY_HEAD_TYPE);
ASSERT_HEAD(id, PROXY_HEAD_ID);
ASSERT_HEAD(value, PROXY_HEAD_VALUE);
ASSERT_HEAD(port, PROXY_HEAD_PORT);
ASSERT_HEAD(family, PROXY_HEAD_FAMILY);
ASSERT_HEAD(flags, PROXY_HEAD_FLAGS);
ASSERT_HEAD(address, PROXY_HEAD_ADDRESS);
_Static_assert(sizeof(struct message_head) == PROXY_HEAD_BYTES, "protocol/proxy.ts");

struct setup_head {
  uint16_t rules, servers, published, closed;
  uint32_t rate, unused;
};
_Static_assert(offsetof(struct setup_head, servers) == PROXY_SETUP_SERVERS, "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_head, published) == PROXY_SETUP_PUBLISHED,
               "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_head, closed) == PROXY_SETUP_CLOSED, "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_head, rate) == PROXY_SETUP_RATE, "protocol/proxy.ts");
_Static_assert(sizeof(struct setup_head) == PROXY_SETUP_BYTES, "protocol/proxy.ts");

struct setup_rule {
  uint8_t denies, family, prefix, unused;
  uint16_t first_port, last_port;
  uint8_t address[16];
  char name[256];
};
_Static_assert(offsetof(struct setup_rule, family) == PROXY_RULE_FAMILY, "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_rule, prefix) == PROXY_RULE_PREFIX, "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_rule, first_port) == PROXY_RULE_FIRST_PORT,
               "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_rule, last_port) == PROXY_RULE_LAST_PORT, "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_rule, address) == PROXY_RULE_ADDRESS, "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_rule, name) == PROXY_RULE_NAME, "protocol/proxy.ts");
_Static_assert(sizeof(struct setup_rule) == PROXY_RULE_BYTES, "protocol/proxy.ts");

struct setup_server {
  uint8_t family, unused;
  uint16_t port;
  uint8_t address[16];
};
_Static_assert(offsetof(struct setup_server, port) == PROXY_SERVER_PORT, "protocol/proxy.ts");
_Static_assert(offsetof(struct setup_server, address) == PROXY_SERVER_ADDRESS, "protocol/proxy.ts");
_Static_assert(sizeof(struct setup_server) == PROXY_SERVER_BYTES, "protocol/proxy.ts");

#endif

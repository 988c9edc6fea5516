// SPDX-License-Identifier: Apache-2.0
/*
 * Addresses: how the guest names them and how the host does, and which are the host's own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>

#include "proxy/proxy.h"

static int routes = -1;

static size_t address_bytes(const struct place *place) { return place->family == 4 ? 4 : 16; }

struct place place_of(const char *text, uint16_t port) {
  struct place place = {.family = 4, .port = port};
  if (inet_pton(AF_INET, text, place.bytes) == 1) return place;
  place.family = inet_pton(AF_INET6, text, place.bytes) == 1 ? 6 : 0;
  return place;
}

bool same_address(const struct place *one, const struct place *other) {
  return one->family == other->family && memcmp(one->bytes, other->bytes, address_bytes(one)) == 0;
}

socklen_t to_host(const struct place *place, struct sockaddr_storage *out) {
  memset(out, 0, sizeof *out);
  if (place->family == 4) {
    struct sockaddr_in *name = (struct sockaddr_in *)out;
    name->sin_family = AF_INET;
    name->sin_port = htons(place->port);
    memcpy(&name->sin_addr, place->bytes, 4);
    return sizeof *name;
  }
  struct sockaddr_in6 *name = (struct sockaddr_in6 *)out;
  name->sin6_family = AF_INET6;
  name->sin6_port = htons(place->port);
  memcpy(&name->sin6_addr, place->bytes, 16);
  return sizeof *name;
}

struct place from_host(const struct sockaddr_storage *in) {
  struct place place = {0};
  if (in->ss_family == AF_INET) {
    const struct sockaddr_in *name = (const struct sockaddr_in *)in;
    place.family = 4;
    place.port = ntohs(name->sin_port);
    memcpy(place.bytes, &name->sin_addr, 4);
  } else if (in->ss_family == AF_INET6) {
    const struct sockaddr_in6 *name = (const struct sockaddr_in6 *)in;
    bool mapped = IN6_IS_ADDR_V4MAPPED(&name->sin6_addr);
    place.family = mapped ? 4 : 6;
    place.port = ntohs(name->sin6_port);
    memcpy(place.bytes, name->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
  }
  return place;
}

static struct place exchanged(const struct place *place, const char *const pairs[][2], int from) {
  for (int i = 0; i < 2; i++) {
    struct place known = place_of(pairs[i][from], 0);
    if (same_address(place, &known)) return place_of(pairs[i][1 - from], place->port);
  }
  return *place;
}

static const char *const gateways[2][2] = {{PROXY_GATEWAY_V4, "127.0.0.1"},
                                           {PROXY_GATEWAY_V6, "::1"}};

struct place seen_by_host(const struct place *place) {
  return exchanged(place, gateways, 0);
}

struct place seen_by_guest(const struct place *place) {
  struct place shown = exchanged(place, gateways, 1);
  /* All of 127.0.0.0/8 is the guest's own. */
  if (shown.family == 4 && shown.bytes[0] == 127) return place_of(PROXY_GATEWAY_V4, place->port);
  return shown;
}

bool is_name_server(const struct place *place) {
  struct place names = place_of(PROXY_NAMES_V4, 53);
  return place->port == 53 && same_address(place, &names);
}

bool open_routes(void) {
  routes = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  return routes >= 0;
}

/* The type of the route to a place, RTN_UNICAST and the like; negative: the host knows none. */
static int route_type(const struct place *place) {
  struct {
    struct nlmsghdr header;
    struct rtmsg route;
    struct rtattr attribute;
    uint8_t address[16];
  } ask = {0};
  size_t length = address_bytes(place);
  ask.header.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof ask.route) + RTA_LENGTH(length));
  ask.header.nlmsg_type = RTM_GETROUTE;
  ask.header.nlmsg_flags = NLM_F_REQUEST;
  ask.route.rtm_family = place->family == 4 ? AF_INET : AF_INET6;
  ask.route.rtm_dst_len = (unsigned char)(8 * length);
  ask.attribute.rta_type = RTA_DST;
  ask.attribute.rta_len = (unsigned short)RTA_LENGTH(length);
  memcpy(ask.address, place->bytes, length);
  if (send(routes, &ask, ask.header.nlmsg_len, 0) < 0) return -errno;
  union {
    struct nlmsghdr header;
    char bytes[4096];
  } answer;
  ssize_t got;
  do {
    got = recv(routes, &answer, sizeof answer, 0);
  } while (got < 0 && errno == EINTR);
  if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct rtmsg))) return -EIO;
  if (answer.header.nlmsg_type == NLMSG_ERROR) {
    const struct nlmsgerr *error = NLMSG_DATA(&answer.header);
    return error->error < 0 ? error->error : -EIO;
  }
  return ((const struct rtmsg *)NLMSG_DATA(&answer.header))->rtm_type;
}

bool is_hosts_own(const struct place *place) {
  int type = route_type(place);
  return type >= 0 && type != RTN_UNICAST;
}

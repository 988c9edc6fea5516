// SPDX-License-Identifier: Apache-2.0
/*
 * Where the guest may go: --allow-net, --deny-net, and what is closed unless it is named.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "proxy/messages.h"
#include "proxy/proxy.h"

enum { MOST_GRANTS = 1024, SHORTEST_GRANT = 600, LONGEST_GRANT = 86400 };

static struct setup_rule rules[PROXY_MOST_RULES];
static unsigned rule_count;
static bool is_closed;  /* some rule allows: nothing else is allowed then */
static bool names_open; /* some rule allows a name */

/* An address that a name server gave for an open name. */
struct grant {
  struct place address;
  char name[NAME_BYTES];
  long until;
};
static struct grant *grants;

bool load_rules(const uint8_t *bytes, unsigned count, bool closed) {
  if (count > PROXY_MOST_RULES) return false;
  memcpy(rules, bytes, count * sizeof *rules);
  rule_count = count;
  is_closed = closed;
  grants = reserve(MOST_GRANTS * sizeof *grants);
  for (unsigned i = 0; i < count; i++) {
    if (memchr(rules[i].name, 0, sizeof rules[i].name) == NULL) return false;
    if (rules[i].prefix > (rules[i].family == 4 ? 32 : 128)) return false;
    names_open |= rules[i].family == 0 && !rules[i].denies;
  }
  return true;
}

bool has_names(void) { return names_open; }

static bool has_prefix(const uint8_t *address, const uint8_t *of, unsigned bits) {
  unsigned whole = bits / 8;
  if (memcmp(address, of, whole) != 0) return false;
  if (bits % 8 == 0) return true;
  uint8_t mask = (uint8_t)(0xff00U >> (bits % 8));
  return ((address[whole] ^ of[whole]) & mask) == 0;
}

static bool suits_port(const struct setup_rule *rule, uint16_t port) {
  /* A ping has no port: a rule about some ports is none for it. */
  if (port == 0) return rule->first_port == 0 && rule->last_port == 0xffff;
  return port >= rule->first_port && port <= rule->last_port;
}

static bool suits_address(const struct setup_rule *rule, const struct place *to) {
  return rule->family == to->family && has_prefix(to->bytes, rule->address, rule->prefix) &&
         suits_port(rule, to->port);
}

/* One label or more stand for the '*'. */
static bool suits_name(const struct setup_rule *rule, const char *name) {
  if (rule->family != 0) return false;
  if (rule->name[0] != '*') return strcmp(rule->name, name) == 0;
  const char *tail = rule->name + 1;
  size_t length = strlen(name), tail_length = strlen(tail);
  return length > tail_length && strcmp(name + (length - tail_length), tail) == 0;
}

/* ---- what is closed unless it is named ---- */

struct range {
  const char *address;
  unsigned prefix;
  const char *what;
};
static const struct range closed_ranges[] = {
    {"0.0.0.0", 8, "an address of the host"},
    {"127.0.0.0", 8, "an address of the host"},
    {"169.254.0.0", 16, "a link-local address: cloud metadata"},
    {"100.100.100.200", 32, "cloud metadata"},
    {"168.63.129.16", 32, "cloud metadata"},
    {"192.0.0.192", 32, "cloud metadata"},
    {"224.0.0.0", 3, "no address of a single machine"},
    {"::", 127, "an address of the host"},
    {"::ffff:0.0.0.0", 96, "an IPv4 address in IPv6"},
    {"fe80::", 10, "a link-local address"},
    {"fd00:ec2::", 32, "cloud metadata"},
    {"fd20:ce::254", 128, "cloud metadata"},
    {"ff00::", 8, "no address of a single machine"},
};

static const char *in_closed_range(const struct place *to) {
  for (size_t i = 0; i < sizeof closed_ranges / sizeof *closed_ranges; i++) {
    struct place first = place_of(closed_ranges[i].address, 0);
    if (first.family == to->family && has_prefix(to->bytes, first.bytes, closed_ranges[i].prefix)) {
      return closed_ranges[i].what;
    }
  }
  /* What a NAT64 gateway takes for IPv4. */
  struct place translated = place_of("64:ff9b::", 0);
  if (to->family == 6 && has_prefix(to->bytes, translated.bytes, 96)) {
    struct place inner = {.family = 4, .port = to->port};
    memcpy(inner.bytes, to->bytes + 12, 4);
    return in_closed_range(&inner);
  }
  return NULL;
}

static const char *closed_reason(const struct place *to) {
  const char *why = in_closed_range(to);
  if (why != NULL) return why;
  return is_hosts_own(to) ? "an address of the host" : NULL;
}

/* ---- grants ---- */

void grant(const struct place *address, const char *name, uint32_t seconds) {
  long now = now_seconds();
  long until = now + (seconds < SHORTEST_GRANT  ? SHORTEST_GRANT
                      : seconds > LONGEST_GRANT ? LONGEST_GRANT
                                                : (long)seconds);
  struct grant *place = &grants[0];
  for (struct grant *each = grants; each < grants + MOST_GRANTS; each++) {
    if (same_address(&each->address, address) && strcmp(each->name, name) == 0) {
      place = each;
      break;
    }
    if (each->until < place->until) place = each; /* the one that ends first makes room */
  }
  place->address = *address;
  snprintf(place->name, sizeof place->name, "%s", name);
  place->until = until;
}

bool is_name_open(const char *name, uint16_t port) {
  bool open = !is_closed;
  for (unsigned i = 0; i < rule_count; i++) {
    if (!suits_name(&rules[i], name) || !suits_port(&rules[i], port)) continue;
    if (rules[i].denies) return false;
    open = true;
  }
  return open;
}

static bool is_granted(const struct place *to) {
  long now = now_seconds();
  for (struct grant *each = grants; each < grants + MOST_GRANTS; each++) {
    if (each->until >= now && each->address.family != 0 && same_address(&each->address, to) &&
        is_name_open(each->name, to->port)) {
      return true;
    }
  }
  return false;
}

const char *refusal(const struct place *to, bool *by_name) {
  const char *why = closed_reason(to);
  bool allowed = false;
  for (unsigned i = 0; i < rule_count; i++) {
    const struct setup_rule *rule = &rules[i];
    if (!suits_address(rule, to)) continue;
    if (rule->denies) return "--deny-net";
    /* Only a whole address names what is closed. */
    allowed |= why == NULL || rule->prefix == (rule->family == 4 ? 32 : 128);
  }
  if (by_name != NULL) *by_name = false;
  if (allowed) return NULL;
  if (why != NULL || !is_closed) return why;
  if (!is_granted(to)) return "not in --allow-net";
  if (by_name != NULL) *by_name = true;
  return NULL;
}

const char *name_refusal(const char *name) {
  bool open = !is_closed;
  for (unsigned i = 0; i < rule_count; i++) {
    if (!suits_name(&rules[i], name)) continue;
    /* What is denied on some ports only may be asked for. */
    if (rules[i].denies && rules[i].first_port == 0 && rules[i].last_port == 0xffff) {
      return "--deny-net";
    }
    if (!rules[i].denies) open = true;
  }
  return open ? NULL : "not in --allow-net";
}

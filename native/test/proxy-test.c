// SPDX-License-Identifier: Apache-2.0
/*
 * What the network proxy makes of hostile bytes: DNS messages, TLS greetings, rules. Run under the
 * sanitizers by `make asan-test`.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/messages.h"
#include "proxy/proxy.h"

static long clock_seconds = 1000;

void *reserve(size_t bytes) { return calloc(1, bytes); }
long now_seconds(void) { return clock_seconds; }

/* ---- DNS ---- */

static size_t put_name(uint8_t *at, const char *name) {
  uint8_t *start = at;
  while (*name != 0) {
    size_t length = strcspn(name, ".");
    *at++ = (uint8_t)length;
    memcpy(at, name, length);
    at += length;
    name += length + (name[length] == '.');
  }
  *at++ = 0;
  return (size_t)(at - start);
}

static size_t make_query(uint8_t *bytes, const char *name, unsigned type) {
  memset(bytes, 0, 12);
  bytes[5] = 1;
  size_t length = 12 + put_name(bytes + 12, name);
  memcpy(bytes + length, (uint8_t[]){0, (uint8_t)type, 0, 1}, 4);
  return length + 4;
}

/* With one address. */
static size_t make_reply(uint8_t *bytes, const char *name, const uint8_t address[4]) {
  size_t length = make_query(bytes, name, 1);
  bytes[2] = 0x81;
  bytes[7] = 1;
  memcpy(bytes + length, (uint8_t[]){0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4}, 12);
  memcpy(bytes + length + 12, address, 4);
  return length + 16;
}

static void test_questions(void) {
  uint8_t bytes[512];
  struct question question;
  size_t length = make_query(bytes, "WWW.Example.org", 1);
  assert(read_question(bytes, length, &question) && question.is_plain && question.type == 1);
  assert(strcmp(question.name, "www.example.org") == 0 && question.end == length);
  for (size_t cut = 0; cut < length; cut++) assert(!read_question(bytes, cut, &question));
  bytes[13] = '.'; /* a dot within a label is no dot of the name */
  assert(read_question(bytes, length, &question) && !question.is_plain);
  bytes[5] = 2;
  assert(!read_question(bytes, length, &question));
}

/* ---- rules ---- */

static struct setup_rule rule_of_name(const char *name, uint16_t first, uint16_t last) {
  struct setup_rule rule = {.first_port = first, .last_port = last};
  snprintf(rule.name, sizeof rule.name, "%s", name);
  return rule;
}

static struct setup_rule rule_of_address(const char *text, uint8_t prefix, bool denies) {
  struct place place = place_of(text, 0);
  struct setup_rule rule = {
      .denies = denies, .family = place.family, .prefix = prefix, .last_port = 0xffff};
  memcpy(rule.address, place.bytes, sizeof rule.address);
  return rule;
}

static bool may(const char *address, uint16_t port) {
  struct place place = place_of(address, port);
  return refusal(&place, NULL) == NULL;
}

static void test_rules(void) {
  uint8_t bytes[512];
  struct setup_rule rules[] = {
      rule_of_address("198.51.100.7", 32, true), rule_of_address("198.51.100.0", 24, false),
      rule_of_address("2001:db8::", 33, false),  rule_of_name("www.example.org", 443, 443),
      rule_of_name("*.debian.org", 0, 0xffff),
  };
  assert(load_rules((const uint8_t *)rules, 5, true) && has_names());
  assert(may("198.51.100.8", 1) && !may("198.51.100.7", 1) && !may("198.51.101.8", 1));
  assert(may("2001:db8:7fff::1", 1) && !may("2001:db8:8000::1", 1));
  assert(!may("127.0.0.1", 1) && !may("169.254.169.254", 80) && !may("64:ff9b::a9fe:a9fe", 80));
  assert(name_refusal("www.example.org") == NULL && name_refusal("deb.debian.org") == NULL);
  assert(name_refusal("debian.org") != NULL && name_refusal("xdebian.org") != NULL);
  /* An address is open once a server has said that an open name has it, on that name's ports. */
  bool by_name = false;
  struct place web = place_of("203.0.113.5", 443);
  assert(refusal(&web, &by_name) != NULL);
  learn(bytes, make_reply(bytes, "evil.org", (uint8_t[]){203, 0, 113, 5}));
  assert(refusal(&web, &by_name) != NULL);
  learn(bytes, make_reply(bytes, "www.example.org", (uint8_t[]){203, 0, 113, 5}));
  assert(refusal(&web, &by_name) == NULL && by_name && !may("203.0.113.5", 80));
  learn(bytes, make_reply(bytes, "www.example.org", (uint8_t[]){127, 0, 0, 1}));
  assert(!may("127.0.0.1", 443));
  clock_seconds += 601;
  assert(refusal(&web, &by_name) != NULL);
}

/* ---- TLS ---- */

static size_t make_hello(uint8_t *bytes, const char *name) {
  size_t length = strlen(name);
  uint8_t body[1024] = {3, 3};
  size_t at = 2 + 32;
  body[at++] = 0; /* no session */
  memcpy(body + at, (uint8_t[]){0, 2, 0x13, 1, 1, 0}, 6);
  at += 6;
  memcpy(body + at,
         (uint8_t[]){0, (uint8_t)(length + 9), 0, 0, 0, (uint8_t)(length + 5), 0,
                     (uint8_t)(length + 3), 0, 0, (uint8_t)length},
         11);
  at += 11;
  memcpy(body + at, name, length);
  at += length;
  memcpy(bytes, (uint8_t[]){1, 0, 0, (uint8_t)at}, 4);
  memcpy(bytes + 4, body, at);
  return at + 4;
}

/* In records of `piece` bytes. */
static size_t in_records(uint8_t *out, const uint8_t *bytes, size_t length, size_t piece) {
  size_t at = 0;
  for (size_t from = 0; from < length; from += piece) {
    size_t size = length - from < piece ? length - from : piece;
    memcpy(out + at, (uint8_t[]){22, 3, 1, 0, (uint8_t)size}, 5);
    memcpy(out + at + 5, bytes + from, size);
    at += size + 5;
  }
  return at;
}

static void test_server_names(void) {
  uint8_t hello[1100], stream[8192];
  char name[NAME_BYTES];
  size_t length = make_hello(hello, "WWW.example.org");
  for (size_t piece = 1; piece <= length; piece++) {
    size_t total = in_records(stream, hello, length, piece);
    assert(read_server_name(stream, total, name) == NAME_FOUND);
    assert(strcmp(name, "www.example.org") == 0);
    assert(read_server_name(stream, total - 1, name) == NAME_INCOMPLETE);
  }
  assert(read_server_name((const uint8_t *)"GET / HTTP", 10, name) == NAME_NONE);
}

/* ---- nonsense ---- */

static uint32_t state = 12345;

static uint32_t next(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

static void test_nonsense(void) {
  enum { ROUNDS = 200000 };
  char name[NAME_BYTES];
  struct question question;
  for (int i = 0; i < ROUNDS; i++) {
    uint8_t bytes[1200], hello[1100];
    size_t length =
        i % 2 == 0 ? make_reply(bytes, "a.debian.org", (uint8_t[]){1, 2, 3, 4})
                   : in_records(bytes, hello, make_hello(hello, "a.debian.org"), 1 + next() % 99);
    for (uint32_t changes = next() % 6; changes > 0; changes--) {
      bytes[next() % length] = (uint8_t)next();
    }
    length = next() % (length + 1);
    /* On the heap at its exact size, so that one byte too far is seen. */
    uint8_t *exact = malloc(length);
    memcpy(exact, bytes, length);
    learn(exact, length);
    if (read_question(exact, length, &question)) {
      query_refusal(exact, length, &question);
      assert(question.end <= length && make_answer(exact, &question, 5) <= length);
    }
    read_server_name(exact, length, name);
    free(exact);
  }
}

int main(void) {
  prepare_names();
  assert(open_routes());
  test_questions();
  test_rules();
  test_server_names();
  test_nonsense();
  puts("proxy: all right");
  return 0;
}

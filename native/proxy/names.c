// SPDX-License-Identifier: Apache-2.0
/*
 * Names in what the guest sends: DNS messages (RFC 1035), and the server name of a TLS ClientHello
 * (RFC 8446, RFC 6066). All of it is hostile, and read by one cursor that knows where it ends.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/proxy.h"

struct cursor {
  const uint8_t *bytes;
  size_t at, end;
  bool failed;
};

static bool has(struct cursor *cursor, size_t count) {
  if (!cursor->failed && count <= cursor->end - cursor->at) return true;
  cursor->failed = true;
  return false;
}

static void skip(struct cursor *cursor, size_t count) {
  if (has(cursor, count)) cursor->at += count;
}

/* `count` bytes, the highest first; 0 past the end. */
static uint32_t number(struct cursor *cursor, size_t count) {
  uint32_t value = 0;
  if (!has(cursor, count)) return 0;
  for (size_t i = 0; i < count; i++) value = value << 8 | cursor->bytes[cursor->at++];
  return value;
}

/* ---- DNS ---- */

enum { DNS_HEAD = 12, TYPE_A = 1, TYPE_AAAA = 28, CLASS_IN = 1, MOST_RECORDS = 128 };

static bool is_plain(uint8_t byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

static uint8_t lower(uint8_t byte) {
  return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

/* A name without pointers, as it stands in a question. */
static void read_name(struct cursor *cursor, struct question *question) {
  size_t length = 0;
  question->is_plain = true;
  for (;;) {
    size_t label = number(cursor, 1);
    if (label == 0 || cursor->failed) break;
    if (label > 63 || length + label + 2 > NAME_BYTES || !has(cursor, label)) {
      cursor->failed = true;
      break;
    }
    if (length > 0) question->name[length++] = '.';
    for (size_t i = 0; i < label; i++) {
      uint8_t byte = lower(cursor->bytes[cursor->at++]);
      question->is_plain &= is_plain(byte);
      question->name[length++] = is_plain(byte) ? (char)byte : '?';
    }
  }
  question->name[length] = 0;
}

bool read_question(const uint8_t *bytes, size_t length, struct question *question) {
  struct cursor cursor = {bytes, 4, length, length < DNS_HEAD};
  uint32_t questions = number(&cursor, 2);
  skip(&cursor, 6);
  read_name(&cursor, question);
  question->type = (uint16_t)number(&cursor, 2);
  skip(&cursor, 2);
  question->end = cursor.at;
  return !cursor.failed && questions == 1;
}

/* A name in a record: what it says does not matter. */
static void skip_name(struct cursor *cursor) {
  while (!cursor->failed) {
    uint32_t label = number(cursor, 1);
    if (label == 0) return;
    if (label >= 0xc0) {
      skip(cursor, 1);
      return;
    }
    skip(cursor, label);
  }
}

void learn(const uint8_t *bytes, size_t length) {
  struct question question;
  if (!has_names() || !read_question(bytes, length, &question) || !question.is_plain) return;
  if (name_refusal(question.name) != NULL) return;
  struct cursor cursor = {bytes, 6, length, false};
  uint32_t records = number(&cursor, 2);
  cursor.at = question.end;
  for (uint32_t i = 0; i < records && i < MOST_RECORDS && !cursor.failed; i++) {
    skip_name(&cursor);
    uint32_t type = number(&cursor, 2), class = number(&cursor, 2), seconds = number(&cursor, 4);
    uint32_t size = number(&cursor, 2);
    if (!has(&cursor, size)) return;
    struct place address = {.family = type == TYPE_A ? 4 : 6};
    bool is_address = (type == TYPE_A && size == 4) || (type == TYPE_AAAA && size == 16);
    if (is_address && class == CLASS_IN) {
      memcpy(address.bytes, bytes + cursor.at, size);
      grant(&address, question.name, seconds);
    }
    skip(&cursor, size);
  }
}

const char *query_refusal(const uint8_t *bytes, size_t length, struct question *question) {
  if (!read_question(bytes, length, question)) return "no query with one name";
  if (question->is_plain) return name_refusal(question->name);
  /* Only where every name may be asked for is one that no rule could speak of harmless. */
  return name_refusal("?");
}

size_t make_answer(uint8_t *bytes, const struct question *question, unsigned code) {
  bytes[2] = (uint8_t)(0x80 | (bytes[2] & 0x79)); /* an answer; the kind and RD stay */
  bytes[3] = (uint8_t)(0x80 | code);
  memset(bytes + 6, 0, 6); /* no records */
  return question->end;
}

/* ---- TLS ---- */

enum {
  HANDSHAKE = 22,
  CLIENT_HELLO = 1,
  RECORD_HEAD = 5,
  MOST_RECORD = 16384,
  HELLO_BYTES = 65536
};

/*
 * The handshake's bytes out of the records at the front of a stream, as far as they are there. A
 * ClientHello may lie in several.
 */
static size_t join_records(const uint8_t *bytes, size_t length, uint8_t *out, size_t room) {
  size_t at = 0, joined = 0;
  while (at + RECORD_HEAD <= length && bytes[at] == HANDSHAKE) {
    size_t size = (size_t)bytes[at + 3] << 8 | bytes[at + 4];
    at += RECORD_HEAD;
    size_t there = size < length - at ? size : length - at;
    if (size == 0 || size > MOST_RECORD || joined + there > room) break;
    memcpy(out + joined, bytes + at, there);
    joined += there;
    at += there;
  }
  return joined;
}

static enum server_name name_in_extension(struct cursor *cursor, size_t size,
                                          char name[NAME_BYTES]) {
  struct cursor list = {cursor->bytes, cursor->at, cursor->at + size, false};
  skip(&list, 2);
  uint32_t kind = number(&list, 1), length = number(&list, 2);
  if (list.failed || kind != 0 || length == 0 || length >= NAME_BYTES || !has(&list, length)) {
    return NAME_NONE;
  }
  for (uint32_t i = 0; i < length; i++) {
    uint8_t byte = lower(list.bytes[list.at++]);
    name[i] = is_plain(byte) || byte == '.' ? (char)byte : '?';
  }
  name[length] = 0;
  return NAME_FOUND;
}

static uint8_t *hello;

void prepare_names(void) { hello = reserve(HELLO_BYTES); }

enum server_name read_server_name(const uint8_t *bytes, size_t length, char name[NAME_BYTES]) {
  if (length == 0) return NAME_INCOMPLETE;
  if (bytes[0] != HANDSHAKE || (length > 1 && bytes[1] != 3)) return NAME_NONE;
  size_t got = join_records(bytes, length, hello, HELLO_BYTES);
  struct cursor cursor = {hello, 0, got, false};
  if (got < 4) return NAME_INCOMPLETE;
  uint32_t type = number(&cursor, 1), size = number(&cursor, 3);
  if (type != CLIENT_HELLO || size > HELLO_BYTES - 4) return NAME_NONE;
  if (got < 4 + size) return NAME_INCOMPLETE;
  cursor.end = 4 + size;
  skip(&cursor, 2 + 32);
  skip(&cursor, number(&cursor, 1)); /* session */
  skip(&cursor, number(&cursor, 2)); /* ciphers */
  skip(&cursor, number(&cursor, 1)); /* compression */
  skip(&cursor, 2);
  while (has(&cursor, 4)) {
    uint32_t extension = number(&cursor, 2), bytes_of = number(&cursor, 2);
    if (!has(&cursor, bytes_of)) return NAME_NONE;
    if (extension == 0) return name_in_extension(&cursor, bytes_of, name);
    skip(&cursor, bytes_of);
  }
  return NAME_NONE;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * ECMA-404, strictly: json.h.
 */
#include "launcher/quick/json.h"

#include <string.h>

#include "launcher/text.h"

enum { DEEPEST = 64 };

static bool no(struct json *json) {
  json->failed = true;
  return false;
}

static char peek(struct json *json) {
  while (json->at < json->end &&
         (*json->at == ' ' || *json->at == '\n' || *json->at == '\t' || *json->at == '\r')) {
    json->at++;
  }
  return json->at < json->end ? *json->at : 0;
}

bool json_take(struct json *json, char wanted) {
  if (json->failed || peek(json) != wanted || json->at == json->end) return false;
  json->at++;
  return true;
}

bool json_at_end(struct json *json) {
  peek(json);
  return !json->failed && json->at == json->end;
}

static bool take_word(struct json *json, const char *word) {
  size_t length = strlen(word);
  peek(json);
  if (json->failed || (size_t)(json->end - json->at) < length) return false;
  if (memcmp(json->at, word, length) != 0) return false;
  json->at += length;
  return true;
}

/* ---- strings ---- */

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/* Returns the code of "uXXXX" at `at`, or a negative number where there is none. */
static long hex_escape(const struct json *json, const char *at) {
  long value = 0;
  if (json->end - at < 5 || at[0] != 'u') return -1;
  for (int i = 1; i <= 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

static char *put_utf8(char *out, long code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xc0 | (code >> 6));
    *out++ = (char)(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    *out++ = (char)(0xe0 | (code >> 12));
    *out++ = (char)(0x80 | ((code >> 6) & 0x3f));
    *out++ = (char)(0x80 | (code & 0x3f));
  } else {
    *out++ = (char)(0xf0 | (code >> 18));
    *out++ = (char)(0x80 | ((code >> 12) & 0x3f));
    *out++ = (char)(0x80 | ((code >> 6) & 0x3f));
    *out++ = (char)(0x80 | (code & 0x3f));
  }
  return out;
}

/*
 * Decodes the escape after a backslash into the place of the text, which is never shorter. Returns
 * the place behind the decoded character, or NULL where there is no escape.
 */
static char *take_escape(struct json *json, char *out) {
  static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  if (json->at == json->end) return NULL;
  const char *letter = *json->at == 0 ? NULL : strchr(letters, *json->at);
  if (letter != NULL) {
    *out++ = meanings[letter - letters];
    json->at++;
    return out;
  }
  long code = hex_escape(json, json->at);
  /* A string with a NUL cannot be an argument of any program. */
  if (code <= 0) return NULL;
  json->at += 5;
  if (code >= 0xd800 && code <= 0xdfff) {
    if (code >= 0xdc00 || json->end - json->at < 6 || *json->at != '\\') return NULL;
    long low = hex_escape(json, json->at + 1);
    if (low < 0xdc00 || low > 0xdfff) return NULL;
    json->at += 6;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  return put_utf8(out, code);
}

bool json_string(struct json *json, struct json_string *string) {
  if (!json_take(json, '"')) return no(json);
  char *out = string->bytes = json->at;
  while (json->at < json->end && *json->at != '"') {
    size_t length = utf8_length(json->at, (size_t)(json->end - json->at));
    if (length == 0 || (unsigned char)*json->at < ' ') return no(json);
    if (*json->at == '\\') {
      json->at++;
      out = take_escape(json, out);
      if (out == NULL) return no(json);
    } else {
      memmove(out, json->at, length);
      out += length;
      json->at += length;
    }
  }
  if (json->at == json->end) return no(json);
  json->at++;
  string->length = (size_t)(out - string->bytes);
  return true;
}

/* ---- scalars ---- */

bool json_boolean(struct json *json, bool *value) {
  *value = take_word(json, "true");
  return *value || take_word(json, "false") || no(json);
}

bool json_integer(struct json *json, bool *negative, unsigned long long *magnitude) {
  *negative = json_take(json, '-');
  if (!*negative) peek(json);
  const char *start = json->at;
  *magnitude = 0;
  while (json->at < json->end && *json->at >= '0' && *json->at <= '9') {
    unsigned digit = (unsigned)(*json->at++ - '0');
    if (*magnitude > (~0ULL - digit) / 10) return no(json);
    *magnitude = *magnitude * 10 + digit;
  }
  if (json->at == start || (*start == '0' && json->at - start > 1)) return no(json);
  /* The number goes on with a fraction or an exponent. */
  if (json->at < json->end && (*json->at == '.' || *json->at == 'e' || *json->at == 'E')) {
    return no(json);
  }
  return !json->failed && (!*negative || *magnitude > 0 || no(json));
}

bool json_count(struct json *json, unsigned long long most, unsigned long long *value) {
  bool negative;
  return json_integer(json, &negative, value) && ((!negative && *value <= most) || no(json));
}

/* ---- objects and arrays ---- */

bool json_member(struct json *json, bool *first, struct json_string *name) {
  if (json->failed || (*first && !json_take(json, '{'))) return no(json);
  if (json_take(json, '}')) return false;
  if (!*first && !json_take(json, ',')) return no(json);
  *first = false;
  if (!json_string(json, name) || !json_take(json, ':')) return no(json);
  json->is_null = take_word(json, "null");
  return true;
}

bool json_element(struct json *json, bool *first) {
  if (json->failed || (*first && !json_take(json, '['))) return no(json);
  if (json_take(json, ']')) return false;
  if (!*first && !json_take(json, ',')) return no(json);
  *first = false;
  return true;
}

static bool skip_number(struct json *json) {
  const char *start = json->at;
  while (json->at < json->end && *json->at != 0 && strchr("0123456789+-.eE", *json->at) != NULL) {
    json->at++;
  }
  return json->at > start || no(json);
}

static bool skip_value(struct json *json, int depth) {
  struct json_string ignored;
  char next = peek(json);
  if (json->failed || depth > DEEPEST) return no(json);
  if (next == '"') return json_string(json, &ignored);
  if (next == '{') {
    for (bool first = true; json_member(json, &first, &ignored);) {
      if (!json->is_null && !skip_value(json, depth + 1)) return false;
    }
    return !json->failed;
  }
  if (next == '[') {
    for (bool first = true; json_element(json, &first);) {
      if (!skip_value(json, depth + 1)) return false;
    }
    return !json->failed;
  }
  return take_word(json, "true") || take_word(json, "false") || take_word(json, "null") ||
         skip_number(json);
}

bool json_skip(struct json *json) { return skip_value(json, 0); }

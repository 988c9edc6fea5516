// SPDX-License-Identifier: Apache-2.0
/*
 * Texts that grow, their form in JSON, and the lines of an engine's log. runts/oci/log.ts writes the same
 * lines; test/oci/quick.test.ts compares them.
 */
#include "launcher/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool reserve(struct text *text, size_t more) {
  if (text->failed) return false;
  if (text->room - text->used >= more) return true;
  size_t room = (text->used + more) * 2;
  char *bytes = realloc(text->bytes, room);
  text->failed = bytes == NULL;
  if (text->failed) return false;
  text->bytes = bytes;
  text->room = room;
  return true;
}

void append(struct text *text, const char *bytes, size_t length) {
  if (length == 0 || !reserve(text, length)) return;
  memcpy(text->bytes + text->used, bytes, length);
  text->used += length;
}

void append_format(struct text *text, const char *format, ...) {
  char piece[256];
  va_list list;
  va_start(list, format);
  int length = vsnprintf(piece, sizeof piece, format, list);
  va_end(list);
  if (length < 0 || (size_t)length >= sizeof piece) {
    text->failed = true;
  } else {
    append(text, piece, (size_t)length);
  }
}

size_t utf8_length(const char *bytes, size_t available) {
  const unsigned char *at = (const unsigned char *)bytes;
  if (available == 0) return 0;
  if (at[0] < 0x80) return 1;
  size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
  if (at[0] < 0xc2 || at[0] > 0xf4 || available < length) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  /* Overlong ones, surrogates, and what is beyond Unicode. */
  if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f)) return 0;
  if ((at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f)) return 0;
  return length;
}

static void append_escaped(struct text *text, char byte) {
  static const char names[] = "btn?fr"; /* 8 to 13 */
  if (byte == '"' || byte == '\\') {
    append_format(text, "\\%c", byte);
  } else if (byte >= 8 && byte <= 13 && byte != 11) {
    append_format(text, "\\%c", names[byte - 8]);
  } else {
    append_format(text, "\\u%04x", (unsigned)byte);
  }
}

void append_quoted(struct text *text, const char *bytes, size_t length) {
  append(text, "\"", 1);
  for (size_t at = 0; at < length;) {
    size_t plain = at;
    while (plain < length && (unsigned char)bytes[plain] >= ' ' && bytes[plain] != '"' &&
           bytes[plain] != '\\') {
      size_t step = utf8_length(bytes + plain, length - plain);
      if (step == 0) break;
      plain += step;
    }
    append(text, bytes + at, plain - at);
    at = plain;
    if (at == length) break;
    if ((unsigned char)bytes[at] < 0x80) {
      append_escaped(text, bytes[at]);
    } else {
      append(text, "\xef\xbf\xbd", 3); /* U+FFFD */
    }
    at += 1;
  }
  append(text, "\"", 1);
}

/*
 * "How to convert a number of days to a date": years begin in March, so that leap days end them;
 * eras are 400 years.
 */
void format_time(long long seconds, char text[TIME_BYTES]) {
  long long days = seconds / 86400 + 719468;
  int second = (int)(seconds % 86400);
  long long era = days / 146097;
  int day = (int)(days % 146097);
  int year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  day -= 365 * year + year / 4 - year / 100;
  int month = (5 * day + 2) / 153;
  day -= (153 * month + 2) / 5;
  int civil_year = (int)(400 * era) + year + (month >= 10 ? 1 : 0);
  snprintf(text, TIME_BYTES, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)civil_year % 10000,
           (unsigned)(month < 10 ? month + 3 : month - 9) % 100, (unsigned)(day + 1) % 100,
           (unsigned)(second / 3600) % 100, (unsigned)(second / 60 % 60) % 100,
           (unsigned)(second % 60) % 100);
}

void write_log(int fd, bool json, const char *level, const char *message, const char *code) {
  char when[TIME_BYTES];
  struct timespec now;
  struct text line = {0};
  if (fd < 0) return;
  clock_gettime(CLOCK_REALTIME, &now);
  format_time(now.tv_sec, when);
  if (json) {
    append_format(&line, "{\"level\":\"%s\",\"msg\":", level);
  } else {
    append_format(&line, "time=\"%s\" level=%s msg=", when, level);
  }
  append_quoted(&line, message, strlen(message));
  if (json) append_format(&line, ",\"time\":\"%s\"", when);
  if (code != NULL) append_format(&line, json ? ",\"code\":\"%s\"" : " code=%s", code);
  if (json) append(&line, "}", 1);
  append(&line, "\n", 1);
  /* A full disk must not hide the failure itself, which is told elsewhere too. */
  if (!line.failed && write(fd, line.bytes, line.used) < 0) line.used = 0;
  free(line.bytes);
}

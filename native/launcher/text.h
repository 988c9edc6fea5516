/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that grow, and their form in JSON. */
#ifndef RUNTS_TEXT_H
#define RUNTS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
  char *bytes;
  size_t used, room;
  bool failed; /* no memory: what was appended since is missing */
};

void append(struct text *text, const char *bytes, size_t length);
void append_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* As JSON.stringify writes a string: in quotes. */
void append_quoted(struct text *text, const char *bytes, size_t length);

/* Length of the UTF-8 sequence that `bytes` starts with, 0 where it is none. */
size_t utf8_length(const char *bytes, size_t available);

enum { TIME_BYTES = 32 };

/*
 * UTC as RFC 3339 has it, from 1970 on. Not by gmtime(3), which reads /etc/localtime: a container's
 * front, which has the host's root for its user, would read the file of its guest.
 */
void format_time(long long seconds, char text[TIME_BYTES]);

/*
 * One line of the file that --log names (or -1), as runts/oci/log.ts writes it. `code` is the
 * family of a failure (runts/errors.ts), or NULL.
 */
void write_log(int fd, bool json, const char *level, const char *message, const char *code);

#endif

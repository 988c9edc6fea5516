/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a JSON document of known shape from front to back. A function returns false, or sets
 * `failed`, where the text is not plainly what the caller asks for. There are no messages about
 * what is wrong: Node has those.
 */
#ifndef RUNTS_JSON_H
#define RUNTS_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* A reader of a text that has a 0 after its end. */
struct json {
  char *at, *end;
  bool failed;
  bool is_null; /* the value of the member at hand */
};

/* A decoded string, which lies in the place of the text: UTF-8 without a 0 inside. */
struct json_string {
  char *bytes;
  size_t length;
};

/* Takes the next token if it is this character; returns whether it was. */
bool json_take(struct json *json, char wanted);
/* Whether nothing is left. */
bool json_at_end(struct json *json);

bool json_string(struct json *json, struct json_string *string);
bool json_boolean(struct json *json, bool *value);
/* Takes an integer without fraction and exponent; `magnitude` is its absolute value. */
bool json_integer(struct json *json, bool *negative, unsigned long long *magnitude);
/* Takes an integer from 0 to `most`. */
bool json_count(struct json *json, unsigned long long most, unsigned long long *value);

/* Skips a value of any kind. */
bool json_skip(struct json *json);

/*
 * Walks over an object or an array; returns true where there is a further member. `first` is true
 * at the first call, which sets it to false. A value null, which Go writes for what is not set, is
 * taken here, and `is_null` set.
 *   for (bool first = true; json_member(json, &first, &name);) ...
 */
bool json_member(struct json *json, bool *first, struct json_string *name);
bool json_element(struct json *json, bool *first);

#endif

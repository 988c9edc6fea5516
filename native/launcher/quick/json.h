/*
 * Reading a JSON document whose shape is known, from front to back. Everything answers false, or sets `failed`, where the
 * text is not plainly what is asked for: there is no telling of what is wrong.
 */
#ifndef RUNTS_JSON_H
#define RUNTS_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* The text has a 0 after it. */
struct json {
  char *at, *end;
  bool failed;
  bool is_null; /* the value of the member at hand */
};

/* Decoded, in the place of the text: UTF-8 without a 0 inside. */
struct json_string {
  char *bytes;
  size_t length;
};

/* Whether the next token is this character, which is taken. */
bool json_take(struct json *json, char wanted);
/* Whether nothing is left. */
bool json_at_end(struct json *json);

bool json_string(struct json *json, struct json_string *string);
bool json_boolean(struct json *json, bool *value);
/* Digits with or without a minus, no fraction, no exponent. `magnitude` is without the sign. */
bool json_integer(struct json *json, bool *negative, unsigned long long *magnitude);
/* An integer from 0 to `most`. */
bool json_count(struct json *json, unsigned long long most, unsigned long long *value);

/* Over any value. */
bool json_skip(struct json *json);

/*
 * Walks over an object or an array: `first` is true at the first call, and set to false. True where there is a further
 * member. What is null (Go writes that for what is not there) is taken: `is_null`.
 *   for (bool first = true; json_member(json, &first, &name);) ...
 */
bool json_member(struct json *json, bool *first, struct json_string *name);
bool json_element(struct json *json, bool *first);

#endif

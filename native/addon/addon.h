/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers of the Node-API addon: reading arguments, answering numbers, registering functions.
 *
 * A function of the addon has the shape
 *
 *   static napi_value Close(napi_env env, napi_callback_info info) {
 *     ARGS(1);
 *     return answer(env, host(close(arg_int(env, argv[0]))));
 *   }
 *
 * and a row in its file's table; main.c registers all tables. Calls answer a JS number, >= 0 or
 * -errno: `host(x)` turns the C convention into that. Arguments of a wrong type read as 0, -1 or
 * an empty span: these functions are called by our own TypeScript only, which tsc has checked.
 */
#ifndef RUNTS_ADDON_H
#define RUNTS_ADDON_H

#include <errno.h>
#include <node_api.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct addon_function {
  const char *name;
  napi_callback call;
};

/* Tables of the single files, each ended by {NULL, NULL}. */
extern const struct addon_function files_functions[];
extern const struct addon_function sockets_functions[];
extern const struct addon_function inet_functions[];
extern const struct addon_function process_functions[];
extern const struct addon_function program_functions[];
extern const struct addon_function confine_functions[];
extern const struct addon_function platform_functions[];
extern const struct addon_function clock_functions[];
extern const struct addon_function footprint_functions[];
extern const struct addon_function host_work_functions[];
extern const struct addon_function engine_functions[];

/* Declares argv[0..count) (undefined where the caller passed fewer). */
#define ARGS(count)                                     \
  napi_value argv[count];                               \
  size_t argc = (count);                                \
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL); \
  (void)argc

/* A span of a Uint8Array (or other typed array), whole. */
struct span {
  uint8_t *data;
  size_t length;
};

static inline long host(long result) { return result < 0 ? -errno : result; }

static inline int arg_int(napi_env env, napi_value value) {
  int32_t out = -1;
  napi_get_value_int32(env, value, &out);
  return out;
}

static inline uint32_t arg_u32(napi_env env, napi_value value) {
  uint32_t out = 0;
  napi_get_value_uint32(env, value, &out);
  return out;
}

/* A number as a 64-bit integer: addresses, sizes, offsets (exact below 2^53). */
static inline int64_t arg_i64(napi_env env, napi_value value) {
  int64_t out = 0;
  napi_get_value_int64(env, value, &out);
  return out;
}

/* The bytes of a typed array. {NULL, 0} for anything else (undefined, null). */
static inline struct span arg_span(napi_env env, napi_value value) {
  struct span out = {NULL, 0};
  void *data = NULL;
  size_t elements = 0;
  napi_typedarray_type type = napi_uint8_array;
  if (napi_get_typedarray_info(env, value, &type, &elements, &data, NULL, NULL) != napi_ok)
    return out;
  out.data = data;
  out.length = elements;
  if (type == napi_int32_array || type == napi_uint32_array || type == napi_float32_array) {
    out.length *= 4;
  } else if (type == napi_int16_array || type == napi_uint16_array) {
    out.length *= 2;
  } else if (type == napi_float64_array || type == napi_bigint64_array ||
             type == napi_biguint64_array) {
    out.length *= 8;
  }
  return out;
}

/*
 * A byte string (latin1: one char a byte) as a C string in `buffer`. 0 or -errno: ENAMETOOLONG where it
 * does not fit, EINVAL where it is no string or holds a NUL.
 */
static inline long arg_string(napi_env env, napi_value value, char *buffer, size_t size) {
  size_t needed = 0;
  if (napi_get_value_string_latin1(env, value, NULL, 0, &needed) != napi_ok) return -EINVAL;
  if (needed >= size) return -ENAMETOOLONG;
  napi_get_value_string_latin1(env, value, buffer, size, &needed);
  return strlen(buffer) == needed ? 0 : -EINVAL;
}

enum { MAX_WORDS = 4096 };

/*
 * Texts that end in a 0 each, as execve(2) takes them: `words` has room for MAX_WORDS and a NULL.
 * The bytes stay JavaScript's. 0 or -errno: EINVAL where the last has no end, E2BIG.
 */
static inline long split_words(struct span bytes, char **words) {
  char *text = (char *)bytes.data;
  size_t count = 0;
  if (bytes.length > 0 && text[bytes.length - 1] != 0) return -EINVAL;
  for (size_t at = 0; at < bytes.length; at += strlen(text + at) + 1) {
    if (count == MAX_WORDS) return -E2BIG;
    words[count++] = text + at;
  }
  words[count] = NULL;
  return 0;
}

static inline napi_value answer(napi_env env, long result) {
  napi_value out = NULL;
  if (result >= INT32_MIN && result <= INT32_MAX) {
    napi_create_int32(env, (int32_t)result, &out);
  } else {
    napi_create_double(env, (double)result, &out);
  }
  return out;
}

#endif

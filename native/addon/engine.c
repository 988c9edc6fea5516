// SPDX-License-Identifier: Apache-2.0
/*
 * The JavaScript engine's own settings.
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "addon/addon.h"

/*
 * setEngineFlags(flags): V8's, as on Node's command line. node:v8 does the same, but loads streams
 * first (4 ms). Node exports V8's C++ interface to addons: v8::V8::SetFlagsFromString(const char *,
 * size_t). -ENOSYS where it is not there.
 */
static napi_value SetEngineFlags(napi_env env, napi_callback_info info) {
  ARGS(1);
  char flags[256];
  long refused = arg_string(env, argv[0], flags, sizeof flags);
  if (refused < 0) return answer(env, refused);
  void (*set)(const char *, size_t);
  *(void **)&set = dlsym(RTLD_DEFAULT, "_ZN2v82V818SetFlagsFromStringEPKcm");
  if (set == NULL) return answer(env, -ENOSYS);
  set(flags, strlen(flags));
  return answer(env, 0);
}

const struct addon_function engine_functions[] = {
    {"setEngineFlags", SetEngineFlags},
    {NULL, NULL},
};

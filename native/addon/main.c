// SPDX-License-Identifier: Apache-2.0
/*
 * Entry of the Node-API addon: registers the functions of all files.
 */
#include "addon/addon.h"

static void register_all(napi_env env, napi_value exports, const struct addon_function *table) {
  for (; table->name != NULL; table++) {
    napi_value function = NULL;
    napi_create_function(env, table->name, NAPI_AUTO_LENGTH, table->call, NULL, &function);
    napi_set_named_property(env, exports, table->name, function);
  }
}

NAPI_MODULE_INIT() {
  register_all(env, exports, files_functions);
  register_all(env, exports, sockets_functions);
  register_all(env, exports, inet_functions);
  register_all(env, exports, process_functions);
  register_all(env, exports, program_functions);
  register_all(env, exports, confine_functions);
  register_all(env, exports, platform_functions);
  register_all(env, exports, clock_functions);
  register_all(env, exports, footprint_functions);
  register_all(env, exports, host_work_functions);
  register_all(env, exports, engine_functions);
  return exports;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The preboot's functions for JavaScript: an addon of its own, for the Sentry's and the Gofer's has
 * no business with the launcher's code where they are started without a preboot.
 */
#include "addon/addon.h"
#include "preboot/preboot.h"

/* fork(out: Int32Array): pid of the preboot, 0 in it, or -errno. out[0] is the socket to ask it by. */
static napi_value Fork(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span out = arg_span(env, argv[0]);
  int socket = -1;
  if (out.length < sizeof(int32_t)) return answer(env, -EINVAL);
  int pid = fork_preboot(&socket);
  memcpy(out.data, &socket, sizeof socket);
  return answer(env, pid);
}

static napi_value text(napi_env env, const char *bytes) {
  napi_value out = NULL;
  if (bytes == NULL) {
    napi_get_undefined(env, &out);
  } else {
    napi_create_string_utf8(env, bytes, NAPI_AUTO_LENGTH, &out);
  }
  return out;
}

/*
 * awaitRole(): [name, config] in the process that is to be the Sentry or the Gofer; in no other it
 * returns.
 */
static napi_value AwaitRole(napi_env env, napi_callback_info info) {
  (void)info;
  struct role role = await_role();
  napi_value out = NULL;
  napi_create_array_with_length(env, 2, &out);
  napi_set_element(env, out, 0, text(env, role.name));
  napi_set_element(env, out, 1, text(env, role.config));
  return out;
}

/* ask(socket, kind, words: Uint8Array, fds: Int32Array): see struct request. */
static napi_value Ask(napi_env env, napi_callback_info info) {
  ARGS(4);
  struct span words = arg_span(env, argv[2]);
  struct span fds = arg_span(env, argv[3]);
  if (words.length == 0 || words.data[words.length - 1] != 0) return answer(env, -EINVAL);
  return answer(
      env, send_request_to(arg_int(env, argv[0]), arg_u32(env, argv[1]), (const char *)words.data,
                           words.length, (const int *)fds.data, fds.length / sizeof(int)));
}

NAPI_MODULE_INIT() {
  static const struct addon_function functions[] = {
      {"fork", Fork}, {"awaitRole", AwaitRole}, {"ask", Ask}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function = NULL;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL,
                         &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * The preboot's functions for JavaScript: an addon of its own, for the Sentry's and the Gofer's has
 * no business with the launcher's code where they are started without a preboot.
 */
#include "addon/addon.h"
#include "preboot/nursery.h"
#include "preboot/preboot.h"
#include "protocol.h"

/* fork(out: Int32Array): pid of the preboot, 0 in it, or -errno. out[0] is the socket to ask it by. */
static napi_value Fork(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span out = arg_span(env, argv[0]);
  int socket = -1;
  if (out.length < sizeof(int32_t)) return answer(env, -EINVAL);
  int pid = free_places() ? fork_preboot(&socket) : -ENOENT;
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

/* ---- a nursery: nursery.h ---- */

/* uv.h, of which nothing else is needed: the loop gets descriptors of its own. */
int uv_loop_fork(struct uv_loop_s *loop);

/*
 * awaitCall(listener, directory, file, seconds): returns in a fork, for each call. Its socket.
 */
static napi_value AwaitCall(napi_env env, napi_callback_info info) {
  ARGS(4);
  rename_process(NURSERY_NAME);
  return answer(env, await_call(arg_int(env, argv[0]), arg_int(env, argv[1]), arg_int(env, argv[2]),
                                arg_int(env, argv[3])));
}

/*
 * takeCall(call, out: Int32Array): the words of the call whose socket that is, with the pid of its
 * preboot in out[0] (0: this is it) and where it takes its request in out[1].
 */
static napi_value TakeCall(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct taken_call taken = {0};
  struct span span = arg_span(env, argv[1]);
  napi_value out = NULL;
  int32_t numbers[2];
  if (span.length < sizeof numbers) return answer(env, -EINVAL);
  take_call(arg_int(env, argv[0]), &taken);
  /* A command line may wait by timers. A preboot never comes to Node's event loop. */
  struct uv_loop_s *loop = NULL;
  if (taken.preboot != 0 &&
      (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_loop_fork(loop) < 0))
    _exit(0);
  numbers[0] = taken.preboot;
  numbers[1] = taken.preboot_socket;
  memcpy(span.data, numbers, sizeof numbers);
  napi_create_array(env, &out);
  const char *at = taken.words;
  for (uint32_t i = 0; i < taken.count; i++, at += strlen(at) + 1) {
    napi_set_element(env, out, i, text(env, at));
  }
  return out;
}

/* startFront(call, words: Uint8Array, fds: Int32Array): pid or -errno. */
static napi_value StartFront(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct span words = arg_span(env, argv[1]);
  struct span fds = arg_span(env, argv[2]);
  return answer(env,
                start_front_of_caller(arg_int(env, argv[0]), (const char *)words.data, words.length,
                                      (const int *)fds.data, fds.length / sizeof(int)));
}

/* endCall(call, code): this process ends. */
static napi_value EndCall(napi_env env, napi_callback_info info) {
  ARGS(2);
  end_call(arg_int(env, argv[0]), arg_int(env, argv[1]));
}

NAPI_MODULE_INIT() {
  static const struct addon_function functions[] = {
      {"fork", Fork},           {"awaitRole", AwaitRole}, {"ask", Ask},
      {"awaitCall", AwaitCall}, {"takeCall", TakeCall},   {"startFront", StartFront},
      {"endCall", EndCall}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function = NULL;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL,
                         &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Confinement of the Sentry and the Gofer once they have booted: seccomp(2), PR_SET_DUMPABLE.
 * Namespaces, ids and capabilities are the launcher's: they are in force before Node starts.
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon/addon.h"

/*
 * installFilter(program: Uint8Array of struct sock_filter, flags). For every thread (TSYNC). A thread that
 * cannot take it is -ESRCH.
 */
static napi_value InstallFilter(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct span program = arg_span(env, argv[0]);
  unsigned flags = arg_u32(env, argv[1]) | SECCOMP_FILTER_FLAG_TSYNC;
  size_t count = program.length / sizeof(struct sock_filter);
  if (count == 0 || count > BPF_MAXINSNS) return answer(env, -EINVAL);
  struct sock_fprog filter = {(unsigned short)count, (struct sock_filter *)program.data};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return answer(env, -errno);
  long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
  if (result > 0) return answer(env, -ESRCH);
  return answer(env, host(result));
}

/* setDumpable(0 or 1): 0 keeps other processes of this user from attaching. */
static napi_value SetDumpable(napi_env env, napi_callback_info info) {
  ARGS(1);
  return answer(env, host(prctl(PR_SET_DUMPABLE, arg_int(env, argv[0]), 0, 0, 0)));
}

const struct addon_function confine_functions[] = {
    {"installFilter", InstallFilter},
    {"setDumpable", SetDumpable},
    {NULL, NULL},
};

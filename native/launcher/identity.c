// SPDX-License-Identifier: Apache-2.0
/*
 * Ids and capabilities: user_namespaces(7), capabilities(7).
 *
 * Real root starts the Sentry and the stubs as nobody (65534), the only id in their namespace, and
 * the Gofer in a namespace that maps every id to itself, with file capabilities that count there only.
 * An ordinary user's sandbox has that user's id alone, and no capability means anything.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/launcher.h"

enum { NOBODY = 65534 };

static uint64_t capability(int number) { return 1ULL << number; }

unsigned long long effective_capabilities(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {0};
  if (syscall(SYS_capget, &header, data) < 0) return 0;
  return data[0].effective | (uint64_t)data[1].effective << 32;
}

/* Reads a small file of /proc whole, as text. Negative: it is not there. */
static ssize_t read_text(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t got = read(fd, text, size - 1);
  close(fd);
  text[got < 0 ? 0 : got] = 0;
  return got;
}

/* The identity map of all ids that /proc/self/{uid,gid}_map lists, in `out`. */
static void identity_map(const char *path, char *out, size_t size) {
  char text[4096];
  size_t used = 0;
  if (read_text(path, text, sizeof text) < 0) fatal("%s: %s", path, strerror(errno));
  char *rest = text;
  for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
    unsigned inside, outside, count;
    if (sscanf(line, "%u %u %u", &inside, &outside, &count) != 3) continue;
    int wrote = snprintf(out + used, size - used, "%u %u %u\n", inside, inside, count);
    if (wrote < 0 || (size_t)wrote >= size - used) break;
    used += (size_t)wrote;
  }
}

/*
 * The id that Sentry and stubs have: nobody where the map at `path` has it, else the highest id of the
 * map, which a rootless user's container needs least. 0: there is none but root's.
 */
static unsigned unprivileged_id(const char *path) {
  char text[4096];
  unsigned highest = 0;
  if (read_text(path, text, sizeof text) < 0) return 0;
  char *rest = text;
  for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
    unsigned inside, outside, count;
    if (sscanf(line, "%u %u %u", &inside, &outside, &count) != 3 || count == 0) continue;
    if (NOBODY >= inside && NOBODY - inside < count) return NOBODY;
    if (inside + (count - 1) > highest) highest = inside + (count - 1);
  }
  return highest;
}

void find_identity(struct sandbox *sandbox) {
  uint64_t needed = capability(CAP_SYS_ADMIN) | capability(CAP_SETUID) | capability(CAP_SETGID);
  unsigned uid = unprivileged_id("/proc/self/uid_map");
  unsigned gid = unprivileged_id("/proc/self/gid_map");
  sandbox->privileged =
      geteuid() == 0 && (effective_capabilities() & needed) == needed && uid != 0 && gid != 0;
  sandbox->uid = sandbox->privileged ? uid : geteuid();
  sandbox->gid = sandbox->privileged ? gid : getegid();
}

static void write_proc(pid_t pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fatal_namespaces(path);
  close(fd);
}

static void write_single_maps(const struct sandbox *sandbox, pid_t pid) {
  char text[64];
  if (!sandbox->privileged) write_proc(pid, "setgroups", "deny");
  snprintf(text, sizeof text, "%u %u 1\n", sandbox->gid, sandbox->gid);
  write_proc(pid, "gid_map", text);
  snprintf(text, sizeof text, "%u %u 1\n", sandbox->uid, sandbox->uid);
  write_proc(pid, "uid_map", text);
}

void write_sentry_maps(const struct sandbox *sandbox, pid_t pid) {
  write_single_maps(sandbox, pid);
}

void write_gofer_maps(const struct sandbox *sandbox, pid_t pid) {
  if (!sandbox->privileged) {
    write_single_maps(sandbox, pid);
    return;
  }
  char map[4096];
  identity_map("/proc/self/gid_map", map, sizeof map);
  write_proc(pid, "gid_map", map);
  identity_map("/proc/self/uid_map", map, sizeof map);
  write_proc(pid, "uid_map", map);
}

void become_sentry(const struct sandbox *sandbox) {
  if (sandbox->privileged && setgroups(0, NULL) < 0) fatal("setgroups: %s", strerror(errno));
  if (setresgid(sandbox->gid, sandbox->gid, sandbox->gid) < 0 ||
      setresuid(sandbox->uid, sandbox->uid, sandbox->uid) < 0) {
    fatal("setresuid: %s", strerror(errno));
  }
}

/* Makes `kept` all that this process and what it executes can have. */
static void keep_capabilities(uint64_t kept) {
  for (int number = 0; number < 64; number++) {
    if (kept & capability(number)) continue;
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0 && errno != EINVAL) {
      fatal("dropping capability %d: %s", number, strerror(errno));
    }
  }
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {
      {(uint32_t)kept, (uint32_t)kept, 0},
      {(uint32_t)(kept >> 32), (uint32_t)(kept >> 32), 0},
  };
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (syscall(SYS_capset, &header, data) < 0) fatal("capset: %s", strerror(errno));
}

void drop_all_capabilities(void) { keep_capabilities(0); }

/* Its ids are the Sentry's, but for the group. The capabilities are over the namespaces that it came with. */
void become_broker(const struct sandbox *sandbox, gid_t group, unsigned long long kept) {
  prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS | SECBIT_NOROOT);
  if (sandbox->privileged && setgroups(0, NULL) < 0) fatal("setgroups: %s", strerror(errno));
  /* A group that is not mapped here cannot ping either. */
  if (setresgid(group, group, group) < 0 &&
      setresgid(sandbox->gid, sandbox->gid, sandbox->gid) < 0) {
    fatal("setresgid: %s", strerror(errno));
  }
  if (setresuid(sandbox->uid, sandbox->uid, sandbox->uid) < 0) {
    fatal("setresuid: %s", strerror(errno));
  }
  keep_capabilities(kept);
}

void keep_file_capabilities(bool writable) {
  uint64_t kept = capability(CAP_DAC_READ_SEARCH);
  if (writable) {
    kept |= capability(CAP_DAC_OVERRIDE) | capability(CAP_CHOWN) | capability(CAP_FOWNER) |
            capability(CAP_FSETID) | capability(CAP_SETFCAP);
  }
  keep_capabilities(kept);
}

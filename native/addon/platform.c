// SPDX-License-Identifier: Apache-2.0
/*
 * Calls of the platforms: mailboxes, guest memory, waiting, the seccomp listener, the reaper's signal.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "addon/addon.h"
#include "stub/mailbox.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* ---- mailboxes: one reserved region, memfds mapped into it block by block ---- */

static uint8_t *region;
static size_t region_bytes;

/*
 * adoptRegion(words) -> offset of the first whole page. The range of addresses behind a shared
 * array becomes the region: pages of it without memory. (An ArrayBuffer made here would count as
 * that much memory with V8, which then collects garbage at once and hardly ever again; for a
 * SharedArrayBuffer it does not.) Once a process.
 */
static napi_value AdoptRegion(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span words = arg_span(env, argv[0]);
  if (region != NULL) return answer(env, -EBUSY);
  size_t skipped = (size_t)(-(uintptr_t)words.data & 4095);
  if (words.data == NULL || words.length < skipped + 8192) return answer(env, -EINVAL);
  size_t bytes = (words.length - skipped) & ~(size_t)4095;
  void *at = mmap(words.data + skipped, bytes, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (at == MAP_FAILED) return answer(env, -errno);
  region = words.data;
  region_bytes = words.length;
  return answer(env, (long)skipped);
}

static uint8_t *region_at(int64_t offset, int64_t bytes) {
  if (offset < 0 || bytes <= 0 || (uint64_t)offset + (uint64_t)bytes > region_bytes) return NULL;
  return region + offset;
}

/* mapBlock(fd, fileOffset, regionOffset, bytes) */
static napi_value MapBlock(napi_env env, napi_callback_info info) {
  ARGS(4);
  int64_t bytes = arg_i64(env, argv[3]);
  uint8_t *place = region_at(arg_i64(env, argv[2]), bytes);
  if (place == NULL) return answer(env, -EINVAL);
  void *at = mmap(place, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                  arg_int(env, argv[0]), arg_i64(env, argv[1]));
  return answer(env, at == MAP_FAILED ? -errno : 0);
}

/*
 * unmapBlock(regionOffset, bytes): back to memory of nobody. Zeroes rather than PROT_NONE: should the Sentry
 * ever look at a slot that is gone, it sees a thread that never stops, and does not die of it.
 */
static napi_value UnmapBlock(napi_env env, napi_callback_info info) {
  ARGS(2);
  int64_t bytes = arg_i64(env, argv[1]);
  uint8_t *place = region_at(arg_i64(env, argv[0]), bytes);
  if (place == NULL) return answer(env, -EINVAL);
  void *at = mmap(place, (size_t)bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return answer(env, at == MAP_FAILED ? -errno : 0);
}

/* createMailbox(bytes) -> memfd that can never shrink under the Sentry's mapping. */
static napi_value CreateMailbox(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd = memfd_create("mailbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return answer(env, -errno);
  if (ftruncate(fd, arg_i64(env, argv[0])) < 0 ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    long error = -errno;
    close(fd);
    return answer(env, error);
  }
  return answer(env, fd);
}

/*
 * mapShared(fd, bytes) -> ArrayBuffer over a shared read-write mapping of the memfd, the last
 * writable one where the memfd takes seals.
 */
static napi_value MapShared(napi_env env, napi_callback_info info) {
  ARGS(2);
  size_t bytes = (size_t)arg_i64(env, argv[1]);
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arg_int(env, argv[0]), 0);
  if (at == MAP_FAILED) return answer(env, -errno);
  fcntl(arg_int(env, argv[0]), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
  napi_value buffer = NULL;
  if (napi_create_external_arraybuffer(env, at, bytes, NULL, NULL, &buffer) != napi_ok) {
    return answer(env, -ENOMEM);
  }
  return buffer;
}

/* futexWake(regionOffset): one waiter of a shared futex. */
static napi_value FutexWake(napi_env env, napi_callback_info info) {
  ARGS(1);
  uint8_t *word = region_at(arg_i64(env, argv[0]), 4);
  if (word == NULL) return answer(env, -EINVAL);
  return answer(env, host(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0)));
}

/* ---- waiting ---- */

/* Set by the SIGCHLD handler; the first word is seen by JavaScript. */
static volatile int child_flag[2];
static int child_wake_fd = -1;

static void on_child(int number) {
  (void)number;
  int saved = errno;
  uint64_t one = 1;
  __atomic_store_n(&child_flag[0], 1, __ATOMIC_SEQ_CST);
  ssize_t ignored = write(child_wake_fd, &one, sizeof one);
  (void)ignored;
  errno = saved;
}

/* watchChildren(wakeEventFd) -> ArrayBuffer of 8 bytes: Int32 word 0 becomes 1 when a child has died. */
static napi_value WatchChildren(napi_env env, napi_callback_info info) {
  ARGS(1);
  child_wake_fd = arg_int(env, argv[0]);
  struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
  if (sigaction(SIGCHLD, &action, NULL) < 0) return answer(env, -errno);
  napi_value buffer = NULL;
  napi_create_external_arraybuffer(env, (void *)child_flag, sizeof child_flag, NULL, NULL, &buffer);
  return buffer;
}

static int posted(int32_t word) {
  const uint32_t *state = (const uint32_t *)(const void *)region + word;
  uint32_t value = __atomic_load_n(state, __ATOMIC_ACQUIRE);
  return value != STATE_ANSWERED && value != STATE_RUNNING;
}

/* Word indexes (in the region) of the slots that spin() watches; JavaScript fills it. */
static int32_t watched[65536];

/* watchedSlots() -> ArrayBuffer over `watched`. */
static napi_value WatchedSlots(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value buffer = NULL;
  napi_create_external_arraybuffer(env, watched, sizeof watched, NULL, NULL, &buffer);
  return buffer;
}

/*
 * spin(count, pauses) -> 1 as soon as one of the first `count` watched slots is not running any more or a
 * child has died, 0 after about `pauses` PAUSE instructions.
 */
static napi_value Spin(napi_env env, napi_callback_info info) {
  ARGS(2);
  uint32_t count = arg_u32(env, argv[0]);
  uint32_t pauses = arg_u32(env, argv[1]);
  if (count > sizeof watched / sizeof watched[0]) return answer(env, -EINVAL);
  for (uint32_t turn = 0; turn < pauses; turn++) {
    for (uint32_t i = 0; i < count; i++) {
      if (posted(watched[i])) return answer(env, 1);
    }
    if (child_flag[0] != 0) return answer(env, 1);
    __builtin_ia32_pause();
  }
  return answer(env, 0);
}

/* pauseNs() -> measured length of a PAUSE in 1/1000 ns. */
static napi_value PauseNs(napi_env env, napi_callback_info info) {
  (void)info;
  struct timespec before, after;
  long best = 1000000000;
  for (int round = 0; round < 5; round++) {
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (int i = 0; i < 1000; i++) __builtin_ia32_pause();
    clock_gettime(CLOCK_MONOTONIC, &after);
    long took = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec;
    if (took < best) best = took;
  }
  return answer(env, best);
}

static napi_value EpollCreate(napi_env env, napi_callback_info info) {
  (void)info;
  return answer(env, host(epoll_create1(EPOLL_CLOEXEC)));
}

/* epollControl(epollFd, operation, fd, events) */
static napi_value EpollControl(napi_env env, napi_callback_info info) {
  ARGS(4);
  int fd = arg_int(env, argv[2]);
  struct epoll_event event = {.events = arg_u32(env, argv[3]), .data = {.fd = fd}};
  return answer(env, host(epoll_ctl(arg_int(env, argv[0]), arg_int(env, argv[1]), fd, &event)));
}

/*
 * epollWait(epollFd, out: Int32Array, timeoutNs) -> events; out gets (fd, events) pairs. Negative:
 * forever.
 */
static napi_value EpollWait(napi_env env, napi_callback_info info) {
  enum { MOST = 64 };
  ARGS(3);
  struct span out = arg_span(env, argv[1]);
  int64_t timeout = arg_i64(env, argv[2]);
  struct epoll_event events[MOST];
  int room = (int)(out.length / 8 < MOST ? out.length / 8 : MOST);
  struct timespec limit = {timeout / 1000000000, timeout % 1000000000};
  int count = (int)syscall(SYS_epoll_pwait2, arg_int(env, argv[0]), events, room,
                           timeout < 0 ? NULL : &limit, NULL, 0);
  if (count < 0 && errno == ENOSYS) {
    int64_t ms = timeout < 0 ? -1 : (timeout + 999999) / 1000000;
    count = epoll_wait(arg_int(env, argv[0]), events, room, ms > INT32_MAX ? INT32_MAX : (int)ms);
  }
  if (count < 0) return answer(env, errno == EINTR ? 0 : -errno);
  int32_t *pair = (int32_t *)(void *)out.data;
  for (int i = 0; i < count; i++) {
    pair[2 * i] = events[i].data.fd;
    pair[2 * i + 1] = (int32_t)events[i].events;
  }
  return answer(env, count);
}

static napi_value Eventfd(napi_env env, napi_callback_info info) {
  (void)info;
  return answer(env, host(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)));
}

/* drainEvent(fd): empties an eventfd. */
static napi_value DrainEvent(napi_env env, napi_callback_info info) {
  ARGS(1);
  uint64_t value;
  return answer(env, host(read(arg_int(env, argv[0]), &value, sizeof value)));
}

/* ---- guest memory and threads ---- */

static napi_value move_memory(napi_env env, napi_callback_info info, int write) {
  ARGS(4);
  struct span local = arg_span(env, argv[2]);
  int64_t length = arg_i64(env, argv[3]);
  if (length < 0 || (uint64_t)length > local.length) return answer(env, -EINVAL);
  struct iovec here = {local.data, (size_t)length};
  struct iovec there = {(void *)(uintptr_t)arg_i64(env, argv[1]), (size_t)length};
  pid_t pid = arg_int(env, argv[0]);
  return answer(env, host(write ? process_vm_writev(pid, &here, 1, &there, 1, 0)
                                : process_vm_readv(pid, &here, 1, &there, 1, 0)));
}

/* readMemory(pid, addr, dst, length) -> bytes */
static napi_value ReadMemory(napi_env env, napi_callback_info info) {
  return move_memory(env, info, 0);
}

/* writeMemory(pid, addr, src, length) -> bytes */
static napi_value WriteMemory(napi_env env, napi_callback_info info) {
  return move_memory(env, info, 1);
}

/* tgkill(pid, tid, signal) */
static napi_value Tgkill(napi_env env, napi_callback_info info) {
  ARGS(3);
  return answer(env, host(syscall(SYS_tgkill, arg_int(env, argv[0]), arg_int(env, argv[1]),
                                  arg_int(env, argv[2]))));
}

/* waitOne(pid) -> 0: a living child; the pid: a dead one, now reaped; -ECHILD: no child of ours. */
static napi_value WaitOne(napi_env env, napi_callback_info info) {
  ARGS(1);
  int status;
  return answer(env, host(wait4(arg_int(env, argv[0]), &status, WNOHANG | __WALL, NULL)));
}

/* cpuTimeNs(pid) -> CPU time of another process, 0 if it is gone. */
static napi_value CpuTimeNs(napi_env env, napi_callback_info info) {
  ARGS(1);
  /* clock_getcpuclockid(3) without its detour: the clock of a process by number. */
  clockid_t clock = (clockid_t)((~(unsigned)arg_int(env, argv[0]) << 3) | 2);
  struct timespec used;
  if (clock_gettime(clock, &used) < 0) return answer(env, 0);
  return answer(env, used.tv_sec * 1000000000L + used.tv_nsec);
}

/* ---- the seccomp listener ---- */

/* fetchDescriptor(pid, fd) -> a copy of another process's descriptor; pid 0: of this one's. */
static napi_value FetchDescriptor(napi_env env, napi_callback_info info) {
  ARGS(2);
  int pid = arg_int(env, argv[0]);
  int pidfd = (int)syscall(SYS_pidfd_open, pid == 0 ? getpid() : pid, 0);
  if (pidfd < 0) return answer(env, -errno);
  long result = host(syscall(SYS_pidfd_getfd, pidfd, arg_int(env, argv[1]), 0));
  close(pidfd);
  if (result >= 0) fcntl((int)result, F_SETFD, FD_CLOEXEC);
  return answer(env, result);
}

/*
 * notifyReceive(listener, out: Int32Array(8)) -> 0: out = id lo, id hi, tid, syscall number, first
 * argument lo, hi. EAGAIN when nothing waits.
 */
static napi_value NotifyReceive(napi_env env, napi_callback_info info) {
  ARGS(2);
  int listener = arg_int(env, argv[0]);
  struct span out = arg_span(env, argv[1]);
  if (out.length < 32) return answer(env, -EINVAL);
  struct pollfd entry = {listener, POLLIN, 0};
  if (poll(&entry, 1, 0) <= 0 || (entry.revents & POLLIN) == 0) return answer(env, -EAGAIN);

  union {
    struct seccomp_notif notification;
    uint8_t room[512];
  } buffer;
  memset(&buffer, 0, sizeof buffer);
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &buffer) < 0) return answer(env, -errno);
  memcpy(out.data, &buffer.notification.id, 8);
  memcpy(out.data + 8, &buffer.notification.pid, 4);
  memcpy(out.data + 12, &buffer.notification.data.nr, 4);
  memcpy(out.data + 16, &buffer.notification.data.args[0], 8);
  return answer(env, 0);
}

/* notifyAnswer(listener, notification: Int32Array as received, errno): 0 lets the call go on. */
static napi_value NotifyAnswer(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct span id = arg_span(env, argv[1]);
  if (id.length < 8) return answer(env, -EINVAL);
  union {
    struct seccomp_notif_resp response;
    uint8_t room[512];
  } buffer;
  memset(&buffer, 0, sizeof buffer);
  memcpy(&buffer.response.id, id.data, 8);
  buffer.response.error = arg_int(env, argv[2]);
  if (buffer.response.error == 0) buffer.response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  return answer(env, host(ioctl(arg_int(env, argv[0]), SECCOMP_IOCTL_NOTIF_SEND, &buffer)));
}

/* ---- start ---- */

/* getRandom(bytes): fills it. */
static napi_value GetRandom(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span bytes = arg_span(env, argv[0]);
  return answer(env, host(getrandom(bytes.data, bytes.length, 0)));
}

/* hasFsgsbase() -> 1 where user code may read and write its segment bases. */
static napi_value HasFsgsbase(napi_env env, napi_callback_info info) {
  (void)info;
  return answer(env, (getauxval(AT_HWCAP2) & 2) != 0);
}

/* ---- processors ---- */

/* Those that this process could run on when it was asked for them first. */
static cpu_set_t allowed_cpus;

/* cpuCount() -> processors that this process may run on. */
static napi_value CpuCount(napi_env env, napi_callback_info info) {
  (void)info;
  if (sched_getaffinity(0, sizeof allowed_cpus, &allowed_cpus) < 0) return answer(env, 1);
  return answer(env, CPU_COUNT(&allowed_cpus));
}

/* currentCpu() */
static napi_value CurrentCpu(napi_env env, napi_callback_info info) {
  (void)info;
  return answer(env, sched_getcpu());
}

/* setAffinity(tid, cpu): one processor; -1: all of cpuCount; -2 - cpu: all of them but one. */
static napi_value SetAffinity(napi_env env, napi_callback_info info) {
  ARGS(2);
  int cpu = arg_int(env, argv[1]);
  if (cpu >= CPU_SETSIZE || cpu < -1 - CPU_SETSIZE) return answer(env, -EINVAL);
  cpu_set_t set = allowed_cpus;
  if (cpu >= 0) {
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
  } else if (cpu < -1) {
    CPU_CLR(-2 - cpu, &set);
  }
  return answer(env, host(sched_setaffinity(arg_int(env, argv[0]), sizeof set, &set)));
}

/* timerCreate() -> a timerfd of the monotonic clock. */
static napi_value TimerCreate(napi_env env, napi_callback_info info) {
  (void)info;
  return answer(env, host(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)));
}

/* timerArm(fd, afterNs): fires once. */
static napi_value TimerArm(napi_env env, napi_callback_info info) {
  ARGS(2);
  int64_t after = arg_i64(env, argv[1]);
  struct itimerspec spec = {.it_value = {after / 1000000000, after % 1000000000}};
  return answer(env, host(timerfd_settime(arg_int(env, argv[0]), 0, &spec, NULL)));
}

/*
 * startZygote(path, socketFd, wakeFd, pageFd) -> pid. For tests and plain runs: the launcher does
 * it elsewhere.
 */
static napi_value StartZygote(napi_env env, napi_callback_info info) {
  ARGS(4);
  char path[4096];
  long bad = arg_string(env, argv[0], path, sizeof path);
  if (bad < 0) return answer(env, bad);
  int fds[3];
  for (int i = 0; i < 3; i++) fds[i] = arg_int(env, argv[i + 1]);
  pid_t pid = fork();
  if (pid != 0) return answer(env, host(pid));

  prctl(PR_SET_PDEATHSIG, SIGKILL); /* No PID namespace ends it with us here. */
  for (int i = 0; i < 3; i++) fds[i] = fcntl(fds[i], F_DUPFD, 10);
  for (int i = 0; i < 3; i++) dup2(fds[i], 3 + i);
  char *const none[] = {NULL};
  execve(path, none, none);
  _exit(127);
}

const struct addon_function platform_functions[] = {
    {"adoptRegion", AdoptRegion},
    {"mapBlock", MapBlock},
    {"unmapBlock", UnmapBlock},
    {"createMailbox", CreateMailbox},
    {"mapShared", MapShared},
    {"futexWake", FutexWake},
    {"watchChildren", WatchChildren},
    {"watchedSlots", WatchedSlots},
    {"spin", Spin},
    {"getRandom", GetRandom},
    {"pauseNs", PauseNs},
    {"epollCreate", EpollCreate},
    {"epollControl", EpollControl},
    {"epollWait", EpollWait},
    {"eventfd", Eventfd},
    {"drainEvent", DrainEvent},
    {"readMemory", ReadMemory},
    {"writeMemory", WriteMemory},
    {"tgkill", Tgkill},
    {"waitOne", WaitOne},
    {"cpuTimeNs", CpuTimeNs},
    {"fetchDescriptor", FetchDescriptor},
    {"notifyReceive", NotifyReceive},
    {"notifyAnswer", NotifyAnswer},
    {"hasFsgsbase", HasFsgsbase},
    {"cpuCount", CpuCount},
    {"currentCpu", CurrentCpu},
    {"setAffinity", SetAffinity},
    {"timerCreate", TimerCreate},
    {"timerArm", TimerArm},
    {"startZygote", StartZygote},
    {NULL, NULL},
};

// SPDX-License-Identifier: Apache-2.0
/*
 * Host calls that may take long, made by threads of their own: reads and writes of files, fsync(2).
 * The thread of JavaScript submits them and goes on; an eventfd tells it that some are done. The
 * threads are made before the process is confined and make no host call that is not in its list.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/uio.h>
#include <unistd.h>

#include "addon/addon.h"

enum { SLOTS = 16, MOST_THREADS = 8, STACK_BYTES = 64 * 1024 };
enum kind { WORK_READ, WORK_WRITE, WORK_SYNC };
enum state { FREE, DUE, RUNNING, DONE };

struct slot {
  enum state state;
  enum kind kind;
  int fd;
  uint8_t *data;
  size_t length;
  int64_t position;
  /* On a file system that may hang: such calls never have all threads. */
  bool may_hang;
  uint64_t order;
  long result;
};

static struct {
  pthread_mutex_t lock;
  pthread_cond_t due;
  pthread_cond_t waiting;
  struct slot slots[SLOTS];
  uint64_t submitted;
  int event;
  int threads;
  int idle;
  int hanging;
} work = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .due = PTHREAD_COND_INITIALIZER,
          .waiting = PTHREAD_COND_INITIALIZER,
          .event = -1};

/* The oldest that may run now, or NULL. */
static struct slot *next_due(void) {
  struct slot *oldest = NULL;
  for (int i = 0; i < SLOTS; i++) {
    struct slot *slot = &work.slots[i];
    if (slot->state != DUE || (slot->may_hang && work.hanging >= work.threads - 1)) continue;
    if (oldest == NULL || slot->order < oldest->order) oldest = slot;
  }
  return oldest;
}

static long do_work(const struct slot *slot) {
  struct iovec part = {slot->data, slot->length};
  long result = -EINTR;
  while (result == -EINTR) {
    if (slot->kind == WORK_READ) {
      result = host(preadv2(slot->fd, &part, 1, slot->position, 0));
    } else if (slot->kind == WORK_WRITE) {
      result = host(pwrite(slot->fd, slot->data, slot->length, slot->position));
    } else {
      result = host(fsync(slot->fd));
    }
  }
  return result;
}

static void *work_for_ever(void *unused) {
  (void)unused;
  pthread_setname_np(pthread_self(), "runts-work");
  pthread_mutex_lock(&work.lock);
  work.idle++;
  pthread_cond_signal(&work.waiting);
  for (;;) {
    struct slot *slot = next_due();
    if (slot == NULL) {
      pthread_cond_wait(&work.due, &work.lock);
      continue;
    }
    slot->state = RUNNING;
    work.hanging += slot->may_hang;
    pthread_mutex_unlock(&work.lock);
    long result = do_work(slot);
    pthread_mutex_lock(&work.lock);
    slot->result = result;
    slot->state = DONE;
    work.hanging -= slot->may_hang;
    uint64_t one = 1;
    /* Non-blocking: a counter that is full has told enough. */
    if (write(work.event, &one, sizeof one) < 0) continue;
  }
  return NULL;
}

/*
 * startHostWork(threads, event) -> 0. Once, before confinement; returns when the threads wait for work.
 * `event` is an eventfd that is written when something is done.
 */
static napi_value StartHostWork(napi_env env, napi_callback_info info) {
  ARGS(2);
  int threads = arg_int(env, argv[0]);
  if (work.threads != 0 || threads < 2 || threads > MOST_THREADS) return answer(env, -EINVAL);
  work.event = arg_int(env, argv[1]);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* Signals are for the thread of JavaScript. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = 0;
  pthread_mutex_lock(&work.lock);
  for (; work.threads < threads && error == 0; work.threads += error == 0) {
    pthread_t thread;
    error = pthread_create(&thread, &attributes, work_for_ever, NULL);
  }
  while (work.idle < work.threads) pthread_cond_wait(&work.waiting, &work.lock);
  pthread_mutex_unlock(&work.lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return answer(env, -error);
}

/*
 * submitHostWork(kind, fd, bytes | undefined, length, position, mayHang) -> slot, or -EAGAIN where all are
 * taken. Descriptor and bytes must stay until the slot is done.
 */
static napi_value SubmitHostWork(napi_env env, napi_callback_info info) {
  ARGS(6);
  struct span bytes = arg_span(env, argv[2]);
  int64_t length = arg_i64(env, argv[3]);
  int kind = arg_int(env, argv[0]);
  if (kind < WORK_READ || kind > WORK_SYNC || length < 0 || (size_t)length > bytes.length ||
      work.threads == 0) {
    return answer(env, -EINVAL);
  }
  long index = -EAGAIN;
  pthread_mutex_lock(&work.lock);
  for (int i = 0; i < SLOTS && index < 0; i++) {
    if (work.slots[i].state == FREE) index = i;
  }
  if (index >= 0) {
    work.slots[index] = (struct slot){.state = DUE,
                                      .kind = (enum kind)kind,
                                      .fd = arg_int(env, argv[1]),
                                      .data = bytes.data,
                                      .length = (size_t)length,
                                      .position = arg_i64(env, argv[4]),
                                      .may_hang = arg_int(env, argv[5]) != 0,
                                      .order = work.submitted++};
    /* All of them: the one that wakes may be kept from this one by `mayHang`. */
    pthread_cond_broadcast(&work.due);
  }
  pthread_mutex_unlock(&work.lock);
  return answer(env, index);
}

/* takeHostWork(out: Float64Array(2 * SLOTS)) -> how many are done: their slots and results, in pairs. */
static napi_value TakeHostWork(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct span out = arg_span(env, argv[0]);
  double *pairs = (double *)out.data;
  if (out.length < 2 * SLOTS * sizeof(double)) return answer(env, -EINVAL);
  int count = 0;
  pthread_mutex_lock(&work.lock);
  for (int i = 0; i < SLOTS; i++) {
    struct slot *slot = &work.slots[i];
    if (slot->state != DONE) continue;
    pairs[2 * count] = i;
    pairs[2 * count + 1] = (double)slot->result;
    count++;
    slot->state = FREE;
  }
  pthread_mutex_unlock(&work.lock);
  return answer(env, count);
}

/*
 * preadNow(fd, bytes, offset, length, position): what is in the page cache. EAGAIN: nothing at this position;
 * EOPNOTSUPP: the file system cannot tell.
 */
static napi_value PreadNow(napi_env env, napi_callback_info info) {
  ARGS(5);
  struct span to = arg_span(env, argv[1]);
  int64_t offset = arg_i64(env, argv[2]);
  int64_t length = arg_i64(env, argv[3]);
  int64_t position = arg_i64(env, argv[4]);
  if (position < 0 || offset < 0 || length < 0 || (size_t)(offset + length) > to.length) {
    return answer(env, -EINVAL);
  }
  struct iovec part = {to.data + offset, (size_t)length};
  return answer(env, host(preadv2(arg_int(env, argv[0]), &part, 1, position, RWF_NOWAIT)));
}

const struct addon_function host_work_functions[] = {
    {"startHostWork", StartHostWork},
    {"submitHostWork", SubmitHostWork},
    {"takeHostWork", TakeHostWork},
    {"preadNow", PreadNow},
    {NULL, NULL},
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said between a call of the quick path (quick/nursery.c) and the process that a nursery has
 * forked for it (nursery.c), over a SOCK_SEQPACKET socket:
 *
 *   call                             its process
 *   struct nursery_call         ->
 *                               <-   NURSERY_READY
 *   NURSERY_GO                  ->                     nothing was done before this
 *                               <-   NURSERY_FRONT     perhaps: start a front
 *   its pid, or -errno          ->
 *                               <-   NURSERY_EXIT      with the exit code
 */
#ifndef RUNTS_NURSERY_H
#define RUNTS_NURSERY_H

#include <stddef.h>
#include <stdint.h>

enum { NURSERY_MAGIC = 0x6e757273 };
/* Words and environment of a call, and the words of a front. */
enum { NURSERY_LONGEST = 8 << 20 };

enum nursery_kind { NURSERY_READY = 1, NURSERY_GO, NURSERY_FRONT, NURSERY_STARTED, NURSERY_EXIT };

/* The descriptors that come with a call. */
enum {
  CALL_TEXT, /* the words and then the environment, each ended by a 0 */
  CALL_DIRECTORY,
  CALL_STREAMS,
  CALL_LIFE = CALL_STREAMS + 3, /* the reading end of a pipe that hangs up when the caller ends */
  CALL_FDS
};

struct nursery_call {
  uint32_t magic;
  uint32_t words, variables; /* how many */
  uint32_t bytes;            /* of the text */
  uint32_t umask;
};

/* With NURSERY_FRONT come a file with its words, and its descriptors. */
struct nursery_message {
  uint32_t kind;
  int32_t value; /* NURSERY_STARTED: pid or -errno; NURSERY_EXIT: the code */
  uint32_t bytes, fd_count;
  int32_t places[220]; /* the numbers of the descriptors, which its words name */
};

/* ---- nursery.c ---- */

/*
 * Waits for calls on the socket `listener`, whose file is `file` (O_PATH) in `directory`, and ends
 * when none has come for so many seconds, or the name leads elsewhere. Returns in a fork, for each
 * call: its socket.
 */
int await_call(int listener, int directory, int file, int seconds);

struct taken_call {
  int preboot; /* as of fork_preboot(): 0 in that one */
  int preboot_socket;
  const char *words;
  uint32_t count;
};

/* In that fork: makes this process what the caller is but for its parent, and is told to go on. */
void take_call(int socket, struct taken_call *taken);
/*
 * Has the caller start a front with these words and descriptors, as its own child. Its pid, or
 * -errno.
 */
int start_front_of_caller(int socket, const char *words, size_t bytes, const int *fds,
                          size_t count);
void end_call(int socket, int code) __attribute__((noreturn));

#endif

// SPDX-License-Identifier: Apache-2.0
// Kills, stops and execs that meet forks, clones and vforks of other threads half-way.
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include "check.h"

static void *forks(void *arg) {
  for (;;) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
  }
  return arg;
}

static void *vforks(void *arg) {
  for (;;) {
    pid_t pid = vfork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
  }
  return arg;
}

static void *returns(void *arg) { return arg; }

static void *clones(void *arg) {
  for (;;) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, returns, NULL) == 0) pthread_join(thread, NULL);
  }
  return arg;
}

static void *pauses(void *arg) {
  for (;;) pause();
  return arg;
}

static void *execs(void *arg) {
  sleep_ms((int)(long)arg);
  execl("/bin/true", "true", NULL);
  _exit(CHECK_FAILED);
}

static void start(void *(*body)(void *), long arg) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, body, (void *)arg), 0);
}

TEST(kill_during_fork) {
  for (int i = 0; i < 20; i++) {
    pid_t pid = OK(fork());
    if (pid == 0) {
      start(forks, 0);
      start(vforks, 0);
      start(clones, 0);
      forks(NULL);
    }
    sleep_ms(1 + i * 2);
    OK(kill(pid, SIGKILL));
    CHECK_KILLED(pid, SIGKILL);
  }
}

TEST(stop_and_continue_during_fork) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    start(forks, 0);
    start(vforks, 0);
    start(clones, 0);
    start(pauses, 0);
    forks(NULL);
  }
  for (int i = 0; i < 40; i++) {
    int status;
    OK(kill(pid, SIGSTOP));
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    OK(kill(pid, SIGCONT));
    CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
    CHECK(WIFCONTINUED(status));
    if (i % 8 == 0) sleep_ms(2);
  }
  OK(kill(pid, SIGSTOP));
  OK(kill(pid, SIGKILL));
  CHECK_KILLED(pid, SIGKILL);
}

enum { PAUSED, EXITED, SPINNING, VFORKING, STOPPED, LEADER_STATES };

static void lead(int state) {
  if (state == PAUSED) pauses(NULL);
  if (state == EXITED) syscall(SYS_exit, 0);
  if (state == SPINNING) {
    for (;;) {
    }
  }
  if (state == VFORKING) vforks(NULL);
  raise(SIGSTOP);
  pauses(NULL);
}

TEST(exec_by_a_thread_whatever_the_leader_does) {
  for (int state = 0; state < LEADER_STATES; state++) {
    for (int i = 0; i < 4; i++) {
      pid_t pid = OK(fork());
      if (pid == 0) {
        start(state == VFORKING ? forks : clones, 0);
        start(execs, i + 2);
        lead(state);
      }
      if (state == STOPPED) {
        int status;
        pid_t got = waitpid(pid, &status, WUNTRACED);
        CHECK_EQ(got, pid);
        if (WIFEXITED(status)) continue;  // The exec was faster.
        OK(kill(pid, SIGCONT));
      }
      CHECK_EXIT(pid, 0);
    }
  }
}

TEST(execs_race) {
  for (int i = 0; i < 10; i++) {
    pid_t pid = OK(fork());
    if (pid == 0) {
      start(execs, 2);
      start(execs, 2);
      execs((void *)2L);
    }
    CHECK_EXIT(pid, 0);
  }
}

TEST(a_vforked_child_outlives_its_parent) {
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  for (int i = 0; i < 5; i++) {
    int ready[2], go[2];
    char byte = 0;
    OK(pipe(ready));
    OK(pipe(go));
    pid_t pid = OK(fork());
    if (pid == 0) {
      if (vfork() == 0) {
        if (write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1) {
          execl("/bin/true", "true", NULL);
        }
        _exit(1);
      }
      _exit(0);
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    OK(kill(pid, SIGKILL));
    CHECK_KILLED(pid, SIGKILL);
    CHECK_EQ(write(go[1], &byte, 1), 1);
    int status;
    CHECK(waitpid(-1, &status, 0) > 0);
    CHECK_EQ(status, 0);
    for (int end = 0; end < 2; end++) {
      OK(close(ready[end]));
      OK(close(go[end]));
    }
  }
}

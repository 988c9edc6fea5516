// SPDX-License-Identifier: Apache-2.0
// Guests for stubs.test.ts: busy COMMAND SECONDS.
//   clones   threads and processes one after the other; fails where one cannot be made
//   forks    some threads map files while others fork children that rest for a while
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *nothing(void *unused) { return unused; }

static int clones(time_t end) {
  int failed = 0;
  while (time(NULL) < end) {
    pthread_t threads[12];
    int count = 0;
    while (count < 12 && pthread_create(&threads[count], NULL, nothing, NULL) == 0) count++;
    failed |= count < 12;
    while (count > 0) pthread_join(threads[--count], NULL);
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    failed |= pid < 0 || waitpid(pid, NULL, 0) != pid;
  }
  return failed;
}

static void *map_files(void *unused) {
  int fd = open("/proc/self/exe", O_RDONLY);
  for (;;) munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), 4096);
  return unused;
}

static void *fork_children(void *unused) {
  for (;;) {
    pid_t pid = fork();
    if (pid == 0) pause();
    usleep(20000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
  }
  return unused;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  time_t end = time(NULL) + atoi(argv[2]);
  if (strcmp(argv[1], "clones") == 0) return clones(end);
  pthread_t thread;
  for (int i = 0; i < 7; i++)
    pthread_create(&thread, NULL, i < 3 ? map_files : fork_children, NULL);
  while (time(NULL) < end) usleep(10000);
  kill(0, SIGKILL);
}

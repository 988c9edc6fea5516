// SPDX-License-Identifier: Apache-2.0
/*
 * In a sandbox: makes one call on a file that keeps it waiting, while another thread makes calls all the
 * time and writes a line for each.
 *
 *   slow-calls FILE fsync|fdatasync|sync_file_range|msync|read|pread|readv|write|pwrite|RWF_SYNC
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 300000 };

static int file;
static const char *call;
static char bytes[BYTES];
static volatile int is_over;
static long result;

static long make_call(void) {
  struct iovec parts[2] = {{bytes, 1000}, {bytes + 1000, 2000}};
  if (strcmp(call, "fsync") == 0) return fsync(file);
  if (strcmp(call, "fdatasync") == 0) return fdatasync(file);
  if (strcmp(call, "sync_file_range") == 0)
    return sync_file_range(file, 0, 4096, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  if (strcmp(call, "msync") == 0) {
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return mapped == MAP_FAILED ? -2 : msync(mapped, 4096, MS_SYNC);
  }
  if (strcmp(call, "read") == 0) {
    long count = read(file, bytes, BYTES);
    return count == BYTES ? lseek(file, 0, SEEK_CUR) : count;
  }
  if (strcmp(call, "pread") == 0) return pread(file, bytes, BYTES, (1 << 20) - 4096);
  if (strcmp(call, "readv") == 0) return readv(file, parts, 2);
  if (strcmp(call, "write") == 0) {
    long count = write(file, bytes, BYTES);
    return count == BYTES ? lseek(file, 0, SEEK_CUR) : count;
  }
  if (strcmp(call, "pwrite") == 0) return pwrite(file, bytes, 10, 100);
  if (strcmp(call, "RWF_SYNC") == 0) return pwritev2(file, parts, 1, 0, RWF_SYNC);
  return -3;
}

static void *caller(void *unused) {
  (void)unused;
  result = make_call();
  if (result < 0) result = -errno;
  is_over = 1;
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  call = argv[2];
  memset(bytes, 'y', sizeof bytes);
  file = open(argv[1], strstr(call, "read") != NULL ? O_RDONLY : O_RDWR);
  if (file < 0) {
    perror(argv[1]);
    return 1;
  }
  pthread_t thread;
  pthread_create(&thread, NULL, caller, NULL);
  struct timespec pause = {0, 1000000};
  while (!is_over) {
    if (write(1, "beat\n", 5) < 0) return 1;
    nanosleep(&pause, NULL);
  }
  pthread_join(thread, NULL);
  printf("result %ld\n", result);
  if (strstr(call, "read") != NULL) printf("byte %c\n", bytes[0]);
  return 0;
}

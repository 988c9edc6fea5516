// SPDX-License-Identifier: Apache-2.0
/*
 * Memory that an idle process does not need: pages of program files, which come back from the page
 * cache when they are touched, and free memory of malloc. While it works, the pages of program
 * files that it has touched stay.
 */
#define _GNU_SOURCE
#include <link.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "addon/addon.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

enum { PAGE_BYTES = 4096, MOST_RANGES = 128 };

struct range {
  uintptr_t start, end;
};

/* Found once, while /proc can still be read. */
static struct range program[MOST_RANGES];
static size_t program_count;

/* What the dynamic linker wrote before it became read-only: those pages are in no file. */
static struct range relro[MOST_RANGES];
static size_t relro_count;

static int note_relro(struct dl_phdr_info *object, size_t size, void *data) {
  (void)size;
  (void)data;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &object->dlpi_phdr[i];
    if (header->p_type != PT_GNU_RELRO && !(header->p_type == PT_LOAD && (header->p_flags & PF_W)))
      continue;
    /* An object that cannot be noted is kept whole. */
    if (relro_count == MOST_RANGES) return 1;
    uintptr_t start = object->dlpi_addr + header->p_vaddr;
    relro[relro_count++] =
        (struct range){start & ~(uintptr_t)(PAGE_BYTES - 1),
                       (start + header->p_memsz + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1)};
  }
  return 0;
}

static bool was_written(uintptr_t start, uintptr_t end) {
  for (size_t i = 0; i < relro_count; i++) {
    if (start < relro[i].end && end > relro[i].start) return true;
  }
  return false;
}

/* learnProgram(): looks for private mappings of files that cannot be written. */
static napi_value LearnProgram(napi_env env, napi_callback_info info) {
  (void)info;
  relro_count = program_count = 0;
  if (dl_iterate_phdr(note_relro, NULL) != 0) return answer(env, -ENOSPC);
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) return answer(env, -errno);
  char line[1024];
  while (program_count < MOST_RANGES && fgets(line, sizeof line, maps) != NULL) {
    uintptr_t start, end;
    char rights[5];
    unsigned long inode;
    if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &start, &end, rights, &inode) != 4) continue;
    if (inode == 0 || rights[1] == 'w' || rights[3] != 'p' || was_written(start, end)) continue;
    program[program_count++] = (struct range){start, end};
  }
  fclose(maps);
  return answer(env, (long)program_count);
}

/*
 * keepProgram(): the kernel takes back no page of these mappings that this process has touched. At
 * a cgroup's memory limit it would take them first and go on like this, reading them again and
 * again, and never kill anybody. -ENOMEM or -EPERM where RLIMIT_MEMLOCK forbids it: that can be
 * lived with.
 */
static napi_value KeepProgram(napi_env env, napi_callback_info info) {
  (void)info;
  for (size_t i = 0; i < program_count; i++) {
    size_t bytes = program[i].end - program[i].start;
    if (mlock2((void *)program[i].start, bytes, MLOCK_ONFAULT) < 0) return answer(env, -errno);
  }
  return answer(env, 0);
}

/* dropPages(): takes the pages of these mappings, and free memory of malloc, out of this process. */
static napi_value DropPages(napi_env env, napi_callback_info info) {
  (void)info;
  malloc_trim(0);
  for (size_t i = 0; i < program_count; i++) {
    void *start = (void *)program[i].start;
    size_t bytes = program[i].end - program[i].start;
    if (madvise(start, bytes, MADV_DONTNEED_LOCKED) < 0) madvise(start, bytes, MADV_DONTNEED);
  }
  return answer(env, 0);
}

/* awaitInput(fd, milliseconds): 1, or 0 when nothing came in that time (or a signal). */
static napi_value AwaitInput(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct pollfd one = {.fd = arg_int(env, argv[0]), .events = POLLIN};
  long ready = host(poll(&one, 1, arg_int(env, argv[1])));
  return answer(env, ready == -EINTR ? 0 : ready);
}

const struct addon_function footprint_functions[] = {
    {"learnProgram", LearnProgram},
    {"keepProgram", KeepProgram},
    {"dropPages", DropPages},
    {"awaitInput", AwaitInput},
    {NULL, NULL},
};

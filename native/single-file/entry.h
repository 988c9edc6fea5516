/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel starts in the one-file build: neither Node nor ld.so, but a small static program
 * (main.c) that is in the file as well, at addresses of its own below Node. README.md here.
 *
 * What is declared here runs before the program's C library is up: no functions of that, no
 * thread-local data.
 */
#ifndef RUNTS_ENTRY_H
#define RUNTS_ENTRY_H

#include <elf.h>
#include <stdint.h>

#include "protocol.h"

/*
 * Written into the program by tools/single-file/entry.ts, which finds it by its mark:
 * protocol/single-file.ts.
 */
struct node_place {
  char mark[16];
  uint64_t entry;
  uint64_t header_count;
  Elf64_Phdr headers[MOST_NODE_HEADERS]; /* as Node was linked: with PT_INTERP */
};

extern const volatile struct node_place node_place;

/* entry.S: lets all registers but the stack's start at 0, as the kernel does. */
void jump(uint64_t address, uint64_t *stack) __attribute__((noreturn));

/* Maps the program that is to load Node's libraries; answers its entry, and in `base` where it is. */
uint64_t load_interpreter(const char *path, uint64_t *base);

void give_up(const char *what, const char *path) __attribute__((noreturn));

#endif

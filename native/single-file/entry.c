// SPDX-License-Identifier: Apache-2.0
/*
 * Chooses between the quick path, which is in this program, and Node. See entry.h.
 */
#include <stddef.h>

#include "single-file/entry.h"

const volatile struct node_place node_place = {.mark = NODE_PLACE_MARK};

/* Of this program: the linker's, and the C library's start. */
extern const Elf64_Ehdr __ehdr_start;
void _start(void);

void choose(uint64_t *stack) __attribute__((noreturn));

static int starts_with(const char *text, const char *start) {
  while (*start != 0 && *text == *start) {
    text++;
    start++;
  }
  return *start == 0;
}

static int is_same(const char *a, const char *b) {
  while (*a != 0 && *a == *b) {
    a++;
    b++;
  }
  return *a == *b;
}

static int has_value_in_it(const char *option) {
  while (*option != 0 && *option != '=') option++;
  return *option == '=';
}

/*
 * Those of quick/call.c, with those that it prepares a preboot for. A wrong guess costs time only:
 * both ways do the same.
 */
static int is_quick(const char *verb) {
  static const char verbs[][8] = {"state", "start",  "kill",   "delete", "exec", "ps",
                                  "pause", "resume", "create", "run",    "do"};
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    if (is_same(verb, verbs[i])) return 1;
  }
  return 0;
}

/* "runts-sentry" and "runts-gofer" (launcher/children.c) are Node, and so is "runts-cli" (main.c). */
static int wants_quick(uint64_t argc, char **argv) {
  if (argc < 2 || starts_with(argv[0], "runts-")) return 0;
  for (uint64_t i = 1; i < argc; i++) {
    const char *word = argv[i];
    if (word[0] != '-') return is_quick(word);
    int is_alone = has_value_in_it(word) || is_same(word, "--debug");
    if (!is_alone && !is_same(word, "--systemd-cgroup")) i++;
  }
  return 0;
}

static Elf64_auxv_t *auxiliary(uint64_t *stack) {
  uint64_t *at = stack + 1 + stack[0] + 1;
  while (*at != 0) at++; /* the environment */
  return (Elf64_auxv_t *)(at + 1);
}

static void set(Elf64_auxv_t *values, uint64_t type, uint64_t value) {
  for (; values->a_type != AT_NULL; values++) {
    if (values->a_type == type) values->a_un.a_val = value;
  }
}

static void start_quick(uint64_t *stack, Elf64_auxv_t *values) {
  const Elf64_Ehdr *header = &__ehdr_start;
  set(values, AT_PHDR, (uint64_t)header + header->e_phoff);
  set(values, AT_PHNUM, header->e_phnum);
  set(values, AT_ENTRY, (uint64_t)&_start);
  jump((uint64_t)&_start, stack);
}

/* As the kernel would have, had it seen Node's own headers. */
static void start_node(uint64_t *stack, Elf64_auxv_t *values) {
  const struct node_place *node = (const struct node_place *)&node_place;
  const char *interpreter = NULL;
  uint64_t base;
  for (uint64_t i = 0; i < node->header_count; i++) {
    if (node->headers[i].p_type == PT_INTERP) {
      interpreter = (const char *)node->headers[i].p_vaddr;
    }
  }
  if (interpreter == NULL) give_up("damaged executable", "");
  uint64_t entry = load_interpreter(interpreter, &base);
  set(values, AT_PHDR, (uint64_t)node->headers);
  set(values, AT_PHNUM, node->header_count);
  set(values, AT_ENTRY, node->entry);
  set(values, AT_BASE, base);
  jump(entry, stack);
}

void choose(uint64_t *stack) {
  Elf64_auxv_t *values = auxiliary(stack);
  if (wants_quick(stack[0], (char **)(stack + 1))) start_quick(stack, values);
  start_node(stack, values);
  __builtin_unreachable();
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a container that is to be made joins the sandbox of its pod: by the annotations of
 * config.json, as readPodRole() of runts/oci/annotations.ts has them. A guess, ahead of Node, which
 * judges config.json: what is odd counts as a container with a sandbox of its own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/quick/json.h"
#include "launcher/quick/quick.h"

enum { LONGEST_CONFIG = 8 << 20 };

static bool is(const struct json_string *string, const char *text) {
  return string->length == strlen(text) && memcmp(string->bytes, text, string->length) == 0;
}

struct annotations {
  struct json_string type[2], sandbox[2]; /* containerd's and CRI-O's */
};

static bool read_annotations(struct json *json, struct annotations *found) {
  struct json_string name, value;
  for (bool first = true; json_member(json, &first, &name);) {
    if (json->is_null || !json_string(json, &value)) return false;
    if (is(&name, "io.kubernetes.cri.container-type")) found->type[0] = value;
    if (is(&name, "io.kubernetes.cri-o.ContainerType")) found->type[1] = value;
    if (is(&name, "io.kubernetes.cri.sandbox-id")) found->sandbox[0] = value;
    if (is(&name, "io.kubernetes.cri-o.SandboxID")) found->sandbox[1] = value;
  }
  return !json->failed;
}

const char *joined_sandbox(char *text, size_t length) {
  struct json json = {.at = text, .end = text + length};
  struct json_string name;
  struct annotations found = {0};
  for (bool first = true; json_member(&json, &first, &name);) {
    if (json.is_null) continue;
    if (is(&name, "annotations") ? !read_annotations(&json, &found) : !json_skip(&json))
      return NULL;
  }
  if (json.failed || !json_at_end(&json)) return NULL;
  const struct json_string *type = &found.type[found.type[0].bytes == NULL];
  const struct json_string *sandbox = &found.sandbox[found.sandbox[0].bytes == NULL];
  if (type->bytes == NULL || !is(type, "container") || sandbox->bytes == NULL) return NULL;
  sandbox->bytes[sandbox->length] = 0; /* in the place of the quote at its end */
  return sandbox->bytes;
}

/* The value of --bundle. Every other option of `create` and `run` is Node's business. */
static const char *find_bundle(char *const *arguments) {
  static const char option[] = "--bundle";
  const char *bundle = ".";
  for (; *arguments != NULL; arguments++) {
    const char *word = *arguments;
    if (strcmp(word, option) == 0 || strcmp(word, "-b") == 0) {
      if (arguments[1] != NULL) bundle = *++arguments;
    } else if (strncmp(word, option, sizeof option - 1) == 0 && word[sizeof option - 1] == '=') {
      bundle = word + sizeof option;
    }
  }
  return bundle;
}

/* The text of a file with a 0 after its end, or NULL. */
static char *read_config(const char *path, size_t *length) {
  struct stat stat;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return NULL;
  char *text = NULL;
  if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size <= LONGEST_CONFIG &&
      (text = malloc((size_t)stat.st_size + 1)) != NULL) {
    ssize_t got = read(fd, text, (size_t)stat.st_size);
    *length = got < 0 ? 0 : (size_t)got;
    text[*length] = 0;
  }
  close(fd);
  return text;
}

bool joins_sandbox(const struct call *call) {
  char path[PATH_MAX];
  size_t length = 0;
  int used = snprintf(path, sizeof path, "%s/config.json", find_bundle(call->arguments));
  if ((size_t)used >= sizeof path) return false;
  char *text = read_config(path, &length);
  const char *sandbox = text == NULL ? NULL : joined_sandbox(text, length);
  bool joins = sandbox != NULL && is_valid_id(sandbox) &&
               container_path(call, sandbox, path, sizeof path) && access(path, F_OK) == 0;
  free(text);
  return joins;
}

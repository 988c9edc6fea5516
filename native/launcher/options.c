/*
 * The launcher's arguments. Only runts/launch.ts writes them, so anything odd is our own bug.
 */
#include <stdlib.h>
#include <string.h>

#include "launcher/launcher.h"

static const char **text_option(struct options *options, const char *name) {
  if (strcmp(name, "--node") == 0) return &options->node;
  if (strcmp(name, "--app") == 0) return &options->app;
  if (strcmp(name, "--sentry") == 0) return &options->sentry;
  if (strcmp(name, "--gofer") == 0) return &options->gofer;
  if (strcmp(name, "--gofer-config") == 0) return &options->gofer_config;
  if (strcmp(name, "--zygote") == 0) return &options->zygote;
  return NULL;
}

static bool number_option(struct options *options, const char *name, const char *value) {
  if (strcmp(name, "--config") == 0) {
    options->config_fd = atoi(value);
  } else if (strcmp(name, "--log") == 0) {
    options->log_fd = atoi(value);
  } else if (strcmp(name, "--strace") == 0) {
    options->strace_fd = atoi(value);
  } else if (strcmp(name, "--timeout") == 0) {
    options->timeout_ms = atol(value);
  } else {
    return false;
  }
  return true;
}

static void add_attach(struct options *options, const char *path, bool writable) {
  if (options->attach_count == MAX_ATTACH) fatal("more than %d volumes", MAX_ATTACH - 1);
  options->attach[options->attach_count++] = (struct attach){path, writable, -1};
}

void parse_options(struct options *options, int argc, char **argv) {
  options->config_fd = options->log_fd = options->strace_fd = -1;
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    if (strcmp(name, "--terminal") == 0) {
      options->terminal = true;
      continue;
    }
    if (i + 1 == argc) fatal("launcher: %s lacks its value", name);
    char *value = argv[++i];
    const char **text = text_option(options, name);
    if (text != NULL) {
      *text = value;
    } else if (strcmp(name, "--read-only") == 0) {
      add_attach(options, value, false);
    } else if (strcmp(name, "--writable") == 0) {
      add_attach(options, value, true);
    } else if (strcmp(name, "--flag") == 0 && options->flag_count < MAX_FLAGS) {
      options->flags[options->flag_count++] = value;
    } else if (!number_option(options, name, value)) {
      fatal("launcher: unknown option %s", name);
    }
  }
  if (!options->node || !options->app || !options->sentry || !options->gofer ||
      !options->gofer_config || !options->zygote || options->config_fd < 0) {
    fatal("launcher: an option is missing");
  }
}

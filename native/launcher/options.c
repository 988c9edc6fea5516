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
  if (strcmp(name, "--addon") == 0) return &options->addon;
  struct container *container = &options->container;
  if (strcmp(name, "--resumed") == 0) return &options->resumed;
  if (strcmp(name, "--supervised") == 0) return &options->supervised;
  if (strcmp(name, "--title") == 0) return &container->title;
  if (strcmp(name, "--network-namespace") == 0) return &container->network;
  if (strcmp(name, "--console-socket") == 0) return &container->console_socket;
  return NULL;
}

static int *descriptor_option(struct options *options, const char *name) {
  struct container *container = &options->container;
  if (strcmp(name, "--config") == 0) return &options->config_fd;
  if (strcmp(name, "--log") == 0) return &options->log_fd;
  if (strcmp(name, "--strace") == 0) return &options->strace_fd;
  if (strcmp(name, "--preboot") == 0) return &options->preboot_fd;
  if (strcmp(name, "--preboot-pid") == 0) return &options->preboot_pid;
  if (strcmp(name, "--state-dir") == 0) return &container->state_dir;
  if (strcmp(name, "--status") == 0) return &container->status_fd;
  if (strcmp(name, "--gate") == 0) return &container->gate_fd;
  if (strcmp(name, "--error-log") == 0) return &container->error_log_fd;
  return NULL;
}

static bool number_option(struct options *options, const char *name, const char *value) {
  if (strcmp(name, "--timeout") == 0) {
    options->timeout_ms = atol(value);
  } else if (strcmp(name, "--network-capabilities") == 0) {
    options->network_capabilities = strtoull(value, NULL, 10);
  } else if (strcmp(name, "--oom-margin") == 0) {
    options->oom_margin = atoi(value);
  } else if (strcmp(name, "--rows") == 0) {
    options->container.rows = atoi(value);
  } else if (strcmp(name, "--columns") == 0) {
    options->container.columns = atoi(value);
  } else if (strcmp(name, "--preserve-fds") == 0) {
    options->container.preserved_count = atoi(value);
    if (options->container.preserved_count > MAX_PRESERVED) {
      fatal("--preserve-fds: at most %d", MAX_PRESERVED);
    }
  } else if (strcmp(name, "--oom-score-adj") == 0) {
    options->container.oom_score_adj = atoi(value);
  } else {
    return false;
  }
  return true;
}

/* --read-only PATH, --writable PATH; then -flat and -slave, see struct attach. */
static bool add_attach(struct options *options, const char *name, const char *path) {
  struct attach attach = {.path = path, .tree = -1};
  attach.writable = strncmp(name, "--writable", 10) == 0;
  const char *rest = name + (attach.writable ? 10 : 11);
  if (!attach.writable && strncmp(name, "--read-only", 11) != 0) return false;
  attach.flat = strncmp(rest, "-flat", 5) == 0;
  if (attach.flat) rest += 5;
  attach.slave = strcmp(rest, "-slave") == 0;
  if (!attach.slave && *rest != 0) return false;
  if (options->attach_count == MAX_ATTACH) fatal("more than %d volumes", MAX_ATTACH - 1);
  options->attach[options->attach_count++] = attach;
  return true;
}

static void add_cgroup(const char **list, int *count, const char *path) {
  if (*count == MAX_CGROUPS) fatal("more than %d cgroups", MAX_CGROUPS);
  list[(*count)++] = path;
}

static void add_setting(struct container *container, const char *setting) {
  if (container->setting_count == MAX_SETTINGS) fatal("more than %d sysctls", MAX_SETTINGS);
  container->settings[container->setting_count++] = setting;
}

/* Options without a value. */
static bool flag_option(struct options *options, const char *name) {
  if (strcmp(name, "--terminal") == 0) {
    options->terminal = true;
  } else if (strcmp(name, "--host-network") == 0) {
    options->host_network = true;
  } else if (strcmp(name, "--container") == 0) {
    options->mode = MODE_CONTAINER;
  } else if (strcmp(name, "--exec") == 0) {
    options->mode = MODE_EXEC;
  } else if (strcmp(name, "--join") == 0) {
    options->container.joins = true;
  } else if (strcmp(name, "--foreground") == 0) {
    options->container.is_foreground = true;
  } else if (strcmp(name, "--error-log-json") == 0) {
    options->container.error_log_json = true;
  } else {
    return false;
  }
  return true;
}

static bool is_complete(const struct options *options) {
  if (options->config_fd < 0) return false;
  if (options->mode != MODE_COMMAND && options->container.state_dir < 0) return false;
  if (options->mode == MODE_EXEC) return true;
  bool has_scripts = options->app && options->sentry && options->gofer;
  return options->node && (has_scripts || options->addon) && options->gofer_config &&
         options->zygote;
}

void init_options(struct options *options) {
  struct container *container = &options->container;
  memset(options, 0, sizeof *options);
  options->config_fd = options->log_fd = options->strace_fd = -1;
  options->zygote_fd = options->addon_fd = options->preboot_fd = -1;
  container->state_dir = container->status_fd = container->gate_fd = -1;
  container->error_log_fd = container->listen_fd = -1;
}

void parse_options(struct options *options, int argc, char **argv) {
  struct container *container = &options->container;
  init_options(options);
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i];
    if (flag_option(options, name)) continue;
    if (i + 1 == argc) fatal("launcher: %s lacks its value", name);
    char *value = argv[++i];
    const char **text = text_option(options, name);
    int *descriptor = descriptor_option(options, name);
    if (text != NULL) {
      *text = value;
    } else if (descriptor != NULL) {
      *descriptor = atoi(value);
    } else if (strcmp(name, "--cgroup") == 0) {
      add_cgroup(container->cgroups, &container->cgroup_count, value);
    } else if (strcmp(name, "--gofer-cgroup") == 0) {
      add_cgroup(container->gofer_cgroups, &container->gofer_cgroup_count, value);
    } else if (strcmp(name, "--network-setting") == 0) {
      add_setting(container, value);
    } else if (strcmp(name, "--flag") == 0 && options->flag_count < MAX_FLAGS) {
      options->flags[options->flag_count++] = value;
    } else if (!add_attach(options, name, value) && !number_option(options, name, value)) {
      fatal("launcher: unknown option %s", name);
    }
  }
  if (!is_complete(options)) fatal("launcher: an option is missing");
}

/*
 * The network namespace of the host that the Sentry will share (--host-network): who may use low ports and ping in it.
 *
 * The Sentry has no privilege there, so a container's namespace is opened for it, and the Sentry's own settings, which
 * start with the values found here, decide what its guests may do. Another's namespace stays as it is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher/launcher.h"

static const char first_port[] = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
static const char ping_groups[] = "/proc/sys/net/ipv4/ping_group_range";

static void read_numbers(const char *path, char *text, size_t size, const char *otherwise) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
  if (fd >= 0) close(fd);
  text[got < 0 ? 0 : got] = 0;
  text[strcspn(text, "\n")] = 0;
  if (text[0] == 0) snprintf(text, size, "%s", otherwise);
}

static void write_numbers(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  /* Where that is not allowed, the host's answer to a guest is what counts. */
  if (fd >= 0 && write(fd, text, strlen(text)) < 0) (void)0;
  if (fd >= 0) close(fd);
}

void note_network(struct options *options) {
  char port[16], groups[32];
  if (!options->host_network) return;
  read_numbers(first_port, port, sizeof port, "1024");
  read_numbers(ping_groups, groups, sizeof groups, "1\t0");
  snprintf(options->network_settings, sizeof options->network_settings, "%s %s", port, groups);
  if (options->container.network == NULL) return;
  write_numbers(first_port, "0");
  write_numbers(ping_groups, "0 2147483647");
}

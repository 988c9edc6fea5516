// Descriptors that the launcher leaves for the Sentry: twin of native/launcher/launcher.h.
export const FD_LOG = 2;
export const FD_CONTROL = 3;
export const FD_WAKE = 4;
export const FD_PAGE = 5;
export const FD_ZYGOTE = 6;
export const FD_GOFER = 7;
export const FD_SEALER = 8;
export const FD_CPUINFO = 9;
export const FD_MEMINFO = 10;
/** The guest's standard input, output and error. */
export const FD_STDIO = 11;
export const FD_STRACE = 14;
/** A container's control socket, listening. */
export const FD_LISTEN = 15;
/** The network broker (native/launcher/broker.c), or /dev/null. */
export const FD_BROKER = 16;
/** The directory /proc/sys/net of the host's network, or /dev/null; while the Sentry boots. */
export const FD_NET_SETTINGS = 17;

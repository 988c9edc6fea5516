// SPDX-License-Identifier: Apache-2.0
// The launcher's options: what the command line (runts/launch.ts, runts/oci/front.ts and what they
// call) says to native/launcher/options.c. Both have them from the table here: C by a header that
// tools/gen-protocol.ts makes of it, TypeScript by the types of launcherArguments().

/** More descriptors of the caller's (--preserve-fds) a process is not given. */
export const MAX_PRESERVED = 200;
export const MAX_CGROUPS = 20;
/** The root and volumes. */
export const MAX_ATTACH = 180;
/** Flags for Node. */
export const MAX_NODE_FLAGS = 24;
export const MAX_NETWORK_SETTINGS = 128;

/**
 * A row: what kind of value follows the option, and the member of C's `struct options`
 * (native/launcher/launcher.h) where the launcher keeps it. A member of the wrong type does not
 * compile there.
 */
export type LauncherOption =
  /** A word. `own`: the launcher gives it to itself, where it goes on in another program. */
  | { readonly kind: 'text'; readonly field: string; readonly own?: true }
  /** The number of an open descriptor; -1 where it is not given. */
  | { readonly kind: 'descriptor'; readonly field: string }
  /** A whole number; 0 where it is not given. */
  | { readonly kind: 'number'; readonly field: string; readonly most?: number }
  /** Without a value: the member becomes true. */
  | { readonly kind: 'flag'; readonly field: string }
  /** Without a value: who the front stands for, one of C's `enum mode`. */
  | { readonly kind: 'mode'; readonly field: string; readonly mode: string }
  /** A word, once for each element: `field` is an array of `most`, `count` how many there are. */
  | {
      readonly kind: 'list';
      readonly field: string;
      readonly count: string;
      readonly most: number;
      readonly what: string;
    }
  /** An attach point: a path, once for each, by one of the names of attachOption(). */
  | { readonly kind: 'attach' };

export const launcherOptions = {
  // What is started.
  /** Path of Node's program. */
  node: { kind: 'text', field: 'node' },
  /** The directory of the scripts, seen as /app inside; absent: Node has them in it. */
  app: { kind: 'text', field: 'app' },
  /** Scripts, relative to `app`. */
  sentry: { kind: 'text', field: 'sentry' },
  gofer: { kind: 'text', field: 'gofer' },
  /** GoferConfig, as JSON. */
  'gofer-config': { kind: 'text', field: 'gofer_config' },
  zygote: { kind: 'text', field: 'zygote' },
  /** Without an `app`: the Node-API addon. */
  addon: { kind: 'text', field: 'addon' },
  /** For Node. */
  flag: {
    kind: 'list',
    field: 'flags',
    count: 'flag_count',
    most: MAX_NODE_FLAGS,
    what: 'flags for node',
  },
  /** The attach points of the Gofer. */
  attach: { kind: 'attach' },

  // Descriptors.
  /** The first line on the control channel: SandboxConfig or ConnectionRequest. */
  config: { kind: 'descriptor', field: 'config_fd' },
  log: { kind: 'descriptor', field: 'log_fd' },
  strace: { kind: 'descriptor', field: 'strace_fd' },
  stats: { kind: 'descriptor', field: 'stats_fd' },
  profile: { kind: 'descriptor', field: 'profile_fd' },
  /** A socket that the network proxy has its configuration from (protocol/proxy.ts). */
  proxy: { kind: 'descriptor', field: 'proxy_fd' },

  // Of every sandbox.
  /** Descriptor 0 is a terminal, or a new one is made (`console-socket`). */
  terminal: { kind: 'flag', field: 'terminal' },
  /** Milliseconds. */
  timeout: { kind: 'number', field: 'timeout_ms' },
  /** By how much the oom_score_adj of guest processes is higher. */
  'oom-margin': { kind: 'number', field: 'oom_margin' },
  /** The Sentry stays in the network namespace of the caller. */
  'host-network': { kind: 'flag', field: 'host_network' },
  /** The Sentry gets the network of that namespace, for a stack of its own (native/launcher/link.c). */
  'own-stack': { kind: 'flag', field: 'own_stack' },
  /** Bits: what the guests may have in that namespace (native/launcher/broker.c). */
  'network-capabilities': { kind: 'number', field: 'network_capabilities' },

  // A preboot: what is to become the launcher listens on the descriptor, and is a child of this process.
  preboot: { kind: 'descriptor', field: 'preboot_fd' },
  'preboot-pid': { kind: 'number', field: 'preboot_pid' },
  /** The front, or the launcher, goes on in this program: its state. */
  resumed: { kind: 'text', field: 'resumed', own: true },
  supervised: { kind: 'text', field: 'supervised', own: true },

  // Of a container, and of a further process in it.
  container: { kind: 'mode', field: 'mode', mode: 'MODE_CONTAINER' },
  exec: { kind: 'mode', field: 'mode', mode: 'MODE_EXEC' },
  /** The container lives in the Sentry of the one whose `state-dir` this is. */
  join: { kind: 'flag', field: 'container.joins' },
  /** The title that ps(1) shows. */
  title: { kind: 'text', field: 'container.title' },
  /** The directory of the control socket. */
  'state-dir': { kind: 'descriptor', field: 'container.state_dir' },
  /** A pipe to the command line, told of the start (protocol/status.ts). */
  status: { kind: 'descriptor', field: 'container.status_fd' },
  /** A byte here lets the sandbox start; absent: it starts at once. */
  gate: { kind: 'descriptor', field: 'container.gate_fd' },
  /** The engine's log, as text or JSON. */
  'error-log': { kind: 'descriptor', field: 'container.error_log_fd' },
  'error-log-json': { kind: 'flag', field: 'container.error_log_json' },
  /** Files that take a process id: of the container's cgroups. */
  cgroup: {
    kind: 'list',
    field: 'container.cgroups',
    count: 'container.cgroup_count',
    most: MAX_CGROUPS,
    what: 'cgroups',
  },
  /** The cgroups of the Sentry that a container joins: its Gofer goes there too. */
  'gofer-cgroup': {
    kind: 'list',
    field: 'container.gofer_cgroups',
    count: 'container.gofer_cgroup_count',
    most: MAX_CGROUPS,
    what: 'cgroups',
  },
  /** "new" or a path; absent: the caller's. */
  'network-namespace': { kind: 'text', field: 'container.network' },
  /** "PATH=VALUE", below /proc/sys, written in that network namespace. */
  'network-setting': {
    kind: 'list',
    field: 'container.settings',
    count: 'container.setting_count',
    most: MAX_NETWORK_SETTINGS,
    what: 'sysctls',
  },
  /** Said on the container's standard error where its namespace has a network, which guests do not get. */
  'network-notice': { kind: 'text', field: 'container.network_notice' },
  /** The path of a socket that receives the terminal's other side, and that terminal's size. */
  'console-socket': { kind: 'text', field: 'container.console_socket' },
  rows: { kind: 'number', field: 'container.rows' },
  columns: { kind: 'number', field: 'container.columns' },
  'oom-score-adj': { kind: 'number', field: 'container.oom_score_adj' },
  /** The front of an `exec` runs in the place of the caller, with its streams. */
  foreground: { kind: 'flag', field: 'container.is_foreground' },
  /** How many descriptors of the caller, from 3 on, the process gets. */
  'preserve-fds': { kind: 'number', field: 'container.preserved_count', most: MAX_PRESERVED },
} as const satisfies Readonly<Record<string, LauncherOption>>;

/** How an attach point is shown. */
export interface AttachMode {
  readonly writable: boolean;
  /** Without the mounts of the host below it. */
  readonly flat: boolean;
  /** Mounts that the host makes below it later show up too. */
  readonly slave: boolean;
  /** A new overlay of the host's kernel: `path` is the data of mount(2) for it. */
  readonly overlay: boolean;
}

/** The name of the option for one. */
export function attachOption({ writable, flat, slave, overlay }: AttachMode): string {
  const name = writable ? 'writable' : 'read-only';
  if (overlay) return `${name}-overlay`;
  return `${name}${flat ? '-flat' : ''}${slave ? '-slave' : ''}`;
}

export interface AttachArgument extends AttachMode {
  readonly path: string;
}

type Table = typeof launcherOptions;

interface Values {
  readonly text: string;
  readonly descriptor: number;
  readonly number: number;
  readonly flag: boolean;
  readonly mode: true;
  readonly list: readonly string[];
  readonly attach: readonly AttachArgument[];
}

/** Options by name, with values of their kind; undefined where one is not given. */
export type LauncherValues = {
  readonly [Name in keyof Table as Table[Name] extends { readonly own: true } ? never : Name]?:
    | Values[Table[Name]['kind']]
    | undefined;
};

/** The words of a command line that say `values`. */
export function launcherArguments(values: LauncherValues): string[] {
  return Object.entries(values).flatMap(([name, value]) => wordsOf(name, value));
}

function wordsOf(name: string, value: LauncherValues[keyof LauncherValues]): string[] {
  if (value === undefined || value === false) return [];
  if (value === true) return [`--${name}`];
  if (typeof value === 'number' || typeof value === 'string') return [`--${name}`, String(value)];
  return value.flatMap((element) =>
    typeof element === 'string'
      ? [`--${name}`, element]
      : [`--${attachOption(element)}`, element.path],
  );
}

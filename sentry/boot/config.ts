// What the command line tells the Sentry: the first line on the control channel, as JSON. All texts
// that the guest sees (arguments, environment, paths) are byte strings, one char per byte (latin1).

export interface GuestUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** All capabilities inside the sandbox, or none. */
  readonly privileged: boolean;
}

export interface VolumeConfig {
  readonly kind: 'volume';
  /** The Gofer's attach point: 0 is the root, volumes follow. */
  readonly attach: number;
  readonly target: string;
  readonly readOnly: boolean;
  readonly isFile: boolean;
}

/** A mount over the root; they are made in this order. */
export type MountConfig = VolumeConfig | { readonly kind: 'tmpfs'; readonly target: string };

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

export interface TerminalConfig {
  /** Which of descriptors 0, 1 and 2 the guest gets as the slave of a pseudo-terminal. */
  readonly streams: readonly [boolean, boolean, boolean];
  readonly window: WindowSize;
}

export interface SandboxConfig {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: GuestUser;
  readonly umask: number;
  readonly hostname: string;
  /** 0: what the host has. */
  readonly memoryBytes: number;
  /** 0: no limit. */
  readonly pidLimit: number;
  readonly mounts: readonly MountConfig[];
  /** The command line is a job of a shell, which can continue it when it stops. */
  readonly hasShell: boolean;
  /** Absent where the guest has no terminal. */
  readonly terminal?: TerminalConfig;
  readonly strace: boolean;
  /** Write the log to descriptor 2. */
  readonly debug: boolean;
  /** What an installed seccomp filter does with other calls: 'log' is for finding what is missing. */
  readonly seccomp: 'kill' | 'log';
  readonly platform: 'systrap';
  /** Write V8's code cache to descriptor 2 at the end (tools/code-cache.ts). */
  readonly writeCodeCache: boolean;
}

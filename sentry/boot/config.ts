// What the command line tells the Sentry: the first line on the control channel, as JSON. All texts
// that the guest sees (arguments, environment, paths) are byte strings, one char per byte (latin1).

import type { CapabilitySet } from '../vfs/credentials.ts';

export interface GuestUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/** The five sets of capabilities(7) that a process starts with. */
export interface CapabilityConfig {
  readonly bounding: CapabilitySet;
  readonly effective: CapabilitySet;
  readonly inheritable: CapabilitySet;
  readonly permitted: CapabilitySet;
  readonly ambient: CapabilitySet;
}

/** A process that is started from outside: a container's first one, or one of `runts exec`. */
export interface ProcessConfig {
  /** argv[0] is the command: a path where it has a '/', else looked for in PATH of `env`. */
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: GuestUser;
  readonly umask: number;
  readonly capabilities: CapabilityConfig;
  /** RLIMIT_* number, soft, hard; what is not named keeps its default. */
  readonly limits: readonly (readonly [resource: number, soft: number, hard: number])[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdjustment: number;
  /** Absent where the process has no terminal. */
  readonly terminal?: TerminalConfig;
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

/** What a container is made of: its file systems and its first process. */
export interface ContainerConfig {
  readonly id: string;
  readonly root: RootConfig;
  readonly mounts: readonly MountConfig[];
  readonly process: ProcessConfig;
  /** The first process is process 1, as containers have it; else it is process 2 below an init of the Sentry's. */
  readonly isInit: boolean;
}

export interface RootConfig {
  /** The Gofer's attach point. */
  readonly attach: number;
  /** Writes go to an overlay in the Sentry's memory; else to the root itself, through the Gofer. */
  readonly overlay: boolean;
  readonly readOnly: boolean;
}

/** The Sentry and its first container. */
export interface SandboxConfig {
  readonly container: ContainerConfig;
  readonly hostname: string;
  /** NIS domain; '' for the default. */
  readonly domainname: string;
  /** 0: what the host has. */
  readonly memoryBytes: number;
  /** 0: no limit. */
  readonly pidLimit: number;
  /** The container waits for a 'start' request over the control socket. */
  readonly waitsForStart: boolean;
  /** The command line is a job of a shell, which can continue it when it stops. */
  readonly hasShell: boolean;
  readonly strace: boolean;
  /** Write the log to descriptor 2. */
  readonly debug: boolean;
  /** What an installed seccomp filter does with other calls: 'log' is for finding what is missing. */
  readonly seccomp: 'kill' | 'log';
  readonly platform: 'systrap';
  /** 'none': a loopback of the Sentry's own. */
  readonly network: 'none';
  /** Write V8's code cache to descriptor 2 at the end (tools/code-cache.ts). */
  readonly writeCodeCache: boolean;
}

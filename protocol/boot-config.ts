// SPDX-License-Identifier: Apache-2.0
// What the command line tells the Sentry: the first line on the control channel, as JSON. All texts
// that the guest sees (arguments, environment, paths) are byte strings, one char per byte (latin1).

import type { CapabilitySet } from '../abi/capability.ts';
import type { SchedulingRequest } from '../abi/sched.ts';
import type { Timespec } from '../abi/time.ts';
import type { IdRanges } from './id-ranges.ts';
import type { SeccompProfile } from './seccomp-profile.ts';

/**
 * Whether the Sentry looks at the memory of a container's processes: 'always', or only 'late', when the
 * account has a good part of the limit, because a cgroup on the host binds the processes.
 */
export type MemoryGuarding = 'always' | 'late';

/**
 * By how much a container's clocks are ahead: time_namespaces(7). Seconds may be negative,
 * nanoseconds not.
 */
export interface TimeOffsets {
  readonly monotonic: Timespec;
  readonly boottime: Timespec;
}

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
  /**
   * Names that `user` is found by, in /etc/passwd and /etc/group inside (`runts do --user`). One of
   * them may be a number. A user other than root then has no capabilities but in the bounding set.
   */
  readonly userNames?: { readonly user: string; readonly group?: string };
  readonly umask: number;
  readonly capabilities: CapabilityConfig;
  /** RLIMIT_* number, soft, hard (null: unlimited); what is not named keeps its default. */
  readonly limits: readonly (readonly [
    resource: number,
    soft: number | null,
    hard: number | null,
  ])[];
  /** HOME is added where it is missing: from /etc/passwd of the container. */
  readonly addsHome: boolean;
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdjustment: number;
  /** The scheduling attributes that sched_setattr(2) takes. */
  readonly scheduling?: SchedulingRequest;
  /** The I/O priority that ioprio_set(2) takes. */
  readonly ioPriority?: number;
  /** Absent where the process has no terminal. */
  readonly terminal?: TerminalConfig;
}

/** Properties of every mount; `flags` are MS_* of mount(2) and hold for the guest alone. */
interface MountPlace {
  /** Absolute, inside the container. Made where it is missing. */
  readonly target: string;
  readonly flags: number;
  /** First column and file-system options of /proc/PID/mounts. */
  readonly source: string;
  readonly data: string;
}

/** Files of the host, by the Gofer. */
export interface VolumeConfig extends MountPlace {
  readonly kind: 'volume';
  /** The Gofer's attach point: 0 is the root, volumes follow. */
  readonly attach: number;
  /** A single file, or something else that is no directory. */
  readonly isFile: boolean;
  /** The host mounts and unmounts below it while the container runs. */
  readonly follows?: boolean;
  /** An ID-mapped mount: from ids of the files to those of the host. */
  readonly ids?: IdRanges;
  /** Mounts below it are mapped too. */
  readonly mapsBelow?: boolean;
}

/** Absent sizes and counts: no limit of its own. */
export interface TmpfsConfig extends MountPlace {
  readonly kind: 'tmpfs';
  readonly sizeBytes?: number;
  readonly inodes?: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** The content of this directory in the container's root is copied into the tmpfs first. */
  readonly copyUp: boolean;
}

export interface DevptsConfig extends MountPlace {
  readonly kind: 'devpts';
  /** Mode and owner of slaves; absent owners: who opened the master. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly ptmxMode: number;
}

/** File systems of the kernel's own. */
export interface KernelMountConfig extends MountPlace {
  readonly kind: 'proc' | 'sysfs' | 'cgroup' | 'mqueue';
}

/** A file with a text of its own. */
export interface TextConfig extends MountPlace {
  readonly kind: 'text';
  readonly text: string;
}

export type MountConfig =
  | VolumeConfig
  | TmpfsConfig
  | DevptsConfig
  | KernelMountConfig
  | TextConfig;

/** A node that is made in /dev besides those that every container has (container-dev.ts). */
export interface DeviceConfig {
  readonly path: string;
  /** S_IFCHR, S_IFBLK or S_IFIFO with permission bits. */
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
  readonly uid: number;
  readonly gid: number;
}

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

export interface TerminalConfig {
  /** Which of descriptors 0, 1 and 2 the guest gets as the slave of a pseudo-terminal. */
  readonly streams: readonly [boolean, boolean, boolean];
  readonly window: WindowSize;
}

/** A container to make: its file systems and its first process. */
export interface ContainerConfig {
  readonly id: string;
  readonly root: RootConfig;
  /** Absent where the container keeps the name of the one whose UTS namespace it is in. */
  readonly hostname?: string;
  /** NIS domain; absent for the default, or that of the one whose UTS namespace it is in. */
  readonly domainname?: string;
  /** Over the root, made in this order. */
  readonly mounts: readonly MountConfig[];
  readonly devices: readonly DeviceConfig[];
  /**
   * Paths that show nothing: files as /dev/null, directories as empty ones. What is not there is
   * passed over.
   */
  readonly maskedPaths: readonly string[];
  /** Likewise, paths that cannot be written. */
  readonly readOnlyPaths: readonly string[];
  /** Settings below /proc/sys ('net.core.somaxconn') that the container starts with. */
  readonly sysctl: Readonly<Record<string, string>>;
  readonly limits: LimitsConfig;
  readonly guardsMemory: MemoryGuarding;
  /** The host's ids that the container's user and group ids are; absent where they are the same. */
  readonly ids?: IdRanges;
  /** How far its clocks are ahead of the host's; absent: they start with the sandbox. */
  readonly timeOffsets?: TimeOffsets;
  /** The seccomp profile of its processes, also of those of `runts exec`. */
  readonly seccomp?: SeccompProfile;
  readonly process: ProcessConfig;
  /**
   * The first process is process 1, as containers have it; else it is process 2 below an init of
   * the Sentry's.
   */
  readonly isInit: boolean;
}

export interface RootConfig {
  /** The Gofer's attach point. */
  readonly attach: number;
  /** Writes go to an overlay in the Sentry's memory; else to the root itself, through the Gofer. */
  readonly overlay: boolean;
  readonly readOnly: boolean;
}

/**
 * The limits of the container's cgroup. 0: no limit; absent (in an update): the limit stays as it
 * was.
 */
export interface LimitsConfig {
  readonly memoryBytes?: number;
  readonly pidLimit?: number;
  readonly cpuQuotaUs?: number;
  readonly cpuPeriodUs?: number;
  /** cgroup v1's: 1024 is an ordinary one's. */
  readonly cpuShares?: number;
}

/** `runts do --strace-filter` and `--strace-times`. */
export interface StraceOptions {
  /** Names and classes of calls (sentry/strace/filter.ts); absent: all. */
  readonly filter?: string;
  readonly relative?: boolean;
  readonly absolute?: boolean;
  readonly spent?: boolean;
}

/** How guest code runs; 'auto': the first of the others that the host allows. */
export const platformChoices = ['auto', 'systrap', 'ptrace'] as const;
export type PlatformChoice = (typeof platformChoices)[number];

/** A port of the guest that is published on the host. */
export interface PublishedPort {
  readonly udp: boolean;
  readonly port: number;
}

/** The Sentry and its first container. */
export interface SandboxConfig {
  readonly container: ContainerConfig;
  /** The container waits for a 'start' request over the control socket. */
  readonly waitsForStart: boolean;
  /** The command line is a job of a shell, which can continue it when it stops. */
  readonly hasShell: boolean;
  readonly strace: boolean;
  readonly straceOptions?: StraceOptions;
  /** Write the log to descriptor 2. */
  readonly debug: boolean;
  /**
   * The answer of installed seccomp filters to calls outside their lists: 'log' is for finding what
   * is missing.
   */
  readonly seccomp: 'kill' | 'log';
  readonly platform: PlatformChoice;
  /** Rewrite system call instructions of guests that trap often. */
  readonly patching: boolean;
  /** Arguments of calls are copied by the stubs, into the mailbox. */
  readonly windows: boolean;
  /** Guest threads wait and wake on private futexes without the Sentry. */
  readonly hostFutexes: boolean;
  /**
   * 'none': a loopback of the Sentry's own. 'host': the network namespace that the launcher was
   * started in. 'user': a loopback, and a way out by the network proxy. 'sandbox': that
   * namespace's interfaces, with the Sentry's own stack.
   */
  readonly network: 'none' | 'host' | 'user' | 'sandbox';
  /** With 'user': the ports of the guest that its published ports stand for, by index. */
  readonly published?: readonly PublishedPort[];
  /** Keys of net.* settings that the host's network namespace was given for the first container. */
  readonly networkSettings: readonly string[];
  /** Write V8's code cache to descriptor 2 at the end (tools/code-cache.ts). */
  readonly writeCodeCache: boolean;
  /** Count system calls and time, and write both at the end (sentry/boot/measurement.ts). */
  readonly stats: boolean;
  /** Sample the Sentry's CPU time, and write the profile at the end (sentry/boot/profile.ts). */
  readonly profile: boolean;
  /**
   * Measure how long the Sentry's turns take, and write the longest to the log
   * (sentry/kernel/turn-meter.ts).
   */
  readonly turns: boolean;
}

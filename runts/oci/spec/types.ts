// SPDX-License-Identifier: Apache-2.0
// config.json of the OCI runtime specification 1.2, its parts for Linux. Names and nesting are
// those of the JSON. parse.ts makes these objects: what has one of these types has been validated,
// and null counts as absent. https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md
// and config-linux.md

/** An integer of 64 bits: a bigint only where a number would not be exact. */
export type Integer64 = number | bigint;

/** Texts as JSON has them (UTF-16); what the guest sees goes through byteString() (runts/byte-string.ts). */
export interface Spec {
  readonly ociVersion: string;
  /** Always there: a container without a process cannot be created, so parseSpec asks for it. */
  readonly process: Process;
  readonly root: Root;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts?: readonly Mount[];
  readonly hooks?: Hooks;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: Linux;
}

export interface Root {
  /** Absolute, or relative to the bundle. */
  readonly path: string;
  readonly readonly?: boolean;
}

export interface Mount {
  /** A relative one counts from the root. */
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
}

export interface Process {
  readonly terminal?: boolean;
  readonly consoleSize?: ConsoleSize;
  /** Root where the document has none. */
  readonly user: User;
  readonly args: readonly string[];
  readonly env?: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  readonly capabilities?: Capabilities;
  readonly rlimits?: readonly Rlimit[];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  readonly oomScoreAdj?: number;
  readonly scheduler?: Scheduler;
  readonly ioPriority?: IoPriority;
  readonly execCPUAffinity?: CpuAffinity;
}

export interface ConsoleSize {
  readonly height: number;
  readonly width: number;
}

export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
}

/** Names as in capabilities(7), 'CAP_CHOWN'; unknown ones were taken out with a warning. */
export interface Capabilities {
  readonly bounding?: readonly string[];
  readonly effective?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly permitted?: readonly string[];
  readonly ambient?: readonly string[];
}

export interface Rlimit {
  /** 'RLIMIT_NOFILE' */
  readonly type: string;
  readonly soft: Integer64;
  readonly hard: Integer64;
}

export interface Scheduler {
  readonly policy: string;
  readonly nice?: number;
  readonly priority?: number;
  readonly flags?: readonly string[];
  readonly runtime?: Integer64;
  readonly deadline?: Integer64;
  readonly period?: Integer64;
}

export interface IoPriority {
  readonly class: 'IOPRIO_CLASS_RT' | 'IOPRIO_CLASS_BE' | 'IOPRIO_CLASS_IDLE';
  readonly priority: number;
}

/** Lists of processors, '0-3,7'. */
export interface CpuAffinity {
  readonly initial?: string;
  readonly final?: string;
}

export interface Hook {
  /** Absolute. */
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds, more than 0. */
  readonly timeout?: number;
}

export interface Hooks {
  readonly prestart?: readonly Hook[];
  readonly createRuntime?: readonly Hook[];
  readonly createContainer?: readonly Hook[];
  readonly startContainer?: readonly Hook[];
  readonly poststart?: readonly Hook[];
  readonly poststop?: readonly Hook[];
}

export interface Linux {
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly resources?: Resources;
  readonly cgroupsPath?: string;
  readonly namespaces?: readonly Namespace[];
  readonly devices?: readonly Device[];
  readonly seccomp?: Seccomp;
  readonly rootfsPropagation?: RootfsPropagation;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly mountLabel?: string;
  readonly personality?: Personality;
  readonly timeOffsets?: TimeOffsets;
}

export type RootfsPropagation =
  | 'shared'
  | 'slave'
  | 'private'
  | 'unbindable'
  | 'rshared'
  | 'rslave'
  | 'rprivate'
  | 'runbindable'
  | '';

export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export type NamespaceType =
  | 'pid'
  | 'network'
  | 'mount'
  | 'ipc'
  | 'uts'
  | 'user'
  | 'cgroup'
  | 'time';

export interface Namespace {
  readonly type: NamespaceType;
  /** Absolute; absent for a new one (an empty one was taken out). */
  readonly path?: string;
}

export interface Device {
  /** Absolute. */
  readonly path: string;
  readonly type: 'c' | 'b' | 'u' | 'p';
  /** -1 only where `type` is 'p'. */
  readonly major: number;
  readonly minor: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface Personality {
  readonly domain: 'LINUX' | 'LINUX32';
  readonly flags?: readonly string[];
}

export interface TimeOffsets {
  readonly monotonic?: TimeOffset;
  readonly boottime?: TimeOffset;
}

export interface TimeOffset {
  readonly secs?: Integer64;
  readonly nanosecs?: number;
}

/** linux.resources; alone it is what `runts update --resources` takes. */
export interface Resources {
  readonly devices?: readonly DeviceRule[];
  readonly memory?: MemoryResources;
  readonly cpu?: CpuResources;
  readonly pids?: PidsResources;
  readonly blockIO?: BlockIoResources;
  readonly hugepageLimits?: readonly HugepageLimit[];
  readonly network?: NetworkResources;
  /** By name of the device. */
  readonly rdma?: Readonly<Record<string, RdmaLimit>>;
  /** File of cgroup v2 ('memory.high') and what is written to it. */
  readonly unified?: Readonly<Record<string, string>>;
}

export interface DeviceRule {
  readonly allow: boolean;
  /** Absent and 'a': all. */
  readonly type?: 'a' | 'c' | 'b';
  /** Absent and -1: all. */
  readonly major?: number;
  readonly minor?: number;
  /** A text of the letters r, w and m. */
  readonly access?: string;
}

/** Bytes; -1 is no limit. */
export interface MemoryResources {
  readonly limit?: number;
  readonly reservation?: number;
  readonly swap?: number;
  readonly kernel?: number;
  readonly kernelTCP?: number;
  /** 0 to 100. */
  readonly swappiness?: number;
  readonly disableOOMKiller?: boolean;
  readonly useHierarchy?: boolean;
  readonly checkBeforeUpdate?: boolean;
}

/** Times in microseconds. */
export interface CpuResources {
  readonly shares?: number;
  /** Negative: no limit. */
  readonly quota?: number;
  readonly burst?: number;
  readonly period?: number;
  readonly realtimeRuntime?: number;
  readonly realtimePeriod?: number;
  readonly cpus?: string;
  readonly mems?: string;
  readonly idle?: number;
}

export interface PidsResources {
  /** 0 and below: no limit. */
  readonly limit: number;
}

export interface BlockIoResources {
  readonly weight?: number;
  readonly leafWeight?: number;
  readonly weightDevice?: readonly WeightDevice[];
  readonly throttleReadBpsDevice?: readonly ThrottleDevice[];
  readonly throttleWriteBpsDevice?: readonly ThrottleDevice[];
  readonly throttleReadIOPSDevice?: readonly ThrottleDevice[];
  readonly throttleWriteIOPSDevice?: readonly ThrottleDevice[];
}

export interface WeightDevice {
  readonly major: number;
  readonly minor: number;
  readonly weight?: number;
  readonly leafWeight?: number;
}

export interface ThrottleDevice {
  readonly major: number;
  readonly minor: number;
  readonly rate: Integer64;
}

export interface HugepageLimit {
  /** '2MB' */
  readonly pageSize: string;
  readonly limit: Integer64;
}

export interface NetworkResources {
  readonly classID?: number;
  readonly priorities?: readonly InterfacePriority[];
}

export interface InterfacePriority {
  readonly name: string;
  readonly priority: number;
}

export interface RdmaLimit {
  readonly hcaHandles?: number;
  readonly hcaObjects?: number;
}

export interface Seccomp {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly SeccompRule[];
}

export type SeccompAction =
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_TRACE'
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_NOTIFY';

export type SeccompOperator =
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_MASKED_EQ';

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArgument[];
}

export interface SeccompArgument {
  /** 0 to 5. */
  readonly index: number;
  /** The mask of SCMP_CMP_MASKED_EQ. */
  readonly value: Integer64;
  readonly valueTwo?: Integer64;
  readonly op: SeccompOperator;
}

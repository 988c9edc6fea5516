// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/sched.h.
export const CSIGNAL = 0x000000ff;
export const CLONE_VM = 0x00000100;
export const CLONE_FS = 0x00000200;
export const CLONE_FILES = 0x00000400;
export const CLONE_SIGHAND = 0x00000800;
export const CLONE_PIDFD = 0x00001000;
export const CLONE_PTRACE = 0x00002000;
export const CLONE_VFORK = 0x00004000;
export const CLONE_PARENT = 0x00008000;
export const CLONE_THREAD = 0x00010000;
export const CLONE_NEWNS = 0x00020000;
export const CLONE_SYSVSEM = 0x00040000;
export const CLONE_SETTLS = 0x00080000;
export const CLONE_PARENT_SETTID = 0x00100000;
export const CLONE_CHILD_CLEARTID = 0x00200000;
export const CLONE_DETACHED = 0x00400000;
export const CLONE_UNTRACED = 0x00800000;
export const CLONE_CHILD_SETTID = 0x01000000;
export const CLONE_NEWCGROUP = 0x02000000;
export const CLONE_NEWUTS = 0x04000000;
export const CLONE_NEWIPC = 0x08000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const CLONE_IO = 0x80000000;
/** clone3 only: bits of the high word of flags. */
export const CLONE_CLEAR_SIGHAND_HIGH = 0x1;
export const CLONE_INTO_CGROUP_HIGH = 0x2;

export const CLONE_NAMESPACES =
  CLONE_NEWNS |
  CLONE_NEWCGROUP |
  CLONE_NEWUTS |
  CLONE_NEWIPC |
  CLONE_NEWUSER |
  CLONE_NEWPID |
  CLONE_NEWNET;

/** struct clone_args: all fields are 64 bits. */
export const cloneArgs = {
  flags: 0,
  pidfd: 8,
  childTid: 16,
  parentTid: 24,
  exitSignal: 32,
  stack: 40,
  stackSize: 48,
  tls: 56,
  setTid: 64,
  setTidSize: 72,
  cgroup: 80,
  sizeVer0: 64,
  size: 88,
} as const;

export const SCHED_OTHER = 0;
export const SCHED_FIFO = 1;
export const SCHED_RR = 2;
export const SCHED_BATCH = 3;
export const SCHED_IDLE = 5;
export const SCHED_DEADLINE = 6;
/** In the policy of sched_setscheduler and sched_getscheduler. */
export const SCHED_RESET_ON_FORK = 0x40000000;

/** sched_flags of sched_setattr. */
export const SCHED_FLAG_RESET_ON_FORK = 0x01;
export const SCHED_FLAG_RECLAIM = 0x02;
export const SCHED_FLAG_DL_OVERRUN = 0x04;
export const SCHED_FLAG_KEEP_POLICY = 0x08;
export const SCHED_FLAG_KEEP_PARAMS = 0x10;
export const SCHED_FLAG_UTIL_CLAMP = 0x60;
export const SCHED_FLAG_ALL = 0x7f;

/** struct sched_attr of include/uapi/linux/sched/types.h. */
export const schedAttr = {
  at: {
    size: 0,
    policy: 4,
    flags: 8,
    nice: 16,
    priority: 20,
    runtime: 24,
    deadline: 32,
    period: 40,
    utilMin: 48,
    utilMax: 52,
  },
  /** Before the utilisation clamps. */
  sizeVer0: 48,
  size: 56,
} as const;

/** A request of sched_setattr(2): struct sched_attr without its size and its utilization clamps. */
export interface SchedulingRequest {
  /** Negative: as it is. */
  readonly policy: number;
  /** SCHED_FLAG_*. */
  readonly flags: number;
  readonly niceness: number;
  readonly priority: number;
  readonly runtimeNs: number;
  readonly deadlineNs: number;
  readonly periodNs: number;
}

/** sizeof(cpu_set_t): the C library's set of processors. */
export const CPU_SET_BYTES = 128;

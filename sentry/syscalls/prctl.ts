// SPDX-License-Identifier: Apache-2.0
// prctl(2), arch_prctl(2), personality(2).

import { CAP_SYS_RESOURCE } from '../../abi/capability.ts';
import { EFAULT, EINVAL, ENODEV, EPERM, isErrno, type SysResult } from '../../abi/errno.ts';
import { SECCOMP_MODE_DISABLED } from '../../abi/seccomp.ts';
import { SIGRTMAX } from '../../abi/signal.ts';
import { setI64 } from '../../abi/time.ts';
import { REGISTERS_SET } from '../kernel/result.ts';
import type { Task } from '../kernel/task.ts';
import { getRegister, REG, setRegister } from '../platform/guest-thread.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';
import { capabilityOption } from './prctl-capabilities.ts';
import { setSeccompMode } from './seccomp.ts';

const PR_SET_PDEATHSIG = 1;
const PR_GET_PDEATHSIG = 2;
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;
const PR_GET_TIMING = 13;
const PR_SET_TIMING = 14;
const PR_SET_NAME = 15;
const PR_GET_NAME = 16;
const PR_GET_SECCOMP = 21;
const PR_SET_SECCOMP = 22;
const PR_GET_TSC = 25;
const PR_SET_TSC = 26;
const PR_TSC_ENABLE = 1;
const PR_SET_TIMERSLACK = 29;
const PR_GET_TIMERSLACK = 30;
const PR_TASK_PERF_EVENTS_DISABLE = 31;
const PR_TASK_PERF_EVENTS_ENABLE = 32;
const PR_MCE_KILL = 33;
const PR_MCE_KILL_GET = 34;
const PR_MCE_KILL_CLEAR = 0;
const PR_MCE_KILL_SET = 1;
const PR_MCE_KILL_DEFAULT = 2;
const PR_SET_MM = 35;
const PR_SET_CHILD_SUBREAPER = 36;
const PR_GET_CHILD_SUBREAPER = 37;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_GET_NO_NEW_PRIVS = 39;
const PR_GET_TID_ADDRESS = 40;
const PR_SET_THP_DISABLE = 41;
const PR_GET_THP_DISABLE = 42;
const PR_SET_IO_FLUSHER = 57;
const PR_GET_IO_FLUSHER = 58;
const PR_GET_AUXV = 0x41555856;
const PR_SET_PTRACER = 0x59616d61;
const TASK_COMM_BYTES = 16;

function sysPrctl(task: Task, args: SyscallArgs): SysResult {
  const option = args.i32(0);
  const value = args.u64(1);
  switch (option) {
    case PR_SET_PDEATHSIG:
      if (value > SIGRTMAX) return EINVAL;
      task.parentDeathSignal = value;
      return 0;
    case PR_GET_PDEATHSIG:
      return task.memory.writeU32(value, task.parentDeathSignal);
    case PR_GET_DUMPABLE:
      return task.group.dumpable;
    case PR_SET_DUMPABLE:
      if (value > 1) return EINVAL;
      task.group.dumpable = value;
      return 0;
    case PR_SET_NAME:
      return setName(task, value);
    case PR_GET_NAME:
      return task.memory.write(value, commBytes(task.comm));
    case PR_GET_TIMING:
    case PR_GET_THP_DISABLE:
      return 0;
    case PR_GET_SECCOMP:
      return task.seccomp?.mode ?? SECCOMP_MODE_DISABLED;
    case PR_SET_SECCOMP:
      return setSeccompMode(task, value, args.addr(2));
    case PR_SET_TIMERSLACK:
      task.timerSlackNs = value === 0 || value >= 2 ** 63 ? 50_000 : value;
      return 0;
    case PR_GET_TIMERSLACK:
      return Math.min(task.timerSlackNs, Number.MAX_SAFE_INTEGER);
    case PR_SET_CHILD_SUBREAPER:
      task.group.isSubreaper = value !== 0;
      return 0;
    case PR_GET_CHILD_SUBREAPER:
      return task.memory.writeU32(value, task.group.isSubreaper ? 1 : 0);
    case PR_SET_NO_NEW_PRIVS:
      if (value !== 1 || !isZeroFrom(args, 2)) return EINVAL;
      task.noNewPrivileges = true;
      return 0;
    case PR_GET_NO_NEW_PRIVS:
      if (!isZeroFrom(args, 1)) return EINVAL;
      return task.noNewPrivileges ? 1 : 0;
    case PR_GET_TID_ADDRESS:
      return task.memory.writeU64(value, task.clearChildTid);
    case PR_SET_THP_DISABLE:
      return value === 0 ? 0 : EINVAL;
    case PR_SET_PTRACER:
      return allowTracer(task, args);
    default:
      return machineOption(task, option, args) ?? capabilityOption(task, option, args);
  }
}

/**
 * PR_SET_PTRACER: besides ancestors nobody may attach, anybody (-1), or a process with what
 * descends from it.
 */
function allowTracer(task: Task, args: SyscallArgs): SysResult {
  const isAny = args.u32(1) === 0xffff_ffff && args.high(1) === 0xffff_ffff;
  if (isAny) task.group.allowedTracer = 'any';
  else if (args.u64(1) === 0) task.group.allowedTracer = undefined;
  else {
    const group = task.pids.processOf(args.u64(1));
    if (group === undefined) return EINVAL;
    task.group.allowedTracer = group;
  }
  return 0;
}

const isZeroFrom = (args: SyscallArgs, first: number): boolean =>
  [1, 2, 3, 4].every((index) => index < first || args.u64(index) === 0);

/** Options about the machine that few programs use; undefined for others. */
function machineOption(task: Task, option: number, args: SyscallArgs): SysResult | undefined {
  const value = args.u64(1);
  switch (option) {
    case PR_SET_TIMING:
      return value === 0 ? 0 : EINVAL;
    case PR_GET_TSC:
      return task.memory.writeU32(value, PR_TSC_ENABLE);
    case PR_SET_TSC:
      return value === PR_TSC_ENABLE ? 0 : EINVAL; // No trap for rdtsc here.
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE:
      return 0; // There are no events to start or stop: perf_event_open is refused.
    case PR_MCE_KILL:
      return setMemoryFailurePolicy(task, args);
    case PR_MCE_KILL_GET:
      return isZeroFrom(args, 1) ? task.memoryFailurePolicy : EINVAL;
    case PR_SET_MM:
    case PR_SET_IO_FLUSHER:
    case PR_GET_IO_FLUSHER:
      return isCapable(task.credentials, CAP_SYS_RESOURCE) ? EINVAL : EPERM;
    case PR_GET_AUXV:
      return copyAuxv(task, args);
    default:
      return undefined;
  }
}

function setMemoryFailurePolicy(task: Task, args: SyscallArgs): SysResult {
  const policy = args.u64(2);
  if (!isZeroFrom(args, 3)) return EINVAL;
  if (args.u64(1) === PR_MCE_KILL_CLEAR && policy === 0) {
    task.memoryFailurePolicy = PR_MCE_KILL_DEFAULT;
    return 0;
  }
  if (args.u64(1) !== PR_MCE_KILL_SET || policy > PR_MCE_KILL_DEFAULT) return EINVAL;
  task.memoryFailurePolicy = policy;
  return 0;
}

/** Copies as much of the auxiliary vector as fits. Returns its whole size. */
function copyAuxv(task: Task, args: SyscallArgs): SysResult {
  if (!isZeroFrom(args, 3)) return EINVAL;
  const { auxv } = task.mm.image;
  const written = task.memory.write(args.addr(1), auxv.subarray(0, args.len(2)));
  return isErrno(written) ? written : auxv.length;
}

function setName(task: Task, addr: number): SysResult {
  const bytes = new Uint8Array(TASK_COMM_BYTES);
  const count = task.memory.readSome(addr, bytes);
  if (isErrno(count)) return EFAULT;
  const text = Buffer.from(bytes.subarray(0, count)).toString('latin1');
  const end = text.indexOf('\0');
  task.comm = (end < 0 ? text : text.slice(0, end)).slice(0, TASK_COMM_BYTES - 1);
  task.thread.showName(task.comm);
  return 0;
}

function commBytes(comm: string): Uint8Array {
  const bytes = new Uint8Array(TASK_COMM_BYTES);
  bytes.set(Buffer.from(comm, 'latin1').subarray(0, TASK_COMM_BYTES - 1));
  return bytes;
}

const ARCH_SET_GS = 0x1001;
const ARCH_SET_FS = 0x1002;
const ARCH_GET_FS = 0x1003;
const ARCH_GET_GS = 0x1004;

function sysArchPrctl(task: Task, args: SyscallArgs): SysResult {
  const value = args.addr(1);
  const registers = task.thread.registers();
  switch (args.i32(0)) {
    case ARCH_SET_FS:
    case ARCH_SET_GS: {
      if (value >= task.kernel.platform.guestTop) return EPERM;
      setRegister(registers, args.i32(0) === ARCH_SET_FS ? REG.fsBase : REG.gsBase, value);
      setRegister(registers, REG.rax, 0);
      task.thread.registersChanged();
      return REGISTERS_SET;
    }
    case ARCH_GET_FS:
    case ARCH_GET_GS: {
      const view = new DataView(new ArrayBuffer(8));
      setI64(
        view,
        0,
        getRegister(registers, args.i32(0) === ARCH_GET_FS ? REG.fsBase : REG.gsBase),
      );
      return task.memory.write(value, new Uint8Array(view.buffer));
    }
    case 0x1011: // ARCH_GET_CPUID: faulting is never on.
      return 1;
    case 0x1012: // ARCH_SET_CPUID
      return value === 1 ? 0 : ENODEV;
    default:
      return EINVAL;
  }
}

function sysPersonality(task: Task, args: SyscallArgs): SysResult {
  const old = task.group.personality;
  if (args.u32(0) !== 0xffffffff) task.group.personality = args.u32(0);
  return old;
}

export const prctlRows: readonly Row[] = [
  direct(135, 'personality', ['hex'], sysPersonality),
  direct(157, 'prctl', ['prctl', 'hex', 'hex', 'hex', 'hex'], sysPrctl, {
    partial: 'no PR_SET_MM, PR_SET_TSC, speculation and tagged-address options',
  }),
  direct(158, 'arch_prctl', ['archPrctl', 'addr'], sysArchPrctl),
];

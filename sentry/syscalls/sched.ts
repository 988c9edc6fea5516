// sched_*(2), ioprio_*(2): scheduling parameters are kept and shown; the host schedules.

import { CAP_SYS_NICE } from '../../abi/capability.ts';
import { EFAULT, EINVAL, EPERM, ESRCH, type SysResult } from '../../abi/errno.ts';
import { SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_OTHER, SCHED_RR } from '../../abi/sched.ts';
import { fromNs, writeTimespec } from '../../abi/time.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

/** What can be seen and set of a task's scheduling. */
type Scheduled = Pick<Task, 'policy' | 'niceness' | 'affinity'> & {
  readonly credentials: { readonly uid: number; readonly euid: number };
};

function target(task: Task, pid: number): Scheduled | undefined {
  if (pid === 0) return task;
  const { tasks, init } = task.pids;
  return tasks.get(pid) ?? (init?.isVirtual && pid === init.id ? initProcess() : undefined);
}

/** The Sentry's own process 1 has no task; changes to it are forgotten, as nothing of it is ever scheduled. */
function initProcess(): Scheduled {
  return {
    policy: SCHED_OTHER,
    niceness: 0,
    affinity: undefined,
    credentials: { uid: 0, euid: 0 },
  };
}

function sysGetaffinity(task: Task, args: SyscallArgs): SysResult {
  const length = args.len(1);
  const { cpuCount } = task.kernel;
  if (length * 8 < cpuCount || length % 8 !== 0) return EINVAL;
  const other = target(task, args.i32(0));
  if (other === undefined) return ESRCH;
  const bytes = other.affinity ?? allCpus(cpuCount);
  const written = task.memory.write(args.addr(2), bytes);
  return written < 0 ? written : bytes.length;
}

function allCpus(count: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(count / 64) * 8);
  for (let cpu = 0; cpu < count; cpu += 1)
    bytes[cpu >> 3] = (bytes[cpu >> 3] as number) | (1 << (cpu & 7));
  return bytes;
}

function sysSetaffinity(task: Task, args: SyscallArgs): SysResult {
  const other = target(task, args.i32(0));
  const all = allCpus(task.kernel.cpuCount);
  const wanted = new Uint8Array(Math.min(all.length, args.len(1)));
  if (task.memory.read(args.addr(2), wanted) < 0) return EFAULT;
  if (other === undefined) return ESRCH;
  if (!mayReschedule(task, other)) return EPERM;
  let any = 0;
  const mask = all.map((bits, index) => bits & (wanted[index] ?? 0));
  for (const bits of mask) any |= bits;
  if (any === 0) return EINVAL;
  other.affinity = mask;
  return 0;
}

function mayReschedule(task: Task, other: Scheduled): boolean {
  const { euid } = task.credentials;
  return (
    other === task ||
    euid === other.credentials.euid ||
    euid === other.credentials.uid ||
    isCapable(task.credentials, CAP_SYS_NICE)
  );
}

function sysGetscheduler(task: Task, args: SyscallArgs): SysResult {
  if (args.i32(0) < 0) return EINVAL;
  return target(task, args.i32(0))?.policy ?? ESRCH;
}

function setPolicy(task: Task, pid: number, policy: number, paramAddr: number): SysResult {
  if (pid < 0 || paramAddr === 0) return EINVAL;
  const priority = task.memory.readU32(paramAddr);
  if (priority < 0) return priority;
  const other = target(task, pid);
  if (other === undefined) return ESRCH;
  const wanted = policy < 0 ? other.policy : policy & ~0x40000000;
  if (wanted === SCHED_FIFO || wanted === SCHED_RR) {
    if (priority < 1 || priority > 99) return EINVAL;
    return EPERM; // Real time over other sandboxes is nothing a guest may have.
  }
  if (wanted !== SCHED_OTHER && wanted !== SCHED_BATCH && wanted !== SCHED_IDLE) return EINVAL;
  if (priority !== 0) return EINVAL;
  if (!mayReschedule(task, other)) return EPERM;
  other.policy = wanted;
  return 0;
}

function sysGetparam(task: Task, args: SyscallArgs): SysResult {
  if (args.i32(0) < 0 || args.addr(1) === 0) return EINVAL;
  return target(task, args.i32(0)) === undefined ? ESRCH : task.memory.writeU32(args.addr(1), 0);
}

const isRealTime = (policy: number): boolean => policy === SCHED_FIFO || policy === SCHED_RR;
const isPolicy = (policy: number): boolean => policy >= 0 && policy <= 6 && policy !== 4;

function sysRrGetInterval(task: Task, args: SyscallArgs): SysResult {
  if (target(task, args.i32(0)) === undefined) return ESRCH;
  const view = new DataView(new ArrayBuffer(16));
  writeTimespec(view, 0, fromNs(0));
  return task.memory.write(args.addr(1), new Uint8Array(view.buffer));
}

/** struct sched_attr, size 56. */
function sysGetattr(task: Task, args: SyscallArgs): SysResult {
  const size = args.u32(2);
  if (size < 48 || size > 4096 || args.u32(3) !== 0) return EINVAL;
  const other = target(task, args.i32(0));
  if (other === undefined) return ESRCH;
  const view = new DataView(new ArrayBuffer(56));
  view.setUint32(0, Math.min(size, 56), true);
  view.setUint32(4, other.policy, true);
  view.setInt32(16, other.niceness, true);
  return task.memory.write(args.addr(1), new Uint8Array(view.buffer, 0, Math.min(size, 56)));
}

function sysIoprioGet(task: Task, args: SyscallArgs): SysResult {
  if (args.i32(0) < 1 || args.i32(0) > 3) return EINVAL;
  return target(task, args.i32(1)) === undefined && args.i32(0) === 1 ? ESRCH : 0x4004;
}

function sysIoprioSet(task: Task, args: SyscallArgs): SysResult {
  const ioClass = args.i32(2) >> 13;
  if (args.i32(0) < 1 || args.i32(0) > 3 || ioClass < 0 || ioClass > 3) return EINVAL;
  if (ioClass === 1) return EPERM;
  return target(task, args.i32(1)) === undefined && args.i32(0) === 1 ? ESRCH : 0;
}

export const schedRows: readonly Row[] = [
  direct(24, 'sched_yield', [], () => 0),
  direct(142, 'sched_setparam', ['pid', 'addr'], (task, args) =>
    setPolicy(task, args.i32(0), -1, args.addr(1)),
  ),
  direct(143, 'sched_getparam', ['pid', 'addr'], sysGetparam),
  direct(
    144,
    'sched_setscheduler',
    ['pid', 'int', 'addr'],
    (task, args) =>
      args.i32(1) < 0 ? EINVAL : setPolicy(task, args.i32(0), args.i32(1), args.addr(2)),
    { partial: 'no real-time policies' },
  ),
  direct(145, 'sched_getscheduler', ['pid'], sysGetscheduler),
  direct(146, 'sched_get_priority_max', ['int'], (_task, args) =>
    isPolicy(args.i32(0)) ? (isRealTime(args.i32(0)) ? 99 : 0) : EINVAL,
  ),
  direct(147, 'sched_get_priority_min', ['int'], (_task, args) =>
    isPolicy(args.i32(0)) ? (isRealTime(args.i32(0)) ? 1 : 0) : EINVAL,
  ),
  direct(148, 'sched_rr_get_interval', ['pid', 'addr'], sysRrGetInterval),
  direct(203, 'sched_setaffinity', ['pid', 'len', 'addr'], sysSetaffinity, {
    partial: 'kept and shown, without effect',
  }),
  direct(204, 'sched_getaffinity', ['pid', 'len', 'addr'], sysGetaffinity),
  direct(251, 'ioprio_set', ['int', 'int', 'int'], sysIoprioSet, { partial: 'without effect' }),
  direct(252, 'ioprio_get', ['int', 'int'], sysIoprioGet),
  direct(315, 'sched_getattr', ['pid', 'addr', 'uint', 'hex'], sysGetattr),
];

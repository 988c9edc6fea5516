// SPDX-License-Identifier: Apache-2.0
// rt_sigaction(2), rt_sigprocmask(2), rt_sigreturn(2), rt_sigpending, rt_sigtimedwait, rt_sigsuspend,
// rt_sigqueueinfo, kill(2), tkill, tgkill(2), sigaltstack(2), pause(2).

import {
  EAGAIN,
  EFAULT,
  EINTR,
  EINVAL,
  ENOMEM,
  EPERM,
  ERESTARTNOHAND,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import {
  MINSIGSTKSZ,
  SI_TKILL,
  SI_USER,
  SIG_BLOCK,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SIGINFO_BYTES,
  SIGKILL,
  SIGRTMAX,
  SIGRTMIN,
  SIGSEGV,
  SIGSET_BYTES,
  SIGSTOP,
  SS_AUTODISARM,
  SS_DISABLE,
  SS_ONSTACK,
} from '../../abi/signal.ts';
import { getU64, readTimespec, setI64, TIMESPEC_BYTES, toNs } from '../../abi/time.ts';
import { SignalSet } from '../base/sigset.ts';
import { type Blocking, type MaybeBlocking, sleepOn, sleepUntil } from '../base/wait.ts';
import { REGISTERS_SET } from '../kernel/result.ts';
import { forceSignal, isOnAlternateStack, restoreFrame } from '../kernel/signal-delivery.ts';
import { type SignalInfo, writeSignalInfo } from '../kernel/signal-info.ts';
import { maySignal } from '../kernel/signal-permission.ts';
import type { SignalAction } from '../kernel/signal-state.ts';
import { noAlternateStack, type Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread-group.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';

/** struct kernel_sigaction: handler, flags, restorer, mask. */
const SIGACTION_BYTES = 32;
/** stack_t. */
const STACK_BYTES = 24;
const knownFlags = 0xdc000007;

const isSignal = (signal: number): boolean => signal >= 1 && signal <= SIGRTMAX;
/** Signal 0 only asks whether one might be sent. */
const isSignalOrZero = (signal: number): boolean => signal >= 0 && signal <= SIGRTMAX;

function sysRtSigaction(task: Task, args: SyscallArgs): SysResult {
  const signal = args.i32(0);
  const actAddr = args.addr(1);
  const oldAddr = args.addr(2);
  if (args.len(3) !== SIGSET_BYTES) return EINVAL;
  const view = actAddr === 0 ? undefined : task.memory.view(actAddr, SIGACTION_BYTES);
  if (isErrno(view)) return view;
  if (!isSignal(signal)) return EINVAL;
  if (view !== undefined && (signal === SIGKILL || signal === SIGSTOP)) return EINVAL;
  const old = task.group.actions.get(signal);
  if (view !== undefined) {
    const action: SignalAction = {
      handler: getU64(view, 0),
      flags: (view.getUint32(8, true) & knownFlags) >>> 0,
      restorer: getU64(view, 16),
      mask: SignalSet.read(view, 24).blockable(),
    };
    task.group.actions.set(signal, action);
    if (task.group.actions.ignores(signal)) discardPending(task.group, signal);
  }
  return oldAddr === 0 ? 0 : writeAction(task, oldAddr, old);
}

function writeAction(task: Task, addr: number, action: SignalAction): SysResult {
  const view = new DataView(new ArrayBuffer(SIGACTION_BYTES));
  setI64(view, 0, action.handler);
  view.setUint32(8, action.flags, true);
  setI64(view, 16, action.restorer);
  action.mask.writeTo(view, 24);
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

function discardPending(group: ThreadGroup, signal: number): void {
  const set = SignalSet.of(signal);
  group.pending.discard(set);
  for (const task of group.tasks) task.pending.discard(set);
}

function sysRtSigprocmask(task: Task, args: SyscallArgs): SysResult {
  const how = args.i32(0);
  const setAddr = args.addr(1);
  const oldAddr = args.addr(2);
  if (args.len(3) !== SIGSET_BYTES) return EINVAL;
  const old = task.signalMask;
  if (setAddr !== 0) {
    const view = task.memory.view(setAddr, SIGSET_BYTES);
    if (isErrno(view)) return view;
    const set = SignalSet.read(view, 0);
    if (how === SIG_BLOCK) task.setSignalMask(old.union(set));
    else if (how === SIG_UNBLOCK) task.setSignalMask(old.without(set));
    else if (how === SIG_SETMASK) task.setSignalMask(set);
    else return EINVAL;
  }
  return oldAddr === 0 ? 0 : writeSet(task, oldAddr, old);
}

function writeSet(task: Task, addr: number, set: SignalSet): SysResult {
  const view = new DataView(new ArrayBuffer(SIGSET_BYTES));
  set.writeTo(view, 0);
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

function sysRtSigreturn(task: Task): SysResult {
  if (!restoreFrame(task)) forceSignal(task, { signal: SIGSEGV, code: 0x80 });
  return REGISTERS_SET;
}

function sysRtSigpending(task: Task, args: SyscallArgs): SysResult {
  if (args.len(1) > SIGSET_BYTES) return EINVAL;
  const pending = task.pendingSet();
  return writeSet(
    task,
    args.addr(0),
    new SignalSet(pending.lo & task.signalMask.lo, pending.hi & task.signalMask.hi),
  );
}

function sysRtSigsuspend(task: Task, args: SyscallArgs): MaybeBlocking {
  if (args.len(1) !== SIGSET_BYTES) return EINVAL;
  const view = task.memory.view(args.addr(0), SIGSET_BYTES);
  if (isErrno(view)) return view;
  task.setTemporarySignalMask(SignalSet.read(view, 0));
  return waitForSignal();
}

function* waitForSignal(): Blocking<SysResult> {
  for (;;) {
    const wake = yield sleepUntil(Number.POSITIVE_INFINITY);
    if (wake === 'signal') return ERESTARTNOHAND;
  }
}

function sysRtSigtimedwait(task: Task, args: SyscallArgs): MaybeBlocking {
  if (args.len(3) !== SIGSET_BYTES) return EINVAL;
  const view = task.memory.view(args.addr(0), SIGSET_BYTES);
  if (isErrno(view)) return view;
  const wanted = SignalSet.read(view, 0).blockable();
  const infoAddr = args.addr(1);
  let deadlineNs = Number.POSITIVE_INFINITY;
  if (args.addr(2) !== 0) {
    const timeView = task.memory.view(args.addr(2), TIMESPEC_BYTES);
    if (isErrno(timeView)) return timeView;
    const timeout = readTimespec(timeView, 0);
    if (isErrno(timeout)) return timeout;
    deadlineNs = toNs(timeout) === 0 ? 0 : task.kernel.clock.monotonicNs() + toNs(timeout);
  }
  const taken = takeWanted(task, wanted);
  if (taken !== undefined) return deliverTaken(task, infoAddr, taken);
  return deadlineNs === 0 ? EAGAIN : waitForWanted(task, wanted, infoAddr, deadlineNs);
}

function* waitForWanted(
  task: Task,
  wanted: SignalSet,
  infoAddr: number,
  deadlineNs: number,
): Blocking<SysResult> {
  const queue = { queue: task.group.signalQueue };
  for (;;) {
    const wake = yield sleepOn(queue, POLLIN, deadlineNs);
    const taken = takeWanted(task, wanted);
    if (taken !== undefined) return deliverTaken(task, infoAddr, taken);
    if (wake === 'signal') return EINTR;
    if (wake === 'deadline') return EAGAIN;
  }
}

function takeWanted(task: Task, wanted: SignalSet): SignalInfo | undefined {
  const unwanted = new SignalSet(~wanted.lo, ~wanted.hi);
  const own = task.pending.set.firstNotIn(unwanted);
  const info = own === 0 ? undefined : task.pending.take(own);
  if (info !== undefined) return info;
  const shared = task.group.pending.set.firstNotIn(unwanted);
  return shared === 0 ? undefined : task.group.pending.take(shared);
}

function deliverTaken(task: Task, infoAddr: number, info: SignalInfo): SysResult {
  task.recalculateWork();
  if (infoAddr === 0) return info.signal;
  const view = new DataView(new ArrayBuffer(SIGINFO_BYTES));
  writeSignalInfo(view, 0, info);
  const written = task.memory.write(infoAddr, new Uint8Array(view.buffer));
  return isErrno(written) ? written : info.signal;
}

function userInfo(task: Task, signal: number, code: number): SignalInfo {
  return { signal, code, pid: task.group.id, uid: task.credentials.uid };
}

function sysKill(task: Task, args: SyscallArgs): SysResult {
  const pid = args.i32(0);
  const signal = args.i32(1);
  if (pid > 0) {
    const group = task.pids.processOf(pid);
    return group === undefined ? ESRCH : killOne(task, group, signal);
  }
  if (pid === -0x8000_0000) return ESRCH;
  const targets = [...task.pids.groups.values()].filter((group) => {
    if (pid === -1) return group.id !== 1 && group !== task.group;
    return group.processGroup.id === (pid === 0 ? task.group.processGroup.id : -pid);
  });
  const result = killMany(task, targets, signal);
  return pid === -1 && result === EPERM ? 0 : result; // Linux: others' processes are passed over.
}

function killOne(task: Task, group: ThreadGroup, signal: number): SysResult {
  if (!isSignalOrZero(signal)) return EINVAL;
  if (!maySignal(task, group, signal)) return EPERM;
  if (signal !== 0) group.send(userInfo(task, signal, SI_USER));
  return 0;
}

function killMany(task: Task, targets: readonly ThreadGroup[], signal: number): SysResult {
  if (targets.length === 0) return ESRCH;
  let result: SysResult = EPERM;
  for (const group of targets) {
    const one = killOne(task, group, signal);
    if (one !== EPERM) result = one;
  }
  return result;
}

function sysTkill(task: Task, args: SyscallArgs): SysResult {
  return args.i32(0) <= 0 ? EINVAL : sendToThread(task, undefined, args.i32(0), args.i32(1));
}

function sysTgkill(task: Task, args: SyscallArgs): SysResult {
  if (args.i32(0) <= 0 || args.i32(1) <= 0) return EINVAL;
  return sendToThread(task, args.i32(0), args.i32(1), args.i32(2));
}

function sendToThread(
  task: Task,
  tgid: number | undefined,
  tid: number,
  signal: number,
  info?: SignalInfo,
): SysResult {
  const target = task.pids.tasks.get(tid);
  // A leader that exited before its siblings, or a zombie: there, but deaf.
  const group = target?.group ?? task.pids.groups.get(tid);
  if (group === undefined || (tgid !== undefined && group.id !== tgid)) return ESRCH;
  if (!isSignalOrZero(signal)) return EINVAL;
  if (!maySignal(task, group, signal, target ?? group.leader)) return EPERM;
  if (target === undefined) return 0;
  if (signal === 0) return 0;
  if (signal >= SIGRTMIN && target.queueLimitReached()) return EAGAIN;
  target.sendSignal(info ?? userInfo(task, signal, SI_TKILL));
  return 0;
}

/** A siginfo written by a guest: the code must not pretend to be the kernel's, except to oneself. */
export function readQueuedInfo(
  task: Task,
  addr: number,
  signal: number,
  toSelf: boolean,
): Result<SignalInfo> {
  const raw = new Uint8Array(SIGINFO_BYTES);
  if (isErrno(task.memory.read(addr, raw))) return EFAULT;
  const code = new DataView(raw.buffer).getInt32(8, true);
  if ((code >= 0 || code === SI_TKILL) && !toSelf) return EPERM;
  return { signal, code, raw };
}

function sysRtSigqueueinfo(task: Task, args: SyscallArgs): SysResult {
  const pid = args.i32(0);
  const signal = args.i32(1);
  const info = readQueuedInfo(task, args.addr(2), signal, pid === task.tid);
  if (isErrno(info)) return info;
  const group = pid > 0 ? task.pids.processOf(pid) : undefined;
  if (group === undefined) return ESRCH;
  if (!isSignalOrZero(signal)) return EINVAL;
  if (!maySignal(task, group, signal)) return EPERM;
  if (signal === 0) return 0;
  if (signal >= SIGRTMIN && group.anyTask?.queueLimitReached() === true) return EAGAIN;
  group.send(info);
  return 0;
}

function sysRtTgsigqueueinfo(task: Task, args: SyscallArgs): SysResult {
  const signal = args.i32(2);
  const info = readQueuedInfo(task, args.addr(3), signal, args.i32(1) === task.tid);
  if (isErrno(info)) return info;
  if (args.i32(0) <= 0 || args.i32(1) <= 0) return EINVAL;
  return sendToThread(task, args.i32(0), args.i32(1), signal, info);
}

function sysSigaltstack(task: Task, args: SyscallArgs): SysResult {
  const newAddr = args.addr(0);
  const oldAddr = args.addr(1);
  const old = task.alternateStack;
  const onStack = isOnAlternateStack(task, task.stackPointer);
  if (newAddr !== 0) {
    const view = task.memory.view(newAddr, STACK_BYTES);
    if (isErrno(view)) return view;
    const flags = view.getUint32(8, true);
    const mode = flags & ~SS_AUTODISARM;
    if (onStack) return EPERM;
    if (mode !== SS_DISABLE && mode !== SS_ONSTACK && mode !== 0) return EINVAL;
    if (mode === SS_DISABLE) task.alternateStack = noAlternateStack;
    else {
      const sizeBytes = getU64(view, 16);
      if (sizeBytes < MINSIGSTKSZ) return ENOMEM;
      task.alternateStack = {
        addr: getU64(view, 0),
        sizeBytes,
        flags: (flags & SS_AUTODISARM) >>> 0,
      };
    }
  }
  if (oldAddr === 0) return 0;
  const view = new DataView(new ArrayBuffer(STACK_BYTES));
  setI64(view, 0, old.addr);
  view.setUint32(8, onStack ? (SS_ONSTACK | old.flags) >>> 0 : old.flags, true);
  setI64(view, 16, old.sizeBytes);
  return task.memory.write(oldAddr, new Uint8Array(view.buffer));
}

export const signalRows: readonly Row[] = [
  direct(13, 'rt_sigaction', ['signal', 'sigaction', 'addr', 'len'], sysRtSigaction),
  direct(14, 'rt_sigprocmask', ['int', 'sigset', 'addr', 'len'], sysRtSigprocmask),
  direct(15, 'rt_sigreturn', [], sysRtSigreturn),
  sleeps(34, 'pause', [], () => waitForSignal()),
  direct(62, 'kill', ['pid', 'signal'], sysKill),
  direct(127, 'rt_sigpending', ['addr', 'len'], sysRtSigpending),
  sleeps(128, 'rt_sigtimedwait', ['sigset', 'addr', 'timespec', 'len'], sysRtSigtimedwait),
  direct(129, 'rt_sigqueueinfo', ['pid', 'signal', 'addr'], sysRtSigqueueinfo),
  sleeps(130, 'rt_sigsuspend', ['sigset', 'len'], sysRtSigsuspend),
  direct(131, 'sigaltstack', ['addr', 'addr'], sysSigaltstack),
  direct(200, 'tkill', ['pid', 'signal'], sysTkill),
  direct(234, 'tgkill', ['pid', 'pid', 'signal'], sysTgkill),
  direct(297, 'rt_tgsigqueueinfo', ['pid', 'pid', 'signal', 'addr'], sysRtTgsigqueueinfo),
];

// SPDX-License-Identifier: Apache-2.0
// ptrace(2): the requests. Where a tracee stands and what its tracer is told is sentry/kernel/ptrace/.
import {
  EFAULT,
  EINVAL,
  EIO,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  FPREGS_BYTES,
  NT_PRFPREG,
  NT_PRSTATUS,
  NT_X86_XSTATE,
  PTRACE_ATTACH,
  PTRACE_CONT,
  PTRACE_DETACH,
  PTRACE_EVENT_STOP,
  PTRACE_GET_SYSCALL_INFO,
  PTRACE_GETEVENTMSG,
  PTRACE_GETFPREGS,
  PTRACE_GETREGS,
  PTRACE_GETREGSET,
  PTRACE_GETSIGINFO,
  PTRACE_GETSIGMASK,
  PTRACE_INTERRUPT,
  PTRACE_KILL,
  PTRACE_LISTEN,
  PTRACE_O_MASK,
  PTRACE_O_SUSPEND_SECCOMP,
  PTRACE_PEEKDATA,
  PTRACE_PEEKSIGINFO,
  PTRACE_PEEKSIGINFO_SHARED,
  PTRACE_PEEKTEXT,
  PTRACE_PEEKUSR,
  PTRACE_POKEDATA,
  PTRACE_POKETEXT,
  PTRACE_POKEUSR,
  PTRACE_SEIZE,
  PTRACE_SETFPREGS,
  PTRACE_SETOPTIONS,
  PTRACE_SETREGS,
  PTRACE_SETREGSET,
  PTRACE_SETSIGINFO,
  PTRACE_SETSIGMASK,
  PTRACE_SINGLESTEP,
  PTRACE_SYSCALL,
  PTRACE_SYSCALL_INFO_ENTRY,
  PTRACE_SYSCALL_INFO_EXIT,
  PTRACE_SYSCALL_INFO_NONE,
  PTRACE_SYSCALL_INFO_SECCOMP,
  PTRACE_SYSEMU,
  PTRACE_SYSEMU_SINGLESTEP,
  PTRACE_TRACEME,
  USER_BYTES,
  USER_DEBUGREG,
  USER_REG,
  USER_REGS_BYTES,
} from '../../abi/ptrace.ts';
import { AUDIT_ARCH_X86_64 } from '../../abi/seccomp.ts';
import { SIGINFO_BYTES, SIGKILL, SIGRTMAX, SIGSET_BYTES } from '../../abi/signal.ts';
import { getI64, getU64, setI64 } from '../../abi/time.ts';
import { SignalSet } from '../base/sigset.ts';
import { type Blocking, begin, type MaybeBlocking } from '../base/wait.ts';
import { attach, traceMe } from '../kernel/ptrace/attach.ts';
import { readFpState, writeFpState } from '../kernel/ptrace/fp-state.ts';
import { poke } from '../kernel/ptrace/poke.ts';
import { readUserRegisters, writeUserRegisters } from '../kernel/ptrace/registers.ts';
import type { Resumption, Trace } from '../kernel/ptrace/trace.ts';
import { writeSignalInfo } from '../kernel/signal-info.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';

const WORD_BYTES = 8;
const PEEKSIGINFO_ARGS_BYTES = 16;
const SYSCALL_INFO_BYTES = 88;
/** Signals that one PTRACE_PEEKSIGINFO tells of: as few as a signal would make of it on Linux. */
const MOST_SIGNALS_TOLD = 4096;

const resumptions: ReadonlyMap<number, Resumption> = new Map([
  [PTRACE_CONT, 'continue'],
  [PTRACE_SYSCALL, 'call'],
  [PTRACE_SINGLESTEP, 'step'],
  [PTRACE_SYSEMU, 'emulate'],
  [PTRACE_SYSEMU_SINGLESTEP, 'emulateStep'],
]);

function sysPtrace(task: Task, args: SyscallArgs): MaybeBlocking {
  const request = args.i32(0);
  if (request === PTRACE_TRACEME) return traceMe(task);
  const target = task.pids.tasks.get(args.i32(1));
  if (target === undefined) return ESRCH;
  const data = args.addr(3);
  switch (request) {
    case PTRACE_ATTACH:
      return attach(task, target, 0, false);
    case PTRACE_SEIZE:
      return args.addr(2) === 0 ? attach(task, target, data, true) : EIO;
    default:
      break;
  }
  const { trace } = target;
  if (trace === undefined || trace.tracer !== task) return ESRCH;
  if (request === PTRACE_KILL) {
    if (trace.stop !== undefined) target.group.send({ signal: SIGKILL, code: 0 });
    return 0;
  }
  if (request === PTRACE_INTERRUPT) return interrupt(trace);
  // Whoever listens has let the tracee go, for all that ptrace(2) is concerned.
  if (trace.stop === undefined || trace.isListening) return ESRCH;
  return onStopped(task, trace, request, args.addr(2), data, args);
}

function interrupt(trace: Trace): SysResult {
  if (!trace.isSeized) return EIO;
  if (trace.isListening) {
    trace.isListening = false;
    trace.announce();
    return 0;
  }
  if (trace.stop?.kind === 'event' && trace.stop.code >> 8 === PTRACE_EVENT_STOP) return 0;
  trace.isInterruptDue = true;
  trace.task.kernel.scheduler.attend(trace.task);
  return 0;
}

function onStopped(
  task: Task,
  trace: Trace,
  request: number,
  addr: number,
  data: number,
  args: SyscallArgs,
): MaybeBlocking {
  const resumption = resumptions.get(request);
  if (resumption !== undefined) {
    if (data > SIGRTMAX) return EIO;
    trace.resume(resumption, data);
    return 0;
  }
  switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
      return peek(task, trace, addr, data);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
      return begin(poke(trace.task, addr, wordOf(args)));
    case PTRACE_PEEKUSR:
      return peekUser(task, trace, addr, data);
    case PTRACE_POKEUSR:
      return pokeUser(trace, addr, wordOf(args));
    case PTRACE_GETREGS:
      return task.memory.write(data, bytesOf(readUserRegisters(trace)));
    case PTRACE_SETREGS: {
      const view = task.memory.view(data, USER_REGS_BYTES);
      return isErrno(view) ? view : writeUserRegisters(trace, view);
    }
    case PTRACE_GETFPREGS:
      return begin(getFpRegisters(task, trace, data));
    case PTRACE_SETFPREGS:
      return begin(setFpRegisters(task, trace, data));
    case PTRACE_GETREGSET:
      return begin(getRegisterSet(task, trace, addr, data));
    case PTRACE_SETREGSET:
      return begin(setRegisterSet(task, trace, addr, data));
    case PTRACE_DETACH:
      if (data > SIGRTMAX) return EIO;
      trace.end(data);
      return 0;
    case PTRACE_SETOPTIONS:
      if ((data & ~PTRACE_O_MASK) !== 0 || data > PTRACE_O_MASK) return EINVAL;
      if ((data & PTRACE_O_SUSPEND_SECCOMP) !== 0) return EPERM;
      trace.options = data;
      return 0;
    case PTRACE_LISTEN:
      return listen(trace);
    default:
      return inquire(task, trace, request, addr, data);
  }
}

/** Requests that read and write what a stop is about. */
function inquire(task: Task, trace: Trace, request: number, addr: number, data: number): SysResult {
  switch (request) {
    case PTRACE_GETEVENTMSG:
      return task.memory.writeU64(data, trace.message);
    case PTRACE_GETSIGINFO:
      return getSignalInfo(task, trace, data);
    case PTRACE_SETSIGINFO:
      return setSignalInfo(task, trace, data);
    case PTRACE_PEEKSIGINFO:
      return peekSignals(task, trace, addr, data);
    case PTRACE_GETSIGMASK:
    case PTRACE_SETSIGMASK:
      return signalMask(task, trace, request === PTRACE_SETSIGMASK, addr, data);
    case PTRACE_GET_SYSCALL_INFO:
      return syscallInfo(task, trace, addr, data);
    default:
      return EIO;
  }
}

/** The eight bytes of the argument `data`, all of them. */
function wordOf(args: SyscallArgs): Uint8Array {
  const view = new DataView(new ArrayBuffer(WORD_BYTES));
  view.setUint32(0, args.u32(3), true);
  view.setUint32(4, args.high(3), true);
  return bytesOf(view);
}

const bytesOf = (view: DataView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function peek(task: Task, { task: tracee }: Trace, addr: number, data: number): SysResult {
  const word = new Uint8Array(WORD_BYTES);
  return isErrno(tracee.memory.read(addr, word)) ? EIO : task.memory.write(data, word);
}

function peekUser(task: Task, trace: Trace, offset: number, data: number): SysResult {
  if (offset % WORD_BYTES !== 0 || offset >= USER_BYTES) return EIO;
  const word = new Uint8Array(WORD_BYTES);
  if (offset < USER_REGS_BYTES)
    word.set(bytesOf(readUserRegisters(trace)).subarray(offset, offset + WORD_BYTES));
  return task.memory.write(data, word);
}

/** Differs from Linux: debug registers hold nothing but 0, as where all breakpoints are taken. */
function pokeUser(trace: Trace, offset: number, word: Uint8Array): SysResult {
  if (offset % WORD_BYTES !== 0 || offset >= USER_BYTES) return EIO;
  if (offset < USER_REGS_BYTES) {
    const view = readUserRegisters(trace);
    bytesOf(view).set(word, offset);
    return writeUserRegisters(trace, view);
  }
  if (offset < USER_DEBUGREG) return EIO;
  return word.every((byte) => byte === 0) ? 0 : EINVAL;
}

function* getFpRegisters(task: Task, trace: Trace, data: number): Blocking<SysResult> {
  const state = yield* readFpState(trace.task);
  return isErrno(state) ? state : task.memory.write(data, state.subarray(0, FPREGS_BYTES));
}

function* setFpRegisters(task: Task, trace: Trace, data: number): Blocking<SysResult> {
  const state = new Uint8Array(FPREGS_BYTES);
  const read = task.memory.read(data, state);
  return isErrno(read) ? read : yield* writeFpState(trace.task, state);
}

interface Vector {
  readonly base: number;
  readonly length: number;
}

/** The buffer for a register set: a struct iovec of whole words for a set that there is. */
function readVector(task: Task, type: number, addr: number): Result<Vector> {
  const view = task.memory.view(addr, 16);
  if (isErrno(view)) return view;
  if (type !== NT_PRSTATUS && type !== NT_PRFPREG && type !== NT_X86_XSTATE) return EINVAL;
  const vector = { base: getU64(view, 0), length: getU64(view, 8) };
  return vector.length % WORD_BYTES === 0 ? vector : EINVAL;
}

function* getRegisterSet(
  task: Task,
  trace: Trace,
  type: number,
  addr: number,
): Blocking<SysResult> {
  const vector = readVector(task, type, addr);
  if (isErrno(vector)) return vector;
  const whole =
    type === NT_PRSTATUS ? bytesOf(readUserRegisters(trace)) : yield* readFpState(trace.task);
  if (isErrno(whole)) return whole;
  const set = type === NT_PRFPREG ? whole.subarray(0, FPREGS_BYTES) : whole;
  const length = Math.min(vector.length, set.length);
  const written = task.memory.write(vector.base, set.subarray(0, length));
  return isErrno(written) ? written : task.memory.writeU64(addr + 8, length);
}

function* setRegisterSet(
  task: Task,
  trace: Trace,
  type: number,
  addr: number,
): Blocking<SysResult> {
  const vector = readVector(task, type, addr);
  if (isErrno(vector)) return vector;
  const whole = type === NT_PRSTATUS ? USER_REGS_BYTES : trace.task.thread.fpStateBytes - 4;
  const size = type === NT_PRFPREG ? FPREGS_BYTES : whole;
  const length = Math.min(vector.length, size);
  const given = new Uint8Array(length);
  const read = task.memory.read(vector.base, given);
  if (isErrno(read)) return EFAULT;
  const stored = yield* storeRegisterSet(trace, type, given, size);
  return isErrno(stored) ? stored : task.memory.writeU64(addr + 8, length);
}

function* storeRegisterSet(
  trace: Trace,
  type: number,
  given: Uint8Array,
  size: number,
): Blocking<SysResult> {
  if (type === NT_PRSTATUS) {
    const view = readUserRegisters(trace);
    bytesOf(view).set(given);
    return writeUserRegisters(trace, view);
  }
  // Linux takes no part of an extended state.
  if (given.length !== size) return type === NT_X86_XSTATE ? EFAULT : EINVAL;
  return yield* writeFpState(trace.task, given);
}

function listen(trace: Trace): SysResult {
  const { stop } = trace;
  if (!trace.isSeized || stop?.kind !== 'event' || stop.code >> 8 !== PTRACE_EVENT_STOP) return EIO;
  trace.isListening = true;
  if (!trace.task.group.stopRequested) trace.continued();
  return 0;
}

function getSignalInfo(task: Task, { stop }: Trace, data: number): SysResult {
  if (stop?.info === undefined) return EINVAL;
  const view = new DataView(new ArrayBuffer(SIGINFO_BYTES));
  writeSignalInfo(view, 0, stop.info);
  return task.memory.write(data, bytesOf(view));
}

function setSignalInfo(task: Task, { stop }: Trace, data: number): SysResult {
  const view = task.memory.view(data, SIGINFO_BYTES);
  if (isErrno(view)) return view;
  if (stop?.info === undefined) return EINVAL;
  stop.info = {
    signal: view.getInt32(0, true),
    errno: view.getInt32(4, true),
    code: view.getInt32(8, true),
    raw: bytesOf(view),
  };
  return 0;
}

function peekSignals(task: Task, { task: tracee }: Trace, addr: number, data: number): SysResult {
  const view = task.memory.view(addr, PEEKSIGINFO_ARGS_BYTES);
  if (isErrno(view)) return view;
  const offset = getU64(view, 0);
  const flags = view.getUint32(8, true);
  const count = view.getInt32(12, true);
  if ((flags & ~PTRACE_PEEKSIGINFO_SHARED) !== 0 || count < 0) return EINVAL;
  const isShared = (flags & PTRACE_PEEKSIGINFO_SHARED) !== 0;
  const pending = isShared ? tracee.group.pending : tracee.pending;
  const queued = pending.list(offset, Math.min(count, MOST_SIGNALS_TOLD));
  const out = new DataView(new ArrayBuffer(queued.length * SIGINFO_BYTES));
  for (const [index, info] of queued.entries()) writeSignalInfo(out, index * SIGINFO_BYTES, info);
  const bytes = bytesOf(out);
  if (bytes.length === 0) return 0;
  const written = task.memory.writeSome(data, bytes);
  if (written >= bytes.length) return queued.length;
  const whole = Math.floor(Math.max(0, written) / SIGINFO_BYTES);
  return whole === 0 ? EFAULT : whole;
}

function signalMask(
  task: Task,
  { task: tracee }: Trace,
  sets: boolean,
  size: number,
  data: number,
): SysResult {
  if (size !== SIGSET_BYTES) return EINVAL;
  if (!sets) {
    const view = new DataView(new ArrayBuffer(SIGSET_BYTES));
    (tracee.savedMask ?? tracee.signalMask).writeTo(view, 0);
    return task.memory.write(data, bytesOf(view));
  }
  const view = task.memory.view(data, SIGSET_BYTES);
  if (isErrno(view)) return view;
  tracee.setSignalMask(SignalSet.read(view, 0));
  return 0;
}

/** struct ptrace_syscall_info. Returns how many bytes there are to know. */
function syscallInfo(task: Task, trace: Trace, size: number, data: number): SysResult {
  const view = new DataView(new ArrayBuffer(SYSCALL_INFO_BYTES));
  const registers = readUserRegisters(trace);
  view.setUint32(4, AUDIT_ARCH_X86_64, true);
  setI64(view, 8, getI64(registers, 8 * USER_REG.rip));
  setI64(view, 16, getI64(registers, 8 * USER_REG.rsp));
  let bytes = 24;
  const kind = trace.stop?.kind;
  if (kind === 'entry' || kind === 'seccomp') {
    view.setUint8(0, kind === 'entry' ? PTRACE_SYSCALL_INFO_ENTRY : PTRACE_SYSCALL_INFO_SECCOMP);
    const { words } = trace.task.args;
    for (let index = 0; index < 14; index += 1)
      view.setUint32(24 + 4 * index, words[index] as number, true);
    bytes = 80;
    if (kind === 'seccomp') {
      view.setUint32(80, trace.message, true);
      bytes = 84;
    }
  } else if (kind === 'exit') {
    view.setUint8(0, PTRACE_SYSCALL_INFO_EXIT);
    const rax = getI64(registers, 8 * USER_REG.rax);
    setI64(view, 24, rax);
    view.setUint8(32, rax < 0 && rax >= -4095 ? 1 : 0);
    bytes = 33;
  } else view.setUint8(0, PTRACE_SYSCALL_INFO_NONE);
  const written = task.memory.write(data, bytesOf(view).subarray(0, Math.min(size, bytes)));
  return isErrno(written) ? written : bytes;
}

export const ptraceRows: readonly Row[] = [
  sleeps(101, 'ptrace', ['int', 'pid', 'addr', 'addr'], sysPtrace, {
    partial: 'no hardware breakpoints, no seccomp filters read',
  }),
];

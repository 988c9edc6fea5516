// SPDX-License-Identifier: Apache-2.0
// One guest thread: registers, resume, interrupt, outcome.
import type { SysResult } from '../../abi/errno.ts';
import type { AddressSpace } from './address-space.ts';

/** Indexes of `registers`, in the order of struct sigcontext (arch/x86/include/uapi/asm/sigcontext.h). */
export const REG = {
  r8: 0,
  r9: 1,
  r10: 2,
  r11: 3,
  r12: 4,
  r13: 5,
  r14: 6,
  r15: 7,
  rdi: 8,
  rsi: 9,
  rbp: 10,
  rbx: 11,
  rdx: 12,
  rax: 13,
  rcx: 14,
  rsp: 15,
  rip: 16,
  eflags: 17,
  fsBase: 18,
  gsBase: 19,
} as const;
export const REG_COUNT = 20;

/** A register of `registers`, whose index is one of REG, as an unsigned number: exact up to 2^53. */
export function getRegister(registers: Uint32Array, index: number): number {
  return (registers[2 * index + 1] as number) * 0x1_0000_0000 + (registers[2 * index] as number);
}

/** Sets a register to an integer in +-2^53 (sign-extended). */
export function setRegister(registers: Uint32Array, index: number, value: number): void {
  registers[2 * index] = value >>> 0;
  registers[2 * index + 1] = Math.floor(value / 0x1_0000_0000) >>> 0;
}

/** Why a guest thread stopped. */
export type OutcomeKind =
  /** A syscall instruction: rax is the number, rip is past the instruction. */
  | 'syscall'
  /** A CPU exception: signal, code, addr as Linux's siginfo would have them. */
  | 'fault'
  /** `interrupt` took effect between two instructions (or before the first). */
  | 'interrupted'
  /** A queued memory operation failed: errno says how. */
  | 'operationFailed';

export interface Outcome {
  readonly kind: OutcomeKind;
  /** fault: SIG*. */
  readonly signal: number;
  /** fault: si_code. */
  readonly code: number;
  /** fault: si_addr; operationFailed: address of the operation. */
  readonly addr: number;
  /** fault: x86 trap number and error code, for the signal frame. */
  readonly trapNumber: number;
  readonly errorCode: number;
  /** operationFailed: negative errno. */
  readonly errno: number;
}

/** Calls whose answers a platform may repeat by itself. */
export type KeptCall = 'getpid' | 'gettid' | 'getuid' | 'geteuid' | 'getgid' | 'getegid';

export interface GuestThread {
  readonly space: AddressSpace;
  readonly outcome: Outcome;
  /** The kernel's own: its Task. The platform never looks at it. */
  owner: object | undefined;

  /**
   * Syscall number and the six arguments (rdi rsi rdx r10 r8 r9) of the last 'syscall' outcome as pairs
   * of 32-bit halves (lo, hi): [2*i], [2*i+1]; index 0 is the number. Copied once when the thread
   * stopped: the guest cannot change it any more. The array is reused at the next stop.
   */
  readonly syscall: Uint32Array;

  /**
   * The stopped thread's registers as of the stop, a private copy of the Sentry's (fetched at the
   * first call after each stop, the same object until resume). Low half at [2*i], high at [2*i+1].
   * Writes take effect at resume if `registersChanged` is called.
   */
  registers(): Uint32Array;
  registersChanged(): void;

  /** Resumes guest code with rax = result (a syscall's answer, sign-extended). The hot path. */
  resumeWithResult(result: SysResult): void;
  /** Resumes guest code with the registers as they are (changed or not). */
  resume(): void;

  /**
   * Says that the stopped thread will wait: its host thread should sleep rather than spin.
   * Called by the scheduler when a task blocks; `resume*` wakes it.
   */
  willWait(): void;

  /** Makes the running thread stop soon ('interrupted'). No effect on a stopped one. */
  interrupt(): void;

  /** Size of the thread's FP/vector state in signal-frame format (fpstate with its trailing magic). */
  readonly fpStateBytes: number;
  /**
   * Queues: store FP state to guest memory at `addr` (64-byte aligned). Failure: 'operationFailed',
   * EFAULT.
   */
  queueSaveFpState(addr: number): void;
  /** Queues: load FP state (signal-frame format) from guest memory; 0 resets it to the initial state. */
  queueLoadFpState(addr: number): void;

  /**
   * Sets the name that the host shows for the thread from its next resume on: up to 15 characters,
   * a byte string. Does not fail.
   */
  showName(name: string): void;

  /**
   * True while the stopped thread does something for the Sentry that the Sentry did not wait for.
   * The thread can neither be resumed nor given operations before that is done.
   */
  readonly isAtWork: boolean;
  /** Calls `free` once, when the thread is not at work any more. One caller at a time. */
  whenFree(free: () => void): void;

  /**
   * Asks a stopped thread for its CPU time, which `cpuNs` then tells. Returns false where the answer
   * takes longer than a moment: `done` is called then, unless the thread's process dies first.
   */
  refreshCpuTime(done: () => void): boolean;

  /**
   * The CPU time of the host thread in ns as last told: by the host for a process with one thread,
   * else by the thread. 0 where unknown.
   */
  cpuNs(): number;

  /**
   * Leaves the answer of the call that the stopped thread makes with the platform, which may repeat
   * it without asking until `forgetAnswers`. For calls whose answers stay, without arguments and
   * effects.
   */
  keepAnswer(call: KeptCall, answer: number): void;
  /**
   * Lets the stopped thread wait and wake on private futexes by itself until `forgetAnswers`, where the
   * platform can do that: `timed` also with time-outs, whose clock is the platform's.
   */
  waitsByItself(timed: boolean): void;
  /** The same for sched_yield: it may be answered without asking. */
  yieldsByItself(): void;
  /** Answers that were kept are not right any more. Also for a thread that runs. */
  forgetAnswers(): void;

  /**
   * Ends this guest thread only (not the last of its space: use AddressSpace.destroy). Must be
   * stopped or be told by interrupt first.
   */
  exit(): void;
}

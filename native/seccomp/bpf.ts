// SPDX-License-Identifier: Apache-2.0
// Seccomp filters as data: rows of (syscall, argument conditions, action, why) compiled to classic
// BPF. seccomp(2), Documentation/userspace-api/seccomp_filter.rst,
// include/uapi/linux/{seccomp,filter,bpf_common}.h. Used for the stub
// (platform-ptrace/systrap/stub-filter.ts), the Sentry and the Gofer.
import {
  BPF_AND_K,
  BPF_JEQ_K,
  BPF_JGE_K,
  BPF_JGT_K,
  BPF_JSET_K,
  BPF_LD_W_ABS,
} from '../../abi/filter.ts';
import {
  AUDIT_ARCH_X86_64,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_DATA,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
  seccompData,
} from '../../abi/seccomp.ts';
import { BackwardAssembler, type JumpTarget } from './assembler.ts';

export type FilterAction =
  | 'allow'
  | 'notify'
  | 'trap'
  | 'log'
  | 'killProcess'
  | { readonly errno: number };

/** A condition on one argument. Values are unsigned and below 2^53; `width` 32 ignores the upper half. */
export type ArgumentCondition =
  | { readonly arg: number; readonly eq: number; readonly width?: 32 | 64 }
  | { readonly arg: number; readonly oneOf: readonly number[]; readonly width?: 32 | 64 }
  /** (arg & mask) == value. */
  | {
      readonly arg: number;
      readonly mask: number;
      readonly value: number;
      readonly width?: 32 | 64;
    }
  /** No bit outside `bits`. */
  | { readonly arg: number; readonly within: number; readonly width?: 32 | 64 }
  /** min <= arg <= max, both inside one 4 GiB range starting at a multiple of 4 GiB. */
  | { readonly arg: number; readonly min: number; readonly max: number; readonly width?: 32 | 64 };

export interface FilterRow {
  readonly name: string;
  readonly number: number;
  /** Says who needs the call, and for what. */
  readonly why: string;
  /** All must hold, else the next row of the same number is tried, then `otherwise`. */
  readonly args?: readonly ArgumentCondition[];
  /** Default: allow. */
  readonly action?: FilterAction;
}

export interface FilterSpec {
  readonly name: string;
  readonly rows: readonly FilterRow[];
  /** For calls that match no row. */
  readonly otherwise: FilterAction;
  /** Calls made from elsewhere (the address after the syscall instruction) get `outside` at once. */
  readonly codeRange?: {
    readonly start: number;
    readonly end: number;
    readonly outside: FilterAction;
  };
}

/** The program: an array of struct sock_filter, 8 bytes each. Throws on a spec that cannot be expressed. */
export function compileFilter(spec: FilterSpec): Uint8Array {
  const assembler = new BackwardAssembler();
  const { codeRange } = spec;
  const outside = codeRange && assembler.answer(actionValue(codeRange.outside));
  const foreign = assembler.answer(actionValue('killProcess'));
  const otherwise = assembler.answer(actionValue(spec.otherwise));
  const rows = spec.rows.reduceRight((next, row) => emitRow(assembler, row, next), otherwise);
  const known = assembler.branch(BPF_JSET_K, X32_SYSCALL_BIT, foreign, rows);
  const number = assembler.plain(BPF_LD_W_ABS, OFFSET_NR, known);
  const inside =
    codeRange === undefined || outside === undefined
      ? number
      : emitCodeRange(assembler, codeRange, number, outside);
  const ours = assembler.branch(BPF_JEQ_K, AUDIT_ARCH_X86_64, inside, foreign);
  assembler.plain(BPF_LD_W_ABS, OFFSET_ARCH, ours);
  const program = assembler.assemble();
  if (program === undefined) throw new Error('filter too long');
  return program;
}

/** How many system calls reach the host: not those that the filter answers itself. */
export function countCalls(spec: FilterSpec): number {
  const reaching = spec.rows.filter((row) => typeof row.action !== 'object');
  return new Set(reaching.map((row) => row.number)).size;
}

/** One line a row, for `runts debug seccomp` and the docs. */
export function describeFilter(spec: FilterSpec): string {
  const head = `${spec.name}: ${countCalls(spec)} system calls, otherwise ${actionText(spec.otherwise)}`;
  const range = spec.codeRange
    ? [`  from outside the code range: ${actionText(spec.codeRange.outside)}`]
    : [];
  const lines = spec.rows.map((row) => {
    const conditions = (row.args ?? []).map(conditionText).join(', ');
    const call = `${row.name}(${conditions})`;
    return `  ${call.padEnd(44)} ${actionText(row.action ?? 'allow').padEnd(7)} ${row.why}`;
  });
  return [head, ...range, ...lines].join('\n');
}

/** The return value of a filter for an action. */
export function actionValue(action: FilterAction): number {
  if (typeof action === 'object')
    return (SECCOMP_RET_ERRNO | (action.errno & SECCOMP_RET_DATA)) >>> 0;
  return ACTIONS[action];
}

const ACTIONS = {
  allow: SECCOMP_RET_ALLOW,
  log: SECCOMP_RET_LOG,
  notify: SECCOMP_RET_USER_NOTIF,
  trap: SECCOMP_RET_TRAP,
  killProcess: SECCOMP_RET_KILL_PROCESS,
} as const;

// Offsets in struct seccomp_data.
const OFFSET_NR = 4 * seccompData.number;
const OFFSET_ARCH = 4 * seccompData.arch;
const OFFSET_IP = 4 * seccompData.instructionPointer;
const OFFSET_ARGS = 4 * seccompData.args;

/** Set in the numbers of x32 calls. */
const X32_SYSCALL_BIT = 0x4000_0000;

const TWO_32 = 0x100000000;
const low = (value: number): number => value % TWO_32;
const high = (value: number): number => Math.floor(value / TWO_32);

/** The place that goes on at `inside` where the caller is in `range`. */
function emitCodeRange(
  assembler: BackwardAssembler,
  range: { start: number; end: number },
  inside: JumpTarget,
  outside: JumpTarget,
): JumpTarget {
  if (high(range.start) !== high(range.end)) throw new Error('code range crosses 4 GiB');
  // The address is the one after the instruction.
  const notAbove = assembler.branch(BPF_JGT_K, low(range.end), outside, inside);
  const above = assembler.branch(BPF_JGT_K, low(range.start), notAbove, outside);
  const lower = assembler.plain(BPF_LD_W_ABS, OFFSET_IP, above);
  const upper = assembler.branch(BPF_JEQ_K, high(range.start), lower, outside);
  return assembler.plain(BPF_LD_W_ABS, OFFSET_IP + 4, upper);
}

/** Expects the number in the accumulator, and has it there at `next` when the row does not match. */
function emitRow(assembler: BackwardAssembler, row: FilterRow, next: JumpTarget): JumpTarget {
  const conditions = row.args ?? [];
  const mismatch = conditions.length === 0 ? next : assembler.plain(BPF_LD_W_ABS, OFFSET_NR, next);
  const answer = assembler.answer(actionValue(row.action ?? 'allow'));
  const match = conditions.reduceRight(
    (then, condition) => emitCondition(assembler, condition, then, mismatch),
    answer,
  );
  return assembler.branch(BPF_JEQ_K, row.number, match, next);
}

/** The place that goes on at `match` where `condition` holds, else at `mismatch`. */
function emitCondition(
  assembler: BackwardAssembler,
  condition: ArgumentCondition,
  match: JumpTarget,
  mismatch: JumpTarget,
): JumpTarget {
  const lower = OFFSET_ARGS + condition.arg * 8;
  const upper = lower + 4;
  const test = (code: number, value: number, yes: JumpTarget, no: JumpTarget): JumpTarget =>
    assembler.branch(code, value, yes, no);
  const load = (offset: number, next: JumpTarget): JumpTarget =>
    assembler.plain(BPF_LD_W_ABS, offset, next);
  const isWide = condition.width !== 32;
  if ('oneOf' in condition) {
    const found = condition.oneOf.reduceRight(
      (otherwise, value) => test(BPF_JEQ_K, low(value), match, otherwise),
      mismatch,
    );
    return emitUpper(assembler, condition, condition.oneOf, load(lower, found), mismatch);
  }
  if ('eq' in condition) {
    const equal = load(lower, test(BPF_JEQ_K, low(condition.eq), match, mismatch));
    return emitUpper(assembler, condition, [condition.eq], equal, mismatch);
  }
  if ('within' in condition) {
    const outside = (bits: number, then: JumpTarget): JumpTarget =>
      test(BPF_JSET_K, ~bits >>> 0, mismatch, then);
    const within = load(lower, outside(low(condition.within), match));
    return isWide ? load(upper, outside(high(condition.within), within)) : within;
  }
  if ('mask' in condition) {
    const masked = (bits: number, value: number, then: JumpTarget): JumpTarget =>
      assembler.plain(BPF_AND_K, bits, test(BPF_JEQ_K, value, then, mismatch));
    const equal = load(lower, masked(low(condition.mask), low(condition.value), match));
    return isWide && high(condition.mask) !== 0
      ? load(upper, masked(high(condition.mask), high(condition.value), equal))
      : equal;
  }
  const { min, max } = condition;
  const notAbove = test(BPF_JGT_K, low(max), mismatch, match);
  const inRange = load(lower, test(BPF_JGE_K, low(min), notAbove, mismatch));
  return emitUpper(assembler, condition, [min, max], inRange, mismatch);
}

/** All of `values` must share their upper half, which the argument must have too where all of it counts. */
function emitUpper(
  assembler: BackwardAssembler,
  { arg, width }: ArgumentCondition,
  values: readonly number[],
  match: JumpTarget,
  mismatch: JumpTarget,
): JumpTarget {
  if (width === 32) return match;
  const upper = high(values[0] ?? 0);
  if (values.some((value) => high(value) !== upper)) throw new Error('values differ above bit 31');
  const equal = assembler.branch(BPF_JEQ_K, upper, match, mismatch);
  return assembler.plain(BPF_LD_W_ABS, OFFSET_ARGS + arg * 8 + 4, equal);
}

function actionText(action: FilterAction): string {
  return typeof action === 'object' ? `errno ${action.errno}` : action;
}

function conditionText(condition: ArgumentCondition): string {
  const name = `a${condition.arg}`;
  const hex = (value: number): string => (value < 10 ? String(value) : `0x${value.toString(16)}`);
  if ('oneOf' in condition) return `${name} in {${condition.oneOf.map(hex).join(' ')}}`;
  if ('eq' in condition) return `${name}=${hex(condition.eq)}`;
  if ('within' in condition) return `${name} within ${hex(condition.within)}`;
  if ('mask' in condition) return `${name}&${hex(condition.mask)}=${hex(condition.value)}`;
  return `${hex(condition.min)}<=${name}<=${hex(condition.max)}`;
}

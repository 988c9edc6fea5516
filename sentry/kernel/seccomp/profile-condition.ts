// SPDX-License-Identifier: Apache-2.0
// Conditions of a profile's rules (SCMP_CMP_*): unsigned 64-bit comparisons in a machine of 32 bits.
import { BPF_AND_K, BPF_JEQ_K, BPF_JGE_K, BPF_JGT_K, BPF_LD_W_ABS } from '../../../abi/filter.ts';
import { seccompData } from '../../../abi/seccomp.ts';
import type { BackwardAssembler, JumpTarget } from '../../../native/seccomp/assembler.ts';
import type { SeccompProfileArgument, WideNumber } from '../../../protocol/seccomp-profile.ts';
import { SeccompProfileError } from './profile-error.ts';

interface Wide {
  readonly lo: number;
  readonly hi: number;
}

export interface Condition {
  /** The index of the argument. */
  readonly index: number;
  readonly op: string;
  readonly value: Wide;
  /** All ones but for SCMP_CMP_MASKED_EQ. */
  readonly mask: Wide;
}

/** Conditions that must all hold, by rising index, and what is answered then. */
export interface Rule {
  readonly conditions: readonly Condition[];
  readonly answer: number;
}

const everyBit: Wide = { lo: 0xffffffff, hi: 0xffffffff };

/** libseccomp's order of conditions about one argument: the larger first. */
const priorities: ReadonlyMap<string, number> = new Map([
  ['SCMP_CMP_MASKED_EQ', 3],
  ['SCMP_CMP_EQ', 3],
  ['SCMP_CMP_NE', 3],
  ['SCMP_CMP_LE', 2],
  ['SCMP_CMP_LT', 2],
  ['SCMP_CMP_GE', 1],
  ['SCMP_CMP_GT', 1],
]);

export function conditionsOf(args: readonly SeccompProfileArgument[]): Condition[] {
  return args.map(conditionOf).sort((a, b) => a.index - b.index);
}

function conditionOf({ index, op, value, valueTwo }: SeccompProfileArgument): Condition {
  if (!Number.isInteger(index) || index < 0 || index > 5)
    throw new SeccompProfileError(`argument ${index}: calls have arguments 0 to 5`);
  if (!priorities.has(op)) throw new SeccompProfileError(`unknown operator ${op}`);
  if (op !== 'SCMP_CMP_MASKED_EQ') return { index, op, value: wide(value), mask: everyBit };
  const mask = wide(value);
  const datum = wide(valueTwo ?? 0);
  const masked = { lo: (datum.lo & mask.lo) >>> 0, hi: (datum.hi & mask.hi) >>> 0 };
  return { index, op, value: masked, mask };
}

function wide(value: WideNumber): Wide {
  try {
    const whole = BigInt(value);
    if (whole >= 0n) {
      const kept = whole > 0xffff_ffff_ffff_ffffn ? 0xffff_ffff_ffff_ffffn : whole;
      return { lo: Number(kept & 0xffffffffn), hi: Number(kept >> 32n) };
    }
  } catch {
    // No integer.
  }
  throw new SeccompProfileError(`${value} is no unsigned number`);
}

/** Which of two rules for a call is tried first. */
export function compareRules(a: Rule, b: Rule): number {
  const shared = Math.min(a.conditions.length, b.conditions.length);
  for (let at = 0; at < shared; at += 1) {
    const order = compareConditions(a.conditions[at] as Condition, b.conditions[at] as Condition);
    if (order !== 0) return order;
  }
  return 0;
}

function compareConditions(a: Condition, b: Condition): number {
  if (a.index !== b.index) return b.index - a.index;
  const priority = priorities.get(a.op) ?? 0;
  const order = (priorities.get(b.op) ?? 0) - priority;
  if (order !== 0) return order;
  const larger = b.value.hi - a.value.hi || b.value.lo - a.value.lo;
  return priority === 2 ? -larger : larger;
}

/** Instructions that go on at `match` where all conditions hold, else at `mismatch`. */
export function emitConditions(
  assembler: BackwardAssembler,
  conditions: readonly Condition[],
  match: JumpTarget,
  mismatch: JumpTarget,
): JumpTarget {
  return conditions.reduceRight(
    (next, condition) => emitCondition(assembler, condition, next, mismatch),
    match,
  );
}

function emitCondition(
  assembler: BackwardAssembler,
  condition: Condition,
  match: JumpTarget,
  mismatch: JumpTarget,
): JumpTarget {
  switch (condition.op) {
    case 'SCMP_CMP_EQ':
    case 'SCMP_CMP_MASKED_EQ':
      return emitEqual(assembler, condition, match, mismatch);
    case 'SCMP_CMP_NE':
      return emitEqual(assembler, condition, mismatch, match);
    case 'SCMP_CMP_GT':
      return emitAbove(assembler, condition, BPF_JGT_K, match, mismatch);
    case 'SCMP_CMP_GE':
      return emitAbove(assembler, condition, BPF_JGE_K, match, mismatch);
    case 'SCMP_CMP_LE':
      return emitAbove(assembler, condition, BPF_JGT_K, mismatch, match);
    default:
      return emitAbove(assembler, condition, BPF_JGE_K, mismatch, match); // SCMP_CMP_LT
  }
}

function emitEqual(
  assembler: BackwardAssembler,
  { index, value, mask }: Condition,
  equal: JumpTarget,
  different: JumpTarget,
): JumpTarget {
  const half = (word: number, bits: number, wanted: number, next: JumpTarget): JumpTarget => {
    if (bits === 0) return next;
    const test = assembler.branch(BPF_JEQ_K, wanted, next, different);
    const masked = bits === 0xffffffff ? test : assembler.plain(BPF_AND_K, bits, test);
    return assembler.plain(BPF_LD_W_ABS, 4 * word, masked);
  };
  const low = seccompData.args + 2 * index;
  return half(low + 1, mask.hi, value.hi, half(low, mask.lo, value.lo, equal));
}

function emitAbove(
  assembler: BackwardAssembler,
  { index, value }: Condition,
  test: number,
  above: JumpTarget,
  notAbove: JumpTarget,
): JumpTarget {
  const low = seccompData.args + 2 * index;
  const lowTest = assembler.branch(test, value.lo, above, notAbove);
  const loadLow = assembler.plain(BPF_LD_W_ABS, 4 * low, lowTest);
  const same = assembler.branch(BPF_JEQ_K, value.hi, loadLow, notAbove);
  const highTest = assembler.branch(BPF_JGT_K, value.hi, above, same);
  return assembler.plain(BPF_LD_W_ABS, 4 * (low + 1), highTest);
}

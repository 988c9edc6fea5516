// SPDX-License-Identifier: Apache-2.0
// A profile's program. Decisions as runc and libseccomp make them: a rule without conditions
// decides its call alone, the first of several; of conditional ones each is tried, in libseccomp's
// order of conditions; runc's ENOSYS for calls above all that the profile names; SCMP_ACT_KILL for
// the x32 ABI unless it is named. Calls are found by bisection, as libseccomp does it for long
// profiles. There is no test of the architecture: i386 calls never get as far.
import { isErrno } from '../../../abi/errno.ts';
import { BPF_JGE_K, BPF_LD_W_ABS } from '../../../abi/filter.ts';
import { BackwardAssembler, type JumpTarget } from '../../../native/seccomp/assembler.ts';
import type { SeccompProfile, SeccompProfileRule } from '../../../protocol/seccomp-profile.ts';
import { checkProgram, type FilterProgram } from './check-program.ts';
import { actionValue, ENOSYS_ANSWER, isPermissive, KILL_ANSWER } from './profile-action.ts';
import {
  type Condition,
  compareRules,
  conditionsOf,
  emitConditions,
  type Rule,
} from './profile-condition.ts';
import { SeccompProfileError } from './profile-error.ts';

/** The number of a system call's name; undefined where there is none. */
export type NumberOf = (name: string) => number | undefined;

const X32_SYSCALL_BIT = 0x4000_0000;
/**
 * The number that a tracer gives a call which it skips. It is not one of the x32 ABI, though it has
 * the bit.
 */
const SKIPPED_CALL = 0xffff_ffff;

const knownFlags: ReadonlySet<string> = new Set([
  'SECCOMP_FILTER_FLAG_TSYNC',
  'SECCOMP_FILTER_FLAG_LOG',
  'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
]);

/** All that is said of one call, in the order of trial. An unconditional rule is the only one. */
interface Call {
  unconditional: number | undefined;
  readonly conditional: Rule[];
}

/** From `first` on, up to the next interval: the same instructions decide. */
interface Interval {
  readonly first: number;
  readonly place: JumpTarget;
}

/** The verified program. Throws SeccompProfileError for what a profile cannot have. */
export function compileProfile(profile: SeccompProfile, numberOf: NumberOf): FilterProgram {
  checkFlags(profile);
  const bytes = assemble(profile, callsOf(profile, numberOf), lastCall(profile, numberOf));
  if (bytes === undefined) throw new SeccompProfileError('the profile has too many rules');
  const program = checkProgram(bytes);
  if (isErrno(program)) throw new Error('a profile made a program that does not verify');
  return program;
}

/** SECCOMP_FILTER_FLAG_LOG. */
export function profileLogs(profile: SeccompProfile): boolean {
  return profile.flags?.includes('SECCOMP_FILTER_FLAG_LOG') === true;
}

function checkFlags(profile: SeccompProfile): void {
  for (const flag of profile.flags ?? [])
    if (!knownFlags.has(flag)) throw new SeccompProfileError(`flag ${flag} is not supported`);
}

function callsOf(profile: SeccompProfile, numberOf: NumberOf): Map<number, Call> {
  const calls: Map<number, Call> = new Map();
  const byDefault = actionValue(profile.defaultAction, profile.defaultErrnoRet);
  for (const rule of profile.syscalls ?? []) {
    const answer = actionValue(rule.action, rule.errnoRet);
    const alternatives = alternativesOf(rule);
    if (answer === byDefault) continue;
    for (const name of rule.names) {
      const number = numberOf(name);
      if (number === undefined) continue; // Of another architecture, or younger than this kernel.
      const call = calls.get(number) ?? { unconditional: undefined, conditional: [] };
      calls.set(number, call);
      for (const conditions of alternatives) {
        if (conditions.length > 0) call.conditional.push({ conditions, answer });
        else call.unconditional ??= answer;
      }
    }
  }
  return calls;
}

/** A rule's conditions: all of them, or where two are about the same argument, one after the other. */
function alternativesOf(rule: SeccompProfileRule): readonly (readonly Condition[])[] {
  const conditions = conditionsOf(rule.args ?? []);
  const arguments_ = new Set(conditions.map((condition) => condition.index));
  return arguments_.size === conditions.length
    ? [conditions]
    : conditions.map((condition) => [condition]);
}

/** The largest number that the profile names, where calls above are to look as if there were none. */
function lastCall(profile: SeccompProfile, numberOf: NumberOf): number | undefined {
  if (isPermissive(profile.defaultAction)) return undefined;
  if (profile.architectures?.includes('SCMP_ARCH_X86_64') !== true) return undefined;
  let last = 0;
  for (const rule of profile.syscalls ?? [])
    for (const name of rule.names) last = Math.max(last, numberOf(name) ?? 0);
  return last === 0 ? undefined : last;
}

function assemble(
  profile: SeccompProfile,
  calls: ReadonlyMap<number, Call>,
  last: number | undefined,
): Uint8Array | undefined {
  const assembler = new BackwardAssembler();
  const answers: Map<number, JumpTarget> = new Map();
  const answer = (value: number): JumpTarget => {
    const place = answers.get(value) ?? assembler.answer(value);
    answers.set(value, place);
    return place;
  };
  const otherwise = answer(actionValue(profile.defaultAction, profile.defaultErrnoRet));
  const hasX32 = profile.architectures?.includes('SCMP_ARCH_X32') === true;

  const numbers = [...calls.keys()].sort((a, b) => a - b);
  const intervals: Interval[] = [{ first: 0, place: otherwise }];
  const begin = (first: number, place: JumpTarget): void => {
    if (intervals.at(-1)?.first === first) intervals.pop();
    if (intervals.at(-1)?.place !== place) intervals.push({ first, place });
  };
  for (const number of numbers) {
    begin(number, emitCall(assembler, calls.get(number) as Call, answer, otherwise));
    begin(number + 1, otherwise);
  }
  if (last !== undefined) begin(last + 1, answer(ENOSYS_ANSWER));
  // An x32 call that a profile allows meets a kernel without that ABI.
  begin(X32_SYSCALL_BIT, answer(hasX32 ? ENOSYS_ANSWER : KILL_ANSWER));
  begin(SKIPPED_CALL, otherwise);
  assembler.plain(BPF_LD_W_ABS, 0, bisect(assembler, intervals, 0, intervals.length - 1));
  return assembler.assemble();
}

function emitCall(
  assembler: BackwardAssembler,
  call: Call,
  answer: (value: number) => JumpTarget,
  otherwise: JumpTarget,
): JumpTarget {
  if (call.unconditional !== undefined) return answer(call.unconditional);
  let place = otherwise;
  for (const rule of call.conditional.sort(compareRules).reverse())
    place = emitConditions(assembler, rule.conditions, answer(rule.answer), place);
  return place;
}

function bisect(
  assembler: BackwardAssembler,
  intervals: readonly Interval[],
  from: number,
  to: number,
): JumpTarget {
  if (from === to) return (intervals[from] as Interval).place;
  const middle = (from + to + 1) >> 1;
  const above = bisect(assembler, intervals, middle, to);
  const below = bisect(assembler, intervals, from, middle - 1);
  return assembler.branch(BPF_JGE_K, (intervals[middle] as Interval).first, above, below);
}

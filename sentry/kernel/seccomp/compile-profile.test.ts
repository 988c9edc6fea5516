// SPDX-License-Identifier: Apache-2.0
// Profiles against a plain reading of them.
import { describe, expect, it } from 'vitest';
import type {
  SeccompProfile,
  SeccompProfileArgument,
  SeccompProfileRule,
} from '../../../protocol/seccomp-profile.ts';
import { compileProfile } from './compile-profile.ts';
import { actionValue } from './profile-action.ts';
import { SeccompProfileError } from './profile-error.ts';
import { runProgram } from './run-program.ts';
import { newFilter, Seccomp } from './seccomp.ts';
import { callWords } from './test-program.ts';

const numberOf = (name: string): number | undefined =>
  name.startsWith('call') ? Number(name.slice(4)) : undefined;

function decide(profile: SeccompProfile, number: number, args: readonly bigint[] = []): number {
  const program = compileProfile(profile, numberOf);
  const data = new Int32Array(16);
  callWords(number, args).forEach((word, index) => {
    data[index === 0 ? 0 : index + 2] = word;
  });
  return runProgram(program, data, 16) >>> 0;
}

function holds(
  { index, op, value, valueTwo }: SeccompProfileArgument,
  args: readonly bigint[],
): boolean {
  const argument = args[index] ?? 0n;
  const datum = BigInt(value);
  switch (op) {
    case 'SCMP_CMP_NE':
      return argument !== datum;
    case 'SCMP_CMP_LT':
      return argument < datum;
    case 'SCMP_CMP_LE':
      return argument <= datum;
    case 'SCMP_CMP_EQ':
      return argument === datum;
    case 'SCMP_CMP_GE':
      return argument >= datum;
    case 'SCMP_CMP_GT':
      return argument > datum;
    default:
      return (argument & datum) === (BigInt(valueTwo ?? 0) & datum);
  }
}

function matches({ args = [] }: SeccompProfileRule, values: readonly bigint[]): boolean {
  const isDouble = new Set(args.map((arg) => arg.index)).size < args.length;
  return isDouble
    ? args.some((arg) => holds(arg, values))
    : args.every((arg) => holds(arg, values));
}

/** Only for profiles in which the rules of one call have one action. */
function plainReading(profile: SeccompProfile, number: number, args: readonly bigint[]): number {
  const byDefault = actionValue(profile.defaultAction, profile.defaultErrnoRet);
  const rules = profile.syscalls ?? [];
  const known = rules.flatMap((rule) => rule.names.map(numberOf)).filter((of) => of !== undefined);
  const strict = !['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(
    profile.defaultAction,
  );
  if (strict && known.length > 0 && number > Math.max(...known)) return 0x50026;
  const found = rules.find(
    (rule) => rule.names.some((name) => numberOf(name) === number) && matches(rule, args),
  );
  return found === undefined ? byDefault : actionValue(found.action, found.errnoRet);
}

let seed = 20261122;
function random(below: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}
const pick = <T>(values: readonly T[]): T => values[random(values.length)] as T;

const interesting = [
  0n,
  1n,
  2n,
  0xffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x1_0000_0000n,
].concat(
  0x1_0000_0001n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_0000_0000n,
  0xffff_ffff_ffff_ffffn,
);
const operators = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map(
  (name) => `SCMP_CMP_${name}`,
);
const actions = ['ERRNO', 'ALLOW', 'LOG', 'TRAP', 'KILL_PROCESS', 'TRACE', 'KILL_THREAD'].map(
  (name) => `SCMP_ACT_${name}`,
);

function randomProfile(callCount: number): SeccompProfile {
  const actionOf: Map<string, string> = new Map();
  const syscalls = Array.from({ length: 1 + random(40) }, (): SeccompProfileRule => {
    const first = `call${random(callCount)}`;
    const action = actionOf.get(first) ?? pick(actions);
    const names = [first, `call${random(callCount)}`, 'unknown'].filter(
      (name) => (actionOf.get(name) ?? action) === action,
    );
    for (const name of names) actionOf.set(name, action);
    const args = Array.from({ length: random(3) }, () => ({
      index: random(6),
      op: pick(operators),
      value: String(pick(interesting)),
      valueTwo: String(pick(interesting)),
    }));
    return { names, action, args };
  });
  return { defaultAction: pick(actions), architectures: ['SCMP_ARCH_X86_64'], syscalls };
}

describe('compileProfile', () => {
  it('decides as a plain reading of random profiles does', () => {
    for (let round = 0; round < 300; round += 1) {
      const profile = randomProfile(pick([5, 60, 450]));
      const seccomp = new Seccomp(newFilter(compileProfile(profile, numberOf), undefined, false));
      for (let call = 0; call < 100; call += 1) {
        const number = random(470);
        const args = Array.from({ length: 6 }, () => pick(interesting));
        const { action, data } = seccomp.judge(callWords(number, args), () => 0);
        expect((action | data) >>> 0).toBe(plainReading(profile, number, args));
        if (seccomp.allows(number))
          expect(plainReading(profile, number, args.reverse())).toBe(0x7fff0000);
      }
    }
  });

  it('needs few instructions for a call without conditions', () => {
    const names = Array.from({ length: 450 }, (_, number) => `call${number}`);
    const even = names.filter((_, number) => number % 2 === 0);
    const profile = {
      defaultAction: 'SCMP_ACT_ERRNO',
      syscalls: [{ names: even, action: 'SCMP_ACT_ALLOW' }],
    };
    expect(compileProfile(profile, numberOf).length).toBeLessThan(600);
    for (let number = 0; number < 460; number += 1)
      expect(decide(profile, number)).toBe(number < 450 && number % 2 === 0 ? 0x7fff0000 : 0x50001);
  });

  it('puts rules without conditions before others, the first before the second', () => {
    const args = [{ index: 0, op: 'SCMP_CMP_EQ', value: 1 }];
    const rule = (errnoRet: number, withArgs: boolean): SeccompProfileRule => ({
      names: ['call1'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet,
      ...(withArgs && { args }),
    });
    const profile = (...syscalls: SeccompProfileRule[]): SeccompProfile => ({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls,
    });
    expect(decide(profile(rule(5, true), rule(6, false), rule(7, false)), 1, [1n])).toBe(0x50006);
    expect(decide(profile(rule(5, true)), 1, [1n])).toBe(0x50005);
    expect(decide(profile(rule(5, true)), 1, [2n])).toBe(0x7fff0000);
  });

  it('answers ENOSYS for calls above all that it names', () => {
    const syscalls = [
      { names: ['call9'], action: 'SCMP_ACT_ALLOW' },
      { names: ['call300'], action: 'SCMP_ACT_ERRNO' },
    ];
    const x86 = ['SCMP_ARCH_X86_64'];
    const errno = { defaultAction: 'SCMP_ACT_ERRNO', syscalls };
    expect(decide({ ...errno, architectures: x86 }, 301)).toBe(0x50026);
    expect(decide({ ...errno, architectures: x86 }, 299)).toBe(0x50001);
    expect(decide({ ...errno, defaultErrnoRet: 38 }, 299)).toBe(0x50026);
    expect(decide(errno, 301)).toBe(0x50001);
    expect(decide({ defaultAction: 'SCMP_ACT_LOG', syscalls, architectures: x86 }, 301)).toBe(
      0x7ffc0000,
    );
  });

  it('kills x32 calls unless the profile names the ABI', () => {
    const allow = { defaultAction: 'SCMP_ACT_ALLOW' };
    expect(decide(allow, 0x40000001)).toBe(0);
    expect(decide({ ...allow, architectures: ['SCMP_ARCH_X32'] }, 0x40000001)).toBe(0x50026);
    expect(decide(allow, 0xffffffff)).toBe(0x7fff0000);
  });

  it('says what is wrong with a profile', () => {
    const wrong: readonly (readonly [Partial<SeccompProfile>, RegExp])[] = [
      [{ defaultAction: 'SCMP_ACT_NOTIFY' }, /SCMP_ACT_NOTIFY/],
      [{ defaultAction: 'SCMP_ACT_MAYBE' }, /unknown action SCMP_ACT_MAYBE/],
      [{ flags: ['SECCOMP_FILTER_FLAG_NEW'] }, /FLAG_NEW is not supported/],
    ];
    for (const [part, message] of wrong)
      expect(() => decide({ defaultAction: 'SCMP_ACT_ALLOW', ...part }, 1)).toThrow(message);
    const argument = { index: 0, op: 'SCMP_CMP_EQ', value: 1 };
    for (const part of [
      { index: 6 },
      { op: 'SCMP_CMP_IN' },
      { value: -1 },
      { value: 0.5 },
      { value: 'x' },
    ]) {
      const rule = { names: ['call1'], action: 'SCMP_ACT_ERRNO', args: [{ ...argument, ...part }] };
      expect(() => decide({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] }, 1)).toThrow(
        SeccompProfileError,
      );
    }
    const many = Array.from({ length: 900 }, (_, value) => ({
      names: ['call1'],
      action: 'SCMP_ACT_ERRNO',
      args: [{ ...argument, op: 'SCMP_CMP_GT', value }],
    }));
    expect(() => decide({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: many }, 1)).toThrow(
      /too many/,
    );
  });
});

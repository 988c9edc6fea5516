// SPDX-License-Identifier: Apache-2.0
// The interpreter, stacked filters, and the memory of calls that are allowed whatever their arguments.
import { describe, expect, it } from 'vitest';
import { isErrno } from '../../../abi/errno.ts';
import { checkProgram, type FilterProgram } from './check-program.ts';
import { runProgram, UNDECIDED } from './run-program.ts';
import { type Filter, isBelow, newFilter, Seccomp, strictSeccomp } from './seccomp.ts';
import { callWords, program, RET_ALLOW, type Step } from './test-program.ts';

function checked(...steps: Step[]): FilterProgram {
  const result = checkProgram(program(...steps));
  if (isErrno(result)) throw new Error('does not verify');
  return result;
}

const noData = new Int32Array(16);
const run = (...steps: Step[]): number => runProgram(checked(...steps), noData, 16) >>> 0;
const RET_A: Step = [0x16, 0];
const LD = 0x00;
const LDX = 0x01;

describe('runProgram', () => {
  it('calculates with 32-bit words', () => {
    const cases: readonly (readonly [code: number, a: number, k: number, result: number])[] = [
      [0x04, 0xffffffff, 2, 1],
      [0x14, 1, 2, 0xffffffff],
      [0x24, 0x10001, 0x10001, 0x20001],
      [0x34, 0xfffffffe, 2, 0x7fffffff],
      [0x44, 0xf0, 0x0f, 0xff],
      [0x54, 0xff, 0x80000001, 1],
      [0x64, 1, 31, 0x80000000],
      [0x74, 0x80000000, 31, 1],
      [0xa4, 0xffffffff, 0xf, 0xfffffff0],
    ];
    for (const [code, a, k, result] of cases) {
      expect(run([LD, a], [code, k], RET_A)).toBe(result);
      expect(run([LD, a], [LDX, k], [code | 8, 0], RET_A)).toBe(result);
    }
    expect(run([LD, 5], [0x84, 0], RET_A)).toBe(0xfffffffb);
    expect(run([LD, 1], [LDX, 33], [0x6c, 0], RET_A)).toBe(2); // Shifts count to 31.
  });

  it('answers 0 when it divides by zero', () => {
    expect(run([LD, 7], [0x3c, 0], RET_ALLOW)).toBe(0);
  });

  it('moves words', () => {
    expect(run([LD, 9], [0x07, 0], [LD, 0], [0x87, 0], RET_A)).toBe(9);
    expect(run([LD, 9], [0x02, 15], [LD, 0], [0x60, 15], RET_A)).toBe(9);
    expect(run([LDX, 9], [0x03, 0], [0x60, 0], RET_A)).toBe(9);
    expect(run([0x80, 0], RET_A)).toBe(64);
    expect(run([0x81, 0], [0x87, 0], RET_A)).toBe(64);
  });

  it('compares unsigned', () => {
    const taken = (code: number, a: number, k: number): boolean => {
      const byConstant = run([LD, a], [code, k, 1, 0], [0x06, 0], [0x06, 1]) === 1;
      const byX = run([LD, a], [LDX, k], [code | 8, 0, 1, 0], [0x06, 0], [0x06, 1]) === 1;
      expect(byX).toBe(byConstant);
      return byConstant;
    };
    expect(taken(0x25, 0x80000000, 1)).toBe(true);
    expect(taken(0x25, 1, 0x80000000)).toBe(false);
    expect(taken(0x25, 1, 1)).toBe(false);
    expect(taken(0x35, 1, 1)).toBe(true);
    expect(taken(0x35, 0xffffffff, 0x80000000)).toBe(true);
    expect(taken(0x15, 0xffffffff, 0xffffffff)).toBe(true);
    expect(taken(0x45, 0x80000000, 0xc0000000)).toBe(true);
    expect(taken(0x45, 1, 2)).toBe(false);
  });

  it('says so where it meets a word that is not known', () => {
    expect(runProgram(checked([0x20, 8], RET_A), noData, 2)).toBe(UNDECIDED);
  });
});

/** Answers `value` to one call, allows all others. */
const only = (number: number, value: number): FilterProgram =>
  checked([0x20, 0], [0x15, number, 0, 1], [0x06, value], RET_ALLOW);

function stack(...programs: FilterProgram[]): Filter {
  const [first, ...others] = programs;
  return others.reduce(
    (below, next) => newFilter(next, below, false),
    newFilter(first as FilterProgram, undefined, false),
  );
}

const noAddress = (): number => 0;

describe('Seccomp', () => {
  it('takes the strictest answer, of equal ones the newest', () => {
    const order = [0x80000000, 0, 0x30000, 0x50001, 0x7fc00000, 0x7ff00000, 0x7ffc0000, 0x7fff0000];
    for (let a = 0; a < order.length; a += 1) {
      for (let b = 0; b < order.length; b += 1) {
        const seccomp = new Seccomp(
          stack(only(5, order[a] as number), only(5, order[b] as number)),
        );
        const { action } = seccomp.judge(callWords(5), noAddress);
        expect(action >>> 0).toBe(((order[Math.min(a, b)] as number) & 0xffff0000) >>> 0);
      }
    }
    const seccomp = new Seccomp(stack(only(5, 0x50001), only(5, 0x50002), RET(0x7fff1234)));
    expect(seccomp.judge(callWords(5), noAddress).data).toBe(2);
    expect(seccomp.filterCount).toBe(3);
  });

  it('remembers what is allowed for its number alone', () => {
    const byArgument = checked([0x20, 0], [0x15, 7, 0, 1], [0x20, 16], RET_ALLOW);
    const seccomp = new Seccomp(stack(only(5, 0x50001), byArgument));
    for (const number of [5, 6, 7, 1000, 0xffffffff]) {
      expect(seccomp.allows(number)).toBe(false);
      seccomp.judge(callWords(number), noAddress);
    }
    expect(seccomp.allows(5)).toBe(false);
    expect(seccomp.allows(6)).toBe(true);
    expect(seccomp.allows(7)).toBe(false);
    expect(seccomp.allows(1000)).toBe(false);
    expect(seccomp.allows(0xffffffff)).toBe(false);
  });

  it('shows arguments, architecture and instruction pointer', () => {
    const word = (offset: number, asked = noAddress): number => {
      const seccomp = new Seccomp(stack(checked([0x20, offset], [0x54, 0xffff], RET_A)));
      return seccomp.judge(
        callWords(5, [0x1111222233334444n, 0n, 0n, 0n, 0n, 0xaaaabbbbccccddddn]),
        asked,
      ).data;
    };
    expect(word(4)).toBe(0x3e);
    expect(word(16)).toBe(0x4444);
    expect(word(20)).toBe(0x2222);
    expect(word(56)).toBe(0xdddd);
    expect(word(60)).toBe(0xbbbb);
    expect(word(8, () => 0x7fff12345678)).toBe(0x5678);
    expect(word(12, () => 0x7fff12345678)).toBe(0x7fff);
  });

  it('asks for the instruction pointer only where it is wanted', () => {
    const seccomp = new Seccomp(stack(only(5, 0)));
    seccomp.judge(callWords(5), () => expect.unreachable());
  });

  it('has four calls in strict mode', () => {
    const allowed = Array.from({ length: 600 }, (_, number) => number).filter((number) =>
      strictSeccomp.allows(number),
    );
    expect(allowed).toEqual([0, 1, 15, 60]);
  });

  it('knows what lies below what', () => {
    const below = stack(only(1, 0));
    const newer = newFilter(only(2, 0), below, false);
    expect(isBelow(below, newer)).toBe(true);
    expect(isBelow(newer, newer)).toBe(true);
    expect(isBelow(newer, below)).toBe(false);
    expect(isBelow(undefined, below)).toBe(true);
  });
});

function RET(value: number): FilterProgram {
  return checked([0x06, value]);
}

// SPDX-License-Identifier: Apache-2.0
// What the verifier lets pass. The list of opcodes and the costs were recorded from Linux 6.18, by
// installing programs.
import { describe, expect, it } from 'vitest';
import { EINVAL, isErrno } from '../../../abi/errno.ts';
import { checkProgram, type FilterProgram } from './check-program.ts';
import { program, RET_ALLOW, type Step } from './test-program.ts';

const accepted = [
  0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24,
  0x25, 0x2c, 0x2d, 0x34, 0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64,
  0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac,
];

const check = (...steps: Step[]): ReturnType<typeof checkProgram> =>
  checkProgram(program(...steps));
const isAccepted = (...steps: Step[]): boolean => !isErrno(check(...steps));

describe('checkProgram', () => {
  it('knows the opcodes that Linux takes from seccomp filters', () => {
    const taken: number[] = [];
    for (let code = 0; code < 65536; code += 1) {
      const rest: Step[] = Array.from({ length: 5 }, () => RET_ALLOW);
      if (isAccepted([0x02, 4], [code, 4], ...rest)) taken.push(code);
    }
    expect(taken).toEqual(accepted);
  });

  it('wants 1 to 4096 whole instructions that end with an answer', () => {
    expect(checkProgram(new Uint8Array(0))).toBe(EINVAL);
    expect(checkProgram(program(RET_ALLOW).subarray(0, 7))).toBe(EINVAL);
    expect(isAccepted([0x00, 0])).toBe(false);
    expect(isAccepted(...Array.from({ length: 4095 }, (): Step => [0x00, 0]), RET_ALLOW)).toBe(
      true,
    );
    expect(isAccepted(...Array.from({ length: 4096 }, (): Step => [0x00, 0]), RET_ALLOW)).toBe(
      false,
    );
  });

  it('loads aligned words of struct seccomp_data and nothing else', () => {
    expect(isAccepted([0x20, 60], RET_ALLOW)).toBe(true);
    for (const offset of [64, 62, 1, 0xfffff000, 0xffffffff])
      expect(isAccepted([0x20, offset], RET_ALLOW)).toBe(false);
  });

  it('jumps forward to instructions that there are', () => {
    expect(isAccepted([0x05, 0], RET_ALLOW)).toBe(true);
    for (const far of [1, 0xffffffff, 0x7fffffff])
      expect(isAccepted([0x05, far], RET_ALLOW)).toBe(false);
    expect(isAccepted([0x15, 0, 1, 0], RET_ALLOW)).toBe(false);
    expect(isAccepted([0x15, 0, 0, 1], RET_ALLOW)).toBe(false);
    expect(isAccepted([0x15, 0, 1, 0], RET_ALLOW, RET_ALLOW)).toBe(true);
  });

  it('refuses constants that make no sense', () => {
    expect(isAccepted([0x34, 0], RET_ALLOW)).toBe(false);
    expect(isAccepted([0x64, 32], RET_ALLOW)).toBe(false);
    expect(isAccepted([0x74, 31], RET_ALLOW)).toBe(true);
    expect(isAccepted([0x02, 16], RET_ALLOW)).toBe(false);
  });

  it('refuses loads of scratch words that may not have been stored', () => {
    expect(isAccepted([0x60, 3], RET_ALLOW)).toBe(false);
    expect(isAccepted([0x02, 3], [0x61, 3], RET_ALLOW)).toBe(true);
    // Stored on one of two ways only.
    expect(isAccepted([0x15, 0, 0, 1], [0x02, 3], [0x60, 3], RET_ALLOW)).toBe(false);
    expect(isAccepted([0x15, 0, 1, 0], [0x06, 0], [0x02, 3], [0x60, 3], RET_ALLOW)).toBe(true);
  });

  it('counts as Linux does', () => {
    const cost = (...steps: Step[]): number => (check(...steps) as FilterProgram).cost;
    expect(cost(RET_ALLOW)).toBe(5);
    expect(cost([0x20, 0], RET_ALLOW)).toBe(6);
    expect(cost([0x00, 0], [0x16, 0])).toBe(5);
    expect(cost([0x15, 5, 1, 0], RET_ALLOW, RET_ALLOW)).toBe(8);
    expect(cost([0x15, 5, 0, 1], RET_ALLOW, RET_ALLOW)).toBe(8);
    expect(cost([0x45, 5, 0, 1], RET_ALLOW, RET_ALLOW)).toBe(9);
    expect(cost([0x15, 0x80000000, 1, 0], RET_ALLOW, RET_ALLOW)).toBe(9);
    expect(cost([0x15, 5, 1, 2], RET_ALLOW, RET_ALLOW, RET_ALLOW)).toBe(11);
  });

  it('takes any bytes without harm', () => {
    let seed = 1;
    const random = (): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 16;
    };
    for (let round = 0; round < 2000; round += 1) {
      const bytes = Uint8Array.from({ length: 8 * (1 + (random() % 40)) }, random);
      for (let at = 0; at < bytes.length; at += 8) {
        bytes[at] = accepted[random() % accepted.length] as number;
        bytes[at + 1] = 0;
      }
      const checked = checkProgram(bytes);
      expect(isErrno(checked) || checked.length === bytes.length / 8).toBe(true);
    }
  });
});

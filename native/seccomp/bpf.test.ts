// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { runFilter as run } from '../../test/support/run-filter.ts';
import { actionValue, compileFilter, describeFilter, type FilterSpec } from './bpf.ts';

const allow = actionValue('allow');
const kill = actionValue('killProcess');

describe('compileFilter', () => {
  const spec: FilterSpec = {
    name: 'test',
    otherwise: { errno: 1 },
    rows: [
      { name: 'read', number: 0, why: 'reading' },
      {
        name: 'write',
        number: 1,
        why: 'fd 4',
        args: [
          { arg: 0, eq: 4 },
          { arg: 2, eq: 8 },
        ],
      },
      { name: 'mmap', number: 9, why: 'no exec', args: [{ arg: 2, within: 3 }] },
      { name: 'futex', number: 202, why: 'ops', args: [{ arg: 1, oneOf: [0, 1, 128, 129] }] },
      {
        name: 'futex',
        number: 202,
        why: 'second row',
        args: [{ arg: 1, eq: 9 }],
        action: 'notify',
      },
      { name: 'close', number: 3, why: 'range', args: [{ arg: 0, min: 3, max: 63 }] },
      { name: 'ioctl', number: 16, why: 'mask', args: [{ arg: 1, mask: 0xff00, value: 0x5400 }] },
    ],
  };
  const program = compileFilter(spec);
  const ask = (nr: number, ...args: number[]): number => run(program, { nr, args });
  const denied = actionValue({ errno: 1 });

  it('looks at all 64 bits of an argument', () => {
    expect(ask(1, 4, 0, 8)).toBe(allow);
    expect(ask(1, 5, 0, 8)).toBe(denied);
    expect(ask(1, 4 + 2 ** 32, 0, 8)).toBe(denied);
  });

  it('knows masks, ranges and lists', () => {
    expect(ask(9, 0, 0, 3)).toBe(allow);
    expect(ask(9, 0, 0, 7)).toBe(denied);
    expect(ask(9, 0, 0, 3 + 2 ** 32)).toBe(denied);
    expect([2, 3, 63, 64].map((fd) => ask(3, fd))).toEqual([denied, allow, allow, denied]);
    expect([0, 1, 128, 129, 2].map((op) => ask(202, 0, op))).toEqual([
      allow,
      allow,
      allow,
      allow,
      denied,
    ]);
    expect(ask(16, 0, 0x5413)).toBe(allow);
    expect(ask(16, 0, 0x5513)).toBe(denied);
  });

  it('tries the next row of the same number', () => {
    expect(ask(202, 0, 9)).toBe(actionValue('notify'));
    expect(ask(0)).toBe(allow);
  });

  it('kills foreign architectures and x32', () => {
    expect(run(program, { nr: 0, arch: 0x40000003 })).toBe(kill);
    expect(run(program, { nr: 0x40000000 })).toBe(kill);
  });

  it('reaches far targets', () => {
    const rows = Array.from({ length: 300 }, (_, index) => ({
      name: `c${index}`,
      number: index,
      why: '',
    }));
    const long = compileFilter({ ...spec, rows });
    expect(run(long, { nr: 299 })).toBe(allow);
    expect(run(long, { nr: 300 })).toBe(denied);
    expect(run(long, { nr: 0, arch: 1 })).toBe(kill);
  });

  it('traps calls from outside the code range', () => {
    const start = 0x7f1234560000;
    const ranged = compileFilter({
      ...spec,
      codeRange: { start, end: start + 0x10000, outside: 'trap' },
    });
    const from = (ip: number): number => run(ranged, { nr: 0, ip });
    expect(from(start + 2)).toBe(allow);
    expect(from(start + 0x10000)).toBe(allow);
    expect(from(start)).toBe(actionValue('trap'));
    expect(from(start + 0x10001)).toBe(actionValue('trap'));
    expect(from(start + 2 - 2 ** 32)).toBe(actionValue('trap'));
  });

  it('is described in one line a row', () => {
    expect(describeFilter(spec).split('\n')).toHaveLength(8);
  });
});

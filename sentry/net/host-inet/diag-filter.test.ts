// SPDX-License-Identifier: Apache-2.0
// Filters of ss(8) as its compiler writes them (ssfilter_bytecompile), and programs that nobody would write.
import { describe, expect, it } from 'vitest';
import { AF_INET, AF_INET6 } from '../../../abi/socket.ts';
import { diagFilterAccepts } from './diag-filter.ts';

/** struct inet_diag_msg. */
function socket(
  family: number,
  ports: readonly [number, number],
  address: readonly number[],
): Uint8Array {
  const body = new Uint8Array(72);
  const view = new DataView(body.buffer);
  view.setUint8(0, family);
  view.setUint16(4, ports[0]);
  view.setUint16(6, ports[1]);
  body.set(address, 8);
  view.setUint32(40, 7, true);
  return body;
}

const op = (code: number, yes: number, no: number): number[] => [code, yes, no & 0xff, no >> 8];
const program = (...ops: readonly (readonly number[])[]): Uint8Array => Uint8Array.from(ops.flat());

const web = socket(AF_INET, [80, 40_000], [127, 0, 0, 1]);
const mapped = socket(AF_INET6, [80, 1], [...new Array(10).fill(0), 255, 255, 127, 0, 0, 1]);

describe('filters of socket lists', () => {
  it.each([
    ['sport = :80', 11, 80, true],
    ['sport = :81', 11, 81, false],
    ['sport >= :80', 2, 80, true],
    ['sport <= :79', 3, 79, false],
    ['dport >= :40001', 4, 40_001, false],
    ['dport <= :40000', 5, 40_000, true],
    ['dport = :40000', 12, 40_000, true],
  ])('%s', (_, code, port, accepted) => {
    const compiled = program(op(code, 8, 12), op(0, 0, port));
    expect(diagFilterAccepts(compiled, web)).toBe(accepted);
  });

  it('addresses, of both families, with prefixes', () => {
    const at = (
      family: number,
      bits: number,
      port: number,
      address: readonly number[],
    ): Uint8Array => {
      const bytes = 12 + address.length;
      const portBytes = [...new Uint8Array(Int32Array.of(port).buffer)];
      return program(op(7, bytes, bytes + 4), [family, bits, 0, 0], portBytes, address);
    };
    expect(diagFilterAccepts(at(AF_INET, 32, -1, [127, 0, 0, 1]), web)).toBe(true);
    expect(diagFilterAccepts(at(AF_INET, 32, -1, [127, 0, 0, 2]), web)).toBe(false);
    expect(diagFilterAccepts(at(AF_INET, 30, 80, [127, 0, 0, 2]), web)).toBe(true);
    expect(diagFilterAccepts(at(AF_INET, 8, 81, [127, 0, 0, 1]), web)).toBe(false);
    expect(diagFilterAccepts(at(AF_INET, 32, -1, [127, 0, 0, 1]), mapped)).toBe(true);
    expect(diagFilterAccepts(at(AF_INET6, 0, -1, []), web)).toBe(false);
    expect(diagFilterAccepts(at(0, 0, 80, []), mapped)).toBe(true);
    expect(diagFilterAccepts(at(AF_INET, 255, -1, [127, 0, 0, 1]), web)).toBe(false);
  });

  it('several in a row, one of them, and the device', () => {
    const either = program(op(11, 16, 8), op(0, 0, 81), op(1, 4, 8), op(1, 4, 4));
    expect(diagFilterAccepts(either, web)).toBe(true);
    expect(diagFilterAccepts(program(op(9, 8, 12), [7, 0, 0, 0]), web)).toBe(true);
    expect(diagFilterAccepts(program(op(9, 8, 12), [8, 0, 0, 0]), web)).toBe(false);
    expect(diagFilterAccepts(program(), web)).toBe(true);
  });

  it('that make no sense accept nothing, and end', () => {
    expect(diagFilterAccepts(program(op(0, 0, 0)), web)).toBe(false);
    expect(diagFilterAccepts(program(op(7, 4, 8)), web)).toBe(false);
    expect(diagFilterAccepts(program(op(0, 5, 5)), web)).toBe(false);
    expect(diagFilterAccepts(program(op(0, 4, 4)), new Uint8Array(8))).toBe(false);
    for (let seed = 1; seed < 3000; seed++) {
      const bytes = Uint8Array.from(
        { length: seed % 64 },
        (_, i) => (seed * (i + 7) * 2654435761) >>> 24,
      );
      diagFilterAccepts(bytes, web);
    }
  });
});

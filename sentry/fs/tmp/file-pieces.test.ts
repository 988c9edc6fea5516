// SPDX-License-Identifier: Apache-2.0
// Large files are freed piece by piece.
import { describe, expect, it } from 'vitest';
import { doLeftover, hasLeftovers } from '../../base/leftovers.ts';
import { BufferSource } from '../../vfs/io.ts';
import { FileData } from './file-data.ts';

const MIB = 2 ** 20;

function written(bytes: number): FileData {
  const data = new FileData(1, 2);
  const some = new Uint8Array(MIB).fill(7);
  for (let at = 0; at < bytes; at += MIB) data.write(new BufferSource(some), at);
  return data;
}

describe('FileData', () => {
  it('frees what a cut frees beforehand, and nothing before the cut', () => {
    const data = written(64 * MIB);
    let pieces = 0;
    while (data.freePieceBeyond(5 * MIB + 1)) pieces += 1;
    expect(pieces).toBeGreaterThan(1);
    expect([data.sizeBytes, data.residentBytes]).toEqual([64 * MIB, 5 * MIB + 4096]);
    expect(data.truncate(5 * MIB + 1)).toBe(0);
    expect([data.sizeBytes, data.residentBytes]).toEqual([5 * MIB + 1, 5 * MIB + 4096]);
    data.release();
  });

  it('leaves a small cut to the cut itself', () => {
    const data = written(64 * MIB);
    expect(data.freePieceBeyond(60 * MIB)).toBe(false);
    expect(data.residentBytes).toBe(64 * MIB);
    data.release();
  });

  it('is closed in later turns where it is large', () => {
    written(64 * MIB).release();
    expect(hasLeftovers()).toBe(true);
    while (hasLeftovers()) doLeftover();
    written(8 * MIB).release();
    expect(hasLeftovers()).toBe(false);
  });
});

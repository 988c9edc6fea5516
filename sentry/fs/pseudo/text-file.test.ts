// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { EAGAIN } from '../../../abi/errno.ts';
import type { FakeCaller } from '../../../test/support/fake-caller.ts';
import { BufferSink } from '../../vfs/io.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { processOperations } from './entry.ts';
import type { PseudoFileSystem } from './pseudo-filesystem.ts';
import { textFile } from './text-file.ts';

const RECORDS = 1000;

function* records(made: { count: number }): IterableIterator<string> {
  for (let index = 0; index < RECORDS; index += 1) {
    made.count += 1;
    yield `${String(index).padStart(9)}\n`;
  }
}

const whole = [...records({ count: 0 })].join('');

function openRecords(made = { count: 0 }): OpenFile {
  const filesystem = {
    clock: { realtime: () => ({ sec: 0, nsec: 0 }) },
    nextInode: () => 1,
    operations: processOperations,
  };
  const node = textFile(0o444, () => records(made))(filesystem as unknown as PseudoFileSystem, {});
  return node.open(0, {} as FakeCaller) as OpenFile;
}

/** Reads at `position` as a call in pieces does: again where the file says so. */
function readAt(file: OpenFile, position: number, length: number): string {
  const buffer = Buffer.alloc(length);
  const sink = new BufferSink(buffer);
  for (let tries = 0; tries < 100; tries += 1) {
    const count = file.pread(sink, position);
    if (count === EAGAIN && file.goesOn) continue;
    return buffer.toString('latin1', 0, Math.max(count, 0));
  }
  return 'no end';
}

describe('a text that comes in parts', () => {
  it.each([1, 7, 10, 64, 4096])('is whole when it is read %d bytes at a time', (length) => {
    const file = openRecords();
    let text = '';
    for (let piece = 'x'; piece !== ''; text += piece) piece = readAt(file, text.length, length);
    expect(text).toBe(whole);
  });

  it('is made no further than it is read', () => {
    const made = { count: 0 };
    readAt(openRecords(made), 0, 100);
    expect(made.count).toBeLessThan(20);
  });

  it('can be read anywhere, forward and back', () => {
    const file = openRecords();
    for (const at of [9_876, 15, 5_000, 5_001, 4_000, 0, 9_999, 10_000])
      expect(readAt(file, at, 25)).toBe(whole.slice(at, at + 25));
  });
});

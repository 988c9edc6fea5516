// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EAGAIN } from '../../../abi/errno.ts';
import { VMIN, VTIME } from '../../../abi/termios.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import { openPair, runCase, type TerminalCase } from './discipline-case.ts';

const recordings = JSON.parse(
  readFileSync(new URL('recorded-cases.json', import.meta.url), 'utf8'),
) as {
  recorded: TerminalCase;
  results: unknown[];
}[];

describe('the line discipline', () => {
  it.each(recordings.map((recording, index) => ({ index, ...recording })))(
    'does what a Linux pty did (recording $index)',
    ({ recorded, results }) => {
      expect(runCase(recorded)).toEqual(results);
    },
  );

  it('holds a non-canonical read back until VMIN bytes are there', () => {
    const { master, slave } = openPair();
    slave.flags = 2;
    const cc = slave.terminal.termios.cc.slice();
    cc[VMIN] = 3;
    cc[VTIME] = 0;
    slave.terminal.setTermios({ ...slave.terminal.termios, lflag: 0, cc });
    master.write(new BufferSource(Buffer.from('ab')));
    expect(slave.read(new BufferSink(new Uint8Array(10)))).toBe(EAGAIN);
    expect(slave.poll() & 1).toBe(0);
    master.write(new BufferSource(Buffer.from('c')));
    expect(slave.poll() & 1).toBe(1);
    expect(slave.read(new BufferSink(new Uint8Array(10)))).toBe(3);
  });

  it('takes no more from a master than it can hold', () => {
    const { master, slave } = openPair();
    slave.terminal.setTermios({ ...slave.terminal.termios, lflag: 0 });
    let total = 0;
    for (;;) {
      const taken = master.write(new BufferSource(new Uint8Array(5000)));
      if (taken === EAGAIN) break;
      total += taken;
    }
    expect(total).toBe(4095 + 12288);
    let read = 0;
    for (;;) {
      const count = slave.read(new BufferSink(new Uint8Array(1000)));
      if (count === EAGAIN) break;
      read += count;
    }
    expect(read).toBe(total);
  });
});

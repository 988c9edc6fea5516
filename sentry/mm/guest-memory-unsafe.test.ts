// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { EFAULT, EINVAL, ENAMETOOLONG, isErrno, type Result } from '../../abi/errno.ts';
import { PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { FakeAddressSpace, fakeThread } from '../../test/support/fake-address-space.ts';
import { AddressSpaceMemory } from './guest-memory-unsafe.ts';

const TOP = 0x7f00_0000_0000;
const BASE = 0x10000;
const PAGES = 3;
const END = BASE + PAGES * 4096;

function setUp() {
  const space = new FakeAddressSpace();
  const thread = fakeThread(space);
  const prot = PROT_READ | PROT_WRITE;
  const mapping = {
    kind: 'mapAnonymous',
    length: PAGES * 4096,
    prot,
    noreserve: false,
    populate: false,
  } as const;
  space.queueOperation({ ...mapping, addr: BASE }, thread);
  return { space, memory: new AddressSpaceMemory(space, TOP) };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function value<T extends object>(result: Result<T>): T {
  if (isErrno(result)) throw new Error(`errno ${result}`);
  return result;
}

describe('AddressSpaceMemory', () => {
  it('reads strings up to the last mapped byte, over page borders, and no further than the limit', () => {
    const { memory } = setUp();
    memory.write(END - 4, bytes('abc\0'));
    expect(memory.string(END - 4, 100)).toBe('abc');
    memory.write(END - 4, bytes('abcd'));
    expect(memory.string(END - 4, 100)).toBe(EFAULT);
    memory.write(BASE + 4090, bytes(`${'x'.repeat(300)}\0`));
    expect(memory.string(BASE + 4090, 300)).toBe('x'.repeat(300));
    expect(memory.string(BASE + 4090, 299)).toBe(ENAMETOOLONG);
    memory.write(BASE, Uint8Array.of(0xff, 0x80, 0));
    expect(memory.path(BASE)).toBe('\xff\x80');
    expect(memory.path(0)).toBe(EFAULT);
  });

  it('never touches what lies past guest memory', () => {
    const { space, memory } = setUp();
    space.pages.set(TOP, { bytes: new Uint8Array(4096), prot: 3 });
    expect(memory.read(TOP, new Uint8Array(1))).toBe(EFAULT);
    expect(memory.write(TOP, new Uint8Array(1))).toBe(EFAULT);
    expect(memory.write(2 ** 63, new Uint8Array(1))).toBe(EFAULT);
    expect(memory.writeSome(TOP, new Uint8Array(1))).toBe(EFAULT);
    expect(memory.readU32(TOP - 2)).toBe(EFAULT);
    expect(memory.zero(TOP, 1)).toBe(EFAULT);
    expect(memory.string(TOP, 10)).toBe(EFAULT);
  });

  it('copies numbers and answers short counts at the edge', () => {
    const { memory } = setUp();
    expect(memory.writeU64(BASE, 0x1_2345_6789_abcd)).toBe(0);
    expect(memory.readU32(BASE)).toBe(0x6789_abcd);
    expect(memory.readU32(BASE + 4)).toBe(0x1_2345);
    expect(memory.readSome(END - 3, new Uint8Array(10))).toBe(3);
    expect(memory.read(END - 3, new Uint8Array(10))).toBe(EFAULT);
    expect(memory.writeSome(END, new Uint8Array(10))).toBe(EFAULT);
    expect(value(memory.view(BASE, 8)).getUint16(0, true)).toBe(0xabcd);
  });

  it('walks iovecs in both directions and stops at a bad segment', () => {
    const { memory } = setUp();
    const iov = BASE + 4096;
    const segments = [BASE, 3, BASE + 100, 0, BASE + 10, 4, END - 2, 5];
    for (const [index, word] of segments.entries()) memory.writeU64(iov + 8 * index, word);
    const sink = value(memory.sinkOfVector(iov, 4));
    expect(sink.remaining).toBe(12);
    expect(sink.put(bytes('abcde'))).toBe(5);
    expect(sink.put(bytes('fghijkl'))).toBe(4);
    expect(sink.put(bytes('kl'))).toBe(EFAULT);
    const source = value(memory.sourceOfVector(iov, 3));
    const back = new Uint8Array(10);
    expect(source.take(back)).toBe(7);
    expect(new TextDecoder().decode(back.subarray(0, 7))).toBe('abcdefg');
  });

  it('refuses vectors that make no sense', () => {
    const { memory } = setUp();
    expect(memory.sinkOfVector(BASE, 1025)).toBe(EINVAL);
    expect(memory.sinkOfVector(BASE, -1)).toBe(EINVAL);
    expect(memory.sinkOfVector(END - 8, 1)).toBe(EFAULT);
    memory.writeU64(BASE + 8, 2 ** 63);
    expect(memory.sinkOfVector(BASE, 1)).toBe(EINVAL);
    memory.writeU64(BASE + 8, 2 ** 62);
    expect(memory.sinkOfVector(BASE, 1)).toBe(EFAULT);
    expect(value(memory.sinkOfVector(BASE, 0)).remaining).toBe(0);
  });
});

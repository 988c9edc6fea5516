// SPDX-License-Identifier: Apache-2.0
// Large memory operations, which the stub does in pieces, and what a guest that jumps into the stub
// cannot have: calls that hold the lock of its address space for long, or take memory of the host
// kernel that nobody counts.
import { afterAll, describe, expect, it } from 'vitest';
import { EFAULT } from '../../abi/errno.ts';
import {
  MADV_COLLAPSE,
  MADV_DONTNEED,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_WILLNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
} from '../../abi/mman.ts';
import { native } from '../../native/addon.ts';
import { STUB_PIECE_BYTES } from '../../protocol/mailbox.ts';
import { type GuestThread, REG } from '../../sentry/platform/guest-thread.ts';
import { assemble, CODE, setRegister, TestGuests } from './test-guest.ts';

const idle = assemble('1: mov $39,%eax; syscall; jmp 1b');
// Calls the code at rbx with six arguments as they are and a seventh of 0, then a system call with
// the result in rdi.
const callRbx = assemble('push $0; call *%rbx; mov %rax,%rdi; mov $500,%eax; syscall');
const guests = new TestGuests();
const { platform } = guests;
afterAll(() => platform.shutdown());

const PLACE = 0x10_0000_0000;
const OTHER = 0x20_0000_0000;
const PAGE = 4096;
const LENGTH = 3 * STUB_PIECE_BYTES + PAGE;
const SYS_mmap = 9;
const SYS_mprotect = 10;
const SYS_munmap = 11;
const SYS_mremap = 25;
const SYS_madvise = 28;

const anonymous = (addr: number, length: number, populate = false, prot = 3) =>
  ({ kind: 'mapAnonymous', addr, length, prot, noreserve: true, populate }) as const;

describe('large operations', () => {
  const { thread, space } = guests.launch(idle);
  const byteAt = (addr: number): number => {
    const byte = new Uint8Array(1);
    const got = space.read(addr, byte, 1);
    return got === 1 ? (byte[0] as number) : got;
  };
  const flushed = (...operations: Parameters<typeof space.queueOperation>[0][]) => {
    for (const operation of operations) space.queueOperation(operation, thread);
    return space.flushOperations(thread);
  };
  const ends = [0, STUB_PIECE_BYTES, LENGTH - PAGE];

  it('map over what is there', () => {
    expect(flushed(anonymous(PLACE + STUB_PIECE_BYTES, PAGE))).toBe(0);
    space.write(PLACE + STUB_PIECE_BYTES, Uint8Array.of(9), 1);
    expect(flushed(anonymous(PLACE, LENGTH))).toBe(0);
    expect(ends.map((end) => byteAt(PLACE + end))).toEqual([0, 0, 0]);
    expect(byteAt(PLACE + LENGTH)).toBe(EFAULT);
  });

  it('move and grow, with what is in the pages', () => {
    ends.forEach((end, index) => {
      space.write(PLACE + end, Uint8Array.of(index + 1), 1);
    });
    const newLength = LENGTH + 2 * STUB_PIECE_BYTES;
    expect(flushed({ kind: 'remap', addr: PLACE, length: LENGTH, newAddr: OTHER, newLength })).toBe(
      0,
    );
    expect(ends.map((end) => byteAt(OTHER + end))).toEqual([1, 2, 3]);
    expect(byteAt(PLACE)).toBe(EFAULT);
    expect(byteAt(OTHER + newLength - 1)).toBe(0);
    expect(byteAt(OTHER + newLength)).toBe(EFAULT);
    expect(
      flushed({ kind: 'remap', addr: OTHER, length: newLength, newAddr: PLACE, newLength }),
    ).toBe(0);
    expect(ends.map((end) => byteAt(PLACE + end))).toEqual([1, 2, 3]);
  });

  it('that fail half way leave things where they were', () => {
    // The second piece has no place below the end of user space.
    const length = 2 * STUB_PIECE_BYTES;
    const newAddr = 0x7fff_ffff_f000 - STUB_PIECE_BYTES;
    expect(
      flushed({ kind: 'remap', addr: PLACE, length, newAddr, newLength: length }),
    ).toBeLessThan(0);
    expect(byteAt(PLACE)).toBe(1);
    expect(byteAt(PLACE + STUB_PIECE_BYTES)).toBe(2);
  });

  it('protect, empty and unmap', () => {
    const end = PLACE + LENGTH - PAGE;
    const length = STUB_PIECE_BYTES + PAGE;
    const addr = end + PAGE - length;
    expect(flushed({ kind: 'protect', addr, length, prot: 1 })).toBe(0);
    expect(space.write(end, Uint8Array.of(1), 1)).toBe(EFAULT);
    expect(byteAt(end)).toBe(3);
    expect(flushed({ kind: 'advise', addr, length, advice: MADV_DONTNEED })).toBe(0);
    expect(byteAt(end)).toBe(0);
    expect(flushed({ kind: 'unmap', addr: PLACE, length: LENGTH })).toBe(0);
    expect(ends.map((at) => byteAt(PLACE + at))).toEqual([EFAULT, EFAULT, EFAULT]);
  });

  it('have pages touched where that is asked for, up to what faults', () => {
    const before = space.usage().residentBytes;
    expect(flushed(anonymous(PLACE, 64 * PAGE, true))).toBe(0);
    expect(space.usage().residentBytes - before).toBeGreaterThanOrEqual(60 * PAGE);
    expect(flushed(anonymous(PLACE, 64 * PAGE), anonymous(PLACE, 64 * PAGE, true, 0))).toBe(0);
    expect(space.usage().residentBytes - before).toBeLessThan(4 * PAGE);
    expect(flushed(anonymous(PLACE, 64 * PAGE))).toBe(0);
    space.write(PLACE + PAGE, Uint8Array.of(7), 1);
    const length = 64 * PAGE;
    for (const advice of [MADV_POPULATE_READ, MADV_POPULATE_WRITE])
      expect(flushed({ kind: 'advise', addr: PLACE, length, advice })).toBe(0);
    expect(byteAt(PLACE + PAGE)).toBe(7);
    expect(space.usage().residentBytes - before).toBeGreaterThanOrEqual(60 * PAGE);
    const file = native.memfdCreate('short', 1);
    native.ftruncate(file, PAGE);
    const mapping = { kind: 'mapFile', addr: PLACE, prot: 3, hostFd: file, offset: 0 } as const;
    expect(flushed({ ...mapping, length: 2 * PAGE, shared: true, populate: true })).toBe(0);
    expect(
      flushed({ kind: 'advise', addr: PLACE, length: 2 * PAGE, advice: MADV_POPULATE_READ }),
    ).toBe(EFAULT);
    native.close(file);
  });
});

describe('a guest that jumps into its stub', () => {
  const STUB_SYSCALL = 0x20;
  const replacing = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  const more = STUB_PIECE_BYTES + PAGE;

  const throughStub = (args: readonly number[]): GuestThread => {
    const { thread } = guests.launch(callRbx);
    setRegister(thread, REG.rbx, platform.stubBase + STUB_SYSCALL);
    const order = [REG.rdi, REG.rsi, REG.rdx, REG.rcx, REG.r8, REG.r9];
    args.forEach((value, index) => {
      setRegister(thread, order[index] as number, value);
    });
    thread.resume();
    const stopped = guests.next();
    if (stopped === undefined) throw new Error('no stop');
    return stopped;
  };
  /** The number of the call that stopped it: 500 where the host took the one through the stub. */
  const stoppedBy = (args: readonly number[]): number | undefined => {
    const { space, syscall } = throughStub(args);
    space.destroy();
    return syscall[0];
  };

  const refused: readonly (readonly [string, readonly number[]])[] = [
    ['MAP_POPULATE', [SYS_mmap, PLACE, PAGE, 1, replacing | MAP_POPULATE]],
    ['MAP_LOCKED', [SYS_mmap, PLACE, PAGE, 1, replacing | 0x2000]],
    ['MAP_HUGETLB', [SYS_mmap, PLACE, PAGE, 1, replacing | 0x40000]],
    ['MAP_GROWSDOWN', [SYS_mmap, PLACE, PAGE, 1, replacing | 0x100]],
    ['shared anonymous memory', [SYS_mmap, PLACE, PAGE, 3, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED]],
    ['a place of the host kernel’s choice', [SYS_mmap, 0, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS]],
    ['mmap of more than a piece', [SYS_mmap, PLACE, more, 1, replacing | MAP_NORESERVE]],
    ['mmap of 4 PiB', [SYS_mmap, PLACE, 2 ** 52, 1, replacing]],
    ['munmap of more than a piece', [SYS_munmap, PLACE, more]],
    ['munmap of a piece and 4 GiB', [SYS_munmap, PLACE, 2 ** 32 + PAGE]],
    ['mprotect of more than a piece', [SYS_mprotect, PLACE, more, 1]],
    ['mremap of more than a piece', [SYS_mremap, PLACE, more, more, 3]],
    ['mremap to more than a piece', [SYS_mremap, PLACE, PAGE, more, 3]],
    ['MREMAP_DONTUNMAP', [SYS_mremap, PLACE, PAGE, PAGE, 5]],
    ['madvise of more than a piece', [SYS_madvise, PLACE, more, MADV_DONTNEED]],
    ['MADV_WILLNEED', [SYS_madvise, PLACE, PAGE, MADV_WILLNEED]],
    ['MADV_POPULATE_READ', [SYS_madvise, PLACE, PAGE, MADV_POPULATE_READ]],
    ['MADV_POPULATE_WRITE', [SYS_madvise, PLACE, PAGE, MADV_POPULATE_WRITE]],
    ['MADV_COLLAPSE', [SYS_madvise, PLACE, PAGE, MADV_COLLAPSE]],
  ];

  it.each(refused)('does not get %s', (_, call) => {
    expect(stoppedBy(call)).toBe(call[0]);
  });

  it('may map much where nothing is, and nothing where something is', () => {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    const result = (addr: number): number => {
      const { space, syscall } = throughStub([SYS_mmap, addr, 2 ** 40, 1, flags, -1]);
      space.destroy();
      expect(syscall[0]).toBe(500);
      return (syscall[2] as number) + (syscall[3] as number) * 2 ** 32;
    };
    expect(result(PLACE)).toBe(PLACE);
    expect(result(CODE)).toBe(2 ** 64 - 17); // -EEXIST
  });
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { EACCES, EEXIST, EFAULT, EINVAL, ENODEV, ENOMEM, EPERM } from '../../abi/errno.ts';
import { O_RDONLY, O_RDWR } from '../../abi/fcntl.ts';
import {
  MADV_DONTFORK,
  MADV_WIPEONFORK,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { RLIMIT_AS } from '../../abi/resource.ts';
import { SIGSEGV } from '../../abi/signal.ts';
import {
  FakeAddressSpace,
  fakeOutcome,
  fakeThread,
} from '../../test/support/fake-address-space.ts';
import { FakeFile } from '../../test/support/fake-file.ts';
import { begin } from '../base/wait.ts';
import { moveBreak } from './brk.ts';
import { adviseMemory } from './madvise.ts';
import { type MemoryCaller, MemoryManager } from './memory-manager.ts';
import { remapMemory } from './mremap.ts';

const RW = PROT_READ | PROT_WRITE;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;
const TOP = 0x7f00_0000_0000;
const BASE = 0x7e00_0000_0000;
const BOUNDS = { guestTop: TOP, mmapBase: BASE, bottomUpBase: 0x2000_0000_0000, isBottomUp: false };

/** Calls with few mappings answer at once. */
const mmapNow = (mm: MemoryManager, ...args: Parameters<MemoryManager['mmap']>): number =>
  mm.mmap(...args) as number;
const munmapNow = (mm: MemoryManager, ...args: Parameters<MemoryManager['munmap']>): number =>
  mm.munmap(...args) as number;

function setUp(limits: ReadonlyMap<number, number> = new Map()) {
  const space = new FakeAddressSpace();
  const source = { newSharedMemory: () => ENODEV, newMemfd: () => ENODEV };
  const mm = new MemoryManager(space, BOUNDS, source);
  const caller = {
    thread: fakeThread(space),
    credentials: { effective: { lo: 0, hi: 0 } },
    group: {
      limits: { soft: (resource: number) => limits.get(resource) ?? Infinity },
      personality: 0,
    },
  } as unknown as MemoryCaller;
  return { space, mm, caller };
}

const page = (count: number): number => count * PAGE_SIZE;

describe('MemoryManager over random calls', () => {
  it('keeps VMAs, host pages and accounts alike over random calls', () => {
    const { space, mm, caller } = setUp();
    const model = new Map<number, number>();
    const first = 0x1000_0000;
    let state = 42;
    const next = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let step = 0; step < 1500; step += 1) {
      const start = next(200);
      const count = 1 + next(12);
      const addr = first + page(start);
      const prot = [PROT_NONE, PROT_READ, RW][next(3)] as number;
      const pages = Array.from({ length: count }, (_, i) => start + i);
      switch (next(4)) {
        case 0:
          expect(mmapNow(mm, caller, addr, page(count), prot, ANON | MAP_FIXED, undefined, 0)).toBe(
            addr,
          );
          for (const p of pages) model.set(p, prot);
          break;
        case 1:
          expect(munmapNow(mm, caller, addr, page(count))).toBe(0);
          for (const p of pages) model.delete(p);
          break;
        case 2: {
          const mapped = pages.findIndex((p) => !model.has(p));
          expect(mm.mprotect(caller, addr, page(count), prot)).toBe(mapped < 0 ? 0 : ENOMEM);
          for (const p of mapped < 0 ? pages : pages.slice(0, mapped)) model.set(p, prot);
          break;
        }
        default: {
          const free = pages.every((p) => !model.has(p));
          const got = mmapNow(
            mm,
            caller,
            addr,
            page(count),
            prot,
            ANON | MAP_FIXED_NOREPLACE,
            undefined,
            0,
          );
          expect(got).toBe(free ? addr : EEXIST);
          if (free) for (const p of pages) model.set(p, prot);
        }
      }
      const vmas = [...mm.map.vmas];
      const seen = new Map<number, number>();
      for (const vma of vmas) {
        for (let at = vma.start; at < vma.end; at += PAGE_SIZE)
          seen.set((at - first) / PAGE_SIZE, vma.prot);
      }
      expect(seen.size).toBe(model.size);
      const wrong = [...model].filter(
        ([p, want]) => seen.get(p) !== want || space.pages.get(first + page(p))?.prot !== want,
      );
      expect(wrong).toEqual([]);
      expect(space.pages.size).toBe(model.size);
      expect(mm.map.totalBytes).toBe(page(model.size));
      const split = vmas.filter((vma, i) => vmas[i - 1]?.continuesIn(vma) === true);
      expect(split).toEqual([]);
    }
  });
});

describe('MemoryManager places', () => {
  it('places mappings downwards from the base and honours free hints', () => {
    const { mm, caller } = setUp();
    const a = mmapNow(mm, caller, 0, page(3), RW, ANON, undefined, 0);
    const b = mmapNow(mm, caller, 0, page(1), RW, ANON, undefined, 0);
    expect(a).toBe(BASE - page(3));
    expect(b).toBe(a - page(1));
    expect(mmapNow(mm, caller, 0x2000_0123, page(1), RW, ANON, undefined, 0)).toBe(0x2000_0000);
    expect(mmapNow(mm, caller, 0x2000_0000, page(1), RW, ANON, undefined, 0)).toBe(b - page(1));
    expect(mmapNow(mm, caller, 0, 0, RW, ANON, undefined, 0)).toBe(EINVAL);
    expect(mmapNow(mm, caller, 0x1000, page(1), RW, ANON | MAP_FIXED, undefined, 0)).toBe(EPERM);
    expect(mmapNow(mm, caller, TOP, page(1), RW, ANON | MAP_FIXED, undefined, 0)).toBe(ENOMEM);
    expect(mmapNow(mm, caller, 0, 2 ** 60, RW, ANON, undefined, 0)).toBe(ENOMEM);
  });

  it('does not hand out what another thread is still unmapping', () => {
    const { mm, caller, space } = setUp();
    const other = { ...caller, thread: fakeThread(space) };
    const a = mmapNow(mm, caller, 0, page(4), RW, ANON, undefined, 0);
    munmapNow(mm, caller, a, page(4));
    expect(mmapNow(mm, other, 0, page(1), RW, ANON, undefined, 0)).toBe(a - page(1));
    expect(mmapNow(mm, caller, 0, page(4), RW, ANON, undefined, 0)).toBe(a);
  });

  it('never lets a shared mapping of a read-only file become writable', () => {
    const { mm, caller, space } = setUp();
    const file = new FakeFile(new Uint8Array(page(2)), O_RDONLY, 5);
    file.acquire();
    expect(mmapNow(mm, caller, 0, page(2), RW, MAP_SHARED, file, 0)).toBe(EACCES);
    const addr = mmapNow(mm, caller, 0, page(2), PROT_READ, MAP_SHARED, file, 0);
    expect(file.askedWritable).toBe(false);
    expect(mm.mprotect(caller, addr, page(1), RW)).toBe(EACCES);
    const open = new FakeFile(new Uint8Array(page(2)), O_RDWR, 6);
    const shared = mmapNow(mm, caller, 0, page(2), PROT_READ, MAP_SHARED, open, 0);
    expect(open.askedWritable).toBe(true);
    expect(mm.mprotect(caller, shared + page(1), page(1), RW)).toBe(0);
    expect(mm.sharedKey(shared + page(1) + 8)).toBe('1.6.4104');
    munmapNow(mm, caller, addr, page(1));
    file.release();
    expect(file.closed).toBe(false);
    munmapNow(mm, caller, addr, page(2));
    expect(file.closed).toBe(true);
    expect(mm.release()).toBe(true);
    expect(open.closed).toBe(true);
    expect(space.destroyed).toBe(true);
  });
});

describe('MemoryManager', () => {
  it('moves the break and stops at neighbours and limits', () => {
    const { mm, caller } = setUp(new Map([[RLIMIT_AS, page(100)]]));
    mm.image.startBrk = 0x5000_0000;
    mm.programBreak.end = 0x5000_0000;
    expect(moveBreak(mm, caller, 0)).toBe(0x5000_0000);
    expect(moveBreak(mm, caller, 0x5000_1234)).toBe(0x5000_1234);
    expect(mm.vmaAt(0x5000_1fff)?.bytes).toBe(page(2));
    expect(moveBreak(mm, caller, 0x5000_0010)).toBe(0x5000_0010);
    expect(mm.vmaAt(0x5000_0000)?.bytes).toBe(page(1));
    mmapNow(mm, caller, 0x5000_8000, page(1), RW, ANON | MAP_FIXED, undefined, 0);
    expect(moveBreak(mm, caller, 0x5000_8000)).toBe(0x5000_0010);
    expect(mmapNow(mm, caller, 0, page(99), RW, ANON, undefined, 0)).toBe(ENOMEM);
    expect(mmapNow(mm, caller, 0, page(98), RW, ANON, undefined, 0)).toBeGreaterThan(0);
  });
});

describe('MemoryManager and the host', () => {
  it('repairs the VMAs when the host refuses', () => {
    const { mm, caller, space } = setUp();
    const addr = mmapNow(mm, caller, 0, page(4), RW, ANON, undefined, 0);
    space.failing = { kind: 'protect', errno: ENOMEM };
    expect(mm.mprotect(caller, addr + page(1), page(1), PROT_READ)).toBe(0);
    const failed = fakeOutcome('operationFailed', { addr: addr + page(1), errno: ENOMEM });
    expect(mm.operationFailed(failed, caller.thread)).toBe(ENOMEM);
    expect(mm.vmaAt(addr)).toMatchObject({ start: addr, end: addr + page(4), prot: RW });
    space.failing = { kind: 'mapAnonymous', errno: ENOMEM };
    const refused = mmapNow(mm, caller, 0, page(4), RW, ANON, undefined, 0);
    mm.operationFailed(
      fakeOutcome('operationFailed', { addr: refused, errno: ENOMEM }),
      caller.thread,
    );
    expect(mm.vmaAt(refused)).toBeUndefined();
    mm.image.startBrk = 0x5000_0000;
    mm.programBreak.end = 0x5000_0000;
    moveBreak(mm, caller, 0x5000_2000);
    const heap = fakeOutcome('operationFailed', { addr: 0x5000_0000, errno: ENOMEM });
    expect(mm.operationFailed(heap, caller.thread)).toBe(0x5000_0000);
    expect(moveBreak(mm, caller, 0)).toBe(0x5000_0000);
  });

  it('grows stacks on faults, and only stacks', () => {
    const { mm, caller } = setUp();
    const addr = mmapNow(
      mm,
      caller,
      0x4000_0000,
      page(2),
      RW,
      ANON | MAP_GROWSDOWN | MAP_FIXED,
      undefined,
      0,
    );
    const at = (a: number) => fakeOutcome('fault', { signal: SIGSEGV, trapNumber: 14, addr: a });
    expect(mm.fault(at(addr - 8), caller)).toBe(true);
    expect(mm.vmaAt(addr)).toMatchObject({ start: addr - page(1), end: addr + page(2) });
    expect(mm.fault(at(addr + page(2)), caller)).toBe(false);
    expect(mm.fault(at(addr), caller)).toBe(false);
  });

  it('leaves out of a fork what must not be inherited', () => {
    const { mm, caller } = setUp();
    const addr = mmapNow(mm, caller, 0x4000_0000, page(3), RW, ANON | MAP_FIXED, undefined, 0);
    const clock = { monotonicNs: () => 0 };
    const advise = (start: number, advice: number) =>
      begin(adviseMemory(mm, caller, clock, { addr: start, length: page(1), advice }));
    expect(advise(addr, MADV_DONTFORK)).toBe(0);
    expect(advise(addr + page(1), MADV_WIPEONFORK)).toBe(0);
    const space = new FakeAddressSpace();
    const child = mm.fork(space, fakeThread(space));
    expect(space.log.map((o) => `${o.kind} ${(o.addr - addr) / PAGE_SIZE}`)).toEqual([
      'unmap 0',
      'mapAnonymous 1',
    ]);
    expect(child.map.totalBytes).toBe(page(2));
    expect(child.id).not.toBe(mm.id);
  });
});

describe('remapMemory', () => {
  it('grows in place, moves, shrinks and refuses as Linux does', () => {
    const { mm, caller, space } = setUp();
    const a = 0x4000_0000;
    mmapNow(mm, caller, a, page(2), RW, ANON | MAP_FIXED, undefined, 0);
    space.write(a, Uint8Array.of(7), 1);
    expect(remapMemory(mm, caller, a, page(2), page(4), 0, 0)).toBe(a);
    mmapNow(mm, caller, a + page(4), page(1), PROT_READ, ANON | MAP_FIXED, undefined, 0);
    expect(remapMemory(mm, caller, a, page(4), page(5), 0, 0)).toBe(ENOMEM);
    const moved = remapMemory(mm, caller, a, page(4), page(5), MREMAP_MAYMOVE, 0);
    expect(moved).toBe(BASE - page(5));
    const byte = new Uint8Array(1);
    expect(mm.memory.read(moved, byte)).toBe(0);
    expect(byte[0]).toBe(7);
    expect(mm.vmaAt(a)).toBeUndefined();
    expect(remapMemory(mm, caller, moved, page(5), page(1), 0, 0)).toBe(moved);
    expect(remapMemory(mm, caller, moved, page(2), page(3), MREMAP_MAYMOVE, 0)).toBe(EFAULT);
    expect(remapMemory(mm, caller, moved, page(1), page(1), MREMAP_FIXED, a)).toBe(EINVAL);
    expect(
      remapMemory(mm, caller, moved, page(1), page(1), MREMAP_MAYMOVE | MREMAP_FIXED, moved),
    ).toBe(EINVAL);
    const fixed = remapMemory(
      mm,
      caller,
      moved,
      page(1),
      page(2),
      MREMAP_MAYMOVE | MREMAP_FIXED,
      a,
    );
    expect(fixed).toBe(a);
    const kept = remapMemory(mm, caller, a, page(2), page(2), MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    expect(mm.vmaAt(a)?.bytes).toBe(page(2));
    mm.memory.read(a, byte);
    expect(byte[0]).toBe(0);
    mm.memory.read(kept, byte);
    expect(byte[0]).toBe(7);
  });
});

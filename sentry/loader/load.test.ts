// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as at from '../../abi/auxv.ts';
import { elfHeader, PT_LOAD, programHeader } from '../../abi/elf.ts';
import {
  E2BIG,
  EINVAL,
  EIO,
  ELIBBAD,
  ELOOP,
  ENODEV,
  ENOENT,
  ENOEXEC,
  ENOMEM,
  type Errno,
  isErrno,
} from '../../abi/errno.ts';
import { O_RDONLY } from '../../abi/fcntl.ts';
import { FakeAddressSpace, fakeThread } from '../../test/support/fake-address-space.ts';
import { FakeFile } from '../../test/support/fake-file.ts';
import { getRegister, REG } from '../platform/guest-thread.ts';
import type { Credentials } from '../vfs/credentials.ts';
import { parseElf } from './elf.ts';
import { parseInterpreterLine } from './interpreter-script.ts';
import { type LoadRequest, loadProgram } from './load.ts';
import { PackedStrings } from './packed-strings.ts';

const TOP = 0x7f00_0000_0000;

function load(
  contentsOf: Record<string, Uint8Array>,
  path: string,
  argv: string[],
  changes: Partial<LoadRequest> = {},
) {
  const space = new FakeAddressSpace();
  const opened: FakeFile[] = [];
  const open = (name: string) => {
    const contents = contentsOf[name];
    if (contents === undefined) return ENOENT;
    const file = new FakeFile(contents, O_RDONLY, 100 + opened.length);
    space.files.set(file.ino, contents);
    opened.push(file);
    return file;
  };
  const file = open(path) as FakeFile;
  file.acquire();
  const thread = fakeThread(space);
  const image = loadProgram({
    file,
    path,
    argv: PackedStrings.of(argv),
    envp: PackedStrings.of(['A=1', 'B=two']),
    fresh: { space, thread },
    guestTop: TOP,
    limits: { soft: () => 8 * 1024 * 1024 },
    sharedMemory: { newSharedMemory: () => ENODEV, newMemfd: () => ENODEV },
    vdso: undefined,
    cpu: { hwcap: 0x1f8bfbff, hwcap2: 2 },
    personality: 0,
    randomFill: (bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    open,
    identify: () => ({
      credentials: { uid: 1, euid: 2, gid: 3, egid: 4 } as Credentials,
      secure: true,
      unreadable: false,
    }),
    ...changes,
  });
  file.release();
  return { image, space, thread, opened };
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const host = (path: string): Uint8Array => new Uint8Array(readFileSync(path));

const linker = '/lib64/ld-linux-x86-64.so.2';
const files = {
  '/bin/true': host('/bin/true'),
  [linker]: host(linker),
  '/script': text('#! /bin/true  -x y \nrest'),
};

describe('loadProgram', () => {
  it('loads a PIE with its interpreter and builds the stack', () => {
    const { image, space, thread, opened } = load(files, '/bin/true', ['true', 'arg']);
    if (isErrno(image)) throw new Error(`errno ${image}`);
    const { mm } = image;
    const registers = thread.registers();
    const sp = getRegister(registers, REG.rsp);
    expect(sp % 16).toBe(0);
    const words = (addr: number) => {
      const bytes = new Uint8Array(8);
      expect(mm.memory.read(addr, bytes)).toBe(0);
      return Number(new DataView(bytes.buffer).getBigUint64(0, true));
    };
    expect(words(sp)).toBe(2);
    expect(mm.memory.string(words(sp + 8), 100)).toBe('true');
    expect(mm.memory.string(words(sp + 16), 100)).toBe('arg');
    expect(words(sp + 24)).toBe(0);
    expect(mm.memory.string(words(sp + 40), 100)).toBe('B=two');
    const auxv = new Map<number, number>();
    for (let p = sp + 56; words(p) !== 0; p += 16) auxv.set(words(p), words(p + 8));
    expect(mm.memory.string(auxv.get(at.AT_EXECFN)!, 100)).toBe('/bin/true');
    expect(auxv.get(at.AT_EGID)).toBe(4);
    expect(auxv.get(at.AT_SECURE)).toBe(1);
    const base = auxv.get(at.AT_BASE)!;
    expect(base % 4096).toBe(0);
    const magic = new Uint8Array(4);
    mm.memory.read(base, magic);
    expect([...magic]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
    const rip = getRegister(registers, REG.rip);
    expect(mm.vmaAt(rip)?.backing?.file).toBe(opened[1]);
    expect(mm.vmaAt(auxv.get(at.AT_ENTRY)!)?.backing?.file).toBe(opened[0]);
    expect(words(mm.image.argStart)).not.toBe(0);
    expect(mm.executable).toBe(opened[0]);
    mm.release();
    expect(opened.every((file) => file.closed)).toBe(true);
    expect(space.destroyed).toBe(true);
  });
});

describe('loadProgram of what is no ELF file', () => {
  it('runs scripts through their interpreter with one argument', () => {
    const { image, thread } = load(files, '/script', ['ignored', 'a']);
    if (isErrno(image)) throw new Error(`errno ${image}`);
    const { argStart, argEnd } = image.mm.image;
    const bytes = new Uint8Array(argEnd - argStart);
    image.mm.memory.read(argStart, bytes);
    expect(new TextDecoder().decode(bytes)).toBe('/bin/true\0-x y\0/script\0a\0');
    expect(getRegister(thread.registers(), REG.eflags)).toBe(0x202);
  });

  it('answers what Linux answers for what cannot run, and keeps no file', () => {
    const cases: [Record<string, Uint8Array>, Errno][] = [
      [{ '/x': text('') }, ENOEXEC],
      [{ '/x': text('hello\n') }, ENOEXEC],
      [{ '/x': text('#!\n') }, ENOEXEC],
      [{ '/x': text('#!/nowhere\n') }, ENOENT],
      [{ '/x': text('#!/x\n') }, ELOOP],
      [{ '/x': host('/bin/true') }, ENOENT],
      [{ '/x': host('/bin/true'), [linker]: text('no linker') }, ELIBBAD],
      [{ '/x': host('/bin/true').subarray(0, 100) }, EIO],
    ];
    for (const [contents, errno] of cases) {
      const { image, opened } = load(contents, '/x', ['x']);
      expect(image).toBe(errno);
      expect(opened.every((file) => file.closed)).toBe(true);
    }
    expect(load(files, '/bin/true', ['x'.repeat(131_072)]).image).toBe(E2BIG);
    expect(load(files, '/bin/true', new Array(30).fill('x'.repeat(100_000))).image).toBe(E2BIG);
  });
});

describe('parseElf', () => {
  const good = host('/bin/true');
  const phoff = 64;
  const parse = (damage: (view: DataView) => void) => {
    const bytes = good.slice();
    const view = new DataView(bytes.buffer);
    damage(view);
    return parseElf(
      bytes.subarray(0, 256),
      (position, dst) => {
        const part = bytes.subarray(position, position + dst.length);
        dst.set(part);
        return part.length;
      },
      TOP,
    );
  };
  /** Changes the first PT_LOAD. */
  const segment = (change: (view: DataView, at: number) => void) =>
    parse((view) => {
      let p = phoff;
      while (view.getUint32(p, true) !== PT_LOAD) p += programHeader.size;
      change(view, p);
    });
  const big = 0xffff_ffff_ffff_f000n;

  it('takes a good file and refuses hostile headers', () => {
    expect(isErrno(parse(() => undefined))).toBe(false);
    expect(parse((v) => v.setUint16(elfHeader.machine, 3, true))).toBe(ENOEXEC);
    expect(parse((v) => v.setUint16(elfHeader.type, 1, true))).toBe(ENOEXEC);
    expect(parse((v) => v.setUint8(4, 1))).toBe(ENOEXEC);
    expect(parse((v) => v.setUint16(elfHeader.phnum, 0, true))).toBe(ENOEXEC);
    expect(parse((v) => v.setUint16(elfHeader.phnum, 0xffff, true))).toBe(ENOEXEC);
    expect(parse((v) => v.setBigUint64(elfHeader.phoff, big, true))).toBe(ENOEXEC);
    expect(parse((v) => v.setBigUint64(elfHeader.phoff, 1n << 40n, true))).toBe(EIO);
    expect(parse((v) => v.setBigUint64(elfHeader.entry, big, true))).toBe(EINVAL);
    expect(segment((v, p) => v.setBigUint64(p + programHeader.vaddr, big, true))).toBe(ENOMEM);
    expect(segment((v, p) => v.setBigUint64(p + programHeader.memsz, big, true))).toBe(ENOMEM);
    expect(segment((v, p) => v.setBigUint64(p + programHeader.filesz, big, true))).toBe(EINVAL);
    expect(segment((v, p) => v.setBigUint64(p + programHeader.memsz, 1n, true))).toBe(EINVAL);
    expect(segment((v, p) => v.setBigUint64(p + programHeader.offset, 8n, true))).toBe(EINVAL);
    expect(segment((v, p) => v.setBigUint64(p + programHeader.vaddr, 0x100_0000n, true))).toBe(
      EINVAL,
    );
  });

  it('survives any header at all', () => {
    for (let round = 0; round < 500; round += 1) {
      const result = parse((view) => {
        for (let i = 0; i < 20; i += 1) {
          view.setUint8(16 + Math.floor(Math.random() * 800), Math.floor(Math.random() * 256));
        }
      });
      if (isErrno(result)) expect(result).toBeLessThan(0);
      else expect(result.high).toBeLessThanOrEqual(TOP);
    }
  });
});

describe('parseInterpreterLine', () => {
  it('takes one path and one argument', () => {
    expect(parseInterpreterLine(text('#!/bin/sh'))).toEqual({
      path: '/bin/sh',
      argument: undefined,
    });
    expect(parseInterpreterLine(text('#!\t/bin/sh -e -x \n'))).toEqual({
      path: '/bin/sh',
      argument: '-e -x',
    });
    expect(parseInterpreterLine(text('#!   \n'))).toBe(ENOEXEC);
    expect(parseInterpreterLine(text(`#!/${'x'.repeat(254)}`))).toBe(ENOEXEC);
    expect(parseInterpreterLine(text(`#!/bin/sh ${'x'.repeat(300)}`))).toMatchObject({
      path: '/bin/sh',
    });
  });
});

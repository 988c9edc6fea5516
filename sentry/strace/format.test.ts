import { describe, expect, it } from 'vitest';
import {
  EFAULT,
  ENAMETOOLONG,
  ENOENT,
  ERESTARTSYS,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import { type ArgumentKind, absent, type Row } from '../syscalls/entry.ts';
import { formatCall, formatExit, formatResult } from './format.ts';
import { printers } from './printers.ts';

const BASE = 0x1000;

/** One page of guest memory at BASE. */
function memoryOf(text: string): GuestMemory {
  const page = Buffer.alloc(4096);
  page.write(text, 'latin1');
  const readSome = (at: number, dst: Uint8Array): SysResult => {
    const from = at - BASE;
    if (!(from >= 0 && from < page.length)) return EFAULT;
    const part = page.subarray(from, from + dst.length);
    dst.set(part);
    return part.length;
  };
  const view = (at: number, length: number): Result<DataView> => {
    const bytes = new Uint8Array(length);
    return readSome(at, bytes) === length ? new DataView(bytes.buffer) : EFAULT;
  };
  const string = (at: number, limit: number): Result<string> => {
    const bytes = new Uint8Array(limit + 1);
    const got = readSome(at, bytes);
    if (isErrno(got)) return EFAULT;
    const end = bytes.subarray(0, got).indexOf(0);
    return end < 0 ? ENAMETOOLONG : Buffer.from(bytes.subarray(0, end)).toString('latin1');
  };
  return {
    readSome,
    view,
    string,
    path: (at: number) => string(at, 4095),
  } as unknown as GuestMemory;
}

function argsOf(...values: readonly number[]): SyscallArgs {
  const words = new Uint32Array(14);
  values.forEach((value, index) => {
    words[2 * index + 2] = value >>> 0;
    words[2 * index + 3] = value < 0 ? 0xffff_ffff : Math.floor(value / 0x1_0000_0000);
  });
  return new SyscallArgs(words);
}

const row = (name: string, ...args: readonly ArgumentKind[]): Row => absent(0, name, args);
const task = { tid: 2 };

describe('formatCall', () => {
  it('prints as strace does', () => {
    const openat = row('openat', 'dirfd', 'path', 'openFlags', 'mode');
    const args = argsOf(-100, BASE, 0o2000102, 0o644);
    expect(formatCall(task, openat, args, memoryOf('/etc/pass"wd\n'))).toBe(
      '[    2] openat(AT_FDCWD, "/etc/pass\\"wd\\n", O_RDWR|O_CREAT|O_CLOEXEC, 0644)',
    );
  });

  it('cuts and escapes buffers', () => {
    const write = row('write', 'fd', 'inBuffer', 'len');
    const text = `\x00\x011${'x'.repeat(50)}`;
    expect(formatCall(task, write, argsOf(1, BASE, 53), memoryOf(text))).toBe(
      `[    2] write(1, "\\0\\0011${'x'.repeat(29)}"..., 53)`,
    );
  });

  it('prints pointers that cannot be read as numbers, whatever the kind', () => {
    const wild = 0xffff_8000_0000_0000;
    for (const kind of Object.keys(printers) as ArgumentKind[]) {
      for (const value of [0, wild, 0xffff_ffff, -1, BASE + 4095]) {
        const args = argsOf(value, value, value, value, value, value);
        for (let index = 0; index < 6; index++) {
          expect(typeof printers[kind](args, index, memoryOf('x'))).toBe('string');
        }
      }
    }
    expect(formatCall(task, row('chdir', 'path'), argsOf(wild), memoryOf(''))).toBe(
      '[    2] chdir(0xffff800000000000)',
    );
  });

  it('prints flag words with the widest names first', () => {
    const flags = (kind: ArgumentKind, value: number): string =>
      printers[kind](argsOf(value), 0, memoryOf(''));
    expect(flags('openFlags', 0o4010001)).toBe('O_WRONLY|O_SYNC');
    expect(flags('cloneFlags', 0x1200011)).toBe('CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD');
    expect(flags('mapFlags', 0x22)).toBe('MAP_PRIVATE|MAP_ANONYMOUS');
    expect(flags('prot', 0)).toBe('PROT_NONE');
    expect(flags('futexOp', 0x89)).toBe('FUTEX_WAIT_BITSET|FUTEX_PRIVATE_FLAG');
    expect(flags('waitOptions', 0x80000001)).toContain('WNOHANG');
    expect(flags('ioctl', 0x5413)).toBe('TIOCGWINSZ');
    expect(flags('fcntl', 1030)).toBe('F_DUPFD_CLOEXEC');
  });
});

describe('formatResult', () => {
  it('names errors and restarts, and prints addresses in hexadecimal', () => {
    expect(formatResult(row('open'), ENOENT)).toBe(' = -1 ENOENT');
    expect(formatResult(row('read'), ERESTARTSYS)).toBe(' = ? ERESTARTSYS');
    expect(formatResult(row('mmap'), 0x7f00_0000_1000)).toBe(' = 0x7f0000001000');
    expect(formatResult(row('read'), 5)).toBe(' = 5');
  });
});

describe('formatExit', () => {
  it('tells exit codes from signals', () => {
    expect(formatExit(task, 3 << 8)).toBe('[    2] +++ exited with 3 +++');
    expect(formatExit(task, 11)).toBe('[    2] +++ killed by SIGSEGV +++');
  });
});

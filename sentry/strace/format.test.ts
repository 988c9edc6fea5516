// SPDX-License-Identifier: Apache-2.0
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
import { CLD_KILLED, SI_USER, SIGCHLD, SIGTERM } from '../../abi/signal.ts';
import { SyscallArgs } from '../kernel/syscall-args.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import { type ArgumentKind, absent, type Row } from '../syscalls/entry.ts';
import { table } from '../syscalls/table-x86-64.ts';
import { parseFilter } from './filter.ts';
import { TraceLines, type TraceTimes } from './lines.ts';
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
const noTimes: TraceTimes = { relative: false, absolute: false, spent: false };
const all = { wants: () => true, signals: true };
const signalMask = { lo: 0, hi: 0 };

/** The text of one call, without the task's number. */
function traced(of: Row, args: SyscallArgs, answer: SysResult, text = ''): string {
  let out = '';
  const lines = new TraceLines(
    (part) => (out += part),
    () => 0,
    { filter: all, times: noTimes },
  );
  const task = { tid: 2, args, memory: memoryOf(text), signalMask };
  lines.entered(task, of);
  lines.left(task, answer);
  return out.replace(/^2 {5}/, '').replace(/\n$/, '');
}

describe('a call', () => {
  it('is printed as strace does', () => {
    const openat = row('openat', 'dirfd', 'path', 'openFlags', 'mode');
    const args = argsOf(-100, BASE, 0o2000102, 0o644);
    expect(traced(openat, args, 3, '/etc/pass"wd\n')).toBe(
      'openat(AT_FDCWD, "/etc/pass\\"wd\\n", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3',
    );
    expect(traced(row('access', 'path', 'mode'), argsOf(BASE, 4), ENOENT, '/x')).toBe(
      'access("/x", R_OK)                = -1 ENOENT (No such file or directory)',
    );
  });

  it('has buffers cut and escaped', () => {
    const write = row('write', 'fd', 'inBuffer', 'len');
    const text = `\x00\x011${'x'.repeat(50)}`;
    expect(traced(write, argsOf(1, BASE, 53), 53, text)).toBe(
      `write(1, "\\0\\0011${'x'.repeat(29)}"..., 53) = 53`,
    );
  });

  it('shows what the kernel filled in, and its address where it failed', () => {
    const read = row('read', 'fd', 'outBuffer', 'len');
    expect(traced(read, argsOf(3, BASE, 100), 4, 'contents')).toMatch(
      /^read\(3, "cont", 100\) += 4$/,
    );
    expect(traced(read, argsOf(3, BASE, 100), ERESTARTSYS)).toMatch(
      /^read\(3, 0x1000, 100\) += \? ERESTARTSYS \(To be/,
    );
  });

  it('has its result named, an address in hexadecimal', () => {
    expect(traced(row('mmap'), argsOf(0, 1, 0, 0, 0, 0), 0x7f00_0000_1000)).toMatch(
      / = 0x7f0000001000$/,
    );
    expect(traced(row('umask', 'mode'), argsOf(0o27), 0o22)).toMatch(/^umask\(027\) += 022$/);
    expect(traced(row('open'), argsOf(0, 0), ENOENT)).toMatch(
      /^open\(NULL, O_RDONLY\) += -1 ENOENT/,
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
    expect(traced(row('chdir', 'path'), argsOf(wild), EFAULT)).toMatch(
      /^chdir\(0xffff800000000000\) /,
    );
  });

  it('survives whatever a guest passes, at every call, with every result', () => {
    for (const of of table) {
      if (of === undefined) continue;
      for (const value of [0, 1, 0xffff_8000_0000_0000, 0xffff_ffff, -1, BASE, BASE + 4090]) {
        const args = argsOf(value, value, value, value, value, value);
        for (const answer of [0, 1, 5000, EFAULT, ERESTARTSYS, Number.NaN])
          expect(traced(of, args, answer, '\xff'.repeat(200))).toMatch(/ = /);
      }
    }
  });

  it('prints flag words with the widest names first', () => {
    const flags = (kind: ArgumentKind, value: number): string =>
      printers[kind](argsOf(value), 0, memoryOf(''));
    expect(flags('openFlags', 0o4010001)).toBe('O_WRONLY|O_SYNC');
    expect(flags('cloneFlags', 0x1200011)).toBe('CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD');
    expect(flags('mapFlags', 0x22)).toBe('MAP_PRIVATE|MAP_ANONYMOUS');
    expect(flags('prot', 0)).toBe('PROT_NONE');
    expect(flags('futexOp', 0x89)).toBe('FUTEX_WAIT_BITSET_PRIVATE');
    expect(flags('waitOptions', 0x80000001)).toContain('WNOHANG');
    expect(flags('ioctl', 0x5413)).toBe('TIOCGWINSZ');
    expect(flags('fcntl', 1030)).toBe('F_DUPFD_CLOEXEC');
  });
});

describe('lines of several tasks', () => {
  const pause = row('pause');
  const read = row('read', 'fd', 'outBuffer', 'len');
  const task = (tid: number, ...values: number[]) => ({
    tid,
    args: argsOf(...values),
    memory: memoryOf('data'),
    signalMask,
  });
  function trace(
    times: TraceTimes,
    act: (lines: TraceLines<ReturnType<typeof task>>) => void,
  ): string {
    let out = '';
    let nowNs = 1_000_000_000;
    const tick = () => (nowNs += 500_000);
    act(new TraceLines((part) => (out += part), tick, { filter: all, times }));
    return out;
  }

  it('are cut and resumed', () => {
    const [one, two] = [task(2, 3, BASE, 4), task(3)];
    const out = trace(noTimes, (lines) => {
      lines.entered(one, read);
      lines.entered(two, pause);
      lines.left(one, 4);
      lines.signal(two, { signal: SIGTERM, code: SI_USER, pid: 2, uid: 0 });
      lines.exited(two, SIGTERM);
      lines.signal(one, { signal: SIGCHLD, code: CLD_KILLED, pid: 3, uid: 5, status: SIGTERM });
      lines.exited(one, 7 << 8);
    });
    expect(out.replace(/ +=/g, ' =')).toBe(`2     read(3,  <unfinished ...>
3     pause( <unfinished ...>
2     <... read resumed>"data", 4) = 4
3     <... pause resumed>) = ?
3     --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=2, si_uid=0} ---
3     +++ killed by SIGTERM +++
2     --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=3, si_uid=5, si_status=SIGTERM, si_utime=0, si_stime=0} ---
2     +++ exited with 7 +++
`);
  });

  it('have times', () => {
    const one = task(2);
    const out = trace({ relative: true, absolute: true, spent: true }, (lines) => {
      lines.entered(one, pause);
      lines.left(one, 0);
    });
    expect(out.replace(/ +=/g, ' =')).toBe(
      '2     00:00:01.001500     0.001000 pause() = 0 <0.001000>\n',
    );
  });
});

describe('parseFilter', () => {
  const isCall = (name: string) => ['read', 'futex', 'openat'].includes(name);
  const shown = (words: string) => {
    const filter = parseFilter(words, isCall);
    if ('unknown' in filter) return filter.unknown;
    return ['read', 'futex', 'openat', 'socket'].filter(filter.wants).join(' ');
  };
  it.each([
    ['read', 'read'],
    ['!futex', 'read openat socket'],
    ['trace=file,network', 'openat socket'],
    ['%file,read', 'read openat'],
    ['desc,!read', 'openat'],
    ['none', ''],
    ['nosuch', 'nosuch'],
    ['read,!nosuch', '!nosuch'],
    ['', ''],
  ])('%s', (words, wanted) => {
    expect(shown(words)).toBe(wanted);
  });
});

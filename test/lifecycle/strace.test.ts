// SPDX-License-Identifier: Apache-2.0
// `--strace` against strace(1): both trace the same static program, and both texts are the same, but for
// what is another number in each run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runts } from './command.ts';

const directory = mkdtempSync(join(tmpdir(), 'runts-strace-'));
const program = join(directory, 'strace-calls');
afterAll(() => rmSync(directory, { recursive: true }));
beforeAll(() => {
  const source = join(import.meta.dirname, 'strace-calls.c');
  const compiled = spawnSync('gcc', ['-O1', '-static', '-w', '-o', program, source], {
    encoding: 'utf8',
  });
  expect(compiled.stderr).toBe('');
});

/**
 * The lines of each process from the program's first call of its own on, without the C library's. When
 * the lines of another process come between is chance, and so is when SIGCHLD comes: cut lines are
 * joined, and that signal comes last.
 */
function linesOf(file: string): string[] {
  const lines = joined(readFileSync(file, 'latin1').trimEnd().split('\n'));
  const first = lines.findIndex((line) => line.includes('access("/etc/passwd"'));
  const pids = [...new Set(lines.map(pidOf))];
  const shown = lines.slice(first).map((line) => normal(line, pids));
  const rank = (line: string): string =>
    `${pidOf(line)}${line.includes('--- SIGCHLD') ? 'z' : 'a'}`;
  return shown.toSorted((one, other) => rank(one).localeCompare(rank(other)));
}

function pidOf(line: string): string {
  return line.slice(0, line.indexOf(' '));
}

/** A line that was cut, with its end, in the place of its beginning. */
function joined(lines: readonly string[]): string[] {
  const whole: string[] = [];
  for (const line of lines) {
    const end = /<\.\.\. \w+ resumed>(.*)$/.exec(line)?.[1];
    const begun = whole.findLastIndex((each) => pidOf(each) === pidOf(line) && each.endsWith(cut));
    if (end === undefined || begun < 0) whole.push(line);
    else whole[begun] = `${whole[begun]?.slice(0, -cut.length)}${end}`;
  }
  return whole;
}

const cut = ' <unfinished ...>';

/** Where a number stands for a process. */
const processPlaces: readonly RegExp[] = [
  /(si_pid=)(\d+)/,
  /( t?g?kill\()(\d+)/,
  /( tgkill\(\w+, )(\d+)/,
  /( wait4\()(\d+)/,
  /( waitid\(P_PID, )(\d+)/,
  /( (?:getpid|gettid|fork)\(\) += )(\d+)/,
  /( wait4\(.* = )(\d+)$/,
];

/** Process numbers are told in the order of the processes. */
function normal(line: string, pids: readonly string[]): string {
  const nameOf = (pid: string): string => `P${pids.indexOf(pid)}`;
  let text = `${nameOf(pidOf(line))} ${line.slice(pidOf(line).length).trimStart()}`;
  for (const place of processPlaces)
    text = text.replace(place, (_, before: string, pid: string) => `${before}${nameOf(pid)}`);
  return text
    .replace(/ +=/g, ' =')
    .replace(/0x[0-9a-f]{6,}/g, 'ADDRESS')
    .replace(/tv_(sec|nsec|usec)=\d{3,}/g, 'tv_$1=N')
    .replace(/ru_(u|s)time=\{[^}]*\}/g, 'ru_$1time={}')
    .replace(/si_(u|s)time=\d+/g, 'si_$1time=N')
    .replace(/htons\([1-9]\d*\)/, 'htons(PORT)')
    .replace(/nodename="[^"]*"/, 'nodename="NAME"')
    .replace(/f_fsid=\{[^}]*\}/, 'f_fsid={}')
    .replace(/f_flags=[A-Z_|]+/, 'f_flags=FLAGS');
}

describe('a program with a hundred calls', () => {
  it('has the same trace as by strace(1)', async () => {
    const [native, ours] = [join(directory, 'native'), join(directory, 'ours')];
    spawnSync('strace', ['-f', '-o', native, program], { cwd: directory });
    const place = ['-v', directory, '-w', directory];
    const finished = await runts('do', `--strace=${ours}`, ...place, '--', program);
    expect(finished.code, finished.stderr).toBe(128 + 15);
    const wanted = linesOf(native);
    expect(wanted.length).toBeGreaterThan(100);
    expect(linesOf(ours)).toEqual(wanted);
  });
});

describe('options', () => {
  it('--strace-filter shows names and classes', async () => {
    const words = ['--strace=-', '--strace-filter=%file,exit_group,!execve'];
    const { stderr } = await runts('do', ...words, '--', program);
    const names = [...stderr.matchAll(/^\d+ +(\w+)\(/gm)].map((match) => match[1]);
    expect(names).toContain('openat');
    expect(names).not.toContain('read');
    expect(names).not.toContain('execve');
    expect(stderr).toMatch(/--- SIGUSR1 \{.*\} ---\n/);
  });

  it('--strace-times shows them', async () => {
    const words = ['--strace=-', '--strace-times=relative,spent', '--strace-filter=nanosleep'];
    const { stderr } = await runts('do', ...words, '--', program);
    expect(stderr).toMatch(
      /^2 +\d+\.\d{6} nanosleep\(\{tv_sec=0, tv_nsec=1000000\}, NULL\) = 0 <\d+\.\d{6}>$/m,
    );
  });

  it.each([
    [['--strace', '--strace-filter=nosuch'], /'nosuch' is no system call/],
    [['--strace', '--strace-times=often'], /'often' is not one of/],
    [['--strace-times=spent'], /want --strace/],
  ])('%j is refused', async (words, says) => {
    const finished = await runts(
      'do',
      ...words.map((word) => (word === '--strace' ? '--strace=-' : word)),
      'true',
    );
    expect(finished.code).toBe(125);
    expect(finished.stderr).toMatch(says);
  });
});

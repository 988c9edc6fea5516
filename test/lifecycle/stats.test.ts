// SPDX-License-Identifier: Apache-2.0
// `runts do --stats` and `--profile`: what is counted is right, where it goes, and what V8's profile becomes.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { plainSpec } from '../oci/support/spec.ts';
import { runts, start } from './command.ts';

const directory = mkdtempSync(join(tmpdir(), 'runts-stats-'));
afterAll(() => rmSync(directory, { recursive: true }));

const counted =
  'import os, time\nfor i in range(700): os.getppid()\nfor i in range(30):\n  try: os.stat("/none")\n  except OSError: pass\ntime.sleep(0.3)';

/** The words of the line of a call. */
function lineOf(text: string, call: string): string[] {
  const line = text.split('\n').find((each) => each.endsWith(`  ${call}`));
  return line?.trim().split(/ +/) ?? [];
}

function shares(text: string): number[] {
  const line = text.split('\n').find((each) => each.startsWith('wall time')) ?? '';
  return [...line.matchAll(/ ([\d.]+) %/g)].map(([, share]) => Number(share));
}

describe('--stats', () => {
  it('counts calls, errors, copies and the time with and without sleep', async () => {
    const { code, stdout, stderr } = await runts(
      'do',
      '--stats',
      '/usr/bin/python3',
      '-c',
      counted,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(Number(lineOf(stderr, 'getppid')[0])).toBe(700);
    const [, errors = 0] = lineOf(stderr, 'newfstatat').map(Number);
    expect(errors).toBeGreaterThanOrEqual(30);
    const [, handlerMs = 0, , totalMs = 0] = lineOf(stderr, 'clock_nanosleep').map(Number);
    expect(totalMs).toBeGreaterThanOrEqual(300);
    expect(handlerMs).toBeLessThan(totalMs);
    // A read of a program's first page is copied out: 832 bytes, as ld.so asks for them.
    expect(lineOf(stderr, 'read').length).toBeGreaterThan(6);
    const parts = shares(stderr);
    expect(parts).toHaveLength(5);
    expect(Math.abs(parts.reduce((sum, part) => sum + part, 0) - 100)).toBeLessThan(0.5);
    expect(stderr).toMatch(/^the Sentry's processor time [\d.]+ ms; Gofer requests [1-9]/m);
  });

  it('takes no word that is the program, and writes over only the file that it names', async () => {
    const script = join(directory, 'script.sh');
    writeFileSync(script, '#!/bin/sh\necho script\n', { mode: 0o755 });
    const toError = await runts('do', '--stats', script);
    expect(toError).toMatchObject({ code: 0, stdout: 'script\n' });
    expect(toError.stderr).toMatch(/ {2}all\n/);
    expect(readFileSync(script, 'utf8')).toContain('echo script');
    const file = join(directory, 'stats');
    writeFileSync(file, 'old '.repeat(10_000));
    const toFile = await runts('do', `--stats=${file}`, 'true');
    expect(toFile).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
    expect(readFileSync(file, 'utf8')).toMatch(
      /^ *calls .*\n[\s\S]* {2}exit_group\n[\s\S]*wall time/,
    );
    expect(readFileSync(file, 'utf8')).not.toContain('old ');
    const nowhere = await runts('do', `--stats=${directory}/none/file`, 'true');
    expect(nowhere).toMatchObject({ code: 125, stdout: '' });
  });

  it('is there too where the program ends by a signal', async () => {
    const killed = await runts('do', '--stats', 'sh', '-c', 'kill -9 $$');
    expect(killed).toMatchObject({ code: 137 });
    expect(lineOf(killed.stderr, 'kill')[0]).toBe('1');
  });

  it('prints nothing where nobody asked', async () => {
    expect(await runts('do', 'true')).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });
});

describe.skipIf(process.getuid?.() !== 0)('the annotation dev.runts.stats', () => {
  it('has the same of a container in /var/log/runts', async () => {
    const id = `stats-${process.pid}`;
    const log = `/var/log/runts/${id}.stats`;
    const spec = plainSpec('/', `/${id}`);
    spec.root.readonly = true;
    spec.process.args = ['/bin/ls', '/'];
    spec.annotations = { 'dev.runts.stats': 'true' };
    writeFileSync(join(directory, 'config.json'), JSON.stringify(spec));
    const state = join(directory, 'state');
    const done = await runts('--root', state, 'run', '--bundle', directory, id);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    const text = readFileSync(log, 'utf8');
    rmSync(log);
    expect(Number(lineOf(text, 'getdents64')[0])).toBeGreaterThan(0);
    expect(shares(text)).toHaveLength(5);
  });
});

describe.skipIf(process.getuid?.() !== 0)('runts debug stats', () => {
  it('counts the calls of a running container, as often as it is asked', async () => {
    const id = `counted-${process.pid}`;
    const bundle = join(directory, 'counted');
    mkdirSync(bundle);
    const spec = plainSpec('/', `/${id}`);
    spec.root.readonly = true;
    spec.process.args = [
      '/usr/bin/python3',
      '-c',
      'import os\nwhile True:\n  os.sched_get_priority_max(0)\n  try: os.rmdir("/none")\n  except OSError: pass',
    ];
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
    const state = join(directory, 'state-counted');
    const container = start(['--root', state, 'run', '--bundle', bundle, id]);
    const count = () => runts('--root', state, 'debug', 'stats', '--for', '100ms', id);
    // Until it runs there is no such container, or nobody in it.
    let first = await count();
    while (!first.stdout.includes('rmdir') && container.child.exitCode === null)
      first = await count();
    const both = await Promise.all([count(), count()]);
    for (const { code, stdout, stderr } of [first, ...both]) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const [calls = 0, errors = 0] = lineOf(stdout, 'rmdir').map(Number);
      expect(calls).toBeGreaterThan(0);
      expect(Math.abs(errors - calls)).toBeLessThanOrEqual(1);
      expect(stdout).toMatch(/^counted for \d+\.\d+ ms: handlers [\d.]+ ms, the Sentry's/m);
    }
    await runts('--root', state, 'kill', id, 'KILL');
    await container.finished;
    expect(await count()).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('--profile', () => {
  const file = join(directory, 'sentry.cpuprofile');
  const script = 'for i in 1 2 3 4 5; do ls -lR /usr/include >/dev/null; done';

  it('writes a profile under the filter, with a summary', async () => {
    const { code, stdout, stderr } = await runts('do', '--profile', file, 'sh', '-c', script);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(shares(stderr)).toHaveLength(5);
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
    expect(nodes.length).toBeGreaterThan(10);
    expect(samples.length).toBeGreaterThan(10);
    expect(samples).toHaveLength(timeDeltas.length);
  });

  it('is shown by call and by function, with the names of the source', async () => {
    const mapped = join(directory, 'mapped.cpuprofile');
    const { code, stdout, stderr } = await start(['debug', 'profile', file, '-o', mapped]).finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      / {2}call\n[\s\S]* {2}(statx|getdents64|newfstatat)\n[\s\S]* {2}function\n/,
    );
    expect(stdout).toMatch(/ {2}\S.* \(sentry\/[\w/-]+\.ts:\d+\)\n/);
    expect(statSync(mapped).size).toBeGreaterThan(1000);
    const { nodes } = JSON.parse(readFileSync(mapped, 'utf8'));
    expect(nodes[0].callFrame.functionName).toBe('(root)');
  });

  it('says what is wrong with a file that is none', async () => {
    writeFileSync(join(directory, 'text'), '{}');
    const { code, stderr } = await runts('debug', 'profile', join(directory, 'text'));
    expect(code).not.toBe(0);
    expect(stderr).toContain('no profile of V8');
    expect(existsSync(join(directory, 'none'))).toBe(false);
  });
});

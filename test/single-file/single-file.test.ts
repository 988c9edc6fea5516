// SPDX-License-Identifier: Apache-2.0
// dist/runts where nothing else of ours is: a copy in a root of its own, without Node, npm, this
// tree or a PATH.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { goferFilter } from '../../gofer/gofer-filter.ts';
import { stubFilter } from '../../platform-ptrace/systrap/stub-filter.ts';
import { sentryFilter } from '../../sentry/host/sentry-filter.ts';
import { callsByProcess } from '../posture/strace-log.ts';
import { buildExecutable, executable } from './executable.ts';

const asRoot = process.geteuid?.() === 0;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `runts ARGS...` alone, after `wrapper`. */
function alone(args: readonly string[], env: Readonly<Record<string, string>> = {}): Outcome {
  const script = join(import.meta.dirname, 'alone.sh');
  const namespaces = asRoot ? ['-m'] : ['-U', '-r', '-m'];
  const command = [...namespaces, 'sh', script, executable, 'env', '-i'];
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const run = spawnSync('unshare', [...command, ...variables, '/usr/local/bin/runts', ...args], {
    encoding: 'utf8',
    timeout: 200_000,
  });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}

const inSandbox = (script: string, env: Readonly<Record<string, string>> = {}): Outcome =>
  alone(['do', '--', '/bin/sh', '-c', script], env);

beforeAll(buildExecutable);

describe('alone on a machine', () => {
  it('runs a program', () => {
    const outcome = alone(['do', '--', '/bin/uname', '-a']);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toMatch(/^Linux runts .*runts/);
  });

  it('tells its version, and how others start it', () => {
    expect(alone(['--version']).stdout).toMatch(/\d+\.\d+\.\d+/);
    const { stdout, code } = alone(['install']);
    expect(code).toBe(0);
    expect(stdout).toContain('BinaryName = "/usr/local/bin/runts"');
    expect(stdout).toContain('/etc/docker is not there');
  });

  it('has the exit codes of a shell, and says what went wrong', () => {
    expect(inSandbox('exit 7').code).toBe(7);
    expect(inSandbox('kill -9 $$').code).toBe(137);
    expect(alone(['do', '--', '/bin/none'])).toMatchObject({
      code: 127,
      stderr: 'runts: /bin/none: No such file or directory\n',
    });
    expect(alone(['do', '--root', '/none', '--', 'x']).code).toBe(125);
  });

  it('takes nothing for Node from the environment or the arguments', () => {
    const env = { NODE_OPTIONS: '--require=/etc/hostile.js', A: 'b' };
    const outcome = inSandbox('echo "$NODE_OPTIONS" "$A" "$0" "$@"', env);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toBe('--require=/etc/hostile.js b /bin/sh\n');
    const words = ['--node-options=--require=/x', '--eval', '1'];
    expect(alone(['do', '--', '/bin/echo', ...words]).stdout).toBe(`${words.join(' ')}\n`);
  });

  it('leaves no file of its own behind or in view', () => {
    const { stdout } = inSandbox('ls / /tmp; ls -l /proc/self/fd | grep -c memfd');
    expect(stdout).not.toMatch(/runts|app|node/);
    expect(stdout.trimEnd().endsWith('0')).toBe(true);
  });
});

it('needs only libraries that every glibc distribution has', () => {
  const { stdout } = spawnSync('ldd', [executable], { encoding: 'utf8' });
  const names = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(' ')[0] ?? '');
  const expected = ['dl', 'm', 'stdc++', 'gcc_s', 'pthread', 'c'].map((name) => `lib${name}.so`);
  const others = names.filter((name) => !expected.some((known) => name.startsWith(known)));
  expect(others).toEqual(['linux-vdso.so.1', '/lib64/ld-linux-x86-64.so.2']);
});

it('is as confined as with files of its own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'runts-strace-'));
  const log = join(folder, 'log');
  const command = [executable, 'do', '--', 'sh', '-c', 'ls -l /usr/lib | sort | head -20'];
  const run = spawnSync('strace', ['-f', '-i', '-o', log, ...command], {
    encoding: 'utf8',
    timeout: 200_000,
  });
  const calls = callsByProcess(readFileSync(log, 'latin1'));
  rmSync(folder, { recursive: true });
  expect(run.stderr).toBe('');
  const filters = {
    sentry: sentryFilter(30, 'none'),
    gofer: goferFilter({ writable: false, watches: false }),
    stub: stubFilter(0x7fc000000000),
  };
  for (const [role, { rows }] of Object.entries(filters)) {
    const made = calls.get(role as keyof typeof filters) ?? new Set();
    const allowed = new Set(rows.map((row) => row.name));
    expect(made.size, role).toBeGreaterThan(0);
    expect(
      [...made].filter((call) => !allowed.has(call)),
      role,
    ).toEqual([]);
  }
});

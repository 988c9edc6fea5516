// SPDX-License-Identifier: Apache-2.0
// Guests that attack: each program of this folder runs in one sandbox, which must live through all of its
// cases; a case fails where the attack reached more than its own process. See hostile.h.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runInSandbox } from '../support/run.ts';
import { testHostile } from './hostile-program.ts';

const SECONDS = 200;
const limits = ['--pids', '400', '--memory', '1g', '--timeout', `${SECONDS}s`];

const programs = [
  'stub',
  'patched',
  'futexes',
  'windows',
  'fuzz',
  'races',
  'signals',
  'exhaust',
  'users',
  'images',
  'filters',
  'long-calls',
];
for (const name of programs) {
  testHostile(name, (binary, flags, env) =>
    runInSandbox([binary], { seconds: SECONDS + 10, cwd: '/tmp', env }, [...limits, ...flags]),
  );
}

// Two minutes in all; `npm run fuzz` takes an hour. The seeds are fixed here, so that what failed
// once can be looked into.
for (const seed of [1, 2]) {
  testHostile('random-calls', (binary, flags, env) =>
    runInSandbox([binary], { seconds: SECONDS + 10, cwd: '/tmp', env }, [
      ...limits,
      ...flags,
      ...['--env', `FUZZ_SEED=${seed}`, '--env', 'FUZZ_SECONDS=50'],
    ]),
  );
}

describe('on the network of the host', () => {
  const name = `runts-hostile-${process.pid}`;
  const reached: string[] = [];
  const server = createServer(() => reached.push('connected'));
  beforeAll(() => new Promise<void>((resolve) => server.listen(`\0${name}`, resolve)));
  afterAll(() => void server.close());

  testHostile('network', (binary, flags, env) =>
    runInSandbox(
      [binary],
      { seconds: SECONDS + 10, cwd: '/tmp', env: { ...env, HOST_SOCKET: name } },
      [...limits, ...flags, '--network', 'host'],
    ),
  );
  it('nobody came to the abstract socket', () => expect(reached).toEqual([]));
});

describe('out of the sandbox', () => {
  const dir = mkdtempSync(join(tmpdir(), 'runts-hostile-'));
  const at = (...names: string[]): string => join(dir, ...names);
  const volumes = ['shared', 'ro', 'guest-root'];

  beforeAll(() => {
    writeFileSync(at('secret'), 'SECRET-OUTSIDE');
    for (const name of volumes) {
      mkdirSync(at(name));
      writeFileSync(at(name, 'file'), 'as it was');
      symlinkSync(at('secret'), at(name, 'absolute'));
      symlinkSync('../secret', at(name, 'relative'));
      symlinkSync('..', at(name, 'up'));
      symlinkSync('..', at(name, 'directory'));
      symlinkSync(dir, at(name, 'absolute-directory'));
      symlinkSync('relative', at(name, 'chain'));
    }
    for (const name of ['bin', 'tmp', 'proc', 'sys', 'dev', 'shared', 'ro', 'mnt'])
      mkdirSync(at('guest-root', name));
    execFileSync('gcc', ['-static', '-x', 'c', '-o', at('guest-root/bin/true'), '-'], {
      input: 'int main(void) { return 0; }',
    });
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  testHostile('escape', (binary, turnFlags, env) => {
    execFileSync('cp', [binary, at('guest-root/escape')]);
    const flags = [...limits, ...turnFlags, '--root', at('guest-root'), '--cwd', '/tmp'];
    flags.push('--volume', `${at('shared')}:/shared`, '--volume', `${at('ro')}:/ro:ro`);
    flags.push('--env', `HOST_DIR=${dir}`);
    return runInSandbox(['/escape'], { seconds: SECONDS + 10, env }, flags);
  });

  it('leaves what is read-only, and all outside, as it was', () => {
    expect(readFileSync(at('secret'), 'utf8')).toBe('SECRET-OUTSIDE');
    expect(statSync(at('secret')).mode & 0o777).toBe(0o644);
    expect(readFileSync(at('ro/file'), 'utf8')).toBe('as it was');
    expect(statSync(at('ro/file')).nlink).toBe(1);
    expect(existsSync(at('made'))).toBe(false);
    expect(existsSync(at('ro/new'))).toBe(false);
    expect(readFileSync(at('guest-root/file'), 'utf8')).toBe('as it was');
    expect(existsSync(at('guest-root/jail'))).toBe(false);
  });
});

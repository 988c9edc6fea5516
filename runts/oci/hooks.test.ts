// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runHooks } from './hooks.ts';
import type { Hook } from './spec/types.ts';

let bundle: string;

beforeEach(() => {
  bundle = mkdtempSync(join(tmpdir(), 'hooks-'));
});

afterEach(() => {
  rmSync(bundle, { recursive: true });
});

const sh = (script: string, more: Partial<Hook> = {}): Hook => ({
  path: '/bin/sh',
  args: ['sh', '-c', script],
  ...more,
});
const run = (...hooks: Hook[]): void =>
  runHooks(hooks, { ociVersion: '1.2.0', id: 'c', pid: 7, bundle }, 'prestart');
const output = (): string => readFileSync(join(bundle, 'out'), 'utf8');

describe('hooks', () => {
  it('run one after the other in the bundle, with the state on standard input', () => {
    run(sh('cat > out'), sh('pwd >> out'));
    expect(output()).toBe(
      `{"ociVersion":"1.2.0","id":"c","pid":7,"bundle":"${bundle}"}${bundle}\n`,
    );
  });

  it('have the arguments and the environment that they are given, and no other', () => {
    run(sh('echo "$0" > out; tr "\\0" "\\n" < /proc/$$/environ >> out', { env: ['A=b=c'] }));
    expect(output()).toBe('sh\nA=b=c\n');
    run({ path: '/bin/sh', args: ['other', '-c', 'tr "\\0" " " < /proc/$$/cmdline > out'] });
    expect(output()).toMatch(/^other -c /);
    run(sh('tr "\\0" "\\n" < /proc/$$/environ > out'));
    expect(output()).toBe('');
  });

  it('that fail end the row, and what they said is in the message', () => {
    const failing = (): void =>
      run(sh('true'), sh('echo out; echo err > /dev/stderr; exit 3'), sh('touch out'));
    expect(failing).toThrow(
      'error running hook #1 (prestart): exit status 3, stdout: out\n, stderr: err\n',
    );
    expect(output).toThrow('ENOENT');
  });

  it('may be killed, or not be there', () => {
    expect(() => run(sh('kill -9 $$'))).toThrow(/#0 \(prestart\): signal: SIGKILL, stdout: /);
    expect(() => run({ path: '/bin/nope' })).toThrow(
      'error running hook #0 (prestart): /bin/nope: No such file or directory',
    );
  });

  it('end when their time is over', () => {
    const started = Date.now();
    expect(() => run(sh('exec sleep 1000', { timeout: 1 }))).toThrow(
      'hook ran past specified timeout of 1.0s',
    );
    expect(Date.now() - started).toBeLessThan(100_000);
  });

  it('need not read their state, however long it is', () => {
    const state = { bundle, annotations: { long: 'x'.repeat(1 << 20) } };
    runHooks([sh('exec true')], state, 'createRuntime');
    runHooks([sh('wc -c > out')], state, 'createRuntime');
    expect(Number(output())).toBe(JSON.stringify(state).length);
  });

  it('that leave children behind hold up nobody, whether they fail or not', () => {
    const started = Date.now();
    run(sh('sleep 1000 & echo $! > out'));
    process.kill(Number(output()));
    expect(() => run(sh('echo said; sleep 1000 & echo $! > out; exit 1'))).toThrow(
      'exit status 1, stdout: said\n',
    );
    process.kill(Number(output()));
    expect(Date.now() - started).toBeLessThan(100_000);
  });

  it('may write more than is kept', () => {
    run(sh('head -c 3000000 /dev/zero'));
    expect(() => run(sh('head -c 3000000 /dev/zero | tr "\\0" x; exit 1'))).toThrow(
      /stdout: x{16384}, stderr/,
    );
  });

  it('get none of our descriptors', () => {
    run(sh('ls /proc/self/fd > out'));
    // 3 is the directory that ls reads. Those above 16 may be the test runner's.
    const fds = output().trim().split('\n').map(Number);
    expect(fds.filter((fd) => fd < 16).sort()).toEqual([0, 1, 2, 3]);
  });
});

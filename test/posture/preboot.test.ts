// SPDX-License-Identifier: Apache-2.0
// Sentry and Gofer as forks of the command line's Node (native/preboot): what of that one they must not have.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtsPath, until } from '../lifecycle/command.ts';
import {
  descriptors,
  type SandboxProcesses,
  sandboxProcesses,
} from '../lifecycle/sandbox-processes.ts';
import { hasInMemory } from '../support/memory-of.ts';

const SECRET = ['secret', 'of', 'the', 'caller'].join('-');
const asRoot = process.geteuid?.() === 0;

const started = (environment: Readonly<Record<string, string>>, args: readonly string[]) =>
  spawn(runtsPath, ['do', ...args, '--', 'sh', '-c', 'echo ready; sleep 1000'], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
  });

describe.runIf(asRoot)('a sandbox from a preboot', () => {
  let child: ReturnType<typeof started>;
  let processes: SandboxProcesses;
  beforeAll(async () => {
    child = started({ WORD: SECRET }, []);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('close', (code) => reject(new Error(`ended with ${code}`)));
    });
    processes = await until(() => sandboxProcesses(child.pid as number));
  });
  afterAll(() => child.kill('SIGKILL'));
  const both = (): number[] => [processes.sentry, processes.gofer];

  it('is one', () => {
    // The Sentry's own, for calls of the host that take long, are not Node's.
    const isNodes = (pid: number, tid: string): boolean =>
      readFileSync(`/proc/${pid}/task/${tid}/comm`, 'latin1') !== 'runts-work\n';
    for (const pid of both()) {
      const threads = readdirSync(`/proc/${pid}/task`).filter((tid) => isNodes(pid, tid));
      expect(threads, 'a Node of its own has more').toEqual([`${pid}`]);
    }
  });

  it('cannot write to the program that it is', () => {
    const program =
      'import os, sys; print(all(os.statvfs(f"/proc/{p}/exe").f_flag & os.ST_RDONLY for p in sys.argv[1:]))';
    const run = spawnSync('python3', ['-c', program, ...both().map(String)], { encoding: 'utf8' });
    expect(run.stdout).toBe('True\n');
  });

  it('has nothing of the environment of who called it', () => {
    for (const pid of both())
      expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toContain(SECRET);
    expect(hasInMemory(processes.gofer, 'runts-gofer'), 'what is there is found').toBe(true);
    // The Sentry has it, for the guest.
    expect(hasInMemory(processes.sentry, SECRET)).toBe(true);
    expect(hasInMemory(processes.gofer, SECRET)).toBe(false);
  });

  it("has /dev/null where Node's descriptors were", () => {
    for (const pid of both()) {
      const high = [...descriptors(pid)].filter(([fd]) => fd >= 900);
      expect(high.length).toBeGreaterThan(0);
      expect(new Set(high.map(([, target]) => target))).toEqual(new Set(['/dev/null']));
    }
  });

  it('shares no memory that can be written', () => {
    const shared = (pid: number): string[] =>
      readFileSync(`/proc/${pid}/maps`, 'latin1')
        .split('\n')
        .filter((line) => /^\S+ .w.s /.test(line))
        .map((line) => line.split(/\s+/).slice(5).join(' '));
    expect(shared(processes.gofer)).toEqual([]);
    expect(shared(processes.sentry).filter((name) => !name.startsWith('/memfd:'))).toEqual([]);
  });
});

describe('where there can be no preboot', () => {
  const cases = {
    'it is not wanted': 'RUNTS_PREBOOT=0',
    'there are few descriptors': 'ulimit -n 500;',
    'the caller has descriptors in its places': 'exec 899</dev/null;',
    'somebody else has set its variable': 'RUNTS_PREBOOT=/bin/sh RUNTS_QUICK=0',
  };
  it.each(Object.entries(cases))('because %s, it works all the same', (_, setting) => {
    const run = spawnSync('bash', ['-c', `${setting} ${runtsPath} do -- echo works`], {
      encoding: 'utf8',
    });
    expect(run).toMatchObject({ stdout: 'works\n', stderr: '', status: 0 });
  });

  it('a caller may have descriptors above its places', () => {
    const script = `exec 905</dev/null 913</dev/null; ${runtsPath} do -- sh -c 'ls /proc/self/fd | wc -l'`;
    const run = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    expect(run).toMatchObject({ stdout: '4\n', stderr: '', status: 0 });
  });
});

it('leaves no process where the command line refuses', async () => {
  const of = (text: string): number =>
    readdirSync('/proc').filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text);
      } catch {
        return false;
      }
    }).length;
  const mark = `--no-such-option-${process.pid}`;
  const run = spawnSync(runtsPath, ['do', mark], { encoding: 'utf8' });
  expect(run.status).not.toBe(0);
  expect(run.stderr).toContain('unknown option');
  await until(() => of(mark) === 0);
});

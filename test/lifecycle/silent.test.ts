// SPDX-License-Identifier: Apache-2.0
// A Sentry that does not answer: the user is told, a signal ends the sandbox, and its end does not
// hang on the Sentry's.
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { firstOutput, type Running, start, until } from './command.ts';
import {
  everyProcess,
  isAlive,
  type SandboxProcesses,
  sandboxProcesses,
} from './sandbox-processes.ts';

interface Watched extends Running {
  readonly processes: SandboxProcesses;
  readonly stderr: () => string;
}

async function startWatched(script: string): Promise<Watched> {
  const running = start(['do', '--', 'sh', '-c', `echo ready; ${script}`]);
  let stderr = '';
  running.child.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
  });
  await firstOutput(running);
  const processes = await until(() => sandboxProcesses(running.child.pid as number));
  return { ...running, processes, stderr: () => stderr };
}

/** The Sentry waits for a Gofer that neither works nor waits for the host's files. */
async function startSilent(): Promise<Watched> {
  const sandbox = await startWatched('sleep 1; ls /usr/share >/dev/null; echo on');
  process.kill(sandbox.processes.gofer, 'SIGSTOP');
  await until(() => sandbox.stderr().includes('the sentry has not answered for 10 s (state S)'));
  return sandbox;
}

describe('a silent Sentry', () => {
  it('is told of, and a signal ends its sandbox', async () => {
    const sandbox = await startSilent();
    sandbox.child.kill('SIGINT');
    expect((await sandbox.finished).code).toBe(128 + 2);
    expect(everyProcess(sandbox.processes).filter(isAlive)).toEqual([]);
  });

  it('that answers again has only been slow', async () => {
    const sandbox = await startSilent();
    process.kill(sandbox.processes.gofer, 'SIGCONT');
    expect(await sandbox.finished).toMatchObject({ code: 0, stdout: 'ready\non\n' });
    expect(sandbox.stderr()).toContain('the sentry answers again');
  });
});

// A process in a frozen cgroup of version 1 does not die of SIGKILL before it is thawed: as one
// that waits for a lock.
const freezer = '/sys/fs/cgroup/freezer';
const canFreeze = process.geteuid?.() === 0 && existsSync(join(freezer, 'cgroup.procs'));

describe.runIf(canFreeze)('a Sentry that cannot die', () => {
  const group = join(freezer, `runts-silent-${process.pid}`);
  afterEach(async () => {
    writeFileSync(join(group, 'freezer.state'), 'THAWED');
    await until(() => {
      try {
        rmdirSync(group);
      } catch {
        return false;
      }
      return true;
    });
  });

  it('does not keep its stubs from their end', async () => {
    const sandbox = await startWatched('while :; do :; done');
    mkdirSync(group);
    writeFileSync(join(group, 'cgroup.procs'), String(sandbox.processes.sentry));
    writeFileSync(join(group, 'freezer.state'), 'FROZEN');
    const { stubs, zygote, sentry, gofer } = sandbox.processes;
    const begun = performance.now();
    sandbox.child.kill('SIGKILL');
    await until(() => ![...stubs, zygote, gofer].some(isAlive));
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(isAlive(sentry)).toBe(true);
    await sleep(300);
    writeFileSync(join(group, 'freezer.state'), 'THAWED');
    await until(() => !everyProcess(sandbox.processes).some(isAlive));
  });
});

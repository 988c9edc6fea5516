// SPDX-License-Identifier: Apache-2.0
// Stubs that make threads and processes while the host stops them (as a freezer or a debugger
// does), and what descriptors the processes hold that they make in the middle of other things.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { start, until } from './command.ts';
import { childrenByAge, descriptors, sandboxProcesses } from './sandbox-processes.ts';

const directory = mkdtempSync(join(tmpdir(), 'runts-busy-'));
const program = join(directory, 'busy');
const asRoot = process.geteuid?.() === 0;

beforeAll(() => {
  const source = join(import.meta.dirname, 'busy.c');
  execFileSync('gcc', ['-static', '-pthread', '-O1', '-D_GNU_SOURCE', '-o', program, source]);
});
afterAll(() => rmSync(directory, { recursive: true }));

/**
 * A guest process waits for something in the Sentry: it has a thread, which sleeps in the stub's
 * futex call.
 */
function isAtRest(pid: number): boolean {
  if (readdirSync(`/proc/${pid}/task`).length !== 1) return false;
  return readFileSync(`/proc/${pid}/syscall`, 'utf8').startsWith('202 ');
}

/** A stub that is being made has the listener of its own filter, until the Sentry has taken it. */
const OWN_LISTENER = 'anon_inode:seccomp notify';

/** What it holds beside its socket and the eventfd; undefined where it does something, or is gone. */
function surplus(pid: number): string[] | undefined {
  try {
    if (!isAtRest(pid)) return undefined;
    const held = [...descriptors(pid).values()].filter((target) => target !== OWN_LISTENER);
    if (!isAtRest(pid)) return undefined;
    return held.length <= 2 ? [] : held;
  } catch {
    return undefined;
  }
}

describe.skipIf(!asRoot)('stubs', () => {
  it('make their threads and processes, however often they are stopped', async () => {
    const { child, finished } = start(['do', '--', program, 'clones', '5']);
    await until(() => sandboxProcesses(child.pid as number));
    for (const end = Date.now() + 3500; Date.now() < end; await sleep(1)) {
      for (const pid of sandboxProcesses(child.pid as number)?.stubs ?? []) {
        for (let turn = 0; turn < 2000; turn++) {
          signal(pid, 'SIGSTOP');
          signal(pid, 'SIGCONT');
        }
      }
    }
    expect(await finished).toMatchObject({ code: 0, stderr: '' });
  });

  it('leave children none of the descriptors that other threads just use', async () => {
    const { child, finished } = start(['do', '--', program, 'forks', '1000']);
    let looks = 0;
    const { sentry } = await until(() => sandboxProcesses(child.pid as number));
    // On a busy machine few of them are at rest when they are looked at.
    for (const end = Date.now() + 3500; Date.now() < end || looks < 50; await sleep(1)) {
      // The first is the zygote.
      for (const pid of childrenByAge(sentry).slice(1)) {
        const held = surplus(pid);
        if (held === undefined) continue;
        expect(held).toEqual([]);
        looks += 1;
      }
    }
    child.kill('SIGTERM');
    await finished;
  });
});

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has just ended.
  }
}

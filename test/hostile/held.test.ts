// SPDX-License-Identifier: Apache-2.0
// A guest that took over its stub cannot have the host kernel hold the lock of its address space
// for long, for the Sentry and the host's ps(1) wait for it then; nor page tables that --memory
// does not count.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { root, run, runts } from '../support/run.ts';

const binary = join(root, 'build/hostile/held');
beforeAll(() => {
  mkdirSync(join(root, 'build/hostile'), { recursive: true });
  const source = join(import.meta.dirname, 'held.c');
  execFileSync('gcc', ['-O1', '-D_GNU_SOURCE', '-pthread', '-static', '-w', '-o', binary, source]);
});

/** The longest that one process of the host let who wants to see its arguments wait, in ms. */
async function longestLook(during: Promise<unknown>): Promise<number> {
  let isOver = false;
  let longest = 0;
  void during.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const begun = performance.now();
      try {
        readFileSync(`/proc/${name}/cmdline`);
      } catch {
        // It has gone.
      }
      longest = Math.max(longest, performance.now() - begun);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return longest;
}

describe('a guest that has 1500 GiB of zeros touched at once', () => {
  it('ends at --timeout, and nobody waits for it', async () => {
    const begun = performance.now();
    const limits = ['--timeout', '5s', '--memory', '256M'];
    const ended = run([runts, 'do', ...limits, '--', binary, 'populate', '1500']);
    const longest = await longestLook(ended);
    const outcome = await ended;
    expect(outcome, outcome.stderr).toMatchObject({ code: 124, stdout: '' });
    // Start and end of the sandbox included.
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(longest).toBeLessThan(1000);
  });
});

describe('page tables', () => {
  it('count: what needs more than --memory is killed', async () => {
    const outcome = await run([runts, 'do', '--memory', '256M', '--', binary, 'sparse', '256']);
    expect(outcome, outcome.stderr).toMatchObject({ code: 137, stdout: '' });
  });

  it('of what may be had may be had', async () => {
    const outcome = await run([runts, 'do', '--memory', '256M', '--', binary, 'sparse', '64']);
    expect(outcome, outcome.stderr).toMatchObject({ code: 0, stdout: 'done\n' });
  });
});

describe('mappings that a guest made behind the back of the Sentry', () => {
  // 30 MiB of the host's kernel a process.
  it('count', async () => {
    const limits = ['--memory', '256M', '--timeout', '100s'];
    const outcome = await run([runts, 'do', ...limits, '--', binary, 'mappings', '40']);
    expect(outcome, outcome.stderr).toMatchObject({ code: 0, stdout: 'killed\n' });
  });
});

// SPDX-License-Identifier: Apache-2.0
// The rules of check-results.ts, shown on a planted tree that has the abi/errno.ts, abi/poll.ts and
// base/wait.ts of the real one: each kind of violation is found, and what looks like one and is
// none is not.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findViolations } from './result-rules.ts';
import { plantedProgram, root } from './tree-program.ts';

const real = ['abi/errno.ts', 'abi/poll.ts', 'sentry/base/wait.ts'];

const head = `
import { EAGAIN, EIO, isErrno, toErrno, type Errno, type Result, type SysResult } from '../abi/errno.ts';
import { POLLIN, POLLOUT } from '../abi/poll.ts';
import { sleepOn, type MaybeBlocking, type WaitQueue, type Waker } from './base/wait.ts';
declare function text(): Result<string>;
declare function count(): SysResult;
declare function maybe(): Result<object> | undefined;
declare function handler(): MaybeBlocking;
declare const waker: Waker;
declare const queue: WaitQueue;
`;

/** The rule and the text of each violation in `body`, which stands in a file of sentry/. */
function violations(body: string): string[] {
  const files = new Map(
    real.map((file) => [`/tree/${file}`, readFileSync(join(root, file), 'utf8')]),
  );
  files.set('/tree/sentry/planted.ts', head + body);
  return findViolations(plantedProgram(files), '/tree')
    .filter(({ file }) => file === 'sentry/planted.ts')
    .map(({ rule, text }) => `${rule}: ${text}`);
}

test('each way around the convention is found', () => {
  const found = violations(`
    const name = text();
    if (typeof name === 'number') throw name;
    const other = maybe();
    if ('object' !== typeof other) throw other;
    const got = count();
    if (got < 0) throw got;
    if (count() >= 0 || 0 > got || got <= -1 || got > -1 || 0 <= got) throw got;
    export const made = 5 as Errno;
    export const passed = (got as unknown) as Result<object> | undefined;
    export const third = got as SysResult;
    const POLLIN_OF_OWN = 1, POLLHUP = 16;
    function local() { const EPERM = 1; return EPERM; }
    if (got <= -512 || got === -5_16) throw got;
    waker.wake(1);
    queue.notify(1 | 4);
    queue.join(waker, (POLLIN | 4));
    sleepOn({ queue }, 0x1);
  `);
  expect(found).toEqual([
    'typeof: typeof name',
    'typeof: typeof other',
    'comparison: got < 0',
    'comparison: count() >= 0',
    'comparison: 0 > got',
    'comparison: got <= -1',
    'comparison: got > -1',
    'comparison: 0 <= got',
    'cast: 5 as Errno',
    'cast: (got as unknown) as Result<object> | undefined',
    'cast: got as SysResult',
    'constant: POLLHUP = 16',
    'constant: EPERM = 1',
    'restart: -512',
    'restart: -5_16',
    'poll bits: waker.wake(1)',
    'poll bits: queue.notify(1 | 4)',
    'poll bits: queue.join(waker, (POLLIN | 4))',
    'poll bits: sleepOn({ queue }, 0x1)',
  ]);
});

test('what only looks like a violation passes', () => {
  const found = violations(`
    const name = text();
    if (isErrno(name)) throw name;
    const got = count();
    if (isErrno(got) || got > 0 || got === 0 || got === EAGAIN) throw got;
    // A number or a generator: not whether the call failed, but whether it sleeps.
    const answer = handler();
    if (typeof answer === 'number') throw answer;
    let plain = 3;
    plain -= 5;
    if (plain < 0 || typeof (plain as unknown) === 'number') throw plain;
    export const wide = got as number;
    export const failed: Errno = toErrno(5);
    const PAGES = 512 - 516;
    waker.wake(POLLIN | POLLOUT);
    queue.notify(POLLIN);
    sleepOn({ queue }, POLLIN, 1_000);
    export const all = [EIO, PAGES, 600 - 512];
  `);
  expect(found).toEqual([]);
});

// SPDX-License-Identifier: Apache-2.0
// The loop and what it keeps between requests, asked by a Sentry that does as it likes.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EBADF, EINVAL, EROFS, isErrno } from '../abi/errno.ts';
import { O_RDONLY, O_RDWR } from '../abi/fcntl.ts';
import { native } from '../native/addon.ts';
import { operations } from '../protocol/gofer/operations.ts';
import { MessageWriter } from '../protocol/gofer/wire.ts';
import type { GoferClient } from '../sentry/fs/gofer/client.ts';
import { startGofer, type TestGofer } from '../test/support/start-gofer.ts';

/** Entries that need more than one reply. */
const MANY = 700;

let directory = '';
let gofer: TestGofer;
let client: GoferClient;
let root = 0;

function idOf(name: string): number {
  const [entry] = client.walk(root, name).entries;
  if (entry === undefined) throw new Error(`no ${name}`);
  return entry.id;
}

/** A request of just these numbers. Answers the result of the reply. */
function ask(...numbers: number[]): number {
  tell(...numbers);
  const reply = Buffer.alloc(64);
  const length = native.recvMessage(gofer.socketFd, reply, undefined, 0);
  expect(length).toBe(4);
  return reply.readInt32LE(0);
}

function tell(...numbers: number[]): void {
  const request = new MessageWriter(64);
  for (const number of numbers) request.u32(number);
  native.sendMessage(gofer.socketFd, request.bytes, request.length, undefined, 0, 0);
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'runts-server-'));
  for (const name of ['many', 'few']) mkdirSync(join(directory, name));
  for (let count = 0; count < MANY; count += 1)
    writeFileSync(join(directory, `many/${'n'.repeat(100)}${count}`), '');
  writeFileSync(join(directory, 'few/file'), 'hello');
  symlinkSync('few', join(directory, 'link'));
  gofer = startGofer(directory);
  client = gofer.client;
  const attached = client.attach(0);
  if (isErrno(attached)) throw new Error(`attach: ${attached}`);
  root = attached.id;
});

afterAll(() => {
  gofer.stop();
  rmSync(directory, { recursive: true });
});

describe('a request', () => {
  it('that is nonsense is refused, and the next one is served', () => {
    expect(client.attach(1)).toBe(EINVAL);
    expect(client.walk(root, '..').errno).toBe(EINVAL);
    expect(client.walk(root, 'few/../../secret').errno).toBe(EINVAL);
    expect(client.walk(root, '').errno).toBe(EINVAL);
    expect(client.walk(77_777, 'a').errno).toBe(EBADF);
    expect(client.open([root, 'few/file', 0], O_RDONLY)).toBe(EINVAL);
    expect(client.open([root, '..', 0], O_RDONLY)).toBe(EINVAL);
    expect(client.open([idOf('few'), 'file', 0], 3)).toBe(EINVAL);
    expect(client.open([idOf('few'), 'file', 0], O_RDWR)).toBe(EROFS);
    expect(client.remove(root, 'few', true)).toBe(EROFS);
    expect(isErrno(client.statfs(root))).toBe(false);
  });

  it('of no operation is refused', () => {
    for (const number of [0, 5, 27, 0xffff_ffff]) expect(ask(number)).toBe(EINVAL);
  });

  it('that nobody waits for is not answered, whatever its form', () => {
    const { forget, freeze, stopWatching } = operations;
    for (const { number } of [forget, freeze, stopWatching]) {
      tell(number);
      tell(number, 1_000_000, 1);
    }
    tell(forget.number, 1_000_000);
    tell(stopWatching.number);
    // The next reply is that of the next request.
    expect(isErrno(client.statfs(root))).toBe(false);
  });
});

describe('a walk', () => {
  it('tells how far it came, and why not further', () => {
    const walked = client.walk(root, 'few/none/file');
    expect(walked.entries.length).toBe(1);
    expect(isErrno(walked.errno)).toBe(true);
    const linked = client.walk(root, 'link/file');
    expect(linked).toMatchObject({ entries: [{ id: 0, target: 'few' }], errno: 0 });
  });
});

describe('a listing', () => {
  it('goes on where it ended', () => {
    const many = idOf('many');
    const names = new Set<string>();
    let parts = 0;
    for (let more = true; more; parts += 1) {
      const part = client.list(many, parts > 0);
      if (isErrno(part)) throw new Error(`list: ${part}`);
      for (const { name } of part.entries) names.add(name);
      more = part.more;
    }
    expect(parts).toBeGreaterThan(1);
    expect(names.size).toBe(MANY);
    // It has ended: there is nothing to go on with.
    expect(client.list(many, true)).toBe(EINVAL);
  });

  it('is one at a time', () => {
    const [many, few] = [idOf('many'), idOf('few')];
    expect(client.list(many, false)).toMatchObject({ more: true });
    expect(client.list(few, true)).toBe(EINVAL);
    expect(client.list(few, false)).toMatchObject({ entries: [{ name: 'file' }], more: false });
    expect(client.list(many, true)).toBe(EINVAL);
  });
});

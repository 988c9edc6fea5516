// SPDX-License-Identifier: Apache-2.0
// What a Sentry that was taken over can make of watches.
import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { EINVAL, isErrno } from '../abi/errno.ts';
import { native } from '../native/addon.ts';
import { operations, REPLY_BYTES, REQUEST_BYTES } from '../protocol/gofer/operations.ts';
import { MessageWriter } from '../protocol/gofer/wire.ts';
import { startWatchingGofer, type TestGofer } from '../test/support/start-gofer.ts';

const { startWatching, stopWatching } = operations;
let directory = '';
let gofer: TestGofer;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'runts-watches-'));
  mkdirSync(join(directory, 'd/e'), { recursive: true });
  gofer = startWatchingGofer(20, `rw:${directory}`);
  assert.ok(!isErrno(gofer.client.attach(0)));
});

afterAll(() => {
  gofer.stop();
  rmSync(directory, { recursive: true });
});

describe('nonsense about watches', () => {
  const asked = new MessageWriter(REQUEST_BYTES);

  function openDescriptors(): number {
    return readdirSync(`/proc/${gofer.process.pid}/fd`).length;
  }

  it('costs the Gofer nothing', () => {
    const fds = new Int32Array(2);
    const reply = Buffer.alloc(REPLY_BYTES);
    const before = openDescriptors();
    for (let count = 0; count < 300; count += 1) {
      asked.reset().u32(startWatching.number);
      native.sendMessage(gofer.socketFd, asked.bytes, asked.length, undefined, 0, 0);
      assert.ok(native.recvMessage(gofer.socketFd, reply, fds, 0) === 4 && fds[0] === 1);
      native.close(fds[1] as number);
      // Ids of nothing, and one directory over and over.
      for (const id of [77_777, 1]) gofer.client.walk(id, 'd/e');
    }
    asked.reset().u32(startWatching.number).u32(5);
    native.sendMessage(gofer.socketFd, asked.bytes, asked.length, undefined, 0, 0);
    assert.equal(native.recvMessage(gofer.socketFd, reply, fds, 0), 4);
    assert.equal(reply.readInt32LE(0), EINVAL);
    // Not answered, and not done.
    asked.reset().u32(stopWatching.number).u32(5);
    native.sendMessage(gofer.socketFd, asked.bytes, asked.length, undefined, 0, 0);
    assert.ok(!isErrno(gofer.client.statfs(1)));
    assert.ok(openDescriptors() <= before + 3);
  });
});

// SPDX-License-Identifier: Apache-2.0
// The Sentry's end of the protocol against a Gofer that was taken over, and after its end.
import { strict as assert } from 'node:assert';
import { fstatSync } from 'node:fs';
import { describe, it } from 'vitest';
import { EAGAIN, EIO, isErrno } from '../../../abi/errno.ts';
import { O_RDONLY } from '../../../abi/fcntl.ts';
import { MSG_DONTWAIT, SOCK_SEQPACKET } from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import { MessageWriter } from '../../../protocol/gofer/wire.ts';
import { GoferClient } from './client.ts';
import { GoferDied } from './gofer-died.ts';

/** Nobody hears of anything, so that the end of the Gofer is the sandbox's. */
const unheard = { died: undefined, watching: () => undefined };

function pair(): [number, number] {
  const fds = new Int32Array(2);
  assert.equal(native.socketpair(SOCK_SEQPACKET, fds), 0);
  return [fds[0] as number, fds[1] as number];
}

/** A reply is there before it is asked for. */
function prepare(socket: number, fill: (reply: MessageWriter) => void, fd?: number): void {
  const reply = new MessageWriter(4096);
  fill(reply);
  const fds = Int32Array.of(fd ?? -1);
  const count = fd === undefined ? 0 : 1;
  assert.ok(native.sendMessage(socket, reply.bytes, reply.length, fds, count, 0) > 0);
}

const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

describe('a Gofer that talks nonsense', () => {
  const nonsense: [string, (reply: MessageWriter) => void][] = [
    ['a positive result', (reply) => reply.i32(7)],
    ['no errno', (reply) => reply.i32(-5000)],
    ['half a field', (reply) => reply.i32(0).u16(1)],
    [
      'too much',
      (reply) => reply.i32(0).f64(1).f64(1).f64(1).f64(1).f64(1).f64(1).f64(1).f64(1).u32(1),
    ],
    ['no number', (reply) => reply.i32(0).f64(Number.NaN)],
  ];

  it.each(nonsense)('%s: is the end of the sandbox', (_, fill) => {
    const [own, other] = pair();
    const client = new GoferClient(own, unheard);
    prepare(other, fill);
    assert.throws(() => client.statfs(1), GoferDied);
    native.close(other);
  });

  it.each(nonsense)('%s: costs a pod no more than its container', (_, fill) => {
    const [own, other] = pair();
    let deaths = 0;
    const client = new GoferClient(own, {
      ...unheard,
      died: () => {
        deaths += 1;
      },
    });
    prepare(other, fill);
    assert.equal(client.statfs(1), EIO);
    assert.equal(deaths, 1);
    assert.equal(isOpen(own), false);
    assert.deepEqual(client.walk(1, 'a'), { watch: 0, entries: [], errno: EIO });
    native.close(other);
  });

  it('a missing descriptor is none', () => {
    const [own, other] = pair();
    const client = new GoferClient(own, { ...unheard, died: () => undefined });
    prepare(other, (reply) => {
      reply.i32(0);
      for (let field = 0; field < 9; field += 1) reply.f64(0);
      for (let field = 0; field < 10; field += 1) reply.u32(0);
    });
    assert.ok(isErrno(client.open([1, 'a', 0], O_RDONLY)));
    native.close(other);
  });

  it('descriptors that nobody asked for do not pile up', () => {
    const [own, other] = pair();
    const client = new GoferClient(own, unheard);
    const lowest = native.dup(own);
    native.close(lowest);
    for (let turn = 0; turn < 5; turn += 1) {
      prepare(other, (reply) => reply.i32(0), other);
      assert.equal(client.remove(1, 'a', false), 0);
    }
    client.close();
    assert.equal(isOpen(lowest), false);
    native.close(other);
  });
});

describe('a connection that was closed', () => {
  it('is not used any more, whoever has its number', () => {
    const [own, other] = pair();
    const client = new GoferClient(own, unheard);
    client.close();
    const [stranger, listener] = pair();
    // The number is used again at once.
    assert.equal(stranger, own);
    client.forget(3);
    client.freeze(0);
    client.close();
    const bytes = new Uint8Array(64);
    assert.equal(native.recvMessage(listener, bytes, undefined, MSG_DONTWAIT), EAGAIN);
    for (const fd of [stranger, listener, other]) native.close(fd);
  });
});

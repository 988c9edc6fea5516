// SPDX-License-Identifier: Apache-2.0
// The Sentry's end of the protocol against a Gofer that was taken over: its answers are refused, or
// are errnos.
import { strict as assert } from 'node:assert';
import { describe, it } from 'vitest';
import { SOCK_SEQPACKET } from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import { REPLY_BYTES } from '../../../protocol/gofer/operations.ts';
import { MessageWriter } from '../../../protocol/gofer/wire.ts';
import { names } from '../../../test/support/nonsense.ts';
import { generator } from '../../../test/support/random.ts';
import { GoferClient } from './client.ts';

const ROUNDS = 4000;

describe('a hostile Gofer', () => {
  it('is refused, or answers errnos', () => {
    const any = generator(3);
    const pair = new Int32Array(2);
    const made = { id: 1, name: 'a', mode: 0o644, uid: 0, gid: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      assert.equal(native.socketpair(SOCK_SEQPACKET, pair), 0);
      const [own, other] = pair as unknown as [number, number];
      let deaths = 0;
      const client = new GoferClient(own, {
        died: () => {
          deaths += 1;
        },
        watching: () => undefined,
      });
      const answer = new MessageWriter(REPLY_BYTES);
      answer.i32(any(3) === 0 ? -any(5000) : any(2) * any(2 ** 31));
      for (let field = any(40); field > 0; field -= 1) {
        const kind = any(4);
        if (kind === 0) answer.f64([0, -1, Number.NaN, 2 ** 60, 7][any(5)] as number);
        else if (kind === 1) answer.text(names[any(names.length)] as string);
        else answer.u32([0, 1, 2, 0xffff_ffff, 0o40755][any(5)] as number);
      }
      const sent = new Int32Array([other]);
      native.sendMessage(other, answer.bytes, answer.length, sent, any(2), 0);
      const calls = [
        () => client.attach(0),
        () => client.walk(1, 'a/b'),
        () => client.list(1, false),
        () =>
          client.listTree({ id: 1, paths: ['a', 'b'], limit: 9, attributes: false, room: 4096 }),
        () => client.openMany(1, '', ['a', 'b']),
        () => client.open([1, 'a', 0], 0),
        () => client.statfs(1),
        () => client.getAttributes(1, 'a'),
        () => client.create(made),
        () => client.makeDirectory(made),
        () => client.symlink({ ...made, target: 'b' }),
      ];
      const result = (calls[any(calls.length)] as () => unknown)();
      if (typeof result === 'number') assert.ok(result > -4096 && result < 0);
      assert.ok(deaths <= 1);
      client.close();
      native.close(other);
      const { fd, fds } = result as { readonly fd?: number; readonly fds?: readonly number[] };
      if (fd !== undefined) native.close(fd);
      for (const each of fds ?? []) native.close(each);
    }
  });
});

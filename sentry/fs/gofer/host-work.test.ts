// SPDX-License-Identifier: Apache-2.0
// Host calls in threads of their own, against pipes that are empty as long as the test wants.
import { strict as assert } from 'node:assert';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { EBADF, EINTR, isErrno, type SysResult } from '../../../abi/errno.ts';
import { SOCK_STREAM } from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import type { Blocking } from '../../base/wait.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import { type HostDescriptor, HostWork } from './host-work.ts';

const THREADS = 3;
/** Calls of one kind that may be under way: see host-work.ts. */
const LANE = 8;
let work: HostWork;
let eventFd = -1;

beforeAll(() => {
  const started = HostWork.start(THREADS);
  assert.ok(!isErrno(started));
  work = started;
  work.watch({
    watch: (fd) => {
      eventFd = fd;
      return 0;
    },
  });
});

/** A file that counts who holds it open. */
class Held {
  holders = 0;

  acquire(): void {
    this.holders += 1;
  }

  release(): void {
    this.holders -= 1;
  }
}

function pair(): [number, number] {
  const fds = new Int32Array(2);
  assert.equal(native.socketpair(SOCK_STREAM, fds), 0);
  return [fds[0] as number, fds[1] as number];
}

const descriptor = (fd: number, mayHang: boolean, file = new Held()): HostDescriptor => ({
  fd,
  file,
  mayHang,
});

/** A guest thread that runs one call: asleep until `result` is there. */
class Caller {
  readonly #call: Blocking<SysResult>;
  result: SysResult | undefined;

  constructor(call: Blocking<SysResult>) {
    this.#call = call;
    this.resume('event');
  }

  resume(wake: 'event' | 'signal'): void {
    if (this.result !== undefined) return;
    const step = this.#call.next(wake);
    if (step.done === true) this.result = step.value;
  }
}

/** Handles what the threads have done, until all of these have their results. */
function finish(callers: readonly Caller[]): void {
  while (callers.some(({ result }) => result === undefined)) {
    native.awaitInput(eventFd, -1);
    work.ready();
    for (const caller of callers) caller.resume('event');
  }
}

/** The position of a stream. */
const HERE = -1;
const path = `/tmp/runts-host-work-${process.pid}`;
afterAll(() => rmSync(path, { force: true }));

describe('a call in a thread of the host', () => {
  it('reads when there is something, and its caller sleeps until then', () => {
    const [own, other] = pair();
    const bytes = new Uint8Array(10);
    const file = new Held();
    const reader = new Caller(work.read(descriptor(own, true, file), new BufferSink(bytes), HERE));
    assert.equal(reader.result, undefined);
    assert.equal(file.holders, 1);
    writeSync(other, 'abc');
    finish([reader]);
    assert.equal(reader.result, 3);
    assert.equal(file.holders, 0);
    assert.equal(Buffer.from(bytes).toString('latin1', 0, 3), 'abc');
    for (const fd of [own, other]) native.close(fd);
  });

  it('writes and syncs a file', () => {
    const fd = openSync(path, 'w+');
    const source = new BufferSource(Buffer.from('0123456789'));
    const writer = new Caller(work.write(descriptor(fd, false), source, 5));
    finish([writer]);
    assert.equal(writer.result, 10);
    const syncer = new Caller(work.sync(descriptor(fd, false)));
    finish([syncer]);
    assert.equal(syncer.result, 0);
    const bytes = new Uint8Array(20);
    const reader = new Caller(work.read(descriptor(fd, false), new BufferSink(bytes), 7));
    finish([reader]);
    assert.equal(Buffer.from(bytes).toString('latin1', 0, 8), '23456789');
    closeSync(fd);
  });

  it('gives the bytes back that the host did not take', () => {
    const fd = openSync(path, 'r');
    const source = new BufferSource(Buffer.from('0123456789'));
    const writer = new Caller(work.write(descriptor(fd, false), source, 0));
    finish([writer]);
    assert.equal(writer.result, EBADF);
    assert.equal(source.remaining, 10);
    closeSync(fd);
  });

  it('keeps the descriptor open when its caller dies', () => {
    const [own, other] = pair();
    const file = new Held();
    const sink = new BufferSink(new Uint8Array(1));
    const dying = new Caller(work.read(descriptor(own, true, file), sink, HERE));
    dying.resume('signal');
    assert.equal(dying.result, EINTR);
    assert.equal(file.holders, 1);
    writeSync(other, 'x');
    while (file.holders > 0) {
      native.awaitInput(eventFd, -1);
      work.ready();
    }
    assert.equal(sink.filled, 0);
    for (const fd of [own, other]) native.close(fd);
  });
});

describe('calls that hang', () => {
  it('leave a thread and a place for those that do not, and are served in the end', () => {
    const [own, other] = pair();
    const hanging = Array.from(
      { length: LANE + 4 },
      () => new Caller(work.read(descriptor(own, true), new BufferSink(new Uint8Array(1)), HERE)),
    );
    const fd = openSync(path, 'w');
    const syncers = Array.from(
      { length: LANE + 4 },
      () => new Caller(work.sync(descriptor(fd, false))),
    );
    finish(syncers);
    assert.ok(syncers.every(({ result }) => result === 0));
    assert.ok(hanging.every(({ result }) => result === undefined));
    // Who waits for a place gives it up with its death, and takes nobody else's.
    const last = hanging.pop() as Caller;
    last.resume('signal');
    assert.equal(last.result, EINTR);
    writeSync(other, 'x'.repeat(hanging.length));
    finish(hanging);
    assert.ok(hanging.every(({ result }) => result === 1));
    closeSync(fd);
    for (const each of [own, other]) native.close(each);
  });
});

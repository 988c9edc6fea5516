// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { EAGAIN, ENXIO, EPIPE, ERESTARTSYS } from '../../../abi/errno.ts';
import { O_DIRECT, O_NONBLOCK, O_RDONLY, O_WRONLY } from '../../../abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../../../abi/poll.ts';
import { SIGPIPE } from '../../../abi/signal.ts';
import { FakeTask } from '../../../test/support/fake-task.ts';
import { pipeRows } from '../../syscalls/pipe.ts';
import { readWriteRows } from '../../syscalls/read-write.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { TmpFileSystem } from '../tmp/filesystem.ts';
import { TmpSpecial } from '../tmp/special.ts';
import { openFifo } from './fifo.ts';
import { pipeOf } from './pipe-end.ts';

const at = 4096;

function pipe(flags = 0) {
  const task = new FakeTask();
  expect(task.now(pipeRows, 'pipe2', 0, flags)).toBe(0);
  const r = task.memory.data.getInt32(0, true);
  const w = task.memory.data.getInt32(4, true);
  const file = (fd: number): OpenFile => task.files.get(fd) as OpenFile;
  return { task, r, w, reader: file(r), writer: file(w) };
}

describe('pipe', () => {
  it('passes bytes and ends when the writer closes', () => {
    const { task, r, w } = pipe();
    task.memory.bytes.set([1, 2, 3], at);
    expect(task.now(readWriteRows, 'write', w, at, 3)).toBe(3);
    expect(task.now(readWriteRows, 'read', r, at + 100, 10)).toBe(3);
    expect([...task.memory.bytes.subarray(at + 100, at + 103)]).toEqual([1, 2, 3]);
    task.files.remove(w);
    expect(task.now(readWriteRows, 'read', r, at, 10)).toBe(0);
  });

  it('wakes a sleeping reader, and restarts it after a signal', () => {
    const { task, r, w } = pipe();
    const read = task.sleeping(readWriteRows, 'read', r, at, 10);
    expect(read.resume('event')).toBeUndefined();
    task.now(readWriteRows, 'write', w, at, 4);
    expect(read.resume('event')).toBe(4);
    const other = task.sleeping(readWriteRows, 'read', r, at, 10);
    expect(other.resume('signal')).toBe(ERESTARTSYS);
  });

  it('writes up to PIPE_BUF all or nothing, and more in parts', () => {
    const { task, r, w, writer } = pipe(O_NONBLOCK);
    expect(task.now(readWriteRows, 'write', w, at, 65536 - 100)).toBe(65436);
    expect(task.now(readWriteRows, 'write', w, at, 101)).toBe(EAGAIN);
    expect(writer.poll() & POLLOUT).toBe(0);
    task.now(readWriteRows, 'read', r, at, 4096);
    expect(writer.poll() & POLLOUT).toBe(POLLOUT);
    expect(task.now(readWriteRows, 'write', w, at, 100_000)).toBe(4196);
  });

  it('goes on with a blocking write until all is taken', () => {
    const { task, r, w } = pipe();
    const write = task.sleeping(readWriteRows, 'write', w, at, 100_000);
    let read = 0;
    while (write.result === undefined) {
      read += task.now(readWriteRows, 'read', r, 200_000, 5000);
      write.resume('event');
    }
    expect(write.result).toBe(100_000);
    expect(read + (pipeOf(task.files.get(r) as OpenFile)?.ring.length ?? 0)).toBe(100_000);
  });

  it('answers a part written when a signal comes', () => {
    const { task, w } = pipe();
    const write = task.sleeping(readWriteRows, 'write', w, at, 100_000);
    expect(write.resume('signal')).toBe(65536);
  });

  it('sends SIGPIPE with EPIPE', () => {
    const { task, r, w, writer } = pipe();
    task.files.remove(r);
    expect(task.now(readWriteRows, 'write', w, at, 1)).toBe(EPIPE);
    expect(task.sent).toEqual([SIGPIPE]);
    expect(writer.poll() & POLLERR).toBe(POLLERR);
  });

  it('keeps packets apart with O_DIRECT', () => {
    const { task, r, w } = pipe(O_DIRECT);
    task.now(readWriteRows, 'write', w, at, 10);
    task.now(readWriteRows, 'write', w, at, 20);
    expect(task.now(readWriteRows, 'read', r, at, 4)).toBe(4);
    expect(task.now(readWriteRows, 'read', r, at, 100)).toBe(20);
  });

  it('keeps its bytes in order when the ring wraps and grows', () => {
    const { reader, writer } = pipe(O_NONBLOCK);
    let next = 0;
    let expected = 0;
    for (let round = 0; round < 200; round += 1) {
      const out = Uint8Array.from({ length: 1 + ((round * 37) % 900) }, () => next++ & 255);
      expect(writer.write(new BufferSource(out))).toBe(out.length);
      const room = new Uint8Array((round * 53) % 700);
      const count = room.length === 0 ? 0 : reader.read(new BufferSink(room));
      for (const byte of room.subarray(0, Math.max(0, count))) expect(byte).toBe(expected++ & 255);
    }
  });

  it('hangs up', () => {
    const { task, w, reader } = pipe();
    task.now(readWriteRows, 'write', w, at, 1);
    task.files.remove(w);
    expect(reader.poll()).toBe(POLLIN | 0x40 | POLLHUP);
  });

  it('resizes', () => {
    const { task, w, writer } = pipe();
    task.now(readWriteRows, 'write', w, at, 5000);
    const owner = pipeOf(writer);
    expect(owner?.resize(4096, false)).toBe(-16);
    expect(owner?.resize(5000, false)).toBe(8192);
    expect(owner?.resize(2 ** 21, false)).toBe(-1);
    expect(owner?.resize(2 ** 21, true)).toBe(2 ** 21);
  });
});

type Waiting = Generator<unknown, unknown, 'event'>;

describe('fifo', () => {
  const task = new FakeTask();
  // One with a name: unnamed pipes opened again have rules of their own.
  const named = () =>
    new TmpSpecial(
      new TmpFileSystem({ clock: task.kernel.clock }),
      { mode: 0o010600, uid: 0, gid: 0 },
      0,
    );

  it('opens a reader when a writer comes', () => {
    const fifo = named();
    const opening = openFifo(fifo, O_RDONLY, task.task) as Waiting;
    expect(opening.next('event').done).toBe(false);
    expect(openFifo(fifo, O_WRONLY, task.task)).toHaveProperty('pipe');
    expect(opening.next('event').done).toBe(true);
  });

  it('answers ENXIO to a writer that does not wait, and opens a reader that does not', () => {
    const fifo = named();
    expect(openFifo(fifo, O_WRONLY | O_NONBLOCK, task.task)).toBe(ENXIO);
    const reader = openFifo(fifo, O_RDONLY | O_NONBLOCK, task.task) as OpenFile;
    expect(reader.poll()).toBe(0);
    expect(reader.read(new BufferSink(new Uint8Array(1)))).toBe(0);
  });

  it('lets go when the waiting opener is killed', () => {
    const fifo = named();
    const opening = openFifo(fifo, O_RDONLY, task.task) as Waiting;
    opening.next('event');
    opening.return(undefined);
    expect(openFifo(fifo, O_WRONLY | O_NONBLOCK, task.task)).toBe(ENXIO);
  });

  it('never waits where an unnamed pipe is opened again', () => {
    const { task: owner, r, w, reader } = pipe();
    owner.files.remove(w);
    expect(openFifo(reader.node, O_RDONLY, owner.task)).toHaveProperty('pipe');
    const other = pipe();
    other.task.files.remove(other.r);
    expect(openFifo(other.writer.node, O_WRONLY | O_NONBLOCK, owner.task)).toHaveProperty('pipe');
    expect(r).toBe(0);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
} from '../../../abi/epoll.ts';
import { EAGAIN, EEXIST, EINTR, ELOOP, ENOENT, type SysResult } from '../../../abi/errno.ts';
import { FakeTask } from '../../../test/support/fake-task.ts';
import { epollRows } from '../../syscalls/epoll.ts';
import { eventfdRows } from '../../syscalls/eventfd.ts';
import { pipeRows } from '../../syscalls/pipe.ts';
import { pollRows } from '../../syscalls/poll.ts';
import { readWriteRows } from '../../syscalls/read-write.ts';
import { selectRows } from '../../syscalls/select.ts';
import { timerfdRows } from '../../syscalls/timerfd.ts';

const eventAt = 512;
const outAt = 1024;
const bufferAt = 4096;

class Guest extends FakeTask {
  epoll(): SysResult {
    return this.now(epollRows, 'epoll_create1', 0);
  }

  ctl(epoll: number, operation: number, fd: number, events = 0, data = fd): SysResult {
    this.memory.data.setUint32(eventAt, events >>> 0, true);
    this.memory.data.setUint32(eventAt + 4, data, true);
    return this.now(epollRows, 'epoll_ctl', epoll, operation, fd, eventAt);
  }

  /** Events that are ready now, as [data, events]. */
  ready(epoll: number, limit = 10): number[][] {
    const count = this.now(epollRows, 'epoll_wait', epoll, outAt, limit, 0);
    return Array.from({ length: count }, (_, index) => [
      this.memory.data.getUint32(outAt + index * 12 + 4, true),
      this.memory.data.getUint32(outAt + index * 12, true),
    ]);
  }

  pipe(): [number, number] {
    this.now(pipeRows, 'pipe', 0);
    return [this.memory.data.getInt32(0, true), this.memory.data.getInt32(4, true)];
  }

  write(fd: number, length: number): SysResult {
    return this.now(readWriteRows, 'write', fd, bufferAt, length);
  }

  read(fd: number, length: number): SysResult {
    return this.now(readWriteRows, 'read', fd, bufferAt, length);
  }
}

describe('epoll', () => {
  it('reports level-triggered events as long as they hold', () => {
    const guest = new Guest();
    const epoll = guest.epoll();
    const [r, w] = guest.pipe();
    expect(guest.ctl(epoll, EPOLL_CTL_ADD, r, EPOLLIN)).toBe(0);
    expect(guest.ready(epoll)).toEqual([]);
    guest.write(w, 3);
    expect(guest.ready(epoll)).toEqual([[r, EPOLLIN]]);
    expect(guest.ready(epoll)).toEqual([[r, EPOLLIN]]);
    guest.read(r, 3);
    expect(guest.ready(epoll)).toEqual([]);
  });

  it('reports an edge once, and again when more comes', () => {
    const guest = new Guest();
    const epoll = guest.epoll();
    const [r, w] = guest.pipe();
    guest.write(w, 1);
    guest.ctl(epoll, EPOLL_CTL_ADD, r, EPOLLIN | EPOLLET);
    expect(guest.ready(epoll)).toEqual([[r, EPOLLIN]]);
    expect(guest.ready(epoll)).toEqual([]);
    guest.write(w, 1);
    expect(guest.ready(epoll)).toEqual([[r, EPOLLIN]]);
  });

  it('disarms one-shot entries until they are modified', () => {
    const guest = new Guest();
    const epoll = guest.epoll();
    const [r, w] = guest.pipe();
    guest.ctl(epoll, EPOLL_CTL_ADD, r, EPOLLIN | EPOLLONESHOT);
    guest.write(w, 1);
    expect(guest.ready(epoll).length).toBe(1);
    guest.write(w, 1);
    expect(guest.ready(epoll)).toEqual([]);
    guest.ctl(epoll, EPOLL_CTL_MOD, r, EPOLLIN | EPOLLONESHOT);
    expect(guest.ready(epoll).length).toBe(1);
  });

  it('reports hang-ups unasked, and forgets closed files', () => {
    const guest = new Guest();
    const epoll = guest.epoll();
    const [r, w] = guest.pipe();
    guest.ctl(epoll, EPOLL_CTL_ADD, r, 0);
    guest.files.remove(w);
    expect(guest.ready(epoll)).toEqual([[r, EPOLLHUP]]);
    guest.files.remove(r);
    expect(guest.ready(epoll)).toEqual([]);
    expect(guest.ctl(epoll, EPOLL_CTL_DEL, r)).toBe(-9);
  });

  it('takes turns when there are more events than room', () => {
    const guest = new Guest();
    const epoll = guest.epoll();
    const fds = [0, 0, 0].map(() => guest.now(eventfdRows, 'eventfd', 1));
    for (const fd of fds) guest.ctl(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
    const seen = [...guest.ready(epoll, 2), ...guest.ready(epoll, 2)].map(([fd]) => fd);
    expect(new Set(seen)).toEqual(new Set(fds));
  });

  it('answers errors as Linux does', () => {
    const guest = new Guest();
    const epoll = guest.epoll();
    const [r] = guest.pipe();
    expect(guest.ctl(epoll, EPOLL_CTL_MOD, r, EPOLLIN)).toBe(ENOENT);
    guest.ctl(epoll, EPOLL_CTL_ADD, r, EPOLLIN);
    expect(guest.ctl(epoll, EPOLL_CTL_ADD, r, EPOLLIN)).toBe(EEXIST);
    expect(guest.ctl(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN)).toBe(-22);
  });

  it('nests up to five deep and refuses loops', () => {
    const guest = new Guest();
    const up = Array.from({ length: 6 }, () => guest.epoll());
    const results = [0, 1, 2, 3, 4].map((i) =>
      guest.ctl(up[i] as number, EPOLL_CTL_ADD, up[i + 1] as number, EPOLLIN),
    );
    expect(results).toEqual([0, 0, 0, 0, ELOOP]);
    expect(guest.ctl(up[2] as number, EPOLL_CTL_ADD, up[0] as number, EPOLLIN)).toBe(ELOOP);
    const event = guest.now(eventfdRows, 'eventfd', 0);
    guest.ctl(up[4] as number, EPOLL_CTL_ADD, event, EPOLLIN);
    const wait = guest.sleeping(epollRows, 'epoll_wait', up[0] as number, outAt, 4, 1000);
    guest.memory.bytes[bufferAt] = 1;
    guest.write(event, 8);
    expect(wait.resume('event')).toBe(1);
  });

  it('sleeps, and wakes for events, time and signals', () => {
    const guest = new Guest();
    const epoll = guest.epoll();
    const [r, w] = guest.pipe();
    guest.ctl(epoll, EPOLL_CTL_ADD, r, EPOLLIN);
    const wait = guest.sleeping(epollRows, 'epoll_wait', epoll, outAt, 4, 5);
    expect(wait.deadlineNs).toBe(guest.nowNs + 5e6);
    guest.write(w, 1);
    expect(wait.resume('event')).toBe(1);
    guest.read(r, 1);
    expect(guest.sleeping(epollRows, 'epoll_wait', epoll, outAt, 4, 5).resume('deadline')).toBe(0);
    expect(guest.sleeping(epollRows, 'epoll_wait', epoll, outAt, 4, -1).resume('signal')).toBe(
      EINTR,
    );
  });
});

describe('poll and select', () => {
  it('fills in revents and counts', () => {
    const guest = new Guest();
    const [r, w] = guest.pipe();
    const fds = guest.memory.data;
    for (const [index, [fd, events]] of [
      [r, 1],
      [w, 4],
      [-1, 1],
      [99, 1],
    ].entries()) {
      fds.setInt32(outAt + index * 8, fd as number, true);
      fds.setInt16(outAt + index * 8 + 4, events as number, true);
      fds.setInt16(outAt + index * 8 + 6, 0x7fff, true);
    }
    expect(guest.now(pollRows, 'poll', outAt, 4, 0)).toBe(2);
    expect([0, 1, 2, 3].map((index) => fds.getInt16(outAt + index * 8 + 6, true))).toEqual([
      0, 4, 0, 0x20,
    ]);
    fds.setInt16(outAt + 4, 1, true);
    const wait = guest.sleeping(pollRows, 'poll', outAt, 1, -1);
    guest.write(w, 1);
    expect(wait.resume('event')).toBe(1);
  });

  it('writes back the bits that are ready and the time that is left', () => {
    const guest = new Guest();
    const [r, w] = guest.pipe();
    const memory = guest.memory.data;
    memory.setUint32(outAt, 1 << r, true);
    memory.setUint32(outAt + 128, 1 << w, true);
    expect(guest.now(selectRows, 'select', w + 1, outAt, outAt + 128, 0, 0)).toBe(1);
    expect(memory.getUint32(outAt, true)).toBe(0);
    expect(memory.getUint32(outAt + 128, true)).toBe(1 << w);
    memory.setUint32(outAt, 1 << r, true);
    memory.setUint32(outAt + 256, 2, true);
    const wait = guest.sleeping(selectRows, 'select', w + 1, outAt, 0, 0, outAt + 256);
    guest.advance(500_000_000);
    guest.write(w, 1);
    expect(wait.resume('event')).toBe(1);
    expect(memory.getUint32(outAt + 256, true)).toBe(1);
    expect(memory.getUint32(outAt + 264, true)).toBe(500_000);
  });
});

describe('eventfd and timerfd', () => {
  it('counts, and decrements as a semaphore', () => {
    const guest = new Guest();
    const fd = guest.now(eventfdRows, 'eventfd2', 2, 1 | 0o4000);
    expect(guest.read(fd, 8)).toBe(8);
    expect(guest.memory.data.getUint32(bufferAt, true)).toBe(1);
    expect(guest.read(fd, 8)).toBe(8);
    expect(guest.read(fd, 8)).toBe(EAGAIN);
    guest.memory.data.setUint32(bufferAt, 0xffff_fffe, true);
    guest.memory.data.setUint32(bufferAt + 4, 0xffff_ffff, true);
    expect(guest.write(fd, 8)).toBe(8);
    guest.memory.data.setUint32(bufferAt, 1, true);
    guest.memory.data.setUint32(bufferAt + 4, 0, true);
    expect(guest.write(fd, 8)).toBe(EAGAIN);
    guest.memory.data.setUint32(bufferAt, 0xffff_ffff, true);
    guest.memory.data.setUint32(bufferAt + 4, 0xffff_ffff, true);
    expect(guest.write(fd, 8)).toBe(-22);
  });

  it('reads how often a timer expired', () => {
    const guest = new Guest();
    const fd = guest.now(timerfdRows, 'timerfd_create', 1, 0o4000);
    guest.memory.data.setUint32(outAt + 8, 100, true); // interval 100 ns
    guest.memory.data.setUint32(outAt + 24, 50, true); // first in 50 ns
    expect(guest.now(timerfdRows, 'timerfd_settime', fd, 0, outAt, 0)).toBe(0);
    expect(guest.read(fd, 8)).toBe(EAGAIN);
    guest.advance(350);
    expect(guest.read(fd, 8)).toBe(8);
    expect(guest.memory.data.getUint32(bufferAt, true)).toBe(4);
    guest.now(timerfdRows, 'timerfd_gettime', fd, outAt);
    expect(guest.memory.data.getUint32(outAt + 24, true)).toBe(100);
  });
});

// SPDX-License-Identifier: Apache-2.0
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { EBADF, EIO, isErrno } from '../../abi/errno.ts';
import { SIGCONT, SIGKILL, SIGSTOP } from '../../abi/signal.ts';
import { native } from '../../native/addon.ts';
import type { FreshAddressSpace, ProcessPool } from '../../sentry/platform/platform.ts';
import { TestGuests } from './test-guest.ts';

const guests = new TestGuests();
const { platform } = guests;
const folder = mkdtempSync(join(tmpdir(), 'runts-pool-'));
const list = join(folder, 'cgroup.procs');
afterAll(() => {
  platform.shutdown();
  rmSync(folder, { recursive: true });
});

function newProcessPool(): ProcessPool {
  // Appended, as a cgroup's list takes it.
  const pool = platform.newProcessPool([openSync(list, 'a')]);
  if (isErrno(pool)) throw new Error(`no pool: ${pool}`);
  return pool;
}

function born(pool?: ProcessPool): FreshAddressSpace {
  const fresh = platform.newAddressSpace(pool);
  if (isErrno(fresh)) throw new Error(`no address space: ${fresh}`);
  return fresh;
}

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));

it('a pool has its zygote moved once, and nobody else', () => {
  const pool = newProcessPool();
  const zygote = Number(readFileSync(list, 'latin1'));
  expect(isAlive(zygote)).toBe(true);
  const spaces = [born(pool), born(pool), born(pool), born()].map(({ space }) => space);
  expect(new Set(spaces.map((space) => space.hostId)).size).toBe(4);
  expect(spaces.map((space) => space.hostId)).not.toContain(zygote);
  expect(Number(readFileSync(list, 'latin1'))).toBe(zygote);
  pool.end();
  guests.until(() => !isAlive(zygote));
  expect(isAlive(zygote)).toBe(false);
  // What was born lives on; more are not.
  for (const space of spaces) expect(isAlive(space.hostId)).toBe(true);
  expect(isErrno(platform.newAddressSpace(pool))).toBe(true);
  for (const space of spaces) space.destroy();
  expect(guests.deaths).toEqual([]);
});

it('a zygote that the host kills is replaced, and nobody hears of it', () => {
  rmSync(list);
  const pool = newProcessPool();
  const zygote = Number(readFileSync(list, 'latin1'));
  const before = born(pool);
  native.kill(zygote, 9);
  // Reaped, too.
  guests.until(() => !existsSync(`/proc/${zygote}`));
  // Two may be ready still.
  const after = [born(pool), born(pool), born(pool), born(pool)];
  const [, next = '0'] = /^\d+?(?=(\d+)$)/.exec(readFileSync(list, 'latin1')) ?? [];
  expect(Number(next)).not.toBe(0);
  for (const { space } of [before, ...after]) expect(isAlive(space.hostId)).toBe(true);
  expect(guests.deaths).toEqual([]);
  for (const { space } of [before, ...after]) space.destroy();
  pool.end();
});

it('where it cannot be moved there is no pool, and nothing is left', () => {
  const fd = openSync(list, 'r');
  expect(platform.newProcessPool([fd])).toBe(EBADF);
  expect(() => closeSync(fd)).toThrow('EBADF');
  born().space.destroy();
});

it('nobody is waited for whom the host keeps from running', () => {
  rmSync(list, { force: true });
  const pool = newProcessPool();
  const zygote = Number(readFileSync(list, 'latin1'));
  const first = born(pool);
  guests.until(() => false, 50); // The pool is full.
  native.kill(zygote, SIGSTOP);
  const told: boolean[] = [];
  const taken: FreshAddressSpace[] = [first];
  for (;;) {
    const fresh = platform.tryNewAddressSpace(pool, (isReady) => told.push(isReady));
    if (fresh === undefined) break;
    if (isErrno(fresh)) throw new Error(`no address space: ${fresh}`);
    taken.push(fresh);
  }
  expect(taken.length).toBeGreaterThan(1);
  // Others are born meanwhile.
  born().space.destroy();
  expect(told).toEqual([]);
  native.kill(zygote, SIGCONT);
  guests.until(() => told.length > 0);
  expect(told).toEqual([true]);
  for (const { space } of [...taken, born(pool)]) space.destroy();
  pool.end();
});

it('operations of one that does not run are heard of later, and of one that died', () => {
  const common = { kind: 'mapAnonymous', noreserve: false, populate: false, prot: 3 } as const;
  for (const [signal, answer] of [
    [SIGCONT, 0],
    [SIGKILL, EIO],
  ] as const) {
    const { space, thread } = born();
    native.kill(space.hostId, SIGSTOP);
    const heard: number[] = [];
    space.queueOperation({ ...common, addr: 0x20000, length: 0x1000 }, thread);
    expect(space.tryFlush(thread, (result) => heard.push(result))).toBe(undefined);
    expect(heard).toEqual([]);
    native.kill(space.hostId, signal);
    guests.until(() => heard.length > 0);
    expect(heard).toEqual([answer]);
    if (answer === 0) {
      expect(space.write(0x20000, new Uint8Array(8), 8)).toBe(8);
      space.destroy();
    }
  }
});

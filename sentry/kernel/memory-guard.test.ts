// SPDX-License-Identifier: Apache-2.0
// The OOM killer of a container: who is killed, when, and what is refused meanwhile.
import { describe, expect, it } from 'vitest';
import { SIGKILL } from '../../abi/signal.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { noLimits } from './allowance.ts';
import { MemoryGuard } from './memory-guard.ts';
import type { Task } from './task.ts';

const MIB = 2 ** 20;
const LIMIT = 512 * MIB;

class Guarded {
  readonly fake: FakeKernel = new FakeKernel();
  /** What the host says of the Sentry. */
  sentryBytes = 0;
  collections = 0;
  readonly guard: MemoryGuard;

  constructor(guardedBytes: number = LIMIT) {
    const { kernel, container } = this.fake;
    this.guard = new MemoryGuard(kernel, {
      inUseBytes: () => this.sentryBytes,
      collectGarbage: () => {
        this.collections += 1;
      },
    });
    container.allowance.limits = { ...noLimits, memoryBytes: guardedBytes };
    this.guard.add(container);
  }

  process(bytes: number, badness = 0): Task {
    const task = this.fake.process();
    const usage = { residentBytes: bytes, chargedBytes: bytes, cpuNs: 0 };
    task.mm.space.usage = () => usage;
    task.group.oomScoreAdjustment = badness;
    return task;
  }

  look(): void {
    this.fake.nowNs += 1e9;
    this.guard.look(this.fake.nowNs);
  }

  get account(): FakeKernel['container']['allowance']['account'] {
    return this.fake.container.allowance.account;
  }
}

const isKilled = (task: Task): boolean =>
  task.group.isExiting && (task.group.exitStatus & 0x7f) === SIGKILL;

describe('MemoryGuard', () => {
  it('kills the largest process past the limit, one at a time', () => {
    const guarded = new Guarded();
    guarded.account.forcePages(100 * MIB);
    const small = guarded.process(200 * MIB);
    const large = guarded.process(220 * MIB);
    guarded.look();
    expect([isKilled(small), isKilled(large)]).toEqual([false, true]);
    guarded.look();
    expect(isKilled(small)).toBe(false);
    expect(guarded.fake.container.allowance.memoryKills).toBe(1);
  });

  it('looks twice more when the last guest has come to rest, and then waits for one to run', () => {
    const guarded = new Guarded();
    const task = guarded.process(MIB);
    task.state = 'guest';
    guarded.look();
    expect(guarded.guard.deadlineNs()).toBeLessThan(Number.POSITIVE_INFINITY);
    task.state = 'sleeping';
    guarded.look();
    expect(guarded.guard.deadlineNs()).toBeLessThan(Number.POSITIVE_INFINITY);
    guarded.look();
    expect(guarded.guard.deadlineNs()).toBe(Number.POSITIVE_INFINITY);
    // Whatever happens, a guest may have run meanwhile.
    guarded.guard.look(guarded.fake.nowNs);
    expect(guarded.guard.deadlineNs()).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  it('counts what the kernel keeps for a process as its own', () => {
    const guarded = new Guarded();
    const innocent = guarded.process(200 * MIB);
    const hoarder = guarded.process(MIB);
    hoarder.group.account.force(400 * MIB);
    guarded.look();
    expect([isKilled(innocent), isKilled(hoarder)]).toEqual([false, true]);
  });

  it('obeys oom_score_adj', () => {
    const guarded = new Guarded();
    guarded.account.force(70 * MIB);
    const sacred = guarded.process(400 * MIB, -1000);
    const doomed = guarded.process(150 * MIB, 500);
    guarded.look();
    expect([isKilled(sacred), isKilled(doomed)]).toEqual([false, true]);
  });

  it('looks at processes that a cgroup holds once the account has an eighth of the limit', () => {
    const guarded = new Guarded();
    const task = guarded.process(500 * MIB);
    guarded.account.force(20 * MIB);
    guarded.look();
    expect(isKilled(task)).toBe(false);
    guarded.account.force(50 * MIB);
    guarded.look();
    expect(isKilled(task)).toBe(true);
  });

  it('leaves no room in the account for what guests have, but to a fork', () => {
    const guarded = new Guarded();
    guarded.process(390 * MIB);
    guarded.account.force(65 * MIB);
    guarded.look();
    expect(guarded.account.charge(10 * MIB)).toBe(false);
    expect(guarded.account.hasRoomBesideGuests(10 * MIB)).toBe(true);
  });

  it('collects garbage where the Sentry is larger than paid for, and has guests pay for the rest', () => {
    const guarded = new Guarded();
    const task = guarded.process(MIB);
    guarded.account.force(100 * MIB);
    guarded.sentryBytes = 50 * MIB;
    guarded.look();
    guarded.sentryBytes = 200 * MIB;
    guarded.look();
    expect(guarded.collections).toBe(0);
    guarded.sentryBytes = 800 * MIB;
    guarded.look();
    expect(guarded.collections).toBe(1);
    expect(isKilled(task)).toBe(true);
  });
});

describe('garbage of the Sentry', () => {
  it('is left alone, which stops nobody, while the limit is far', () => {
    const guarded = new Guarded(4096 * MIB);
    guarded.process(MIB);
    guarded.look();
    guarded.sentryBytes = 800 * MIB;
    guarded.look();
    expect(guarded.collections).toBe(0);
    guarded.sentryBytes = 3500 * MIB;
    guarded.look();
    expect(guarded.collections).toBe(1);
  });
});

describe('a process', () => {
  it('is charged with its threads, until it was waited for', () => {
    const { fake, account } = new Guarded();
    const before = account.usedBytes;
    const parent = fake.process();
    fake.thread(parent.group);
    const { process, task } = OBJECT_COST;
    expect(account.usedBytes - before).toBe(process + 2 * task);
  });
});

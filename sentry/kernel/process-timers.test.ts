// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { RLIM_INFINITY, RLIMIT_CPU } from '../../abi/resource.ts';
import {
  SIG_IGN,
  SIGALRM,
  SIGEV_NONE,
  SIGEV_SIGNAL,
  SIGEV_THREAD_ID,
  SIGKILL,
  SIGRTMIN,
  SIGXCPU,
} from '../../abi/signal.ts';
import { ITIMER_PROF, ITIMER_REAL } from '../../abi/time.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { SignalSet } from '../base/sigset.ts';
import { watchCpuLimit } from './cpu-limit.ts';
import { exitTask } from './exit.ts';
import { IntervalTimers } from './interval-timer.ts';
import { PosixTimer } from './posix-timer.ts';
import { defaultAction } from './signal-state.ts';
import type { Task } from './task.ts';

const MS = 1e6;
let fake: FakeKernel;
let task: Task;

beforeEach(() => {
  fake = new FakeKernel();
  task = fake.process(fake.process().group);
  task.setSignalMask(new SignalSet(0xffffffff, 0xffffffff));
});

const timer = (notify: number, target: Task | undefined = undefined): PosixTimer =>
  new PosixTimer(
    task.group,
    5,
    { nowNs: () => fake.nowNs, isCpu: false },
    { notify, signal: SIGRTMIN, valueLo: 1, valueHi: 2, target },
  );

describe('PosixTimer', () => {
  it('counts what it misses until its signal is taken', () => {
    const periodic = timer(SIGEV_SIGNAL);
    periodic.set(fake.nowNs + 10 * MS, 10 * MS);
    fake.run(10 * MS);
    fake.run(35 * MS);
    expect(periodic.overrun).toBe(0);
    expect(periodic.get().valueNs).toBe(5 * MS);
    const info = task.group.pending.take(SIGRTMIN);
    expect([info?.overrun, info?.timerId, periodic.overrun]).toEqual([3, 5, 3]);
    fake.run(4 * MS);
    expect(task.group.pending.isEmpty).toBe(true);
    fake.run(MS);
    expect(task.group.pending.take(SIGRTMIN)?.overrun).toBe(0);
  });

  it('forgets the signal of before when it is set anew', () => {
    const periodic = timer(SIGEV_SIGNAL);
    periodic.set(fake.nowNs + MS, MS);
    fake.run(MS);
    periodic.set(0, 0);
    fake.run(10 * MS);
    expect(task.group.pending.take(SIGRTMIN)?.overrun).toBe(0);
    expect(fake.kernel.guestTimers.size).toBe(0);
  });

  it('goes on where its thread is gone or its signal is ignored, at a pace', () => {
    const other = fake.thread(task.group);
    timer(SIGEV_THREAD_ID, other).set(fake.nowNs + 1, 1);
    exitTask(other, 0);
    fake.run(10);
    expect(fake.kernel.guestTimers.nextDeadlineNs()).toBe(fake.nowNs + MS);
    task.setSignalMask(new SignalSet());
    task.group.actions.set(SIGRTMIN, { ...defaultAction, handler: SIG_IGN });
    fake.run(MS);
    expect(fake.kernel.guestTimers.size).toBe(1);
  });

  it('only tells the time with SIGEV_NONE', () => {
    const silent = timer(SIGEV_NONE);
    silent.set(fake.nowNs + 10, 0);
    fake.run(4);
    expect(silent.get().valueNs).toBe(6);
    fake.run(100);
    expect([silent.get().valueNs, task.group.pending.isEmpty]).toEqual([0, true]);
  });
});

describe('IntervalTimers', () => {
  it('sends again and again, and slows down while nobody takes it', () => {
    const timers = IntervalTimers.of(task.group);
    timers.set(ITIMER_REAL, { valueNs: 1000, intervalNs: 1000 });
    fake.run(1000);
    expect(task.group.pending.take(SIGALRM)).toBeDefined();
    fake.run(1000);
    fake.run(1000);
    expect(fake.kernel.guestTimers.nextDeadlineNs()).toBe(fake.nowNs + MS);
    exitTask(task, 0);
    expect(fake.kernel.guestTimers.size).toBe(0);
  });

  it('looks at CPU time when it may have passed', () => {
    const timers = IntervalTimers.of(task.group);
    timers.set(ITIMER_PROF, { valueNs: 20 * MS, intervalNs: 0 });
    fake.cpuNs = 5 * MS;
    fake.run(20 * MS);
    expect([task.group.pending.isEmpty, timers.get(ITIMER_PROF).valueNs]).toEqual([true, 15 * MS]);
    fake.cpuNs = 20 * MS;
    fake.run(15 * MS);
    expect([task.group.pending.isEmpty, timers.get(ITIMER_PROF).valueNs]).toEqual([false, 0]);
  });
});

describe('RLIMIT_CPU', () => {
  it('arms nothing without a limit', () => {
    watchCpuLimit(task.group);
    expect(fake.kernel.guestTimers.size).toBe(0);
  });

  it('sends SIGXCPU each second from the soft limit on, and SIGKILL at the hard one', () => {
    task.group.limits.set(RLIMIT_CPU, { soft: 1, hard: 2 });
    watchCpuLimit(task.group);
    fake.cpuNs = 1e9;
    fake.run(1e9);
    expect(task.group.pending.take(SIGXCPU)).toBeDefined();
    expect(task.group.limits.soft(RLIMIT_CPU)).toBe(2);
    fake.cpuNs = 2e9;
    fake.run(1e9);
    expect(task.group.exitStatus).toBe(signaledStatus(SIGKILL, false));
    expect(fake.kernel.guestTimers.size).toBe(0);
  });

  it('is off again when the limit is lifted', () => {
    task.group.limits.set(RLIMIT_CPU, { soft: 1, hard: RLIM_INFINITY });
    watchCpuLimit(task.group);
    task.group.limits.set(RLIMIT_CPU, { soft: RLIM_INFINITY, hard: RLIM_INFINITY });
    watchCpuLimit(task.group);
    expect(fake.kernel.guestTimers.size).toBe(0);
  });
});

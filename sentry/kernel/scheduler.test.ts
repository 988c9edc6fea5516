// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { ERESTARTNOHAND, ERESTARTSYS, type SysResult } from '../../abi/errno.ts';
import { SIG_DFL, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1 } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { SignalSet } from '../base/sigset.ts';
import {
  type Blocking,
  KILLABLE_PAUSE,
  PAUSE,
  type Sleep,
  sleepUntil,
  type Wake,
} from '../base/wait.ts';
import { exitTask, groupExit } from './exit.ts';
import type { Task } from './task.ts';

let fake: FakeKernel;
let task: Task;

beforeEach(() => {
  fake = new FakeKernel();
  task = fake.process(fake.process().group);
});

/** A call that sleeps for good, and notes how it ended. */
function* sleepsForever(ends: string[]): Blocking<SysResult> {
  try {
    const wake: Wake = yield sleepUntil(Number.POSITIVE_INFINITY);
    ends.push(wake);
    return ERESTARTSYS;
  } finally {
    ends.push('finally');
  }
}

const handle = (signal: number): void =>
  task.group.actions.set(signal, { handler: 0x1000, flags: 0, restorer: 0, mask: new SignalSet() });

describe('Scheduler', () => {
  it('resumes a call that answers at once', () => {
    fake.syscall(task, () => 3);
    expect([task.state, fake.told(task)]).toEqual(['guest', ['resume 3']]);
  });

  it('puts a call to sleep and ends it by its deadline', () => {
    function* call(): Blocking<number> {
      return (yield sleepUntil(fake.nowNs + 50)) === 'deadline' ? 7 : 8;
    }
    fake.syscall(task, call);
    expect(task.state).toBe('sleeping');
    fake.run(49);
    expect(task.state).toBe('sleeping');
    fake.run(1);
    expect([task.state, fake.told(task)]).toEqual(['guest', ['wait', 'resume 7']]);
  });

  it('runs the finally blocks of a sleeper that is killed', () => {
    const ends: string[] = [];
    fake.syscall(task, () => sleepsForever(ends));
    groupExit(task.group, SIGKILL);
    fake.run();
    expect([task.state, ends]).toEqual(['dead', ['finally']]);
  });

  it('runs the finally blocks of a call that dies in its own step', () => {
    const ends: string[] = [];
    fake.syscall(task, function* () {
      groupExit(task.group, SIGKILL);
      return yield* sleepsForever(ends);
    });
    expect([task.state, ends]).toEqual(['dead', ['finally']]);
  });

  it('makes an interrupted call again after a stop', () => {
    fake.syscall(task, () => sleepsForever([]));
    task.group.send({ signal: SIGSTOP, code: 0 });
    fake.run();
    expect(task.state).toBe('stopped');
    task.group.send({ signal: SIGCONT, code: 0 });
    fake.run();
    expect([task.state, fake.told(task)]).toEqual(['guest', ['wait', 'wait', 'resume']]);
  });

  it('lets SIGCONT undo a stop that was only asked for', () => {
    task.group.send({ signal: SIGSTOP, code: 0 });
    task.group.send({ signal: SIGCONT, code: 0 });
    fake.interrupted(task);
    expect([task.state, task.group.report]).toEqual(['guest', undefined]);
  });

  it('stops again when SIGSTOP comes between SIGCONT and the run', () => {
    task.group.send({ signal: SIGSTOP, code: 0 });
    fake.interrupted(task);
    task.group.send({ signal: SIGCONT, code: 0 });
    task.group.send({ signal: SIGSTOP, code: 0 });
    fake.run();
    expect([task.state, task.group.report?.kind]).toEqual(['stopped', 'stopped']);
  });

  it('keeps a stopped process from fatal signals other than SIGKILL', () => {
    task.group.send({ signal: SIGSTOP, code: 0 });
    fake.interrupted(task);
    task.group.send({ signal: SIGTERM, code: 0 });
    fake.run();
    expect(task.state).toBe('stopped');
    task.group.send({ signal: SIGCONT, code: 0 });
    fake.run();
    expect(task.group.exitStatus).toBe(signaledStatus(SIGTERM, false));
  });

  it('kills a stopped process that is about to go on', () => {
    task.group.send({ signal: SIGSTOP, code: 0 });
    fake.interrupted(task);
    task.group.send({ signal: SIGCONT, code: 0 });
    task.group.send({ signal: SIGKILL, code: 0 });
    fake.run();
    expect([task.state, task.group.state]).toEqual(['dead', 'zombie']);
  });

  it('reports a stop when the last thread that ran leaves', () => {
    const other = fake.thread(task.group);
    task.group.send({ signal: SIGSTOP, code: 0 });
    fake.interrupted(task);
    expect(task.group.report).toBeUndefined();
    exitTask(other, 0);
    expect(task.group.report?.kind).toBe('stopped');
  });

  it('tells another thread when the one a signal was for blocks it or ends', () => {
    handle(SIGUSR1);
    const other = fake.thread(task.group);
    task.group.send({ signal: SIGUSR1, code: 0 });
    expect([fake.told(task), fake.told(other)]).toEqual([['interrupt'], []]);
    task.setSignalMask(SignalSet.of(SIGUSR1));
    expect(fake.told(other)).toEqual(['interrupt']);
    exitTask(other, 0);
    const third = fake.thread(task.group);
    task.setSignalMask(new SignalSet());
    exitTask(task, 0);
    expect(fake.told(third)).toEqual(['interrupt']);
  });

  it('ends a temporary mask before it looks again, and does not interrupt the call twice', () => {
    task.setSignalMask(SignalSet.of(SIGUSR1));
    task.setTemporarySignalMask(SignalSet.of(SIGTERM));
    fake.syscall(task, () => ERESTARTNOHAND);
    expect([task.savedMask, fake.told(task)]).toEqual([undefined, ['resume']]);
    expect(task.signalMask.has(SIGUSR1)).toBe(true);
  });

  it('ignores the stop of a thread whose task has ended', () => {
    const other = fake.thread(task.group);
    exitTask(other, 0);
    fake.told(other);
    fake.kernel.scheduler.threadStopped(other.thread);
    expect(fake.told(other)).toEqual(['exit']);
    expect(task.group.actions.get(SIGUSR1).handler).toBe(SIG_DFL);
  });

  /** A call of three pieces, which notes how it goes. */
  function* works(name: string, pause: Sleep, notes: string[]): Blocking<SysResult> {
    try {
      for (let piece = 1; piece <= 3; piece += 1) {
        notes.push(`${name}${piece}`);
        if ((yield pause) === 'signal') return ERESTARTSYS;
      }
      return 9;
    } finally {
      notes.push(`${name} ends`);
    }
  }

  it('lets long calls take turns', () => {
    const notes: string[] = [];
    const other = fake.process(fake.process().group);
    fake.syscall(task, () => works('a', PAUSE, notes));
    fake.syscall(other, () => works('b', PAUSE, notes));
    const { scheduler } = fake.kernel;
    expect([scheduler.hasReady, scheduler.hasUnfinished]).toEqual([false, true]);
    while (scheduler.hasUnfinished) scheduler.runPiece();
    expect(notes).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3', 'a ends', 'b ends']);
    expect(fake.told(task)).toEqual(['wait', 'wait', 'wait', 'resume 9']);
  });

  it('runs a lone task that wakes among thousands of another process before most of them', () => {
    const crowd = fake.process(fake.process().group);
    const order: string[] = [];
    function* call(name: string): Blocking<number> {
      yield sleepUntil(fake.nowNs + 1);
      order.push(name);
      fake.nowNs += 1e6;
      return 0;
    }
    fake.syscall(crowd, () => call('crowd'));
    for (let i = 0; i < 200; i += 1) {
      const thread = fake.thread(crowd.group);
      fake.syscall(thread, () => call('crowd'));
    }
    fake.syscall(task, () => call('lone'));
    fake.run(1);
    while (fake.kernel.scheduler.hasReady) fake.kernel.scheduler.runReady();
    expect(order).toHaveLength(202);
    expect(order.indexOf('lone')).toBeLessThan(10);
  });

  it('ends a pause by a signal, but not one that only death ends', () => {
    handle(SIGUSR1);
    const notes: string[] = [];
    fake.syscall(task, () => works('a', PAUSE, notes));
    const other = fake.process(fake.process().group);
    other.group.actions.set(SIGUSR1, { handler: 1, flags: 0, restorer: 0, mask: new SignalSet() });
    fake.syscall(other, () => works('b', KILLABLE_PAUSE, notes));
    task.group.send({ signal: SIGUSR1, code: 0 });
    other.group.send({ signal: SIGUSR1, code: 0 });
    const { scheduler } = fake.kernel;
    scheduler.runPiece();
    scheduler.runPiece();
    expect(notes).toEqual(['a1', 'b1', 'a ends', 'b2']);
    groupExit(other.group, SIGKILL);
    expect(notes.at(-1)).toBe('b ends');
    while (scheduler.hasUnfinished) scheduler.runPiece();
    expect(other.state).toBe('dead');
  });
});

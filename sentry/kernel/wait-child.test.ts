// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { ECHILD } from '../../abi/errno.ts';
import {
  SA_NOCLDWAIT,
  SIG_DFL,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGKILL,
  SIGSTOP,
} from '../../abi/signal.ts';
import {
  __WALL,
  __WCLONE,
  __WNOTHREAD,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
} from '../../abi/wait.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { SignalSet } from '../base/sigset.ts';
import { exitTask, groupExit } from './exit.ts';
import { ProcessGroup } from './session.ts';
import { defaultAction } from './signal-state.ts';
import type { Task } from './task.ts';
import { type WaitOutcome, waitForChild } from './wait-child.ts';

let fake: FakeKernel;
let parent: Task;
let child: Task;
let outcome: WaitOutcome | undefined;

beforeEach(() => {
  fake = new FakeKernel();
  parent = fake.process(fake.process().group);
  child = fake.process(parent.group);
  outcome = undefined;
});

/** Waits without sleeping: the pid, 0 or an errno. */
function wait(options: number, task = parent): number {
  const answer = waitForChild(
    task,
    { matches: () => true, matchesTracee: () => false, options: options | WNOHANG },
    (found) => {
      outcome = found;
      return found?.pid ?? 0;
    },
  );
  return typeof answer === 'number' ? answer : Number.NaN;
}

function stop(task: Task): void {
  task.group.send({ signal: SIGSTOP, code: 0 });
  fake.interrupted(task);
}

describe('waitForChild', () => {
  it('reports an exit once, with what the child used', () => {
    fake.cpuNs = 5e6;
    expect(wait(WEXITED)).toBe(0);
    exitTask(child, 3);
    expect(wait(WEXITED | WNOWAIT)).toBe(child.tid);
    expect(wait(WEXITED)).toBe(child.tid);
    expect([outcome?.status, outcome?.cpuNs, parent.group.childrenCpuNs]).toEqual([768, 5e6, 5e6]);
    expect(wait(WEXITED)).toBe(ECHILD);
  });

  it('reports stops and continues to those who ask for them', () => {
    stop(child);
    expect(wait(WEXITED)).toBe(0);
    expect(wait(WEXITED | WSTOPPED)).toBe(child.tid);
    expect(wait(WEXITED | WSTOPPED)).toBe(0);
    child.group.send({ signal: SIGCONT, code: 0 });
    expect(wait(WCONTINUED)).toBe(child.tid);
    expect(wait(WCONTINUED)).toBe(0);
  });

  it('wakes every thread that waits; one gets the child, the others none', () => {
    const second = fake.thread(parent.group);
    for (const task of [parent, second])
      fake.syscall(task, () =>
        waitForChild(
          task,
          { matches: () => true, matchesTracee: () => false, options: WEXITED },
          (found) => found?.pid ?? 0,
        ),
      );
    expect([parent.state, second.state]).toEqual(['sleeping', 'sleeping']);
    exitTask(child, 0);
    fake.run();
    expect(fake.told(parent)).toContain(`resume ${child.tid}`);
    expect(fake.told(second)).toContain(`resume ${ECHILD}`);
  });

  it('tells clone children by their exit signal, and own ones by their maker', () => {
    child.group.exitSignal = 0;
    exitTask(child, 0);
    expect(wait(WEXITED)).toBe(ECHILD);
    const second = fake.thread(parent.group);
    expect(wait(WEXITED | __WALL | __WNOTHREAD, second)).toBe(ECHILD);
    expect(wait(WEXITED | __WCLONE | __WNOTHREAD)).toBe(child.tid);
  });

  it('passes a thread’s children to its siblings', () => {
    const second = fake.thread(parent.group);
    child.group.creator = second;
    child.parentDeathSignal = SIGKILL;
    exitTask(second, 0);
    expect(child.group.state).toBe('zombie');
    expect(wait(WEXITED | __WNOTHREAD)).toBe(child.tid);
  });
});

describe('the end of a process', () => {
  it.each([
    ['ignored SIGCHLD', SIG_IGN, 0, false],
    ['SA_NOCLDWAIT', SIG_DFL, SA_NOCLDWAIT, true],
  ])('leaves no zombie with %s', (_name, handler, flags, isSent) => {
    parent.setSignalMask(SignalSet.of(SIGCHLD));
    parent.group.actions.set(SIGCHLD, { ...defaultAction, handler, flags });
    exitTask(child, 0);
    expect(child.group.state).toBe('reaped');
    expect(parent.group.pending.set.has(SIGCHLD)).toBe(isSent);
  });

  it('sends SIGCHLD to a parent that execed, and nothing for signals that are none', () => {
    parent.setSignalMask(SignalSet.of(SIGCHLD));
    child.group.exitSignal = 200;
    const other = fake.process(parent.group);
    exitTask(child, 0);
    expect(parent.group.pending.set.isEmpty).toBe(true);
    other.group.exitSignal = 0;
    parent.group.execCount += 1;
    exitTask(other, 0);
    expect(parent.group.pending.set.has(SIGCHLD)).toBe(true);
  });

  it('gives orphans to init, which waits for them, and zombies with them', () => {
    const zombie = fake.process(child.group);
    const orphan = fake.process(child.group);
    exitTask(zombie, 0);
    exitTask(child, 0);
    expect([zombie.group.state, orphan.group.parentId]).toEqual(['reaped', 1]);
    groupExit(orphan.group, 0);
    expect(orphan.group.state).toBe('reaped');
  });

  it('gives orphans to a subreaper, with SIGCHLD for zombies', () => {
    parent.group.isSubreaper = true;
    parent.setSignalMask(SignalSet.of(SIGCHLD));
    const zombie = fake.process(child.group);
    exitTask(zombie, 0);
    child.group.exitSignal = 0;
    exitTask(child, 0);
    expect(zombie.group.parent).toBe(parent.group);
    expect(parent.group.pending.set.has(SIGCHLD)).toBe(true);
  });

  it('hangs up a stopped group that it orphans, and none that was orphaned before', () => {
    fake.container.pids.newSession(parent.group);
    child.group.moveTo(parent.group.processGroup);
    const job = fake.process(child.group);
    const jobs = new ProcessGroup(job.tid, parent.group.processGroup.session);
    fake.container.pids.processGroups.set(jobs.id, jobs);
    job.group.moveTo(jobs);
    job.setSignalMask(SignalSet.of(SIGHUP));
    stop(job);
    child.group.parent = parent.group;
    exitTask(child, 0);
    expect(job.group.pending.set.has(SIGHUP)).toBe(true);
    fake.run();
    const member = fake.process(job.group);
    job.pending.discard(SignalSet.of(SIGHUP));
    job.group.pending.discard(SignalSet.of(SIGHUP));
    stop(job);
    exitTask(member, 0);
    expect(job.group.pending.set.has(SIGHUP)).toBe(false);
  });
});

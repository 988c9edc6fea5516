// SPDX-License-Identifier: Apache-2.0
// Process 1, containers side by side and in one PID namespace, and processes that are started from outside
// (pid_namespaces(7)).
import { beforeEach, describe, expect, it } from 'vitest';
import {
  SI_KERNEL,
  SI_USER,
  SIG_IGN,
  SIGCHLD,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SIGTERM,
  SIGUSR1,
} from '../../abi/signal.ts';
import { exitedStatus, signaledStatus } from '../../abi/wait.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { SignalSet } from '../base/sigset.ts';
import type { Container } from './container.ts';
import { exitTask, groupExit } from './exit.ts';
import { pidSeenFrom } from './pid-namespace.ts';
import { forceSignal } from './signal-delivery.ts';
import type { Task } from './task.ts';

const killed = signaledStatus(SIGKILL, false);

let fake: FakeKernel;
/** A second container beside the fake kernel's first one. */
let container: Container;
let init: Task;
let child: Task;

beforeEach(() => {
  fake = new FakeKernel();
  container = fake.newContainer('second');
  init = fake.outsider(container, true);
  child = fake.process(init.group);
});

const sendTo = (task: Task, signal: number): void =>
  task.group.send({ signal, code: SI_USER, pid: child.tid, uid: 0 });

const setHandler = (task: Task, signal: number, handler: number): void =>
  task.group.actions.set(signal, { handler, flags: 0, restorer: 0, mask: new SignalSet() });

describe('process 1', () => {
  it('has id 1, nobody above it, and a session of its own', () => {
    expect([init.tid, init.group.parentId, child.tid, child.group.parentId]).toEqual([1, 0, 2, 1]);
    expect(init.group.processGroup.session.leader).toBe(init.group);
  });

  it.each([SIGTERM, SIGUSR1, SIGSEGV, SIGKILL, SIGSTOP])(
    'is deaf to an unhandled %i from inside',
    (signal) => {
      sendTo(init, signal);
      fake.interrupted(init);
      expect([init.state, init.group.stopRequested]).toEqual(['guest', false]);
    },
  );

  it('drops a signal that it blocked and never handled', () => {
    init.setSignalMask(SignalSet.of(SIGTERM));
    sendTo(init, SIGTERM);
    expect(init.group.pending.set.has(SIGTERM)).toBe(true); // For sigtimedwait(2).
    init.setSignalMask(new SignalSet());
    fake.interrupted(init);
    expect([init.state, init.group.pending.isEmpty]).toEqual(['guest', true]);
  });

  it('gets what it handles', () => {
    setHandler(init, SIGTERM, 0x1000);
    sendTo(init, SIGTERM);
    expect(init.group.pending.set.has(SIGTERM)).toBe(true);
  });

  it('is killed and stopped from outside, but not ended by SIGTERM', () => {
    container.signal(SIGTERM);
    fake.interrupted(init);
    expect(init.state).toBe('guest');
    container.signal(SIGSTOP);
    fake.interrupted(init);
    expect(init.state).toBe('stopped');
    container.signal(SIGKILL);
    expect([init.group.exitStatus, container.state]).toEqual([killed, 'stopped']);
  });

  it('is killed by the kernel, and dies of its own faults', () => {
    forceSignal(init, { signal: SIGSEGV, code: 1, addr: 0 });
    fake.interrupted(init);
    expect(init.group.exitStatus & 0x7f).toBe(SIGSEGV);
    const other = fake.outsider(fake.newContainer('third'), true);
    other.group.send({ signal: SIGKILL, code: SI_KERNEL });
    expect(other.group.exitStatus).toBe(killed);
  });

  it('adopts orphans, and waits for them itself', () => {
    const orphan = fake.process(child.group);
    init.setSignalMask(SignalSet.of(SIGCHLD));
    exitTask(child, 0);
    expect(orphan.group.parentId).toBe(1);
    exitTask(orphan, 0);
    expect([orphan.group.state, init.group.pending.set.has(SIGCHLD)]).toEqual(['zombie', true]);
  });

  it('leaves orphans to a subreaper below it', () => {
    child.group.isSubreaper = true;
    const middle = fake.process(child.group);
    const orphan = fake.process(middle.group);
    exitTask(middle, 0);
    expect(orphan.group.parent).toBe(child.group);
  });

  it('takes all of its namespace with it, zombies included', () => {
    const grandchild = fake.process(child.group);
    const zombie = fake.process(child.group);
    const beside = fake.outsider(container, false);
    exitTask(zombie, 0);
    container.watch(beside.group, (status) => fake.ends.push(['beside', status]));
    exitTask(init, 7);
    const states = [child, grandchild, zombie, beside, init].map((task) => task.group.state);
    expect(new Set(states)).toEqual(new Set(['reaped']));
    expect(fake.ends).toEqual([
      ['beside', killed],
      ['second', exitedStatus(7)],
    ]);
    expect([container.pids.tasks.size, container.pids.groups.size]).toEqual([0, 0]);
    expect(container.pids.allocatePid(container)).toBeUndefined();
  });
});

describe('containers side by side', () => {
  it('have pids of their own, and do not see one another', () => {
    const first = fake.process();
    expect([first.tid, child.tid]).toEqual([2, 2]);
    expect(container.pids.processOf(2)).toBe(child.group);
    expect(fake.container.pids.processOf(2)).toBe(first.group);
    expect(container.pids.inode).not.toBe(fake.container.pids.inode);
    expect(pidSeenFrom(container.pids, first.pids, first.tid)).toBe(0);
    expect(pidSeenFrom(container.pids, init.pids, child.tid)).toBe(2);
  });

  it('may have process groups and sessions of the same number', () => {
    const other = fake.outsider(fake.newContainer('third'), true);
    expect(other.group.processGroup.id).toBe(init.group.processGroup.id);
    expect(other.group.processGroup).not.toBe(init.group.processGroup);
    exitTask(other, 0);
    expect(container.pids.processGroups.get(1)).toBe(init.group.processGroup);
  });

  it('end alone, except the first, which is the sandbox', () => {
    const main = fake.process();
    fake.container.main = main.group;
    const third = fake.newContainer('third');
    const other = fake.outsider(third, true);
    exitTask(other, 3);
    expect([main.state, child.state]).toEqual(['guest', 'guest']);
    exitTask(main, 0);
    expect(fake.ends).toEqual([
      ['third', exitedStatus(3)],
      ['first', 0],
      ['second', killed],
    ]);
    expect([fake.kernel.tasks.size, fake.kernel.groups.size]).toEqual([0, 1]); // The first one's own init.
    expect(fake.kernel.run()).toBe(0);
  });
});

describe('a container in another one’s PID namespace', () => {
  let joined: Container;
  let main: Task;

  beforeEach(() => {
    joined = fake.newContainer('joined', container.pids);
    main = fake.outsider(joined, true);
  });

  it('has a main process that is not process 1, and dies as any', () => {
    expect([main.tid, main.group.parentId, main.group.isUnkillable]).toEqual([3, 0, false]);
    expect(container.pids.processOf(3)).toBe(main.group);
    sendTo(main, SIGTERM);
    expect(joined.exitStatus).toBe(signaledStatus(SIGTERM, false));
  });

  it('ends with its main process: its others are killed, the namespace stays', () => {
    const worker = fake.process(main.group);
    exitTask(main, 0);
    expect([worker.group.exitStatus, init.state, child.state]).toEqual([killed, 'guest', 'guest']);
    expect(worker.group.parent).toBe(init.group); // Its zombie is process 1's to wait for.
  });

  it('dies with process 1', () => {
    exitTask(init, 0);
    expect(fake.ends).toContainEqual(['joined', killed]);
    expect([joined.state, container.state]).toEqual(['stopped', 'stopped']);
  });

  it('gets signals for all of it alone', () => {
    const worker = fake.process(main.group);
    setHandler(child, SIGUSR1, 0x1000);
    joined.signalAll(SIGUSR1);
    expect([main.state, worker.state, child.group.pending.isEmpty]).toEqual(['dead', 'dead', true]);
  });
});

describe('a process from outside', () => {
  it('has nobody above it, a session of its own, and a watcher instead of a parent', () => {
    const beside = fake.outsider(container, false);
    const ends: number[] = [];
    container.watch(beside.group, (status) => ends.push(status));
    expect([beside.tid, beside.group.parentId]).toEqual([3, 0]);
    expect(beside.group.processGroup.session.id).toBe(3);
    const orphan = fake.process(beside.group);
    exitTask(beside, 5);
    expect([ends, beside.group.state]).toEqual([[exitedStatus(5)], 'reaped']);
    expect([orphan.group.parent, container.state]).toEqual([init.group, 'running']);
  });

  it('is killed by signals as any other, also from inside', () => {
    const beside = fake.outsider(container, false);
    sendTo(beside, SIGTERM);
    expect(beside.group.exitStatus).toBe(signaledStatus(SIGTERM, false));
  });

  it('is forgotten quietly when nobody watches', () => {
    const beside = fake.outsider(container, false);
    groupExit(beside.group, killed);
    expect(beside.group.state).toBe('reaped');
  });

  it('leaves no zombies of its own where it ignores SIGCHLD', () => {
    const beside = fake.outsider(container, false);
    setHandler(beside, SIGCHLD, SIG_IGN);
    const worker = fake.process(beside.group);
    exitTask(worker, 0);
    expect(worker.group.state).toBe('reaped');
  });
});

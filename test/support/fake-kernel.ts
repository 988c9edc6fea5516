// SPDX-License-Identifier: Apache-2.0
// A real Kernel over a platform that runs nothing: tests say what guest threads stop for, and look at
// what they are resumed with. For the scheduler, signals, exits and waits.
import { ENOSYS } from '../../abi/errno.ts';
import { MemoryAccount } from '../../sentry/base/memory-account.ts';
import { Settings } from '../../sentry/base/settings.ts';
import { TimerQueue } from '../../sentry/base/timer-queue.ts';
import type { MaybeBlocking } from '../../sentry/base/wait.ts';
import { Container } from '../../sentry/kernel/container.ts';
import { credentialsOf } from '../../sentry/kernel/credentials.ts';
import { Kernel, type KernelOptions } from '../../sentry/kernel/kernel.ts';
import { Limits } from '../../sentry/kernel/limits.ts';
import { PidNamespace } from '../../sentry/kernel/pid-namespace.ts';
import { SignalActions } from '../../sentry/kernel/signal-state.ts';
import { SyscallArgs } from '../../sentry/kernel/syscall-args.ts';
import { Task } from '../../sentry/kernel/task.ts';
import { ThreadGroup, type ThreadGroupParts } from '../../sentry/kernel/thread-group.ts';
import { MemoryManager } from '../../sentry/mm/memory-manager.ts';
import type { GuestThread } from '../../sentry/platform/guest-thread.ts';
import type { Platform } from '../../sentry/platform/platform.ts';
import { FdTable } from '../../sentry/vfs/fd-table.ts';
import type { FsContext } from '../../sentry/vfs/fs-context.ts';
import type { MountNamespace } from '../../sentry/vfs/mount.ts';
import { FakeAddressSpace, fakeThread } from './fake-address-space.ts';

const GUEST_TOP = 2 ** 47 - 4096;

/** What a guest thread was told, in order: 'resume', 'resume 3', 'interrupt', 'wait', 'exit'. */
const logs = new WeakMap<GuestThread, string[]>();

function loggingThread(space: FakeAddressSpace): GuestThread {
  const log: string[] = [];
  const thread: GuestThread = {
    ...fakeThread(space),
    resumeWithResult: (result) => void log.push(`resume ${result}`),
    resume: () => void log.push('resume'),
    willWait: () => void log.push('wait'),
    interrupt: () => void log.push('interrupt'),
    exit: () => void log.push('exit'),
  };
  logs.set(thread, log);
  return thread;
}

export class FakeKernel {
  nowNs = 1_000;
  /** CPU time of every process. */
  cpuNs = 0;
  readonly kernel: Kernel;
  /** Containers that have ended, with the wait status of each, in that order. */
  readonly ends: [id: string, status: number][] = [];
  /** Its process 1 is the kernel's own. */
  readonly container: Container;
  #answer: () => MaybeBlocking = () => ENOSYS;

  constructor() {
    this.kernel = new Kernel({
      clock: { monotonicNs: () => this.nowNs, realtime: () => ({ sec: 1_700_000_000, nsec: 0 }) },
      platform: { guestTop: GUEST_TOP, start: () => undefined } as unknown as Platform,
      memoryBytes: 2 ** 30,
      cpuCount: 1,
      memory: new MemoryAccount(),
      ownMemory: { inUseBytes: () => 0, collectGarbage: () => undefined },
      log: () => undefined,
      tell: () => undefined,
      dispatch: () => this.#answer(),
      program: {} as KernelOptions['program'],
      randomFill: () => undefined,
      newPidfd: () => {
        throw new Error('no pidfds here');
      },
      network: {} as KernelOptions['network'],
      settings: new Settings(),
      timers: new TimerQueue(),
      mainHasShell: false,
      watchesCalls: false,
      mainStopped: () => undefined,
    });
    this.container = this.newContainer('first', new PidNamespace(this.kernel), true);
  }

  /** One more container; its process 1 is the first that `mainProcess` makes. */
  newContainer(
    id: string,
    pids = new PidNamespace(this.kernel),
    hasVirtualInit = false,
  ): Container {
    const { kernel } = this;
    const mounts = {} as MountNamespace;
    const container = new Container({
      kernel,
      id,
      pids,
      mounts,
      hasVirtualInit,
      ended: (status) => void this.ends.push([id, status]),
    });
    container.state = 'running';
    return container;
  }

  /** The main process of a container, or one that `runts exec` started there: its parent is outside. */
  outsider(container: Container, asMain: boolean): Task {
    const task = this.#process({ container, parent: undefined, processGroup: undefined });
    const { group, pids } = task;
    if (asMain) container.main = group;
    if (asMain && pids.init === undefined) {
      pids.init = group;
      group.isUnkillable = true;
    }
    return task;
  }

  /** A process of one thread that runs guest code, in its parent's process group. */
  process(parent: ThreadGroup = this.container.pids.init as ThreadGroup): Task {
    const { container, processGroup } = parent;
    return this.#process({ container, parent, processGroup });
  }

  #process(place: Pick<ThreadGroupParts, 'container' | 'parent' | 'processGroup'>): Task {
    const { pids } = place.container;
    const group = new ThreadGroup({
      ...place,
      id: pids.allocatePid(place.container) ?? 0,
      limits: new Limits(),
      actions: new SignalActions(),
    });
    group.creator = place.parent?.leader;
    group.parentExecCount = place.parent?.execCount ?? 0;
    pids.addGroup(group);
    if (place.processGroup === undefined) pids.newSession(group);
    const space = new FakeAddressSpace();
    space.usage = () => ({
      residentBytes: 4096,
      chargedBytes: 4096,
      cpuNs: this.cpuNs,
    });
    const bounds = { guestTop: GUEST_TOP } as ConstructorParameters<typeof MemoryManager>[1];
    return this.#task(group, group.id, new MemoryManager(space, bounds, {} as never));
  }

  /** One more thread of a process, running too. */
  thread(group: ThreadGroup): Task {
    const leader = group.anyTask as Task;
    return this.#task(group, group.pids.allocatePid(group.container) ?? 0, leader.mm.acquire());
  }

  #task(group: ThreadGroup, tid: number, mm: MemoryManager): Task {
    const thread = loggingThread(mm.space as FakeAddressSpace);
    const task = new Task({
      kernel: this.kernel,
      tid,
      group,
      credentials: credentialsOf(1000, 1000, []),
      mm,
      files: new FdTable(),
      fs: { release: () => undefined } as unknown as FsContext,
      thread,
      args: new SyscallArgs(thread.syscall),
      comm: 'test',
    });
    thread.owner = task;
    task.state = 'guest';
    group.leader ??= task;
    group.tasks.add(task);
    task.pids.addTask(task);
    return task;
  }

  /** The task's thread stops in a syscall that `answer` handles. */
  syscall(task: Task, answer: () => MaybeBlocking): void {
    this.#answer = answer;
    this.kernel.scheduler.threadStopped(task.thread);
  }

  /** The task's thread stops because it was interrupted. */
  interrupted(task: Task): void {
    Object.assign(task.thread, { outcome: { ...task.thread.outcome, kind: 'interrupted' } });
    this.kernel.scheduler.threadStopped(task.thread);
    Object.assign(task.thread, { outcome: { ...task.thread.outcome, kind: 'syscall' } });
  }

  /** Runs what is ready, and timers that are due `ns` from now. */
  run(ns = 0): void {
    this.nowNs += ns;
    this.kernel.timers.runDue(this.nowNs);
    this.kernel.guestTimers.runDue(this.nowNs);
    while (this.kernel.scheduler.hasReady) this.kernel.scheduler.runReady();
  }

  /** What the task's thread was told since the last look. */
  told(task: Task): string[] {
    return logs.get(task.thread)?.splice(0) ?? [];
  }
}

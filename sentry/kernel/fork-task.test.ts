// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { MPOL_BIND } from '../../abi/mempolicy.ts';
import { CLONE_FILES, CLONE_FS, CLONE_THREAD, CLONE_VM } from '../../abi/sched.ts';
import { SIGUSR1 } from '../../abi/signal.ts';
import { FakeAddressSpace, fakeThread } from '../../test/support/fake-address-space.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { SignalSet } from '../base/sigset.ts';
import type { FsContext } from '../vfs/fs-context.ts';
import { plainFork } from './clone.ts';
import { forkTask } from './fork-task.ts';
import type { Seccomp } from './seccomp/seccomp.ts';
import type { Task } from './task.ts';
import type { ControllingTerminal } from './terminal.ts';

/** What a child has of its parent, or shares with it. */
const inheritedByTask = [
  'affinity comm credentials files fs ioPriority ipc kernel memoryFailurePolicy memoryPolicy mm niceness',
  'noNewPrivileges scheduling seccomp signalMask timerSlackNs uts',
].flatMap((line) => line.split(' '));
/** What a child begins with anew, or what depends on flags of clone(2). */
const ownOfTask = [
  'alternateStack args clearChildTid group parentDeathSignal pending restart resultOnHold robustList savedMask serial',
  'sleep sleepTimer sleeper startTimeNs state thread tid trace undo vforkDone voluntarySwitches wakeReason workPending',
].flatMap((line) => line.split(' '));
const inheritedByGroup =
  'container dumpable kernel leftTerminal oomScoreAdjustment personality pids processGroup'.split(
    ' ',
  );
/** `actions` and `limits` are copies. */
const ownOfGroup = [
  'account actions allowedTracer childQueue children childrenCpuNs childrenResidentBytes cpuLimitTimer creator execCount exitQueue exitSignal',
  'exitStatus hasExecuted holdings id intervalTimers isSubreaper isUnkillable isVirtual leader limits nextTimerId parent',
  'parentExecCount pastCpuNs pastResidentBytes pending posixTimers ready report serial signalQueue startTimeNs state',
  'stopCount stopRequested stopSignal tasks tracees unfinished',
].flatMap((line) => line.split(' '));

/** A parent with nothing as it is by default. */
function unusualParent(fake: FakeKernel): Task {
  const parent = fake.process();
  parent.fs = { acquire: () => parent.fs } as unknown as FsContext;
  parent.signalMask = SignalSet.of(SIGUSR1);
  parent.noNewPrivileges = true;
  parent.seccomp = {} as Seccomp;
  parent.timerSlackNs = 7;
  parent.niceness = 5;
  parent.scheduling = { ...parent.scheduling, sliceNs: 3e6 };
  parent.ioPriority = 3;
  parent.affinity = new Uint8Array(8);
  parent.memoryFailurePolicy = 1;
  parent.memoryPolicy = { mode: MPOL_BIND, nodes: 1 };
  parent.group.dumpable = 0;
  parent.group.personality = 0x40000;
  parent.group.oomScoreAdjustment = 500;
  parent.group.leftTerminal = {} as ControllingTerminal;
  return parent;
}

function fork(parent: Task, flags: number): Task {
  const request = { ...plainFork, flags: CLONE_VM | CLONE_FS | CLONE_FILES | flags };
  const tid = parent.pids.allocatePid(parent.group.container) ?? 0;
  return forkTask(parent, request, {
    tid,
    made: fakeThread(new FakeAddressSpace()),
    ipc: parent.ipc,
  });
}

function taken<T extends object>(from: T, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, from[key as keyof T]]));
}

describe('a child', () => {
  test('has what is inherited', () => {
    const parent = unusualParent(new FakeKernel());
    for (const flags of [0, CLONE_THREAD]) {
      const child = fork(parent, flags);
      expect(taken(child, inheritedByTask)).toEqual(taken(parent, inheritedByTask));
    }
    const { group } = fork(parent, 0);
    expect(group).not.toBe(parent.group);
    expect(taken(group, inheritedByGroup)).toEqual(taken(parent.group, inheritedByGroup));
  });

  test('of each field of a task and a process it has been decided whether it is inherited', () => {
    const { group, ...task } = fork(unusualParent(new FakeKernel()), 0);
    // Fields behind accessors, which tell the platform of changes, are no own properties.
    const behindAccessors = ['credentials', 'seccomp'];
    expect([...Object.keys(task), ...behindAccessors, 'group'].sort()).toEqual(
      [...inheritedByTask, ...ownOfTask].sort(),
    );
    expect(Object.keys(group).sort()).toEqual([...inheritedByGroup, ...ownOfGroup].sort());
  });
});

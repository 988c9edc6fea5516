// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { EAGAIN, ENOENT, ESRCH } from '../../abi/errno.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { MemoryAccount } from '../base/memory-account.ts';
import { noLimits } from '../kernel/allowance.ts';
import { Container } from '../kernel/container.ts';
import { credentialsOf } from '../kernel/credentials.ts';
import { exitTask } from '../kernel/exit.ts';
import { Limits } from '../kernel/limits.ts';
import { PidNamespace } from '../kernel/pid-namespace.ts';
import { FdTable } from '../vfs/fd-table.ts';
import type { FsContext } from '../vfs/fs-context.ts';
import type { MountNamespace } from '../vfs/mount.ts';
import { type NewProcess, prepareProcess } from './start.ts';

let fake: FakeKernel;
let container: Container;
let releases: number;

beforeEach(() => {
  fake = new FakeKernel();
  container = new Container({
    kernel: fake.kernel,
    id: 'new',
    pids: new PidNamespace(fake.kernel),
    mounts: {} as MountNamespace,
    hasVirtualInit: false,
    ended: undefined,
  });
  releases = 0;
});

/** A command that is not there. */
const request = (asMain: boolean): NewProcess => ({
  container,
  asMain,
  credentials: credentialsOf(0, 0, []),
  files: new FdTable(),
  fs: {
    release: () => {
      releases += 1;
    },
  } as unknown as FsContext,
  limits: new Limits(),
  argv: [''],
  envp: [],
  noNewPrivileges: true,
  oomScoreAdjustment: 0,
  hasTerminal: false,
  seccomp: undefined,
});

describe('prepareProcess', () => {
  it('leaves nothing of a main process whose command is not found', () => {
    const { pids } = container;
    expect(prepareProcess(request(true))).toBe(ENOENT);
    expect([pids.init, container.main, container.state]).toEqual([
      undefined,
      undefined,
      'creating',
    ]);
    expect(
      [pids.tasks, pids.groups, pids.sessions, pids.processGroups].map(({ size }) => size),
    ).toEqual([0, 0, 0, 0]);
    expect([fake.kernel.tasks.size, releases]).toEqual([0, 1]);
  });

  it('adds processes only to a container that lives, and no second main one', () => {
    expect(prepareProcess(request(false))).toBe(ESRCH);
    container.state = 'running';
    const main = fake.outsider(container, true);
    expect(prepareProcess(request(true))).toBe(ESRCH);
    expect(prepareProcess(request(false))).toBe(ENOENT);
    exitTask(main, 0);
    expect(prepareProcess(request(false))).toBe(ESRCH);
    expect(releases).toBe(4);
  });

  it('answers EAGAIN at the limit of tasks', () => {
    const limits = { ...noLimits, pids: 2 };
    const allowance = {
      limits,
      machineBytes: 2 ** 30,
      guardsMemory: 'late' as const,
      account: new MemoryAccount(),
    };
    const pids = new PidNamespace(fake.kernel);
    const { kernel } = fake;
    const mounts = {} as MountNamespace;
    container = new Container({
      kernel,
      id: 'few',
      pids,
      mounts,
      hasVirtualInit: false,
      ended: undefined,
      allowance,
    });
    // Others of the sandbox do not count.
    for (let count = 0; count < 5; count += 1) fake.process();
    container.state = 'running';
    const main = fake.outsider(container, true);
    expect(prepareProcess(request(false))).toBe(ENOENT);
    const child = fake.process(main.group);
    expect([prepareProcess(request(false)), container.allowance.pidRefusals]).toEqual([EAGAIN, 1]);
    // Until somebody waits for it.
    exitTask(child, 0);
    expect([child.group.state, prepareProcess(request(false))]).toEqual(['zombie', EAGAIN]);
  });
});

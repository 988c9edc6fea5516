// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from 'vitest';
import { EINVAL, ENOMEM, isErrno, type Result } from '../../../abi/errno.ts';
import { IPC_CREAT, SEM_UNDO } from '../../../abi/ipc.ts';
import { FakeKernel } from '../../../test/support/fake-kernel.ts';
import { credentialsOf } from '../credentials.ts';
import type { Task } from '../task.ts';
import { IpcNamespace } from './ipc-namespace.ts';
import type { IpcRequest } from './ipc-objects.ts';
import { enterIpcNamespace, userOf } from './leave.ts';
import { SemaphoreCall } from './semaphore-set.ts';
import { UndoList } from './semaphore-undo.ts';

function present<T extends object>(result: Result<T>): T {
  if (isErrno(result)) throw new Error(`errno ${result}`);
  return result;
}

describe('an IPC namespace', () => {
  let fake: FakeKernel;
  let task: Task;
  let request: IpcRequest;

  beforeEach(() => {
    fake = new FakeKernel();
    task = fake.process();
    const credentials = credentialsOf(1000, 1000, []);
    request = { key: 5, flags: IPC_CREAT | 0o600, credentials, user: userOf(task), nowSec: 1 };
  });

  const made = (): IpcNamespace => present(IpcNamespace.forGuest(fake.kernel));

  it('gives back all memory when its last holder leaves', () => {
    const { ipcMemory } = fake.kernel;
    enterIpcNamespace(task, made());
    const child = fake.process();
    enterIpcNamespace(child, task.ipc);
    const queue = present(task.ipc.messages.getQueue(request));
    const bytes = new Uint8Array(100);
    expect(queue.send({ type: { high: 0, low: 1 }, bytes }, userOf(task), 1)).toBe(0);
    const set = present(task.ipc.semaphores.getSet({ ...request, count: 40 }));
    task.undo = new UndoList(ipcMemory);
    expect(task.undo.prepare(set)).toBe(true);
    const used = ipcMemory.usedBytes;
    enterIpcNamespace(child, made());
    expect(ipcMemory.usedBytes).toBeGreaterThan(used);
    enterIpcNamespace(child, task.ipc);
    expect(ipcMemory.usedBytes).toBe(used);
    task.ipc.release();
    child.ipc.release();
    expect(ipcMemory.usedBytes).toBe(0);
  });

  it('lets guests have only so much', () => {
    const namespaces: IpcNamespace[] = [];
    let last: Result<IpcNamespace> = made();
    while (!isErrno(last)) {
      namespaces.push(last.acquire());
      last = IpcNamespace.forGuest(fake.kernel);
    }
    expect(last).toBe(ENOMEM);
    expect(task.ipc.messages.getQueue(request)).toBe(ENOMEM);
    for (const namespace of namespaces) namespace.release();
    expect(fake.kernel.ipcMemory.usedBytes).toBe(0);
  });

  it('undoes in the old one when a task leaves for another', () => {
    const set = present(task.ipc.semaphores.getSet({ ...request, count: 1 }));
    task.undo = new UndoList(fake.kernel.ipcMemory);
    task.undo.prepare(set);
    const operation = { index: 0, change: 3, flags: SEM_UNDO };
    expect(set.try(new SemaphoreCall([operation], userOf(task), task.undo), 1)).toBe(0);
    expect(set.value(0)).toBe(3);
    enterIpcNamespace(task, made());
    expect(set.value(0)).toBe(0);
    expect(task.undo).toBeUndefined();
  });

  it('serves those who wait for zero before those who take, in order of arrival', () => {
    const set = present(task.ipc.semaphores.getSet({ ...request, count: 1 }));
    set.setValues(0, [1], userOf(task), 1);
    const order: string[] = [];
    const waits = (name: string, change: number): SemaphoreCall => {
      const call = new SemaphoreCall([{ index: 0, change, flags: 0 }], userOf(task), undefined);
      call.waker = { wake: () => order.push(name) };
      expect(set.try(call, 1)).toBeUndefined();
      set.wait(call);
      return call;
    };
    waits('takes two', -2);
    waits('takes three', -3);
    waits('zero', 0);
    expect([set.waitingFor(0, false), set.waitingFor(0, true)]).toEqual([2, 1]);
    set.setValues(0, [0], userOf(task), 1);
    expect(order).toEqual(['zero']);
    set.setValues(0, [4], userOf(task), 1);
    expect(order).toEqual(['zero', 'takes two']);
    set.setValues(0, [3], userOf(task), 1);
    expect(order).toEqual(['zero', 'takes two', 'takes three']);
    expect(set.waitingFor(0, false)).toBe(0);
  });

  it('keeps settings apart, and takes the first of several numbers alone', () => {
    const other = made();
    expect(task.ipc.limits.set('kernel.sem', '7 8')).toBe(true);
    expect(task.ipc.limits.text('kernel.sem')).toBe('7\t8\t500\t32000');
    expect(other.limits.text('kernel.sem')).toBe('32000\t1024000000\t500\t32000');
    expect(task.ipc.limits.set('kernel.msgmni', '-1')).toBe(false);
    expect(task.ipc.semaphores.getSet({ ...request, count: 8 })).toBe(EINVAL);
  });
});

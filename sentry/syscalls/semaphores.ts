// SPDX-License-Identifier: Apache-2.0
// System V semaphores: semget(2), semop(2), semtimedop(2), semctl(2).
import {
  E2BIG,
  EACCES,
  EAGAIN,
  EFAULT,
  EFBIG,
  EINTR,
  EINVAL,
  ENOMEM,
  ERANGE,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import * as ipc from '../../abi/ipc.ts';
import type { Blocking, MaybeBlocking, Sleep } from '../base/wait.ts';
import { READ_PERMISSION, WRITE_PERMISSION } from '../kernel/ipc/ipc-objects.ts';
import { userOf } from '../kernel/ipc/leave.ts';
import {
  SemaphoreCall,
  type SemaphoreOperation,
  type SemaphoreSet,
} from '../kernel/ipc/semaphore-set.ts';
import { UndoList } from '../kernel/ipc/semaphore-undo.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';
import { callerOf, changeOwner, nowSec, pidSeen, setU64, writeStatus } from './ipc-status.ts';
import { readTimeout } from './poll-wait.ts';

function sysSemget(task: Task, args: SyscallArgs): SysResult {
  const set = task.ipc.semaphores.getSet({
    ...callerOf(task),
    key: args.i32(0),
    count: args.i32(1),
    flags: args.u32(2),
  });
  return isErrno(set) ? set : set.id;
}

function sysSemop(task: Task, args: SyscallArgs): MaybeBlocking {
  return operate(task, args, Number.POSITIVE_INFINITY);
}

function sysSemtimedop(task: Task, args: SyscallArgs): MaybeBlocking {
  const timeoutNs = readTimeout(task, args.addr(3));
  // A bad time is found only after the operations were looked at.
  if (timeoutNs === EFAULT) return timeoutNs;
  return operate(task, args, timeoutNs);
}

/** A negative time-out is an errno. */
function operate(task: Task, args: SyscallArgs, timeoutNs: number): MaybeBlocking {
  const id = args.i32(0);
  const count = args.u32(2);
  if (count > task.ipc.limits.semaphores.operations) return E2BIG;
  if (count < 1) return EINVAL;
  const operations = readOperations(task, args.addr(1), count);
  if (isErrno(operations)) return operations;
  if (timeoutNs < 0) return timeoutNs;
  const set = task.ipc.semaphores.find(id);
  if (isErrno(set)) return set;
  const call = new SemaphoreCall(operations, userOf(task), undoListFor(task, operations));
  if (call.undo?.prepare(set) === false) return ENOMEM;
  if (operations.some(({ index }) => index >= set.count)) return EFBIG;
  if (!set.permits(task.credentials, call.alters ? WRITE_PERMISSION : READ_PERMISSION))
    return EACCES;
  return set.try(call, nowSec(task)) ?? waitFor(task, set, call, timeoutNs);
}

function readOperations(task: Task, addr: number, count: number): Result<SemaphoreOperation[]> {
  const { size, num, op, flg } = ipc.sembuf;
  const view = task.memory.view(addr, count * size);
  if (isErrno(view)) return EFAULT;
  return Array.from({ length: count }, (_, index) => ({
    index: view.getUint16(index * size + num, true),
    change: view.getInt16(index * size + op, true),
    flags: view.getUint16(index * size + flg, true),
  }));
}

function undoListFor(task: Task, operations: readonly SemaphoreOperation[]): UndoList | undefined {
  if (!operations.some(({ flags }) => (flags & ipc.SEM_UNDO) !== 0)) return undefined;
  task.undo ??= new UndoList(task.kernel.ipcMemory);
  return task.undo;
}

function* waitFor(
  task: Task,
  set: SemaphoreSet,
  call: SemaphoreCall,
  timeoutNs: number,
): Blocking<SysResult> {
  const sleep: Sleep = {
    join: (waker) => {
      call.waker = waker;
    },
    leave: () => {
      call.waker = undefined;
    },
    deadlineNs: task.kernel.clock.monotonicNs() + timeoutNs,
  };
  set.wait(call);
  try {
    for (;;) {
      const wake = yield sleep;
      if (call.result !== undefined) return call.result;
      if (wake === 'signal') return EINTR; // Never restarted: signal(7).
      if (wake === 'deadline') return EAGAIN;
    }
  } finally {
    set.giveUp(call);
  }
}

function sysSemctl(task: Task, args: SyscallArgs): SysResult {
  const id = args.i32(0);
  const index = args.i32(1);
  const command = args.i32(2);
  const addr = args.addr(3);
  const sets = task.ipc.semaphores;
  if (id < 0) return EINVAL;
  switch (command) {
    case ipc.IPC_INFO:
    case ipc.SEM_INFO:
      return writeInfo(task, addr, command === ipc.SEM_INFO);
    case ipc.IPC_STAT:
    case ipc.SEM_STAT:
    case ipc.SEM_STAT_ANY:
      return status(task, id, command, addr);
    case ipc.GETALL:
    case ipc.SETALL:
      return command === ipc.GETALL ? getAll(task, id, addr) : setAll(task, id, addr);
    case ipc.GETVAL:
    case ipc.GETPID:
    case ipc.GETNCNT:
    case ipc.GETZCNT:
      return getOne(task, id, index, command);
    case ipc.SETVAL:
      return setOne(task, id, index, args.i32(3));
    case ipc.IPC_SET: {
      const changed = changeOwner(task, sets, id, addr, ipc.semidDs.size);
      return isErrno(changed) ? changed : 0;
    }
    case ipc.IPC_RMID: {
      const set = sets.findOwned(id, task.credentials);
      if (isErrno(set)) return set;
      sets.remove(set);
      return 0;
    }
    default:
      return EINVAL;
  }
}

/** The set, where the caller has `permission` on it. */
function permitted(task: Task, id: number, permission: number): Result<SemaphoreSet> {
  const set = task.ipc.semaphores.find(id);
  if (isErrno(set)) return set;
  return set.permits(task.credentials, permission) ? set : EACCES;
}

function status(task: Task, id: number, command: number, addr: number): SysResult {
  const { otime, ctime, nsems, size } = ipc.semidDs;
  const request = {
    id,
    addr,
    byPlace: command !== ipc.IPC_STAT,
    unchecked: command === ipc.SEM_STAT_ANY,
  };
  return writeStatus(task, task.ipc.semaphores, request, size, (view, set) => {
    setU64(view, otime, set.operationTime);
    setU64(view, ctime, set.changeTime);
    setU64(view, nsems, set.count);
  });
}

function getAll(task: Task, id: number, addr: number): SysResult {
  const set = permitted(task, id, READ_PERMISSION);
  if (isErrno(set)) return set;
  const values = set.values();
  return task.memory.write(addr, new Uint8Array(values.buffer));
}

function setAll(task: Task, id: number, addr: number): SysResult {
  const set = permitted(task, id, WRITE_PERMISSION);
  if (isErrno(set)) return set;
  const values = new Uint16Array(set.count);
  const read = task.memory.read(addr, new Uint8Array(values.buffer));
  if (isErrno(read)) return read;
  if (values.some((value) => value > ipc.SEMVMX)) return ERANGE;
  set.setValues(0, values, userOf(task), nowSec(task));
  return 0;
}

function getOne(task: Task, id: number, index: number, command: number): SysResult {
  const set = permitted(task, id, READ_PERMISSION);
  if (isErrno(set)) return set;
  if (index < 0 || index >= set.count) return EINVAL;
  if (command === ipc.GETVAL) return set.value(index);
  if (command === ipc.GETPID) return pidSeen(task, set.lastUser(index));
  return set.waitingFor(index, command === ipc.GETZCNT);
}

function setOne(task: Task, id: number, index: number, value: number): SysResult {
  if (value < 0 || value > ipc.SEMVMX) return ERANGE;
  const set = task.ipc.semaphores.find(id);
  if (isErrno(set)) return set;
  if (index < 0 || index >= set.count) return EINVAL;
  if (!set.permits(task.credentials, WRITE_PERMISSION)) return EACCES;
  set.setValues(index, [value], userOf(task), nowSec(task));
  return 0;
}

function writeInfo(task: Task, addr: number, inUse: boolean): SysResult {
  const sets = task.ipc.semaphores;
  const { perSet, inAll, operations, sets: mostSets } = task.ipc.limits.semaphores;
  const at = ipc.seminfo;
  const view = new DataView(new ArrayBuffer(at.size));
  // What Linux no longer has a limit for it gives as derived from its defaults (SEMMNS, SEMOPM).
  view.setInt32(at.map, 1_024_000_000, true);
  view.setInt32(at.mni, mostSets, true);
  view.setInt32(at.mns, inAll, true);
  view.setInt32(at.mnu, 1_024_000_000, true);
  view.setInt32(at.msl, perSet, true);
  view.setInt32(at.opm, operations, true);
  view.setInt32(at.ume, 500, true);
  view.setInt32(at.usz, inUse ? sets.count : 20, true);
  view.setInt32(at.vmx, ipc.SEMVMX, true);
  view.setInt32(at.aem, inUse ? sets.inUse : ipc.SEMVMX, true);
  const written = task.memory.write(addr, new Uint8Array(view.buffer));
  return isErrno(written) ? written : sets.highestIndex;
}

export const semaphoreRows: readonly Row[] = [
  direct(64, 'semget', ['int', 'int', 'hex'], sysSemget),
  sleeps(65, 'semop', ['int', 'addr', 'len'], sysSemop),
  direct(66, 'semctl', ['int', 'int', 'int', 'hex'], sysSemctl),
  sleeps(220, 'semtimedop', ['int', 'addr', 'uint', 'timespec'], sysSemtimedop),
];

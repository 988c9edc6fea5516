// SPDX-License-Identifier: Apache-2.0
// process_vm_readv(2), process_vm_writev(2): copies between two guest processes.
import {
  EFAULT,
  EINVAL,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { IOV_MAX, IOVEC_BYTES, MAX_RW_COUNT } from '../../abi/uio.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, begin, KILLABLE_PAUSE, type MaybeBlocking } from '../base/wait.ts';
import { mayAccessProcess } from '../kernel/process-access.ts';
import type { Task } from '../kernel/task.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';

const staging = new Uint8Array(65_536);
/** From here on a transfer lets others run in between. */
const LONG_BYTES = 1_048_576;

interface RemoteRange {
  readonly addr: number;
  readonly length: number;
}

/** Copies one piece: bytes moved, or an errno. */
type Move = (target: GuestMemory, addr: number, length: number) => SysResult;

function sysProcessVmReadv(task: Task, args: SyscallArgs): MaybeBlocking {
  const sink = task.memory.sinkOfVector(args.addr(1), args.len(2));
  if (isErrno(sink)) return sink;
  if (sink.remaining === 0) return 0;
  return transfer(task, args, sink.remaining, (target, addr, length) => {
    const got = target.readSome(addr, staging.subarray(0, length));
    return isErrno(got) ? got : sink.put(staging.subarray(0, got));
  });
}

function sysProcessVmWritev(task: Task, args: SyscallArgs): MaybeBlocking {
  const source = task.memory.sourceOfVector(args.addr(1), args.len(2));
  if (isErrno(source)) return source;
  if (source.remaining === 0) return 0;
  return transfer(task, args, source.remaining, (target, addr, length) => {
    const got = source.take(staging.subarray(0, length));
    return isErrno(got) ? got : target.writeSome(addr, staging.subarray(0, got));
  });
}

/** Moves up to `total` bytes piece by piece; a short piece ends it. Bytes moved, or an errno if none were. */
function transfer(task: Task, args: SyscallArgs, total: number, move: Move): MaybeBlocking {
  if (args.u32(5) !== 0 || args.high(5) !== 0) return EINVAL;
  const ranges = remoteRanges(task, args.addr(3), args.len(4));
  if (isErrno(ranges)) return ranges;
  const target = targetMemory(task, args.i32(0));
  if (isErrno(target)) return target;
  return begin(moveRanges(task, target, ranges, total, move));
}

/** A long transfer waits for its turn before it begins. */
function* moveRanges(
  task: Task,
  target: GuestMemory,
  ranges: readonly RemoteRange[],
  total: number,
  move: Move,
): Blocking<SysResult> {
  let done = 0;
  if (total > LONG_BYTES) yield KILLABLE_PAUSE;
  for (const { addr, length } of ranges) {
    for (let at = 0; at < length && done < total; ) {
      const wanted = Math.min(length - at, total - done, staging.length);
      const moved = move(target, addr + at, wanted);
      if (isErrno(moved)) return done > 0 ? done : moved;
      done += moved;
      at += moved;
      if (moved < wanted) return done;
      if (total > LONG_BYTES && isPieceOver(task.kernel.clock)) yield KILLABLE_PAUSE;
    }
  }
  return done;
}

/** The remote array lies in the caller's memory, but names the other's. */
function remoteRanges(task: Task, addr: number, count: number): Result<RemoteRange[]> {
  if (count > IOV_MAX) return EINVAL;
  const view = task.memory.view(addr, count * IOVEC_BYTES);
  if (isErrno(view)) return EFAULT;
  const ranges: RemoteRange[] = [];
  for (let at = 0; at < view.byteLength; at += IOVEC_BYTES) {
    const high = view.getUint32(at + 12, true);
    if (high > 0x7fff_ffff) return EINVAL;
    const length = Math.min(high * 0x1_0000_0000 + view.getUint32(at + 8, true), MAX_RW_COUNT);
    ranges.push({
      addr: view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true),
      length,
    });
  }
  return ranges;
}

function targetMemory(task: Task, pid: number): Result<GuestMemory> {
  const target = task.pids.tasks.get(pid);
  if (target === undefined || target.isDead) return ESRCH;
  return mayAccessProcess(task, target.group, 'real') ? target.memory : EPERM;
}

export const processVmRows: readonly Row[] = [
  sleeps(
    310,
    'process_vm_readv',
    ['pid', 'iovec', 'len', 'iovec', 'len', 'hex'],
    sysProcessVmReadv,
  ),
  sleeps(
    311,
    'process_vm_writev',
    ['pid', 'iovec', 'len', 'iovec', 'len', 'hex'],
    sysProcessVmWritev,
  ),
];

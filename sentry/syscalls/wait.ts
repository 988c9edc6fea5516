// SPDX-License-Identifier: Apache-2.0
// wait4(2), waitid(2).
import {
  EAGAIN,
  EBADF,
  EINVAL,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import { RUSAGE_BYTES } from '../../abi/resource.ts';
import { SIGCHLD } from '../../abi/signal.ts';
import {
  __WALL,
  __WCLONE,
  __WNOTHREAD,
  P_ALL,
  P_PGID,
  P_PID,
  P_PIDFD,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
  WUNTRACED,
} from '../../abi/wait.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { PidFd } from '../kernel/pidfd.ts';
import { writeSignalInfo } from '../kernel/signal-info.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread-group.ts';
import { type WaitOutcome, type WaitQuery, waitForChild } from '../kernel/wait-child.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { writeRusage } from './limits.ts';

function sysWait4(task: Task, args: SyscallArgs): MaybeBlocking {
  const pid = args.i32(0);
  const statusAddr = args.addr(1);
  const options = args.u32(2);
  const rusageAddr = args.addr(3);
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) !== 0)
    return EINVAL;
  if (pid === -0x8000_0000) return ESRCH; // Its negation is no pid.
  const matcher = matcherOfPid(task, pid);
  return waitForChild(task, { ...matcher, options: options | WEXITED }, (outcome) => {
    if (outcome === undefined) return 0;
    if (statusAddr !== 0) {
      const written = task.memory.writeU32(statusAddr, outcome.status);
      if (isErrno(written)) return written;
    }
    const usage = writeUsage(task, rusageAddr, outcome);
    return isErrno(usage) ? usage : outcome.pid;
  });
}

/** The children and the tracees that a call is about. */
type Matcher = Pick<WaitQuery, 'matches' | 'matchesTracee'>;

const anything: Matcher = { matches: () => true, matchesTracee: () => true };

function matcherOfGroup(group: (child: ThreadGroup) => boolean): Matcher {
  return { matches: group, matchesTracee: (tracee) => group(tracee.group) };
}

/** A tracee is named by its own id, whichever thread of its process it is. */
function matcherOfId(id: number): Matcher {
  return { matches: (child) => child.id === id, matchesTracee: (tracee) => tracee.tid === id };
}

function matcherOfPid(task: Task, pid: number): Matcher {
  if (pid === -1) return anything;
  if (pid > 0) return matcherOfId(pid);
  const { processGroup } = task.group;
  if (pid === 0) return matcherOfGroup((child) => child.processGroup === processGroup);
  return matcherOfGroup((child) => child.processGroup.id === -pid);
}

function sysWaitid(task: Task, args: SyscallArgs): MaybeBlocking {
  const options = args.u32(3);
  const known =
    WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
  if ((options & ~known) !== 0 || (options & (WEXITED | WSTOPPED | WCONTINUED)) === 0)
    return EINVAL;
  const matcher = matcherOf(task, args.i32(0), args.i32(1));
  if (isErrno(matcher)) return matcher;
  const infoAddr = args.addr(2);
  const rusageAddr = args.addr(4);
  // A pidfd that is non-blocking answers EAGAIN where there is nothing to report yet.
  const isNonblocking = args.i32(0) === P_PIDFD && isNonblockingFd(task, args.i32(1));
  const query = { ...matcher, options: isNonblocking ? options | WNOHANG : options };
  return waitForChild(task, query, (outcome) => {
    const written = writeChildInfo(task, infoAddr, outcome);
    if (isErrno(written)) return written;
    if (outcome === undefined) return isNonblocking && (options & WNOHANG) === 0 ? EAGAIN : 0;
    return writeUsage(task, rusageAddr, outcome);
  });
}

function isNonblockingFd(task: Task, fd: number): boolean {
  const file = task.files.get(fd);
  return !isErrno(file) && (file.flags & O_NONBLOCK) !== 0;
}

function matcherOf(task: Task, type: number, id: number): Result<Matcher> {
  switch (type) {
    case P_ALL:
      return anything;
    case P_PID:
      return id <= 0 ? EINVAL : matcherOfId(id);
    case P_PGID: {
      if (id < 0) return EINVAL;
      const pgid = id === 0 ? task.group.processGroup.id : id;
      return matcherOfGroup((child) => child.processGroup.id === pgid);
    }
    case P_PIDFD: {
      if (id < 0) return EINVAL;
      const file = task.files.get(id);
      if (isErrno(file)) return file;
      if (!(file instanceof PidFd)) return EBADF;
      return matcherOfGroup((child) => child === file.group && file.isOfLeader);
    }
    default:
      return EINVAL;
  }
}

/** waitid fills only the fields of a child's siginfo; zeros when there is none. */
function writeChildInfo(task: Task, addr: number, outcome: WaitOutcome | undefined): SysResult {
  if (addr === 0) return 0;
  const view = new DataView(new ArrayBuffer(128));
  if (outcome !== undefined) {
    writeSignalInfo(view, 0, {
      signal: SIGCHLD,
      code: outcome.code,
      pid: outcome.pid,
      uid: outcome.uid,
      status: outcome.siStatus,
    });
  }
  return task.memory.write(addr, new Uint8Array(view.buffer, 0, 28)); // Up to si_status.
}

function writeUsage(task: Task, addr: number, outcome: WaitOutcome): SysResult {
  if (addr === 0) return 0;
  const view = new DataView(new ArrayBuffer(RUSAGE_BYTES));
  writeRusage(view, {
    cpuNs: outcome.cpuNs,
    voluntarySwitches: 0,
    maxResidentBytes: outcome.residentBytes,
  });
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

export const waitRows: readonly Row[] = [
  sleeps(61, 'wait4', ['pid', 'addr', 'waitOptions', 'addr'], sysWait4),
  sleeps(247, 'waitid', ['int', 'pid', 'addr', 'waitOptions', 'addr'], sysWaitid),
];

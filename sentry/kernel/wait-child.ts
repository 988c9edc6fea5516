// SPDX-License-Identifier: Apache-2.0
// wait4(2), waitid(2).
import { ECHILD, ERESTARTSYS, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { CLD_CONTINUED, CLD_STOPPED, CLD_TRAPPED, SIGCHLD } from '../../abi/signal.ts';
import {
  __WALL,
  __WCLONE,
  __WNOTHREAD,
  CONTINUED_STATUS,
  infoOfStatus,
  stoppedStatus,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
} from '../../abi/wait.ts';
import { type Blocking, sleepOn } from '../base/wait.ts';
import { processCpuNs } from './cpu-time.ts';
import { childInfo, isHeldByTracer, reap } from './exit.ts';
import type { Trace } from './ptrace/trace.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** Which children, and which of their changes (WEXITED | WSTOPPED | WCONTINUED, WNOHANG, WNOWAIT). */
export interface WaitQuery {
  readonly matches: (child: ThreadGroup) => boolean;
  /** The same for threads that the caller traces. */
  readonly matchesTracee: (tracee: Task) => boolean;
  readonly options: number;
}

/** One change of a child, as both calls report it. */
export interface WaitOutcome {
  readonly pid: number;
  readonly status: number;
  readonly code: number;
  readonly siStatus: number;
  readonly uid: number;
  /** CPU time of the child and its waited-for children. */
  readonly cpuNs: number;
  readonly residentBytes: number;
}

/**
 * `deliver` writes the outcome out and answers the call's result; it runs once. Nothing yet
 * (WNOHANG): undefined.
 */
export function waitForChild(
  task: Task,
  query: WaitQuery,
  deliver: (outcome: WaitOutcome | undefined) => SysResult,
): SysResult | Blocking<SysResult> {
  const found = takeChange(task, query);
  if (isErrno(found)) return found;
  if (found !== undefined) return deliver(found);
  if ((query.options & WNOHANG) !== 0) return deliver(undefined);
  return sleepForChild(task, query, deliver);
}

function* sleepForChild(
  task: Task,
  query: WaitQuery,
  deliver: (outcome: WaitOutcome | undefined) => SysResult,
): Blocking<SysResult> {
  const queue = { queue: task.group.childQueue };
  for (;;) {
    const wake = yield sleepOn(queue, POLLIN);
    const found = takeChange(task, query);
    if (isErrno(found)) return found;
    if (found !== undefined) return deliver(found);
    if (wake === 'signal') return ERESTARTSYS;
  }
}

/** Undefined: there are such children, and none has changed. */
function takeChange(task: Task, query: WaitQuery): Result<WaitOutcome> | undefined {
  const { group } = task;
  const ownOnly = (query.options & __WNOTHREAD) !== 0;
  let candidates = 0;
  for (const trace of group.tracees) {
    if (!query.matchesTracee(trace.task) || (ownOnly && trace.tracer !== task)) continue;
    candidates += 1;
    const outcome = changeOfTracee(trace, query.options);
    if (outcome === undefined) continue;
    if ((query.options & WNOWAIT) === 0) consumeTracee(trace);
    return outcome;
  }
  for (const child of group.children) {
    if (!isEligible(child, query.options) || !query.matches(child)) continue;
    if (isHeldByTracer(child)) {
      candidates += 1;
      continue;
    }
    // A dead child has no other change to come than the one that the call does not want.
    if (child.state === 'zombie' && (query.options & WEXITED) === 0) continue;
    if (ownOnly && child.creator !== task) continue;
    candidates += 1;
    const outcome = changeOf(child, query.options);
    if (outcome === undefined) continue;
    if ((query.options & WNOWAIT) === 0) consume(group, child, outcome);
    return outcome;
  }
  return candidates === 0 ? ECHILD : undefined;
}

/** Children that signal with something else than SIGCHLD are "clone children". */
function isEligible(child: ThreadGroup, options: number): boolean {
  if ((options & __WALL) !== 0) return true;
  return (child.exitSignal !== SIGCHLD) === ((options & __WCLONE) !== 0);
}

/** A stop of a tracee is told whether the call asks for stops or not. */
function changeOfTracee(trace: Trace, options: number): WaitOutcome | undefined {
  const { task } = trace;
  const base = { pid: task.tid, uid: task.credentials.uid, cpuNs: 0, residentBytes: 0 };
  if (trace.exitStatus !== undefined) {
    if ((options & WEXITED) === 0) return undefined;
    const { code, status } = infoOfStatus(trace.exitStatus);
    return { ...base, status: trace.exitStatus, code, siStatus: status };
  }
  if (trace.stop === undefined || trace.isReported || trace.isListening) return undefined;
  return { ...base, status: trace.status, code: CLD_TRAPPED, siStatus: trace.stop.code };
}

function consumeTracee(trace: Trace): void {
  if (trace.exitStatus === undefined) trace.isReported = true;
  else trace.end();
}

function changeOf(child: ThreadGroup, options: number): WaitOutcome | undefined {
  const base = {
    pid: child.id,
    uid: child.leader?.credentials.uid ?? 0,
    cpuNs: processCpuNs(child) + child.childrenCpuNs,
    residentBytes: Math.max(child.pastResidentBytes, child.childrenResidentBytes),
  };
  if (child.state === 'zombie') {
    const info = childInfo(child);
    return { ...base, status: child.exitStatus, code: info.code, siStatus: info.status };
  }
  const report = child.report;
  if (report?.kind === 'stopped' && (options & WSTOPPED) !== 0) {
    return {
      ...base,
      status: stoppedStatus(report.signal),
      code: CLD_STOPPED,
      siStatus: report.signal,
    };
  }
  if (report?.kind === 'continued' && (options & WCONTINUED) !== 0) {
    return { ...base, status: CONTINUED_STATUS, code: CLD_CONTINUED, siStatus: report.signal };
  }
  return undefined;
}

function consume(parent: ThreadGroup, child: ThreadGroup, outcome: WaitOutcome): void {
  if (child.state === 'zombie') {
    parent.childrenCpuNs += outcome.cpuNs;
    parent.childrenResidentBytes = Math.max(parent.childrenResidentBytes, outcome.residentBytes);
    reap(child);
    return;
  }
  child.report = undefined;
}

// SPDX-License-Identifier: Apache-2.0
// Who may trace whom, and how a bond begins: PTRACE_TRACEME, PTRACE_ATTACH, PTRACE_SEIZE, and the
// children of tracees.
import { CAP_SYS_PTRACE } from '../../../abi/capability.ts';
import { EIO, EPERM, type SysResult } from '../../../abi/errno.ts';
import {
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_FORK,
  PTRACE_EVENT_VFORK,
  PTRACE_O_MASK,
  PTRACE_O_SUSPEND_SECCOMP,
  PTRACE_O_TRACECLONE,
  PTRACE_O_TRACEFORK,
  PTRACE_O_TRACEVFORK,
} from '../../../abi/ptrace.ts';
import { CLONE_PTRACE, CLONE_UNTRACED, CLONE_VFORK } from '../../../abi/sched.ts';
import { SIGCHLD } from '../../../abi/signal.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { mayAccessProcess } from '../process-access.ts';
import type { Task } from '../task.ts';
import type { ThreadGroup } from '../thread-group.ts';
import { haltNewTracee, Trace } from './trace.ts';

/** PTRACE_TRACEME: the parent becomes the tracer. */
export function traceMe(task: Task): SysResult {
  const parent = task.group.parent;
  const tracer = task.group.creator ?? parent?.anyTask;
  if (task.trace !== undefined) return EPERM;
  // Where the parent is outside or gone, nobody could ever wait for the stops.
  if (parent === undefined || parent.isVirtual || tracer === undefined || tracer.isDead)
    return EPERM;
  new Trace(task, tracer, 0, false);
  return 0;
}

/** PTRACE_ATTACH and PTRACE_SEIZE with its options. */
export function attach(tracer: Task, target: Task, options: number, seizes: boolean): SysResult {
  if (seizes && (options & ~PTRACE_O_MASK) !== 0) return EIO;
  if (target.group === tracer.group) return EPERM;
  if (!mayAttach(tracer, target)) return EPERM;
  if (target.trace !== undefined || target.isDead) return EPERM;
  if ((options & PTRACE_O_SUSPEND_SECCOMP) !== 0) return EPERM;
  const trace = new Trace(target, tracer, options, seizes);
  if (target.state === 'stopped') trace.takeOverStop();
  if (!seizes) haltNewTracee(trace);
  return 0;
}

/** PTRACE_MODE_ATTACH_REALCREDS, and Yama's rule for ptrace_scope 1: descendants and allowed ones only. */
function mayAttach(tracer: Task, target: Task): boolean {
  if (!mayAccessProcess(tracer, target.group, 'real')) return false;
  if (isCapable(tracer.credentials, CAP_SYS_PTRACE)) return true;
  const { allowedTracer } = target.group;
  if (allowedTracer === 'any') return true;
  return isDescendant(target.group, tracer.group) || isSameOrBelow(tracer.group, allowedTracer);
}

function isDescendant(group: ThreadGroup, of: ThreadGroup): boolean {
  for (let at = group.parent; at !== undefined; at = at.parent) if (at === of) return true;
  return false;
}

function isSameOrBelow(group: ThreadGroup, of: ThreadGroup | undefined): boolean {
  return of !== undefined && (group === of || isDescendant(group, of));
}

/**
 * The PTRACE_EVENT_ of a clone that the tracer of `parent` asked to see, undefined where it asked
 * for none.
 */
export function cloneEvent(parent: Task, flags: number, exitSignal: number): number | undefined {
  const { trace } = parent;
  if (trace === undefined || (flags & CLONE_UNTRACED) !== 0) return undefined;
  if ((flags & CLONE_VFORK) !== 0)
    return trace.has(PTRACE_O_TRACEVFORK) ? PTRACE_EVENT_VFORK : undefined;
  if (exitSignal !== SIGCHLD)
    return trace.has(PTRACE_O_TRACECLONE) ? PTRACE_EVENT_CLONE : undefined;
  return trace.has(PTRACE_O_TRACEFORK) ? PTRACE_EVENT_FORK : undefined;
}

/**
 * A new child of a tracee is traced too, by an option or CLONE_PTRACE, and stops before its first
 * instruction.
 */
export function traceChild(
  parent: Task,
  child: Task,
  flags: number,
  event: number | undefined,
): void {
  const { trace } = parent;
  if (trace === undefined || (event === undefined && (flags & CLONE_PTRACE) === 0)) return;
  haltNewTracee(new Trace(child, trace.tracer, trace.options, trace.isSeized));
}

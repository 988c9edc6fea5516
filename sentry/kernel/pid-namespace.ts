// SPDX-License-Identifier: Apache-2.0
// The ids by which processes know one another (pid_namespaces(7)). Namespaces lie side by side,
// most often one a container: every task is in one for life, and what is in another cannot be
// named. A task's `tid` and a process's `id` are those of its own namespace, so that getpid(2) and
// gettid(2) translate nothing.
import type { Container } from './container.ts';
import type { Kernel } from './kernel.ts';
import { ProcessGroup, Session } from './session.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** Largest pid; Linux's PID_MAX_LIMIT on 64-bit. */
const PID_MAX = 4_194_304;
/** Pids below are given once: afterwards they are daemons' (Linux's RESERVED_PIDS). */
const RESERVED_PIDS = 300;

export class PidNamespace {
  readonly kernel: Kernel;
  /** The number in /proc/PID/ns/pid. */
  readonly inode: number;
  /** Living tasks by tid. */
  readonly tasks: Map<number, Task> = new Map();
  /** Processes by id, zombies included. */
  readonly groups: Map<number, ThreadGroup> = new Map();
  readonly processGroups: Map<number, ProcessGroup> = new Map();
  readonly sessions: Map<number, Session> = new Map();
  /** Process 1: adopts orphans, and takes everything with it when it ends. Stays when it has ended. */
  init: ThreadGroup | undefined = undefined;
  #lastPid = 0;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.inode = kernel.namespaceNumbers.next('pid');
  }

  get lastPid(): number {
    return this.#lastPid;
  }

  /**
   * A free pid for a task of `container`, or undefined when its limit is reached or the namespace
   * has ended.
   */
  allocatePid({ allowance }: Container): number | undefined {
    if (this.init?.isExiting === true) return undefined;
    if (!allowance.hasRoomForTask()) {
      allowance.pidRefusals += 1;
      return undefined;
    }
    for (let tries = 0; tries < PID_MAX; tries += 1) {
      this.#lastPid = this.#lastPid + 1 >= PID_MAX ? RESERVED_PIDS : this.#lastPid + 1;
      if (!this.isTaken(this.#lastPid)) return this.#lastPid;
    }
    return undefined;
  }

  /** Something here has the id: a thread, a process, a process group or a session. */
  isTaken(id: number): boolean {
    return (
      this.tasks.has(id) ||
      this.groups.has(id) ||
      this.processGroups.has(id) ||
      this.sessions.has(id)
    );
  }

  /** The process of an id as kill(2) and prlimit(2) take it: any of its threads names it. */
  processOf(id: number): ThreadGroup | undefined {
    return this.groups.get(id) ?? this.tasks.get(id)?.group;
  }

  addTask(task: Task): void {
    this.tasks.set(task.tid, task);
    this.kernel.tasks.add(task);
    task.group.container.allowance.taskAdded();
  }

  removeTask(task: Task): void {
    this.tasks.delete(task.tid);
    if (this.kernel.tasks.delete(task)) task.group.container.allowance.taskRemoved();
  }

  addGroup(group: ThreadGroup): void {
    this.groups.set(group.id, group);
    this.kernel.groups.add(group);
  }

  removeGroup(group: ThreadGroup): void {
    this.groups.delete(group.id);
    this.kernel.groups.delete(group);
  }

  /** setsid(2): a new session and process group with `leader` alone in it. */
  newSession(leader: ThreadGroup): Session {
    const session = new Session(leader);
    this.sessions.set(session.id, session);
    this.newProcessGroup(leader, session);
    return session;
  }

  /** Makes a process group with `leader` alone in it, in a session that is there. */
  newProcessGroup(leader: ThreadGroup, session: Session): void {
    const group = new ProcessGroup(leader.id, session);
    this.processGroups.set(group.id, group);
    if (leader.processGroup === undefined) {
      leader.processGroup = group;
      group.members.add(leader);
    } else leader.moveTo(group);
  }

  forgetProcessGroup(group: ProcessGroup): void {
    this.processGroups.delete(group.id);
    const session = group.session;
    session.groups.delete(group);
    // A terminal's foreground group stays what it was, as in Linux: nobody is in it, and others are
    // in the background.
    if (session.groups.size === 0) this.sessions.delete(session.id);
  }
}

/** `id`, which belongs to `owner`, as `reader` sees it: 0 for what is in another namespace. */
export function pidSeenFrom(reader: PidNamespace, owner: object | undefined, id: number): number {
  return owner === reader ? id : 0;
}

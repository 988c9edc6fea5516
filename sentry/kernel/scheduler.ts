// SPDX-License-Identifier: Apache-2.0
// The scheduler drives tasks. It takes what guest threads stop for, runs the handlers of system
// calls, puts tasks to sleep and wakes them, and decides on a task's way back to the guest whether
// a signal has to be delivered first. docs/run-states.md draws the states of a task.
import { EFAULT, EINTR, isRestart, type SysResult } from '../../abi/errno.ts';
import { SIGBUS, SIGKILL, SIGSEGV } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { FairQueue } from '../base/fair-queue.ts';
import { setCurrentAccount } from '../base/memory-account.ts';
import { nextTurn, PIECE_NS } from '../base/turn.ts';
import type { Blocking, Sleep, Wake } from '../base/wait.ts';
import type { AddressSpace } from '../platform/address-space.ts';
import type { GuestThread } from '../platform/guest-thread.ts';
import type { PlatformEvents } from '../platform/platform.ts';
import type { Container } from './container.ts';
import { groupExit } from './exit.ts';
import type { Kernel } from './kernel.ts';
import { tracedCall } from './ptrace/traced-call.ts';
import { HANDED_OVER, isPlain, REGISTERS_SET } from './result.ts';
import { applyRestart, deliverSignals, forceSignal, takeSignalStop } from './signal-delivery.ts';
import { taskStopped } from './stop.ts';
import type { Task } from './task.ts';

/**
 * The stops and ended sleeps of a paused container's tasks, which are handled when the container is
 * resumed.
 */
interface Paused {
  readonly stopped: GuestThread[];
  readonly ready: Task[];
}

/** From this many tasks on, those that have become ready together are not run in one go. */
const MANY_READY = 8;

export class Scheduler implements PlatformEvents {
  readonly #kernel: Kernel;
  /** Tasks whose sleep has ended, in order. */
  #ready: Task[] = [];
  /** Those of them that a turn had no time for, where very many have become ready together. */
  readonly #crowd: FairQueue<Task> = new FairQueue();
  /** Tasks in the middle of long calls (PAUSE). */
  readonly #unfinished: FairQueue<Task> = new FairQueue();
  readonly #paused: Map<Container, Paused> = new Map();
  /** The task whose handler runs right now; between handlers, the task whose handler ran last. */
  current: Task | undefined = undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  get hasReady(): boolean {
    return this.#ready.length > 0 || this.#crowd.size > 0;
  }

  /**
   * Runs the tasks whose sleep has ended, for about PIECE_NS where they are many. Tasks that are
   * woken meanwhile run at the next call.
   */
  runReady(): void {
    const ready = this.#ready;
    if (ready.length > 0) this.#ready = [];
    if (this.#crowd.size > 0 || ready.length >= MANY_READY) {
      for (const task of ready) this.#crowd.add(task.group.ready, task);
      this.#runCrowd();
      return;
    }
    for (const task of ready) this.#runIfReady(task);
  }

  #runCrowd(): void {
    const { clock } = this.#kernel;
    let nowNs = clock.monotonicNs();
    const endNs = nowNs + PIECE_NS;
    // No more than there are: who is woken now may wake the next, without end.
    for (let left = this.#crowd.size; left > 0 && nowNs <= endNs; left -= 1) {
      const task = this.#crowd.take();
      if (task !== undefined) this.#runIfReady(task);
      const beganNs = nowNs;
      nowNs = clock.monotonicNs();
      this.#crowd.charge(nowNs - beganNs);
    }
  }

  #runIfReady(task: Task): void {
    const reason = task.wakeReason;
    if (task.state !== 'sleeping' || reason === undefined) return;
    const paused = this.#pausedOf(task);
    if (paused === undefined) this.#goOn(task, reason);
    else paused.ready.push(task);
  }

  get hasUnfinished(): boolean {
    return this.#unfinished.size > 0;
  }

  /** Runs one more piece of a long call. */
  runPiece(): void {
    const { clock } = this.#kernel;
    const beganNs = clock.monotonicNs();
    const task = this.#unfinished.take();
    if (task !== undefined) this.#runPieceOf(task);
    this.#unfinished.charge(clock.monotonicNs() - beganNs);
  }

  #runPieceOf(task: Task): void {
    if (task.state !== 'sleeping' || task.sleep?.isPause !== true) return;
    const { killable } = task.sleep;
    const reason = killable !== true && task.recheckPendingSignal() ? 'signal' : 'event';
    const paused = this.#pausedOf(task);
    if (paused === undefined) this.#goOn(task, reason);
    else {
      task.wakeReason = reason;
      paused.ready.push(task);
    }
  }

  #goOn(task: Task, reason: Wake): void {
    if (task.thread.isAtWork) {
      task.wakeReason = reason;
      task.thread.whenFree(() => this.#ready.push(task));
      return;
    }
    this.#endSleep(task);
    task.state = 'kernel';
    const { number } = task.args;
    if (task.sleeper !== undefined) this.#run(task, task.sleeper, reason);
    this.#kernel.turns?.lap(number);
  }

  // PlatformEvents

  threadStopped(thread: GuestThread): void {
    const { turns } = this.#kernel;
    if (turns === undefined) {
      this.#threadStopped(thread);
      return;
    }
    turns.lap('platform');
    const { kind } = thread.outcome;
    const number = thread.syscall[0] as number;
    this.#threadStopped(thread);
    turns.lap(kind === 'syscall' ? number : kind);
  }

  #threadStopped(thread: GuestThread): void {
    const task = thread.owner as Task | undefined;
    if (task === undefined || task.state === 'dead') {
      thread.exit(); // The task ended while this thread ran.
      return;
    }
    const paused = this.#pausedOf(task);
    if (paused !== undefined) {
      paused.stopped.push(thread);
      return;
    }
    this.#turnTo(task);
    nextTurn();
    const kind = thread.outcome.kind;
    if (task.mm.map.busyThreads !== 0 && kind !== 'operationFailed') task.mm.begin(task);
    if (kind === 'syscall') {
      task.state = 'kernel';
      const { dispatch } = this.#kernel;
      const answer = task.trace === undefined ? dispatch(task) : tracedCall(task, dispatch);
      if (typeof answer === 'number') this.complete(task, answer);
      else this.#run(task, answer, undefined);
      return;
    }
    task.state = 'kernel';
    if (kind === 'fault') this.#fault(task);
    else if (kind === 'operationFailed') this.#operationFailed(task);
    else this.returnToGuest(task, undefined);
  }

  addressSpaceDied(space: AddressSpace, reason: string, signal: number): void {
    for (const task of [...this.#kernel.tasks]) {
      if (task.isDead || task.thread?.space !== space) continue;
      this.#kernel.log(
        'warn',
        `process ${task.group.id} (${task.comm}): its host process died: ${reason}`,
      );
      // A SIGKILL that no guest sent comes from the host: under a memory limit, from the cgroup's
      // OOM killer.
      const { allowance } = task.group.container;
      const isLimited = allowance.limits.memoryBytes !== Number.POSITIVE_INFINITY;
      if (signal === SIGKILL && isLimited && !task.group.isExiting) allowance.memoryKills += 1;
      groupExit(task.group, signaledStatus(9, false));
    }
  }

  /** Starts a new task whose thread is ready and whose registers are set. */
  start(task: Task): void {
    this.returnToGuest(task, undefined);
  }

  // Paused containers

  /**
   * Pauses `container` before its host processes are frozen. While it is paused, stops and wake-ups
   * of its tasks are collected and not handled: a handler that waited for a frozen process (or for
   * the container's Gofer, which is frozen too) would block the Sentry's only thread, and with it
   * every other container of the pod.
   */
  pause(container: Container): void {
    if (this.#paused.has(container)) return;
    this.#paused.set(container, { stopped: [], ready: [] });
    setFrozen(container, true);
  }

  /** Resumes a paused container: handles what was collected, stops in their order. */
  resume(container: Container): void {
    const paused = this.#paused.get(container);
    if (paused === undefined) return;
    this.#paused.delete(container);
    setFrozen(container, false);
    this.#ready.push(...paused.ready);
    for (const thread of paused.stopped) this.threadStopped(thread);
  }

  /** Returns whether `container` is paused. */
  isPaused(container: Container): boolean {
    return this.#paused.has(container);
  }

  /** Drops what was collected for `container`, all tasks of which have ended. */
  forget(container: Container): void {
    this.#paused.delete(container);
  }

  #pausedOf(task: Task): Paused | undefined {
    return this.#paused.size === 0 ? undefined : this.#paused.get(task.group.container);
  }

  // Sleeping and waking

  /**
   * Puts a sleeping task on the ready list. Where it is called again before the task runs, the
   * first reason counts.
   */
  makeReady(task: Task, reason: Wake): void {
    if (task.state !== 'sleeping' || task.wakeReason !== undefined) return;
    task.wakeReason = reason;
    this.#ready.push(task);
  }

  /**
   * Makes `task` look for signals and stops before it runs guest code again: something of the kind
   * has changed.
   */
  attend(task: Task): void {
    task.workPending = true;
    if (task.state === 'guest') task.thread.interrupt();
    else if (
      task.state === 'sleeping' &&
      task.sleep?.killable !== true &&
      task.sleep?.isPause !== true
    )
      this.makeReady(task, 'signal');
  }

  /** Lets a stopped task go on, after SIGCONT, where the stop held it. */
  unstop(task: Task): void {
    task.state = 'sleeping';
    task.sleeper = resumeAfterStop(this, task);
    task.wakeReason = 'event';
    this.#ready.push(task);
  }

  /** Ends the sleep of a task that dies, so that the finally blocks of its generator run. */
  abandon(task: Task): void {
    this.#endSleep(task);
    const sleeper = task.sleeper;
    task.sleeper = undefined;
    if (task.state === 'sleeping') sleeper?.return(0);
  }

  #turnTo(task: Task): void {
    this.current = task;
    setCurrentAccount(task.group.account);
  }

  #run(task: Task, call: Blocking<SysResult>, first: Wake | undefined): void {
    task.sleeper = call;
    this.#turnTo(task);
    if (first !== undefined) nextTurn();
    let step = first === undefined ? call.next() : call.next(first);
    for (;;) {
      if (task.isDead) {
        call.return(0); // The task died in its own step: the finally blocks give back what it holds.
        return;
      }
      if (step.done === true) {
        task.sleeper = undefined;
        this.complete(task, step.value);
        return;
      }
      if (step.value.killable !== true && task.recheckPendingSignal()) step = call.next('signal');
      else {
        this.#sleep(task, step.value);
        return;
      }
    }
  }

  #sleep(task: Task, sleep: Sleep): void {
    task.state = 'sleeping';
    task.sleep = sleep;
    task.wakeReason = undefined;
    if (sleep.isPause === true) {
      this.#unfinished.add(task.group.unfinished, task);
      task.thread.willWait();
      return;
    }
    task.voluntarySwitches += 1;
    sleep.join(task);
    if (sleep.deadlineNs !== Number.POSITIVE_INFINITY) {
      task.sleepTimer = this.#kernel.timers.add(sleep.deadlineNs, () =>
        this.makeReady(task, 'deadline'),
      );
    }
    if (sleep.threadIsBusy !== true) task.thread.willWait();
  }

  #endSleep(task: Task): void {
    task.sleep?.leave(task);
    task.sleep = undefined;
    task.sleepTimer?.cancel();
    task.sleepTimer = undefined;
    task.wakeReason = undefined;
  }

  // Back to the guest

  /**
   * Takes the result of a handler back to the guest. The first branch is the hot path of every
   * system call.
   */
  complete(task: Task, result: SysResult): void {
    if (isPlain(result) && !task.workPending) {
      task.state = 'guest';
      task.thread.resumeWithResult(result);
      return;
    }
    if (task.isDead || result === HANDED_OVER) return;
    this.returnToGuest(task, result === REGISTERS_SET ? undefined : result);
  }

  /**
   * Takes a task back to the guest by the slow way, which looks at stops, signals and restarts.
   * `result` is the result of the system call, undefined where the registers are right already (a
   * fault, an interrupt, sigreturn).
   */
  returnToGuest(task: Task, result: SysResult | undefined): void {
    if (task.isDead) return;
    task.state = 'kernel';
    let answer = result;
    // As in Linux, a call that succeeded under a temporary mask ends the mask before signals are looked at.
    if (answer !== undefined && !isRestart(answer) && answer !== EINTR) task.restoreSignalMask();
    for (;;) {
      if (task.isDead) return;
      if (task.trace !== undefined) {
        const stop = task.trace.takeDueStop() ?? takeSignalStop(task);
        if (stop !== undefined) {
          task.state = 'stopped';
          task.thread.willWait();
          task.trace.holdReturn(stop, answer);
          return;
        }
      } else if (task.group.stopRequested) {
        task.state = 'stopped';
        task.resultOnHold = answer;
        task.thread.willWait();
        taskStopped(task);
        return;
      }
      const delivered = deliverSignals(task, answer);
      if (task.isDead) return;
      if (delivered === 'frame')
        answer = undefined; // The signal frame holds the result now.
      else if (delivered === 'none') break;
    }
    this.#runGuest(task, answer);
  }

  #runGuest(task: Task, answer: SysResult | undefined): void {
    let result = answer;
    if (result !== undefined && isRestart(result)) {
      // The restart comes before a signal that only the old mask lets through: such a signal
      // interrupts no call.
      applyRestart(task, result);
      result = undefined;
    }
    task.restoreSignalMask();
    if (task.recalculateWork()) {
      this.returnToGuest(task, result);
      return;
    }
    task.trace?.beforeGuest();
    task.state = 'guest';
    if (result === undefined) task.thread.resume();
    else task.thread.resumeWithResult(result);
  }

  #fault(task: Task): void {
    const outcome = task.thread.outcome;
    if ((outcome.signal === SIGSEGV || outcome.signal === SIGBUS) && task.mm.fault(outcome, task)) {
      this.returnToGuest(task, undefined);
      return;
    }
    forceSignal(task, {
      signal: outcome.signal,
      code: outcome.code,
      addr: outcome.addr,
      trapNumber: outcome.trapNumber,
      errorCode: outcome.errorCode,
    });
    this.returnToGuest(task, undefined);
  }

  #operationFailed(task: Task): void {
    const outcome = task.thread.outcome;
    if (outcome.errno === EFAULT && !task.mm.map.isInFlight(task.thread, outcome.addr)) {
      // The FP state of a signal frame could not be read from guest memory or written to it.
      forceSignal(task, { signal: SIGSEGV, code: 0x80 });
      this.returnToGuest(task, undefined);
      return;
    }
    this.complete(task, task.mm.operationFailed(outcome, task.thread));
  }
}

function setFrozen(container: Container, isFrozen: boolean): void {
  for (const { anyTask } of container.processes())
    if (anyTask !== undefined) anyTask.mm.space.isFrozen = isFrozen;
}

// biome-ignore lint/correctness/useYield: a stopped task resumes through the ready list like a sleeper, without a sleep.
function* resumeAfterStop(scheduler: Scheduler, task: Task): Blocking<SysResult> {
  const answer = task.resultOnHold;
  task.resultOnHold = undefined;
  task.sleeper = undefined;
  scheduler.returnToGuest(task, answer);
  return HANDED_OVER;
}

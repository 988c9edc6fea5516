// Drives tasks: takes what guest threads stop for, runs handlers, puts tasks to sleep and wakes
// them, and decides on the way back to the guest whether a signal is to be delivered first.
// docs/run-states.md draws the states.
import { EFAULT, EINTR, isRestart, type SysResult } from '../../abi/errno.ts';
import { SIGBUS, SIGKILL, SIGSEGV } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { nextTurn } from '../base/turn.ts';
import type { Blocking, Sleep, Wake } from '../base/wait.ts';
import type { AddressSpace } from '../platform/address-space.ts';
import type { GuestThread } from '../platform/guest-thread.ts';
import type { PlatformEvents } from '../platform/platform.ts';
import type { Container } from './container.ts';
import { groupExit } from './exit.ts';
import type { Kernel } from './kernel.ts';
import { HANDED_OVER, isPlain, REGISTERS_SET } from './result.ts';
import { applyRestart, deliverSignals, forceSignal } from './signal-delivery.ts';
import { taskStopped } from './stop.ts';
import type { Task } from './task.ts';

/** What a container that rests has yet to do. */
interface Paused {
  readonly stopped: GuestThread[];
  readonly ready: Task[];
}

export class Scheduler implements PlatformEvents {
  readonly #kernel: Kernel;
  /** Tasks whose sleep has ended, in order. */
  #ready: Task[] = [];
  readonly #paused: Map<Container, Paused> = new Map();
  /** On whose behalf a handler runs right now; between handlers the last one. */
  current: Task | undefined = undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  /** Runs every task whose sleep has ended (and those that they wake in turn, next time). */
  runReady(): void {
    const ready = this.#ready;
    if (ready.length === 0) return;
    this.#ready = [];
    for (const task of ready) {
      const reason = task.wakeReason;
      if (task.state !== 'sleeping' || reason === undefined) continue;
      const paused = this.#pausedOf(task);
      if (paused !== undefined) {
        paused.ready.push(task);
        continue;
      }
      this.#endSleep(task);
      task.state = 'kernel';
      if (task.sleeper !== undefined) this.#run(task, task.sleeper, reason);
    }
  }

  // PlatformEvents

  threadStopped(thread: GuestThread): void {
    const task = thread.owner as Task | undefined;
    if (task === undefined || task.state === 'dead') {
      thread.exit(); // Its task ended while it ran.
      return;
    }
    const paused = this.#pausedOf(task);
    if (paused !== undefined) {
      paused.stopped.push(thread);
      return;
    }
    this.current = task;
    nextTurn();
    const kind = thread.outcome.kind;
    if (task.mm.map.busyThreads !== 0 && kind !== 'operationFailed') task.mm.begin(task);
    if (kind === 'syscall') {
      task.state = 'kernel';
      const answer = this.#kernel.dispatch(task);
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
      // Whom a cgroup's limit of memory killed, it killed with a signal that nobody here sent.
      const { allowance } = task.group.container;
      const isLimited = allowance.limits.memoryBytes !== Number.POSITIVE_INFINITY;
      if (signal === SIGKILL && isLimited && !task.group.isExiting) allowance.memoryKills += 1;
      groupExit(task.group, signaledStatus(9, false));
    }
  }

  /** A new task's thread is ready, its registers set: it runs. */
  start(task: Task): void {
    this.returnToGuest(task, undefined);
  }

  // Paused containers

  /**
   * Nothing is done for `container`'s tasks from here on: its host processes are about to be frozen, and who waited for
   * one of them, or for its Gofer, would keep all others of the pod waiting.
   */
  pause(container: Container): void {
    if (this.#paused.has(container)) return;
    this.#paused.set(container, { stopped: [], ready: [] });
    setFrozen(container, true);
  }

  resume(container: Container): void {
    const paused = this.#paused.get(container);
    if (paused === undefined) return;
    this.#paused.delete(container);
    setFrozen(container, false);
    this.#ready.push(...paused.ready);
    for (const thread of paused.stopped) this.threadStopped(thread);
  }

  isPaused(container: Container): boolean {
    return this.#paused.has(container);
  }

  /** All its tasks have ended. */
  forget(container: Container): void {
    this.#paused.delete(container);
  }

  #pausedOf(task: Task): Paused | undefined {
    return this.#paused.size === 0 ? undefined : this.#paused.get(task.group.container);
  }

  // Sleeping and waking

  /** Marks a sleeping task runnable. The first reason counts. */
  makeReady(task: Task, reason: Wake): void {
    if (task.state !== 'sleeping' || task.wakeReason !== undefined) return;
    task.wakeReason = reason;
    this.#ready.push(task);
  }

  /** Something about `task` changed (signal, stop): it must look before it runs guest code again. */
  attend(task: Task): void {
    task.workPending = true;
    if (task.state === 'guest') task.thread.interrupt();
    else if (task.state === 'sleeping' && task.sleep?.killable !== true)
      this.makeReady(task, 'signal');
  }

  /** SIGCONT: a stopped task goes on where it was held. */
  unstop(task: Task): void {
    task.state = 'sleeping';
    task.sleeper = resumeAfterStop(this, task);
    task.wakeReason = 'event';
    this.#ready.push(task);
  }

  /** Ends a dead task's sleep: its generator's finally blocks run. */
  abandon(task: Task): void {
    this.#endSleep(task);
    const sleeper = task.sleeper;
    task.sleeper = undefined;
    if (task.state === 'sleeping') sleeper?.return(0);
  }

  #run(task: Task, call: Blocking<SysResult>, first: Wake | undefined): void {
    task.sleeper = call;
    this.current = task;
    if (first !== undefined) nextTurn();
    let step = first === undefined ? call.next() : call.next(first);
    for (;;) {
      if (task.isDead) {
        call.return(0); // It died in its own step: what its finally blocks hold is given back.
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
    task.voluntarySwitches += 1;
    task.sleep = sleep;
    task.wakeReason = undefined;
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

  /** A handler has its answer. The hot path is the last line of the first branch. */
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
   * The slow way back: stops, signals, restarts. `result` is the syscall's answer, undefined where
   * the registers are already right (a fault, an interrupt, sigreturn).
   */
  returnToGuest(task: Task, result: SysResult | undefined): void {
    if (task.isDead) return;
    task.state = 'kernel';
    let answer = result;
    // Linux: a call that succeeded under a temporary mask ends the mask before signals are looked at.
    if (answer !== undefined && !isRestart(answer) && answer !== EINTR) task.restoreSignalMask();
    for (;;) {
      if (task.isDead) return;
      if (task.group.stopRequested) {
        task.state = 'stopped';
        task.resultOnHold = answer;
        task.thread.willWait();
        taskStopped(task);
        return;
      }
      const delivered = deliverSignals(task, answer);
      if (task.isDead) return;
      if (delivered === 'frame')
        answer = undefined; // The result went into the frame.
      else if (delivered === 'none') break;
    }
    this.#runGuest(task, answer);
  }

  #runGuest(task: Task, answer: SysResult | undefined): void {
    let result = answer;
    if (result !== undefined && isRestart(result)) {
      applyRestart(task, result); // Before a signal that only the old mask lets through: it interrupts nothing.
      result = undefined;
    }
    task.restoreSignalMask();
    if (task.recalculateWork()) {
      this.returnToGuest(task, result);
      return;
    }
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
      // A signal frame's FP state could not be read or written.
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

// biome-ignore lint/correctness/useYield: a stopped task is resumed through the ready list like a sleeper, but has nothing to wait for.
function* resumeAfterStop(scheduler: Scheduler, task: Task): Blocking<SysResult> {
  const answer = task.resultOnHold;
  task.resultOnHold = undefined;
  task.sleeper = undefined;
  scheduler.returnToGuest(task, answer);
  return HANDED_OVER;
}

// SPDX-License-Identifier: Apache-2.0
// A container: the processes that were started as one, their PID namespace and their mounts. The
// sandbox ends with its first container. The other containers of a pod may join a PID namespace
// (Kubernetes' shareProcessNamespace).
import { SI_USER, SIGKILL } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import type { TimeOffsets } from '../../protocol/boot-config.ts';
import { type IdRanges, sameIdRanges } from '../../protocol/id-ranges.ts';
import { MemoryAccount } from '../base/memory-account.ts';
import type { ProcessPool } from '../platform/platform.ts';
import type { MountNamespace } from '../vfs/mount.ts';
import { Allowance, type AllowanceOptions, noLimits } from './allowance.ts';
import { groupExit } from './exit.ts';
import { IpcNamespace } from './ipc/ipc-namespace.ts';
import type { Kernel } from './kernel.ts';
import { Limits } from './limits.ts';
import type { PidNamespace } from './pid-namespace.ts';
import { SignalActions } from './signal-state.ts';
import { ThreadGroup } from './thread-group.ts';
import { noTimeOffsets, type TimeNamespace } from './time-offsets.ts';
import { UtsNamespace } from './uts-namespace.ts';

/**
 * The state of a container, by OCI's names. 'creating': there is no main process yet. 'created':
 * the main process is loaded and not started.
 */
export type ContainerState = 'creating' | 'created' | 'running' | 'stopped';

export interface ContainerOptions {
  readonly kernel: Kernel;
  readonly id: string;
  /** The PID namespace: a new one, or another container's that this container joins. */
  readonly pids: PidNamespace;
  readonly mounts: MountNamespace;
  /**
   * Another container's IPC namespace that this container joins; without it the container gets one
   * of its own.
   */
  readonly ipc?: IpcNamespace;
  readonly uts?: UtsNamespace;
  /** Which ids of the host the container's ids are. */
  readonly ids?: IdRanges;
  /** The time namespace; without it the container has the sandbox's clocks. */
  readonly time?: TimeNamespace;
  /**
   * The pool that makes the container's host processes; without it they are made in the sandbox's
   * own cgroups. The kernel ends the pool when it forgets the container.
   */
  readonly processPool?: ProcessPool | undefined;
  /** The limits of the container; without them it may use all that the kernel has. */
  readonly allowance?: AllowanceOptions;
  /**
   * Process 1 is a virtual init: it runs no guest code, and the Sentry adopts and reaps orphans in
   * its name. The main process is process 2 then.
   */
  readonly hasVirtualInit: boolean;
  /**
   * Called when the main process has ended and all other processes of the container with it. The
   * call comes from the midst of ending them: the callee may take notes and send messages, and must
   * not start or end processes. It is undefined for the first container, whose end is the kernel's.
   */
  readonly ended: ((status: number) => void) | undefined;
}

export class Container {
  readonly kernel: Kernel;
  readonly id: string;
  readonly pids: PidNamespace;
  readonly mounts: MountNamespace;
  /** The IPC namespace, which the container holds until the kernel forgets it. */
  readonly ipc: IpcNamespace;
  readonly uts: UtsNamespace;
  readonly ids: IdRanges;
  readonly time: TimeNamespace | undefined;
  readonly processPool: ProcessPool | undefined;
  readonly allowance: Allowance;
  state: ContainerState = 'creating';
  /** The main process: the container ends with it. */
  main: ThreadGroup | undefined = undefined;
  /** The wait status of the main process, once the container has stopped. */
  exitStatus = 0;
  readonly #ended: ContainerOptions['ended'];
  /** The callbacks of those outside the sandbox who wait for a process that they started. */
  readonly #watched: Map<ThreadGroup, (status: number) => void> = new Map();

  /** Makes the container and adds it to its kernel. */
  constructor(options: ContainerOptions) {
    this.kernel = options.kernel;
    this.id = options.id;
    this.pids = options.pids;
    this.#ended = options.ended;
    this.mounts = options.mounts;
    this.ipc = (options.ipc ?? new IpcNamespace(options.kernel)).acquire();
    this.ids = options.ids ?? sameIdRanges;
    this.time = options.time;
    this.processPool = options.processPool;
    this.uts = options.uts ?? new UtsNamespace(this.kernel, this.ids, options.id);
    const machineBytes = this.kernel.memoryBytes;
    const account = new MemoryAccount(this.kernel.memory);
    const unlimited = { limits: noLimits, machineBytes, guardsMemory: 'late' as const, account };
    this.allowance = new Allowance(this, options.allowance ?? unlimited);
    this.kernel.addContainer(this);
    if (options.hasVirtualInit) this.#makeVirtualInit();
  }

  /** How far the container's clocks are ahead of the sandbox's. */
  get timeOffsets(): TimeOffsets {
    return this.time?.offsets ?? noTimeOffsets;
  }

  #makeVirtualInit(): void {
    const id = this.pids.allocatePid(this) ?? 1;
    const init = new ThreadGroup({
      container: this,
      id,
      parent: undefined,
      processGroup: undefined,
      limits: new Limits(),
      actions: new SignalActions(),
      isVirtual: true,
    });
    this.pids.init = init;
    this.pids.addGroup(init);
    this.pids.newSession(init);
  }

  /** Returns the container's processes that have guest code, zombies included. */
  processes(): ThreadGroup[] {
    return [...this.kernel.groups].filter((group) => group.container === this && !group.isVirtual);
  }

  /**
   * Sends the main process a signal from outside, as `docker kill` does: SIGKILL and SIGSTOP work
   * on process 1 too.
   */
  signal(signal: number): void {
    this.main?.send({ signal, code: SI_USER, fromOutside: true });
  }

  /** Sends all processes of the container a signal from outside. */
  signalAll(signal: number): void {
    for (const group of this.processes()) group.send({ signal, code: SI_USER, fromOutside: true });
  }

  /**
   * Calls `ended` with the wait status when `group`, whose parent is outside the sandbox, has
   * ended.
   */
  watch(group: ThreadGroup, ended: (status: number) => void): void {
    this.#watched.set(group, ended);
  }

  /**
   * Takes note that `group`, a process of the container, has ended (and its PID namespace, if it
   * was process 1).
   */
  processEnded(group: ThreadGroup): void {
    const ended = this.#watched.get(group);
    this.#watched.delete(group);
    if (group === this.main) this.#mainEnded(group.exitStatus);
    ended?.(group.exitStatus);
  }

  #mainEnded(status: number): void {
    this.state = 'stopped';
    this.exitStatus = status;
    for (const group of this.processes()) groupExit(group, signaledStatus(SIGKILL, false));
    this.#ended?.(status);
    if (this.kernel.mainContainer === this) this.kernel.mainExited(status);
  }
}

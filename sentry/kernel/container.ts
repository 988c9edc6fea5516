// A container: the processes that were started as one, their PID namespace and their mounts. The first container of
// a sandbox is the sandbox: it ends the kernel. Others may join its PID namespace (a pod's shareProcessNamespace).
import { SI_USER, SIGKILL } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import type { TimeOffsets } from '../../protocol/boot-config.ts';
import { type IdRanges, sameIdRanges } from '../../protocol/id-ranges.ts';
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

/** As OCI names them. 'creating': there is no main process yet. 'created': it is loaded, and not started. */
export type ContainerState = 'creating' | 'created' | 'running' | 'stopped';

export interface ContainerOptions {
  readonly kernel: Kernel;
  readonly id: string;
  /** Its own, or another container's that it joins. */
  readonly pids: PidNamespace;
  readonly mounts: MountNamespace;
  /** Another container's that it joins; without it one of its own. */
  readonly ipc?: IpcNamespace;
  readonly uts?: UtsNamespace;
  /** What its ids are on the host. */
  readonly ids?: IdRanges;
  /** Absent: its clocks are the sandbox's. */
  readonly time?: TimeNamespace;
  /** Absent: its host processes are in the sandbox's own cgroups. Ended when the kernel forgets the container. */
  readonly processPool?: ProcessPool | undefined;
  /** Without it all that the kernel has. */
  readonly allowance?: AllowanceOptions;
  /** Process 1 is the Sentry's: no guest code, it adopts and reaps orphans. The main process is process 2 then. */
  readonly hasVirtualInit: boolean;
}

export class Container {
  readonly kernel: Kernel;
  readonly id: string;
  readonly pids: PidNamespace;
  readonly mounts: MountNamespace;
  /** Held until the kernel forgets the container. */
  readonly ipc: IpcNamespace;
  readonly uts: UtsNamespace;
  readonly ids: IdRanges;
  readonly time: TimeNamespace | undefined;
  readonly processPool: ProcessPool | undefined;
  readonly allowance: Allowance;
  state: ContainerState = 'creating';
  /** The process whose end is the container's. */
  main: ThreadGroup | undefined = undefined;
  /** Wait status of the main process, once stopped. */
  exitStatus = 0;
  /** Told when the main process has ended and all others of the container with it. It runs in the midst of that: it may take note and send messages, no more. */
  ended: ((status: number) => void) | undefined = undefined;
  /** Who waits outside for processes that were started from there. */
  readonly #watched: Map<ThreadGroup, (status: number) => void> = new Map();

  /** The container is known to its kernel from here on. */
  constructor(options: ContainerOptions) {
    this.kernel = options.kernel;
    this.id = options.id;
    this.pids = options.pids;
    this.mounts = options.mounts;
    this.ipc = (options.ipc ?? new IpcNamespace(options.kernel)).acquire();
    this.ids = options.ids ?? sameIdRanges;
    this.time = options.time;
    this.processPool = options.processPool;
    this.uts = options.uts ?? new UtsNamespace(this.ids, options.id);
    const machineBytes = this.kernel.memoryBytes;
    const unlimited = { limits: noLimits, machineBytes, guardsMemory: 'none' as const };
    this.allowance = new Allowance(this, options.allowance ?? unlimited);
    this.kernel.addContainer(this);
    if (options.hasVirtualInit) this.#makeVirtualInit();
  }

  /** By how much its clocks are ahead of the sandbox's. */
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

  /** Its processes with guest code, zombies included. */
  processes(): ThreadGroup[] {
    return [...this.kernel.groups].filter((group) => group.container === this && !group.isVirtual);
  }

  /** A signal from outside to the main process, as `docker kill` sends it: SIGKILL and SIGSTOP work on process 1 too. */
  signal(signal: number): void {
    this.main?.send({ signal, code: SI_USER, fromOutside: true });
  }

  /** The same for all processes. */
  signalAll(signal: number): void {
    for (const group of this.processes()) group.send({ signal, code: SI_USER, fromOutside: true });
  }

  /** `told` gets the wait status when `group`, whose parent is outside, has ended. */
  watch(group: ThreadGroup, told: (status: number) => void): void {
    this.#watched.set(group, told);
  }

  /** One of its processes is dead, and its own namespace with it if it was process 1. */
  processEnded(group: ThreadGroup): void {
    const told = this.#watched.get(group);
    this.#watched.delete(group);
    if (group === this.main) this.#mainEnded(group.exitStatus);
    told?.(group.exitStatus);
  }

  #mainEnded(status: number): void {
    this.state = 'stopped';
    this.exitStatus = status;
    for (const group of this.processes()) groupExit(group, signaledStatus(SIGKILL, false));
    this.ended?.(status);
    if (this.kernel.mainContainer === this) this.kernel.mainExited(status);
  }
}

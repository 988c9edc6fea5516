// SPDX-License-Identifier: Apache-2.0
// The containers of this Sentry and the processes that are started in them from outside: the first
// one at boot, a pod's others and those of `runts exec` over the control socket.
import { isErrno, type Result } from '../../abi/errno.ts';
import { SIGKILL } from '../../abi/signal.ts';
import { native } from '../../native/addon.ts';
import type {
  ContainerConfig,
  LimitsConfig,
  ProcessConfig,
  TimeOffsets,
} from '../../protocol/boot-config.ts';
import type { JoinedNamespaces, ProcessRequest } from '../../protocol/control.ts';
import { sameIdRanges } from '../../protocol/id-ranges.ts';
import { MemoryAccount } from '../base/memory-account.ts';
import type { WorkCounters } from '../base/work-counters.ts';
import { GoferClient } from '../fs/gofer/client.ts';
import type { HostWork } from '../fs/gofer/host-work.ts';
import { SharedIdentities } from '../fs/gofer/shared-identities.ts';
import type { Machine } from '../host/machine.ts';
import { accountLimit, noLimits } from '../kernel/allowance.ts';
import { Container } from '../kernel/container.ts';
import { IpcNamespace } from '../kernel/ipc/ipc-namespace.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { PidNamespace } from '../kernel/pid-namespace.ts';
import type { Seccomp } from '../kernel/seccomp/seccomp.ts';
import type { Task } from '../kernel/task.ts';
import type { TimeNamespace } from '../kernel/time-offsets.ts';
import { UtsNamespace } from '../kernel/uts-namespace.ts';
import { prepareProcess } from '../loader/start.ts';
import type { ProcessPool } from '../platform/platform.ts';
import { FdTable } from '../vfs/fd-table.ts';
import { FsContext } from '../vfs/fs-context.ts';
import { BootFailure } from './boot-failure.ts';
import { CallWatch } from './call-watch.ts';
import { mountConsole } from './container-dev.ts';
import type { CallCounting, RequestHandler } from './control-server.ts';
import { guestSeccomp } from './guest-seccomp.ts';
import { changedLimits } from './limits.ts';
import { buildMounts, type GuestMounts, releaseUnusedWatches } from './mounts.ts';
import {
  applyScheduling,
  checkScheduling,
  processCredentials,
  processLimits,
  workingDirectory,
} from './process-attributes.ts';
import type { ControlledProcess } from './process-control.ts';
import { containerProgramFailure, failureOf, programFailure } from './start-failure.ts';
import { openStreams, type StreamSources, type Streams } from './streams.ts';
import { processEnvironment, withKnownUser } from './user-files.ts';

/** Host descriptors of a process or container. */
export interface GivenDescriptors {
  readonly hostFds: readonly [number, number, number];
  readonly moreFds: readonly number[];
  /** They are closed when the guest has closed its files of them. */
  readonly isOwned: boolean;
  /** Told of each that somebody will close. */
  readonly taken: (hostFd: number) => void;
}

/** The descriptors that come with a further container of a pod. */
interface OwnPlace {
  /** The cgroup.procs of its cgroups, to be written. */
  readonly cgroupFds: readonly number[];
}

interface KnownContainer {
  readonly container: Container;
  readonly mounts: GuestMounts;
  readonly seccomp: Seccomp | undefined;
}

interface ContainersOptions {
  readonly kernel: Kernel;
  readonly machine: Machine;
  /** Makes host calls that may take long, for the files of all containers. */
  readonly hostWork: HostWork;
  readonly newTime: (asked: TimeOffsets) => TimeNamespace;
  /** Where the requests to Gofers are counted; undefined where nobody asked. */
  readonly work: WorkCounters | undefined;
}

export class Containers implements RequestHandler {
  readonly #kernel: Kernel;
  readonly #machine: Machine;
  readonly #hostWork: HostWork;
  readonly #callWatch: CallWatch;
  readonly #newTime: (asked: TimeOffsets) => TimeNamespace;
  readonly #identities = new SharedIdentities();
  readonly #known: Map<string, KnownContainer> = new Map();

  readonly #work: WorkCounters | undefined;

  constructor({ kernel, machine, hostWork, newTime, work }: ContainersOptions) {
    this.#kernel = kernel;
    this.#machine = machine;
    this.#hostWork = hostWork;
    this.#callWatch = new CallWatch(kernel, () => kernel.clock.monotonicNs());
    this.#newTime = newTime;
    this.#work = work;
  }

  /**
   * Makes a container and loads its first process. Throws BootFailure; then nothing is left of it.
   * `ended` is told of the end of one among others; undefined for the first, which is the
   * sandbox's.
   */
  create(
    config: ContainerConfig,
    given: GivenDescriptors & JoinedNamespaces & { readonly goferFd: number } & Partial<OwnPlace>,
    ended: ((status: number) => void) | undefined,
  ): ControlledProcess {
    const kernel = this.#kernel;
    const { processPool, problem } = this.#newProcessPool(given);
    let container: Container | undefined;
    const events = {
      // One container's loss is not the others'.
      died: ended === undefined ? undefined : () => container?.signal(SIGKILL),
      watching: (client: GoferClient) => releaseUnusedWatches(client, kernel),
      work: this.#work,
    };
    const gofer = new GoferClient(given.goferFd, events, this.#identities);
    given.taken(given.goferFd);
    let mounts: GuestMounts | undefined;
    try {
      if (this.#known.has(config.id))
        throw new BootFailure(`container ${config.id} exists already`);
      const seccomp = guestSeccomp(config.seccomp);
      const pids = this.#joined(given.joinsPidsOf)?.pids ?? new PidNamespace(kernel);
      const ipc = this.#joined(given.joinsIpcOf)?.ipc ?? new IpcNamespace(kernel);
      const uts = utsFor(kernel, config, this.#joined(given.joinsUtsOf)?.uts);
      const limits = changedLimits(noLimits, config.limits);
      const account = new MemoryAccount(kernel.memory, { limitBytes: accountLimit(limits) });
      const [machine, hostWork] = [this.#machine, this.#hostWork];
      const parts = { kernel, machine, hostWork, gofer, pids, ipc, uts };
      const memoryLimitBytes = limits.memoryBytes;
      mounts = buildMounts(config, { ...parts, account, memoryLimitBytes });
      container = new Container({
        kernel,
        id: config.id,
        pids,
        mounts: mounts.namespace,
        ipc,
        uts,
        hasVirtualInit: !config.isInit,
        ended: ended === undefined ? undefined : (status) => this.#ended(config.id, status, ended),
        processPool,
        allowance: {
          limits,
          account,
          machineBytes: this.#machine.memoryBytes,
          // Its limit does not bind in cgroups where its processes are not.
          guardsMemory:
            given.cgroupFds === undefined || processPool !== undefined
              ? config.guardsMemory
              : 'always',
        },
        ...(config.ids === undefined ? {} : { ids: config.ids }),
        ...(config.timeOffsets === undefined ? {} : { time: this.#newTime(config.timeOffsets) }),
      });
      const known = { container, mounts, seccomp };
      const process = this.#load(known, config.process, given, true);
      this.#known.set(config.id, known);
      return problem === undefined ? process : { ...process, warning: problem };
    } catch (error) {
      if (container !== undefined) kernel.forgetContainer(container);
      processPool?.end();
      mounts?.close();
      gofer.close();
      throw error;
    }
  }

  /** Its own cgroups, where it has any; or why its processes are in those of the sandbox. */
  #newProcessPool({ cgroupFds, taken }: GivenDescriptors & Partial<OwnPlace>): {
    readonly processPool?: ProcessPool;
    readonly problem?: string;
  } {
    if (cgroupFds === undefined) return {};
    if (cgroupFds.length === 0) return {};
    for (const fd of cgroupFds) taken(fd);
    const processPool = this.#kernel.platform.newProcessPool(cgroupFds);
    if (!isErrno(processPool)) return { processPool };
    const reason = failureOf('', processPool).message;
    return {
      problem: `the container's processes stay in the cgroups of its pod's sandbox: ${reason}`,
    };
  }

  handle(
    request: ProcessRequest,
    hostFds: readonly number[],
    ended: (status: number) => void,
  ): ControlledProcess {
    const left = new Set(hostFds);
    const [input, output, error, ...moreFds] = hostFds as [number, number, number, ...number[]];
    const given: GivenDescriptors = {
      hostFds: [input, output, error],
      moreFds,
      isOwned: true,
      taken: (fd) => left.delete(fd),
    };
    try {
      return request.type === 'exec'
        ? this.#execute(request, given, ended)
        : this.#createFurther(request, given, ended);
    } catch (failure) {
      for (const fd of left) native.close(fd);
      throw failure;
    }
  }

  #createFurther(
    request: ProcessRequest & { readonly type: 'create' },
    given: GivenDescriptors,
    ended: (status: number) => void,
  ): ControlledProcess {
    const [goferFd = -1, ...others] = given.moreFds;
    const cgroups = Math.min(Math.max(Math.trunc(Number(request.cgroups)) || 0, 0), others.length);
    const places = {
      ...given,
      ...request.joins,
      moreFds: others.slice(cgroups),
      cgroupFds: others.slice(0, cgroups),
      goferFd,
    };
    return this.create(request.container, places, ended);
  }

  /** One whose making failed is not known, and told of otherwise. */
  #ended(id: string, status: number, told: (status: number) => void): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    const { container, mounts } = known;
    this.#known.delete(id);
    this.#kernel.forgetContainer(container);
    mounts.close();
    if (container.time !== undefined) native.close(container.time.vdso.codeFd);
    told(status);
  }

  hostProcesses(id: string): number[] {
    const known = this.#known.get(id);
    if (known === undefined) throw new BootFailure(`container ${id} is not in this sandbox`);
    const pids = new Set<number>();
    // Those of vfork(2) are in their parent's until they exec.
    for (const group of known.container.processes()) {
      const task = group.anyTask;
      if (task !== undefined) pids.add(task.mm.space.hostId);
    }
    pids.delete(0);
    return [...pids];
  }

  countCalls(id: string): CallCounting {
    if (!this.#known.has(id)) throw new BootFailure(`container ${id} is not in this sandbox`);
    const watcher = this.#callWatch.begin();
    if (watcher === undefined) throw new BootFailure('too many count already');
    return { end: () => this.#callWatch.end(watcher) };
  }

  update(id: string, limits: LimitsConfig): void {
    const { container } = this.#known.get(id) ?? {};
    if (container === undefined) throw new BootFailure(`container ${id} is not in this sandbox`);
    container.allowance.limits = changedLimits(container.allowance.limits, limits);
    this.#kernel.limitsChanged(container);
  }

  setPaused(id: string, isPaused: boolean): void {
    const { container } = this.#known.get(id) ?? {};
    if (container === undefined) throw new BootFailure(`container ${id} is not in this sandbox`);
    const { scheduler } = this.#kernel;
    if (!isPaused) scheduler.resume(container);
    // Who made the pod rests with its Sentry.
    else if (container !== this.#kernel.mainContainer) scheduler.pause(container);
  }

  #execute(
    request: ProcessRequest & { readonly type: 'exec' },
    given: GivenDescriptors,
    ended: (status: number) => void,
  ): ControlledProcess {
    const known = this.#known.get(request.container);
    if (known === undefined || known.container.state === 'stopped')
      throw new BootFailure(`container ${request.container} is not running`);
    if (this.#kernel.scheduler.isPaused(known.container))
      throw new BootFailure(`container ${request.container} is paused`);
    const process = this.#load(known, request.process, given, false);
    known.container.watch(process.task.group, ended);
    return process;
  }

  #joined(id: string | undefined): Container | undefined {
    if (id === undefined) return undefined;
    const other = this.#known.get(id);
    if (other === undefined) throw new BootFailure(`container ${id} is not in this sandbox`);
    return other.container;
  }

  #load(
    known: KnownContainer,
    config: ProcessConfig,
    given: GivenDescriptors,
    asMain: boolean,
  ): ControlledProcess {
    const { container, mounts } = known;
    const sources: StreamSources = {
      kernel: this.#kernel,
      devpts: mounts.devpts,
      caller: mounts.caller,
      ...given,
    };
    checkScheduling(config);
    const streams = openStreams(config, sources);
    let task: Task;
    try {
      task = loaded(known, config, streams, asMain);
    } catch (error) {
      streams.disconnect();
      throw error;
    }
    applyScheduling(task, config);
    streams.giveTerminalTo(task);
    return { container, task, streams, hasTerminal: config.terminal !== undefined };
  }
}

/**
 * Returns the UTS namespace. A name that is given is set, as with runc, in a joined namespace too.
 */
function utsFor(
  kernel: Kernel,
  { ids = sameIdRanges, hostname, domainname }: ContainerConfig,
  joined: UtsNamespace | undefined,
): UtsNamespace {
  if (joined === undefined) return new UtsNamespace(kernel, ids, hostname ?? '', domainname);
  if (hostname !== undefined) joined.hostname = hostname;
  if (domainname !== undefined) joined.domainname = domainname;
  return joined;
}

function loaded(
  known: KnownContainer,
  config: ProcessConfig,
  streams: Streams,
  asMain: boolean,
): Task {
  const { container, mounts } = known;
  const isShell = container.pids.init?.isVirtual === true;
  if (asMain && !isShell && streams.terminalIndex !== undefined)
    mountConsole(mounts.namespace, mounts.caller, streams.terminalIndex);
  const task = prepare(known, config, streams, asMain);
  const command = config.argv[0] ?? '';
  if (!isErrno(task)) return task;
  throw isShell ? programFailure(command, task) : containerProgramFailure(command, task);
}

function prepare(
  { container, mounts, seccomp }: KnownContainer,
  asked: ProcessConfig,
  streams: Streams,
  asMain: boolean,
): Result<Task> {
  const config = withKnownUser(asked, mounts.caller);
  const credentials = processCredentials(config);
  const files = new FdTable();
  streams.files.forEach((file, fd) => void files.replace(fd, file, false));
  const root = mounts.namespace.rootPath;
  const fs = new FsContext(root, root, config.umask);
  const isShell = container.pids.init?.isVirtual === true;
  // runc goes there while it still has its own rights.
  const mover = isShell ? credentials : mounts.caller.credentials;
  const { specialFiles } = mounts.namespace;
  const cwd = workingDirectory(config.cwd, { fs, files, specialFiles, credentials: mover });
  if (isErrno(cwd)) {
    files.release();
    const { message, code } = failureOf('', cwd);
    throw isShell
      ? new BootFailure(`--cwd: ${config.cwd}: ${message}`)
      : new BootFailure(
          `unable to start container process: chdir to cwd ("${config.cwd}") set in config.json failed: ${message.toLowerCase()}`,
          code,
        );
  }
  fs.cwd = cwd;
  return prepareProcess({
    container,
    asMain,
    credentials,
    files,
    fs,
    limits: processLimits(config),
    argv: config.argv,
    envp: processEnvironment(config, mounts.caller),
    noNewPrivileges: config.noNewPrivileges,
    seccomp,
    oomScoreAdjustment: config.oomScoreAdjustment,
    hasTerminal: streams.terminalIndex !== undefined,
  });
}

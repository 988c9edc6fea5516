// The containers of this Sentry and the processes that are started in them from outside: the first one at boot, a pod's
// others and those of `runts exec` over the control socket.
import { isErrno, type Result } from '../../abi/errno.ts';
import { SIGKILL } from '../../abi/signal.ts';
import { native } from '../../native/addon.ts';
import type { Machine } from '../host/machine.ts';
import { Container } from '../kernel/container.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { PidNamespace } from '../kernel/pid-namespace.ts';
import type { Seccomp } from '../kernel/seccomp/seccomp.ts';
import type { Task } from '../kernel/task.ts';
import { prepareProcess } from '../loader/start.ts';
import { FdTable } from '../vfs/fd-table.ts';
import { FsContext } from '../vfs/fs-context.ts';
import { BootFailure } from './boot-failure.ts';
import type { ContainerConfig, ProcessConfig } from './config.ts';
import { mountConsole } from './container-dev.ts';
import type { ConnectionRequest } from './control-protocol.ts';
import type { RequestHandler } from './control-server.ts';
import { guestSeccomp } from './guest-seccomp.ts';
import { buildMounts, type GuestMounts } from './mounts.ts';
import {
  processCredentials,
  processEnvironment,
  processLimits,
  workingDirectory,
} from './process-attributes.ts';
import type { ControlledProcess } from './process-control.ts';
import { containerProgramFailure, failureOf, programFailure } from './start-failure.ts';
import { openStreams, type StreamSources, type Streams } from './streams.ts';

/** Host descriptors of a process or container. */
export interface GivenDescriptors {
  readonly hostFds: readonly [number, number, number];
  readonly moreFds: readonly number[];
  /** They are closed when the guest has closed its files of them. */
  readonly isOwned: boolean;
  /** Told of each that somebody will close. */
  readonly taken: (hostFd: number) => void;
}

interface KnownContainer {
  readonly container: Container;
  readonly mounts: GuestMounts;
  readonly seccomp: Seccomp | undefined;
}

export class Containers implements RequestHandler {
  readonly #kernel: Kernel;
  readonly #machine: Machine;
  readonly #known: Map<string, KnownContainer> = new Map();

  constructor(kernel: Kernel, machine: Machine) {
    this.#kernel = kernel;
    this.#machine = machine;
  }

  /** Makes a container and loads its first process. Throws BootFailure; then nothing is left of it. */
  create(
    config: ContainerConfig,
    given: GivenDescriptors & { readonly goferFd: number; readonly joinsPidsOf?: string },
  ): ControlledProcess {
    const kernel = this.#kernel;
    if (this.#known.has(config.id))
      throw new BootFailure(`container ${config.id} is there already`);
    const seccomp = guestSeccomp(config.seccomp);
    const pids = this.#pidsFor(given.joinsPidsOf);
    given.taken(given.goferFd);
    const mounts = buildMounts(config, {
      kernel,
      machine: this.#machine,
      goferFd: given.goferFd,
      pids,
    });
    const container = new Container({
      kernel,
      id: config.id,
      pids,
      mounts: mounts.namespace,
      hasVirtualInit: !config.isInit,
      ...(config.ids === undefined ? {} : { ids: config.ids }),
    });
    const known = { container, mounts, seccomp };
    try {
      const process = this.#load(known, config.process, given, true);
      this.#known.set(config.id, known);
      return process;
    } catch (error) {
      kernel.forgetContainer(container);
      mounts.close();
      throw error;
    }
  }

  handle(
    request: ConnectionRequest,
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
    request: ConnectionRequest & { readonly type: 'create' },
    given: GivenDescriptors,
    ended: (status: number) => void,
  ): ControlledProcess {
    const [goferFd = -1, ...moreFds] = given.moreFds;
    const joins = request.joinsPidsOf === undefined ? {} : { joinsPidsOf: request.joinsPidsOf };
    const process = this.create(request.container, { ...given, moreFds, goferFd, ...joins });
    const { container } = process;
    const mounts = this.#known.get(container.id)?.mounts;
    // One container's loss is not the others'.
    if (mounts !== undefined) mounts.gofer.died = () => container.signal(SIGKILL);
    container.ended = (status) => {
      this.#known.delete(container.id);
      this.#kernel.forgetContainer(container);
      mounts?.close();
      ended(status);
    };
    return process;
  }

  #execute(
    request: ConnectionRequest & { readonly type: 'exec' },
    given: GivenDescriptors,
    ended: (status: number) => void,
  ): ControlledProcess {
    const known = this.#known.get(request.container);
    if (known === undefined || known.container.state === 'stopped')
      throw new BootFailure(`container ${request.container} is not running`);
    const process = this.#load(known, request.process, given, false);
    known.container.watch(process.task.group, ended);
    return process;
  }

  #pidsFor(joins: string | undefined): PidNamespace {
    if (joins === undefined) return new PidNamespace(this.#kernel);
    const other = this.#known.get(joins);
    if (other === undefined) throw new BootFailure(`container ${joins} is not in this sandbox`);
    return other.container.pids;
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
    const streams = openStreams(config, sources);
    let task: Task;
    try {
      task = loaded(known, config, streams, asMain);
    } catch (error) {
      streams.disconnect();
      throw error;
    }
    streams.giveTerminalTo(task);
    return { container, task, streams, hasTerminal: config.terminal !== undefined };
  }
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
  config: ProcessConfig,
  streams: Streams,
  asMain: boolean,
): Result<Task> {
  const credentials = processCredentials(config);
  const files = new FdTable();
  streams.files.forEach((file, fd) => void files.replace(fd, file, false));
  const root = mounts.namespace.rootPath;
  const fs = new FsContext(root, root, config.umask);
  const isShell = container.pids.init?.isVirtual === true;
  // runc goes there while it still has its own rights.
  const mover = isShell ? credentials : mounts.caller.credentials;
  const cwd = workingDirectory(config.cwd, { fs, files, credentials: mover });
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
  });
}

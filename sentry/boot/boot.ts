// Puts a sandbox together, in the order that the parts need one another: platform, kernel, file systems, streams,
// first process; then confines this process.
import { isErrno, type Result } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { awaitThreads, installFilter, sealRoot } from '../../native/confinement.ts';
import { Rest } from '../../native/footprint.ts';
import { SystrapClock } from '../../platform-ptrace/systrap/clock.ts';
import { createSystrapPlatform } from '../../platform-ptrace/systrap/platform.ts';
import { openFifo } from '../fs/pipe/fifo.ts';
import { setSocketLister } from '../fs/proc/net.ts';
import { SharedMemoryFileSystem } from '../fs/shm/shared-memory.ts';
import type { ControlChannel } from '../host/control-channel.ts';
import { FD_PAGE, FD_SEALER, FD_WAKE, FD_ZYGOTE } from '../host/descriptors.ts';
import type { Log } from '../host/log.ts';
import { type Machine, readMachine } from '../host/machine.ts';
import { sentryFilter } from '../host/sentry-filter.ts';
import { credentialsOf } from '../kernel/credentials.ts';
import { Kernel } from '../kernel/kernel.ts';
import { Limits } from '../kernel/limits.ts';
import type { Task } from '../kernel/task.ts';
import { startFirstProcess } from '../loader/start.ts';
import { listInetSockets } from '../net/inet/socket-tables.ts';
import type { Platform } from '../platform/platform.ts';
import { dispatcher, type SyscallTracer, tracingDispatcher } from '../syscalls/dispatch.ts';
import { table } from '../syscalls/table-x86-64.ts';
import { FdTable } from '../vfs/fd-table.ts';
import { FsContext } from '../vfs/fs-context.ts';
import type { MountNamespace } from '../vfs/mount.ts';
import { setFifoOpener } from '../vfs/special-files.ts';
import { BootFailure } from './boot-failure.ts';
import type { SandboxConfig } from './config.ts';
import { Control } from './control.ts';
import { buildMounts, workingDirectory } from './mounts.ts';
import { failureOf, programFailure } from './start-failure.ts';
import { openStreams, type Streams } from './streams.ts';
import { Timeline } from './timeline.ts';

export interface Sandbox {
  /** Runs until the main process ends: its wait status. */
  run(): number;
}

/** What boot is given besides the configuration. */
export interface Connections {
  readonly channel: ControlChannel;
  readonly log: Log;
  /** For --strace. */
  readonly tracer: SyscallTracer | undefined;
}

export function bootSandbox(config: SandboxConfig, connections: Connections): Sandbox {
  const { channel, log } = connections;
  const timeline = new Timeline();
  timeline.mark('program');
  const procFd = native.reopen(-1, 0);
  const machine = readMachine();
  const clock = newClock();
  timeline.mark('clock');
  const rest = new Rest();
  const platform = newPlatform(clock, rest);
  timeline.mark('platform');
  const kernel = newKernel(config, machine, { platform, clock }, connections);
  kernel.mainHasShell = config.hasShell;
  setFifoOpener(openFifo);
  setSocketLister(listInetSockets);
  const mounts = buildMounts(config, machine, kernel);
  timeline.mark('mounts');
  const streams = openStreams(config, kernel, mounts);
  const task = startMain(config, kernel, mounts.namespace, streams);
  if (isErrno(task)) throw programFailure(config.container.process.argv[0] ?? '', task);
  streams.giveTerminalTo(task);
  timeline.mark('first program');
  rest.prepare();
  confine(config, procFd);
  timeline.mark('confined');
  log('debug', `start, ms: ${timeline}`);
  const control = new Control(kernel, channel, streams);
  log('info', `started ${JSON.stringify(config.container.process.argv)}`);
  return {
    run: () => {
      control.start(config.container.process.terminal !== undefined);
      const status = kernel.run();
      streams.flush();
      return status;
    },
  };
}

function newClock(): SystrapClock {
  try {
    return new SystrapClock();
  } catch (error) {
    throw new BootFailure(error instanceof Error ? error.message : String(error));
  }
}

function newPlatform(clock: SystrapClock, rest: Rest): Platform {
  try {
    return createSystrapPlatform({
      zygoteSocketFd: FD_ZYGOTE,
      wakeEventFd: FD_WAKE,
      globalPageFd: FD_PAGE,
      clock,
      rest,
    });
  } catch (error) {
    throw new BootFailure(
      `platform systrap: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function newKernel(
  config: SandboxConfig,
  machine: Machine,
  { platform, clock }: { readonly platform: Platform; readonly clock: SystrapClock },
  { log, tracer }: Connections,
): Kernel {
  const memoryBytes =
    config.memoryBytes > 0
      ? Math.min(config.memoryBytes, machine.memoryBytes)
      : machine.memoryBytes;
  return new Kernel({
    clock,
    platform,
    hostname: config.hostname,
    memoryBytes,
    memoryLimitBytes: config.memoryBytes > 0 ? memoryBytes : undefined,
    pidLimit: config.pidLimit > 0 ? config.pidLimit : Number.POSITIVE_INFINITY,
    cpuCount: machine.cpuCount,
    log,
    dispatch: tracer === undefined ? dispatcher(table) : tracingDispatcher(table, tracer),
    program: {
      sharedMemory: new SharedMemoryFileSystem({ clock, maxBytes: memoryBytes }),
      vdso: clock.vdso,
      cpu: { hwcap: machine.hwcap, hwcap2: machine.hwcap2 },
    },
    randomFill: (bytes) => void native.getRandom(bytes),
  });
}

function startMain(
  config: SandboxConfig,
  kernel: Kernel,
  namespace: MountNamespace,
  streams: Streams,
): Result<Task> {
  const { process } = config.container;
  const credentials = {
    ...credentialsOf(process.user.uid, process.user.gid, process.user.groups),
    ...process.capabilities,
  };
  const files = new FdTable();
  streams.files.forEach((file, fd) => void files.replace(fd, file, false));
  const root = namespace.rootPath;
  const fs = new FsContext(root, root, process.umask);
  const cwd = workingDirectory(process.cwd, { fs, files, credentials });
  if (isErrno(cwd)) throw new BootFailure(`--cwd: ${process.cwd}: ${failureOf('', cwd).message}`);
  fs.cwd = cwd;
  return startFirstProcess(kernel, {
    credentials,
    files,
    fs,
    limits: new Limits(),
    argv: process.argv,
    envp: process.env,
  });
}

/** From here on this process can do what its seccomp list says, and sees no file. */
function confine(config: SandboxConfig, procFd: number): void {
  awaitThreads();
  const sealed = sealRoot(FD_SEALER);
  if (sealed < 0) throw new BootFailure(`cannot leave the host's file system: errno ${-sealed}`);
  const undumpable = native.setDumpable(0);
  const filtered =
    undumpable < 0 ? undumpable : installFilter(sentryFilter(procFd), config.seccomp);
  if (filtered < 0) throw new BootFailure(`cannot install the seccomp filter: errno ${-filtered}`);
}

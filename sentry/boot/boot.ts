// SPDX-License-Identifier: Apache-2.0
// Puts a sandbox together, in the order that the parts need one another: platform, kernel, file
// systems, streams, first process; then confines this process.

import { getHeapStatistics } from 'node:v8';
import { isErrno } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { awaitThreads, installFilter, sealRoot } from '../../native/confinement.ts';
import { MemoryTrim } from '../../native/memory-trim.ts';
import { ptrace } from '../../platform-ptrace/ptrace/trap.ts';
import { SystrapClock } from '../../platform-ptrace/systrap/clock.ts';
import { createStubPlatform } from '../../platform-ptrace/systrap/platform.ts';
import { systrap } from '../../platform-ptrace/systrap/trap.ts';
import type { Trap } from '../../platform-ptrace/trap.ts';
import type { PlatformChoice, SandboxConfig } from '../../protocol/boot-config.ts';
import { eventLine } from '../../protocol/control.ts';
import {
  SENTRY_GOFER,
  SENTRY_PAGE,
  SENTRY_SEALER,
  SENTRY_STDIO,
  SENTRY_WAKE,
  SENTRY_ZYGOTE,
} from '../../protocol/descriptors.ts';
import { MemoryAccount } from '../base/memory-account.ts';
import { Settings } from '../base/settings.ts';
import { TimerQueue } from '../base/timer-queue.ts';
import { HostWork } from '../fs/gofer/host-work.ts';
import { SharedMemoryFileSystem } from '../fs/shm/shared-memory.ts';
import type { ControlChannel } from '../host/control-channel.ts';
import type { Log } from '../host/log.ts';
import { type Machine, readMachine } from '../host/machine.ts';
import { sentryFilter } from '../host/sentry-filter.ts';
import { noLimits } from '../kernel/allowance.ts';
import { Kernel, type KernelOptions } from '../kernel/kernel.ts';
import { TurnMeter } from '../kernel/turn-meter.ts';
import type { Platform } from '../platform/platform.ts';
import { dispatcher, type SyscallTracer, tracingDispatcher } from '../syscalls/dispatch.ts';
import { newPidfd } from '../syscalls/pidfd.ts';
import { table } from '../syscalls/table-x86-64.ts';
import { BootFailure } from './boot-failure.ts';
import { Containers } from './containers.ts';
import { serveControl } from './control-server.ts';
import { joinHostNetwork } from './host-network.ts';
import { changedLimits } from './limits.ts';
import type { Measurement } from './measurement.ts';
import { ProcessControl } from './process-control.ts';
import { takeSandboxNetwork } from './sandbox-network.ts';
import { newTimeNamespace } from './time-namespace.ts';
import { Timeline } from './timeline.ts';
import { closedNetwork, joinUserNetwork, type ToldNetwork } from './user-network.ts';

/** The part of V8's heap that objects of guests may have: the collector needs the rest. */
const HEAP_FOR_OBJECTS = 0.6;
/** The Sentry's own pid, because it is init of its PID namespace. */
const SENTRY_PID = 1;

export interface Sandbox {
  /** Runs until the main process ends: its wait status. */
  run(): number;
}

/** The connections that boot is given besides the configuration. */
export interface Connections {
  readonly channel: ControlChannel;
  readonly log: Log;
  /** For --strace. */
  readonly newTracer: ((nowNs: () => number) => SyscallTracer) | undefined;
  /** For --stats and --profile: what counts and measures. */
  readonly newMeasurement: ((nowNs: () => number) => Measurement) | undefined;
  /** For --profile: starts it, and answers what ends it. */
  readonly startProfile: (() => () => void) | undefined;
}

export function bootSandbox(config: SandboxConfig, connections: Connections): Sandbox {
  const { channel, log } = connections;
  const timeline = new Timeline();
  timeline.mark('program');
  const procFd = native.reopen(-1, 0);
  const machine = readMachine();
  const clock = newClock();
  timeline.mark('clock');
  const memoryTrim = new MemoryTrim();
  const measurement = connections.newMeasurement?.(() => clock.monotonicNs());
  // Each sample interrupts a sleep, which to the platform looks like the end of a long rest: no garbage is
  // collected for that.
  const trim = config.profile ? undefined : memoryTrim;
  const platform = newPlatform(config, clock, trim, measurement);
  timeline.mark('platform');
  log('debug', `platform ${platform.name}`);
  let control: ProcessControl | undefined;
  const { kernel, lastWords } = newKernel(config, machine, connections, {
    platform,
    clock,
    measurement,
    ownMemory: {
      inUseBytes: () => native.chargedBytes(SENTRY_PID),
      collectGarbage: () => memoryTrim.collectGarbage(),
    },
    mainStopped: (isStopped, signal) => control?.stopped(isStopped, signal),
  });
  const hostWork = startHostWork();
  const containers = new Containers({
    kernel,
    machine,
    hostWork,
    newTime: (asked) => newTimeNamespace(clock, kernel.namespaceNumbers, asked),
    work: measurement?.work,
  });
  const given = {
    goferFd: SENTRY_GOFER,
    hostFds: [SENTRY_STDIO, SENTRY_STDIO + 1, SENTRY_STDIO + 2] as const,
    moreFds: channel.takeDescriptors(),
    isOwned: false,
    taken: () => undefined,
  };
  const main = containers.create(config.container, given, undefined);
  timeline.mark('first program');
  memoryTrim.prepare();
  const endProfile = connections.startProfile?.();
  confine(config, procFd);
  timeline.mark('confined');
  log('debug', `start, ms: ${timeline}`);
  const mainControl = new ProcessControl(main, channel);
  control = mainControl;
  log('info', `started ${JSON.stringify(config.container.process.argv)}`);
  return {
    run: () => {
      mainControl.begin(config.waitsForStart);
      channel.watch(kernel.platform, mainControl);
      hostWork.watch(kernel.platform);
      if (config.waitsForStart) serveControl(kernel.platform, containers);
      measurement?.begin();
      const status = kernel.run();
      endNetwork(kernel);
      main.streams.flush();
      for (const text of lastWords()) channel.send(eventLine({ type: 'warning', text }));
      endProfile?.();
      measurement?.end(config.stats ? 'everything' : 'shares');
      if (kernel.turns !== undefined) log('info', `turns ${JSON.stringify(kernel.turns.counts())}`);
      return status;
    },
  };
}

/** Threads for host calls that take long. Two that hang leave one for the others. */
const HOST_WORK_THREADS = 3;

function startHostWork(): HostWork {
  const started = HostWork.start(HOST_WORK_THREADS);
  if (!isErrno(started)) return started;
  throw new BootFailure(`no thread for calls of the host that take long: errno ${-started}`);
}

function newClock(): SystrapClock {
  try {
    return new SystrapClock();
  } catch (error) {
    throw new BootFailure(error instanceof Error ? error.message : String(error));
  }
}

function newPlatform(
  { platform: name, patching, hostFutexes, windows }: SandboxConfig,
  clock: SystrapClock,
  memoryTrim: MemoryTrim | undefined,
  measurement: Measurement | undefined,
): Platform {
  try {
    const platform = createStubPlatform(traps[name], {
      zygoteSocketFd: SENTRY_ZYGOTE,
      wakeEventFd: SENTRY_WAKE,
      globalPageFd: SENTRY_PAGE,
      clock,
      ...(memoryTrim === undefined ? {} : { memoryTrim }),
      work: measurement?.work,
      patches: patching,
      hostFutexes,
      windows,
    });
    return measurement === undefined ? platform : measurement.metered(platform);
  } catch (error) {
    throw new BootFailure(
      `platform ${name}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The traps that each choice of the user allows, the best first. */
const traps: Readonly<Record<PlatformChoice, readonly Trap[]>> = {
  auto: [systrap, ptrace],
  systrap: [systrap],
  ptrace: [ptrace],
};

interface HostParts extends Pick<KernelOptions, 'platform' | 'mainStopped' | 'ownMemory'> {
  readonly clock: SystrapClock;
  readonly measurement: Measurement | undefined;
}

/** Everything that the kernel is given by the layers above it, and by the host. */
function newKernel(
  config: SandboxConfig,
  machine: Machine,
  { log, newTracer, channel }: Connections,
  { platform, clock, measurement, mainStopped, ownMemory }: HostParts,
): { readonly kernel: Kernel; readonly lastWords: ToldNetwork['lastWords'] } {
  const settings = new Settings();
  const timers = new TimerQueue();
  const tracer = newTracer?.(() => {
    const { sec, nsec } = clock.realtime();
    return sec * 1e9 + nsec;
  });
  const dispatch = tracer === undefined ? dispatcher(table) : tracingDispatcher(table, tracer);
  const limits = changedLimits(noLimits, config.container.limits);
  const memoryBytes = Math.min(limits.memoryBytes, machine.memoryBytes);
  const memory = new MemoryAccount(undefined, {
    limitBytes: machine.memoryBytes,
    objectLimitBytes: getHeapStatistics().heap_size_limit * HEAP_FOR_OBJECTS,
  });
  const tell = config.container.isInit
    ? (): void => undefined
    : (text: string) => channel.send(eventLine({ type: 'warning', text }));
  const { network, lastWords } = newNetwork(config, {
    platform,
    clock,
    settings,
    memory,
    timers,
    tell,
  });
  const kernel = new Kernel({
    clock,
    platform,
    memoryBytes,
    memory,
    ownMemory,
    cpuCount: machine.cpuCount,
    log,
    turns: config.turns ? newTurnMeter(platform) : undefined,
    tell,
    observer: tracer,
    watchesCalls: tracer !== undefined || measurement !== undefined,
    dispatch: measurement === undefined ? dispatch : measurement.counting(dispatch),
    program: {
      sharedMemory: new SharedMemoryFileSystem({ clock, account: memory }),
      vdso: clock.vdso,
      cpu: { hwcap: machine.hwcap, hwcap2: machine.hwcap2 },
    },
    randomFill: (bytes) => void native.getRandom(bytes),
    newPidfd,
    network,
    settings,
    timers,
    mainHasShell: config.hasShell,
    mainStopped,
  });
  return { kernel, lastWords };
}

interface NetworkParts {
  readonly platform: Platform;
  readonly clock: SystrapClock;
  readonly settings: Settings;
  readonly memory: MemoryAccount;
  readonly timers: TimerQueue;
  readonly tell: (text: string) => void;
}

function newNetwork(config: SandboxConfig, parts: NetworkParts): ToldNetwork {
  const { platform, clock, settings, memory, timers, tell } = parts;
  switch (config.network) {
    case 'host':
      return {
        network: joinHostNetwork(platform, clock, settings, config.networkSettings),
        lastWords: () => [],
      };
    case 'user':
      return joinUserNetwork(platform, memory, settings, config);
    case 'sandbox':
      return {
        network: takeSandboxNetwork({
          platform,
          timers,
          nowNs: () => clock.monotonicNs(),
          randomFill: (bytes) => void native.getRandom(bytes),
          account: memory,
        }),
        lastWords: () => [],
      };
    case 'none':
      return closedNetwork(tell);
  }
}

/** So long the last words of programs may take; who does not listen gets a reset. */
const LAST_WORDS_NS = 2e9;

function endNetwork(kernel: Kernel): void {
  const { leftover } = kernel.network;
  if (leftover === undefined) return;
  kernel.linger(() => leftover.areSending(), LAST_WORDS_NS);
  leftover.abandon();
}

function newTurnMeter(platform: Platform): TurnMeter {
  return new TurnMeter(
    () => native.cpuTimeNs(0) + platform.sleptNs,
    (number) => table[number]?.name ?? 'no such call',
  );
}

/** From here on this process can do what its seccomp list says, and sees no file. */
function confine(config: SandboxConfig, procFd: number): void {
  awaitThreads();
  const sealed = sealRoot(SENTRY_SEALER);
  if (isErrno(sealed))
    throw new BootFailure(`cannot leave the host's file system: errno ${-sealed}`);
  const undumpable = native.setDumpable(0);
  const filtered = isErrno(undumpable)
    ? undumpable
    : installFilter(
        sentryFilter(
          procFd,
          config.network === 'sandbox' ? 'none' : config.network,
          config.profile ? 'profile' : 'no profile',
        ),
        config.seccomp,
      );
  if (isErrno(filtered))
    throw new BootFailure(`cannot install the seccomp filter: errno ${-filtered}`);
}

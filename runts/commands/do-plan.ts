// SPDX-License-Identifier: Apache-2.0
// What `runts do` is asked for, checked and turned into a plan. Nothing is started here.

import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { allCapabilities, noCapabilities } from '../../abi/capability.ts';
import type {
  MountConfig,
  ProcessConfig,
  SandboxConfig,
  StraceOptions,
  TerminalConfig,
} from '../../protocol/boot-config.ts';
import { exactArguments, exactEnvironment, toByteString } from '../byte-string.ts';
import { callerLimits, SOFT_FILES_VARIABLE } from '../caller-limits.ts';
import { sentryCacheFile } from '../code-cache.ts';
import { complain, describe, Failure } from '../failure.ts';
import { findInstallation } from '../installation.ts';
import type { LaunchPlan } from '../launch.ts';
import { type NetworkOptions, type NetworkPlan, planNetwork } from '../network/plan-network.ts';
import { parsePlatform } from '../platform-choice.ts';
import { parseCount, parseId, parseSize, parseTime } from '../quantities.ts';
import { hasShell } from '../shell.ts';
import { wantsTerminal, windowSize } from '../terminal.ts';
import { planMounts } from './do-mounts.ts';

/** The options of `runts do`, in commander's form. */
export interface DoOptions extends NetworkOptions {
  readonly root: string;
  readonly volume: readonly string[];
  readonly tmpfs: readonly string[];
  readonly cwd?: string;
  readonly env: readonly string[];
  readonly clearEnv?: boolean;
  readonly user?: string;
  readonly hostname: string;
  readonly memory?: string;
  readonly pids?: string;
  readonly timeout?: string;
  readonly platform: string;
  /** The empty string where no file is named. */
  readonly strace?: string;
  readonly straceFilter?: string;
  readonly straceTimes?: string;
  /** The empty string where no file is named. */
  readonly stats?: string;
  /** Off by --no-patching. */
  readonly patching: boolean;
  /** Off by --no-windows. */
  readonly windows: boolean;
  /** Off by --no-host-futexes. */
  readonly hostFutexes: boolean;
  readonly profile?: string;
  readonly debugLog?: string;
  readonly debugSeccomp?: boolean;
  readonly tty?: boolean;
}

export async function planDo(command: readonly string[], options: DoOptions): Promise<LaunchPlan> {
  if (command.length === 0)
    throw new Failure('RUNTS_E_USAGE', "do: no command given; 'runts help do' tells how");
  if (command[0] === '') throw new Failure('RUNTS_E_USAGE', 'do: the name of the command is empty');
  const { mounts, attach } = planMounts(options);
  const network = planNetwork(options);
  const config = planConfig(command, options, [...mounts, ...network.mounts], network);
  const timeoutMs = options.timeout === undefined ? 0 : parseTime(options.timeout, '--timeout');
  const logFd = openLog(options);
  const straceFd = openStrace(options.strace);
  const statsFd = openStats(options);
  const profileFd =
    options.profile === undefined ? undefined : openOutput(options.profile, 'w', '--profile');
  if (logFd !== undefined && options.debugLog !== undefined) {
    await startLog(logFd, options.debugLog, config);
  }
  return {
    installation: findInstallation(),
    config,
    attach,
    logFd,
    straceFd,
    statsFd,
    profileFd,
    proxyFd: network.proxyFd,
    timeoutMs,
  };
}

function planConfig(
  command: readonly string[],
  options: DoOptions,
  mounts: readonly MountConfig[],
  { network, published }: NetworkPlan,
): SandboxConfig {
  const platform = parsePlatform(options.platform, '--platform');
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(options.hostname)) {
    throw new Failure(
      'RUNTS_E_OPTION_VALUE',
      `--hostname: '${options.hostname}' is not a valid host name`,
    );
  }
  return {
    container: {
      id: 'do',
      root: { attach: 0, overlay: true, readOnly: false },
      mounts,
      devices: [],
      maskedPaths: [],
      readOnlyPaths: [],
      sysctl: {},
      hostname: options.hostname,
      limits: {
        memoryBytes: options.memory === undefined ? 0 : parseSize(options.memory, '--memory'),
        pidLimit: options.pids === undefined ? 0 : parseCount(options.pids, '--pids'),
      },
      guardsMemory: 'always',
      process: planProcess(command, options),
      isInit: false,
    },
    waitsForStart: false,
    hasShell: hasShell(),
    strace: options.strace !== undefined,
    straceOptions: planStrace(options),
    debug: options.debugLog !== undefined,
    seccomp: options.debugSeccomp === true ? 'log' : 'kill',
    platform,
    patching: options.patching,
    windows: options.windows,
    hostFutexes: options.hostFutexes,
    network,
    published,
    networkSettings: [],
    writeCodeCache: sentryCacheFile() !== undefined,
    stats: options.stats !== undefined,
    profile: options.profile !== undefined,
    turns: isMeterWanted(options),
  };
}

/** How long the Sentry's turns take is for developers, and asked for with a variable: docs/debugging.md. */
function isMeterWanted({ debugLog }: DoOptions): boolean {
  if (process.env['RUNTS_TURNS'] !== '1') return false;
  if (debugLog === undefined) throw new Failure('RUNTS_E_USAGE', 'RUNTS_TURNS=1 wants --debug-log');
  return true;
}

function planProcess(command: readonly string[], options: DoOptions): ProcessConfig {
  const terminal = planTerminal(options);
  const who = planUser(options.user);
  const capabilities = who.user.uid === 0 ? allCapabilities : noCapabilities;
  return {
    argv: exactArguments(command),
    env: planEnvironment(options),
    cwd: toByteString(planDirectory(options)),
    ...who,
    umask: process.umask(),
    capabilities: {
      bounding: allCapabilities,
      effective: capabilities,
      inheritable: noCapabilities,
      permitted: capabilities,
      ambient: noCapabilities,
    },
    limits: callerLimits(),
    addsHome: false,
    noNewPrivileges: false,
    oomScoreAdjustment: 0,
    ...(terminal === undefined ? {} : { terminal }),
  };
}

function planTerminal({ tty = false }: DoOptions): TerminalConfig | undefined {
  if (!wantsTerminal()) {
    if (!tty) return undefined;
    throw new Failure('RUNTS_E_TERMINAL', '--tty: standard input and output are not a terminal');
  }
  return { streams: [true, true, isTerminal(2)], window: windowSize(0) };
}

function isTerminal(fd: number): boolean {
  try {
    return statSync(`/proc/self/fd/${fd}`).rdev === statSync('/proc/self/fd/0').rdev;
  } catch {
    return false;
  }
}

function planEnvironment(options: DoOptions): string[] {
  const variables = new Map<string, string>();
  const own = exactEnvironment();
  const given = options.env.flatMap((text) => {
    const entry = toByteString(text);
    if (entry === '' || entry.startsWith('='))
      throw new Failure('RUNTS_E_OPTION_VALUE', `--env: '${text}' is neither NAME=VALUE nor NAME`);
    // A name alone passes the caller's variable on, where there is one.
    return entry.includes('=') ? entry : own.filter((each) => each.startsWith(`${entry}=`));
  });
  for (const entry of [...(options.clearEnv === true ? [] : own), ...given]) {
    variables.set(entry.slice(0, entry.indexOf('=')), entry);
  }
  // This one is from bin/runts to us.
  if (options.clearEnv !== true) variables.delete(SOFT_FILES_VARIABLE);
  return [...variables.values()];
}

/** The caller's directory, where the guest's root is the host's; else its root. */
function planDirectory(options: DoOptions): string {
  if (options.cwd !== undefined) {
    if (!isAbsolute(options.cwd))
      throw new Failure('RUNTS_E_OPTION_VALUE', `--cwd: '${options.cwd}' is not absolute`);
    return options.cwd;
  }
  if (resolve(options.root) !== '/') return '/';
  try {
    return process.cwd();
  } catch {
    return '/';
  }
}

/** Ids are taken as they are; the names of others are looked up inside, when the process is made. */
function planUser(text: string | undefined): Pick<ProcessConfig, 'user' | 'userNames'> {
  if (text === undefined) {
    const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
    return { user: { uid, gid, groups: process.getgroups?.() ?? [] } };
  }
  const [user = '', group, ...more] = text.split(':');
  if (user === '' || group === '' || more.length > 0)
    throw new Failure('RUNTS_E_OPTION_VALUE', `--user: '${text}' is not USER or USER:GROUP`);
  if (/\D/.test(`${user}${group ?? ''}`)) {
    const names = {
      user: toByteString(user),
      ...(group === undefined ? {} : { group: toByteString(group) }),
    };
    return { user: { uid: 0, gid: 0, groups: [] }, userNames: names };
  }
  const uid = parseId(user, '--user');
  const gid = group === undefined ? uid : parseId(group, '--user');
  return { user: { uid, gid, groups: [gid] } };
}

/** The Sentry's standard error: the log, or in a run that makes code caches the file for its own. */
function openLog(options: DoOptions): number | undefined {
  if (options.debugLog !== undefined) return openOutput(options.debugLog, 'a', '--debug-log');
  const cache = sentryCacheFile();
  return cache === undefined ? undefined : openOutput(cache, 'w', 'code cache');
}

const timeKinds = ['relative', 'absolute', 'spent'];

function planStrace({ strace, straceFilter, straceTimes }: DoOptions): StraceOptions {
  if (strace === undefined && (straceFilter !== undefined || straceTimes !== undefined))
    throw new Failure('RUNTS_E_USAGE', '--strace-filter and --strace-times want --strace');
  const kinds = straceTimes === undefined ? [] : straceTimes.split(',');
  const wrong = kinds.find((kind) => !timeKinds.includes(kind));
  if (wrong !== undefined)
    throw new Failure(
      'RUNTS_E_OPTION_VALUE',
      `--strace-times: '${wrong}' is not one of ${timeKinds.join(', ')}`,
    );
  return {
    ...Object.fromEntries(kinds.map((kind) => [kind, true])),
    ...(straceFilter === undefined ? {} : { filter: straceFilter }),
  };
}

/**
 * Without a name the trace goes to a new file here: on standard error it would be among the words of the
 * program. The file that a name stands for is written over, as by strace(1) -o.
 */
function openStrace(name: string | undefined): number | undefined {
  if (name === undefined) return undefined;
  if (name === '-') return 2;
  if (name !== '') return openOutput(name, 'w', '--strace');
  const path = `runts-strace.${process.pid}.log`;
  const fd = openOutput(path, 'wx', '--strace');
  complain(`--strace: system calls are written to ${path}`);
  return fd;
}

/** Standard error, or a file that is written over, as by --strace. A profile has its summary there. */
function openStats({ stats, profile }: DoOptions): number | undefined {
  if (stats === undefined) return profile === undefined ? undefined : 2;
  return stats === '' || stats === '-' ? 2 : openOutput(stats, 'w', '--stats');
}

function openOutput(path: string, flags: string, option: string): number {
  try {
    return openSync(path, flags, 0o644);
  } catch (error) {
    throw new Failure('RUNTS_E_OPTION_FILE', `${option}: ${path}: ${describe(error)}`);
  }
}

/** The log's first line is written at once: a full disk shows before anything is started. */
async function startLog(fd: number, path: string, config: SandboxConfig): Promise<void> {
  const { pino } = await import('pino');
  try {
    const log = pino({ name: 'runts' }, { write: (line: string) => void writeSync(fd, line) });
    const { argv, cwd, user } = config.container.process;
    log.info({ argv, cwd, user }, 'do');
  } catch (error) {
    closeSync(fd);
    throw new Failure('RUNTS_E_LOG_FILE', `--debug-log: ${path}: ${describe(error)}`);
  }
}

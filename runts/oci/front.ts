// SPDX-License-Identifier: Apache-2.0
// Starts a process's front (native/launcher/front.c) and hears from it until the process is there.
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { ECHILD, isErrno, type SysResult } from '../../abi/errno.ts';
import { SOCK_STREAM } from '../../abi/socket.ts';
import { native } from '../../native/addon.ts';
import type { SandboxConfig } from '../../protocol/boot-config.ts';
import type { ConnectionRequest } from '../../protocol/control.ts';
import { type Caller, globals } from '../../protocol/globals.ts';
import { type LauncherValues, launcherArguments } from '../../protocol/launcher-options.ts';
import { PREBOOT_FRONT, PREBOOT_LAUNCHER } from '../../protocol/processes.ts';
import { STATUS_WORD, type StatusWord } from '../../protocol/status.ts';
import { configFile } from '../config-file.ts';
import { describe, Failure } from '../failure.ts';
import { askPreboot, programFd } from '../preboot/ask.ts';
import type { CommandLog } from './log.ts';

export interface FrontPlan {
  readonly launcher: string;
  /** The launcher's options for what is started. */
  readonly options: LauncherValues;
  /** The title that ps(1) shows. */
  readonly title: string;
  /** The first line on the control channel. */
  readonly request: SandboxConfig | ConnectionRequest;
  /** Directory of the control socket. */
  readonly stateDirectory: string;
  /** Files that the front writes its process id into. */
  readonly cgroupFiles: readonly string[];
  readonly log: CommandLog;
  readonly consoleSocket: string | undefined;
  readonly window: { readonly rows: number; readonly columns: number } | undefined;
  readonly oomScoreAdjustment: number;
  /** Other descriptors that the front keeps: those that `options` name. */
  readonly keptFds: readonly number[];
  /** How many of our descriptors from 3 on the process gets (--preserve-fds). */
  readonly preservedFds: number;
  /** Standard streams of the process; absent: ours. */
  readonly streams?: readonly [number, number, number];
}

/** A failure at the start of a process, with the exit code that a shell would give. */
export class StartFailure extends Failure {
  readonly shellCode: number;

  constructor(text: string, shellCode: number) {
    super('RUNTS_E_START', text);
    this.shellCode = shellCode;
  }
}

export class Front {
  readonly pid: number;
  readonly #channel: number;
  #text = '';

  private constructor(pid: number, channel: number) {
    this.pid = pid;
    this.#channel = channel;
  }

  /** With `isGated` it waits for `open` before it starts anything. */
  static start(plan: FrontPlan, isGated: boolean): Front {
    const pair = new Int32Array(2);
    if (isErrno(native.socketpair(SOCK_STREAM, pair)))
      throw new Failure('RUNTS_E_HOST_RESOURCES', 'no descriptors left');
    const [own, theirs] = pair as unknown as [number, number];
    const { args, kept, made } = frontArguments(plan);
    const [, ...launcherArgs] = args;
    const words = [
      plan.launcher,
      ...launcherArgs,
      ...launcherArguments({ status: theirs, gate: isGated ? theirs : undefined }),
    ];
    const pid =
      globals.runtsCaller === undefined
        ? startHere(plan, words, [...kept, theirs])
        : startAtCaller(globals.runtsCaller, [plan.launcher, ...launcherArgs], words, [
            kept,
            [...kept, theirs],
          ]);
    for (const fd of [...made, theirs]) closeSync(fd);
    if (isErrno(pid)) {
      closeSync(own);
      throw new Failure('RUNTS_E_LAUNCHER', `cannot start ${plan.launcher}: errno ${-pid}`);
    }
    return new Front(pid, own);
  }

  /** Waits for its next word: one of STATUS_WORD. Throws StartFailure. */
  await(word: StatusWord): void {
    const line = this.#readLine();
    if (line === word) return;
    const [, head, code, text] = /^(\w+) (\d+) (.*)$/s.exec(line ?? '') ?? [];
    if (head === STATUS_WORD.failed) throw new StartFailure(text ?? '', Number(code));
    throw new StartFailure("the container's process ended before it was ready", 125);
  }

  /** Lets it go on after STATUS_WORD.namespaces. */
  open(): void {
    try {
      writeSync(this.#channel, '\n');
    } catch {
      // It is gone: `await` tells how.
    }
  }

  close(): void {
    closeSync(this.#channel);
  }

  #readLine(): string | undefined {
    const bytes = Buffer.alloc(4096);
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const count = readSync(this.#channel, bytes);
      if (count === 0) return undefined;
      this.#text += bytes.toString('utf8', 0, count);
    }
  }
}

/** Starts it as our child. */
function startHere(plan: FrontPlan, words: readonly string[], fds: readonly number[]): SysResult {
  const preboot =
    plan.streams === undefined
      ? askPreboot(PREBOOT_FRONT, words, fds, plan.options['join'] !== true)
      : undefined;
  return preboot?.pid ?? spawnLauncher(words, fds, plan.streams);
}

/**
 * Starts it as the child of the process that asked a nursery: what engines wait for has to descend
 * from whom they started. Launcher, Sentry and Gofer are forks of our preboot.
 */
function startAtCaller(
  caller: Caller,
  launcherWords: readonly string[],
  frontWords: readonly string[],
  [launcherFds, frontFds]: readonly [readonly number[], readonly number[]],
): SysResult {
  const preboot = askPreboot(PREBOOT_LAUNCHER, launcherWords, launcherFds, true);
  if (preboot === undefined) return -ECHILD;
  const words = [
    ...frontWords,
    ...launcherArguments({ preboot: preboot.socket, 'preboot-pid': preboot.pid }),
  ];
  const fds = [...frontFds, preboot.socket, ...words.flatMap(programFd)];
  return caller.startFront(
    Buffer.from(`${words.join('\0')}\0`, 'utf8'),
    Int32Array.from(new Set(fds)),
  );
}

function spawnLauncher(
  words: readonly string[],
  kept: readonly number[],
  streams: FrontPlan['streams'],
): SysResult {
  // Node has its standard streams closed at exec.
  for (const fd of [0, 1, 2, ...kept]) native.keepAtExec(fd);
  return native.spawn(
    Buffer.from(`${words.join('\0')}\0`, 'utf8'),
    streams === undefined ? undefined : Int32Array.from(streams),
  );
}

interface FrontArguments {
  readonly args: string[];
  /** Descriptors that it must find open. */
  readonly kept: readonly number[];
  /** Those of them that were made for it alone. */
  readonly made: readonly number[];
}

/** Its command line. */
export function frontArguments(plan: FrontPlan): FrontArguments {
  const config = configFile(plan.request);
  const directory = openDirectory(plan.stateDirectory);
  const options = launcherArguments({
    title: plan.title,
    'state-dir': directory,
    config,
    'oom-score-adj': plan.oomScoreAdjustment,
    'preserve-fds': plan.preservedFds,
    cgroup: plan.cgroupFiles,
    'error-log': plan.log.fd,
    'error-log-json': plan.log.fd !== undefined && plan.log.format === 'json',
    ...plan.options,
    ...consoleOptions(plan),
  });
  const args = ['runts', ...options];
  const made = [config, directory];
  const preserved = Array.from({ length: plan.preservedFds }, (_, index) => 3 + index);
  const kept = [...made, ...plan.keptFds, ...preserved];
  if (plan.log.fd !== undefined) kept.push(plan.log.fd);
  return { args, kept, made };
}

function openDirectory(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw new Failure('RUNTS_E_STATE_DIRECTORY', `${path}: ${describe(error)}`);
  }
}

function consoleOptions({ consoleSocket, window }: FrontPlan): LauncherValues {
  if (consoleSocket === undefined) return {};
  return { terminal: true, 'console-socket': consoleSocket, ...window };
}

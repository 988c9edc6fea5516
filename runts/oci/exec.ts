// SPDX-License-Identifier: Apache-2.0
// A further process in a running container: a front of its own connects to the Sentry, and stands
// for it on the host.
import { readFileSync } from 'node:fs';
import { native } from '../../native/addon.ts';
import type { ProcessConfig } from '../../protocol/boot-config.ts';
import type { ConnectionRequest } from '../../protocol/control.ts';
import { STATUS_WORD } from '../../protocol/status.ts';
import { become } from '../become.ts';
import { describe, Failure } from '../failure.ts';
import { findInstallation } from '../installation.ts';
import { needTerminal, windowSize } from '../terminal.ts';
import { restoreCgroup } from './cgroups/cgroup.ts';
import type { OciContext } from './context.ts';
import { Front, type FrontPlan, frontArguments, StartFailure } from './front.ts';
import { writePidFile } from './pid-file.ts';
import { loadSpec } from './plan-container.ts';
import { planProcess } from './plan-process.ts';
import { parseProcess } from './spec/parse.ts';
import type { Process } from './spec/types.ts';
import type { ContainerRecord } from './state/container-record.ts';
import { statusOf } from './state/status.ts';

export interface ExecRequest {
  readonly id: string;
  /** Completes the process of the container's config.json, where there is no file of its own. */
  readonly change: (process: Process) => Process;
  readonly processFile: string | undefined;
  readonly isDetached: boolean;
  readonly ignoresPause: boolean;
  readonly pidFile: string | undefined;
  readonly consoleSocket: string | undefined;
  readonly preservedFds: number;
}

export function execute(context: OciContext, request: ExecRequest): void {
  const record = context.store.load(request.id);
  checkStatus(context, record, request.ignoresPause);
  const process = planProcess(loadProcess(context, record, request));
  const hasTerminal = process.terminal !== undefined;
  if (hasTerminal && request.isDetached && request.consoleSocket === undefined)
    throw new Failure(
      'RUNTS_E_TERMINAL',
      'cannot allocate tty if runts will detach without setting console socket',
    );
  if (!hasTerminal && request.consoleSocket !== undefined)
    throw new Failure(
      'RUNTS_E_TERMINAL',
      'cannot use console socket if runts will not detach or allocate tty',
    );
  const plan = frontPlan(context, record, process, request);
  if (hasTerminal && request.consoleSocket === undefined) needTerminal();
  if (request.isDetached || request.consoleSocket !== undefined) detach(plan, request);
  else becomeFront(plan, request, hasTerminal);
}

function checkStatus(context: OciContext, record: ContainerRecord, ignoresPause: boolean): void {
  const status = statusOf(context.store, record);
  if (status === 'stopped' || status === 'creating')
    throw new Failure('RUNTS_E_CONTAINER_STATE', 'cannot exec in a stopped container');
  if (status === 'paused' && !ignoresPause)
    throw new Failure(
      'RUNTS_E_CONTAINER_STATE',
      'cannot exec in a paused container (use --ignore-paused to override)',
    );
}

function loadProcess(context: OciContext, record: ContainerRecord, request: ExecRequest): Process {
  const path = request.processFile;
  if (path === undefined) return request.change(loadSpec(record.bundle, context.log).process);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Failure('RUNTS_E_OPTION_FILE', `--process: ${path}: ${describe(error)}`);
  }
  const { process, warnings } = parseProcess(text, path);
  for (const warning of warnings) context.log.write('warning', warning);
  return process;
}

function frontPlan(
  context: OciContext,
  record: ContainerRecord,
  process: ProcessConfig,
  request: ExecRequest,
): FrontPlan {
  const usesOwnTerminal = process.terminal !== undefined && request.consoleSocket === undefined;
  const config = usesOwnTerminal
    ? { ...process, terminal: { streams: [true, true, true], window: windowSize(0) } as const }
    : process;
  const message: ConnectionRequest = { type: 'exec', container: record.id, process: config };
  return {
    launcher: findInstallation().launcher,
    options: { exec: true },
    title: process.argv.join(' '),
    request: message,
    stateDirectory: context.store.directory(record.sandbox ?? record.id),
    cgroupFiles: record.cgroup === null ? [] : restoreCgroup(record.cgroup).procsFiles(),
    log: context.log,
    consoleSocket: request.consoleSocket,
    window: process.terminal?.window,
    oomScoreAdjustment: process.oomScoreAdjustment,
    keptFds: [],
    preservedFds: request.preservedFds,
  };
}

/** A child of ours is left to whoever reaps our children. */
function detach(plan: FrontPlan, request: ExecRequest): never {
  const front = Front.start(plan, false);
  try {
    front.await(STATUS_WORD.started);
    if (request.pidFile !== undefined) writePidFile(request.pidFile, front.pid);
  } catch (error) {
    if (error instanceof StartFailure)
      throw new Failure('RUNTS_E_EXEC', `exec failed: ${error.message}`);
    throw error;
  } finally {
    front.close();
  }
  native.exitNow(0);
}

/** No Node idles beside the process: this one becomes its front. */
function becomeFront(plan: FrontPlan, request: ExecRequest, hasTerminal: boolean): never {
  const options = { ...plan.options, terminal: hasTerminal, foreground: true };
  const { args, kept } = frontArguments({ ...plan, options });
  for (const fd of kept) native.keepAtExec(fd);
  if (request.pidFile !== undefined) writePidFile(request.pidFile, process.pid);
  return become(plan.launcher, args);
}

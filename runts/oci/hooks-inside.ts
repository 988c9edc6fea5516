// SPDX-License-Identifier: Apache-2.0
// startContainer hooks: programs of the container's own, run in it before its first process (config.md of the
// specification, "startContainer Hooks"). One that fails ends the container.
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SIGKILL } from '../../abi/signal.ts';
import { native } from '../../native/addon.ts';
import type { ProcessConfig } from '../../protocol/boot-config.ts';
import { STATUS_WORD } from '../../protocol/status.ts';
import { toByteString } from '../byte-string.ts';
import { configFile } from '../config-file.ts';
import { describe, Failure } from '../failure.ts';
import { findInstallation } from '../installation.ts';
import { restoreCgroup } from './cgroups/cgroup.ts';
import type { OciContext } from './context.ts';
import { Front } from './front.ts';
import { orderSignal } from './order.ts';
import { loadSpec } from './plan-container.ts';
import { planProcess } from './plan-process.ts';
import type { Hook } from './spec/types.ts';
import type { ContainerRecord } from './state/container-record.ts';
import { stateDocument } from './state/status.ts';

const POLL_MS = 2;

export async function runHooksInside(
  context: OciContext,
  record: ContainerRecord,
  hooks: readonly Hook[],
): Promise<void> {
  // The user, rights and directory of the container's process.
  const { terminal: _, ...process } = planProcess(loadSpec(record.bundle, context.log).process);
  try {
    for (const [index, hook] of hooks.entries())
      await runInside(context, record, { hook, index, process });
  } catch (error) {
    if (record.front !== undefined) orderSignal(record.front.pid, SIGKILL, true);
    throw error;
  }
}

interface InsideHook {
  readonly hook: Hook;
  readonly index: number;
  readonly process: ProcessConfig;
}

async function runInside(
  context: OciContext,
  record: ContainerRecord,
  { hook, index, process }: InsideHook,
): Promise<void> {
  const front = startInside(context, record, { hook, index, process });
  try {
    front.await(STATUS_WORD.started);
  } catch (error) {
    throw new Failure(
      'RUNTS_E_HOOK',
      `error running hook #${index} (startContainer): ${describe(error)}`,
    );
  } finally {
    front.close();
  }
  const status = await waitFor(front.pid, hook.timeout);
  if (status !== 0)
    throw new Failure(
      'RUNTS_E_HOOK',
      `error running hook #${index} (startContainer): ${status === undefined ? `timed out after ${hook.timeout} s` : `exit status ${status}`}`,
    );
}

function startInside(
  context: OciContext,
  record: ContainerRecord,
  { hook, process }: InsideHook,
): Front {
  const state = configFile(stateDocument(record, 'created'));
  const nowhere = openSync('/dev/null', 'r+');
  const front = Front.start(
    {
      launcher: findInstallation().launcher,
      options: { exec: true },
      title: hook.path,
      request: {
        type: 'exec',
        container: record.id,
        process: {
          ...process,
          argv: [hook.path, ...(hook.args ?? []).slice(1)].map(toByteString),
          env: (hook.env ?? []).map(toByteString),
        },
      },
      stateDirectory: context.store.directory(record.sandbox ?? record.id),
      cgroupFiles: record.cgroup === null ? [] : restoreCgroup(record.cgroup).procsFiles(),
      log: context.log,
      consoleSocket: undefined,
      window: undefined,
      oomScoreAdjustment: process.oomScoreAdjustment,
      keptFds: [],
      preservedFds: 0,
      streams: [state, nowhere, nowhere],
    },
    false,
  );
  closeSync(state);
  closeSync(nowhere);
  return front;
}

/** The exit code of our child, or undefined where it took longer than `timeout` seconds and was killed. */
async function waitFor(pid: number, timeout: number | undefined): Promise<number | undefined> {
  const end = timeout === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeout * 1000;
  const status = new Int32Array(1);
  for (;;) {
    const ended = native.waitAny(status);
    const value = status[0] as number;
    if (ended === pid) return (value & 0x7f) === 0 ? (value >> 8) & 0xff : 128 + (value & 0x7f);
    if (Date.now() >= end) {
      native.kill(pid, SIGKILL);
      return undefined;
    }
    await sleep(POLL_MS);
  }
}

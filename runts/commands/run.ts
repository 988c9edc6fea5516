// SPDX-License-Identifier: Apache-2.0
// `runts run`: create and start, and unless it is detached wait for the end and delete.
import { native } from '../../native/addon.ts';
import { saveCodeCache } from '../code-cache.ts';
import type { OciContext } from '../oci/context.ts';
import { createContainer } from '../oci/create.ts';
import { destroy } from '../oci/destroy.ts';
import { startContainer } from '../oci/start.ts';
import type { ContainerRecord } from '../oci/state/container-record.ts';
import type { CreateOptions } from './create.ts';

/** The options of `runts run`, in commander's form. */
export interface RunOptions extends CreateOptions {
  readonly detach?: boolean;
  readonly keep?: boolean;
}

const forwarded = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
] as const;

export async function run(context: OciContext, id: string, options: RunOptions): Promise<void> {
  const isDetached = options.detach === true;
  const record = await createContainer(context, {
    id,
    bundle: options.bundle ?? '.',
    pidFile: options.pidFile,
    consoleSocket: options.consoleSocket,
    preservedFds: options.preserveFds ?? 0,
    isForeground: !isDetached,
  });
  try {
    await startContainer(context, record);
  } catch (error) {
    await destroy(context, record, { runsHooks: false });
    throw error;
  }
  if (isDetached) native.exitNow(0);
  const status = await untilEnd(record);
  if (options.keep !== true) await destroy(context, record, { runsHooks: true });
  saveCodeCache();
  native.exitNow(status);
}

/** The front ends with the container's exit code; signals go to it, and from there to the guest. */
function untilEnd(record: ContainerRecord): Promise<number> {
  const pid = record.front?.pid ?? 0;
  for (const signal of forwarded) process.on(signal, () => forward(pid, signal));
  return new Promise((resolve) => {
    const look = (): void => {
      const status = new Int32Array(1);
      if (native.waitAny(status) !== pid) return;
      clearInterval(poll);
      const value = status[0] as number;
      resolve((value & 0x7f) === 0 ? (value >> 8) & 0xff : 128 + (value & 0x7f));
    };
    process.on('SIGCHLD', look);
    // It may have ended before anybody listened; and the process is to stay while it runs.
    const poll = setInterval(look, 1000);
    look();
  });
}

function forward(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended.
  }
}

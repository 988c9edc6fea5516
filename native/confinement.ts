// SPDX-License-Identifier: Apache-2.0
// Asks the sealer (native/launcher/root.c) to leave this process nothing of the host's file system but
// its final root, then keeps others from attaching to it and installs its seccomp filter.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isErrno, type SysResult } from '../abi/errno.ts';
import { native } from './addon.ts';
import { compileFilter, type FilterSpec } from './seccomp/bpf.ts';

/** 0, or the errno of the step that failed. */
export function sealRoot(sealerFd: number): SysResult {
  const byte = new Uint8Array(1);
  if (native.write(sealerFd, byte, 0, 1) !== 1) return -32;
  const got = native.read(sealerFd, byte, 0, 1);
  native.close(sealerFd);
  if (got !== 1) return isErrno(got) ? got : -32;
  return -(byte[0] as number);
}

/** From here on every thread of this process is held to the filter. */
export function installFilter(filter: FilterSpec, mode: 'kill' | 'log'): SysResult {
  const spec: FilterSpec = mode === 'log' ? { ...filter, otherwise: 'log' } : filter;
  return native.installFilter(compileFilter(spec), 0);
}

/**
 * The names of Node's threads once they run. A new thread has the name of its maker until it has
 * set itself up.
 */
const settledNames: ReadonlySet<string> = new Set([
  'DelayedTaskSche',
  'node-V8Worker',
  'SignalInspector',
  // Of native/addon/host-work.c.
  'runts-work',
  // For `runts do --profile`.
  'v8:ProfEvntProc',
]);
/** On a busy machine they take their time; who has not waited for them is killed by the filter. */
const PATIENCE_MS = 30_000;

/**
 * Waits until the threads that Node has started run: a filter that met them before would kill them for what
 * a thread does first (rseq, set_robust_list, prctl). Needs /proc, so it comes before sealRoot.
 */
export function awaitThreads(): void {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end && !threadsSettled());
}

function threadsSettled(): boolean {
  const threads = readdirSync('/proc/self/task');
  // After a fork (native/preboot) there is mostly one, and process.pid is that of the parent.
  if (threads.length === 1) return true;
  const main = readlinkSync('/proc/self');
  return threads.every(
    (tid) =>
      tid === main ||
      settledNames.has(readFileSync(`/proc/self/task/${tid}/comm`, 'latin1').trim()),
  );
}

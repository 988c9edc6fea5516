// SPDX-License-Identifier: Apache-2.0
// The end of a container: its processes, its cgroups, its state. Works from every state, half-made
// ones included.
import { readFileSync } from 'node:fs';
import { complain, describe } from '../failure.ts';
import { restoreCgroup } from './cgroups/cgroup.ts';
import type { OciContext } from './context.ts';
import { runHooks } from './hooks.ts';
import type { ContainerRecord } from './state/container-record.ts';
import { identify, isAlive, type ProcessIdentity } from './state/process-identity.ts';
import { stateDocument } from './state/status.ts';

/** How long the processes of a killed container may take to be gone. */
const PATIENCE_MS = 20_000;

export async function destroy(
  context: OciContext,
  record: ContainerRecord,
  { runsHooks }: { readonly runsHooks: boolean },
): Promise<void> {
  const cgroup = record.cgroup === null ? undefined : restoreCgroup(record.cgroup);
  const launchers = record.front === undefined ? [] : childrenOf(record.front);
  // Of what is frozen nothing ends by itself: all is killed first, and thawed then.
  if (cgroup?.isFrozen() === true) cgroup.kill();
  if (record.front !== undefined) await kill(record.front);
  if (cgroup !== undefined) {
    cgroup.kill();
    // That of a container of a pod is not in its cgroups.
    for (const launcher of launchers) await gone(launcher);
    await cgroup.remove();
  }
  context.store.remove(record.id);
  if (!runsHooks) return;
  try {
    runHooks(record.hooks.poststop ?? [], stateDocument(record, 'stopped'), 'poststop');
  } catch (error) {
    // The container is gone all the same (runtime.md, step 13).
    context.log.write('warning', describe(error));
    complain(describe(error));
  }
}

/** The launcher sees its front go and ends the sandbox. */
async function kill(front: ProcessIdentity): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  let killed = false;
  while (isAlive(front) && Date.now() < end) {
    if (!killed) signalQuietly(front.pid);
    killed = true;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function childrenOf(front: ProcessIdentity): ProcessIdentity[] {
  if (!isAlive(front)) return [];
  try {
    const text = readFileSync(`/proc/${front.pid}/task/${front.pid}/children`, 'latin1');
    const pids = text.split(' ').filter((word) => word !== '');
    return pids.map((pid) => identify(Number(pid))).filter((child) => child !== undefined);
  } catch {
    return [];
  }
}

async function gone(identity: ProcessIdentity): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (isAlive(identity) && Date.now() < end) await new Promise((done) => setTimeout(done, 2));
}

function signalQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

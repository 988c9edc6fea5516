// SPDX-License-Identifier: Apache-2.0
// Which sysctls a container may have: those of namespaces of its own, as runc has it. sysctl(8),
// namespaces(7).
import { statSync } from 'node:fs';
import type { Document } from './document.ts';
import type { Linux, Namespace } from './types.ts';

/** The settings of the IPC namespace, beside fs.mqueue.*: ipc_namespaces(7). */
const ofIpc: ReadonlySet<string> = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);

export function checkSysctls(linux: Linux, document: Document): void {
  const namespaces = linux.namespaces ?? [];
  for (const key of Object.keys(linux.sysctl ?? {})) {
    const problem = findProblem(withDots(key), namespaces);
    if (problem !== undefined) document.fail(`linux.sysctl[${JSON.stringify(key)}]`, problem);
  }
}

function findProblem(name: string, namespaces: readonly Namespace[]): string | undefined {
  const has = (type: string): boolean => namespaces.some((namespace) => namespace.type === type);
  if (ofIpc.has(name) || name.startsWith('fs.mqueue.'))
    return has('ipc') ? undefined : "is not allowed in the host's ipc namespace";
  if (name.startsWith('net.')) {
    return hasOwnNetwork(namespaces) ? undefined : "is not allowed in the host's network namespace";
  }
  if (name === 'kernel.hostname' && has('uts')) return 'hostname is the field for it';
  if (name === 'kernel.domainname' && has('uts')) return undefined;
  return 'is not in a separate kernel namespace';
}

/** 'net/ipv4/conf/eth0.5/forwarding' is net.ipv4.conf.eth0/5.forwarding: the first separator counts. */
export function withDots(key: string): string {
  const first = /[./]/.exec(key)?.[0];
  if (first !== '/') return key;
  return key.replace(/[./]/g, (char) => (char === '/' ? '.' : '/'));
}

function hasOwnNetwork(namespaces: readonly Namespace[]): boolean {
  const network = namespaces.find((namespace) => namespace.type === 'network');
  if (network === undefined) return false;
  return network.path === undefined || !isOurNamespace(network.path);
}

/** A path that cannot be looked at fails when it is joined; here it may be gone because the container is. */
function isOurNamespace(path: string): boolean {
  try {
    const [ours, theirs] = [statSync('/proc/self/ns/net'), statSync(path)];
    return ours.ino === theirs.ino && ours.dev === theirs.dev;
  } catch {
    return false;
  }
}

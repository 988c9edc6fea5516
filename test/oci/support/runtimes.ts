// SPDX-License-Identifier: Apache-2.0
// The runtimes under test: runc says what is right, runts must do the same.
import { existsSync, readFileSync } from 'node:fs';
import { CAP_SYS_RESOURCE } from '../../../abi/capability.ts';
import { runts } from '../../support/run.ts';

export interface Runtime {
  readonly name: 'runc' | 'runts';
  readonly path: string;
}

export const runc: Runtime = { name: 'runc', path: '/usr/sbin/runc' };
export const runtsRuntime: Runtime = { name: 'runts', path: runts };

/** As Docker's daemon.json wants it. */
export interface RegisteredRuntime {
  readonly path: string;
  readonly runtimeArgs?: readonly string[];
}

/** What engines are told of, beside runc. */
export const registeredRuntimes: Readonly<Record<string, RegisteredRuntime>> = {
  runts: { path: runts },
  // Of the kinds of networks the one that is not runts' default.
  'runts-host': { path: runts, runtimeArgs: ['--network', 'host'] },
};

export const isRoot: boolean = process.getuid?.() === 0 && existsSync(runc.path);

/** runc and its friends have races of their own on a busy machine. */
export const ORACLE_RETRIES = 2;

/** What a machine may lack, so that not even runc can do it. */
export type Need = 'CAP_SYS_RESOURCE';

export function lacks(need: Need | undefined): boolean {
  if (need === undefined) return false;
  const bits = /^CapBnd:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${bits}`) >> BigInt(CAP_SYS_RESOURCE)) & 1n) === 0n;
}

/** OCI_RUNTIMES=runc runs the oracle's half alone. */
export const runtimes: readonly Runtime[] = [runc, runtsRuntime].filter(({ name }) =>
  (process.env['OCI_RUNTIMES'] ?? 'runc,runts').split(',').includes(name),
);

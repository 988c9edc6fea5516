// SPDX-License-Identifier: Apache-2.0
// What is remembered of a container between commands: ROOT/ID/state.json.
import type { Cgroup } from '../cgroups/cgroup.ts';
import type { Hooks } from '../spec/types.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** Raised with every change that an older or newer runts could not read. */
export const RECORD_VERSION = 1;

export interface ContainerRecord {
  readonly version: number;
  readonly id: string;
  readonly ociVersion: string;
  /** Absolute. */
  readonly bundle: string;
  /** Absolute path of the root file system. */
  readonly rootfs: string;
  /** RFC 3339. */
  readonly created: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** User id that made it. */
  readonly owner: number;
  /** The command that makes it: until `front` is there. */
  readonly creator: ProcessIdentity;
  /** The process of the pid file. */
  readonly front?: ProcessIdentity;
  /** The state with which runts/oci/cgroups finds the cgroups again; null where there are none. */
  readonly cgroup: ReturnType<Cgroup['toJSON']> | null;
  readonly hooks: Hooks;
  /** Its first limit, to which the Sentry holds the guest while the cgroup has a higher one. */
  readonly smallMemory?: number;
  /** Containers that share another's Sentry: the id of that one. */
  readonly sandbox?: string;
}

/**
 * Whether a file's content can be taken for the record of container `id`: whatever else uses it
 * relies on these.
 */
export function isRecordOf(id: string, value: unknown): value is ContainerRecord {
  if (!isObject(value) || value['id'] !== id) return false;
  const { front, cgroup, sandbox } = value;
  return (
    ['ociVersion', 'bundle', 'rootfs', 'created'].every((key) => typeof value[key] === 'string') &&
    typeof value['owner'] === 'number' &&
    isObject(value['annotations']) &&
    isIdentity(value['creator']) &&
    (front === undefined || isIdentity(front)) &&
    (cgroup === null || isCgroup(cgroup)) &&
    (sandbox === undefined || typeof sandbox === 'string') &&
    isObject(value['hooks']) &&
    Object.values(value['hooks']).every(isListOfObjects)
  );
}

function isCgroup(value: unknown): boolean {
  if (!isObject(value) || !isObject(value['limits'])) return false;
  const { directories } = value;
  return isListOfObjects(directories) && directories.every(isDirectory);
}

function isDirectory({ path, controllers }: Readonly<Record<string, unknown>>): boolean {
  return typeof path === 'string' && Array.isArray(controllers);
}

function isIdentity(value: unknown): boolean {
  return isObject(value) && Number(value['pid']) > 0 && typeof value['startTime'] === 'number';
}

function isListOfObjects(value: unknown): value is readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) && value.every(isObject);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

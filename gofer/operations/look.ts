// SPDX-License-Identifier: Apache-2.0
// Operations that read names and attributes: walk, getAttributes, statfs.
import { EACCES, EBADF, ENOENT, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { entryBytes, type HostEntry } from '../../protocol/gofer/host-attributes.ts';
import { REPLY_BYTES } from '../../protocol/gofer/operations.ts';
import type { HostDirectory, HostTree } from '../host-tree.ts';
import { MAY_EXECUTE, mayUse, rightsTo } from '../owners.ts';
import { type Answer, entryOf, type GoferContext, type Request } from './context.ts';

/** Bytes of a walk's reply beside its entries: result, watch, count, end. */
const WALK_HEAD_BYTES = 16;

/** Stops at the first entry that is missing, no directory, or a link: the Sentry follows links itself. */
export function walk({ tree }: GoferContext, { id, path }: Request<'walk'>): Answer<'walk'> {
  const start = tree.get(id);
  if (start === undefined) return EBADF;
  tree.watch(start);
  const { watch } = start;
  const allowed = mayUse(tree, start, MAY_EXECUTE);
  if (isErrno(allowed)) return { watch, entries: [], ended: allowed };
  return { watch, ...walkFrom(tree, start, path.split('/')) };
}

function walkFrom(
  tree: HostTree,
  start: HostDirectory,
  names: readonly string[],
): { readonly entries: HostEntry[]; readonly ended: SysResult } {
  const entries: HostEntry[] = [];
  let room = REPLY_BYTES - WALK_HEAD_BYTES;
  let at = start;
  for (const name of names) {
    const entry = step(tree, at, name);
    if (isErrno(entry)) return { entries, ended: entry };
    room -= entryBytes(entry);
    if (room < 0) break;
    entries.push(entry);
    const next = entry.id === 0 ? undefined : tree.get(entry.id);
    if (next === undefined) break;
    if ((rightsTo(next, entry.attributes) & MAY_EXECUTE) === 0)
      return { entries, ended: entries.length < names.length ? EACCES : 0 };
    at = next;
  }
  return { entries, ended: 0 };
}

function step(tree: HostTree, directory: HostDirectory, name: string): Result<HostEntry> {
  if (directory.sealed) return ENOENT;
  const attributes = tree.stat(directory, name);
  return isErrno(attributes) ? attributes : entryOf(tree, directory, name, attributes);
}

export function getAttributes(
  { tree }: GoferContext,
  { id, name }: Request<'getAttributes'>,
): Answer<'getAttributes'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  if (directory.sealed) return name === '' ? EACCES : ENOENT;
  const found = name === '' ? 0 : mayUse(tree, directory, MAY_EXECUTE);
  if (isErrno(found)) return found;
  const attributes = tree.stat(directory, name);
  return isErrno(attributes) ? attributes : { attributes };
}

const statfsValues = new Float64Array(8);

export function statfs({ tree }: GoferContext, { id }: Request<'statfs'>): Answer<'statfs'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  const fd = tree.fdOf(directory);
  if (isErrno(fd)) return fd;
  const done = native.fstatfs(fd, statfsValues);
  if (isErrno(done)) return done;
  const value = (index: number): number => {
    const found = statfsValues[index] as number;
    return Number.isSafeInteger(found) ? found : Number.MAX_SAFE_INTEGER;
  };
  return {
    type: value(0),
    blockSize: value(1),
    blocks: value(2),
    blocksFree: value(3),
    blocksAvailable: value(4),
    files: value(5),
    filesFree: value(6),
    nameMax: value(7),
  };
}

// SPDX-License-Identifier: Apache-2.0
// How much memory a process may have: its resource limits (getrlimit(2)), and the number of its mappings.
import { CAP_IPC_LOCK } from '../../abi/capability.ts';
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK } from '../../abi/resource.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { MemoryCaller } from './memory-manager.ts';
import type { MemoryMap } from './memory-map.ts';

/** Below the host's own default of 65530, so that the host is never the one to refuse. */
export const MAX_MAP_COUNT = 65_530 - 512;

/** May the process have `bytes` more, `dataBytes` of them private and writable (may_expand_vm)? */
export function mayExpand(
  map: MemoryMap,
  { group }: MemoryCaller,
  bytes: number,
  dataBytes: number,
): boolean {
  if (map.totalBytes + bytes > group.limits.soft(RLIMIT_AS)) return false;
  return dataBytes === 0 || map.dataBytes + dataBytes <= group.limits.soft(RLIMIT_DATA);
}

/** RLIMIT_MEMLOCK for `bytes` more locked memory. */
export function mayLock(map: MemoryMap, caller: MemoryCaller, bytes: number): boolean {
  if (isCapable(caller.credentials, CAP_IPC_LOCK)) return true;
  return map.lockedBytes + bytes <= caller.group.limits.soft(RLIMIT_MEMLOCK);
}

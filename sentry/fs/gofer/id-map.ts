// SPDX-License-Identifier: Apache-2.0
// User and group ids of the host's files as a container sees them: through its user namespace, and
// before that through the mapping of the mount where it has one (user_namespaces(7) "User and group
// ID mappings", mount_setattr(2) "ID-mapped mounts").
import { EINVAL, EOVERFLOW, type SysResult } from '../../../abi/errno.ts';
import { type IdRange, type IdRanges, sameIdRanges } from '../../../protocol/id-ranges.ts';
import { NO_ID, UNMAPPED_ID } from '../../vfs/node.ts';

export class IdMap {
  readonly #container: readonly IdRange[];
  readonly #mount: readonly IdRange[];

  /** Without ranges every id is itself. `mount`: from ids in the file system to those of the host. */
  constructor(container: readonly IdRange[] = [], mount: readonly IdRange[] = []) {
    this.#container = container;
    this.#mount = mount;
  }

  /** UNMAPPED_ID where the mount has none for it, NO_ID where the container has none. */
  toGuest(id: number): number {
    const seen = outside(this.#mount, id);
    return seen === undefined ? UNMAPPED_ID : (inside(this.#container, seen) ?? NO_ID);
  }

  /**
   * EINVAL where the container has no such id, EOVERFLOW where the mount has none (chown(2),
   * notify_change in the kernel).
   */
  toHost(id: number): SysResult {
    const seen = outside(this.#container, id);
    return seen === undefined ? EINVAL : (inside(this.#mount, seen) ?? EOVERFLOW);
  }
}

function inside(ranges: readonly IdRange[], id: number): number | undefined {
  if (ranges.length === 0) return id;
  for (const [first, host, count] of ranges)
    if (id >= host && id - host < count) return id - host + first;
  return undefined;
}

function outside(ranges: readonly IdRange[], id: number): number | undefined {
  if (ranges.length === 0) return id;
  for (const [first, host, count] of ranges)
    if (id >= first && id - first < count) return id - first + host;
  return undefined;
}

/** Both maps. */
export interface IdMaps {
  readonly uids: IdMap;
  readonly gids: IdMap;
}

export function idMapsOf(
  container: IdRanges = sameIdRanges,
  mount: IdRanges = sameIdRanges,
): IdMaps {
  return {
    uids: new IdMap(container.uids, mount.uids),
    gids: new IdMap(container.gids, mount.gids),
  };
}

export const sameIds: IdMaps = idMapsOf();

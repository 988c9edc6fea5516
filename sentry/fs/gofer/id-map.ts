// User and group ids of a container as they are on the host's files (user_namespaces(7), "User and group ID mappings").
import type { IdRange } from '../../kernel/id-ranges.ts';
import { NO_ID } from '../../vfs/node.ts';

export class IdMap {
  readonly #ranges: readonly IdRange[];

  /** Without ranges every id is itself. */
  constructor(ranges: readonly IdRange[] = []) {
    this.#ranges = ranges;
  }

  /** NO_ID where the container has none for it. */
  toGuest(id: number): number {
    if (this.#ranges.length === 0) return id;
    for (const [inside, outside, count] of this.#ranges)
      if (id >= outside && id - outside < count) return id - outside + inside;
    return NO_ID;
  }

  /** Undefined where the container has no such id. */
  toHost(id: number): number | undefined {
    if (this.#ranges.length === 0) return id;
    for (const [inside, outside, count] of this.#ranges)
      if (id >= inside && id - inside < count) return id - inside + outside;
    return undefined;
  }
}

/** Both maps of a container. */
export interface IdMaps {
  readonly uids: IdMap;
  readonly gids: IdMap;
}

export const sameIds: IdMaps = { uids: new IdMap(), gids: new IdMap() };

// User and group ids of a container as they are on the host's files (user_namespaces(7), "User and group ID mappings").
import { type IdRange, toInside, toOutside } from '../../kernel/id-ranges.ts';

export class IdMap {
  readonly #ranges: readonly IdRange[];

  /** Without ranges every id is itself. */
  constructor(ranges: readonly IdRange[] = []) {
    this.#ranges = ranges;
  }

  /** NO_ID where the container has none for it. */
  toGuest(id: number): number {
    return toInside(this.#ranges, id);
  }

  /** Undefined where the container has no such id. */
  toHost(id: number): number | undefined {
    return toOutside(this.#ranges, id);
  }
}

/** Both maps of a container. */
export interface IdMaps {
  readonly uids: IdMap;
  readonly gids: IdMap;
}

export const sameIds: IdMaps = { uids: new IdMap(), gids: new IdMap() };

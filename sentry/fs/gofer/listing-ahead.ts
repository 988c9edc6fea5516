// SPDX-License-Identifier: Apache-2.0
// How much of a tree that nobody changes is listed at once, and how thoroughly, as what the guest
// did so far tells: the readahead of directories.

/** Directories of one request, at the most: what fits into a reply is less. */
const longestWindow = 2048;
/** So many directories were listed and nothing in them was looked at: names are all that is wanted. */
const namesAlone = 4;
/**
 * Entries without attributes that are asked for one by one, before those of the whole directory are:
 * of one whose listing fits into a reply, and of a larger one.
 */
const looksBeforeAll = 3;
const looksBeforeAllOfMany = 24;
const oneReply = 900;
/**
 * Names looked up in a directory that was not listed, before everything in it is asked for, if it
 * is small; and before the names alone are, if it is not.
 */
export const lookupsBeforeAttributes = 3;
export const lookupsBeforeNames = 9;
export const smallReply: number = 16 * 1024;

export class ListingAhead {
  #window = 1;
  #unlooked = 0;
  /** The Gofer lists one directory a request: it judges owners. */
  isRefused = false;

  /**
   * A directory has to be asked for. `isWalk`: its parent was listed before, as a walk over a tree
   * does. Returns how many directories to list with this one.
   */
  next(isWalk: boolean): number {
    this.#window = isWalk ? Math.min(this.#window * 4, longestWindow) : 1;
    return this.#window;
  }

  /** A guest reads a directory. */
  listed(): void {
    this.#unlooked += 1;
  }

  /** A guest looks at a file of a directory that was listed. */
  looked(): void {
    this.#unlooked = 0;
  }

  /** Whether listings shall tell the attributes of files: whoever lists looks at them next. */
  get wantsAttributes(): boolean {
    return this.#unlooked < namesAlone;
  }

  /**
   * Whether it pays now to ask for the attributes of all `count` entries of a directory: whoever has
   * read it looks at all of them.
   */
  wantsAll(looks: number, count: number, wasRead: boolean): boolean {
    return (
      (wasRead && count <= oneReply) ||
      looks > (count <= oneReply ? looksBeforeAll : looksBeforeAllOfMany)
    );
  }
}

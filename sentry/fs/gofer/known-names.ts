// SPDX-License-Identifier: Apache-2.0
// What is known of the names in a watched directory (host-watches.ts).

import { S_IFMT } from '../../../abi/stat.ts';
import type { HostAttributes } from '../../../protocol/gofer/host-attributes.ts';
import type { ListedEntry } from '../../vfs/directory-file.ts';
import { GoferNode } from './node.ts';

/**
 * A node; what a listing said, as long as nobody needed the node; no such name; changed since: to
 * be asked again.
 */
export type KnownName = GoferNode | HostAttributes | 'missing' | 'changed';

/**
 * Names asked for in vain, after which all of them are asked for: programs that look for one file
 * look for more.
 */
const missesBeforeListing = 2;

export class KnownNames {
  #names = new Map<string, KnownName>();
  /** Other names do not exist. */
  #isComplete = false;
  #listedNs = 0;
  #foreignChanges = 0;
  #misses = 0;

  get size(): number {
    return this.#names.size;
  }

  /** When the attributes of entries were read that have no node yet. */
  get listedNs(): number {
    return this.#listedNs;
  }

  /** Changes through other Gofers of the sandbox before that. */
  get foreignChanges(): number {
    return this.#foreignChanges;
  }

  /** Undefined: nothing is known. Never 'changed'. */
  get(name: string): Exclude<KnownName, 'changed'> | undefined {
    const known = this.#names.get(name);
    if (known === undefined) return this.#isComplete ? 'missing' : undefined;
    if (known === 'changed') return undefined;
    return known instanceof GoferNode && known.isForgotten ? undefined : known;
  }

  set(name: string, known: GoferNode | 'missing'): void {
    if (known === 'missing' && this.#isComplete) this.#names.delete(name);
    else this.#names.set(name, known);
  }

  /** Somebody did something to it. The node that it was, if there is one. */
  changed(name: string): GoferNode | undefined {
    const known = this.#names.get(name);
    if (this.#isComplete) this.#names.set(name, 'changed');
    else this.#names.delete(name);
    return known instanceof GoferNode ? known : undefined;
  }

  /** The directory was just made. */
  setEmpty(): void {
    this.#isComplete = true;
  }

  /** All names, as of now. Nodes stay with their names. */
  fill(names: Map<string, KnownName>, listedNs: number, foreignChanges: number): void {
    this.#names = names;
    this.#isComplete = true;
    this.#listedNs = listedNs;
    this.#foreignChanges = foreignChanges;
  }

  /** A name was asked for in vain. True: better ask for all now. */
  countMiss(): boolean {
    this.#misses += 1;
    return this.#misses === missesBeforeListing && !this.#isComplete;
  }

  /** All entries; undefined where they are not all known. */
  list(): ListedEntry[] | undefined {
    if (!this.#isComplete) return undefined;
    const entries: ListedEntry[] = [];
    for (const [name, known] of this.#names) {
      if (known === 'changed' || (known instanceof GoferNode && known.isForgotten))
        return undefined;
      if (known === 'missing') continue;
      const { ino, mode } = known instanceof GoferNode ? known.lastKnown : known;
      entries.push({ name, ino, kind: mode & S_IFMT });
    }
    return entries;
  }
}

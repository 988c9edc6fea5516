// SPDX-License-Identifier: Apache-2.0
// What is known of one host file's attributes, and whether it may be believed without asking the
// host. Everything that bears on this is an event here: README.md has the table of what may be
// believed after each, and attribute-cache.test.ts plays it.
import { S_IFDIR } from '../../../abi/stat.ts';
import type { Attributes } from '../../vfs/node.ts';

/**
 * Attributes of shared trees are believed this long, and to the end of the turn in which the host
 * said them: a lookup and the stat after it are one request.
 */
export const freshNs = 1_000_000;
/**
 * And this long where the host tells of changes: it does not tell of those through a mapping, and
 * through a hard link that was made meanwhile.
 */
export const reportedNs = 1_000_000_000;

/** No answer of the host's counts any more: older than every time. */
const never = Number.NEGATIVE_INFINITY;

/** The tree that the file is in. */
export interface CachedTree {
  /** Nobody changes the tree: the first answer holds for good. */
  readonly exclusive: boolean;
  nowNs(): number;
  /** The time of the first `nowNs()` in this turn: what was learned since is as new as can be. */
  readonly turnBeganNs: number;
  /** `foreignChanges` counts changes by guests through other Gofers of the sandbox. */
  readonly client: { readonly foreignChanges: number };
}

/** The node whose attributes these are. */
export interface CachedFile {
  readonly kind: number;
  /**
   * The host tells of all changes to the file's attributes, and what it told up to now has come in
   * as events.
   */
  isReported(): boolean;
}

export class AttributeCache {
  readonly #tree: CachedTree;
  readonly #file: CachedFile;
  #attributes: Attributes;
  /** When the host said so; `never` since owner or mode may have changed. */
  #learnedNs: number;
  /** Nothing is known to have changed since. */
  #isCurrent = true;
  /** The tree's count of foreign changes then. */
  #foreignChanges: number;
  /** Something is mounted under the file's name: the watch of the directory does not tell of changes. */
  #isMountRoot = false;

  constructor(tree: CachedTree, file: CachedFile, attributes: Attributes) {
    this.#tree = tree;
    this.#file = file;
    this.#attributes = attributes;
    this.#learnedNs = tree.exclusive ? 0 : tree.nowNs();
    this.#foreignChanges = tree.client.foreignChanges;
  }

  /** The attributes that are known without a request, whether they are believed or not. */
  get last(): Attributes {
    return this.#attributes;
  }

  /** When the host said the last of it. */
  get learnedNs(): number {
    return this.#learnedNs;
  }

  /** Owner and mode are those that the host last told of, though they may be too old to be believed. */
  get isOwnerKnown(): boolean {
    return this.#learnedNs !== never;
  }

  /**
   * The watch of the directory tells of every change: the file has no other name, and nothing is
   * mounted on this one.
   */
  get isToldByName(): boolean {
    return this.#attributes.nlink === 1 && !this.#isMountRoot;
  }

  /** All attributes, where they may be believed; undefined: ask the host. */
  believed(): Attributes | undefined {
    if (this.#tree.exclusive) return this.#attributes;
    const ageNs = this.#tree.nowNs() - this.#learnedNs;
    if (ageNs <= reportedNs && this.#file.isReported() && this.#isCurrent) return this.#attributes;
    return this.#isFresh(ageNs) && this.#isCurrent ? this.#attributes : undefined;
  }

  /**
   * Attributes whose owner and mode may be believed. Entries that come and go change a directory's
   * times, not its owner: a burst of them does not ask for the owner each time.
   */
  believedOwner(): Attributes | undefined {
    if (this.#tree.exclusive) return this.#attributes;
    const ageNs = this.#tree.nowNs() - this.#learnedNs;
    if (this.#isFresh(ageNs)) return this.#attributes;
    // A directory is told of by a watch of its own, and has neither mappings nor hard links.
    const isYoung = this.#file.kind === S_IFDIR || ageNs <= reportedNs;
    return isYoung && this.#file.isReported() && this.isOwnerKnown ? this.#attributes : undefined;
  }

  /** Event: the host said this, at `sinceNs`. */
  learned(attributes: Attributes, sinceNs: number): void {
    this.#attributes = attributes;
    this.#learnedNs = sinceNs;
    this.#isCurrent = true;
    this.#foreignChanges = this.#tree.client.foreignChanges;
  }

  /** Event: the host said this, at `sinceNs`, which may be before what is known was learned. */
  seen(attributes: Attributes, sinceNs: number): void {
    if (sinceNs >= this.#learnedNs) this.learned(attributes, sinceNs);
  }

  /** Event: the name by which the file was found is one that something is mounted on, or is not. */
  placed(isMountRoot: boolean): void {
    this.#isMountRoot = isMountRoot;
  }

  /** Event: contents or entries changed, by us or as the host tells. Owner and mode are what they were. */
  changed(): void {
    this.#isCurrent = false;
  }

  /** Event: the host tells of a change that may be one of owner or mode, or may have failed to tell. */
  changedByOthers(): void {
    this.#isCurrent = false;
    this.#learnedNs = never;
  }

  /** Event: we removed one of the file's names. Answers how many are left. */
  nameRemoved(): number {
    const { nlink } = this.#attributes;
    const left = this.#file.kind === S_IFDIR ? 0 : Math.max(0, nlink - 1);
    this.#attributes = { ...this.#attributes, nlink: left };
    // Who has other names may be changed by them. Of what has none, nothing else can be learned.
    if (left > 0) this.changed();
    return left;
  }

  #isFresh(ageNs: number): boolean {
    const isYoung = ageNs <= freshNs || this.#learnedNs >= this.#tree.turnBeganNs;
    return isYoung && this.#isUnchanged;
  }

  /** By other containers. */
  get #isUnchanged(): boolean {
    return this.#foreignChanges === this.#tree.client.foreignChanges;
  }
}

// SPDX-License-Identifier: Apache-2.0
// The account of the memory that a sandbox takes, as memory cgroups keep it in Linux. Accounts are
// a tree: the sandbox, its containers, their processes, and beside the processes file systems with
// a size of their own. What is charged to an account is charged to all accounts above, and each of
// them may refuse. docs/memory.md says what each object is charged. Two kinds of memory are told
// apart: objects, which are in V8's heap or beside it, and pages of files and shared memory.

/** Memory that guests can fill behind the Sentry's back, through mappings. */
export interface UnseenMemory {
  /** Charges what the memory takes by now. */
  settle(): void;
}

export interface AccountLimits {
  readonly limitBytes?: number;
  /** For objects alone: V8's heap has a limit of its own, and past that limit the Sentry dies. */
  readonly objectLimitBytes?: number;
}

export class MemoryAccount {
  #parent: MemoryAccount | undefined;
  readonly #root: MemoryAccount;
  limitBytes: number;
  readonly #objectLimitBytes: number;
  /** Everything that is charged here and below. */
  usedBytes = 0;
  /** The part of `usedBytes` that is pages of files and shared memory. */
  pageBytes = 0;
  /**
   * The memory that the host holds for guests besides (anonymous memory, page tables), as it was
   * when somebody last looked.
   */
  outsideBytes = 0;
  readonly #unseen: Set<UnseenMemory> = new Set();

  constructor(parent?: MemoryAccount, limits: AccountLimits = {}) {
    this.#parent = parent;
    this.#root = parent === undefined ? this : parent.#root;
    this.limitBytes = limits.limitBytes ?? Number.POSITIVE_INFINITY;
    this.#objectLimitBytes = limits.objectLimitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Returns whether an object of `bytes` would be allowed. */
  hasRoom(bytes: number): boolean {
    if (this.usedBytes + this.outsideBytes + bytes > this.limitBytes) return false;
    if (this.usedBytes - this.pageBytes + bytes > this.#objectLimitBytes) return false;
    return this.#parent === undefined || this.#parent.hasRoom(bytes);
  }

  /**
   * Returns whether what is charged leaves room for an object of `bytes`, whatever the host holds
   * besides. Where guests' own memory is the reason that nothing is left, Linux has the OOM killer make
   * room for a new process instead of refusing it.
   */
  hasRoomBesideGuests(bytes: number): boolean {
    if (this.usedBytes + bytes > this.limitBytes) return false;
    return this.#parent === undefined || this.#parent.hasRoomBesideGuests(bytes);
  }

  /** Charges an object. Returns false where a limit is reached: nothing is charged then. */
  charge(bytes: number): boolean {
    if (!this.hasRoom(bytes)) return false;
    this.force(bytes);
    return true;
  }

  /** Charges an object that is there already, whatever the limits are. */
  force(bytes: number): void {
    this.usedBytes += bytes;
    this.#parent?.force(bytes);
  }

  uncharge(bytes: number): void {
    this.force(-bytes);
  }

  /** Charges pages. Returns false where a limit is reached: nothing is charged then. */
  chargePages(bytes: number): boolean {
    if (!this.hasRoomForPages(bytes)) return false;
    this.forcePages(bytes);
    return true;
  }

  /** Charges pages that are there already, whatever the limits are. */
  forcePages(bytes: number): void {
    this.usedBytes += bytes;
    this.pageBytes += bytes;
    this.#parent?.forcePages(bytes);
  }

  unchargePages(bytes: number): void {
    this.forcePages(-bytes);
  }

  /**
   * Gives back everything that is charged here, because whoever held it has ended. What is given
   * back later is no longer the business of the accounts above.
   */
  close(): void {
    this.unchargePages(this.pageBytes);
    this.uncharge(this.usedBytes);
    this.#parent = undefined;
  }

  /** True where whoever held it has ended: charges here reach no account above. */
  get isClosed(): boolean {
    return this.#parent === undefined && this.#root !== this;
  }

  /** `memory` is settled from now on whenever somebody looks. */
  watch(memory: UnseenMemory): void {
    this.#root.#unseen.add(memory);
  }

  unwatch(memory: UnseenMemory): void {
    this.#root.#unseen.delete(memory);
  }

  /** Settles what guests can fill, in all of the sandbox. */
  settleUnseen(): void {
    for (const memory of this.#root.#unseen) memory.settle();
  }

  /** The same as hasRoom for pages of the host's kernel, which are no memory of the Sentry. */
  hasRoomForPages(bytes: number): boolean {
    if (this.usedBytes + this.outsideBytes + bytes > this.limitBytes) return false;
    return this.#parent === undefined || this.#parent.hasRoomForPages(bytes);
  }
}

/** For what belongs to no sandbox: unit tests, and what boot makes. */
export const unlimitedAccount: MemoryAccount = new MemoryAccount();

let current: MemoryAccount = unlimitedAccount;

/** The account of the process whose call is being handled: new objects are charged to it. */
export function currentAccount(): MemoryAccount {
  return current;
}

/** Set by the scheduler whenever it turns to a task. */
export function setCurrentAccount(account: MemoryAccount): void {
  current = account;
}

// SPDX-License-Identifier: Apache-2.0
// Names that were looked up in this turn (sentry/base/turn.ts). What the host said in a turn is as
// new as anything that the turn can depend on, so a walk does not ask again for what a walk before
// it found: a container that is made looks up some twenty paths, most of them below /dev.
import type { Result } from '../../../abi/errno.ts';
import { currentTurn } from '../../base/turn.ts';
import type { Node } from '../../vfs/node.ts';

/** The count of changes by guests of this sandbox, through whatever Gofer. */
interface Changes {
  readonly changes: number;
}

/** Names of one tree. Nothing is kept beyond the next lookup of another turn. */
export class TurnNames<Directory extends object> {
  readonly #guests: Changes;
  readonly #found = new Map<Directory, Map<string, Result<Node>>>();
  #turn = -1;
  #changes = -1;

  constructor(guests: Changes) {
    this.#guests = guests;
  }

  /** Returns what the host said of a name in this turn, where no guest has changed anything since. */
  get(directory: Directory, name: string): Result<Node> | undefined {
    return this.#isCurrent ? this.#found.get(directory)?.get(name) : undefined;
  }

  set(directory: Directory, name: string, found: Result<Node>): void {
    if (!this.#isCurrent) {
      this.#found.clear();
      this.#turn = currentTurn();
      this.#changes = this.#guests.changes;
    }
    const names = this.#found.get(directory);
    if (names === undefined) this.#found.set(directory, new Map([[name, found]]));
    else names.set(name, found);
  }

  /** Event: the host told of a change, or we made one. */
  clear(): void {
    this.#found.clear();
  }

  get #isCurrent(): boolean {
    return this.#turn === currentTurn() && this.#changes === this.#guests.changes;
  }
}

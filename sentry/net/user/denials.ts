// SPDX-License-Identifier: Apache-2.0
// What the policy refused: kept for the end, when the user is told of it.

/** More different refusals are only counted. */
const MOST_LISTED = 20;
/** Reasons and names come from guests. */
const MOST_CHARACTERS = 200;

export class Denials {
  readonly #counts = new Map<string, number>();
  #others = 0;

  add(what: string): void {
    const text = what.slice(0, MOST_CHARACTERS).replaceAll(/[^ -~]/g, '?');
    const count = this.#counts.get(text);
    if (count === undefined && this.#counts.size >= MOST_LISTED) this.#others += 1;
    else this.#counts.set(text, (count ?? 0) + 1);
  }

  /** A line for each. */
  lines(): string[] {
    const lines = [...this.#counts].map(
      ([text, count]) => `network: refused ${text}${count > 1 ? `, ${count} times` : ''}`,
    );
    if (this.#others > 0) lines.push(`network: refused ${this.#others} more`);
    return lines;
  }
}

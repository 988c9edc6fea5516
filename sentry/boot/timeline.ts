// SPDX-License-Identifier: Apache-2.0
// When the steps of the start were done, in milliseconds since this process began: one line of the debug log.
// Not from `performance`, which takes 2 ms to load.
export class Timeline {
  readonly #marks: (readonly [step: string, ms: number])[] = [];

  mark(step: string): void {
    this.#marks.push([step, process.uptime() * 1000]);
  }

  toString(): string {
    return this.#marks.map(([step, ms]) => `${step} ${ms.toFixed(1)}`).join(', ');
  }
}

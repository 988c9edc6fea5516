// SPDX-License-Identifier: Apache-2.0
// Work that is nobody's any more, such as closing the many files of a process that has ended: the
// main loop does a piece of it in a turn, as of long calls.
const works: Iterator<undefined>[] = [];

/** Has the rest of `work` done in later turns. Each `next` is a piece of at most about a millisecond. */
export function finishLater(work: Iterator<undefined>): void {
  works.push(work);
}

export function hasLeftovers(): boolean {
  return works.length > 0;
}

/** Does a piece of one of them, of each in its turn: none without an end keeps the others waiting. */
export function doLeftover(): void {
  const work = works.shift();
  if (work !== undefined && work.next().done !== true) works.push(work);
}

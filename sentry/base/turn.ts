// SPDX-License-Identifier: Apache-2.0
// The Sentry's turns: one system call's step, one event. What is asked of the host in a turn is as
// new as anything that the turn can depend on, since whatever happened before its cause happened
// before it began.
let current = 0;

/** Something new is to be dealt with. */
export function nextTurn(): void {
  current += 1;
}

export function currentTurn(): number {
  return current;
}

/** How long one call may work before it lets others run (base/wait.ts, `PAUSE`). */
export const PIECE_NS = 2e6;

let pieceTurn = -1;
let pieceEndsNs = 0;

/**
 * Returns whether the work of this turn has lasted long enough. A piece begins with the first
 * question of its turn, so that calls which are short never ask.
 */
export function isPieceOver(clock: { monotonicNs(): number }): boolean {
  const now = clock.monotonicNs();
  if (pieceTurn !== current) {
    pieceTurn = current;
    pieceEndsNs = now + PIECE_NS;
    return false;
  }
  return now >= pieceEndsNs;
}

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

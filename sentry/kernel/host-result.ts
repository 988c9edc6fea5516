// SPDX-License-Identifier: Apache-2.0
// The wait for something that the platform makes on the host for a task: a thread, a process.
import { isErrno, type Result } from '../../abi/errno.ts';
import type { Blocking } from '../base/wait.ts';
import { OneShot } from './one-shot.ts';

/**
 * Has the platform begin, and sleeps until it hands the result over. A task that is killed before it
 * has taken the result abandons it, whether it is there already or still to come: `undo` then takes
 * back what the platform has made, because nobody else will ever know of it.
 */
export function* hostResult<T extends object>(
  begin: (done: (result: Result<T>) => void) => void,
  undo: (made: T) => void,
): Blocking<Result<T>> {
  const outcome = new OneShot<Result<T>>({ threadIsBusy: true });
  let unclaimed: T | undefined;
  let isAbandoned = false;
  begin((result) => {
    if (!isErrno(result)) {
      if (isAbandoned) undo(result);
      else unclaimed = result;
    }
    outcome.set(result);
  });
  try {
    const result = yield* outcome.wait();
    unclaimed = undefined;
    return result;
  } finally {
    isAbandoned = true;
    if (unclaimed !== undefined) undo(unclaimed);
  }
}

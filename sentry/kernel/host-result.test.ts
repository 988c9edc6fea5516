// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { EAGAIN, type Result } from '../../abi/errno.ts';
import { hostResult } from './host-result.ts';

interface Made {
  readonly name: string;
}

/** A wait that has begun, and what was handed back of it. */
function begun() {
  const undone: Made[] = [];
  let done: (result: Result<Made>) => void = () => undefined;
  const wait = hostResult<Made>(
    (callback) => {
      done = callback;
    },
    (result) => undone.push(result),
  );
  expect(wait.next().done).toBe(false);
  return { wait, undone, done: (result: Result<Made>) => done(result) };
}

const made: Made = { name: 'child' };

test('a result that is taken stays', () => {
  const { wait, undone, done } = begun();
  done(made);
  expect(wait.next()).toEqual({ done: true, value: made });
  expect(undone).toEqual([]);
});

test('a task killed before the result comes has it undone when it comes', () => {
  const { wait, undone, done } = begun();
  wait.return(EAGAIN);
  expect(undone).toEqual([]);
  done(made);
  expect(undone).toEqual([made]);
});

test('a task killed between the result and its next step has it undone at once', () => {
  const { wait, undone, done } = begun();
  done(made);
  wait.return(EAGAIN);
  expect(undone).toEqual([made]);
});

test('a failure leaves nothing to undo', () => {
  const { wait, undone, done } = begun();
  done(EAGAIN);
  expect(wait.next()).toEqual({ done: true, value: EAGAIN });
  expect(undone).toEqual([]);
});

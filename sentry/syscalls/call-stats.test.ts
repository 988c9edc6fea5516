// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { ENOENT, ERESTARTSYS, type SysResult } from '../../abi/errno.ts';
import type { Blocking, MaybeBlocking, Sleep } from '../base/wait.ts';
import { WorkCounters } from '../base/work-counters.ts';
import type { Task } from '../kernel/task.ts';
import { CallStats } from './call-stats.ts';

const sleep = {} as Sleep;
const taskAsking = (number: number): Task => ({ args: { number } }) as Task;

/** A clock that is put forward by hand. */
function setUp(): { work: WorkCounters; stats: CallStats; pass(ns: number): void } {
  let now = 0;
  const work = new WorkCounters(() => now);
  return {
    work,
    stats: new CallStats(work, ['read', 'write']),
    pass: (ns) => {
      now += ns;
    },
  };
}

describe('CallStats', () => {
  it('counts calls, errors, time and copies of a handler that answers at once', () => {
    const { work, stats, pass } = setUp();
    const answers: SysResult[] = [5, ENOENT, ERESTARTSYS];
    const dispatch = stats.counting(() => {
      pass(10);
      work.copiesIn += 1;
      work.bytesIn += 100;
      work.goferRequests += 2;
      work.goferNs += 4;
      return answers.shift() ?? 0;
    });
    for (let i = 0; i < 3; i++) expect(dispatch(taskAsking(1))).toBeLessThan(6);
    work.copiesIn += 7; // By somebody else, outside of calls.
    expect(stats.counts()).toEqual([
      {
        name: 'write',
        count: 3,
        errors: 1,
        handlerNs: 30,
        totalNs: 30,
        copiesIn: 3,
        bytesIn: 300,
        copiesOut: 0,
        bytesOut: 0,
        goferRequests: 6,
        goferNs: 12,
      },
    ]);
    expect(stats.handlersNs).toBe(30);
  });

  it('counts a sleep as part of the whole, and not as the handler', () => {
    const { work, stats, pass } = setUp();
    function* handler(): Blocking<SysResult> {
      pass(1);
      const wake = yield sleep;
      pass(2);
      work.copiesOut += 1;
      return wake === 'event' ? 8 : ENOENT;
    }
    const call = stats.counting(handler)(taskAsking(0)) as Blocking<SysResult>;
    expect(call.next()).toEqual({ done: false, value: sleep });
    pass(1000);
    work.copiesOut += 50; // Of other tasks meanwhile.
    expect(call.next('event')).toEqual({ done: true, value: 8 });
    expect(stats.counts()[0]).toMatchObject({
      count: 1,
      handlerNs: 3,
      totalNs: 1003,
      copiesOut: 1,
    });
  });

  it('lets the handler clean up where its task dies asleep', () => {
    const { stats, pass } = setUp();
    let isClean = false;
    function* handler(): Blocking<SysResult> {
      try {
        yield sleep;
        return 0;
      } finally {
        isClean = true;
      }
    }
    const call = stats.counting(handler as () => MaybeBlocking)(
      taskAsking(0),
    ) as Blocking<SysResult>;
    call.next();
    pass(9);
    call.return(0);
    expect(isClean).toBe(true);
    expect(stats.counts()[0]).toMatchObject({ count: 1, totalNs: 9 });
  });

  it('has one line for all numbers that are no calls, however many a guest makes up', () => {
    const { stats } = setUp();
    const dispatch = stats.counting(() => ENOENT);
    for (let number = 2; number < 1000; number++) expect(dispatch(taskAsking(number))).toBe(ENOENT);
    expect(stats.counts()).toHaveLength(1);
    expect(stats.counts()[0]).toMatchObject({ name: 'no such call', count: 998, errors: 998 });
  });
});

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { CallCount } from '../syscalls/call-stats.ts';
import { statsReport } from './stats-report.ts';

const nothing: CallCount = {
  name: 'close',
  count: 1,
  errors: 0,
  handlerNs: 1000,
  totalNs: 1000,
  copiesIn: 0,
  bytesIn: 0,
  copiesOut: 0,
  bytesOut: 0,
  goferRequests: 0,
  goferNs: 0,
};
const open: CallCount = {
  ...nothing,
  name: 'openat',
  count: 4,
  errors: 2,
  handlerNs: 8e6,
  totalNs: 9e6,
  copiesIn: 4,
  bytesIn: 1024,
  goferRequests: 3,
  goferNs: 6e6,
};
const shares = {
  elapsedNs: 100e6,
  handlersNs: 10e6,
  goferNs: 20e6,
  goferRequests: 3,
  guestNs: 30e6,
  idleNs: 35e6,
  cpuNs: 12e6,
};

describe('statsReport', () => {
  it('has a line for each call, their sum, and shares that make up the whole', () => {
    const lines = statsReport([open, nothing], shares, undefined).trimEnd().split('\n');
    const words = lines.map((line) => line.trim().split(/ +/).join(' '));
    expect(words.slice(1)).toEqual([
      '4 2 8.00 2000.0 9.00 2250.0 4 1024 3 6.00 openat',
      '1 0.00 1.0 0.00 1.0 close',
      '5 2 8.00 1600.2 9.00 1800.2 4 1024 3 6.00 all',
      'wall time 100.00 ms: handlers 10.0 %, rest of the Sentry 5.0 %, Gofer 20.0 %, guests 30.0 %, idle 35.0 %',
      "the Sentry's processor time 12.00 ms; Gofer requests 3",
    ]);
    expect(
      new Set(lines.slice(0, 4).map((line) => line.search(/(call|openat|close|all)$/))).size,
    ).toBe(1);
  });

  it('prints what a platform counts by its names', () => {
    const counters = { answersToSpinning: 5, sleeps: 2, other: 'text' };
    expect(statsReport([], shares, counters)).toContain(
      'hand-over: answers to spinning 5, sleeps 2\n',
    );
  });
});

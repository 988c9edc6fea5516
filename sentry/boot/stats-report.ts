// SPDX-License-Identifier: Apache-2.0
// The text of `runts do --stats`: a table of system calls as strace(1) -c has one, with what each
// cost the Sentry, the shares of the wall time, and how guests and Sentry handed over to each
// other.
import type { HandoverCounters } from '../platform/handover-counters.ts';
import type { CallCount } from '../syscalls/call-stats.ts';

/** Where the wall time of the Sentry's only thread went, ns. The parts and a rest make up the whole. */
export interface Shares {
  readonly elapsedNs: number;
  /** In handlers of system calls, without the Gofer. */
  readonly handlersNs: number;
  readonly goferNs: number;
  readonly goferRequests: number;
  /** Waits while guest threads ran, and while none did. */
  readonly guestNs: number;
  readonly idleNs: number;
  /** Processor time of the Sentry, of all its threads. */
  readonly cpuNs: number;
}

type Column = readonly [head: string, cell: (call: CallCount) => string];

const columns: readonly Column[] = [
  ['calls', ({ count }) => String(count)],
  ['errors', ({ errors }) => (errors === 0 ? '' : String(errors))],
  ['handler ms', ({ handlerNs }) => ms(handlerNs)],
  ['us/call', ({ handlerNs, count }) => us(handlerNs / count)],
  ['total ms', ({ totalNs }) => ms(totalNs)],
  ['us/call', ({ totalNs, count }) => us(totalNs / count)],
  ['copies in', ({ copiesIn }) => orNothing(copiesIn)],
  ['bytes in', ({ bytesIn }) => orNothing(bytesIn)],
  ['copies out', ({ copiesOut }) => orNothing(copiesOut)],
  ['bytes out', ({ bytesOut }) => orNothing(bytesOut)],
  ['Gofer', ({ goferRequests }) => orNothing(goferRequests)],
  ['Gofer ms', ({ goferRequests, goferNs }) => (goferRequests === 0 ? '' : ms(goferNs))],
  ['  call', ({ name }) => `  ${name}`],
];

/** The table of calls alone. */
export function callsReport(calls: readonly CallCount[]): string[] {
  const rows = [
    columns.map(([head]) => head),
    ...[...calls, sumOf(calls)].map((call) => columns.map(([, cell]) => cell(call))),
  ];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, index) =>
        index === columns.length - 1 ? cell : cell.padStart(widths[index] as number),
      )
      .join('  '),
  );
}

export function statsReport(
  calls: readonly CallCount[],
  shares: Shares,
  counters: HandoverCounters | undefined,
): string {
  return [...callsReport(calls), ...sharesReport(shares), ...handoverReport(counters)]
    .map((line) => `${line}\n`)
    .join('');
}

/** Lines for the end of `--stats` and of `--profile`. */
export function sharesReport(shares: Shares): string[] {
  const { elapsedNs, handlersNs, goferNs, goferRequests, guestNs, idleNs, cpuNs } = shares;
  const restNs = Math.max(0, elapsedNs - handlersNs - goferNs - guestNs - idleNs);
  const share = (ns: number): string => `${((100 * ns) / Math.max(elapsedNs, 1)).toFixed(1)} %`;
  return [
    `wall time ${ms(elapsedNs)} ms: handlers ${share(handlersNs)}, rest of the Sentry ${share(restNs)}, ` +
      `Gofer ${share(goferNs)}, guests ${share(guestNs)}, idle ${share(idleNs)}`,
    `the Sentry's processor time ${ms(cpuNs)} ms; Gofer requests ${goferRequests}`,
  ];
}

/** Whatever the platform counts, by its names. */
function handoverReport(counters: HandoverCounters | undefined): string[] {
  const all = Object.entries(counters ?? {}).filter(([, value]) => typeof value === 'number');
  if (all.length === 0) return [];
  const words = all.map(([name, value]) => `${spaced(name)} ${value}`);
  return [`hand-over: ${words.join(', ')}`];
}

function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function sumOf(calls: readonly CallCount[]): CallCount {
  const sum = (field: Exclude<keyof CallCount, 'name'>): number =>
    calls.reduce((total, call) => total + call[field], 0);
  return {
    name: 'all',
    count: sum('count'),
    errors: sum('errors'),
    handlerNs: sum('handlerNs'),
    totalNs: sum('totalNs'),
    copiesIn: sum('copiesIn'),
    bytesIn: sum('bytesIn'),
    copiesOut: sum('copiesOut'),
    bytesOut: sum('bytesOut'),
    goferRequests: sum('goferRequests'),
    goferNs: sum('goferNs'),
  };
}

export function ms(ns: number): string {
  return (ns / 1e6).toFixed(2);
}

function us(ns: number): string {
  return Number.isFinite(ns) ? (ns / 1e3).toFixed(1) : '';
}

function orNothing(count: number): string {
  return count === 0 ? '' : String(count);
}

// SPDX-License-Identifier: Apache-2.0
// What several rounds measured, by benchmark and engine, and how it is printed: the median with the
// range over the rounds, and ratios of medians.
import { type Engine, rounds } from './engines.ts';
import { formatFigure, printCells } from './table.ts';

export class Samples {
  readonly #byBenchmark = new Map<string, Map<string, number[]>>();

  add(benchmark: string, engine: string, value: number): void {
    const byEngine = this.#byBenchmark.get(benchmark) ?? new Map<string, number[]>();
    this.#byBenchmark.set(benchmark, byEngine);
    const values = byEngine.get(engine) ?? [];
    byEngine.set(engine, [...values, value]);
  }

  /** In the order in which each was first measured. */
  benchmarks(): string[] {
    return [...this.#byBenchmark.keys()];
  }

  of(benchmark: string, engine: string): readonly number[] {
    return this.#byBenchmark.get(benchmark)?.get(engine) ?? [];
  }
}

/**
 * Lets each engine have its turn in each round, so that what else the machine does meets all of
 * them alike. An engine that fails once has no further turns: one message instead of one a round.
 */
export function inTurn(
  engines: readonly Engine[],
  what: string,
  body: (engine: Engine, round: number) => void,
): void {
  const failed = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    for (const engine of engines) {
      if (failed.has(engine.name)) continue;
      try {
        body(engine, round);
      } catch (error) {
        console.error(`${what} under ${engine.name}: ${(error as Error).message}`);
        failed.add(engine.name);
      }
    }
  }
  if (failed.size > 0) process.exitCode = 1;
}

/**
 * One line a benchmark. `bases`: the engines to which the others are set in relation, `/native` and
 * `/runsc`.
 */
export function printSamples(
  title: string,
  unit: string,
  engines: readonly string[],
  samples: Samples,
  bases: readonly string[] = ['native', 'runsc'],
): void {
  if (samples.benchmarks().length === 0) return;
  const ratios = (engine: string): string[] =>
    bases.filter(
      (base, index) => engines.includes(base) && !bases.slice(0, index + 1).includes(engine),
    );
  const head = [
    title,
    ...engines.flatMap((engine) => [engine, ...ratios(engine).map((base) => `/${base}`)]),
  ];
  const rows = samples.benchmarks().map((benchmark) => [
    benchmark,
    ...engines.flatMap((engine) => {
      const values = samples.of(benchmark, engine);
      return [
        spread(values),
        ...ratios(engine).map((base) => ratio(values, samples.of(benchmark, base))),
      ];
    }),
  ]);
  printCells(head, rows, unit);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** `MEDIAN (LEAST..MOST)`. */
function spread(values: readonly number[]): string {
  if (values.length === 0) return '-';
  if (values.length === 1) return formatFigure(median(values));
  const least = formatFigure(Math.min(...values));
  return `${formatFigure(median(values))} (${least}..${formatFigure(Math.max(...values))})`;
}

function ratio(values: readonly number[], base: readonly number[]): string {
  if (values.length === 0 || base.length === 0 || median(base) === 0) return '-';
  return (median(values) / median(base)).toFixed(2);
}

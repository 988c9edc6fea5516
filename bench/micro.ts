// SPDX-License-Identifier: Apache-2.0
// System calls one by one: bench/micro.c under each engine. Nanoseconds a call.
import { buildProgram } from './build.ts';
import { capture, type Engine, isShort } from './engines.ts';
import { inTurn, Samples } from './samples.ts';

/** `names`: only these benchmarks of micro.c; none for all. */
export function microBenchmarks(engines: readonly Engine[], names: readonly string[]): Samples {
  const program = buildProgram('micro');
  const samples = new Samples();
  inTurn(engines, 'micro', (engine) => {
    const text = capture(engine, [program, ...(isShort ? ['--short'] : []), ...names], 300);
    for (const line of text.trim().split('\n')) {
      const [name = '', ns] = line.split('\t');
      samples.add(name, engine.name, Number(ns));
    }
  });
  return samples;
}

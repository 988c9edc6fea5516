// SPDX-License-Identifier: Apache-2.0
// UnixBench's kinds (bench/unix.c) with one copy and with as many as there are processors.
// Microseconds a pass.
import { availableParallelism } from 'node:os';
import { buildProgram } from './build.ts';
import { capture, type Engine, isShort } from './engines.ts';
import { inTurn, Samples } from './samples.ts';

const SECONDS = isShort ? '0.01' : '0.5';
const copies = Math.max(2, availableParallelism());

/** `names`: only these tests of unix.c; none for all. */
export function unixBenchmarks(engines: readonly Engine[], names: readonly string[]): Samples {
  const program = buildProgram('unix', '-lm');
  const samples = new Samples();
  for (const count of [1, copies]) {
    inTurn(engines, `unix, ${count} copies`, (engine) => {
      const text = capture(engine, [program, SECONDS, `${count}`, ...names], 300);
      for (const line of text.trim().split('\n')) {
        const [name = '', us] = line.split('\t');
        samples.add(`${name} x${count}`, engine.name, Number(us));
      }
    });
  }
  return samples;
}

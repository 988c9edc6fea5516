// SPDX-License-Identifier: Apache-2.0
// Many at once (bench/many.c): sandboxes that are all busy, threads, and a server beside guests that
// take all processors. What counts is the longest that anybody waited.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { buildProgram } from './build.ts';
import { capture, type Engine, isShort, rounds } from './engines.ts';
import { inTurn, Samples } from './samples.ts';

const SANDBOXES = isShort ? 2 : 50;
const THREADS = isShort ? 10 : 4000;
const SECONDS = isShort ? 0.1 : 6;
/** Until the last sandbox has started: all begin at the same time. */
const START_SECONDS = isShort ? 2 : 15;
const SERVED_SECONDS = isShort ? '0.1' : '2';

/** Microseconds, but for passes. */
export async function manyBenchmarks(engines: readonly Engine[]): Promise<Samples> {
  const program = buildProgram('many');
  const samples = new Samples();
  for (let round = 0; round < rounds; round++)
    for (const engine of engines) await busySandboxes(program, engine, samples);
  const each = (names: readonly string[], args: readonly string[]): void =>
    inTurn(engines, args.join(' '), (engine) => {
      const values = capture(engine, [program, ...args], 120)
        .trim()
        .split(' ');
      for (const [index, name] of names.entries())
        samples.add(name, engine.name, Number(values[index]));
    });
  each(
    [`${THREADS} threads: to make one`, `${THREADS} threads: from one to the next`],
    ['threads', String(THREADS)],
  );
  const others = availableParallelism();
  for (const [what, name] of [
    ['serve', 'that compute'],
    ['calls', 'that make calls'],
  ] as const)
    each(
      ['median', 'p99', 'longest'].map((value) => `answer beside ${others} ${name}: ${value}`),
      [what, SERVED_SECONDS, String(others)],
    );
  return samples;
}

/** The passes of all together and of the one with the fewest, and the longest pass. */
async function busySandboxes(program: string, engine: Engine, samples: Samples): Promise<void> {
  const at = Math.ceil(Date.now() / 1000) + START_SECONDS;
  const [command = '', ...args] = [...engine.prefix, program, 'busy', String(SECONDS), String(at)];
  const all = await Promise.all(Array.from({ length: SANDBOXES }, () => outputOf(command, args)));
  const lines = all.map((text) => text.trim().split(' ').map(Number));
  const passes = lines.map(([count = 0]) => count);
  const name = (what: string): string => `${SANDBOXES} busy sandboxes: ${what}`;
  samples.add(
    name('passes'),
    engine.name,
    passes.reduce((a, b) => a + b, 0),
  );
  samples.add(name('passes, fewest'), engine.name, Math.min(...passes));
  samples.add(name('longest pass'), engine.name, Math.max(...lines.map(([, us = 0]) => us)));
}

function outputOf(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (piece) => {
      text += String(piece);
    });
    child.on('close', () => resolve(text));
  });
}

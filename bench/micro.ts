// SPDX-License-Identifier: Apache-2.0
// System calls one by one: bench/micro.c under each engine. Nanoseconds a call.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { capture, type Engine, root } from './engines.ts';
import type { Figures } from './table.ts';

export function microBenchmarks(engines: readonly Engine[]): Figures {
  const binary = join(root, 'build/bench/micro');
  mkdirSync(join(root, 'build/bench'), { recursive: true });
  execFileSync('gcc', [
    '-O2',
    '-D_GNU_SOURCE',
    '-pthread',
    '-static',
    '-o',
    binary,
    join(root, 'bench/micro.c'),
  ]);
  const figures: Figures = new Map();
  for (const engine of engines) {
    let text: string;
    try {
      text = capture(engine, [binary], 300);
    } catch (error) {
      console.error(`${engine.name}: ${(error as Error).message}`);
      continue;
    }
    for (const line of text.trim().split('\n')) {
      const [name = '', ns] = line.split('\t');
      const row = figures.get(name) ?? new Map<string, number>();
      row.set(engine.name, Number(ns));
      figures.set(name, row);
    }
  }
  return figures;
}

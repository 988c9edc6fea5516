// SPDX-License-Identifier: Apache-2.0
// What a sandbox costs that does nothing: memory (PSS of all its processes) and CPU time.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Engine, isShort } from './engines.ts';
import type { Figures } from './table.ts';

const SETTLE_MS = isShort ? 300 : 3000;
const WATCH_MS = isShort ? 200 : 5000;
const TICKS_PER_SECOND = 100;

interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly ticks: number;
}

function processes(): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const close = stat.lastIndexOf(')');
      const fields = stat.slice(close + 2).split(' ');
      found.push({
        pid: Number(name),
        command: stat.slice(stat.indexOf('(') + 1, close),
        parent: Number(fields[1]),
        ticks: Number(fields[11]) + Number(fields[12]),
      });
    } catch {
      // Gone meanwhile.
    }
  }
  return found;
}

/** The descendants of `top`, and what an engine detached from it since `before`. */
function familyOf(top: number, before: ReadonlySet<number>, engine: string): ProcessInfo[] {
  const all = processes();
  const family = new Set([top]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent, command } of all) {
      if (family.has(pid)) continue;
      const detached = parent === 1 && !before.has(pid) && command.startsWith(engine);
      if (!family.has(parent) && !detached) continue;
      family.add(pid);
      grown = true;
    }
  }
  return all.filter(({ pid }) => family.has(pid));
}

function pssKib(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1]);
  } catch {
    return 0;
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function startSleeper(engine: Engine): ChildProcess {
  const [program = '', ...args] = [...engine.prefix, '/bin/sleep', '60'];
  return spawn(program, args, { cwd: '/', stdio: 'ignore' });
}

export async function idleBenchmarks(engines: readonly Engine[]): Promise<Figures> {
  const memory = new Map<string, number>();
  const cpu = new Map<string, number>();
  for (const engine of engines) {
    const before = new Set(processes().map(({ pid }) => pid));
    const child = startSleeper(engine);
    await sleep(SETTLE_MS);
    const family = familyOf(child.pid ?? 0, before, engine.name);
    if (child.exitCode !== null) {
      console.error(`idle under ${engine.name}: exit ${child.exitCode}`);
      continue;
    }
    memory.set(engine.name, sum(family.map(({ pid }) => pssKib(pid))) / 1024);
    const ticksBefore = sum(family.map(({ ticks }) => ticks));
    await sleep(WATCH_MS);
    const after = familyOf(child.pid ?? 0, before, engine.name);
    const spent = sum(after.map((one) => one.ticks)) - ticksBefore;
    cpu.set(engine.name, (spent / TICKS_PER_SECOND / (WATCH_MS / 1000)) * 1000);
    child.kill('SIGKILL');
    for (const { pid } of after) tryKill(pid);
  }
  return new Map([
    ['idle memory (MiB PSS)', memory],
    ['idle CPU (ms a second)', cpu],
  ]);
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went with its parent.
  }
}

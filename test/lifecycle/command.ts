// SPDX-License-Identifier: Apache-2.0
// Runs the command line of this tree and waits for it.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SandboxProcesses, sandboxProcesses } from './sandbox-processes.ts';

/** RUNTS=dist/runts tests the one-file build. */
export const runtsPath: string =
  process.env['RUNTS'] ?? join(import.meta.dirname, '../../bin/runts');

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
}

interface StartOptions {
  readonly input?: string;
  /** A command that becomes the one given to it, in other surroundings. */
  readonly enter?: readonly string[];
}

export function start(args: readonly string[], { input, enter = [] }: StartOptions = {}): Running {
  const [program, ...words] = [...enter, runtsPath, ...args] as [string, ...string[]];
  const child = spawn(program, words, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
  });
  child.stdin?.end(input);
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, finished };
}

export function runts(...args: string[]): Promise<Finished> {
  return start(args).finished;
}

/** A sandbox that runs until somebody ends it, and its processes. */
export async function startSleeper(
  flags: readonly string[] = [],
  options: StartOptions = {},
): Promise<Running & { readonly processes: SandboxProcesses }> {
  const running = start(['do', ...flags, '--', 'sh', '-c', 'echo ready; sleep 1000'], options);
  await firstOutput(running);
  const processes = await until(() => sandboxProcesses(running.child.pid as number));
  return { ...running, processes };
}

/** Until it has written something; fails with what it said where it ends before. */
export async function firstOutput({ child, finished }: Running): Promise<void> {
  const written = new Promise<true>((resolve) => child.stdout?.once('data', () => resolve(true)));
  const first = await Promise.race([written, finished]);
  if (first !== true) throw new Error(`ended without output: ${JSON.stringify(first)}`);
}

/**
 * Longest wait for what takes milliseconds on an idle machine: a failure, not a duration that is
 * part of a test.
 */
const PATIENCE_MS = 60_000;

export async function until<T>(probe: () => T | undefined | false): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`never: ${probe}`);
    await sleep(20);
  }
}

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

export function start(args: readonly string[], input?: string): Running {
  const child = spawn(runtsPath, args, {
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
  ...options: string[]
): Promise<Running & { readonly processes: SandboxProcesses }> {
  const running = start(['do', ...options, '--', 'sh', '-c', 'echo ready; sleep 1000']);
  await new Promise((resolve) => running.child.stdout?.once('data', resolve));
  const processes = await until(() => sandboxProcesses(running.child.pid as number), 5000);
  return { ...running, processes };
}

/** Polls for at most `milliseconds`. */
export async function until<T>(
  probe: () => T | undefined | false,
  milliseconds: number,
): Promise<T> {
  const end = Date.now() + milliseconds;
  for (;;) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`nothing after ${milliseconds} ms`);
    await sleep(20);
  }
}

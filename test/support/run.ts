// SPDX-License-Identifier: Apache-2.0
// Runs one command on the host or in a sandbox and collects what it says.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');
/** RUNTS names another build to test. */
export const runts = process.env['RUNTS'] ?? join(root, 'bin/runts');

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** As a shell has it: 128 + signal for a death by signal. */
  readonly code: number;
  readonly timedOut: boolean;
}

export interface RunOptions {
  /** Longest time, where it hangs; the default is enough for a slow machine that has much else to do. */
  readonly seconds?: number;
  readonly cwd?: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** More flags of `runts do` for every case; DIR in them is the case's directory. */
const extraFlags = (process.env['RUNTS_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');

/** The same few variables for both sides, so that their output does not hang on the caller's. */
const environment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  GIT_CONFIG_NOSYSTEM: '1',
  PAGER: 'cat',
};

/** Longest text kept of one stream: a guest that runs wild must not eat our memory. */
const MAX_OUTPUT = 8 << 20;

const signalCodes: Readonly<Record<string, number>> = { SIGKILL: 137, SIGTERM: 143, SIGSEGV: 139 };

export function run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const [program, ...args] = command as [string, ...string[]];
  const seconds = options.seconds ?? 200;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? '/',
      env: { ...environment, ...options.env },
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      // A group of its own, so that a timeout takes all of it.
      detached: true,
    });
    let stdout = '';
    let stderr = '';
    let timedOut = false;
    const killer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, seconds * 1000);
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      if (stdout.length < MAX_OUTPUT) stdout += text;
    });
    child.stderr?.setEncoding('latin1').on('data', (text: string) => {
      if (stderr.length < MAX_OUTPUT) stderr += text;
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.stdin);
    const end = (code: number): void => {
      clearTimeout(killer);
      // What it left behind may hold the pipes open.
      killGroup(child.pid);
      resolve({ stdout, stderr, code, timedOut });
    };
    child.on('error', (error) => {
      stderr += error.message;
      end(127);
    });
    // A pipe that some process left behind holds open must not keep us.
    child.on('exit', () => setTimeout(() => closeStreams(child), 1000).unref());
    child.on('close', (code, signal) => end(code ?? signalCodes[signal ?? ''] ?? 255));
  });
}

function closeStreams(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Already gone.
  }
}

/** The command line that runs `command` in a sandbox. */
export function sandboxed(
  command: readonly string[],
  flags: readonly string[] = [],
): readonly string[] {
  return [runts, 'do', ...flags, '--', ...command];
}

export function runInSandbox(
  command: readonly string[],
  options: RunOptions = {},
  flags: readonly string[] = [],
): Promise<Outcome> {
  const extra = extraFlags.map((flag) => flag.replace('DIR', options.cwd ?? '/'));
  return run(sandboxed(command, [...extra, ...flags]), options);
}

/** Runs again under strace and answers the last lines of it, for the report of a failure. */
export async function straceTail(
  command: readonly string[],
  options: RunOptions = {},
  flags: readonly string[] = [],
  lines = 40,
): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'runts-strace-'));
  const file = join(dir, 'trace');
  try {
    const outcome = await runInSandbox(command, { ...options, seconds: options.seconds ?? 20 }, [
      `--strace=${file}`,
      ...flags,
    ]);
    const trace = readFileSync(file, 'latin1').split('\n');
    return [
      `strace of ${command.join(' ')} (exit ${outcome.code}):`,
      ...trace.slice(-lines),
      outcome.stderr.slice(-2000),
    ].join('\n');
  } catch (error) {
    return `no strace: ${(error as Error).message}`;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

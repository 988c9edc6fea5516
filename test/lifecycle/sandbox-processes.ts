// SPDX-License-Identifier: Apache-2.0
// Finds the processes of a running sandbox in /proc, from its command line's pid.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface SandboxProcesses {
  readonly cli: number;
  readonly launcher: number;
  readonly gofer: number;
  readonly sentry: number;
  /** The network proxy, where there is one. */
  readonly proxy: number | undefined;
  readonly zygote: number;
  readonly stubs: readonly number[];
}

/** Undefined while it is not (or no longer) complete. */
export function sandboxProcesses(cli: number): SandboxProcesses | undefined {
  const children = childrenByParent();
  const launcher = children.get(cli)?.[0];
  if (launcher === undefined) return undefined;
  const pair = children.get(launcher) ?? [];
  const gofer = pair.find((pid) => commandLine(pid).startsWith('runts-gofer'));
  const sentry = pair.find((pid) => commandLine(pid).startsWith('runts-sentry'));
  const proxy = pair.find((pid) => status(pid, 'Name') === 'runts-proxy');
  if (gofer === undefined || sentry === undefined) return undefined;
  // The zygote is older than the stubs it makes.
  const [zygote, ...stubs] = childrenByAge(sentry).filter((pid) => processState(pid) !== 'Z');
  return zygote === undefined ? undefined : { cli, launcher, gofer, sentry, proxy, zygote, stubs };
}

export function everyProcess(of: SandboxProcesses): number[] {
  return [of.cli, of.launcher, of.gofer, of.sentry, of.zygote, ...of.stubs];
}

export function isAlive(pid: number): boolean {
  const letter = processState(pid);
  return letter !== undefined && letter !== 'Z' && letter !== 'X';
}

export function childrenOf(parent: number): readonly number[] {
  return childrenByParent().get(parent) ?? [];
}

/** Those of its main thread, the oldest first: numbers tell no age, they come around. */
export function childrenByAge(parent: number): number[] {
  try {
    const text = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** A field of /proc/PID/status. */
export function status(pid: number, field: string): string {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${field}:`));
  return line?.slice(field.length + 1).trim() ?? '';
}

export function namespace(pid: number, kind: string): string {
  return readlinkSync(`/proc/${pid}/ns/${kind}`);
}

/** What the descriptors of a process lead to, by number. */
export function descriptors(pid: number): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    const target = linkIfThere(`/proc/${pid}/fd/${name}`);
    if (target !== undefined) found.set(Number(name), target);
  }
  return found;
}

/** Undefined where it has gone since it was listed. */
function linkIfThere(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

export function processState(pid: number): string | undefined {
  return statFields(pid)?.[0];
}

/** The fields of /proc/PID/stat after the name: state, parent and so on. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const pid of pids()) {
    const parent = Number(statFields(pid)?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

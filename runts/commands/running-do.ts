// SPDX-License-Identifier: Apache-2.0
// The sandboxes of `runts do` that run now. Nothing is written down of them: /proc shows their fronts,
// whose title says what was asked for (runts/launch.ts).
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { isErrno } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { DO_TITLE } from '../launch.ts';
import { describeErrno } from '../oci/errno-text.ts';

export interface RunningDo {
  readonly id: string;
  readonly pid: number;
  readonly command: string;
  readonly created: string;
  readonly owner: number;
}

/** The sandboxes that the caller may look at, which are its own or, for root, all. */
export function runningDos(): RunningDo[] {
  return readdirSync('/proc').flatMap((name) =>
    /^\d+$/.test(name) ? (find(Number(name)) ?? []) : [],
  );
}

/** The sandbox with this id; undefined where the id is another kind of name, or the sandbox has ended. */
export function runningDo(id: string): RunningDo | undefined {
  const pid = /^do-([1-9]\d{0,8})$/.exec(id)?.[1];
  return pid === undefined ? undefined : find(Number(pid));
}

function find(pid: number): RunningDo | undefined {
  try {
    const command = titled(pid);
    // The launcher below the front has the same title.
    if (command === undefined || titled(parentOf(pid)) !== undefined) return undefined;
    const { uid, ctimeMs } = statSync(`/proc/${pid}`);
    return { id: `do-${pid}`, pid, command, created: new Date(ctimeMs).toISOString(), owner: uid };
  } catch {
    return undefined;
  }
}

/** The command in a front's title. A guest can choose its processes' titles, but not what they execute. */
function titled(pid: number): string | undefined {
  const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  if (!title.startsWith(DO_TITLE)) return undefined;
  const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
  if (!/\/(launcher|memfd:runts-launcher)$/.test(program)) return undefined;
  return title
    .slice(DO_TITLE.length)
    .replace(/\0+$/, '')
    .replace(/[\x00-\x1f\x7f]/g, ' ');
}

function parentOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Sends a signal to the front, which passes it on to the program; SIGKILL ends the sandbox. */
export function signalDo({ pid, id }: RunningDo, signal: number): void {
  const sent = native.kill(pid, signal);
  if (isErrno(sent)) throw describeErrno(`signal to ${id}`, sent);
}

/** The processes of a sandbox on the host: the front and all below it. */
export function processesOfDo({ pid }: RunningDo): number[] {
  const found = [pid];
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const parents = new Map(all.flatMap((each) => withParent(each)));
  for (const above of found) {
    for (const [each, parent] of parents) if (parent === above) found.push(each);
  }
  return found;
}

function withParent(pid: number): [pid: number, parent: number][] {
  try {
    return [[pid, parentOf(pid)]];
  } catch {
    return [];
  }
}

// SPDX-License-Identifier: Apache-2.0
// --memory is a limit for whatever a guest can make the sandbox keep: not only for pages of its own,
// but for every kind of object and queue of the Sentry. From outside all of the sandbox stays below
// the limit and a slack, which docs/memory.md explains.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { root, runts } from '../support/run.ts';

const MIB = 2 ** 20;
const LIMIT_MIB = 160;
/** The processes of an empty sandbox, caches, and garbage between two collections. */
const SLACK_MIB = 128;
const SECONDS = 8;
const binary = join(root, 'build/hostile/hoard');

beforeAll(() => {
  mkdirSync(join(root, 'build/hostile'), { recursive: true });
  const source = join(import.meta.dirname, 'hoard.c');
  execFileSync('gcc', ['-O1', '-D_GNU_SOURCE', '-pthread', '-static', '-w', '-o', binary, source]);
});

/** Returns `top` and all processes of the host below it. */
function treeOf(top: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = /\) \S (\d+)/.exec(textOf(`/proc/${name}/stat`))?.[1];
    if (parent === undefined) continue;
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)]);
  }
  const tree = [top];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** Returns the text of a file of /proc; empty where the process has gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Adds the memory files that `pid` has open to `found`: their pages belong to no process. */
function memoryFiles(pid: number, found: Map<number, number>): void {
  let names: string[] = [];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return; // The process has gone.
  }
  for (const name of names) {
    try {
      const path = `/proc/${pid}/fd/${name}`;
      if (!readlinkSync(path).startsWith('/memfd:')) continue;
      const { ino, blocks } = statSync(path);
      found.set(ino, blocks * 512);
    } catch {
      // The descriptor was closed.
    }
  }
}

/** Returns the bytes that a sandbox takes: memory of its processes, page tables, memory files. */
function takenBytes(top: number): number {
  const files = new Map<number, number>();
  let total = 0;
  for (const pid of treeOf(top)) {
    const status = textOf(`/proc/${pid}/status`);
    for (const line of ['RssAnon', 'VmPTE'])
      total += 1024 * Number(new RegExp(`^${line}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    memoryFiles(pid, files);
  }
  for (const bytes of files.values()) total += bytes;
  return total;
}

interface Hoard {
  readonly peakMib: number;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function hoard(kind: string): Promise<Hoard> {
  const limits = ['--memory', `${LIMIT_MIB}M`, '--timeout', '60s'];
  const child = spawn(runts, ['do', ...limits, '--', binary, kind, String(SECONDS)]);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  let peak = 0;
  while (!isOver && child.pid !== undefined) {
    peak = Math.max(peak, takenBytes(child.pid));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { peakMib: Math.round(peak / MIB), code: await ended, stdout, stderr };
}

/** What is filled through mappings nobody refuses: there the OOM killer ends the guest. */
const touched = ['unmapped', 'read_holes', 'segments'];
/** What runs into a limit within the time is refused, as Linux says it. */
const refused: Readonly<Record<string, string>> = {
  attributes: 'No space left on device',
  shm_files: 'No space left on device',
  pipes: 'Cannot allocate memory',
  streams: 'No buffer space available',
  datagrams: 'No buffer space available',
  messages: 'Cannot allocate memory',
  tables: 'Cannot allocate memory',
  listings: 'Cannot allocate memory',
};
/** Others may take longer than the time. */
const slow = [
  ...['small_files', 'links', 'connections', 'packets', 'replies', 'flying', 'epoll_entries'],
  ...[
    'events',
    'timers',
    'timer_files',
    'signals',
    'rendered',
    'maps',
    'group_lists',
    'names',
    'polls',
  ],
];

describe(`a guest under --memory ${LIMIT_MIB}M that hoards`, () => {
  it.each(touched)('%s is killed, and told of', async (kind) => {
    const { peakMib, code, stderr } = await hoard(kind);
    expect(code).toBe(137);
    expect(stderr).toMatch(
      /^runts: out of memory \(\d+ MiB of 160\): killed process 2 \(hoard\)$/m,
    );
    expect(peakMib).toBeLessThan(LIMIT_MIB + SLACK_MIB);
  });

  it.each(Object.entries(refused))('%s is refused: %s', async (kind, message) => {
    const { peakMib, code, stdout, stderr } = await hoard(kind);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${message}\n`, stderr: '' });
    expect(peakMib).toBeLessThan(LIMIT_MIB + SLACK_MIB);
  });

  it.each(slow)('%s stays below the limit and the slack', async (kind) => {
    const { peakMib, code, stdout, stderr } = await hoard(kind);
    const isOomKill = code === 137 && stderr.startsWith('runts: out of memory');
    expect(isOomKill || code === 0, `${code} ${stdout}${stderr}`).toBe(true);
    expect(peakMib).toBeLessThan(LIMIT_MIB + SLACK_MIB);
  });
});

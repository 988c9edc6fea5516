// SPDX-License-Identifier: Apache-2.0
// A file of the host that is slow keeps its caller waiting, and nobody else: the file system is a
// process of this test that answers when the test says so.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtsPath } from './command.ts';

const dir = mkdtempSync('/tmp/runts-slow-files-');
const mayMount = existsSync('/dev/fuse') && process.getuid?.() === 0;
const BEATS = 50;

beforeAll(() => {
  for (const program of ['slow-fuse', 'slow-calls'])
    execFileSync('gcc', [
      '-O1',
      '-Wall',
      '-pthread',
      '-o',
      join(dir, program),
      join(import.meta.dirname, `${program}.c`),
    ]);
});
afterAll(() => rmSync(dir, { recursive: true }));

/** Resolves with the number of lines so far once `isEnough` says so of the newest. */
function lines(child: ChildProcess): {
  readonly all: string[];
  readonly until: (isEnough: (all: readonly string[]) => boolean) => Promise<void>;
} {
  const all: string[] = [];
  let check = (): void => undefined;
  if (child.stdout !== null)
    createInterface(child.stdout).on('line', (line) => {
      all.push(line);
      check();
    });
  const until = (isEnough: (all: readonly string[]) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      check = () => isEnough(all) && resolve();
      child.on('close', () => (isEnough(all) ? resolve() : reject(new Error(all.join('\n')))));
      check();
    });
  return { all, until };
}

const PAGES_END = 4096;
describe.runIf(mayMount)('while a file of the host keeps one thread waiting', () => {
  it.each([
    ['fsync', 'fsync', 0],
    ['fdatasync', 'fsync', 0],
    ['sync_file_range', 'fsync', 0],
    ['msync', 'fsync', 0],
    ['RWF_SYNC', 'fsync', 1000],
    ['read', 'read', 300_000],
    ['pread', 'read', PAGES_END],
    ['readv', 'read', 3000],
    ['write', 'write', 300_000],
    ['pwrite', 'write', 10],
    ['read', 'read direct', 300_000],
    ['pwrite', 'write direct', 10],
  ] as const)('in %s (%s) the others go on', async (call, slow, result) => {
    const mountPoint = join(dir, `${call}-${slow.replace(' ', '-')}`);
    mkdirSync(mountPoint);
    const server = spawn(join(dir, 'slow-fuse'), [mountPoint, ...slow.split(' ')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const served = lines(server);
    await served.until((all) => all.includes('ready'));
    const guest = spawn(
      runtsPath,
      ['do', '-v', mountPoint, '--', join(dir, 'slow-calls'), join(mountPoint, 'file'), call],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const said = lines(guest);
    await Promise.race([
      served.until((all) => all.includes('held')),
      // A guest that ends now never makes its call.
      said.until(() => false),
    ]);
    const before = said.all.length;
    await said.until((all) => all.length >= before + BEATS);
    expect(said.all).not.toContain(`result ${result}`);
    server.stdin?.write('.');
    await said.until((all) => all.some((line) => line.startsWith('result')));
    expect(said.all).toContain(`result ${result}`);
    if (call.includes('read')) await said.until((all) => all.includes('byte x'));
    if (guest.exitCode === null) await new Promise((resolve) => guest.once('close', resolve));
    server.stdin?.end();
    if (server.exitCode === null) await new Promise((resolve) => server.once('close', resolve));
  });
});

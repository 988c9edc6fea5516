// SPDX-License-Identifier: Apache-2.0
// kill -9 of each process of a sandbox in turn: the others end too and the command line says what
// died; nothing is left behind.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSleeper, until } from './command.ts';
import { OwnPlaces } from './own-places.ts';
import { everyProcess, isAlive, type SandboxProcesses } from './sandbox-processes.ts';

interface Victim {
  readonly name: string;
  readonly pid: (of: SandboxProcesses) => number;
  /** What the command line says; undefined where it is the victim. */
  readonly says: RegExp | undefined;
  readonly code: number | null;
}

const victims: readonly Victim[] = [
  { name: 'command line', pid: (of) => of.cli, says: undefined, code: null },
  { name: 'launcher', pid: (of) => of.launcher, says: /launcher was killed/, code: 125 },
  { name: 'gofer', pid: (of) => of.gofer, says: /gofer was killed/, code: 125 },
  { name: 'sentry', pid: (of) => of.sentry, says: /sentry was killed/, code: 125 },
  { name: 'zygote', pid: (of) => of.zygote, says: /zygote/, code: 125 },
];

// Who is not root has no mount namespace without becoming another user: for them only the processes
// are looked at.
const asRoot = process.geteuid?.() === 0;

describe('kill -9', () => {
  let places: OwnPlaces | undefined;
  beforeAll(async () => {
    if (asRoot) places = await OwnPlaces.make();
  });
  afterAll(() => places?.close());

  for (const victim of victims) {
    it(`of the ${victim.name} ends the rest`, async () => {
      const sandbox = await startSleeper([], places);
      process.kill(victim.pid(sandbox.processes), 'SIGKILL');
      await until(() => !everyProcess(sandbox.processes).some(isAlive));
      const finished = await sandbox.finished;
      if (victim.says !== undefined) expect(finished.stderr).toMatch(victim.says);
      expect(finished.stderr.split('\n').length).toBeLessThanOrEqual(2);
      expect(finished.code).toBe(victim.code);
      // A sandbox makes no file on the host, and its mounts live in namespaces of its own.
      expect(places?.leftovers() ?? []).toEqual([]);
    });
  }

  // The youngest first: the shell is to handle SIGCHLD of its child while its own stub is dying.
  it.each([
    ['oldest', (pids: readonly number[]) => pids],
    ['youngest', (pids: readonly number[]) => [...pids].reverse()],
  ])('of a stub is the end of its process only (%s first)', async (_name, inOrder) => {
    const sandbox = await startSleeper([], places);
    // Pooled stubs do not count: kill those in use until the shell is gone.
    for (const pid of inOrder(sandbox.processes.stubs)) {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    }
    const finished = await sandbox.finished;
    expect(finished.code).toBe(137);
    expect(everyProcess(sandbox.processes).some(isAlive)).toBe(false);
    expect(places?.leftovers() ?? []).toEqual([]);
  });
});

// SPDX-License-Identifier: Apache-2.0
// The quick path in dist/runts (native/single-file): what it answers is what Node does
// (RUNTS_QUICK=0), and it is gone through for the verbs that it knows, and for nothing else.
// test/oci/quick.test.ts has the verbs' details.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Box } from '../oci/support/box.ts';
import type { Ran } from '../oci/support/mini-shim.ts';
import { isRoot } from '../oci/support/runtimes.ts';
import { buildExecutable, executable } from './executable.ts';

beforeAll(buildExecutable);

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
const viaNode = { env: { PATH, RUNTS_QUICK: '0' } };
const hostile = { PATH: '', NODE_OPTIONS: '--require=/none', HOME: 'x'.repeat(100_000) };

async function withBox(body: (box: Box) => Promise<void>): Promise<void> {
  const box = new Box({ name: 'runts', path: executable });
  try {
    await body(box);
    expect(await box.leftovers()).toEqual([]);
  } finally {
    await box.close();
  }
}

/** What a verb answers for container `a` by the quick path, and for its twin `b` by Node. */
async function bothWays(
  box: Box,
  verb: string,
  args: (id: string) => readonly string[] = (id) => [id],
  env: Readonly<Record<string, string>> = { PATH },
): Promise<Ran> {
  const slow = await box.do(verb, args('b'), viaNode);
  const quick = await box.do(verb, args('a'), { env });
  expect(quick, verb).toEqual(slow);
  return quick;
}

function processFile(box: Box, script: string): string {
  const file = join(box.dir, 'process.json');
  const args = ['sh', '-c', script];
  const user = { uid: 0, gid: 0 };
  writeFileSync(file, JSON.stringify({ user, args, env: ['PATH=/bin'], cwd: '/' }));
  return file;
}

const ps = async (box: Box, request: object = {}): Promise<number[]> =>
  JSON.parse((await box.do('ps', ['--format', 'json', 'a'], request)).stdout) as number[];

describe.skipIf(!isRoot).concurrent('both ways', () => {
  it('a life', () =>
    withBox(async (box) => {
      for (const id of ['a', 'b']) {
        box.bundle(undefined, id);
        expect(await box.create(id), box.said(id)).toMatchObject({ code: 0 });
      }
      expect(await bothWays(box, 'start', (id) => [id], hostile)).toMatchObject({ code: 0 });
      for (const env of [{ PATH }, viaNode.env, hostile, {}]) {
        const { stdout } = await box.do('state', ['a'], { env });
        expect(JSON.parse(stdout)).toMatchObject({ status: 'running', pid: box.pid() });
      }
      await bothWays(box, 'pause');
      await bothWays(box, 'resume');
      const file = processFile(box, 'echo out; echo err >&2; exit 7');
      const exec = (id: string): string[] => ['--process', file, id];
      expect(await bothWays(box, 'exec', exec, hostile)).toMatchObject({
        code: 7,
        stdout: 'out\n',
        stderr: 'err\n',
      });
      await bothWays(box, 'kill', (id) => [id, 'KILL']);
      expect([await box.wait('a'), await box.wait('b')]).toEqual([137, 137]);
      expect(await bothWays(box, 'kill', (id) => [id, 'TERM'])).toMatchObject({ code: 1 });
      expect(await bothWays(box, 'delete')).toMatchObject({ code: 0 });
      expect(await bothWays(box, 'delete', (id) => ['--force', id])).toMatchObject({ code: 0 });
      await bothWays(box, 'state', () => ['none']);
    }));

  it('without standard streams', () =>
    withBox(async (box) => {
      await box.running();
      for (const closed of ['<&-', '>&-', '2>&-', '<&- 2>&-', '< /', '>/dev/full']) {
        const run = (quick: string): unknown => {
          const command = [executable, ...box.flags, 'state', 'a'].join(' ');
          const shell = spawnSync('sh', ['-c', `${command} ${closed}`], {
            env: { PATH, RUNTS_QUICK: quick },
            encoding: 'utf8',
          });
          return { out: shell.stdout, isGood: shell.status === 0 };
        };
        expect(run('1'), closed).toEqual(run('0'));
      }
    }));

  it('ps knows the processes, whichever program started them', () =>
    withBox(async (box) => {
      await box.running();
      const file = processFile(box, 'sleep 1000');
      const pids = [box.pid()];
      for (const request of [{}, viaNode]) {
        const pidFile = join(box.dir, `pid-${pids.length}`);
        const args = ['--process', file, '--detach', '--pid-file', pidFile, 'a'];
        const streams = { stdout: '/dev/null', stderr: '/dev/null' };
        expect(await box.do('exec', args, { ...request, ...streams })).toMatchObject({ code: 0 });
        pids.push(Number(readFileSync(pidFile, 'utf8')));
      }
      // The shells are starting a sleep each.
      await box.until(async () => {
        const shown = await ps(box);
        return shown.length >= pids.length && `${await ps(box, viaNode)}` === `${shown}`;
      }, 'the same both ways');
      for (const pid of pids.filter((one) => one !== box.pid())) {
        expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).toMatch(/^sh -c sleep 1000\0*$/);
        process.kill(pid, 'SIGKILL');
      }
    }));
});

/** The names of the system calls that start a program, and of the first after the last such. */
function traced(name: string, args: readonly string[]): { starts: number; next: string } {
  const words = args.map((word) => `'${word}'`).join(' ');
  const command = ['bash', '-c', `exec -a '${name}' ${executable} ${words} < /dev/null`];
  const { stderr } = spawnSync('strace', ['-qq', ...command], { encoding: 'utf8' });
  const lines = stderr.split('\n');
  const starts = lines.flatMap((line, i) => (/^execve(at)?\(.* = 0/.test(line) ? [i] : []));
  return { starts: starts.length - 1, next: lines[(starts.at(-1) ?? 0) + 1] ?? '' };
}

const root = ['--root', '/none'];

describe('the way to Node', () => {
  it.each([
    // Straight on: what the kernel would have done is all that is done.
    ['runts-sentry', ['state', 'a'], 1],
    ['runts-gofer', ['state', 'a'], 1],
    ['runts-cli', ['state', 'a'], 1],
    ['runts', [], 1],
    ['runts', ['--version'], 1],
    ['runts', [...root, 'list'], 1],
    ['runts', ['--root'], 1],
    ['runts', ['--log', 'state', '--debug', 'list'], 1],
    // By the quick path, which leaves it to Node.
    ['runts', ['do', '--none', 'state'], 2],
    ['runts', [...root, 'state', 'none'], 2],
    ['/bin/runts', ['--root=/none', '--systemd-cgroup', 'state', 'none'], 2],
    ['', [...root, '--log-format', 'json', 'state'], 2],
  ] as const)('%j %j: %i', (name, args, starts) => {
    expect(traced(name, args)).toEqual({
      starts,
      next: expect.stringMatching(/^open\("\/lib64\/ld-linux-x86-64.so.2", O_RDONLY\|O_CLOEXEC\)/),
    });
  });
});

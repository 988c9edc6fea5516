// SPDX-License-Identifier: Apache-2.0
// The quick path (native/launcher/quick): each verb both ways, in each state of a container, must
// do and say the same; and what is odd must be left to Node before anything was done.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { root } from '../support/run.ts';
import { cgroupsBelow } from './engines/daemons.ts';
import { type Box, boxCases } from './support/box.ts';
import type { Ran, RunRequest } from './support/mini-shim.ts';
import type { Spec } from './support/spec.ts';

const launcher = join(root, 'native/build/launcher');
const LEFT_TO_NODE = 99;
const viaNode = { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', RUNTS_QUICK: '0' } };

/** By the quick path alone: what it would leave to Node ends with LEFT_TO_NODE. */
function quickly(
  box: Box,
  verb: string,
  args: readonly string[] = [],
  request: Partial<RunRequest> = {},
): Promise<Ran> {
  const slow = ['/bin/sh', '-c', `exit ${LEFT_TO_NODE}`];
  const argv = [launcher, 'quick', ...slow, '--', ...box.flags, verb, ...args];
  return box.shim.run({ cwd: box.dir, ...request, argv });
}

/** The log since the last call, without times. */
function takeLog(box: Box): string {
  const log = box.log().replaceAll(/"time":"[^"]*"/g, '"time":""');
  rmSync(join(box.dir, 'log.json'), { force: true });
  return log;
}

const forms = (text: string): string =>
  text.replaceAll(/\/(bundles\/)?[ab]\b/g, '/$1ID').replaceAll(/"[ab]"/g, '"ID"');

/** What a verb answers for container `a` by the quick path and for its twin `b` by Node, and what it logs. */
async function bothWays(
  box: Box,
  verb: string,
  args: (id: string) => readonly string[],
  request: Partial<RunRequest> = {},
): Promise<Ran> {
  takeLog(box);
  const slow = await box.do(verb, args('b'), { ...request, ...viaNode });
  const slowLog = takeLog(box);
  const quick = await quickly(box, verb, args('a'), request);
  expect({ ...quick, stdout: forms(quick.stdout), log: forms(takeLog(box)) }).toEqual({
    ...slow,
    stdout: forms(slow.stdout),
    log: forms(slowLog),
  });
  return quick;
}

const files = (box: Box, id: string): string[] => {
  const directory = join(box.dir, 'state', id);
  return existsSync(directory) ? readdirSync(directory).sort() : ['(none)'];
};

/** What looks at container `a` says the same both ways. */
async function looksAlike(box: Box, status: string): Promise<void> {
  const slow = await box.do('state', ['a'], viaNode);
  expect(await quickly(box, 'state', ['a'])).toEqual(slow);
  expect(JSON.parse(slow.stdout)).toMatchObject({ status });
  if (status === 'stopped') return;
  const slowPs = await box.do('ps', ['--format', 'json', 'a'], viaNode);
  expect(await quickly(box, 'ps', ['--format', 'json', 'a'])).toEqual(slowPs);
  const pids = JSON.parse(slowPs.stdout) as number[];
  expect(pids).toHaveLength(1);
  // What runs a frozen container's process cannot be asked for.
  expect(pids[0] === box.pid()).toBe(status === 'paused');
}

async function isLeft(box: Box, verb: string, args: readonly string[] = ['a']): Promise<void> {
  const before = files(box, 'a');
  const ran = await quickly(box, verb, args);
  expect(ran, `${verb} ${args.join(' ')}`).toEqual({
    code: LEFT_TO_NODE,
    stdout: '',
    stderr: '',
    held: false,
  });
  expect(files(box, 'a')).toEqual(before);
}

const annotated = (spec: Spec): void => {
  spec.annotations = { 'org.example': 'a "b"\n  "pid": 1,\n\u{1f600}', empty: '' };
};

async function created(
  box: Box,
  id: string,
  change: (spec: Spec) => void = annotated,
): Promise<void> {
  box.bundle(change, id);
  expect(await box.create(id), box.said(id)).toMatchObject({ code: 0 });
}

async function stopped(box: Box, id: string): Promise<void> {
  await box.do('kill', [id, 'KILL']);
  await box.wait(id);
}

function processFile(box: Box, args: readonly string[], more: object = {}): string {
  const file = join(box.dir, 'process.json');
  const user = { uid: 0, gid: 0 };
  writeFileSync(file, JSON.stringify({ user, args, env: ['PATH=/bin'], cwd: '/', ...more }));
  return file;
}

boxCases('quick', [
  {
    name: 'a life, both ways',
    only: 'runts',
    body: async (box) => {
      for (const id of ['a', 'b']) await created(box, id);
      await looksAlike(box, 'created');
      expect(await bothWays(box, 'start', (id) => [id])).toMatchObject({ code: 0 });
      expect(files(box, 'a')).toEqual(files(box, 'b'));
      await looksAlike(box, 'running');
      await bothWays(box, 'pause', (id) => [id]);
      await looksAlike(box, 'paused');
      await bothWays(box, 'resume', (id) => [id]);
      await looksAlike(box, 'running');
      await bothWays(box, 'kill', (id) => [id, 'SIGWINCH']);
      await bothWays(box, 'kill', (id) => ['--all', id, 'kill']);
      expect([await box.wait('a'), await box.wait('b')]).toEqual([137, 137]);
      await looksAlike(box, 'stopped');
      expect(await bothWays(box, 'kill', (id) => [id, 'KILL'])).toMatchObject({ code: 1 });
      expect(await bothWays(box, 'kill', (id) => ['-a', id, '9'])).toMatchObject({ code: 0 });
      expect(await bothWays(box, 'delete', (id) => [id])).toMatchObject({ code: 0 });
      expect([files(box, 'a'), files(box, 'b')]).toEqual([['(none)'], ['(none)']]);
      expect(cgroupsBelow(`${box.cgroup}/a`)).toEqual([]);
      expect(await bothWays(box, 'delete', (id) => ['--force', id])).toMatchObject({ code: 0 });
    },
  },
  {
    name: 'other forms of the options',
    only: 'runts',
    body: async (box) => {
      await created(box, 'a');
      const slow = ['/bin/sh', '-c', `exit ${LEFT_TO_NODE}`];
      const state = join(box.dir, 'state');
      for (const flags of [
        [`--root=${state}`],
        ['--root', `${state}/`, '--debug', '--systemd-cgroup', '--rootless', 'auto'],
        ['--root', 'state', '--log-format=text', '--log', join(box.dir, 'text.log')],
      ]) {
        const argv = [launcher, 'quick', ...slow, '--', ...flags, 'state', 'a'];
        const ran = await box.shim.run({ cwd: box.dir, argv });
        expect(ran, flags.join(' ')).toMatchObject({
          code: 0,
          stdout: expect.stringMatching(/created/),
        });
      }
      expect(readFileSync(join(box.dir, 'text.log'), 'utf8')).toBe('');
    },
  },
  {
    name: 'exec, both ways',
    only: 'runts',
    body: async (box) => {
      for (const id of ['a', 'b']) await box.running(annotated, id);
      const exec =
        (...options: readonly string[]) =>
        (id: string) => [...options, '--process', join(box.dir, 'process.json'), id];
      processFile(box, ['sh', '-c', 'echo out; echo err >&2; pwd; echo $HOME; id; exit 7']);
      expect(await bothWays(box, 'exec', exec())).toMatchObject({ code: 7, stderr: 'err\n' });
      processFile(box, ['no-such-program']);
      expect(await bothWays(box, 'exec', exec())).toMatchObject({ code: 255 });
      expect(await bothWays(box, 'exec', exec('--detach'))).toMatchObject({
        code: 255,
        stderr: expect.stringMatching(/^runts: exec failed: /),
      });
      processFile(box, ['true'], { cwd: '/no/such' });
      expect(await bothWays(box, 'exec', exec('-d'))).toMatchObject({ code: 255 });
      processFile(box, ['true'], { apparmorProfile: 'docker-default', selinuxLabel: 'x' });
      expect(await bothWays(box, 'exec', exec())).toMatchObject({ code: 0 });
      processFile(box, ['true']);
      const missing = exec('--detach', '--pid-file', '/no/such/pid');
      expect(await bothWays(box, 'exec', missing)).toMatchObject({ code: 255 });
      await box.until(
        async () => /^\[\d+\]\n$/.test((await quickly(box, 'ps', ['-f', 'json', 'a'])).stdout),
        'the end of all',
      );
    },
  },
  {
    name: 'exec with a command, both ways',
    only: 'runts',
    body: async (box) => {
      for (const id of ['a', 'b']) await box.running(annotated, id);
      const report =
        'echo $A-$B; pwd; echo $HOME; id; umask; grep -E "^(Cap|NoNew)" /proc/self/status';
      const exec =
        (options: readonly string[], ...command: readonly string[]) =>
        (id: string) => [...options, id, ...command];
      const changes: readonly (readonly string[])[] = [
        [],
        ['-e', 'A=1', '--env=B=2', '-e', 'A=3', '--env', 'PATH=/bin'],
        ['--cwd', '/tmp', '--user', '1000'],
        ['-u', '1000:100', '-g', '5', '--additional-gids=6'],
        ['-c', 'CAP_SYS_PTRACE', '--cap=CAP_SYS_ADMIN', '--no-new-privs'],
      ];
      for (const options of changes)
        expect(
          await bothWays(box, 'exec', exec(options, 'sh', '-c', `${report}; exit 3`)),
          options.join(' '),
        ).toMatchObject({ code: 3, stderr: '' });
      expect(await bothWays(box, 'exec', exec([], 'echo', '-e', '--', '-x', ''))).toMatchObject({
        code: 0,
      });
      expect(await bothWays(box, 'exec', exec([], '/no/such'))).toMatchObject({ code: 255 });
      expect(await bothWays(box, 'exec', exec(['-d'], '/no/such'))).toMatchObject({ code: 255 });
      expect(await bothWays(box, 'exec', exec(['--cwd', '/no'], 'true'))).toMatchObject({
        code: 255,
      });
      expect(await bothWays(box, 'exec', exec(['-d'], 'true'))).toMatchObject({ code: 0 });
    },
  },
  {
    name: 'exec, detached',
    only: 'runts',
    body: async (box) => {
      await box.running();
      const title = `sleep 1000 ${'x'.repeat(300)}`;
      processFile(box, [
        'sh',
        '-c',
        'trap "exit 9" TERM; while :; do : >/ready; sleep 0.02; done',
        title,
      ]);
      const pidFile = join(box.dir, 'exec-pid');
      const args = [
        '--process',
        join(box.dir, 'process.json'),
        '--detach',
        '--pid-file',
        pidFile,
        'a',
      ];
      const streams = { stdout: join(box.dir, 'exec-out'), stderr: join(box.dir, 'exec-out') };
      expect(await quickly(box, 'exec', args, streams)).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
      const pid = Number(readFileSync(pidFile, 'utf8'));
      expect(readdirSync(box.dir).filter((name) => name.startsWith('.'))).toEqual([]);
      const pids = JSON.parse((await quickly(box, 'ps', ['-f', 'json', 'a'])).stdout) as number[];
      expect(pids.length).toBeGreaterThanOrEqual(2);
      expect(pids).not.toContain(pid);
      const shown = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      expect(shown).toMatch(/^sh -c trap "exit 9" TERM; while/);
      expect(readFileSync(`/proc/${pid}/environ`, 'latin1').replaceAll('\0', '')).not.toMatch(
        /PATH=/,
      );
      // Its cgroups are the container's.
      expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toBe(
        readFileSync(`/proc/${box.pid()}/cgroup`, 'utf8'),
      );
      const ready = join(box.dir, 'bundles/a/rootfs/ready');
      await box.until(() => existsSync(ready), 'the trap is set');
      process.kill(pid, 'SIGTERM');
      expect(await box.shim.wait(pid)).toBe(9);
    },
  },
  {
    name: 'exec on a terminal',
    only: 'runts',
    body: async (box) => {
      await box.running();
      const path = join(box.dir, 'console');
      await box.shim.console(path, [33, 101]);
      processFile(box, ['sh', '-c', 'tty; stty size; read -r w; echo got $w; exit 3'], {
        terminal: true,
        consoleSize: { height: 20, width: 70 },
      });
      const pidFile = join(box.dir, 'exec-pid');
      const args = ['--detach', '--console-socket', path, '--pid-file', pidFile, '--process'];
      expect(await quickly(box, 'exec', [...args, join(box.dir, 'process.json'), 'a'])).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
      await box.shim.type(path, 'words\r');
      expect(await box.shim.wait(Number(readFileSync(pidFile, 'utf8')))).toBe(3);
      await box.until(() => readFileSync(`${path}.out`, 'utf8').includes('got words'), 'got');
      rmSync(`${path}.out`);
    },
  },
  {
    name: 'what is left to Node: states and options',
    only: 'runts',
    body: async (box) => {
      await isLeft(box, 'state');
      await created(box, 'a');
      const file = processFile(box, ['true']);
      for (const [verb, ...args] of [
        ['state'],
        ['state', 'a', 'b'],
        ['state', '--help', 'a'],
        ['state', '../state/a'],
        ['list'],
        ['kill', 'a', 'NOTHING'],
        ['kill', 'a', '65'],
        ['kill', 'a', '0'],
        ['kill', 'a', ''],
        ['kill', 'a', '-9'],
        ['kill', '-af', 'a'],
        ['delete', 'a'],
        ['delete', '--force', 'a'],
        ['delete', '--force', '../a'],
        ['delete', '--force', ''],
        ['resume', 'a'],
        ['ps', 'a'],
        ['ps', 'a', '-ef'],
        ['exec', 'a'],
        ['exec', 'a', '--', 'true'],
        ['exec', 'a', '-t'],
        ['exec', '--env', 'A', 'a', 'true'],
        ['exec', '--cwd', 'tmp', 'a', 'true'],
        ['exec', '--user', 'root', 'a', 'true'],
        ['exec', '--cap', 'CAP_NONE', 'a', 'true'],
        ['exec', '--preserve-fds', '1', 'a', 'true'],
        ['exec', '--tty', '--detach', 'a', 'true'],
        ['exec', '--process', file, 'a', 'true'],
        ['exec', '--process', file, '--preserve-fds', '1', 'a'],
        ['exec', '--process', file, '--console-socket', '/x', 'a'],
        ['exec', '--process', '/no/such', 'a'],
        ['exec', '--process', '/dev/null', 'a'],
        ['exec', '--process'],
        ['exec', '--process', file, '--', 'a'],
        ['create', 'c'],
      ] as const)
        await isLeft(box, verb, args);
      await box.do('start', ['a']);
      await isLeft(box, 'start');
      await isLeft(box, 'delete');
      await box.do('pause', ['a']);
      await isLeft(box, 'kill', ['a', 'KILL']);
      await isLeft(box, 'exec', ['--process', file, 'a']);
      await isLeft(box, 'pause');
      await isLeft(box, 'start');
      await box.do('resume', ['a']);
      await stopped(box, 'a');
      await isLeft(box, 'start');
      await isLeft(box, 'ps', ['-f', 'json', 'a']);
      await isLeft(box, 'exec', ['--process', file, 'a']);
      // Files that the quick path knows nothing of.
      writeFileSync(join(box.dir, 'state/a/more'), '');
      await isLeft(box, 'delete');
    },
  },
  {
    name: 'what is left to Node: hooks',
    only: 'runts',
    body: async (box) => {
      const hook = { path: '/bin/true' };
      await created(box, 'a', (spec) => {
        spec.hooks = { poststart: [hook], poststop: [hook] };
      });
      await isLeft(box, 'start');
      expect(await box.do('start', ['a'])).toMatchObject({ code: 0 });
      await stopped(box, 'a');
      await isLeft(box, 'delete');
      await isLeft(box, 'delete', ['--force', 'a']);
    },
  },
  {
    name: 'what is left to Node: damaged records',
    only: 'runts',
    body: async (box) => {
      await created(box, 'a');
      const record = join(box.dir, 'state/a/quick');
      const good = readFileSync(record);
      const wanted = await box.do('state', ['a'], viaNode);
      const damages: readonly (() => void)[] = [
        () => undefined,
        () => writeFileSync(record, ''),
        () => writeFileSync(record, good.subarray(0, good.length - 1)),
        () => writeFileSync(record, Buffer.concat([good, Buffer.from('x')])),
        () => writeFileSync(record, Buffer.alloc(4 << 20, 10)),
        () =>
          writeFileSync(
            record,
            Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256)),
          ),
        () => writeFileSync(record, String(good).replace('quick 2', 'quick 1')),
        () => writeFileSync(record, String(good).replace(/front \d+/, 'front 0')),
        () => writeFileSync(record, String(good).replace(/^sandbox .*/m, 'sandbox ../a')),
        () => mkdirSync(record),
        () => symlinkSync('state.json', record),
      ];
      for (const damage of damages) {
        rmSync(record, { recursive: true, force: true });
        damage();
        for (const verb of ['state', 'start', 'kill', 'delete', 'pause']) await isLeft(box, verb);
        expect(await box.do('state', ['a'])).toEqual(wanted);
      }
      rmSync(record, { recursive: true, force: true });
      chmodSync(join(box.dir, 'state/a'), 0o700);
      expect(await box.do('delete', ['--force', 'a'])).toMatchObject({ code: 0 });
    },
  },
]);

// SPDX-License-Identifier: Apache-2.0
// The verbs beside create, start, state, kill and delete: run, exec, list, ps, pause, update, events, spec,
// features, checkpoint.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { cgroupsBelow, processesIn } from './engines/daemons.ts';
import { type Box, boxCases } from './support/box.ts';
import { runc } from './support/runtimes.ts';
import { type Spec, script } from './support/spec.ts';

const waiting = (spec: Spec): void => script(spec, 'echo ready; exec sleep 1000');
const ready = (box: Box, id = 'a'): Promise<void> =>
  box.until(() => box.output(id).startsWith('ready\n'), 'ready');

/** A process.json for exec, complete as an engine writes it. */
function processFile(box: Box, args: readonly string[], more: object = {}): string {
  const file = join(box.dir, 'process.json');
  const user = { uid: 0, gid: 0 };
  const env = ['PATH=/bin:/usr/bin'];
  writeFileSync(file, JSON.stringify({ user, args, env, cwd: '/', ...more }));
  return file;
}

/** What ps(1) shows of each. */
const shownBy = (pids: readonly number[]): string[] =>
  pids.map((pid) => {
    const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, 'latin1');
    return `${read('comm')}${read('cmdline').replaceAll('\0', '|')}`;
  });

/** A file of the container's cgroup. */
function cgroupFile(box: Box, name: string): string {
  const path = cgroupsBelow(`${box.cgroup}/a`).find((dir) => existsSync(join(dir, name)));
  return path === undefined ? '(none)' : readFileSync(join(path, name), 'utf8').trim();
}

boxCases('verbs', [
  {
    name: 'run',
    body: async (box) => {
      const bundle = box.bundle((spec) => script(spec, 'echo out; echo err >&2; exit 5'));
      const ran = await box.do('run', ['--bundle', bundle, 'a']);
      expect(ran).toEqual({ code: 5, stdout: 'out\n', stderr: 'err\n', held: false });
      expect(readdirSync(join(box.dir, 'state'))).toEqual([]);
      // The bundle is the working directory where none is named.
      expect(await box.do('run', ['a'], { cwd: bundle })).toMatchObject({ code: 5 });
    },
  },
  {
    name: 'run --detach',
    body: async (box) => {
      const bundle = box.bundle(waiting);
      const out = join(bundle, 'out');
      const args = ['--detach', '--pid-file', join(bundle, 'pid'), '--bundle', bundle, 'a'];
      expect(await box.do('run', args, { stdout: out, stderr: out })).toMatchObject({ code: 0 });
      await ready(box);
      expect(await box.state()).toMatchObject({ status: 'running', pid: box.pid() });
      await box.do('kill', ['a', 'KILL']);
      expect(await box.wait()).toBe(137);
    },
  },
  {
    name: 'run --keep',
    body: async (box) => {
      const bundle = box.bundle((spec) => script(spec, 'exit 2'));
      expect(await box.do('run', ['--keep', '--bundle', bundle, 'a'])).toMatchObject({ code: 2 });
      expect((await box.state()).status).toBe('stopped');
    },
  },
  {
    name: 'exec',
    body: async (box) => {
      await box.running(waiting);
      await ready(box);
      const exec = (...args: string[]): Promise<unknown> => box.do('exec', args);
      expect(await exec('a', 'echo', 'hello')).toMatchObject({ code: 0, stdout: 'hello\n' });
      expect(await exec('a', 'sh', '-c', 'echo err >&2; exit 6')).toMatchObject({
        code: 6,
        stderr: 'err\n',
      });
      expect(await exec('a', 'sh', '-c', 'kill -TERM $$')).toMatchObject({ code: 143 });
      expect(
        await exec(
          '--cwd',
          '/etc',
          '--env',
          'A=1',
          '--env',
          'B=2',
          '--user',
          '1000:100',
          'a',
          'sh',
          '-c',
          'pwd; echo $A$B; id -u; id -g',
        ),
      ).toMatchObject({ code: 0, stdout: '/etc\n12\n1000\n100\n' });
      expect(await exec('--additional-gids', '7', '--user', '1000', 'a', 'id', '-G')).toMatchObject(
        { stdout: '0 7\n' },
      );
      expect(await exec('a', 'nosuchcommand')).toMatchObject({
        code: 255,
        stderr: expect.stringMatching(/executable file not found/),
      });
      expect(await exec('a', '/etc/passwd')).toMatchObject({
        code: 255,
        stderr: expect.stringMatching(/permission denied/),
      });
      expect(await exec('--cwd', '/nodir', 'a', 'true')).toMatchObject({ code: 255 });
      expect(
        await exec('--no-new-privs', 'a', 'grep', 'NoNewPrivs', '/proc/self/status'),
      ).toMatchObject({ stdout: 'NoNewPrivs:\t1\n' });
    },
  },
  {
    name: 'exec --cap',
    body: async (box) => {
      await box.running((spec) => {
        spec.process.capabilities = {
          bounding: ['CAP_CHOWN'],
          permitted: ['CAP_CHOWN'],
          effective: ['CAP_CHOWN'],
        };
        waiting(spec);
      });
      const caps = ['grep', 'CapEff', '/proc/self/status'];
      expect(await box.do('exec', ['a', ...caps])).toMatchObject({
        stdout: 'CapEff:\t0000000000000001\n',
      });
      expect(await box.do('exec', ['--cap', 'CAP_NET_RAW', 'a', ...caps])).toMatchObject({
        stdout: 'CapEff:\t0000000000002001\n',
      });
    },
  },
  {
    name: 'exec --process --detach, as an engine does',
    body: async (box) => {
      await box.running(waiting);
      const file = processFile(box, ['sh', '-c', 'echo $A $(id -u) $(pwd); cat; exit 7'], {
        env: ['PATH=/bin', 'A=words'],
        user: { uid: 5, gid: 6 },
        cwd: '/usr',
      });
      const input = join(box.dir, 'bundles/a/config.json');
      const pidFile = join(box.dir, 'exec.pid');
      const out = join(box.dir, 'exec.out');
      const args = ['--process', file, '--detach', '--pid-file', pidFile, 'a'];
      expect(await box.do('exec', args, { stdin: input, stdout: out, stderr: out })).toMatchObject({
        code: 0,
      });
      const pid = Number(readFileSync(pidFile, 'utf8'));
      expect(await box.shim.wait(pid)).toBe(7);
      expect(readFileSync(out, 'utf8')).toBe(`words 5 /usr\n${readFileSync(input, 'utf8')}`);
    },
  },
  {
    name: 'signals to the stand-in of an exec',
    body: async (box) => {
      await box.running(waiting);
      const pidFile = join(box.dir, 'exec.pid');
      const out = join(box.dir, 'exec.out');
      const detached = async (text: string): Promise<number> => {
        const args = [
          '--process',
          processFile(box, ['sh', '-c', text]),
          '--detach',
          '--pid-file',
          pidFile,
          'a',
        ];
        expect(await box.do('exec', args, { stdout: out, stderr: out })).toMatchObject({ code: 0 });
        await box.until(() => readFileSync(out, 'utf8').endsWith('ready\n'), 'ready');
        return Number(readFileSync(pidFile, 'utf8'));
      };
      const heard = await detached(
        'trap "echo heard; exit 9" TERM; echo ready; while :; do sleep 0.02; done',
      );
      process.kill(heard, 'SIGTERM');
      expect(await box.shim.wait(heard)).toBe(9);
      const killed = await detached('echo ready; exec sleep 777');
      process.kill(killed, 'SIGKILL');
      expect(await box.shim.wait(killed)).toBe(137);
      await box.until(
        async () => !(await box.do('exec', ['a', 'ps'])).stdout.includes('sleep 777'),
        'gone from the guest',
      );
    },
  },
  {
    name: 'signal 0 asks whether there is anybody',
    body: async (box) => {
      await box.running();
      expect(await box.do('kill', ['a', '0'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
      expect((await box.state()).status).toBe('running');
      await box.do('kill', ['a', '9']);
      expect(await box.wait()).toBe(137);
      expect(await box.do('kill', ['a', '0'])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/container not running/),
      });
    },
  },
  {
    name: 'exec of what cannot be',
    body: async (box) => {
      await box.running();
      for (const [says, ...args] of [
        [/tty/, '--tty', 'a', 'true'],
        [/2:3/, '--user', '1:2:3', 'a', 'true'],
        [/preserve/, '--preserve-fds', '1000', 'a', 'true'],
      ] as const) {
        const ran = await box.do('exec', args);
        expect(ran.code).toBeGreaterThan(0);
        expect(ran.stderr).toMatch(says);
        expect(box.log().trim().split('\n').at(-1)).toMatch(says);
      }
    },
  },
  {
    name: 'exec without a container’s end goes with it',
    body: async (box) => {
      await box.running(waiting);
      const pidFile = join(box.dir, 'exec.pid');
      const args = [
        '--process',
        processFile(box, ['sleep', '1000']),
        '--detach',
        '--pid-file',
        pidFile,
        'a',
      ];
      expect(
        await box.do('exec', args, { stdout: '/dev/null', stderr: '/dev/null' }),
      ).toMatchObject({ code: 0 });
      await box.do('kill', ['a', 'KILL']);
      expect(await box.wait()).toBe(137);
      expect(await box.shim.wait(Number(readFileSync(pidFile, 'utf8')))).toBe(137);
    },
  },
  {
    name: 'exec before start',
    body: async (box) => {
      box.bundle();
      expect(await box.create()).toMatchObject({ code: 0 });
      expect(await box.do('exec', ['a', 'echo', 'hello'])).toMatchObject({
        code: 0,
        stdout: 'hello\n',
      });
    },
  },
  {
    name: 'list',
    body: async (box) => {
      expect((await box.do('list', ['-q'])).stdout).toBe('');
      expect((await box.do('list', ['--format', 'json'])).stdout.trim()).toMatch(/^(null|\[\])$/);
      await box.running(waiting, 'a');
      box.bundle(undefined, 'b');
      await box.create('b');
      expect((await box.do('list', ['-q'])).stdout.trim().split('\n').sort()).toEqual(['a', 'b']);
      const all = JSON.parse((await box.do('list', ['--format', 'json'])).stdout) as {
        id: string;
      }[];
      expect(all.sort((x, y) => x.id.localeCompare(y.id))).toMatchObject([
        {
          id: 'a',
          status: 'running',
          pid: box.pid('a'),
          bundle: join(box.dir, 'bundles/a'),
          owner: 'root',
        },
        { id: 'b', status: 'created', pid: box.pid('b') },
      ]);
      expect((await box.do('list')).stdout).toMatch(
        /^ID +PID +STATUS +BUNDLE +CREATED +OWNER\na +\d+ +running +\/tmp/,
      );
    },
  },
  {
    name: 'ps tells host processes',
    body: async (box) => {
      await box.running((spec) => script(spec, 'sleep 1000 & echo ready; wait'));
      await ready(box);
      const ps = async (): Promise<number[]> =>
        JSON.parse((await box.do('ps', ['--format', 'json', 'a'])).stdout) as number[];
      const wanted = ['sh\n/bin/sh|-c|sleep 1000 & echo ready; wait|', 'sleep\nsleep|1000|'];
      const isShown = async (): Promise<boolean> =>
        JSON.stringify(shownBy(await ps()).sort()) === JSON.stringify(wanted);
      await box.until(isShown, 'both are shown');
      const pids = await ps();
      const inside = processesIn(`${box.cgroup}/a`);
      expect(pids.filter((pid) => !inside.includes(pid))).toEqual([]);
      expect((await box.do('ps', ['a'])).stdout).toMatch(/^UID +PID[^\n]*\n[^\n]*\b\d+/);
      expect((await box.do('ps', ['a', '-o', 'pid'])).stdout).toMatch(/^ *PID\n *\d+\n/);
    },
  },
  {
    name: 'ps of a stopped container shows none',
    body: async (box) => {
      await box.running((spec) => script(spec, 'true'));
      await box.wait();
      await box.until(async () => (await box.state()).status === 'stopped', 'it stops');
      expect(await box.do('ps', ['--format', 'json', 'a'])).toMatchObject({
        code: 0,
        stdout: 'null\n',
      });
      expect(await box.do('ps', ['a'])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^UID +PID[^\n]*\n$/),
      });
    },
  },
  {
    name: 'update shows in the container',
    only: 'runts',
    body: async (box) => {
      await box.running((spec) => {
        spec.mounts = [
          ...(spec.mounts ?? []),
          { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup' },
        ];
        spec.linux.resources = { cpu: { quota: 150_000, period: 100_000 } };
        waiting(spec);
      });
      const shown = async (): Promise<string> => {
        const files = ['memory.max', 'pids.max', 'cpu.max', 'cpu.weight'];
        const paths = files.map((name) => `/sys/fs/cgroup/${name}`);
        return (await box.do('exec', ['a', 'cat', ...paths])).stdout;
      };
      expect(await shown()).toBe('max\nmax\n150000 100000\n100\n');
      const options = ['--memory', '80M', '--pids-limit', '60', '--cpu-quota', '50000'];
      expect(await box.do('update', [...options, '--cpu-share', '512', 'a'])).toMatchObject({
        code: 0,
      });
      expect(await shown()).toBe(`${80 << 20}\n60\n50000 100000\n20\n`);
      expect(await box.do('update', ['--cpu-quota', '-1', 'a'])).toMatchObject({ code: 0 });
      expect(await shown()).toBe(`${80 << 20}\n60\nmax 100000\n20\n`);
    },
  },
  {
    name: 'pause and resume',
    body: async (box) => {
      await box.running((spec) => script(spec, 'echo ready; while :; do echo x; sleep 0.01; done'));
      await ready(box);
      expect(await box.do('pause', ['a'])).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
      expect((await box.state()).status).toBe('paused');
      const before = box.output();
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(box.output()).toBe(before);
      expect(await box.do('exec', ['a', 'true'])).toMatchObject({ code: 255 });
      expect(await box.do('resume', ['a'])).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
      expect((await box.state()).status).toBe('running');
      await box.until(() => box.output() !== before, 'output again');
      expect(await box.do('resume', ['a'])).toMatchObject({ code: 1 });
    },
  },
  {
    name: 'update',
    body: async (box) => {
      await box.running(waiting);
      const json = join(box.dir, 'resources.json');
      writeFileSync(
        json,
        JSON.stringify({
          memory: { limit: 67108864 },
          cpu: { shares: 0, quota: 50000, period: 100000 },
          pids: { limit: 50 },
          blockIO: { weight: 0 },
        }),
      );
      expect(await box.do('update', ['--resources', '-', 'a'], { stdin: json })).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
      expect(cgroupFile(box, 'memory.limit_in_bytes')).toBe('67108864');
      expect(cgroupFile(box, 'cpu.cfs_quota_us')).toBe('50000');
      // runts allows for its own processes; guests it counts itself.
      expect(Number(cgroupFile(box, 'pids.max'))).toBeGreaterThanOrEqual(50);
      expect(
        await box.do('update', [
          '--memory',
          '80000000',
          '--pids-limit',
          '60',
          '--cpu-share',
          '512',
          'a',
        ]),
      ).toMatchObject({ code: 0 });
      expect(Number(cgroupFile(box, 'memory.limit_in_bytes'))).toBeLessThanOrEqual(80000000);
      expect(Number(cgroupFile(box, 'pids.max'))).toBeGreaterThanOrEqual(60);
      expect(cgroupFile(box, 'cpu.shares')).toBe('512');
      expect(await box.do('update', ['--resources', '/nonexistent', 'a'])).toMatchObject({
        code: 1,
      });
    },
  },
  {
    name: 'events --stats',
    body: async (box) => {
      await box.running(waiting);
      const { stdout, code } = await box.do('events', ['--stats', 'a']);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        type: 'stats',
        id: 'a',
        data: {
          cpu: { usage: { total: expect.any(Number) } },
          memory: { usage: { usage: expect.any(Number) } },
          pids: { current: expect.any(Number) },
        },
      });
    },
  },
  {
    name: 'spec',
    body: async (box) => {
      const bundle = join(box.dir, 'new');
      mkdirSync(bundle);
      expect(await box.do('spec', [], { cwd: bundle })).toMatchObject({ code: 0, stdout: '' });
      expect(await box.do('spec', [], { cwd: bundle })).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/config\.json/),
      });
      const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as Spec;
      const oracle = join(box.dir, 'oracle');
      mkdirSync(oracle);
      await box.shim.run({ argv: [runc.path, 'spec'], cwd: oracle });
      const theirs = JSON.parse(readFileSync(join(oracle, 'config.json'), 'utf8')) as Spec;
      const shape = ({ process, root, mounts, linux }: Spec): unknown => ({
        process: {
          args: process.args,
          cwd: process.cwd,
          terminal: process.terminal,
          user: process.user,
        },
        root,
        mounts: mounts.map((one) => one.destination),
        maskedPaths: linux['maskedPaths'],
        readonlyPaths: linux['readonlyPaths'],
        resources: linux['resources'],
      });
      expect(shape(spec)).toEqual(shape(theirs));
      // What it makes can be run.
      const made = box.bundle();
      writeFileSync(
        join(made, 'config.json'),
        JSON.stringify({
          ...spec,
          process: { ...spec.process, terminal: false, args: ['echo', 'made'] },
          linux: { ...spec.linux, cgroupsPath: `${box.cgroup}/a` },
        }),
      );
      expect(await box.do('run', ['--bundle', made, 'a'])).toMatchObject({
        code: 0,
        stdout: 'made\n',
      });
    },
  },
  {
    name: 'features and version',
    body: async (box) => {
      const { stdout, code } = await box.shim.run({ argv: [box.runtime.path, 'features'] });
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        ociVersionMin: expect.stringMatching(/^1\./),
        ociVersionMax: expect.stringMatching(/^1\./),
        hooks: [
          'prestart',
          'createRuntime',
          'createContainer',
          'startContainer',
          'poststart',
          'poststop',
        ],
        mountOptions: expect.arrayContaining(['ro', 'rbind', 'rprivate', 'nosuid']),
        linux: {
          namespaces: expect.arrayContaining(['mount', 'pid', 'network']),
          capabilities: expect.arrayContaining(['CAP_SYS_ADMIN', 'CAP_CHECKPOINT_RESTORE']),
          cgroup: { v1: true, v2: true },
          seccomp: {
            enabled: true,
            actions: expect.arrayContaining(['SCMP_ACT_ERRNO']),
            archs: expect.arrayContaining(['SCMP_ARCH_X86_64']),
          },
        },
      });
      // Docker wants this form.
      const version = await box.shim.run({ argv: [box.runtime.path, '--version'] });
      expect(version).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(
          new RegExp(`^${box.runtime.name} version \\d+\\.\\d+\\.\\d+`),
        ),
      });
    },
  },
  {
    name: 'checkpoint and restore say that they are not supported yet',
    only: 'runts',
    body: async (box) => {
      await box.running(waiting);
      expect(await box.do('checkpoint', ['a'])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/not (yet )?supported|not .*yet/i),
      });
      expect(await box.do('restore', ['b'])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/not (yet )?supported|not .*yet/i),
      });
      expect((await box.state()).status).toBe('running');
    },
  },
  {
    name: '50 containers at once',
    body: async (box) => {
      const ids = Array.from({ length: 50 }, (_, index) => `c${index}`);
      for (const id of ids) box.bundle((spec) => script(spec, `echo ${id}; exit 3`), id);
      const codes = await Promise.all(ids.map((id) => box.finish(id)));
      expect(codes).toEqual(ids.map(() => 3));
      expect(ids.map((id) => box.output(id))).toEqual(ids.map((id) => `${id}\n`));
      expect((await box.do('list', ['-q'])).stdout.trim().split('\n')).toHaveLength(50);
      const deleted = await Promise.all(ids.map((id) => box.do('delete', [id])));
      expect(deleted.filter(({ code }) => code !== 0)).toEqual([]);
    },
  },
]);

// SPDX-License-Identifier: Apache-2.0
// create, start, state, kill and delete on a bundle, as an engine calls them.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { descriptors, isAlive } from '../lifecycle/sandbox-processes.ts';
import { processesIn } from './engines/daemons.ts';
import { type Box, boxCases } from './support/box.ts';
import { script } from './support/spec.ts';

const stopped = (box: Box, id = 'a'): Promise<void> =>
  box.until(async () => (await box.state(id)).status === 'stopped', `${id} stopped`);

/** One line, not a stack trace, and the reason in it. */
function refusal(ran: { code: number; stderr: string }, reason: RegExp, code = 1): void {
  expect(ran.code, ran.stderr).toBe(code);
  expect(ran.stderr).toMatch(reason);
  expect(ran.stderr).not.toMatch(/\n\s+at /);
}

boxCases('lifecycle', [
  {
    name: 'from create to delete',
    body: async (box) => {
      const bundle = box.bundle((spec) => {
        spec.annotations = { 'com.example.a': 'b' };
        script(spec, 'echo running; exec sleep 1000');
      });
      expect(await box.create()).toMatchObject({ code: 0 });
      expect(await box.state()).toMatchObject({
        ociVersion: expect.stringMatching(/^1\.\d\.\d/),
        id: 'a',
        status: 'created',
        pid: box.pid(),
        bundle,
        annotations: { 'com.example.a': 'b' },
      });
      expect(box.output()).toBe('');
      expect(await box.do('start', ['a'])).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
      await box.until(() => box.output() === 'running\n', 'running');
      expect(await box.state()).toMatchObject({ status: 'running', pid: box.pid() });
      expect(await box.do('kill', ['a', 'KILL'])).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
      expect(await box.wait()).toBe(137);
      await stopped(box);
      expect(await box.state()).toMatchObject({ status: 'stopped', pid: 0 });
      expect(await box.do('delete', ['a'])).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
      refusal(await box.do('state', ['a']), /does not exist/);
      expect(readdirSync(join(box.dir, 'state'))).toEqual([]);
    },
  },
  {
    name: 'the pid file',
    body: async (box) => {
      await box.running();
      const text = readFileSync(join(box.dir, 'bundles/a/pid'), 'utf8');
      expect(text).toMatch(/^[1-9]\d*$/);
      const pid = box.pid();
      // The shim waits for it, so it must be the shim's child.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      expect(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])).toBe(box.shim.pid);
      const cgroups = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
      expect(cgroups.filter((line) => !line.endsWith(`${box.cgroup}/a`))).toEqual([]);
      const host = readlinkSync('/proc/self/ns/net');
      expect(readlinkSync(`/proc/${pid}/ns/net`)).not.toBe(host);
      // What engines do in its mount namespace must not reach the host's files.
      expect(readlinkSync(`/proc/${pid}/ns/mnt`)).not.toBe(readlinkSync('/proc/self/ns/mnt'));
      expect(readFileSync(`/proc/${pid}/root/etc/masked`, 'utf8')).toBe('masked\n');
      expect(readFileSync(`/proc/${pid}/mounts`, 'utf8')).not.toMatch(/^\S+ \/(tmp|work|usr)\b/m);
    },
  },
  {
    name: 'exit statuses',
    body: async (box) => {
      const ends = [
        ['exit 0', 0],
        ['exit 1', 1],
        ['exit 255', 255],
        ['exec nosuchcommand', 127],
        ["sh -c 'kill -SEGV $$'; exit $?", 139],
      ] as const;
      for (const [index, [text, code]] of ends.entries()) {
        const id = `end-${index}`;
        box.bundle((spec) => {
          script(spec, text);
        }, id);
        expect(await box.finish(id)).toBe(code);
        expect(await box.do('delete', [id])).toMatchObject({ code: 0 });
      }
    },
  },
  {
    name: 'signals by name and number',
    body: async (box) => {
      await box.running((spec) =>
        script(
          spec,
          'trap "echo usr1" USR1; trap "echo hup" HUP; trap "echo term; exit 4" TERM; echo ready; while :; do sleep 0.02; done',
        ),
      );
      await box.until(() => box.output() === 'ready\n', 'ready');
      for (const [signal, word] of [
        ['USR1', 'usr1'],
        ['SIGHUP', 'hup'],
        ['10', 'usr1'],
      ] as const) {
        const before = box.output();
        expect(await box.do('kill', ['a', signal])).toMatchObject({ code: 0 });
        await box.until(() => box.output() === `${before}${word}\n`, word);
      }
      // Without a name: TERM.
      expect(await box.do('kill', ['a'])).toMatchObject({ code: 0 });
      expect(await box.wait()).toBe(4);
    },
  },
  {
    name: 'kill --all reaches every process',
    body: async (box) => {
      await box.running((spec) =>
        script(spec, 'trap "" TERM; sleep 1000 & sleep 1000 & echo ready; wait; wait; wait'),
      );
      await box.until(() => box.output() === 'ready\n', 'ready');
      expect(await box.do('kill', ['--all', 'a', 'KILL'])).toMatchObject({ code: 0 });
      expect(await box.wait()).toBe(137);
    },
  },
  {
    name: 'the death of pid 1 is the death of all',
    body: async (box) => {
      await box.running((spec) => script(spec, 'sleep 1000 & sleep 1000 & exit 3'));
      expect(await box.wait()).toBe(3);
      await box.until(() => processesIn(`${box.cgroup}/a`).length === 0, 'all gone');
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0 });
    },
  },
  {
    name: 'a signal that kills the host process is the end of the container',
    body: async (box) => {
      await box.running((spec) => script(spec, 'sleep 1000 & echo ready; wait'));
      await box.until(() => box.output() === 'ready\n', 'ready');
      process.kill(box.pid(), 'SIGKILL');
      expect(await box.wait()).toBe(137);
      await box.until(() => processesIn(`${box.cgroup}/a`).length === 0, 'all gone');
      await stopped(box);
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0 });
    },
  },
  {
    name: 'what a container in that state refuses',
    body: async (box) => {
      box.bundle();
      expect(await box.create()).toMatchObject({ code: 0 });
      refusal(await box.create('a', [], { stderr: '' }), /already exists/);
      expect(await box.do('start', ['a'])).toMatchObject({ code: 0 });
      refusal(await box.do('start', ['a']), /cannot start .*(running|already)/);
      refusal(await box.do('delete', ['a']), /not stopped/);
      refusal(await box.do('kill', ['a', 'NOSUCH']), /unknown signal/);
      refusal(await box.do('kill', ['a', '99']), /unknown signal|invalid argument/);
      expect(await box.do('kill', ['a', '9'])).toMatchObject({ code: 0 });
      await box.wait();
      await stopped(box);
      refusal(await box.do('start', ['a']), /cannot start .*stopped/);
      refusal(await box.do('kill', ['a', 'TERM']), /container not running/);
      refusal(await box.do('pause', ['a']), /not running|cannot pause/);
      expect(await box.do('exec', ['a', 'true'])).toMatchObject({
        code: 255,
        stderr: expect.stringMatching(/stopped/),
      });
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0 });
    },
  },
  {
    name: 'a container that is not there',
    body: async (box) => {
      for (const [verb, args, code] of [
        ['state', ['no'], 1],
        ['start', ['no'], 1],
        ['kill', ['no', 'TERM'], 1],
        ['delete', ['no'], 1],
        ['pause', ['no'], 1],
        ['resume', ['no'], 1],
        ['ps', ['no'], 1],
        ['events', ['--stats', 'no'], 1],
        ['update', ['--memory', '64m', 'no'], 1],
        ['exec', ['no', 'true'], 255],
      ] as const) {
        refusal(await box.do(verb, args), /does not exist/, code);
      }
      expect(await box.do('delete', ['--force', 'no'])).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
        held: false,
      });
    },
  },
  {
    name: 'delete --force from every state',
    body: async (box) => {
      for (const state of ['created', 'running', 'paused', 'stopped']) {
        box.bundle(undefined, state);
        expect(await box.create(state), box.said(state)).toMatchObject({ code: 0 });
        if (state !== 'created') await box.do('start', [state]);
        if (state === 'paused') await box.do('pause', [state]);
        if (state === 'stopped') {
          await box.do('kill', [state, 'KILL']);
          await stopped(box, state);
        }
        expect((await box.state(state)).status).toBe(state);
        expect(await box.do('delete', ['--force', state])).toMatchObject({
          code: 0,
          stdout: '',
          stderr: '',
          held: false,
        });
        await box.until(() => processesIn(`${box.cgroup}/${state}`).length === 0, 'all gone');
      }
    },
  },
  {
    name: 'delete in state created',
    body: async (box) => {
      box.bundle();
      expect(await box.create()).toMatchObject({ code: 0 });
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
      expect(await box.wait()).toBe(137);
    },
  },
  {
    name: 'kill in state created',
    body: async (box) => {
      box.bundle();
      expect(await box.create()).toMatchObject({ code: 0 });
      expect(await box.do('kill', ['a', 'KILL'])).toMatchObject({ code: 0 });
      expect(await box.wait()).toBe(137);
      await stopped(box);
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0 });
    },
  },
  {
    name: 'standard input, output and error',
    body: async (box) => {
      const bundle = box.bundle((spec) => script(spec, 'cat; echo err >&2'));
      expect(await box.create('a', [], { stdin: join(bundle, 'config.json') })).toMatchObject({
        code: 0,
      });
      await box.do('start', ['a']);
      expect(await box.wait()).toBe(0);
      expect(box.output()).toBe(readFileSync(join(bundle, 'config.json'), 'utf8'));
      expect(box.output('a', 'err')).toBe('err\n');
    },
  },
  {
    name: 'nothing of the caller leaks into the container',
    body: async (box) => {
      await box.running((spec) =>
        script(spec, 'ls /proc/self/fd | tr "\\n" " "; env | sort; exec sleep 1000'),
      );
      await box.until(() => box.output().includes('PWD'), 'output');
      expect(box.output()).toMatch(/^0 1 2 3 HOME=\/root\nPATH=\S+\nPWD=\/\nSHLVL=1\n$/);
      const stray = readlinkSync(`/proc/${box.shim.pid}/fd/3`);
      for (const pid of processesIn(`${box.cgroup}/a`)) {
        const open = isAlive(pid) ? [...descriptors(pid).values()] : [];
        expect(open).not.toContain(stray);
      }
    },
  },
  {
    name: '--preserve-fds',
    body: async (box) => {
      box.bundle((spec) => script(spec, "ls -l /proc/self/fd | grep -c ' 3 -> '"));
      expect(await box.create('a', ['--preserve-fds', '1'])).toMatchObject({ code: 0 });
      await box.do('start', ['a']);
      await box.wait();
      expect(box.output()).toBe('1\n');
    },
  },
  {
    name: 'the same id again after delete',
    body: async (box) => {
      box.bundle((spec) => script(spec, 'exit 3'));
      for (let round = 0; round < 3; round++) {
        expect(await box.finish()).toBe(3);
        expect(await box.do('delete', ['a'])).toMatchObject({ code: 0 });
      }
    },
  },
  {
    name: 'the order of arguments',
    body: async (box) => {
      box.bundle();
      const bundle = join(box.dir, 'bundles/a');
      const { code } = await box.shim.run({
        argv: [
          box.runtime.path,
          `--root=${box.dir}/state`,
          '--debug',
          `--log=${box.dir}/log.json`,
          '--log-format=json',
          'create',
          `--bundle=${bundle}`,
          '--pid-file',
          join(bundle, 'pid'),
          '--no-new-keyring',
          'a',
        ],
        cwd: '/',
        stdout: join(bundle, 'out'),
        stderr: join(bundle, 'err'),
      });
      expect(code, box.said()).toBe(0);
      expect(await box.do('delete', ['-f', 'a'])).toMatchObject({ code: 0 });
    },
  },
]);

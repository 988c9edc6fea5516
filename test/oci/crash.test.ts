// SPDX-License-Identifier: Apache-2.0
// kill -9 of each process of a container, in each state: `state` tells the truth afterwards, `delete` cleans
// up, nothing stays behind. And of the command line in the middle of its work, as an engine that dies does.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { commandLine, status } from '../lifecycle/sandbox-processes.ts';
import { processesIn } from './engines/daemons.ts';
import { type Box, type BoxCase, boxCases } from './support/box.ts';
import { script } from './support/spec.ts';

/** The processes of container `a` by what they are. */
const victims: Readonly<Record<string, (box: Box) => number | undefined>> = {
  front: (box) => box.pid(),
  launcher: (box) => {
    const sentry = named(box, /^runts-sentry/);
    return sentry === undefined ? undefined : Number(status(sentry, 'PPid'));
  },
  sentry: (box) => named(box, /^runts-sentry/),
  gofer: (box) => named(box, /^runts-gofer/),
};

function named(box: Box, name: RegExp): number | undefined {
  return processesIn(`${box.cgroup}/a`).find((pid) => name.test(commandLine(pid)));
}

function crash(victim: string, state: 'created' | 'running' | 'paused'): BoxCase {
  return {
    name: `the ${victim} of a ${state} container`,
    only: 'runts',
    body: async (box) => {
      box.bundle((spec) => script(spec, 'echo ready; sleep 1000 & wait'));
      expect(await box.create()).toMatchObject({ code: 0 });
      if (state !== 'created') {
        await box.do('start', ['a']);
        await box.until(() => box.output() === 'ready\n', 'ready');
      }
      if (state === 'paused') expect(await box.do('pause', ['a'])).toMatchObject({ code: 0 });
      const pid = victims[victim]?.(box);
      expect(pid).toBeGreaterThan(1);
      process.kill(pid as number, 'SIGKILL');
      if (state === 'paused') {
        // Frozen, the others cannot follow before somebody thaws them: delete does.
        expect((await box.do('state', ['a'])).code).toBe(0);
        expect(await box.do('delete', ['--force', 'a'])).toMatchObject({ code: 0, held: false });
        await box.until(() => processesIn(`${box.cgroup}/a`).length === 0, 'all gone');
        return;
      }
      expect(await box.wait()).toBeGreaterThan(0);
      await box.until(async () => (await box.state()).status === 'stopped', 'stopped');
      expect(await box.state()).toMatchObject({ status: 'stopped', pid: 0 });
      await box.until(() => processesIn(`${box.cgroup}/a`).length === 0, 'all gone');
      expect(await box.do('kill', ['a', 'TERM'])).toMatchObject({ code: 1 });
      expect(await box.do('start', ['a'])).toMatchObject({ code: 1 });
      expect(await box.do('exec', ['a', 'true'])).toMatchObject({ code: 255 });
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0, stderr: '' });
      // And the id is free again.
      expect(await box.create()).toMatchObject({ code: 0 });
    },
  };
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/**
 * The front runs as root outside of the sandbox, with the container's files for its root: it must
 * not read them. glibc's gmtime(3) would open /etc/localtime.
 */
const frontReadsNoFiles: BoxCase = {
  name: 'the sentry, and a front that could be led to read files of the container',
  only: 'runts',
  body: async (box) => {
    box.bundle((spec) => {
      script(spec, 'mkfifo /etc/localtime; echo ready; sleep 1000 & wait');
      spec.root.readonly = false;
    });
    expect(await box.create()).toMatchObject({ code: 0 });
    await box.do('start', ['a']);
    await box.until(() => box.output() === 'ready\n', 'ready');
    expect(existsSync(join(box.dir, 'bundles/a/rootfs/etc/localtime'))).toBe(true);
    process.kill(victims['sentry']?.(box) as number, 'SIGKILL');
    expect(await box.wait()).toBe(137);
    expect(box.log()).toContain('the sentry was killed by signal 9');
  },
};

/** kill -9 of a process of one container of a pod: that container ends, and nothing else. */
function crashInPod(victim: 'front' | 'launcher' | 'gofer', isStarted: boolean): BoxCase {
  return {
    name: `the ${victim} of a ${isStarted ? 'running' : 'created'} container in a pod`,
    only: 'runts',
    body: async (box) => {
      for (const id of ['a', 'b', 'c']) {
        box.bundle((spec) => {
          script(spec, 'exec sleep 1000');
          spec.annotations = {
            'io.kubernetes.cri.container-type': id === 'a' ? 'sandbox' : 'container',
            'io.kubernetes.cri.sandbox-id': 'a',
          };
        }, id);
        expect(await box.create(id), box.said(id)).toMatchObject({ code: 0 });
        if (id !== 'b' || isStarted) await box.do('start', [id]);
      }
      const cgroup = `${box.cgroup}/b`;
      // Its Gofer is where the Sentry is.
      const front = box.pid('b');
      const [launcher = 0] = childrenOf(front);
      const gofer = childrenOf(launcher).find((pid) => /^runts-gofer/.test(commandLine(pid)));
      const pids = { front, gofer, launcher };
      process.kill(pids[victim] as number, 'SIGKILL');
      await box.until(async () => (await box.state('b')).status === 'stopped', 'stopped');
      await box.until(() => processesIn(cgroup).length === 0, 'all gone');
      expect(await box.do('delete', ['b'])).toMatchObject({ code: 0, stderr: '' });
      for (const id of ['a', 'c']) {
        expect(await box.state(id)).toMatchObject({ status: 'running' });
        const ran = await box.do('exec', [id, 'echo', 'well']);
        expect(ran).toMatchObject({ code: 0, stdout: 'well\n' });
      }
      expect(await box.create('b'), box.said('b')).toMatchObject({ code: 0 });
    },
  };
}

/** Kills `runts VERB` after a while, for many whiles; the engine's way out is delete --force. */
function interrupted(verb: 'create' | 'start' | 'exec' | 'delete'): BoxCase {
  return {
    name: `the command line in the middle of ${verb}`,
    only: 'runts',
    body: async (box) => {
      box.bundle((spec) => script(spec, 'sleep 1000'));
      const bundle = join(box.dir, 'bundles/a');
      for (const delayMs of [1, 15, 30, 45, 60, 80, 100, 130, 170, 220]) {
        if (verb !== 'create') expect(await box.create(), box.said()).toMatchObject({ code: 0 });
        if (verb === 'exec' || verb === 'delete') await box.do('start', ['a']);
        const args = {
          create: ['create', '--bundle', bundle, '--pid-file', join(bundle, 'pid'), 'a'],
          start: ['start', 'a'],
          exec: ['exec', 'a', 'sleep', '100'],
          delete: ['delete', '--force', 'a'],
        }[verb];
        const seconds = String(delayMs / 1000);
        const timeout = ['timeout', '--foreground', '-s', 'KILL', seconds];
        await box.shim.run({
          argv: [...timeout, box.runtime.path, ...box.flags, ...args],
          stdout: '/dev/null',
          stderr: '/dev/null',
        });
        expect((await box.do('state', ['a'])).code).toBeLessThanOrEqual(1);
        expect((await box.do('list')).code).toBe(0);
        expect(await box.do('delete', ['--force', 'a'])).toMatchObject({
          code: 0,
          stderr: '',
          held: false,
        });
        await box.until(async () => (await box.shim.descendants()).length === 0, 'all gone');
        expect(readdirSync(join(box.dir, 'state'))).toEqual([]);
        rmSync(join(bundle, 'pid'), { force: true });
        // What was made halfway may have been renamed already or not.
        for (const name of readdirSync(bundle))
          if (name.startsWith('.pid')) rmSync(join(bundle, name));
      }
    },
  };
}

boxCases('crash', [
  ...Object.keys(victims).flatMap((victim) => [crash(victim, 'created'), crash(victim, 'running')]),
  crash('sentry', 'paused'),
  frontReadsNoFiles,
  crashInPod('front', true),
  crashInPod('front', false),
  crashInPod('launcher', true),
  crashInPod('gofer', true),
  interrupted('create'),
  interrupted('start'),
  interrupted('exec'),
  interrupted('delete'),
  {
    name: 'entries from before a reboot',
    body: async (box) => {
      await box.running();
      const state = join(box.dir, 'state');
      const files = readdirSync(join(state, 'a')).map(
        (name) => [name, safeRead(join(state, 'a', name))] as const,
      );
      await box.do('delete', ['--force', 'a']);
      // As if the machine had gone down: the entry is there, its processes are not, the pid may be another's.
      mkdirSync(join(state, 'a'));
      for (const [name, text] of files)
        if (text !== undefined) writeFileSync(join(state, 'a', name), text);
      expect(await box.state()).toMatchObject({ status: 'stopped', pid: 0 });
      expect((await box.do('list', ['-q'])).stdout).toBe('a\n');
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0 });
      expect(existsSync(join(state, 'a'))).toBe(false);
    },
  },
]);

function safeRead(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    // A socket or a fifo.
    return undefined;
  }
}

// SPDX-License-Identifier: Apache-2.0
// A nursery (native/preboot): what `create` does by way of one is what it does without; a nursery
// that is slow, gone, or not ours costs time only; and nothing of one caller comes to another.
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { NURSERY_NAME, NURSERY_SOCKET_PREFIX } from '../../protocol/nursery.ts';
import { childrenOf, commandLine, isAlive } from '../lifecycle/sandbox-processes.ts';
import { hasInMemory } from '../support/memory-of.ts';
import { processesIn } from './engines/daemons.ts';
import { type Box, boxCases } from './support/box.ts';
import { script } from './support/spec.ts';

const path = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin';
const without = { env: { PATH: path.slice(5), RUNTS_NURSERY: '0' } };
/** Longer than a test takes on a busy machine. */
const withNursery = { env: { PATH: path.slice(5), RUNTS_NURSERY: '600' } };

const sockets = (box: Box): string[] =>
  readdirSync(join(box.dir, 'state')).filter((name) => name.startsWith(NURSERY_SOCKET_PREFIX));

/** Nurseries that the shim has inherited. */
const nurseries = (box: Box): number[] =>
  childrenOf(box.shim.pid).filter(
    (pid) => isAlive(pid) && commandLine(pid).startsWith(NURSERY_NAME),
  );

/** A container is made the long way, and leaves a nursery. */
async function warm(box: Box): Promise<number> {
  box.bundle(() => undefined, 'first');
  expect(await box.create('first', [], withNursery), box.said('first')).toMatchObject({ code: 0 });
  await box.until(() => nurseries(box).length === 1, 'a nursery');
  return nurseries(box)[0] as number;
}

async function isMade(box: Box, id: string): Promise<void> {
  box.bundle((spec) => script(spec, 'echo well'), id);
  expect(await box.create(id, [], withNursery), box.said(id)).toMatchObject({ code: 0 });
  expect(await box.do('start', [id])).toMatchObject({ code: 0 });
  expect(await box.wait(id)).toBe(0);
  expect(box.output(id)).toBe('well\n');
}

const sentryOf = (box: Box, id: string): number =>
  processesIn(`${box.cgroup}/${id}`).find((pid) =>
    commandLine(pid).startsWith('runts-sentry'),
  ) as number;

/** Whose hook waits until the file `go` is there, with the pid of who runs it in `hook`. */
function held(box: Box, id: string): void {
  const wait = `echo $PPID >${box.dir}/hook.new; mv ${box.dir}/hook.new ${box.dir}/hook; until [ -e ${box.dir}/go ]; do sleep 0.05; done`;
  box.bundle((spec) => {
    spec.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', wait] }] };
  }, id);
}

boxCases('nursery', [
  {
    name: 'a second create is planned by it, and its front is the child of who called',
    only: 'runts',
    body: async (box) => {
      const nursery = await warm(box);
      box.bundle(() => undefined, 'a');
      expect(await box.create('a', [], withNursery), box.said('a')).toMatchObject({ code: 0 });
      expect(nurseries(box)).toEqual([nursery]);
      expect(childrenOf(box.shim.pid)).toContain(box.pid('a'));
      const [launcher = 0, ...others] = childrenOf(nursery).filter(isAlive);
      expect(others).toEqual([]);
      expect(childrenOf(launcher)).toContain(sentryOf(box, 'a'));
      const inside = processesIn(`${box.cgroup}/a`);
      expect(inside).toContain(launcher);
      expect(inside).toContain(box.pid('a'));
      expect(await box.do('kill', ['a', 'KILL'])).toMatchObject({ code: 0 });
      expect(await box.wait('a')).toBe(137);
      await box.until(() => childrenOf(nursery).filter(isAlive).length === 0, 'the launcher ends');
      await isMade(box, 'b');
    },
  },
  {
    name: 'the launcher is killed: the container ends',
    only: 'runts',
    body: async (box) => {
      const nursery = await warm(box);
      box.bundle(() => undefined, 'a');
      expect(await box.create('a', [], withNursery), box.said('a')).toMatchObject({ code: 0 });
      const [launcher = 0] = childrenOf(nursery).filter(isAlive);
      process.kill(launcher, 'SIGKILL');
      expect(await box.wait('a')).toBe(137);
      await box.until(() => processesIn(`${box.cgroup}/a`).length === 0, 'all are gone');
    },
  },
  {
    name: 'the front is killed: the sandbox ends',
    only: 'runts',
    body: async (box) => {
      const nursery = await warm(box);
      box.bundle(() => undefined, 'a');
      expect(await box.create('a', [], withNursery), box.said('a')).toMatchObject({ code: 0 });
      process.kill(box.pid('a'), 'SIGKILL');
      await box.until(() => processesIn(`${box.cgroup}/a`).length === 0, 'all are gone');
      await box.until(() => childrenOf(nursery).filter(isAlive).length === 0, 'reaped');
    },
  },
  {
    name: 'RUNTS_NURSERY=0 leaves none and asks none',
    only: 'runts',
    body: async (box) => {
      box.bundle(() => undefined, 'a');
      expect(await box.create('a', [], without), box.said('a')).toMatchObject({ code: 0 });
      expect(sockets(box)).toEqual([]);
      const nursery = await warm(box);
      box.bundle(() => undefined, 'b');
      expect(await box.create('b', [], without), box.said('b')).toMatchObject({ code: 0 });
      expect(childrenOf(nursery).filter(isAlive)).toEqual([]);
    },
  },
  {
    name: 'is left in /run alone where nobody asked for one',
    only: 'runts',
    body: async (box) => {
      const silent = { env: { PATH: path.slice(5) } };
      box.bundle(() => undefined, 'a');
      expect(await box.create('a', [], silent), box.said('a')).toMatchObject({ code: 0 });
      expect(sockets(box)).toEqual([]);
      expect(nurseries(box)).toEqual([]);
    },
  },
  {
    name: 'failures are told as without it',
    only: 'runts',
    body: async (box) => {
      await warm(box);
      const bad: readonly (() => string)[] = [
        () => '{',
        () =>
          readFileSync(join(box.dir, 'bundles/first/config.json'), 'utf8').replace('"sleep"', '7'),
        () =>
          readFileSync(join(box.dir, 'bundles/first/config.json'), 'utf8').replace(
            '"proc"',
            '"no"',
          ),
      ];
      const bundle = box.bundle(() => undefined, 'a');
      for (const text of bad) {
        writeFileSync(join(bundle, 'config.json'), text());
        const answers = [];
        for (const way of [without, withNursery]) {
          rmSync(join(box.dir, 'log.json'), { force: true });
          const ran = await box.do('create', ['--bundle', bundle, 'a'], way);
          answers.push({ ran, log: box.log().replaceAll(/"time":"[^"]*"/g, '') });
        }
        expect(answers[1]).toEqual(answers[0]);
        expect(answers[1]?.ran.code).toBe(1);
      }
      // This one fails when a front runs already, and what was made has to go: that takes timers.
      box.bundle((spec) => {
        spec.process.args = ['/no/such/program'];
      }, 'gone');
      for (const way of [without, withNursery])
        expect(await box.create('gone', [], way)).toMatchObject({ code: 1 });
      const messages = box.log().match(/"msg":"(?:[^"\\]|\\.)*"/g) ?? [];
      const told = messages.filter((message) => message.includes('/no/such/program'));
      expect(told.length).toBeGreaterThan(1);
      expect(new Set(told).size, told.join('\n')).toBe(told.length / 2);
      const again = ['--bundle', join(box.dir, 'bundles/first'), 'first'];
      expect(await box.do('create', again, withNursery)).toEqual(
        await box.do('create', again, without),
      );
      await isMade(box, 'b');
    },
  },
  {
    name: 'config.json is the one of the moment, environment and directory are the caller’s',
    only: 'runts',
    body: async (box) => {
      await warm(box);
      for (const word of ['one', 'two']) {
        const bundle = box.bundle((spec) => script(spec, `echo ${word}`), word);
        const hook = `pwd >${box.dir}/said; echo $WORD >>${box.dir}/said; umask >>${box.dir}/said`;
        const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
        config.hooks = {
          createRuntime: [
            { path: '/bin/sh', args: ['sh', '-c', hook], env: [path, `WORD=${word}`] },
          ],
        };
        writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
        const files = { stdout: join(bundle, 'out'), stderr: join(bundle, 'err') };
        // --bundle and --pid-file are relative to the caller's directory.
        const words = ['sh', '-c', 'umask 027; exec "$@"', 'sh', box.runtime.path, ...box.flags];
        const request = { ...withNursery, ...files, cwd: bundle };
        expect(
          await box.shim.run({ ...request, argv: [...words, 'create', '--pid-file', 'pid', word] }),
          box.said(word),
        ).toMatchObject({ code: 0 });
        expect(await box.do('start', [word])).toMatchObject({ code: 0 });
        expect(await box.wait(word)).toBe(0);
        expect(box.output(word)).toBe(`${word}\n`);
        expect(readFileSync(join(box.dir, 'said'), 'utf8')).toBe(`${bundle}\n${word}\n0027\n`);
      }
    },
  },
  {
    name: 'nothing of one caller is in the sandbox of the next',
    only: 'runts',
    body: async (box) => {
      await warm(box);
      const secrets = {
        config: ['a', 'secret', 'of', 'one'].join('-'),
        caller: ['his', 'own'].join('+'),
      };
      for (const id of ['a', 'b']) {
        box.bundle((spec) => {
          if (id === 'a') spec.process.env = [path, `SECRET=${secrets.config}`];
        }, id);
        const env = { ...withNursery.env, ...(id === 'a' ? { MINE: secrets.caller } : {}) };
        expect(await box.create(id, [], { env }), box.said(id)).toMatchObject({ code: 0 });
      }
      const [first, second] = [sentryOf(box, 'a'), sentryOf(box, 'b')];
      expect(hasInMemory(first, secrets.config), 'what is there is found').toBe(true);
      expect(hasInMemory(first, secrets.caller)).toBe(false);
      for (const secret of Object.values(secrets)) {
        expect(hasInMemory(second, secret)).toBe(false);
        expect(hasInMemory(nurseries(box)[0] as number, secret)).toBe(false);
      }
    },
  },
  {
    name: 'a caller in other namespaces has another one',
    only: 'runts',
    body: async (box) => {
      const nursery = await warm(box);
      const bundle = box.bundle(() => undefined, 'a');
      const files = { stdout: join(bundle, 'out'), stderr: join(bundle, 'err') };
      const words = ['unshare', '--uts', box.runtime.path, ...box.flags, 'create'];
      const request = { ...withNursery, ...files, cwd: bundle };
      expect(await box.shim.run({ ...request, argv: [...words, 'a'] })).toMatchObject({ code: 0 });
      expect(childrenOf(nursery).filter(isAlive)).toEqual([]);
      await box.until(() => sockets(box).length === 2, 'a socket of its own');
    },
  },
  {
    name: 'another user cannot ask it',
    only: 'runts',
    body: async (box) => {
      const nursery = await warm(box);
      const socket = join(box.dir, 'state', sockets(box)[0] as string);
      const ask = `import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.connect(sys.argv[1]); s.send(b'x'); print('answered', s.recv(99))
except OSError as error:
    print(error.errno)`;
      const asNobody = (): string =>
        execFileSync('python3', ['-c', ask, socket], { encoding: 'utf8' });
      chmodSync(box.dir, 0o711);
      chmodSync(join(box.dir, 'state'), 0o711);
      expect(asNobody()).toBe('13\n');
      // Were the file's mode no help, the nursery would still not fork for him.
      chmodSync(socket, 0o666);
      expect(asNobody()).toMatch(/^(answered b''|104|32)\n$/);
      expect(childrenOf(nursery).filter(isAlive)).toEqual([]);
      await isMade(box, 'a');
    },
  },
  {
    name: 'a nursery that does not answer is left alone',
    only: 'runts',
    body: async (box) => {
      const nursery = await warm(box);
      const [name = ''] = sockets(box);
      process.kill(nursery, 'SIGSTOP');
      await isMade(box, 'a');
      process.kill(nursery, 'SIGCONT');
      await box.until(() => !isAlive(nursery), 'it has lost its name, and ends');
      await box.until(
        () => sockets(box).includes(name) && nurseries(box).length === 1,
        'a new one',
      );
      await isMade(box, 'b');
    },
  },
  {
    name: 'a nursery that was killed, and what else lies under its name',
    only: 'runts',
    body: async (box) => {
      const nursery = await warm(box);
      const socket = join(box.dir, 'state', sockets(box)[0] as string);
      process.kill(nursery, 'SIGKILL');
      await isMade(box, 'a');
      const others: readonly (() => void)[] = [
        () => writeFileSync(socket, ''),
        () => symlinkSync('/no/such', socket),
      ];
      for (const [index, make] of others.entries()) {
        // One that is only just being made takes the name later.
        await box.until(() => existsSync(socket), 'the next has the name');
        rmSync(socket, { force: true });
        await box.until(() => nurseries(box).length === 0, 'it ends');
        make();
        await isMade(box, `b${index}`);
      }
    },
  },
  {
    name: 'a listener of somebody else, and one that says nonsense, are not believed',
    only: 'runts',
    body: async (box) => {
      await warm(box);
      const socket = join(box.dir, 'state', sockets(box)[0] as string);
      const listen = `import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1])
if sys.argv[2] == 'other': os.setuid(65534)
s.listen(); print('ready', flush=True)
while True:
    c, _ = s.accept()
    if sys.argv[2] == 'other': print('asked', flush=True)
    c.send(b'\\x05' * 896); c.close()`;
      for (const [index, who] of ['other', 'own'].entries()) {
        rmSync(socket, { force: true });
        await box.until(() => nurseries(box).length === 0, 'it ends');
        const out = join(box.dir, `listener-${who}`);
        const file = openSync(out, 'w');
        const listener = spawn('python3', ['-c', listen, socket, who], {
          stdio: ['ignore', file, file],
        });
        closeSync(file);
        await box.until(() => existsSync(out) && readFileSync(out, 'utf8') !== '', 'it listens');
        await isMade(box, `a${index}`);
        listener.kill('SIGKILL');
        rmSync(socket, { force: true });
      }
    },
  },
  {
    name: 'what plans a container is killed: create fails, and delete clears',
    only: 'runts',
    body: async (box) => {
      await warm(box);
      held(box, 'a');
      const made = box.create('a', [], withNursery);
      await box.until(() => existsSync(join(box.dir, 'hook')), 'the hook');
      process.kill(Number(readFileSync(join(box.dir, 'hook'), 'utf8')), 'SIGKILL');
      expect(await made).toMatchObject({ code: 1 });
      expect(box.said('a')).toMatch(/the process that made it has ended/);
      writeFileSync(join(box.dir, 'go'), '');
      expect(await box.do('delete', ['--force', 'a'])).toMatchObject({ code: 0 });
      await box.until(() => processesIn(`${box.cgroup}/a`).length === 0, 'all are gone');
      await isMade(box, 'b');
    },
  },
  {
    name: 'the caller is killed: nothing goes on in its name',
    only: 'runts',
    body: async (box) => {
      const nursery = await warm(box);
      held(box, 'a');
      const made = box.create('a', [], withNursery);
      await box.until(() => existsSync(join(box.dir, 'hook')), 'the hook');
      const caller = childrenOf(box.shim.pid).find((pid) =>
        commandLine(pid).includes(`${box.dir}/bundles/a`),
      );
      process.kill(caller as number, 'SIGKILL');
      await made;
      const planner = Number(readFileSync(join(box.dir, 'hook'), 'utf8'));
      await box.until(() => !isAlive(planner), 'it ends');
      writeFileSync(join(box.dir, 'go'), '');
      expect(await box.do('delete', ['--force', 'a'])).toMatchObject({ code: 0 });
      await box.until(() => childrenOf(nursery).filter(isAlive).length === 0, 'and its sandbox');
    },
  },
  {
    name: 'an idle one ends, and takes its name along',
    only: 'runts',
    body: async (box) => {
      box.bundle(() => undefined, 'a');
      const short = { env: { ...withNursery.env, RUNTS_NURSERY: '1' } };
      expect(await box.create('a', [], short), box.said('a')).toMatchObject({ code: 0 });
      await box.until(() => nurseries(box).length === 1, 'a nursery');
      await box.until(() => nurseries(box).length === 0, 'it ends');
      expect(sockets(box)).toEqual([]);
    },
  },
]);

// SPDX-License-Identifier: Apache-2.0
// The Sentry's control socket under nonsense: whoever can connect is root, but no connection may
// harm the container.
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { commandLine } from '../lifecycle/sandbox-processes.ts';
import { processesIn } from './engines/daemons.ts';
import { type Box, boxCases } from './support/box.ts';
import { type Spec, script } from './support/spec.ts';

const sleeper = (box: Box): Promise<void> => box.running((spec) => script(spec, 'exec sleep 1000'));

function open(box: Box): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(box.dir, 'state', 'a', 'control.sock'));
    socket.once('connect', () => resolve(socket)).once('error', reject);
  });
}

/** Everything that the Sentry says until it hangs up. */
async function say(box: Box, bytes: string | Buffer): Promise<string> {
  const socket = await open(box);
  return new Promise((resolve) => {
    let said = '';
    socket.on('data', (data) => {
      said += data.toString('latin1');
    });
    socket.on('close', () => resolve(said));
    socket.on('error', () => undefined);
    socket.write(bytes);
  });
}

async function isWell(box: Box): Promise<void> {
  const ran = await box.do('exec', ['a', 'echo', 'well']);
  expect(ran).toMatchObject({ code: 0, stdout: 'well\n' });
}

const nonsense: readonly (string | Buffer)[] = [
  '\n',
  'hello\n',
  '{}\n',
  'null\n',
  '[]\n',
  '{"type":"exec"}\n',
  '{"type":"exec","container":"a","process":{"argv":["true"]}}\n',
  '{"type":"create"}\n',
  '{"type":"start"}\n',
  '{"type":"signal","signal":9,"all":true}\n',
  Buffer.from([0xff, 0, 0x0a]),
];

/** Starts a process over the socket, then sends a line, and prints what comes back. */
const halfWay = `
import array, json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
null = open('/dev/null', 'r+b')
none = {'lo': 0, 'hi': 0}
process = {'argv': ['sleep', '1000'], 'env': ['PATH=/bin'], 'cwd': '/', 'user': {'uid': 0, 'gid': 0, 'groups': []},
  'umask': 18, 'capabilities': {k: none for k in ('bounding', 'effective', 'inheritable', 'permitted', 'ambient')},
  'limits': [], 'addsHome': True, 'noNewPrivileges': False, 'oomScoreAdjustment': 0}
line = json.dumps({'type': 'exec', 'container': 'a', 'process': process}) + '\\n'
s.sendmsg([b' '], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [null.fileno()] * 3))])
s.sendall(line.encode())
f = s.makefile()
print(f.readline(), end='')
s.sendall((sys.argv[2] + '\\n').encode())
print(f.read(), end='')
`;

/** Descriptors of the Sentry of container `a`. */
function descriptors(box: Box): number {
  const sentry = processesIn(`${box.cgroup}/a`).find((pid) =>
    commandLine(pid).startsWith('runts-sentry'),
  );
  return readdirSync(`/proc/${sentry}/fd`).length;
}

/** A container of pod `a`; the first is its sandbox. */
function podContainer(box: Box, name: string, change: (spec: Spec) => void): void {
  box.bundle((spec) => {
    spec.annotations = {
      'io.kubernetes.cri.container-type': name === 'a' ? 'sandbox' : 'container',
      'io.kubernetes.cri.sandbox-id': 'a',
    };
    change(spec);
  }, name);
}

const failures: Readonly<Record<string, (spec: Spec) => void>> = {
  command: (spec) => {
    spec.process.args = ['/no/such/command'];
  },
  cwd: (spec) => {
    spec.process.cwd = '/etc/passwd';
  },
  mount: (spec) => {
    spec.mounts.push({ destination: '/etc/passwd/x', type: 'tmpfs', source: 'x' });
  },
};

boxCases('control socket', [
  {
    name: 'what fails, or ends, leaves the Sentry of a pod no descriptor',
    only: 'runts',
    body: async (box) => {
      podContainer(box, 'a', (spec) => script(spec, 'exec sleep 1000'));
      expect(await box.create()).toMatchObject({ code: 0 });
      await box.do('start', ['a']);
      expect(await box.do('exec', ['a', 'true'])).toMatchObject({ code: 0 });
      const before = descriptors(box);
      for (const [name, change] of Object.entries(failures)) {
        podContainer(box, name, change);
        for (let turn = 0; turn < 3; turn++)
          expect(await box.create(name)).toMatchObject({ code: 1 });
      }
      podContainer(box, 'good', (spec) => script(spec, 'cat /etc/group; exec /bin/true'));
      for (let turn = 0; turn < 3; turn++) {
        expect(await box.finish('good')).toBe(0);
        expect(await box.do('delete', ['good'])).toMatchObject({ code: 0 });
      }
      for (const args of [['/no/such'], ['--cwd', '/etc/passwd', 'true']]) {
        const words = args[0] === '--cwd' ? [...args.slice(0, 2), 'a', 'true'] : ['a', ...args];
        expect((await box.do('exec', words)).code).toBeGreaterThan(0);
      }
      await box.until(() => descriptors(box) <= before, `${before} descriptors again`);
    },
  },
  {
    name: 'nonsense ends its connection, and nothing else',
    only: 'runts',
    body: async (box) => {
      await sleeper(box);
      for (const bytes of nonsense) expect(await say(box, bytes)).toMatch(/^failed 125 /);
      await isWell(box);
    },
  },
  {
    name: 'nonsense in the middle of a process is the end of that one',
    only: 'runts',
    body: async (box) => {
      await sleeper(box);
      for (const words of ['nonsense', 'null', '7', '{"type":"signal","signal":1e9}']) {
        const argv = ['python3', '-c', halfWay, join(box.dir, 'state/a/control.sock'), words];
        const ran = await box.shim.run({ argv });
        expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: 'started\nexited 9\n' });
      }
      await isWell(box);
    },
  },
  {
    name: 'half a request, and many connections that say nothing',
    only: 'runts',
    body: async (box) => {
      await sleeper(box);
      const sockets = await Promise.all(Array.from({ length: 60 }, () => open(box)));
      for (const socket of sockets) socket.write('{"type":"exec"');
      await isWell(box);
      for (const socket of sockets) socket.destroy();
      await isWell(box);
    },
  },
  {
    name: 'a line without an end',
    only: 'runts',
    body: async (box) => {
      await sleeper(box);
      const socket = await open(box);
      socket.on('error', () => undefined);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      const block = Buffer.alloc(1 << 20, 'x');
      const feed = (): void => {
        while (!socket.destroyed && socket.write(block));
        if (!socket.destroyed) socket.once('drain', feed);
      };
      feed();
      await closed;
      await isWell(box);
    },
  },
  {
    name: 'more idle connections than are served at once',
    only: 'runts',
    body: async (box) => {
      await sleeper(box);
      const sockets = await Promise.all(Array.from({ length: 100 }, () => open(box)));
      const waiting = box.do('exec', ['a', 'echo', 'well']);
      for (const socket of sockets) socket.destroy();
      expect(await waiting).toMatchObject({ code: 0, stdout: 'well\n' });
    },
  },
]);

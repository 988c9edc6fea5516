// The Sentry's control socket under nonsense: whoever can connect is root, but no connection may harm the container.
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { script } from './support/spec.ts';

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

boxCases('control socket', [
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

// SPDX-License-Identifier: Apache-2.0
// Terminals of containers: --console-socket, where the other end is an engine's shim.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { type Spec, script } from './support/spec.ts';

const onTerminal =
  (text: string) =>
  (spec: Spec): void => {
    spec.process.terminal = true;
    script(spec, text);
  };

const said = (box: Box, path: string): string =>
  existsSync(`${path}.out`) ? readFileSync(`${path}.out`, 'utf8').replaceAll('\r\n', '\n') : '';

/** Creates and starts container `a` on a terminal; answers the console's path. */
async function started(box: Box, change: (spec: Spec) => void): Promise<string> {
  const path = join(box.dir, 'console');
  await box.shim.console(path, [33, 101]);
  box.bundle(change);
  const files = { stdout: '', stderr: '' };
  expect(await box.create('a', ['--console-socket', path], files)).toMatchObject({
    code: 0,
    held: false,
  });
  expect(box.shim.consoles).toMatchObject([{ path, descriptors: 1 }]);
  expect(box.shim.consoles[0]?.payload).not.toBe('');
  expect(await box.do('start', ['a'])).toMatchObject({ code: 0, held: false });
  return path;
}

boxCases('console', [
  {
    name: 'output, input and size',
    body: async (box) => {
      const path = await started(
        box,
        onTerminal(
          'tty; until [ "$(stty size 2>/dev/null)" = "33 101" ]; do sleep 0.02; done; stty size; stty -echo; echo ready; read -r words; echo "got $words"; [ -t 2 ] && exit 4',
        ),
      );
      await box.until(() => said(box, path).includes('ready\n'), 'ready');
      expect(said(box, path)).toMatch(/^\/dev\/(pts\/0|console)\n33 101\nready\n$/);
      await box.shim.type(path, 'these words\r');
      expect(await box.wait()).toBe(4);
      await box.until(() => said(box, path).includes('got'), 'got');
      expect(said(box, path)).toMatch(/got these words\n$/);
    },
  },
  {
    name: 'keys that are signals',
    body: async (box) => {
      const path = await started(
        box,
        onTerminal('trap "echo interrupted; exit 5" INT; echo ready; while :; do sleep 0.02; done'),
      );
      await box.until(() => said(box, path).includes('ready\n'), 'ready');
      await box.shim.type(path, '\x03');
      expect(await box.wait()).toBe(5);
      await box.until(() => said(box, path).includes('interrupted'), 'interrupted');
    },
  },
  {
    name: 'a window that changes its size',
    body: async (box) => {
      const path = await started(
        box,
        onTerminal('trap "stty size; exit 6" WINCH; echo ready; while :; do sleep 0.02; done'),
      );
      await box.until(() => said(box, path).includes('ready\n'), 'ready');
      await box.shim.resize(path, [20, 60]);
      expect(await box.wait()).toBe(6);
      await box.until(() => said(box, path).includes('20 60'), 'new size');
    },
  },
  {
    name: 'a terminal that hangs up',
    body: async (box) => {
      const path = await started(
        box,
        onTerminal('trap "exit 7" HUP; echo ready; while :; do sleep 0.02; done'),
      );
      await box.until(() => said(box, path).includes('ready\n'), 'ready');
      await box.shim.hangUp(path);
      expect(await box.wait()).toBe(7);
    },
  },
  {
    name: 'the size in the configuration',
    body: async (box) => {
      const path = join(box.dir, 'console');
      await box.shim.console(path, [0, 0]);
      box.bundle((spec) => {
        onTerminal(
          'until [ "$(stty size 2>/dev/null)" = "44 55" ]; do sleep 0.02; done; stty size',
        )(spec);
        spec.process.consoleSize = { height: 11, width: 22 };
      });
      expect(await box.create('a', ['--console-socket', path], { stdout: '' })).toMatchObject({
        code: 0,
      });
      await box.shim.resize(path, [44, 55]);
      await box.do('start', ['a']);
      await box.wait();
      await box.until(() => said(box, path).includes('44 55'), 'the size');
    },
  },
  {
    name: 'exec on a terminal of its own',
    body: async (box) => {
      await box.running();
      const path = join(box.dir, 'console');
      await box.shim.console(path, [33, 101]);
      const pidFile = join(box.dir, 'exec.pid');
      const args = [
        '--tty',
        '--console-socket',
        path,
        '--detach',
        '--pid-file',
        pidFile,
        'a',
        'sh',
        '-c',
        'tty; until [ "$(stty size 2>/dev/null)" = "33 101" ]; do sleep 0.02; done; stty size; read -r words; echo "got $words"; exit 8',
      ];
      expect(await box.do('exec', args)).toMatchObject({ code: 0, held: false });
      await box.until(() => said(box, path).includes('33 101'), 'size');
      expect(said(box, path)).toMatch(/^\/dev\/pts\/\d+\n33 101\n$/);
      await box.shim.type(path, 'words\r');
      expect(await box.shim.wait(Number(readFileSync(pidFile, 'utf8')))).toBe(8);
      await box.until(() => said(box, path).includes('got words'), 'got words');
    },
  },
  {
    name: 'what does not go together',
    body: async (box) => {
      box.bundle(onTerminal('true'));
      const without = await box.create('a', [], { stderr: '' });
      expect(without).toMatchObject({ code: 1, stderr: expect.stringMatching(/console/) });
      const path = join(box.dir, 'console');
      await box.shim.console(path, [0, 0]);
      box.bundle(undefined, 'b');
      const needless = await box.create('b', ['--console-socket', path], { stderr: '' });
      expect(needless).toMatchObject({ code: 1, stderr: expect.stringMatching(/console/) });
      box.bundle(onTerminal('true'), 'c');
      const nobody = await box.create('c', ['--console-socket', '/nonexistent'], { stderr: '' });
      expect(nobody).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/no such file|refused/),
      });
    },
  },
]);

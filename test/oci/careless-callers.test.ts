// SPDX-License-Identifier: Apache-2.0
// Callers that leave descriptors open, allow few of them, or do not wait for one another.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import type { Ran } from './support/mini-shim.ts';
import { script } from './support/spec.ts';

/** The same command after some words of bash. */
function after(
  box: Box,
  words: string,
  verb: string,
  args: readonly string[],
  streams = {},
): Promise<Ran> {
  const command = [box.runtime.path, ...box.flags, verb, ...args];
  const argv = ['bash', '-c', `${words}; exec timeout 120 "$@"`, 'bash', ...command];
  return box.shim.run({ cwd: box.dir, ...streams, argv });
}

const leaky = 'ulimit -Sn 1024; for i in $(seq 300); do exec {fd}</dev/null; done';

function createArguments(box: Box): [string[], { stdout: string; stderr: string }] {
  const bundle = join(box.dir, 'bundles/a');
  return [
    ['--bundle', bundle, '--pid-file', join(bundle, 'pid'), 'a'],
    { stdout: join(bundle, 'out'), stderr: join(bundle, 'err') },
  ];
}

boxCases('careless callers', [
  {
    name: 'hundreds of open descriptors',
    body: async (box) => {
      box.bundle((spec) => script(spec, 'ls /proc/self/fd; exec sleep 1000'));
      const [args, streams] = createArguments(box);
      expect(await after(box, leaky, 'create', args, streams), box.said()).toMatchObject({
        code: 0,
        held: false,
      });
      expect(await after(box, leaky, 'start', ['a'])).toMatchObject({ code: 0, held: false });
      const file = join(box.dir, 'process.json');
      const process = { cwd: '/', user: { uid: 0, gid: 0 }, args: ['/bin/echo', 'well'] };
      writeFileSync(file, JSON.stringify(process));
      for (const exec of [
        ['a', 'echo', 'well'],
        ['--process', file, 'a'],
      ])
        expect(await after(box, leaky, 'exec', exec)).toMatchObject({ code: 0, stdout: 'well\n' });
      await box.until(() => box.output().endsWith('3\n'), 'its own descriptors only');
    },
  },
  {
    name: 'a soft limit of descriptors that is low',
    only: 'runts',
    body: async (box) => {
      box.bundle();
      const [args, streams] = createArguments(box);
      expect(await after(box, 'ulimit -Sn 64', 'create', args, streams)).toMatchObject({ code: 0 });
      expect(await after(box, 'ulimit -Sn 64', 'exec', ['a', 'true'])).toMatchObject({ code: 0 });
    },
  },
  {
    name: 'too few descriptors allowed at all',
    only: 'runts',
    body: async (box) => {
      box.bundle();
      const [args] = createArguments(box);
      for (const count of [64, 205, 210, 215]) {
        const ran = await after(box, `ulimit -n ${count}`, 'create', args);
        expect(ran).toMatchObject({ code: 1, held: false });
        expect(ran.stderr).toMatch(/too few descriptors are allowed/);
        expect(await box.do('list', ['-q'])).toMatchObject({ stdout: '' });
      }
    },
  },
  {
    name: 'a start while create still runs its hooks',
    only: 'runts',
    body: async (box) => {
      box.bundle((spec) => {
        script(spec, 'echo started; exec sleep 1000');
        spec.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', 'sleep 1'] }] };
      });
      const created = box.create();
      await box.until(async () => (await box.do('state', ['a'])).code === 0, 'a record');
      await sleep(200);
      expect(await box.do('start', ['a'])).toMatchObject({ code: 0 });
      expect(await created, box.said()).toMatchObject({ code: 0 });
      await box.until(() => box.output() === 'started\n', 'started');
      expect(await box.state()).toMatchObject({ status: 'running' });
    },
  },
]);

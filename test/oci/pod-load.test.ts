// SPDX-License-Identifier: Apache-2.0
// A pod of ten containers that all work: probes by exec in each as a kubelet asks them, ends and
// forced deletions of single ones in the middle of it, and containers made anew in their place.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Box, type BoxCase, boxCases } from './support/box.ts';
import { sandboxId, startInPod, startPod } from './support/pod.ts';
import { type Spec, script } from './support/spec.ts';

const ids = Array.from({ length: 10 }, (_, index) => `c${index}`);

/** Forks, execs and writes without end; says in /count how far it is. */
function work(spec: Spec, id: string): void {
  script(
    spec,
    `echo ${id} >/me; n=0; while :; do n=$((n+1)); echo $n >/next; mv /next /count; ls /bin | wc -l >/dev/null; sleep 0.05; done`,
  );
}

async function start(box: Box, id: string): Promise<void> {
  await startInPod(box, id, (spec) => work(spec, id));
}

/** Its bundle is still there. */
async function again(box: Box, id: string): Promise<void> {
  expect(await box.create(id), box.said(id)).toMatchObject({ code: 0 });
  expect(await box.do('start', [id])).toMatchObject({ code: 0 });
}

async function count(box: Box, id: string): Promise<number> {
  const ran = await box.do('exec', [id, '/bin/sh', '-c', 'cat /me /count 2>/dev/null']);
  const [me, value = '0'] = ran.stdout.split('\n');
  if (ran.code !== 0 || me === '') return 0;
  expect(me).toBe(id);
  return Number(value);
}

/** Each goes on, and each answers for itself. */
async function probe(box: Box, alive: readonly string[]): Promise<void> {
  const goesOn = async (id: string): Promise<void> => {
    const before = await count(box, id);
    await box.until(async () => (await count(box, id)) > before, `${id} goes on`);
  };
  await Promise.all(alive.map(goesOn));
}

function shuffled(values: readonly string[]): string[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

async function endHalf(box: Box, dying: readonly string[]): Promise<void> {
  const ends = dying.map(async (id, index) => {
    await sleep(Math.random() * 300);
    if (index % 3 === 0) {
      expect(await box.do('delete', ['--force', id])).toMatchObject({ code: 0 });
    } else if (index % 3 === 1) {
      expect((await box.do('kill', [id, 'KILL'])).code).toBe(0);
      expect(await box.wait(id)).toBe(137);
      expect(await box.do('delete', [id])).toMatchObject({ code: 0 });
    } else {
      process.kill(box.pid(id), 'SIGKILL');
      await box.wait(id);
      expect(await box.do('delete', ['--force', id])).toMatchObject({ code: 0 });
    }
  });
  await Promise.all(ends);
}

async function tenContainers(box: Box): Promise<void> {
  await startPod(box);
  await Promise.all(ids.map((id) => start(box, id)));
  await probe(box, ids);
  const order = shuffled(ids);
  const [dying, living] = [order.slice(0, 5), order.slice(5)];
  await Promise.all([endHalf(box, dying), probe(box, living)]);
  for (const id of dying) expect((await box.do('state', [id])).code, id).toBe(1);
  for (const id of living) expect((await box.state(id)).status, id).toBe('running');
  // Their ids are free again, while the others go on.
  await Promise.all([...dying.map((id) => again(box, id)), probe(box, living)]);
  await probe(box, ids);
  // The end of the sandbox is that of all.
  expect((await box.do('kill', [sandboxId, 'KILL'])).code).toBe(0);
  await Promise.all(ids.map((id) => box.wait(id)));
  for (const id of ids) expect((await box.state(id)).status).toBe('stopped');
}

/** An exec that is under way when its container ends, ends too, and as one that was killed. */
async function execInEndingContainer(box: Box): Promise<void> {
  await startPod(box);
  await start(box, 'a');
  await start(box, 'b');
  const held = ['a', 'b'].map((id) =>
    box.do('exec', [id, '/bin/sh', '-c', 'echo here >/exec; exec sleep 1000']),
  );
  for (const id of ['a', 'b'])
    await box.until(
      async () => (await box.do('exec', [id, 'test', '-e', '/exec'])).code === 0,
      `exec in ${id}`,
    );
  expect(await box.do('delete', ['--force', 'a'])).toMatchObject({ code: 0 });
  expect((await held[0])?.code).toBe(137);
  await probe(box, ['b']);
  const late = await box.do('exec', ['a', 'true']);
  expect(late.code).not.toBe(0);
  expect((await box.do('kill', ['b', 'KILL'])).code).toBe(0);
  expect((await held[1])?.code).toBe(137);
}

const cases: readonly BoxCase[] = [
  { name: 'ten containers, of which half end at random', only: 'runts', body: tenContainers },
  { name: 'an exec in a container that ends', only: 'runts', body: execInEndingContainer },
];
boxCases('pod load', cases);

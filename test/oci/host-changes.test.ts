// SPDX-License-Identifier: Apache-2.0
// What others do to a container's files shows inside at once, also where the Sentry has them
// cached: whoever sees one change sees every change before it. The program has read enough that
// directories are watched.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { mount, type Spec, script } from './support/spec.ts';

const ROUNDS = 60;

/** Says what is wrong in a round, where something is. */
const guest = `
n=0; while [ $n -lt 600 ]; do [ -e /d/x$n ]; [ -e /etc/y$n ]; n=$((n+1)); done
cat /d/data >/dev/null; ls -l /d /d/sub >/dev/null; [ -e /d/gone ] && : >/d/ready
i=1; while [ $i -le ${ROUNDS} ]; do
  until [ -e /d/go$i ]; do sleep 0.01; done
  read word </d/data; [ "$word" = $i ] || echo "$i: data: $word"
  [ -e /d/new$i ] || echo "$i: a new file is missing"
  [ -e /d/gone ] && echo "$i: a removed file is there"
  set -- $(stat -c '%s %a' /d/grow /d/sub); [ "$1" = $i ] || echo "$i: size: $1"
  [ "$4" = $((700 + i % 7)) ] || echo "$i: mode: $4"
  [ -e /d/sub/moved$i/in ] || echo "$i: a moved directory is missing"
  set -- $(ls /d/sub); [ $# = 1 ] || echo "$i: list: $*"
  : >/d/own$i; mv /d/own$i /d/ack$i; i=$((i+1))
done; echo done`;

async function rounds(box: Box, directory: string): Promise<void> {
  const at = (name: string): string => join(directory, name);
  expect(await box.create('a'), box.said()).toMatchObject({ code: 0 });
  expect(await box.do('start', ['a'])).toMatchObject({ code: 0 });
  await box.until(() => existsSync(at('ready')), 'ready');
  for (let round = 1; round <= ROUNDS; round += 1) {
    writeFileSync(at('next'), `${round}\n`);
    renameSync(at('next'), at('data'));
    writeFileSync(at(`new${round}`), '');
    if (existsSync(at('gone'))) unlinkSync(at('gone'));
    appendFileSync(at('grow'), 'x');
    chmodSync(at('sub'), Number.parseInt(`${700 + (round % 7)}`, 8));
    mkdirSync(at('elsewhere'));
    writeFileSync(at('elsewhere/in'), '');
    rmSync(at(`sub/moved${round - 1}`), { recursive: true, force: true });
    renameSync(at('elsewhere'), at(`sub/moved${round}`));
    linkSync(at('grow'), at('other-name'));
    unlinkSync(at('other-name'));
    writeFileSync(at(`go${round}`), '');
    await box.until(() => existsSync(at(`ack${round}`)), `round ${round}: ${box.output()}`);
  }
  expect(await box.wait()).toBe(0);
  expect(box.output()).toBe('done\n');
}

function prepare(directory: string): void {
  mkdirSync(join(directory, 'sub'));
  for (const name of ['data', 'gone', 'grow']) writeFileSync(join(directory, name), '');
}

boxCases('host-changes', [
  {
    name: 'in the root',
    body: async (box) => {
      const bundle = box.bundle((spec) => script(spec, guest));
      mkdirSync(join(bundle, 'rootfs/d'));
      prepare(join(bundle, 'rootfs/d'));
      await rounds(box, join(bundle, 'rootfs/d'));
    },
  },
  {
    name: 'in an overlay, with files of the lower layer',
    body: async (box) => {
      const bundle = box.bundle((spec: Spec) => {
        script(spec, guest);
        spec.root.path = 'merged';
      });
      for (const name of ['merged', 'upper', 'work']) mkdirSync(join(bundle, name));
      mkdirSync(join(bundle, 'rootfs/d'));
      prepare(join(bundle, 'rootfs/d'));
      const merged = join(bundle, 'merged');
      const layers = `lowerdir=${bundle}/rootfs,upperdir=${bundle}/upper,workdir=${bundle}/work`;
      execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, merged]);
      try {
        await rounds(box, join(merged, 'd'));
      } finally {
        await box.do('delete', ['--force', 'a']);
        execFileSync('umount', ['-l', merged]);
        rmdirSync(merged);
        for (const name of ['upper', 'work']) rmSync(join(bundle, name), { recursive: true });
      }
    },
  },
  {
    name: 'in a volume on a tmpfs',
    body: async (box) => {
      const directory = mkdtempSync('/dev/shm/rb-');
      try {
        prepare(directory);
        box.bundle((spec) => {
          script(spec, guest);
          // One that follows the host's mounts is not watched.
          spec.mounts.push(mount('/d', 'bind', directory, 'rbind,rprivate,rw'));
        });
        await rounds(box, directory);
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
  },
]);

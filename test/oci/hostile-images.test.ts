// SPDX-License-Identifier: Apache-2.0
// Images, and guests that change theirs, whose files are not what those expect who start processes in them.
import { expect } from 'vitest';
import { boxCases } from './support/box.ts';
import { script } from './support/spec.ts';

/** What /etc/passwd may be; `exec` looks there for a home. */
const passwords: readonly string[] = [
  'mkfifo /etc/passwd',
  'mkdir /etc/passwd',
  'ln -s passwd /etc/passwd',
  'ln -s /dev/zero /etc/passwd',
  'ln -s /dev/tty /etc/passwd',
  'ln -s /proc/self/mem /etc/passwd',
  'ln -s /proc/1/mem /etc/passwd',
  'ln -s /proc/1/fd/0 /etc/passwd',
  'ln -s /proc/thread-self/environ /etc/passwd',
  'truncate -s 1000000000000 /etc/passwd',
];

boxCases('hostile images', [
  {
    name: 'a password file that is none',
    only: 'runts',
    body: async (box) => {
      await box.running((spec) => script(spec, 'exec sleep 1000'));
      for (const make of passwords) {
        const words = ['a', 'sh', '-c', `rm -rf /etc/passwd; ${make}`];
        expect(await box.do('exec', words), make).toMatchObject({ code: 0 });
        const ran = await box.do('exec', ['a', 'sh', '-c', 'echo $HOME']);
        expect(ran, make).toMatchObject({ code: 0, stdout: '/\n', stderr: '' });
      }
    },
  },
  {
    name: 'a working directory that leads into proc',
    only: 'runts',
    body: async (box) => {
      await box.running((spec) => script(spec, 'exec sleep 1000'));
      for (const target of ['/proc/self', '/proc/thread-self/cwd', '/proc/1/root', '/proc/1/fd']) {
        const words = ['a', 'sh', '-c', `rm -f /work; ln -s ${target} /work`];
        expect(await box.do('exec', words)).toMatchObject({ code: 0 });
        const ran = await box.do('exec', ['--cwd', '/work', 'a', 'true']);
        expect(`${ran.code} ${ran.stderr}`, target).not.toMatch(/internal error/);
      }
      expect(await box.do('exec', ['a', 'echo', 'well'])).toMatchObject({ stdout: 'well\n' });
    },
  },
]);

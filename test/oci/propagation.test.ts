// SPDX-License-Identifier: Apache-2.0
// What the host mounts below a bind mount while a container runs: mount_namespaces(7) "Shared subtrees".
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, type BoxCase, boxCases } from './support/box.ts';
import { mount, type Spec, script } from './support/spec.ts';

interface Case {
  readonly name: string;
  /** Of the bind mount. */
  readonly options: string;
  readonly change?: (spec: Spec) => void;
  readonly sees: boolean;
}

const tmpfs = (path: string): void => {
  execFileSync('mount', ['-t', 'tmpfs', 'late', path]);
};
const unmount = (path: string): void => {
  execFileSync('umount', [path]);
};

/** The guest looks when it is told to, and reports when it has closed what it looked at. */
const looks = `
n=0; while [ $n -lt 400 ]; do [ -e /v/none$n ]; [ -e /v/a/none$n ]; n=$((n+1)); done; ls /v /v/a >/dev/null
report() { touch /v/a/made 2>/dev/null; cat /v/a/f 2>/dev/null || echo nothing; }
report >/v/new; mv /v/new /v/first; until [ -e /v/go ]; do sleep 0.02; done
report >/v/new; mv /v/new /v/second; until [ -e /v/gone ]; do sleep 0.02; done
report >/v/new; mv /v/new /v/third`;

async function answer(box: Box, file: string): Promise<string> {
  await box.until(() => existsSync(file) && readFileSync(file, 'utf8') !== '', file);
  return readFileSync(file, 'utf8').trim();
}

function propagates({ name, options, change, sees }: Case): BoxCase {
  return {
    name,
    body: async (box) => {
      const source = join(box.dir, 'source');
      mkdirSync(source);
      tmpfs(source);
      try {
        execFileSync('mount', ['--make-shared', source]);
        mkdirSync(join(source, 'a'));
        await box.running((spec) => {
          spec.mounts.push(mount('/v', 'bind', source, options));
          change?.(spec);
          script(spec, looks);
        });
        expect(await answer(box, join(source, 'first'))).toBe('nothing');
        tmpfs(join(source, 'a'));
        writeFileSync(join(source, 'a/f'), 'late\n');
        writeFileSync(join(source, 'go'), '');
        expect(await answer(box, join(source, 'second'))).toBe(sees ? 'late' : 'nothing');
        expect(existsSync(join(source, 'a/made'))).toBe(sees);
        // Nothing in the sandbox keeps it busy.
        unmount(join(source, 'a'));
        writeFileSync(join(source, 'gone'), '');
        expect(await answer(box, join(source, 'third'))).toBe('nothing');
        expect(await box.wait()).toBe(0);
      } finally {
        execFileSync('umount', ['-R', '-l', source]);
      }
    },
  };
}

boxCases('propagation', [
  propagates({ name: 'reaches an rslave mount', options: 'rbind,rslave', sees: true }),
  propagates({ name: 'reaches an rshared mount', options: 'rbind,rshared', sees: true }),
  propagates({ name: 'does not reach an rprivate mount', options: 'rbind,rprivate', sees: false }),
  propagates({ name: 'reaches a mount that does not say', options: 'rbind', sees: true }),
  propagates({
    name: 'does not reach a mount that does not say of a private root',
    options: 'rbind',
    change: (spec) => Object.assign(spec.linux, { rootfsPropagation: 'rprivate' }),
    sees: false,
  }),
]);

// SPDX-License-Identifier: Apache-2.0
// Memory limits in which the sandbox itself would not fit: the cgroup has more, the Sentry holds
// the guest to the limit.
import { expect } from 'vitest';
import { boxCases } from './support/box.ts';
import { type Spec, script } from './support/spec.ts';

const MIB = 1024 * 1024;

function limit(spec: Spec, mebibytes: number): void {
  const bytes = mebibytes * MIB;
  spec.linux['resources'] = { memory: { limit: bytes, swap: bytes } };
}

/** awk keeps what it doubles. */
const eat = (kib: number): string =>
  `awk 'BEGIN { x = "0123456789abcdef"; while (length(x) < ${kib} * 1024) x = x x; print length(x) }'`;

boxCases('small memory', [
  {
    name: '6 MiB: programs run, several at once too, and more is not to be had',
    body: async (box) => {
      box.bundle((spec) => {
        limit(spec, 6);
        script(
          spec,
          `echo started; for i in 1 2 3; do sleep 0.2 & done; wait; ${eat(256)}; ${eat(65536)} || exit`,
        );
      });
      expect(await box.finish()).toBe(137);
      expect(box.output(), box.said()).toBe('started\n262144\n');
    },
  },
  {
    name: 'the guard kills who takes a little more, and the others live',
    only: 'runts',
    body: async (box) => {
      const holds = `awk 'BEGIN { x = "0123456789abcdef"; while (length(x) < 2097152) x = x x; y = x "a"; z = x "b"; system("sleep 60"); print length(y z) }'`;
      box.bundle((spec) => {
        limit(spec, 6);
        script(spec, `${holds}; echo $?`);
      });
      expect(await box.finish()).toBe(0);
      expect(box.output(), box.said()).toBe('137\n');
    },
  },
  {
    name: 'the guest is shown its limit; the limit cannot be raised, as its guard stays',
    only: 'runts',
    body: async (box) => {
      await box.running((spec) => limit(spec, 8));
      const shown = await box.do('exec', ['a', 'awk', '/MemTotal/ { print $2 }', '/proc/meminfo']);
      expect(shown.stdout).toBe(`${8 * 1024}\n`);
      expect((await box.do('update', ['--memory', '64M', 'a'])).code).toBe(1);
      expect(box.log()).toContain('cannot be raised');
      expect((await box.do('update', ['--memory', '7M', '--memory-swap', '7M', 'a'])).code).toBe(0);
    },
  },
  {
    name: 'less than any program needs is refused',
    only: 'runts',
    body: async (box) => {
      box.bundle((spec) => limit(spec, 1));
      expect((await box.create()).code).toBe(1);
    },
  },
]);

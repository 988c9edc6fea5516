// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { nodeFlags } from './node-flags.ts';

it('bin/runts gives Node the same flags: it may become the Sentry', () => {
  const script = readFileSync(new URL('../bin/runts', import.meta.url), 'utf8');
  expect(/^flags='(.*)'$/m.exec(script)?.[1]?.split(' ')).toEqual(nodeFlags);
});

it('each process has a hash seed of its own: guests must not find names that collide', () => {
  expect(nodeFlags.filter((flag) => /hash/.test(flag))).toEqual([]);
});

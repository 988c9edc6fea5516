// SPDX-License-Identifier: Apache-2.0
// The network broker under attack (native/test/broker-test.c), confined as it is and under ASan and UBSan.
import { describe, expect, it } from 'vitest';
import { root, run } from '../support/run.ts';

const isRoot = process.geteuid?.() === 0;

describe.runIf(isRoot)('the network broker', () => {
  it('does what it is for and nothing else, whatever it is asked', async () => {
    const make = await run(['make', '-s', '-C', 'native', 'broker-test'], {
      cwd: root,
      seconds: 200,
    });
    expect(make.code, make.stderr).toBe(0);
    for (const name of ['broker-test', 'broker-test-asan']) {
      const outcome = await run(['unshare', '-n', `native/build/${name}`], {
        cwd: root,
        seconds: 100,
      });
      expect(outcome.code, `${name}: ${outcome.stdout}${outcome.stderr}`).toBe(0);
    }
  }, 400_000);
});

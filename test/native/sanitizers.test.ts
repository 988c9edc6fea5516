// SPDX-License-Identifier: Apache-2.0
// The C parts that can be tested on their own, under ASan and UBSan (native/Makefile, target asan-test).
import { describe, expect, it } from 'vitest';
import { root, run } from '../support/run.ts';

describe('C unit tests', () => {
  it('pass under ASan and UBSan', async () => {
    const outcome = await run(['make', '-s', '-C', 'native', 'asan-test'], {
      cwd: root,
      seconds: 280,
    });
    expect(outcome.code, `${outcome.stdout}${outcome.stderr}`).toBe(0);
  });
});

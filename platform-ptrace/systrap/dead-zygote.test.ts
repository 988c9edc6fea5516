// SPDX-License-Identifier: Apache-2.0
// A zygote that ends before it has answered is not waited for.
import { expect, it } from 'vitest';
import { TestGuests } from './test-guest.ts';

it('a zygote that ended is noticed at once', () => {
  const begun = Date.now();
  expect(() => new TestGuests((pid) => process.kill(pid, 'SIGKILL'))).toThrow(/zygote/);
  expect(Date.now() - begun).toBeLessThan(5000);
});

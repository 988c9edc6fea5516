// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { compileFilter } from '../../native/seccomp/bpf.ts';
import { stubFilter } from './stub-filter.ts';
import { GUEST_TOP, stubBaseAt } from './zygote.ts';

it('a filter can be made for every place of the stub, also at the end of 4 GiB', () => {
  for (const place of [0, 1, 0xff00, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1ffff, 0x20000]) {
    const base = stubBaseAt(place);
    expect(base).toBeGreaterThanOrEqual(GUEST_TOP);
    expect(() => compileFilter(stubFilter(base)), place.toString(16)).not.toThrow();
  }
});

// SPDX-License-Identifier: Apache-2.0
// Cases that are known to fail: they run all the same, and one that passes fails the run, so that the
// list can only shrink.
import { expect, it } from 'vitest';
import { expectedFailures } from '../expected-failures.ts';

/**
 * `it`, for a case that may be listed in expected-failures.ts under `id`. `retry`: how often a case
 * may fail before it counts, which is only for oracles.
 */
export function itMayFail(
  name: string,
  id: string,
  body: () => Promise<void> | void,
  timeoutMs?: number,
  retry = 0,
): void {
  const reason = expectedFailures.get(id);
  if (reason === undefined) {
    const timeout = timeoutMs === undefined ? {} : { timeout: timeoutMs };
    it(name, { ...timeout, retry }, async () => body());
    return;
  }
  it(
    `${name} (expected to fail: ${reason})`,
    async () => {
      let failed = false;
      try {
        await body();
      } catch {
        failed = true;
      }
      expect(failed, `${id} passes now: remove it from test/expected-failures.ts`).toBe(true);
    },
    timeoutMs,
  );
}

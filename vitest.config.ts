// SPDX-License-Identifier: Apache-2.0
// Four groups of tests: units beside the code, guest programs in C, real programs, and the OCI
// runtime under real engines. The last three start sandboxes and compilers, so they get more time
// and share the cores. Limits only end what hangs: no test may need them on a machine that is ten
// times slower.
import { defineConfig } from 'vitest/config';

// Tests look for what is left behind, and a nursery is left on purpose: those that want one say so
// (test/oci/nursery.test.ts). RUNTS_NURSERY=30 for all runs test/oci with them.
process.env['RUNTS_NURSERY'] ??= '0';

const slow = { testTimeout: 300_000, hookTimeout: 400_000 };

export default defineConfig({
  test: {
    maxWorkers: 2,
    // Engines take a while to go.
    teardownTimeout: 180_000,
    reporters: process.env['CI'] === undefined ? ['default'] : ['default', 'json'],
    outputFile: { json: 'build/test-results.json' },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            '{abi,protocol,sentry,gofer,native,platform-ptrace,platform-kvm,runts,tools}/**/*.test.ts',
            'test/support/**/*.test.ts',
          ],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: ['test/support/**', 'test/oci/**'],
          ...slow,
        },
      },
      {
        extends: true,
        test: {
          name: 'oci',
          include: ['test/oci/**/*.test.ts'],
          globalSetup: ['test/oci/engines/global-setup.ts'],
          // The cases mostly wait for the engines.
          maxConcurrency: 4,
          ...slow,
        },
      },
    ],
  },
});

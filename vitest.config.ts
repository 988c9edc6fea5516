// Three groups of tests: units beside the code, guest programs in C, and real programs. The last two
// start sandboxes and compilers, so they get more time and share the cores.
import { defineConfig } from 'vitest/config';

const slow = { testTimeout: 120_000, hookTimeout: 180_000 };

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: process.env['CI'] === undefined ? ['default'] : ['default', 'json'],
    outputFile: { json: 'build/test-results.json' },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            '{abi,sentry,gofer,native,platform-ptrace,platform-kvm,runts,tools}/**/*.test.ts',
            'test/support/**/*.test.ts',
          ],
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: ['test/support/**'],
          ...slow,
        },
      },
    ],
  },
});

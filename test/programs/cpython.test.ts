// SPDX-License-Identifier: Apache-2.0
// CPython's own test suite (Debian's libpython3-testsuite) in the sandbox. A module that fails
// there is run on the host too: only what the host lacks counts as our failure.
import { describe, expect, it } from 'vitest';
import { run, runts } from '../support/run.ts';

const modules = [
  ...[
    'test_os',
    'test_posix',
    'test_subprocess',
    'test_threading',
    'test_signal',
    'test_mmap',
    'test_io',
  ],
  ...[
    'test_tempfile',
    'test_shutil',
    'test_glob',
    'test_select',
    'test_selectors',
    'test_fork1',
    'test_pty',
  ],
];
const SECONDS = 400;

describe('the test suite of CPython', () => {
  for (const name of modules) {
    it(
      name,
      async () => {
        const command = ['/usr/bin/python3', '-m', 'test', name];
        const sandboxed = await run([runts, 'do', '--cwd', '/tmp', '--', ...command], {
          seconds: SECONDS,
        });
        if (sandboxed.code === 0) return;
        const native = await run(command, { seconds: SECONDS, cwd: '/tmp' });
        const tail = `${sandboxed.stdout}${sandboxed.stderr}`.slice(-3000);
        expect(sandboxed.code, `in the sandbox (the host answers ${native.code}):\n${tail}`).toBe(
          native.code,
        );
      },
      2 * SECONDS * 1000,
    );
  }
});

// SPDX-License-Identifier: Apache-2.0
// CPython's own test suite (Debian's libpython3-testsuite) in the sandbox. A module that fails
// there is run on the host too: only what the host lacks counts as our failure.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
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

/** An empty directory: python3 -m takes modules from the working directory first, whoever left them there. */
const emptyDirectory = mkdtempSync(join(tmpdir(), 'runts-cpython-'));
afterAll(() => rmSync(emptyDirectory, { recursive: true, force: true }));

describe('the test suite of CPython', () => {
  for (const name of modules) {
    it(
      name,
      async () => {
        const command = ['/usr/bin/python3', '-m', 'test', name];
        const sandboxed = await run([runts, 'do', '--cwd', emptyDirectory, '--', ...command], {
          seconds: SECONDS,
        });
        if (sandboxed.code === 0) return;
        const native = await run(command, { seconds: SECONDS, cwd: emptyDirectory });
        const tail = `${sandboxed.stdout}${sandboxed.stderr}`.slice(-3000);
        expect(sandboxed.code, `in the sandbox (the host answers ${native.code}):\n${tail}`).toBe(
          native.code,
        );
      },
      2 * SECONDS * 1000,
    );
  }
});

// SPDX-License-Identifier: Apache-2.0
// --pid-file: engines read it as soon as it is there, so it appears whole.
import { renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, Failure } from '../failure.ts';

export function writePidFile(path: string, pid: number): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  try {
    // Whatever has that name, of an earlier process of our number or of somebody who waits for us,
    // is not written to.
    rmSync(temporary, { force: true });
    writeFileSync(temporary, String(pid), { mode: 0o644, flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    try {
      unlinkSync(temporary);
    } catch {
      // It was not made.
    }
    throw new Failure('RUNTS_E_OPTION_FILE', `--pid-file: ${path}: ${describe(error)}`);
  }
}

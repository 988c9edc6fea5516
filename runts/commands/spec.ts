// SPDX-License-Identifier: Apache-2.0
// `runts spec`: a config.json to begin with.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, Failure } from '../failure.ts';
import { defaultSpec } from '../oci/spec/default-spec.ts';

/** The options of `runts spec`, which are runc's, in commander's form. */
export interface SpecOptions {
  /** The current directory where absent. */
  readonly bundle?: string;
  /** For who is not root: with a user namespace that has the caller as its root. */
  readonly rootless?: boolean;
}

export function writeSpec(options: SpecOptions): void {
  const path = join(options.bundle ?? '.', 'config.json');
  const ids =
    options.rootless === true
      ? { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
      : undefined;
  const text = `${JSON.stringify(defaultSpec(ids), null, '\t')}\n`;
  let isOurs = false;
  try {
    writeFileSync(path, '', { flag: 'wx', mode: 0o666 });
    isOurs = true;
    writeFileSync(path, text);
  } catch (error) {
    if (isOurs) rmSync(path, { force: true });
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new Failure('RUNTS_E_SPEC_FILE', `${path} exists already: remove it first`);
    throw new Failure('RUNTS_E_SPEC_FILE', `${path}: ${describe(error)}`);
  }
}

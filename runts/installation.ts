// SPDX-License-Identifier: Apache-2.0
// Where the parts of runts are: beside this file's folder, both in the source tree (runts/) and in the bundle
// (build/), or inside the one executable.
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { MFD_CLOEXEC } from '../abi/mman.ts';
import { singleFile } from '../native/single-file.ts';
import type { LauncherValues } from '../protocol/launcher-options.ts';
import { nodeFlags } from './node-flags.ts';
import { memoryProgram } from './single-file/memory-program.ts';

export interface Installation {
  /** The launcher's path. */
  readonly launcher: string;
  /** The launcher's options for what it starts. */
  readonly parts: () => LauncherValues;
}

export function findInstallation(): Installation {
  return singleFile === undefined ? folder() : insideExecutable();
}

/**
 * Returns the path by which other programs call runts: the one executable, or the script that
 * starts Node.
 */
export function ownExecutable(): string {
  return singleFile === undefined
    ? realpathSync(join(import.meta.dirname, '../bin/runts'))
    : process.execPath;
}

function folder(): Installation {
  const app = join(import.meta.dirname, '..');
  const bundled = !import.meta.filename.endsWith('.ts');
  const native = join(app, 'native/build');
  const parts: LauncherValues = {
    node: process.execPath,
    zygote: join(native, 'zygote'),
    // Seen as /app while they boot, and the scripts relative to it.
    app,
    sentry: bundled ? 'build/sentry.cjs' : 'sentry/boot/main.ts',
    gofer: bundled ? 'build/gofer.cjs' : 'gofer/main.ts',
  };
  return {
    launcher: join(native, 'launcher'),
    parts: () => ({ ...parts, flag: nodeFlags }),
  };
}

/** The executable is its own Node, with the flags built in; its programs are put into memory files. */
function insideExecutable(): Installation {
  return {
    launcher: memoryProgram('launcher', MFD_CLOEXEC),
    parts: () => ({
      node: process.execPath,
      zygote: memoryProgram('zygote', 0),
      addon: memoryProgram('addon.node', 0),
    }),
  };
}

// SPDX-License-Identifier: Apache-2.0
// `runts debug stack`: a log of --debug-log, or any text with stacks of our processes, with places
// in the source instead of those in the bundles.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, Failure } from '../failure.ts';
import { mapStack } from '../map-stack.ts';

/** The bundles' folder, both from source (runts/commands/) and from the bundle itself (build/). */
const build = import.meta.filename.endsWith('.ts')
  ? join(import.meta.dirname, '../../build')
  : import.meta.dirname;

/** `file` '-': standard input. Stacks in JSON stand in one line: their line ends are written out. */
export function printStack(file: string): void {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new Failure('RUNTS_E_OPTION_FILE', `${file}: ${describe(error)}`);
  }
  process.stdout.write(mapStack(text, build).replaceAll('\\n    at ', '\n    at '));
}

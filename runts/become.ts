// SPDX-License-Identifier: Apache-2.0
// A command line that becomes another program of ours: no Node idles beside a sandbox.
import { errnoName } from '../abi/errno.ts';
import { native } from '../native/addon.ts';
import { Failure } from './failure.ts';

/**
 * `args` from the program's name on. Standard streams stay open, and what native.keepAtExec was
 * called for.
 */
export function become(program: string, args: readonly string[]): never {
  const error = native.execute(Buffer.from(`${[program, ...args].join('\0')}\0`, 'utf8'));
  throw new Failure('RUNTS_E_LAUNCHER', `cannot start ${program}: ${errnoName(error)}`);
}

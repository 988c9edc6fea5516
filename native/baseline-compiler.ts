// SPDX-License-Identifier: Apache-2.0
// V8's baseline compiler, Sparkplug. A process is started without (runts/node-flags.ts), for what
// runs once is not worth compiling, and a Sentry or Gofer turns it on when it is about to serve.
// Not so with Maglev: functions that got warm without go straight to Turbofan, which takes longer
// (100 ms in the first second of a busy Sentry).
import type { SysResult } from '../abi/errno.ts';
import { native } from './addon.ts';

/** Negative: it stays off. Warm code is then interpreted until it is hot, and nothing else is different. */
export function useBaselineCompiler(): SysResult {
  return native.setEngineFlags('--sparkplug');
}

// SPDX-License-Identifier: Apache-2.0
// `runts do`: one program in a new sandbox, as if the shell had started it.
import { saveCodeCache } from '../code-cache.ts';
import { handOver } from '../launch.ts';
import { type DoOptions, planDo } from './do-plan.ts';

export async function runDo(command: readonly string[], options: object): Promise<never> {
  const plan = await planDo(command, options as DoOptions);
  saveCodeCache();
  return handOver(plan);
}

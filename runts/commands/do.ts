// `runts do`: one program in a new sandbox, as if the shell had started it.
import { handOver } from '../launch.ts';
import { type DoOptions, planDo } from './do-plan.ts';

export async function runDo(command: readonly string[], options: object): Promise<never> {
  const plan = await planDo(command, options as DoOptions);
  if (plan.config.writeCodeCache) saveCodeCache();
  return handOver(plan);
}

/** The loader of the bundle (tools/code-cache.ts) knows how. */
function saveCodeCache(): void {
  const { runtsSaveCodeCache } = globalThis as { runtsSaveCodeCache?: () => void };
  runtsSaveCodeCache?.();
}

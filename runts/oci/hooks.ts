// Hooks of config.json. Most containers have none, and what runs them takes 5 ms to load.
import type { Hook, Hooks } from './spec/types.ts';

/** hook-processes.ts */
export async function runHooks(
  hooks: readonly Hook[],
  state: Readonly<Record<string, unknown>>,
  kind: keyof Hooks,
): Promise<void> {
  if (hooks.length === 0) return;
  const processes = await import('./hook-processes.ts');
  await processes.runHooks(hooks, state, kind);
}

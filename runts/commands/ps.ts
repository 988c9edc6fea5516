// SPDX-License-Identifier: Apache-2.0
// `runts ps`: the container's processes on the host.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { Failure } from '../failure.ts';
import type { OciContext } from '../oci/context.ts';
import { hostPids } from '../oci/host-processes.ts';
import { statusOf } from '../oci/state/status.ts';
import { processesOfDo, runningDo } from './running-do.ts';

export interface PsOptions {
  readonly format: string;
}

export function ps(
  context: OciContext,
  id: string,
  args: readonly string[],
  { format }: PsOptions,
): void {
  if (format !== 'table' && format !== 'json')
    throw new Failure('RUNTS_E_OPTION_VALUE', 'invalid format option');
  const pids = pidsOf(context, id);
  // Go writes a list that was never made as null.
  if (format === 'json')
    process.stdout.write(`${JSON.stringify(pids.length === 0 ? null : pids)}\n`);
  else process.stdout.write(table(pids, args.length === 0 ? ['-ef'] : args));
}

function pidsOf(context: OciContext, id: string): number[] {
  const sandbox = context.isDefaultRoot ? runningDo(id) : undefined;
  if (sandbox !== undefined && context.store.find(id) === undefined) return processesOfDo(sandbox);
  const record = context.store.load(id);
  // As with runc a stopped container has no processes, which is no failure.
  return statusOf(context.store, record) === 'stopped' ? [] : hostPids(context, record);
}

/** ps(1)'s own lines for these. */
function table(pids: readonly number[], args: readonly string[]): string {
  const run = (...more: string[]): SpawnSyncReturns<string> =>
    spawnSync('ps', [...args, ...more], { encoding: 'utf8' });
  // By number first, as Docker does: alone, '-o pid' shows what is the caller's own.
  const byNumber = pids.length === 0 ? undefined : run('-q', pids.join(','));
  const result = byNumber?.status === 0 ? byNumber : run();
  if (result.error !== undefined || result.status !== 0)
    throw new Failure('RUNTS_E_PS', `ps: ${(result.error?.message ?? result.stderr).trim()}`);
  const [header = '', ...lines] = result.stdout.split('\n');
  const column = header.trim().split(/\s+/).indexOf('PID');
  if (column < 0) throw new Failure('RUNTS_E_PS', "couldn't find PID field in ps output");
  const wanted = new Set(pids.map(String));
  const shown = lines.filter((line) => wanted.has(line.trim().split(/\s+/)[column] ?? ''));
  return `${[header, ...shown].join('\n')}\n`;
}

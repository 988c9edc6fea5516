// SPDX-License-Identifier: Apache-2.0
// `runts kill`: a signal for a container's first process, or for all.
import * as signals from '../../abi/signal.ts';
import { Failure } from '../failure.ts';
import { restoreCgroup } from '../oci/cgroups/cgroup.ts';
import type { OciContext } from '../oci/context.ts';
import { orderSignal } from '../oci/order.ts';
import { statusOf } from '../oci/state/status.ts';
import { runningDo, signalDo } from './running-do.ts';

export interface KillOptions {
  readonly all?: boolean;
}

export function kill(context: OciContext, id: string, name: string, options: KillOptions): void {
  const signal = parseSignal(name);
  const sandbox = context.isDefaultRoot ? runningDo(id) : undefined;
  if (sandbox !== undefined && context.store.find(id) === undefined) {
    signalDo(sandbox, signal);
    return;
  }
  const record = context.store.load(id);
  const status = statusOf(context.store, record);
  if (status === 'stopped' && options.all === true) return;
  if (record.front === undefined || status === 'stopped' || status === 'creating')
    throw new Failure('RUNTS_E_CONTAINER_NOT_RUNNING', 'container not running');
  // Nothing is sent, as with kill(2): whether it could be is the answer.
  if (signal === 0) return;
  orderSignal(record.front.pid, signal, options.all === true);
  // What is frozen cannot die.
  if (status === 'paused' && signal === signals.SIGKILL && record.cgroup !== null)
    restoreCgroup(record.cgroup).thaw();
}

/** A number, or a name with or without SIG: signal(7). */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number <= 64) return number;
    throw new Failure('RUNTS_E_SIGNAL', `unknown signal "${text}"`);
  }
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
  const offset = /^SIGRT(MIN|MAX)([+-]\d+)?$/.exec(name);
  if (offset !== null) {
    const number = (offset[1] === 'MIN' ? 34 : 64) + Number(offset[2] ?? 0);
    if (number >= 34 && number <= 64) return number;
  }
  const number = (signals as Readonly<Record<string, unknown>>)[name];
  if (typeof number === 'number' && number > 0 && number < 32) return number;
  throw new Failure('RUNTS_E_SIGNAL', `unknown signal ${JSON.stringify(text)}`);
}

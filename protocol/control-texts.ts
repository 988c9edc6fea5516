// SPDX-License-Identifier: Apache-2.0
// Requests and events of a control channel as C reads and writes them (native/launcher/): its
// printf formats and words are made of the types of control.ts, so that a member or a type that has
// another name there does not compile here.
import type { ConnectionRequest, ControlEvent, ControlRequest } from './control.ts';

/** Stands for a number that C fills in. */
const NUMBER = 987_654_321;

/** A line with %d for each number. */
function format(request: ControlRequest): string {
  return `${JSON.stringify(request).replaceAll('%', '%%').replaceAll(String(NUMBER), '%d')}\n`;
}

/** The requests that a front sends. */
export const REQUEST_FORMAT = {
  start: format({ type: 'start' }),
  signal: format({ type: 'signal', signal: NUMBER }),
  signalAll: format({ type: 'signal', signal: NUMBER, all: true }),
  stop: format({ type: 'stop' }),
  continue: format({ type: 'continue' }),
  foreground: format({ type: 'foreground' }),
  window: format({ type: 'window', rows: NUMBER, columns: NUMBER }),
  raw: format({ type: 'raw' }),
} as const satisfies Record<string, string>;

/** A request on a connection, up to where its container's id is to follow. */
function start(type: Extract<ConnectionRequest, { readonly container: string }>['type']): string {
  return JSON.stringify({ type, container: '' }).slice(0, -'""}'.length);
}

export const REQUEST_START = { exec: start('exec'), ps: start('ps') } as const;

/** The first words of events. */
export const EVENT_WORD = {
  created: 'created',
  started: 'started',
  exited: 'exited',
  stopped: 'stopped',
  continued: 'continued',
  processes: 'processes',
  warning: 'warning',
  failed: 'failed',
} as const satisfies { readonly [Type in ControlEvent['type']]?: Type };

// Messages on the control channel after the configuration. Requests are JSON objects, one a line; events are a word
// and its values, for native/launcher/front.c to read.
import type { WindowSize } from './config.ts';

/** From the command line. */
export type ControlRequest =
  /** A signal for the guest's main process. */
  | { readonly type: 'signal'; readonly signal: number }
  /** Stop all processes of the guest, or let them go on (the command line was stopped by its shell). */
  | { readonly type: 'stop' }
  | { readonly type: 'continue' }
  /** The command line has the terminal: what is typed is the guest's, until 'stopped'. */
  | { readonly type: 'foreground' }
  | ({ readonly type: 'window' } & WindowSize)
  /** After 'started': the caller's terminal is raw. Only where the guest has a terminal. */
  | { readonly type: 'raw' }
  /** End at once, as if the main process was killed by SIGKILL. */
  | { readonly type: 'kill' };

/** From the Sentry. */
export type ControlEvent =
  /** The main process is about to run. */
  | { readonly type: 'started' }
  /** The main process ended: its wait status. Nothing follows. */
  | { readonly type: 'exited'; readonly status: number }
  /** The main process was stopped by job control, or all are after 'stop'. */
  | { readonly type: 'stopped'; readonly signal: number }
  | { readonly type: 'continued' }
  /** Something for the user to know, while the guest goes on. */
  | { readonly type: 'warning'; readonly text: string }
  /** The sandbox cannot start or go on. `code` is for the shell. Nothing follows. */
  | { readonly type: 'failed'; readonly code: number; readonly text: string };

/** One line, a byte string. */
export function eventLine(event: ControlEvent): string {
  return `${words(event).replaceAll('\n', ' ')}\n`;
}

function words(event: ControlEvent): string {
  switch (event.type) {
    case 'exited':
      return `exited ${event.status}`;
    case 'stopped':
      return `stopped ${event.signal}`;
    case 'warning':
      return `warning ${event.text}`;
    case 'failed':
      return `failed ${event.code} ${event.text}`;
    default:
      return event.type;
  }
}

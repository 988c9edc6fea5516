// SPDX-License-Identifier: Apache-2.0
// Messages on the control channels. Requests are JSON objects, one a line; events are a word and
// its values, for native/launcher/front.c to read. A channel stands for one process: the command's,
// a container's first one, or one of `runts exec`.
import type { ContainerConfig, LimitsConfig, ProcessConfig, WindowSize } from './boot-config.ts';

/** A request that the front of a process sends. */
export type ControlRequest =
  /** A created container runs. */
  | { readonly type: 'start' }
  /** A signal for the process, or for all of its container. */
  | { readonly type: 'signal'; readonly signal: number; readonly all?: boolean }
  /** Stop all processes of the guest, or let them go on (the command line was stopped by its shell). */
  | { readonly type: 'stop' }
  | { readonly type: 'continue' }
  /** The front has the terminal: what is typed is the guest's, until 'stopped'. */
  | { readonly type: 'foreground' }
  | ({ readonly type: 'window' } & WindowSize)
  /** After 'started': the caller's terminal is raw. Only where the guest has a terminal. */
  | { readonly type: 'raw' };

/**
 * The first request on a connection to a sandbox's control socket. The standard streams came with
 * it, and last what else the process is given as 3, 4 and so on.
 */
export type ConnectionRequest =
  /** A further process of a container. */
  | { readonly type: 'exec'; readonly container: string; readonly process: ProcessConfig }
  /**
   * A further container of the sandbox; the fourth descriptor is its Gofer's socket, those after it
   * its cgroups' cgroup.procs files.
   */
  | {
      readonly type: 'create';
      readonly container: ContainerConfig;
      readonly cgroups: number;
      readonly joins: JoinedNamespaces;
    }
  /** Which host processes run a container's processes. No descriptors; 'processes' is the only answer. */
  | { readonly type: 'ps'; readonly container: string }
  /** The container's limits were changed: 'updated' is the only answer. No descriptors. */
  | { readonly type: 'update'; readonly container: string; readonly limits: LimitsConfig }
  /**
   * Before a container of a pod is frozen, and once it has thawed: 'paused' and 'resumed' are the
   * only answers. Nothing is done for its processes in between. No descriptors.
   */
  | { readonly type: 'pause'; readonly container: string }
  | { readonly type: 'resume'; readonly container: string }
  /**
   * The sandbox's system calls are counted from now on: 'counting' is the answer, and 'report' that
   * to the next line, whatever it says. No descriptors.
   */
  | { readonly type: 'stats'; readonly container: string };

/** Those that make a process. */
export type ProcessRequest = Extract<ConnectionRequest, { readonly type: 'exec' | 'create' }>;

export type StatsRequest = Extract<ConnectionRequest, { readonly type: 'stats' }>;

/** The containers whose namespaces a container of a pod is in, where it has none of its own. */
export interface JoinedNamespaces {
  readonly joinsPidsOf?: string;
  readonly joinsIpcOf?: string;
  readonly joinsUtsOf?: string;
}

/** From the Sentry. */
export type ControlEvent =
  /** The container's first process is loaded, and waits for 'start'. */
  | { readonly type: 'created' }
  /** The process is about to run. */
  | { readonly type: 'started' }
  /** The process ended: its wait status. Nothing follows. */
  | { readonly type: 'exited'; readonly status: number }
  /** The process was stopped by job control, or all are after 'stop'. */
  | { readonly type: 'stopped'; readonly signal: number }
  | { readonly type: 'continued' }
  /** Numbers in the Sentry's PID namespace. Nothing follows. */
  | { readonly type: 'processes'; readonly pids: readonly number[] }
  | { readonly type: 'updated' }
  | { readonly type: 'paused' }
  | { readonly type: 'resumed' }
  | { readonly type: 'counting' }
  /** The counts, as a string of JSON. Nothing follows. */
  | { readonly type: 'report'; readonly text: string }
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
    case 'processes':
      return ['processes', ...event.pids].join(' ');
    case 'report':
      return `report ${JSON.stringify(event.text)}`;
    case 'failed':
      return `failed ${event.code} ${event.text}`;
    default:
      return event.type;
  }
}

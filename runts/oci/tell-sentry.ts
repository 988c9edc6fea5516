// SPDX-License-Identifier: Apache-2.0
// What a container's Sentry is told on its control socket beside processes to be made. One that
// does not hear of it in time (it is frozen, or busy) is no failure: what the host's cgroups do
// holds without it.
import { closeSync, openSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { ConnectionRequest, ProcessRequest, StatsRequest } from '../../protocol/control.ts';
import { STATE_SOCKET_FILE } from '../../protocol/state-files.ts';
import type { OciContext } from './context.ts';
import type { ContainerRecord } from './state/container-record.ts';

const PATIENCE_MS = 1000;

/** `problem` starts the warning where there is nobody to be told. */
export function tellSentry(
  { store, log }: OciContext,
  { id, sandbox }: ContainerRecord,
  request: Exclude<ConnectionRequest, ProcessRequest | StatsRequest>,
  problem: string,
): Promise<void> {
  // The path of a socket may be 107 bytes long; that of a state directory longer.
  const directory = openSync(store.directory(sandbox ?? id), 'r');
  return new Promise<void>((resolve) => {
    const socket = createConnection(`/proc/self/fd/${directory}/${STATE_SOCKET_FILE}`);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('error', (error) => log.write('warning', `${problem}: ${error.message}`));
    socket.on('close', () => {
      closeSync(directory);
      resolve();
    });
    socket.on('data', () => socket.destroy());
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

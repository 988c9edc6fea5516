// The guest's own view of limits that were changed: the host's cgroups have them by now, so a Sentry that does not hear
// of it (it is frozen, or busy) is no failure.
import { closeSync, openSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { LimitsConfig } from '../../sentry/boot/config.ts';
import type { ConnectionRequest } from '../../sentry/boot/control-protocol.ts';
import type { OciContext } from './context.ts';
import type { ContainerRecord } from './state/container-record.ts';

const PATIENCE_MS = 1000;

export function tellSentry(
  { store, log }: OciContext,
  { id, sandbox }: ContainerRecord,
  limits: LimitsConfig,
): Promise<void> {
  const request: ConnectionRequest = { type: 'update', container: id, limits };
  // The path of a socket may be 107 bytes long; that of a state directory longer.
  const directory = openSync(store.directory(sandbox ?? id), 'r');
  return new Promise<void>((resolve) => {
    const socket = createConnection(`/proc/self/fd/${directory}/control.sock`);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('error', (error) =>
      log.write('warning', `the container does not know of its new limits: ${error.message}`),
    );
    socket.on('close', () => {
      closeSync(directory);
      resolve();
    });
    socket.on('data', () => socket.destroy());
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

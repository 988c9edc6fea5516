// SPDX-License-Identifier: Apache-2.0
// `runts debug stats`: has the Sentry of a running container count system calls for a while.
import { closeSync, openSync } from 'node:fs';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionRequest } from '../../protocol/control.ts';
import { STATE_SOCKET_FILE } from '../../protocol/state-files.ts';
import { Failure } from '../failure.ts';
import type { OciContext } from '../oci/context.ts';
import { statusOf } from '../oci/state/status.ts';
import { parseTime } from '../quantities.ts';

export interface StatsOptions {
  /** A time, as `2s`. */
  readonly for: string;
}

export async function printStats(
  { store }: OciContext,
  id: string,
  options: StatsOptions,
): Promise<void> {
  const milliseconds = parseTime(options.for, '--for');
  const record = store.load(id);
  const status = statusOf(store, record);
  if (status === 'stopped')
    throw new Failure('RUNTS_E_CONTAINER_NOT_RUNNING', `container ${id} is stopped`);
  const events = await connect(store.directory(record.sandbox ?? id));
  try {
    const request: ConnectionRequest = { type: 'stats', container: id };
    events.send(JSON.stringify(request));
    expectWord(await events.next(), 'counting');
    await sleep(milliseconds);
    events.send('{}');
    process.stdout.write(JSON.parse(expectWord(await events.next(), 'report')) as string);
  } finally {
    events.close();
  }
}

/** Returns what follows the word of an event. */
function expectWord(line: string | undefined, word: string): string {
  if (line?.startsWith(word) === true) return line.slice(word.length + 1);
  const reason = line?.replace(/^failed \d+ /, '') ?? 'its Sentry has gone';
  throw new Failure('RUNTS_E_SENTRY', `system calls cannot be counted: ${reason}`);
}

interface Connection {
  send(line: string): void;
  /** The next line; undefined at the end. */
  next(): Promise<string | undefined>;
  close(): void;
}

/** The path of a socket may be 107 bytes long; that of a state directory longer. */
function connect(stateDirectory: string): Promise<Connection> {
  const directory = openSync(stateDirectory, 'r');
  const socket = createConnection(`/proc/self/fd/${directory}/${STATE_SOCKET_FILE}`);
  let text = '';
  let isOver = false;
  let changed: () => void = () => undefined;
  socket.setEncoding('latin1');
  socket.on('data', (piece) => {
    text += String(piece);
    changed();
  });
  socket.on('close', () => {
    isOver = true;
    changed();
  });
  return new Promise((resolve, reject) => {
    socket.on('error', (error) =>
      reject(new Failure('RUNTS_E_SENTRY', `its Sentry cannot be reached: ${error.message}`)),
    );
    socket.on('connect', () => {
      closeSync(directory);
      resolve({
        send: (line) => void socket.write(`${line}\n`),
        close: () => void socket.destroy(),
        next: async () => {
          while (!text.includes('\n') && !isOver)
            await new Promise<void>((wake) => {
              changed = wake;
            });
          const end = text.indexOf('\n');
          if (end < 0) return undefined;
          const line = text.slice(0, end);
          text = text.slice(end + 1);
          return line;
        },
      });
    });
  });
}

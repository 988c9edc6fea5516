// SPDX-License-Identifier: Apache-2.0
// Starts test/support/gofer-child.ts and connects to it.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isErrno } from '../../abi/errno.ts';
import { SOCK_SEQPACKET } from '../../abi/socket.ts';
import { native } from '../../native/addon.ts';
import type { OwnersConfig } from '../../protocol/attach-config.ts';
import { GoferClient } from '../../sentry/fs/gofer/client.ts';

/** The pinned Node: the machine's may be too old to run TypeScript. */
const node = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));

export interface TestGofer {
  readonly client: GoferClient;
  /** For requests that the client would not make. */
  readonly socketFd: number;
  readonly process: ChildProcess;
  stop(): void;
}

export function startGofer(...directories: string[]): TestGofer {
  return startWith({ GOFER_WATCHES: '0' }, directories);
}

/** One that knows whose the files may be. */
export function startOwnedGofer(owners: OwnersConfig, ...directories: string[]): TestGofer {
  return startWith({ GOFER_WATCHES: '16', GOFER_OWNERS: JSON.stringify(owners) }, directories);
}

/** One that may watch so many directories. */
export function startWatchingGofer(maxWatches: number, ...directories: string[]): TestGofer {
  return startWith({ GOFER_WATCHES: String(maxWatches) }, directories);
}

function startWith(
  environment: Readonly<Record<string, string>>,
  directories: readonly string[],
): TestGofer {
  const pair = new Int32Array(2);
  const made = native.socketpair(SOCK_SEQPACKET, pair);
  if (isErrno(made)) throw new Error(`socketpair: ${made}`);
  const [ours, theirs] = pair as unknown as [number, number];
  const script = fileURLToPath(new URL('./gofer-child.ts', import.meta.url));
  const child = spawn(node, ['--no-warnings', script, ...directories], {
    stdio: ['ignore', 'inherit', 'inherit', theirs],
    env: { ...process.env, ...environment },
  });
  native.close(theirs);
  return {
    client: new GoferClient(ours, { died: undefined, watching: () => undefined }),
    socketFd: ours,
    process: child,
    stop: () => void native.close(ours),
  };
}

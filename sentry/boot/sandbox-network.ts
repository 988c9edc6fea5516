// SPDX-License-Identifier: Apache-2.0
// `--network sandbox`: takes the network that the launcher took over from a network namespace of the
// host (native/launcher/link.c), before this process is confined.
import { isErrno } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { SENTRY_LINKS } from '../../protocol/descriptors.ts';
import { LINKS_FIRST, LINKS_RESOLVER, LINKS_TOLD, MAX_INTERFACES } from '../../protocol/links.ts';
import type { Network } from '../kernel/network.ts';
import { newLoopbackNetwork } from '../net/inet/loopback-network.ts';
import { newSandboxNetwork, type SandboxHost } from '../net/stack/sandbox-network.ts';
import { BootFailure } from './boot-failure.ts';

/** native/launcher/link.c tells at most so much. */
const MOST_TOLD_BYTES = 4 << 20;

/** With nothing to take over there is a loopback only. */
export function takeSandboxNetwork(host: SandboxHost): Network {
  const indexes = new Int32Array(MAX_INTERFACES);
  const fds = new Int32Array(1 + LINKS_FIRST + MAX_INTERFACES);
  const received = native.recvMessage(SENTRY_LINKS, new Uint8Array(indexes.buffer), fds, 0);
  native.close(SENTRY_LINKS);
  // It is /dev/null where there is no network in the namespace.
  if (isErrno(received)) return newLoopbackNetwork();
  const fd = (place: number): number => fds[1 + place] as number;
  const links = new Map<number, number>();
  for (let place = 0; place < received / 4; place += 1)
    links.set(indexes[place] as number, fd(LINKS_FIRST + place));
  const told = readAll(fd(LINKS_TOLD));
  native.close(fd(LINKS_TOLD));
  const network = newSandboxNetwork({ told, links, resolverFd: fd(LINKS_RESOLVER) }, host);
  if (isErrno(network)) throw new BootFailure(`--network sandbox: errno ${-network}`);
  return network;
}

function readAll(fd: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < MOST_TOLD_BYTES) {
    const part = new Uint8Array(65_536);
    const count = native.pread(fd, part, 0, part.length, at);
    if (isErrno(count)) throw new BootFailure(`--network sandbox: errno ${-count}`);
    if (count === 0) break;
    parts.push(part.subarray(0, count));
    at += count;
  }
  return Buffer.concat(parts);
}

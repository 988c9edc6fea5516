// SPDX-License-Identifier: Apache-2.0
// The network of a sandbox with interfaces of its own (`--network sandbox`): loopback as ever, and
// the stack for all else.
import { isErrno, type Result } from '../../../abi/errno.ts';
import { SOCK_RAW } from '../../../abi/socket.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Network } from '../../kernel/network.ts';
import { AbstractNames, NetlinkPorts } from '../../kernel/network-names.ts';
import type { Task } from '../../kernel/task.ts';
import type { Platform } from '../../platform/platform.ts';
import { newLoopbackSocket } from '../inet/families.ts';
import { inetProtocol, isPing } from '../inet/protocols.ts';
import { listInetSockets } from '../inet/socket-tables.ts';
import { PacketLink } from '../link/packet-link.ts';
import { ResolverRelay } from '../link/resolver-relay.ts';
import type { Socket } from '../socket.ts';
import type { StackHost } from './host.ts';
import { RawSocket } from './raw-socket.ts';
import { NetworkStack } from './stack.ts';
import { stackFiles } from './stack-files.ts';
import { StackIoctl } from './stack-ioctl.ts';
import { stackRouteAnswerer } from './stack-netlink.ts';
import { StackWayOut, stackSockets } from './stack-way-out.ts';
import { parseTaken, type TakenNetwork } from './taken-network.ts';

/** The descriptors and messages that the launcher handed over. */
export interface NetworkParts {
  /** Messages of rtnetlink. */
  readonly told: Uint8Array;
  /** Packet sockets, by the indexes of their interfaces. */
  readonly links: ReadonlyMap<number, number>;
  readonly resolverFd: number;
}

export interface SandboxHost extends StackHost {
  readonly platform: Platform;
}

/** The network of `parts`, or why its descriptors cannot be watched. */
export function newSandboxNetwork(parts: NetworkParts, host: SandboxHost): Result<Network> {
  const taken = parseTaken(parts.told);
  const links: PacketLink[] = [];
  let stack: NetworkStack | undefined;
  const theStack = (): NetworkStack => stack as NetworkStack;
  const receiver = {
    receiveFrame: (...frame: Parameters<NetworkStack['receiveFrame']>) =>
      theStack().receiveFrame(...frame),
    endBatch: () => theStack().endBatch(),
  };
  for (const description of taken.interfaces) {
    const hostFd = parts.links.get(description.index);
    if (hostFd === undefined) continue;
    const address = Uint8Array.from(description.address.split(':'), (byte) =>
      Number.parseInt(byte, 16),
    );
    links.push(new PacketLink({ ...description, address }, hostFd, receiver));
  }
  const sockets = stackSockets(theStack, host.account);
  stack = new NetworkStack(host, { links, ...taken }, sockets);
  for (const { ip, address, isPermanent } of taken.neighbours)
    stack.neighbours.preset(ip, address, isPermanent);
  const resolver = new ResolverRelay(parts.resolverFd, host.randomFill);
  for (const watched of [...links, resolver]) {
    const started = watched.start(host.platform);
    if (isErrno(started)) return started;
  }
  return networkOf(taken, stack, links, resolver, host);
}

function networkOf(
  taken: TakenNetwork,
  stack: NetworkStack,
  links: readonly PacketLink[],
  resolver: ResolverRelay,
  host: SandboxHost,
): Network {
  const wayOut = new StackWayOut(stack, resolver);
  const ioctl = new StackIoctl(taken);
  return {
    newSocket: (task, domain, type, protocol, flags) => {
      const raw = newRawSocket(task, { domain, type, protocol }, flags, stack, host);
      return raw ?? newLoopbackSocket(task, domain, type, protocol, flags, wayOut);
    },
    answerRoute: stackRouteAnswerer(taken, stack),
    answerDiag: undefined,
    interfaceIoctl: (command, argument, caller) => ioctl.answer(command, argument, caller),
    listSockets: listInetSockets,
    files: stackFiles(taken, stack, links),
    leftover: stack.tcp,
    abstractNames: new AbstractNames(),
    netlinkPorts: new NetlinkPorts(),
    interfaces: () =>
      taken.interfaces.map((shown) => {
        const link = links.find(({ index }) => index === shown.index);
        return link === undefined ? shown : { ...shown, counters: countersOf(link) };
      }),
  };
}

function countersOf(link: PacketLink): ReadonlyMap<string, number> {
  return new Map([
    ['rx_packets', link.receivedFrames],
    ['rx_bytes', link.receivedBytes],
    ['tx_packets', link.sentFrames],
    ['tx_bytes', link.sentBytes],
    ['tx_dropped', link.droppedFrames],
  ]);
}

/** Undefined for what is neither a raw nor a ping socket. */
function newRawSocket(
  task: Task,
  kind: { readonly domain: number; readonly type: number; readonly protocol: number },
  flags: number,
  stack: NetworkStack,
  host: SandboxHost,
): Result<Socket> | undefined {
  const chosen = inetProtocol(task, kind.domain, kind.type, kind.protocol);
  if (isErrno(chosen)) return undefined;
  if (kind.type !== SOCK_RAW && !isPing(chosen)) return undefined;
  const { credentials, kernel }: { credentials: Task['credentials']; kernel: Kernel } = task;
  const made = { ...kind, protocol: chosen };
  return new RawSocket(made, flags, credentials, kernel, stack, host.account);
}

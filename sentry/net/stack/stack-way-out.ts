// SPDX-License-Identifier: Apache-2.0
// The way out of the sandbox's sockets over its own stack, and the way in to them.
import { EACCES, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { chargedTo } from '../../base/charged-to.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { type Endpoint, type IpAddress, isMulticast } from '../inet/address.ts';
import { TcpSocket } from '../inet/tcp-socket.ts';
import { type UdpSocket, udpReceiver, udpReceivers } from '../inet/udp-socket.ts';
import type { DatagramOwner, OutsideStream, StreamOwner, WayOut } from '../inet/way-out.ts';
import type { ResolverRelay } from '../link/resolver-relay.ts';
import { MessageInbox } from '../unix/message-inbox.ts';
import type { DatagramReceiver, Listener, SendOptions, Sockets } from './host.ts';
import { newTuning, StackStream, type TunedSocket } from './outside-stream.ts';
import type { NetworkStack } from './stack.ts';

export class StackWayOut implements WayOut {
  readonly #stack: NetworkStack;
  readonly #resolver: ResolverRelay | undefined;

  constructor(stack: NetworkStack, resolver: ResolverRelay | undefined) {
    this.#stack = stack;
    this.#resolver = resolver;
  }

  isOwn(ip: IpAddress): boolean {
    return this.#stack.isOwn(ip);
  }

  route(to: Endpoint): Result<IpAddress> {
    return this.#stack.sourceFor(to.ip);
  }

  connect(owner: StreamOwner, from: Endpoint, to: Endpoint): Result<OutsideStream> {
    const socket = owner as StreamOwner & TunedSocket;
    const { tcp } = this.#stack;
    const stream = new StackStream(tcp, socket);
    const connection = tcp.connect(from, to, newTuning(socket), stream, currentAccount());
    if (isErrno(connection)) return connection;
    stream.attach(connection);
    return stream;
  }

  sendDatagram(owner: DatagramOwner, from: Endpoint, to: Endpoint, bytes: Uint8Array): SysResult {
    if (this.#resolver?.serves(to) === true) return this.#resolver.ask(owner, bytes);
    const socket = owner as UdpSocket;
    const isGroup = isMulticast(to.ip);
    if (this.#stack.isBroadcast(to.ip) && !socket.options.broadcast) return EACCES;
    const options = sendOptions(socket, isGroup);
    if (isGroup && isLoopedBack(socket)) {
      for (const each of udpReceivers(to, from)) if (each !== socket) each.deliver(bytes, from);
    }
    return this.#stack.datagrams.sendUdp(from, to, bytes, options);
  }

  /** Destinations of loopback addresses that are outside all the same. */
  takes(to: Endpoint): boolean {
    return this.#resolver?.serves(to) === true;
  }

  forget(owner: DatagramOwner): void {
    this.#resolver?.forget(owner);
  }
}

const discoverModes: readonly SendOptions['discover'][] = [
  'dont',
  'want',
  'do',
  'do',
  'dont',
  'dont',
];

function sendOptions({ inetOptions, domain }: UdpSocket, isGroup: boolean): SendOptions {
  const level = domain === so.AF_INET6 ? so.SOL_IPV6 : so.SOL_IP;
  const is6 = level === so.SOL_IPV6;
  const value = (name4: number, name6: number): number =>
    inetOptions.value(level, is6 ? name6 : name4);
  const hops = isGroup
    ? value(so.IP_MULTICAST_TTL, so.IPV6_MULTICAST_HOPS)
    : value(so.IP_TTL, so.IPV6_UNICAST_HOPS);
  return {
    hopLimit: hops < 0 || hops > 255 ? (isGroup ? 1 : 64) : hops,
    trafficClass: value(so.IP_TOS, so.IPV6_TCLASS) & 0xff,
    discover: discoverModes[value(so.IP_MTU_DISCOVER, so.IPV6_MTU_DISCOVER)] ?? 'want',
    linkIndex: 0,
  };
}

function isLoopedBack({ inetOptions, domain }: UdpSocket): boolean {
  return domain === so.AF_INET6
    ? inetOptions.value(so.SOL_IPV6, so.IPV6_MULTICAST_LOOP) !== 0
    : inetOptions.value(so.SOL_IP, so.IP_MULTICAST_LOOP) !== 0;
}

/** The sockets of the sandbox, as the stack finds them; `stackOf` is asked later, when there is one. */
export function stackSockets(stackOf: () => NetworkStack, account: MemoryAccount): Sockets {
  return {
    listener: (to, from) => {
      const socket = TcpSocket.listenerAt(to, from);
      return socket === undefined ? undefined : newListener(socket, stackOf);
    },
    receiver: (to, from) => {
      const socket = udpReceiver(to, from);
      return socket === undefined ? undefined : newReceiver(socket, account);
    },
    receivers: (to, from) =>
      [...udpReceivers(to, from)].map((socket) => newReceiver(socket, account)),
  };
}

function newListener(socket: TcpSocket, stackOf: () => NetworkStack): Listener {
  return {
    key: socket,
    get acceptRoom() {
      return socket.acceptRoom;
    },
    get backlog() {
      return socket.backlog;
    },
    account: socket.madeBy,
    tuning: () => newTuning(socket),
    accepted: (connection, local, remote) => {
      let stream: StackStream | undefined;
      const isTaken = socket.acceptOutside(local, remote, (owner) => {
        stream = new StackStream(stackOf().tcp, owner as StreamOwner & TunedSocket);
        stream.attach(connection);
        return stream;
      });
      return isTaken ? stream : undefined;
    },
  };
}

/** `account`: of the sandbox. */
function newReceiver(socket: UdpSocket, account: MemoryAccount): DatagramReceiver {
  return {
    arrived: (bytes, from) =>
      chargedTo(socket.madeBy, account, () => {
        if (MessageInbox.hasRoom(bytes.length)) socket.deliver(bytes.slice(), from);
      }),
    failed: (error) => {
      // As Linux: others than a refusal are only told to who asks for them.
      if (socket.remote !== undefined && error.isHard) socket.outsideFailed(error.errno);
    },
  };
}

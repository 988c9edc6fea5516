// SPDX-License-Identifier: Apache-2.0
// AF_NETLINK sockets (netlink(7)), protocol NETLINK_ROUTE: enough for getifaddrs(3),
// if_nameindex(3) and programs that list interfaces; NETLINK_SOCK_DIAG where the network answers
// it. No events are ever broadcast: nothing changes.

import { CAP_NET_ADMIN } from '../../../abi/capability.ts';
import {
  EADDRINUSE,
  EAGAIN,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENOTTY,
  EOPNOTSUPP,
  type SysResult,
} from '../../../abi/errno.ts';
import { FIONREAD } from '../../../abi/ioctl.ts';
import {
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_MIN_TYPE,
  nlmsghdr,
  RTM_MAX,
  sockaddrNl,
} from '../../../abi/netlink.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { AF_NETLINK, MSG_OOB, SOL_NETLINK } from '../../../abi/socket.ts';
import { sameIdRanges } from '../../../protocol/id-ranges.ts';
import type { NetlinkRequest, RouteAnswerer } from '../../kernel/network.ts';
import type { Caller } from '../../vfs/caller.ts';
import { type Credentials, isCapable } from '../../vfs/credentials.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import {
  familyOf,
  type PeerCredentials,
  type Received,
  type SendControl,
  Socket,
  type SocketCaller,
  type SocketKernel,
} from '../socket.ts';
import { MESSAGE_OVERHEAD } from '../socket-options.ts';
import { MessageInbox } from '../unix/message-inbox.ts';
import { errorMessage } from './route-message.ts';

const kernelSender: PeerCredentials = {
  pid: 0,
  pids: undefined,
  ids: sameIdRanges,
  uid: 0,
  gid: 0,
};
const maxRequestBytes = 65536;

export class NetlinkSocket extends Socket {
  readonly domain: number = AF_NETLINK;
  readonly type: number;
  readonly #answerer: RouteAnswerer;
  readonly #kernel: SocketKernel;
  readonly #inbox = new MessageInbox();
  #queuedBytes = 0;
  #portId = 0;
  #groups = 0;

  constructor(
    kind: { readonly type: number; readonly protocol: number; readonly answerer: RouteAnswerer },
    flags: number,
    credentials: Credentials,
    kernel: SocketKernel,
  ) {
    super(flags, kind.protocol, credentials, kernel.clock);
    this.options.useDefaults(kernel.settings);
    this.#kernel = kernel;
    this.type = kind.type;
    this.#answerer = kind.answerer;
  }

  override bind(address: Uint8Array, caller: SocketCaller): SysResult {
    if (address.length < sockaddrNl.size || familyOf(address) !== AF_NETLINK) return EINVAL;
    const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
    const wanted = view.getUint32(sockaddrNl.pid, true);
    if (this.#portId !== 0 && wanted !== this.#portId) return EINVAL;
    this.#groups = view.getUint32(sockaddrNl.groups, true);
    if (this.#portId !== 0) return 0;
    if (wanted === 0) return this.#autobind(caller);
    if (!this.#kernel.network.netlinkPorts.take(wanted)) return EADDRINUSE;
    this.#portId = wanted;
    return 0;
  }

  #autobind(caller: SocketCaller): SysResult {
    if (this.#portId === 0)
      this.#portId = this.#kernel.network.netlinkPorts.takeFor(caller.group.id);
    return 0;
  }

  override connect(address: Uint8Array, caller: SocketCaller): SysResult {
    if (address.length < sockaddrNl.size || familyOf(address) !== AF_NETLINK) return EINVAL;
    return this.#autobind(caller);
  }

  override close(): void {
    this.#kernel.network.netlinkPorts.release(this.#portId);
    this.#inbox.clear();
  }

  override localAddress(): Uint8Array {
    return netlinkAddress(this.#portId, this.#groups);
  }

  override peerAddress(): Uint8Array {
    return netlinkAddress(0, 0);
  }

  override shutdown(_how: number): SysResult {
    return EOPNOTSUPP;
  }

  override send(
    source: Source,
    flags: number,
    _address: Uint8Array | undefined,
    _control: SendControl,
    caller: SocketCaller | undefined,
  ): SysResult {
    if ((flags & MSG_OOB) !== 0) return EOPNOTSUPP;
    const lengthBytes = source.remaining;
    if (lengthBytes > maxRequestBytes) return EMSGSIZE;
    if (this.#queuedBytes > this.options.receiveBufferBytes) return ENOBUFS;
    if (caller !== undefined) this.#autobind(caller);
    if (!MessageInbox.hasRoom(lengthBytes)) return ENOBUFS;
    const bytes = new Uint8Array(lengthBytes);
    if (lengthBytes > 0 && source.take(bytes) < lengthBytes) return EFAULT;
    const privileged = caller !== undefined && isCapable(caller.credentials, CAP_NET_ADMIN);
    for (const request of requestsIn(bytes)) this.#answer(request, privileged);
    return lengthBytes;
  }

  #answer(request: NetlinkRequest, privileged: boolean): void {
    if ((request.flags & NLM_F_REQUEST) === 0 || request.type < NLMSG_MIN_TYPE) {
      if ((request.flags & NLM_F_ACK) !== 0) this.deliver(errorMessage(request, this.#portId, 0));
      return;
    }
    if (request.type > RTM_MAX) {
      this.deliver(errorMessage(request, this.#portId, EOPNOTSUPP));
      return;
    }
    const answers = this.#answerer(request, this.#portId, privileged);
    for (const answer of answers) this.deliver(answer);
    const isDump = (request.flags & NLM_F_DUMP) === NLM_F_DUMP;
    if ((request.flags & NLM_F_ACK) !== 0 && !isDump)
      this.deliver(errorMessage(request, this.#portId, 0));
  }

  /** Puts a datagram of the kernel's into the socket; it is lost where too many wait. */
  deliver(bytes: Uint8Array): void {
    if (this.#queuedBytes > this.options.receiveBufferBytes || !MessageInbox.hasRoom(bytes.length))
      return;
    const chargedBytes = bytes.length + MESSAGE_OVERHEAD;
    this.#queuedBytes += chargedBytes;
    const address = netlinkAddress(0, 0);
    const credit = (count: number): void => {
      this.#queuedBytes -= count;
    };
    this.#inbox.put({
      bytes,
      address,
      credentials: kernelSender,
      bundle: undefined,
      chargedBytes,
      credit,
    });
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    if ((flags & MSG_OOB) !== 0) return EOPNOTSUPP;
    if (this.#inbox.count === 0) return EAGAIN;
    return this.#inbox.take(sink, flags, received, this.options.passCredentials);
  }

  override poll(): number {
    const events = POLLOUT | POLLWRNORM;
    return this.#inbox.count > 0 ? events | POLLIN | POLLRDNORM : events;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command === FIONREAD) return caller.memory.writeU32(argument, this.#inbox.nextBytes);
    return this.#kernel.network.interfaceIoctl(command, argument, caller) ?? ENOTTY;
  }

  /** Memberships and strictness make no difference to what little is answered here. */
  override setOption(level: number, _name: number, _value: Uint8Array): SysResult {
    return level === SOL_NETLINK ? 0 : EOPNOTSUPP;
  }
}

function netlinkAddress(portId: number, groups: number): Uint8Array {
  const bytes = new Uint8Array(sockaddrNl.size);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(sockaddrNl.pid, portId, true);
  view.setUint32(sockaddrNl.groups, groups, true);
  return bytes;
}

/** The messages of one datagram, up to the first malformed one. */
function requestsIn(bytes: Uint8Array): NetlinkRequest[] {
  const requests: NetlinkRequest[] = [];
  let at = 0;
  while (at + nlmsghdr.size <= bytes.length) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
    const lengthBytes = view.getUint32(nlmsghdr.length, true);
    if (lengthBytes < nlmsghdr.size || lengthBytes > view.byteLength) break;
    requests.push({
      type: view.getUint16(nlmsghdr.type, true),
      flags: view.getUint16(nlmsghdr.flags, true),
      sequence: view.getUint32(nlmsghdr.sequence, true),
      bytes: bytes.subarray(at, at + lengthBytes),
      body: new DataView(
        bytes.buffer,
        bytes.byteOffset + at + nlmsghdr.size,
        lengthBytes - nlmsghdr.size,
      ),
    });
    at += Math.ceil(lengthBytes / 4) * 4;
  }
  return requests;
}

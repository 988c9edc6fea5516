// SPDX-License-Identifier: Apache-2.0
// A host socket that a process was given: a standard stream (a Node parent's pipes are such), one
// of --preserve-fds (socket activation). What it is connected to stays: data, shutdown(2), names
// and accept(2) work, on whatever family it is; bind(2), listen(2), connect(2) and other options do
// not. Descriptors pass in neither direction: files of the sandbox are none of the host's, and
// those of the host none of a guest's (MSG_CTRUNC tells of them).
import {
  EINVAL,
  ENOPROTOOPT,
  EOPNOTSUPP,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import type { Clock } from '../../base/clock.ts';
import type { WaitQueue } from '../../base/wait.ts';
import { GivenDescriptor } from '../../fs/given/given-descriptor.ts';
import { credentialsOf } from '../../kernel/credentials.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { hostAddress } from '../host-inet/host-address.ts';
import { hostSocketName, sendToHost } from '../host-inet/host-transfer.ts';
import { type Received, type SendControl, Socket } from '../socket.ts';

/** Staging for one transfer: nothing else runs while it is in use. Holds any datagram. */
const staging = new Uint8Array(262_144);
const name = new Uint8Array(so.SOCKADDR_STORAGE_BYTES);
const told = new Int32Array(3);
const optionValue = new Uint8Array(16);
/** Without room for control messages the host kernel makes no descriptors of them. */
const noRoom = new Uint8Array(0);

const sendFlags = so.MSG_OOB | so.MSG_EOR | so.MSG_MORE;
const receiveFlags = so.MSG_OOB | so.MSG_PEEK | so.MSG_TRUNC;
const toldFlags = so.MSG_OOB | so.MSG_EOR | so.MSG_TRUNC | so.MSG_CTRUNC;
/** Those that sentry/host/sentry-filter.ts lets the Sentry read from the host. */
export const readableOptions: readonly number[] = [
  so.SO_TYPE,
  so.SO_ERROR,
  so.SO_ACCEPTCONN,
  so.SO_PROTOCOL,
  so.SO_DOMAIN,
];

export class GivenSocket extends Socket {
  readonly domain: number;
  readonly type: number;
  override readonly queue: WaitQueue;
  readonly #isListening: boolean;
  readonly #descriptor: GivenDescriptor;
  readonly #platform: Platform;
  readonly #clock: Clock;

  constructor(descriptor: GivenDescriptor, platform: Platform, clock: Clock, flags = 0) {
    const { hostFd } = descriptor;
    super(flags, option(hostFd, so.SO_PROTOCOL), credentialsOf(0, 0, []), clock);
    this.domain = option(hostFd, so.SO_DOMAIN);
    this.type = option(hostFd, so.SO_TYPE);
    this.#isListening = option(hostFd, so.SO_ACCEPTCONN) === 1;
    // accept4(2) must not wait, also where somebody else takes the connection first.
    if (this.#isListening) native.setNonblocking(hostFd);
    this.#descriptor = descriptor;
    this.#platform = platform;
    this.#clock = clock;
    this.queue = descriptor.queue;
    descriptor.opened();
  }

  override close(): void {
    this.#descriptor.closed();
    super.close();
  }

  override get isListening(): boolean {
    return this.#isListening;
  }

  override get isByteStream(): boolean {
    return this.type === so.SOCK_STREAM;
  }

  override get raisesSigpipe(): boolean {
    return this.type === so.SOCK_STREAM;
  }

  override poll(): number {
    return this.#descriptor.poll();
  }

  override accept(flags: number): Result<Socket> {
    if (!this.isListening) return this.type === so.SOCK_STREAM ? EINVAL : EOPNOTSUPP;
    const hostFd = native.acceptSocket(this.#descriptor.hostFd, name, told);
    this.#descriptor.queue.rearm();
    if (isErrno(hostFd)) return hostFd;
    const accepted = new GivenDescriptor(hostFd, this.#platform, true);
    return new GivenSocket(accepted, this.#platform, this.#clock, flags);
  }

  override shutdown(how: number): SysResult {
    return native.shutdownSocket(this.#descriptor.hostFd, how);
  }

  override localAddress(): Result<Uint8Array> {
    return hostSocketName(this.#descriptor.hostFd, false);
  }

  override peerAddress(): Result<Uint8Array> {
    return hostSocketName(this.#descriptor.hostFd, true);
  }

  override send(
    source: Source,
    flags: number,
    address: Uint8Array | undefined,
    { files, credentials, messages }: SendControl,
  ): SysResult {
    if (files.length > 0 || credentials !== undefined || messages.length > 0) return EOPNOTSUPP;
    const to = this.#destination(address);
    if (to !== undefined && isErrno(to)) return to;
    const { hostFd, queue } = this.#descriptor;
    const asked = { hostFd, type: this.type, flags: flags & sendFlags, to, messages: undefined };
    const sent = sendToHost(asked, source, staging);
    queue.rearm();
    return sent;
  }

  /** Unix sockets have names of files and of a network namespace that are not the guest's. */
  #destination(address: Uint8Array | undefined): Result<Uint8Array> | undefined {
    if (address === undefined) return undefined;
    const isInternet = this.domain === so.AF_INET || this.domain === so.AF_INET6;
    return isInternet ? hostAddress(address, this.domain) : EOPNOTSUPP;
  }

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    const { hostFd, queue } = this.#descriptor;
    const wanted = Math.min(staging.length, sink.remaining);
    const hostFlags = flags & receiveFlags;
    const count = native.receiveDatagram(hostFd, staging, wanted, hostFlags, name, noRoom, told);
    queue.rearm();
    if (isErrno(count)) return count;
    const [nameBytes = 0, , messageFlags = 0] = told;
    received.address =
      nameBytes === 0 ? undefined : name.slice(0, Math.min(nameBytes, name.length));
    received.flags |= messageFlags & toldFlags;
    const isDropped = this.type === so.SOCK_STREAM && (flags & so.MSG_TRUNC) !== 0;
    if (isDropped || count === 0) return count;
    const put = sink.put(staging.subarray(0, Math.min(count, wanted)));
    return isErrno(put) || this.type === so.SOCK_STREAM ? put : count;
  }

  override takeError(): number {
    return option(this.#descriptor.hostFd, so.SO_ERROR);
  }

  override setCommonOption(which: number): SysResult | undefined {
    // Time-outs are the Sentry's; the rest would be remembered without an effect.
    return which === so.SO_RCVTIMEO || which === so.SO_SNDTIMEO ? undefined : ENOPROTOOPT;
  }
}

/** 0 where the host has no answer. */
function option(hostFd: number, which: number): number {
  const lengthBytes = native.socketOption(hostFd, so.SOL_SOCKET, which, optionValue);
  return lengthBytes < 4 ? 0 : new DataView(optionValue.buffer).getInt32(0, true);
}

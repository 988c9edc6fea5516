// SPDX-License-Identifier: Apache-2.0
// Options of level SOL_SOCKET (socket(7)): those that are kept as values. What depends on the
// protocol (SO_TYPE, SO_ERROR, SO_PEERCRED) is in syscalls/socket-options.ts.
import type { Settings } from '../base/settings.ts';
import type { SocketFilter } from './socket-filter.ts';

/** net.core.wmem_default of Linux, where no setting says otherwise. */
export const defaultBufferBytes = 212_992;
/** The size that a message counts in a buffer beside its bytes: about an sk_buff, as in Linux. */
export const MESSAGE_OVERHEAD = 768;
const minSendBytes = 4608;
const minReceiveBytes = 2304;

export class SocketOptions {
  /** The sizes in the form that getsockopt shows: twice what was asked for. */
  sendBufferBytes: number = defaultBufferBytes;
  receiveBufferBytes: number = defaultBufferBytes;
  /** They were set, and are not for TCP to choose. */
  isSendBufferSet = false;
  isReceiveBufferSet = false;
  receiveLowWater = 1;
  receiveTimeoutNs: number = Number.POSITIVE_INFINITY;
  sendTimeoutNs: number = Number.POSITIVE_INFINITY;
  passCredentials = false;
  passSecurity = false;
  passPidfd = false;
  reuseAddress = false;
  reusePort = false;
  keepAlive = false;
  broadcast = false;
  outOfBandInline = false;
  dontRoute = false;
  debug = false;
  noCheck = false;
  /** The SO_TIMESTAMP* option that is on; 0 for none. */
  stamp = 0;
  /** SO_BINDTODEVICE: 'lo', or '' for any interface. */
  boundDevice = '';
  /** SO_ATTACH_FILTER. */
  filter: SocketFilter | undefined = undefined;
  /** Options of common-options.ts that were set. */
  #numbers: Map<number, number> | undefined;
  priority = 0;
  mark = 0;
  lingerOn = false;
  lingerSeconds = 0;

  /** The sizes that net.core.wmem_default and rmem_default give a new socket (sock_init_data). */
  useDefaults(settings: Settings): void {
    this.sendBufferBytes = settings.number('net.core.wmem_default');
    this.receiveBufferBytes = settings.number('net.core.rmem_default');
  }

  /** `mostBytes`: net.core.wmem_max, or Infinity with SO_SNDBUFFORCE. */
  setSendBuffer(wantedBytes: number, mostBytes: number): void {
    this.sendBufferBytes = bufferBytes(wantedBytes, mostBytes, minSendBytes);
    this.isSendBufferSet = true;
  }

  /** `mostBytes`: net.core.rmem_max, or Infinity with SO_RCVBUFFORCE. */
  setReceiveBuffer(wantedBytes: number, mostBytes: number): void {
    this.receiveBufferBytes = bufferBytes(wantedBytes, mostBytes, minReceiveBytes);
    this.isReceiveBufferSet = true;
  }

  /** The value of an option of common-options.ts, or what an untouched socket has. */
  number(name: number, initial: number): number {
    return this.#numbers?.get(name) ?? initial;
  }

  setNumber(name: number, value: number): void {
    this.#numbers ??= new Map();
    this.#numbers.set(name, value);
  }

  /** The sender is to be told of (SO_PASSCRED, SO_PASSPIDFD). */
  asksForSender(): boolean {
    return this.passCredentials || this.passPidfd;
  }

  /** A receiver is to be told of more than bytes and sender. */
  asksForMessages(): boolean {
    return this.stamp !== 0 || this.#numbers !== undefined;
  }

  /** For an accepted socket: inherits what a Linux child socket does. */
  copyTo(child: SocketOptions): void {
    child.sendBufferBytes = this.sendBufferBytes;
    child.receiveBufferBytes = this.receiveBufferBytes;
    child.isSendBufferSet = this.isSendBufferSet;
    child.isReceiveBufferSet = this.isReceiveBufferSet;
    child.receiveTimeoutNs = this.receiveTimeoutNs;
    child.sendTimeoutNs = this.sendTimeoutNs;
    child.reuseAddress = this.reuseAddress;
    child.reusePort = this.reusePort;
    child.keepAlive = this.keepAlive;
    child.lingerOn = this.lingerOn;
    child.lingerSeconds = this.lingerSeconds;
    child.priority = this.priority;
    child.mark = this.mark;
    child.receiveLowWater = this.receiveLowWater;
    child.outOfBandInline = this.outOfBandInline;
    child.broadcast = this.broadcast;
    child.dontRoute = this.dontRoute;
    child.debug = this.debug;
    child.stamp = this.stamp;
    child.boundDevice = this.boundDevice;
    child.filter = this.filter;
    if (this.#numbers !== undefined) child.#numbers = new Map(this.#numbers);
  }
}

/** __sock_set_rcvbuf and sock_setsockopt: doubled for overhead, within bounds. */
function bufferBytes(wantedBytes: number, mostBytes: number, leastBytes: number): number {
  // Linux compares as unsigned numbers, so that a negative wish is the largest.
  const asked =
    mostBytes === Number.POSITIVE_INFINITY ? Math.max(0, wantedBytes) : wantedBytes >>> 0;
  return Math.max(Math.min(asked, mostBytes, 0x3fff_ffff) * 2, leastBytes);
}

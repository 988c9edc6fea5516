// SPDX-License-Identifier: Apache-2.0
// Options of level SOL_SOCKET (socket(7)): those that are kept as values. What depends on the
// protocol (SO_TYPE, SO_ERROR, SO_PEERCRED) is in syscalls/socket-options.ts.
import type { Settings } from '../base/settings.ts';

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
  reuseAddress = false;
  reusePort = false;
  keepAlive = false;
  broadcast = false;
  outOfBandInline = false;
  dontRoute = false;
  debug = false;
  noCheck = false;
  timestamp = false;
  timestampNs = false;
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
    child.timestamp = this.timestamp;
    child.timestampNs = this.timestampNs;
  }
}

/** __sock_set_rcvbuf and sock_setsockopt: doubled for overhead, within bounds. */
function bufferBytes(wantedBytes: number, mostBytes: number, leastBytes: number): number {
  // Linux compares as unsigned numbers, so that a negative wish is the largest.
  const asked =
    mostBytes === Number.POSITIVE_INFINITY ? Math.max(0, wantedBytes) : wantedBytes >>> 0;
  return Math.max(Math.min(asked, mostBytes, 0x3fff_ffff) * 2, leastBytes);
}

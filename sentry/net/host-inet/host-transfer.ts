// SPDX-License-Identifier: Apache-2.0
// What the sockets over the host's have in common: sending in pieces, and asking for names.
import { EFAULT, EMSGSIZE, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { SOCK_STREAM, SOCKADDR_STORAGE_BYTES } from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import type { Source } from '../../vfs/io.ts';

const name = new Uint8Array(SOCKADDR_STORAGE_BYTES);

/** One send(2) as the host is to see it. */
export interface HostSend {
  readonly hostFd: number;
  /** SOCK_*: only a stream may be sent in pieces. */
  readonly type: number;
  /** MSG_*, of those that go on to the host. */
  readonly flags: number;
  readonly to: Uint8Array | undefined;
  /** Encoded control messages. */
  readonly messages: Uint8Array | undefined;
}

/**
 * Sends what `source` holds by way of `staging`, which must hold any datagram. Bytes that the host
 * does not take go back to the source. The host descriptor must be one on which sending does not
 * wait.
 */
export function sendToHost(
  { hostFd, type, flags, to, messages }: HostSend,
  source: Source,
  staging: Uint8Array,
): SysResult {
  const isStream = type === SOCK_STREAM;
  if (!isStream && source.remaining > staging.length) return EMSGSIZE;
  let total = 0;
  do {
    const wanted = Math.min(staging.length, source.remaining);
    const taken = wanted === 0 ? 0 : source.take(staging.subarray(0, wanted));
    if (isErrno(taken)) return total > 0 ? total : taken;
    if (taken < wanted && !isStream) return EFAULT;
    const count = native.sendDatagram(hostFd, staging, taken, flags, to, messages);
    source.giveBack(taken - Math.max(0, count));
    if (isErrno(count)) return total > 0 ? total : count;
    total += count;
    if (count < taken || taken < wanted) break;
  } while (source.remaining > 0);
  return total;
}

/** getsockname(2), or with `peer` getpeername(2), of a host socket. */
export function hostSocketName(hostFd: number, peer: boolean): Result<Uint8Array> {
  const lengthBytes = native.socketName(hostFd, name, peer ? 1 : 0);
  return isErrno(lengthBytes) ? lengthBytes : name.slice(0, lengthBytes);
}

// SPDX-License-Identifier: Apache-2.0
// Datagrams that nobody of the sandbox sent: what waits in a ping or raw socket.
import type { SysResult } from '../../../abi/errno.ts';
import { sameIdRanges } from '../../../protocol/id-ranges.ts';
import type { Sink } from '../../vfs/io.ts';
import type { PeerCredentials, Received } from '../socket.ts';
import { MESSAGE_OVERHEAD } from '../socket-options.ts';
import { MessageInbox } from '../unix/message-inbox.ts';
import { encodeInetAddress, type IpAddress } from './address.ts';

const nobody: PeerCredentials = { pid: 0, pids: undefined, ids: sameIdRanges, uid: 0, gid: 0 };

export class DatagramInbox {
  readonly #inbox = new MessageInbox();
  /** The bytes that wait, as they count against SO_RCVBUF. */
  queuedBytes = 0;

  get count(): number {
    return this.#inbox.count;
  }

  /** FIONREAD: the bytes of the first. */
  get nextBytes(): number {
    return this.#inbox.nextBytes;
  }

  /** Puts a datagram in that came from `ip`, for a socket of `domain`. The caller looked for room. */
  put(bytes: Uint8Array, ip: IpAddress, domain: number): void {
    const chargedBytes = bytes.length + MESSAGE_OVERHEAD;
    this.queuedBytes += chargedBytes;
    this.#inbox.put({
      bytes,
      address: encodeInetAddress({ ip, port: 0 }, domain),
      credentials: nobody,
      bundle: undefined,
      chargedBytes,
      credit: (count) => {
        this.queuedBytes -= count;
      },
    });
  }

  take(sink: Sink, flags: number, received: Received): SysResult {
    return this.#inbox.take(sink, flags, received, false);
  }

  clear(): void {
    this.#inbox.clear();
  }
}

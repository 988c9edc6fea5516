// SPDX-License-Identifier: Apache-2.0
// A netlink socket of the Sentry's own on the host, opened at boot: sends requests that are put
// together here. The kernel answers within sendmsg(2) and recvmsg(2): nothing waits.
import { EAGAIN, EIO, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { native } from '../../../native/addon.ts';
import { message } from '../netlink/route-message.ts';

/** One message of an answer. */
export interface HostMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

/** No dump is longer: a table of routes may be. */
const mostMessages = 65_536;
const buffer = new Uint8Array(65_536);
const sender = new Uint8Array(nl.sockaddrNl.size);
const noControl = new Uint8Array(0);
const told = new Int32Array(3);

export class HostNetlink {
  readonly #hostFd: number;
  #sequence = 0;

  constructor(hostFd: number) {
    this.#hostFd = hostFd;
  }

  /** One message, or with NLM_F_DUMP all that come. */
  ask(type: number, flags: number, body: Uint8Array): Result<HostMessage[]> {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const request = message(type, nl.NLM_F_REQUEST | flags, this.#sequence, 0, body);
    const sent = native.sendDatagram(
      this.#hostFd,
      request,
      request.length,
      0,
      undefined,
      undefined,
    );
    if (isErrno(sent)) return sent;
    const messages: HostMessage[] = [];
    for (;;) {
      const count = this.#receive();
      if (isErrno(count)) return count === EAGAIN ? EIO : count;
      const ended = this.#take(buffer.subarray(0, count), flags === 0, messages);
      if (ended === true) return messages;
      if (ended !== false) return ended;
    }
  }

  /** One datagram of the kernel's; others may not write to us, but who knows. */
  #receive(): SysResult {
    for (;;) {
      const { length } = buffer;
      const count = native.receiveDatagram(
        this.#hostFd,
        buffer,
        length,
        0,
        sender,
        noControl,
        told,
      );
      if (isErrno(count)) return count;
      if (new DataView(sender.buffer).getUint32(nl.sockaddrNl.pid, true) === 0) return count;
    }
  }

  /** True at the end of the answer; an error that the kernel tells. */
  #take(bytes: Uint8Array, isSingle: boolean, messages: HostMessage[]): boolean | Result<never> {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at + nl.nlmsghdr.size <= bytes.length) {
      const lengthBytes = view.getUint32(at + nl.nlmsghdr.length, true);
      if (lengthBytes < nl.nlmsghdr.size || lengthBytes > bytes.length - at) return EIO;
      const type = view.getUint16(at + nl.nlmsghdr.type, true);
      // What is left of an answer that was not read to its end has an older number.
      const isOurs = view.getUint32(at + nl.nlmsghdr.sequence, true) === this.#sequence;
      if (isOurs) {
        if (type === nl.NLMSG_DONE) return true;
        if (type === nl.NLMSG_ERROR) {
          const error = lengthBytes < 20 ? EIO : view.getInt32(at + nl.nlmsghdr.size, true);
          return isErrno(error) ? error : EIO;
        }
        const body = bytes.slice(at + nl.nlmsghdr.size, at + lengthBytes);
        messages.push({ type, body });
        if (isSingle || messages.length >= mostMessages) return true;
      }
      at += Math.ceil(lengthBytes / 4) * 4;
    }
    return false;
  }
}

// SPDX-License-Identifier: Apache-2.0
// The Sentry's side of the network broker (native/launcher/broker.c), which makes what takes a
// capability in the network namespace that the Sentry shares and in which it has none. There is one
// only for containers that have such a capability; which of the guest's processes may ask, the
// Sentry judges before it does.
import { EINTR, EPERM, isErrno, type SysResult } from '../../../abi/errno.ts';
import { native } from '../../../native/addon.ts';
import {
  BROKER_ADDRESS_BYTES,
  BROKER_BIND,
  BROKER_MAKE_PING,
  BROKER_MAKE_RAW,
  BROKER_REQUEST,
  BROKER_REQUEST_BYTES,
} from '../../../protocol/broker.ts';

export class NetworkBroker {
  readonly #socketFd: number;
  readonly #request = new Uint8Array(BROKER_REQUEST_BYTES);
  readonly #view: DataView = new DataView(this.#request.buffer);
  readonly #reply = new Uint8Array(4);
  /** The number of descriptors, and descriptors. */
  readonly #fds = new Int32Array(2);

  constructor(socketFd: number) {
    this.#socketFd = socketFd;
  }

  /** A descriptor; EPERM where nobody may make one. */
  rawSocket(domain: number, protocol: number): SysResult {
    this.#begin(BROKER_MAKE_RAW, domain);
    this.#view.setUint32(BROKER_REQUEST.protocol, protocol, true);
    return this.#socket();
  }

  pingSocket(domain: number): SysResult {
    this.#begin(BROKER_MAKE_PING, domain);
    return this.#socket();
  }

  /** `address` of 16 or 28 bytes. */
  bind(hostFd: number, address: Uint8Array): SysResult {
    this.#begin(BROKER_BIND, 0);
    this.#view.setUint32(BROKER_REQUEST.addressBytes, address.length, true);
    this.#request.set(address.subarray(0, BROKER_ADDRESS_BYTES), BROKER_REQUEST.address);
    return this.#ask(hostFd);
  }

  #begin(operation: number, domain: number): void {
    this.#request.fill(0);
    this.#view.setUint32(BROKER_REQUEST.operation, operation, true);
    this.#view.setUint32(BROKER_REQUEST.domain, domain, true);
  }

  #socket(): SysResult {
    const result = this.#ask(-1);
    if (isErrno(result)) return result;
    return this.#fds[0] === 1 ? (this.#fds[1] as number) : EPERM;
  }

  /** Waits for the answer: nothing that the broker does takes time. */
  #ask(hostFd: number): SysResult {
    this.#fds.set([hostFd, 0]);
    const count = hostFd < 0 ? 0 : 1;
    const sent = native.sendMessage(
      this.#socketFd,
      this.#request,
      BROKER_REQUEST_BYTES,
      this.#fds,
      count,
      0,
    );
    if (sent !== BROKER_REQUEST_BYTES) return EPERM;
    for (;;) {
      const got = native.recvMessage(this.#socketFd, this.#reply, this.#fds, 0);
      if (got === EINTR) continue;
      if (got !== 4) return EPERM;
      return Math.min(0, new DataView(this.#reply.buffer).getInt32(0, true));
    }
  }
}

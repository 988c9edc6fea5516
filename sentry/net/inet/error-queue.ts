// SPDX-License-Identifier: Apache-2.0
// Errors that wait at a socket with IP_RECVERR (ip(7)): recvmsg(2) with MSG_ERRQUEUE takes them, each with
// what was sent, to whom, and struct sock_extended_err.
import { AF_INET6, IP_RECVERR, IPV6_RECVERR, SOL_IP, SOL_IPV6 } from '../../../abi/socket.ts';
import type { ControlMessage } from '../socket.ts';
import { type Endpoint, encodeInetAddress, isV4 } from './address.ts';

/** SO_EE_ORIGIN_*. */
const ORIGIN_LOCAL = 1;
const ORIGIN_ICMP = 2;
const ORIGIN_ICMP6 = 3;
const extendedErrorBytes = 16;
/** The most errors that one socket keeps. */
const MOST_ERRORS = 64;

export interface QueuedError {
  /** A positive errno. */
  readonly errno: number;
  readonly isLocal: boolean;
  /** For EMSGSIZE: what would have fit. */
  readonly info: number;
  /** The bytes that were sent, and to whom. */
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}

export class ErrorQueue {
  readonly #errors: QueuedError[] = [];

  get isEmpty(): boolean {
    return this.#errors.length === 0;
  }

  put(error: QueuedError): void {
    if (this.#errors.length < MOST_ERRORS) this.#errors.push(error);
  }

  shift(): QueuedError | undefined {
    return this.#errors.shift();
  }

  clear(): void {
    this.#errors.length = 0;
  }
}

/** The control message of an error: struct sock_extended_err and the address of who found it. */
export function errorMessage(error: QueuedError, domain: number): ControlMessage {
  const isSix = domain === AF_INET6;
  const isV4Error = isV4(error.to.ip);
  const offender = encodeInetAddress({ ip: error.to.ip, port: 0 }, domain);
  const view = new DataView(new ArrayBuffer(extendedErrorBytes + offender.length));
  view.setUint32(0, error.errno, true);
  view.setUint8(4, error.isLocal ? ORIGIN_LOCAL : isV4Error ? ORIGIN_ICMP : ORIGIN_ICMP6);
  if (!error.isLocal) {
    // Destination unreachable: port.
    view.setUint8(5, isV4Error ? 3 : 1);
    view.setUint8(6, isV4Error ? 3 : 4);
  }
  view.setUint32(8, error.info, true);
  const data = new Uint8Array(view.buffer);
  if (!error.isLocal) data.set(offender, extendedErrorBytes);
  return isSix
    ? { level: SOL_IPV6, type: IPV6_RECVERR, data }
    : { level: SOL_IP, type: IP_RECVERR, data };
}

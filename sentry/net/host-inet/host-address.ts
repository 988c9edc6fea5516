// SPDX-License-Identifier: Apache-2.0
// struct sockaddr on its way to the host: always 16 bytes (sockaddr_in) or 28 (sockaddr_in6), which
// the Sentry's seccomp list holds it to. Whether the address makes sense is the host kernel's to
// say.
import { EINVAL, isErrno, type Result } from '../../../abi/errno.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  SIN6_LEN_RFC2133,
  SOCKADDR_IN_BYTES,
  SOCKADDR_IN6_BYTES,
} from '../../../abi/socket.ts';
import { familyOf } from '../socket.ts';

/** `bytes` as the guest gave them, for a socket of `domain`. */
export function hostAddress(bytes: Uint8Array, domain: number): Result<Uint8Array> {
  const family = familyOf(bytes);
  if (isErrno(family)) return family;
  if (family === AF_UNSPEC) return sized(bytes, SOCKADDR_IN_BYTES);
  if (domain === AF_INET6 && family !== AF_INET) {
    return bytes.length < SIN6_LEN_RFC2133 ? EINVAL : sized(bytes, SOCKADDR_IN6_BYTES);
  }
  return bytes.length < SOCKADDR_IN_BYTES ? EINVAL : sized(bytes, SOCKADDR_IN_BYTES);
}

function sized(bytes: Uint8Array, lengthBytes: number): Uint8Array {
  const out = new Uint8Array(lengthBytes);
  out.set(bytes.subarray(0, lengthBytes));
  return out;
}

/** The port of an AF_INET or AF_INET6 address, which has it at the same place. */
export function portIn(address: Uint8Array): number {
  return ((address[2] as number) << 8) | (address[3] as number);
}

// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/inet.c. Every call answers >= 0 or -errno, and none waits.
import type { SysResult } from '../../abi/errno.ts';

export interface InetCalls {
  /** socket(2), non-blocking and close-on-exec. */
  hostSocket(domain: number, type: number, protocol: number): SysResult;
  bindSocket(fd: number, address: Uint8Array): SysResult;
  connectSocket(fd: number, address: Uint8Array): SysResult;
  listenSocket(fd: number, backlog: number): SysResult;
  /** accept4(2), non-blocking and close-on-exec. out[0]: bytes of the peer's address. */
  acceptSocket(fd: number, name: Uint8Array, out: Int32Array): SysResult;
  shutdownSocket(fd: number, how: number): SysResult;
  /** getsockname(2), or getpeername(2) with `peer` 1: bytes of the address. */
  socketName(fd: number, out: Uint8Array, peer: 0 | 1): SysResult;
  /** getsockopt(2): bytes of the value. */
  socketOption(fd: number, level: number, name: number, out: Uint8Array): SysResult;
  setSocketOption(fd: number, level: number, name: number, value: Uint8Array): SysResult;
  /** sendmsg(2) of bytes[0..length); MSG_DONTWAIT and MSG_NOSIGNAL are added. */
  sendDatagram(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array | undefined,
    control: Uint8Array | undefined,
  ): SysResult;
  /**
   * recvmsg(2) of up to `length` bytes; MSG_DONTWAIT is added. out: bytes of the sender's address,
   * bytes of control messages, MSG_* flags.
   */
  receiveDatagram(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    name: Uint8Array,
    control: Uint8Array,
    out: Int32Array,
  ): SysResult;
  /** ioctl(2) whose argument is (at most) the first 40 bytes of `bytes`. */
  socketIoctl(fd: number, request: number, bytes: Uint8Array): SysResult;
  /** SIOCGIFCONF: bytes of struct ifreq in `out`. */
  interfaceList(fd: number, out: Uint8Array): SysResult;
}

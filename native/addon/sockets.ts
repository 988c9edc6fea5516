// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/sockets.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

export interface SocketCalls {
  /** A connection of a listening socket, non-blocking and close-on-exec. */
  acceptConnection(fd: number): SysResult;
  setNonblocking(fd: number): SysResult;
  /** AF_UNIX, close-on-exec. The two descriptors go to out[0] and out[1]. */
  socketpair(type: number, out: Int32Array): SysResult;
  /** sendmsg(2) of bytes[0..length) with fds[0..fdCount) as SCM_RIGHTS; MSG_NOSIGNAL is added. */
  sendMessage(
    fd: number,
    bytes: Uint8Array,
    length: number,
    fds: Int32Array | undefined,
    fdCount: number,
    flags: number,
  ): SysResult;
  /**
   * recvmsg(2). fds[0] becomes the number of descriptors received, fds[1...] the descriptors
   * (close-on-exec; those without room are closed). EMSGSIZE: the message was longer than bytes.
   */
  recvMessage(fd: number, bytes: Uint8Array, fds: Int32Array | undefined, flags: number): SysResult;
}

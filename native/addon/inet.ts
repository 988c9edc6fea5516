// Types of native/addon/inet.c. Every call answers >= 0 or -errno, and none waits.
export interface InetCalls {
  /** socket(2), non-blocking and close-on-exec. */
  hostSocket(domain: number, type: number, protocol: number): number;
  bindSocket(fd: number, address: Uint8Array): number;
  connectSocket(fd: number, address: Uint8Array): number;
  listenSocket(fd: number, backlog: number): number;
  /** accept4(2), non-blocking and close-on-exec. out[0]: bytes of the peer's address. */
  acceptSocket(fd: number, name: Uint8Array, out: Int32Array): number;
  shutdownSocket(fd: number, how: number): number;
  /** getsockname(2), or getpeername(2) with `peer` 1: bytes of the address. */
  socketName(fd: number, out: Uint8Array, peer: 0 | 1): number;
  /** getsockopt(2): bytes of the value. */
  socketOption(fd: number, level: number, name: number, out: Uint8Array): number;
  setSocketOption(fd: number, level: number, name: number, value: Uint8Array): number;
  /** sendmsg(2) of bytes[0..length); MSG_DONTWAIT and MSG_NOSIGNAL are added. */
  sendDatagram(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array | undefined,
    control: Uint8Array | undefined,
  ): number;
  /**
   * recvmsg(2) of up to `length` bytes; MSG_DONTWAIT is added. out: bytes of the sender's address, bytes of control
   * messages, MSG_* flags.
   */
  receiveDatagram(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    name: Uint8Array,
    control: Uint8Array,
    out: Int32Array,
  ): number;
  /** ioctl(2) whose argument is (at most) the first 40 bytes of `bytes`. */
  socketIoctl(fd: number, request: number, bytes: Uint8Array): number;
  /** SIOCGIFCONF: bytes of struct ifreq in `out`. */
  interfaceList(fd: number, out: Uint8Array): number;
}

// SPDX-License-Identifier: Apache-2.0
// The name of one Unix socket: what bind(2) gives it, and how others find it by it.
import {
  EADDRINUSE,
  ECONNREFUSED,
  EINVAL,
  ENOSPC,
  EPROTOTYPE,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import type { AbstractNames } from '../../kernel/network-names.ts';
import type { Path } from '../../vfs/path.ts';
import type { SocketCaller } from '../socket.ts';
import {
  bindNode,
  encodeUnixAddress,
  parseUnixAddress,
  type UnixAddress,
  unbindNode,
  unnamed,
} from './address.ts';
import { makeSocketNode, socketAtPath } from './socket-path.ts';
import type { UnixSocket } from './unix-socket.ts';

export class BoundName {
  readonly #abstractNames: AbstractNames;
  #address: UnixAddress = unnamed;
  /**
   * The node that bind(2) made, pinned; undefined for other names, and for that of a listener that
   * an accepted socket shows.
   */
  #path: Path | undefined;

  constructor(abstractNames: AbstractNames) {
    this.#abstractNames = abstractNames;
  }

  get address(): UnixAddress {
    return this.#address;
  }

  get isUnnamed(): boolean {
    return this.#address.kind === 'unnamed';
  }

  /** struct sockaddr_un. */
  encode(): Uint8Array {
    return encodeUnixAddress(this.#address);
  }

  /** bind(2) of `socket`, whose name this is. */
  bind(socket: UnixSocket, bytes: Uint8Array, caller: SocketCaller): SysResult {
    const address = parseUnixAddress(bytes);
    if (isErrno(address)) return address;
    if (address.kind === 'unnamed') return this.autobind(socket);
    // Linux makes the node before it looks whether the socket has a name.
    const isTaken =
      address.kind === 'path' && isErrno(socketAtPath(address.name, caller)) === false;
    if (!this.isUnnamed) return isTaken ? EADDRINUSE : EINVAL;
    if (address.kind === 'abstract') {
      if (!this.#abstractNames.bind(address.name, socket)) return EADDRINUSE;
    } else {
      const path = makeSocketNode(address.name, caller);
      if (isErrno(path)) return path;
      path.pin();
      this.#path = path;
      bindNode(path.node, socket);
    }
    this.#address = address;
    return 0;
  }

  /** A name of the kernel's choice, where `socket` has none yet. */
  autobind(socket: UnixSocket): SysResult {
    if (!this.isUnnamed) return 0;
    const name = this.#abstractNames.free();
    if (name === undefined) return ENOSPC;
    this.#abstractNames.bind(name, socket);
    this.#address = { kind: 'abstract', name };
    return 0;
  }

  /** An accepted socket shows the name of its listener, by which it cannot be found. */
  showThatOf(listener: BoundName): void {
    this.#address = listener.address;
  }

  /** `socket` is closed: its name finds nobody from here on, and an abstract one is free again. */
  unbind(socket: UnixSocket): void {
    const address = this.#address;
    if (address.kind === 'abstract') this.#abstractNames.unbind(address.name, socket);
    if (this.#path === undefined) return;
    unbindNode(this.#path.node);
    this.#path.unpin();
  }

  /** The socket, of type `type`, that the struct sockaddr_un `bytes` names where this name would be found. */
  find(bytes: Uint8Array, type: number, caller: SocketCaller): Result<UnixSocket> {
    const address = parseUnixAddress(bytes);
    if (isErrno(address)) return address;
    if (address.kind === 'unnamed') return EINVAL;
    const found =
      address.kind === 'abstract'
        ? (this.#abstractNames.get(address.name) as UnixSocket | undefined) // Nothing else is ever bound.
        : socketAtPath(address.name, caller);
    if (found === undefined) return ECONNREFUSED;
    if (isErrno(found)) return found;
    return found.type === type ? found : EPROTOTYPE;
  }
}

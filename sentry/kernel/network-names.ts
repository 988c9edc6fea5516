// SPDX-License-Identifier: Apache-2.0
// Names that sockets have in a network without being in any file system: abstract addresses of
// unix(7), ports of netlink(7). As in Linux they are the network's, so all containers of a pod
// share them.
import type { OpenFile } from '../vfs/open-file.ts';

/** Autobind gives five hexadecimal digits. */
const MOST_AUTOBOUND = 0xfffff;
/** Linux's first choice where a process's id is taken; downwards from there. */
const FIRST_SPARE_PORT = 0xffff_f000;

export class AbstractNames {
  readonly #sockets = new Map<string, OpenFile>();
  /** Every Unix socket, named or not, for /proc/net/unix. */
  readonly all: Set<OpenFile> = new Set();
  #lastAutobound = 0;

  get(name: string): OpenFile | undefined {
    return this.#sockets.get(name);
  }

  /** False where the name is taken. */
  bind(name: string, socket: OpenFile): boolean {
    if (this.#sockets.has(name)) return false;
    this.#sockets.set(name, socket);
    return true;
  }

  /** Forgets the name where it is that of `socket`. */
  unbind(name: string, socket: OpenFile): void {
    if (this.#sockets.get(name) === socket) this.#sockets.delete(name);
  }

  /** A free name of five hexadecimal digits (unix(7), autobind); undefined when all are taken. */
  free(): string | undefined {
    for (let tries = 0; tries <= MOST_AUTOBOUND; tries += 1) {
      this.#lastAutobound = (this.#lastAutobound + 1) & MOST_AUTOBOUND;
      const name = this.#lastAutobound.toString(16).padStart(5, '0');
      if (!this.#sockets.has(name)) return name;
    }
    return undefined;
  }
}

export class NetlinkPorts {
  readonly #taken = new Set<number>();
  #nextSpare = FIRST_SPARE_PORT;

  /** False where the id is taken. */
  take(id: number): boolean {
    if (this.#taken.has(id)) return false;
    this.#taken.add(id);
    return true;
  }

  /** Takes the process's own id for its first socket, else one that no process has. */
  takeFor(processId: number): number {
    let id = processId;
    while (!this.take(id)) {
      id = this.#nextSpare;
      this.#nextSpare -= 1;
    }
    return id;
  }

  release(id: number): void {
    this.#taken.delete(id);
  }
}

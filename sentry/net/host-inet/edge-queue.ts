// SPDX-License-Identifier: Apache-2.0
// The wait queue of a host socket: watched edge-triggered from its making to its end. The host
// tells of each change once; who sleeps here has asked the host before (EAGAIN, or poll) and so
// misses none. A level-triggered watch would fire for ever on a socket that is writable and that
// the guest watches with EPOLLET.
import { EPOLLET } from '../../../abi/epoll.ts';
import type { SysResult } from '../../../abi/errno.ts';
import { POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { WaitQueue } from '../../base/wait.ts';
import type { HostFdWatcher, Platform } from '../../platform/platform.ts';

const changes = (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | EPOLLET) >>> 0;

export class EdgeQueue extends WaitQueue implements HostFdWatcher {
  readonly #hostFd: number;
  readonly #platform: Platform;

  constructor(hostFd: number, platform: Platform) {
    super();
    this.#hostFd = hostFd;
    this.#platform = platform;
  }

  start(): SysResult {
    return this.#platform.watch(this.#hostFd, changes, this);
  }

  /** Before the descriptor is closed. */
  end(): void {
    this.#platform.unwatch(this.#hostFd);
  }

  /** HostFdWatcher. */
  ready(events: number): void {
    let told = events;
    if ((events & POLLIN) !== 0) told |= POLLRDNORM;
    if ((events & POLLOUT) !== 0) told |= POLLWRNORM;
    this.notify(told);
  }
}

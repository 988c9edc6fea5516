// SPDX-License-Identifier: Apache-2.0
// What all sockets over the host's share: where they are watched, who makes privileged ones, and
// how many there may be. Descriptors are one resource of the whole Sentry, so guests get a part of
// them only.
import type { Clock } from '../../base/clock.ts';
import type { Platform } from '../../platform/platform.ts';
import type { NetworkBroker } from './network-broker.ts';

export class HostSockets {
  readonly platform: Platform;
  readonly clock: Clock;
  readonly broker: NetworkBroker;
  #left: number;

  constructor(platform: Platform, clock: Clock, most: number, broker: NetworkBroker) {
    this.platform = platform;
    this.clock = clock;
    this.broker = broker;
    this.#left = most;
  }

  /** False where there are too many already. */
  take(): boolean {
    if (this.#left <= 0) return false;
    this.#left -= 1;
    return true;
  }

  giveBack(): void {
    this.#left += 1;
  }
}

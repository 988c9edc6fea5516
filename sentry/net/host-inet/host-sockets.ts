// What all sockets over the host's share: where they are watched, and how many there may be. Descriptors are one
// resource of the whole Sentry, so guests get a part of them only.
import type { Clock } from '../../base/clock.ts';
import type { Platform } from '../../platform/platform.ts';

export class HostSockets {
  readonly platform: Platform;
  readonly clock: Clock;
  #left: number;

  constructor(platform: Platform, clock: Clock, most: number) {
    this.platform = platform;
    this.clock = clock;
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

// SPDX-License-Identifier: Apache-2.0
// A platform whose waits are timed (`runts do --stats`, `--profile`): how long the Sentry's only
// thread waited while guest code ran, and while nothing did. Without those flags the kernel has the
// platform itself.
import type { Result, SysResult } from '../../abi/errno.ts';
import type { AddressSpace } from './address-space.ts';
import type { GuestThread } from './guest-thread.ts';
import type { HandoverCounters } from './handover-counters.ts';
import type {
  FreshAddressSpace,
  HostFdWatcher,
  Platform,
  PlatformEvents,
  ProcessPool,
} from './platform.ts';

export class MeteredPlatform implements Platform {
  readonly #platform: Platform;
  readonly #nowNs: () => number;
  /** Waits that began while at least one guest thread ran, and those in which nothing did. */
  guestNs = 0;
  idleNs = 0;
  /** Time in events, which the platform delivers within its waits too. */
  #eventsNs = 0;

  constructor(platform: Platform, nowNs: () => number) {
    this.#platform = platform;
    this.#nowNs = nowNs;
  }

  get name(): string {
    return this.#platform.name;
  }

  get guestTop(): number {
    return this.#platform.guestTop;
  }

  get sleptNs(): number {
    return this.#platform.sleptNs;
  }

  get runningThreads(): number {
    return this.#platform.runningThreads;
  }

  get counters(): HandoverCounters | undefined {
    return this.#platform.counters;
  }

  start(events: PlatformEvents): void {
    this.#platform.start({
      threadStopped: (thread: GuestThread) => this.#timed(() => events.threadStopped(thread)),
      addressSpaceDied: (space: AddressSpace, reason: string, signal: number) =>
        this.#timed(() => events.addressSpaceDied(space, reason, signal)),
    });
  }

  wait(deadlineNs: number): void {
    const guestsRun = this.runningThreads > 0;
    const eventsNs = this.#eventsNs;
    const beganNs = this.#nowNs();
    this.#platform.wait(deadlineNs);
    const waitedNs = this.#nowNs() - beganNs - (this.#eventsNs - eventsNs);
    if (guestsRun) this.guestNs += waitedNs;
    else this.idleNs += waitedNs;
  }

  newAddressSpace(pool?: ProcessPool): Result<FreshAddressSpace> {
    return this.#platform.newAddressSpace(pool);
  }

  tryNewAddressSpace(
    pool: ProcessPool | undefined,
    ready: (isReady: boolean) => void,
  ): Result<FreshAddressSpace> | undefined {
    return this.#platform.tryNewAddressSpace(pool, ready);
  }

  newProcessPool(cgroupFds: readonly number[]): Result<ProcessPool> {
    return this.#platform.newProcessPool(cgroupFds);
  }

  poll(): boolean {
    return this.#platform.poll();
  }

  look(): void {
    this.#platform.look();
  }

  watch(hostFd: number, events: number, watcher: HostFdWatcher): SysResult {
    const ready = (bits: number): void => this.#timed(() => watcher.ready(bits));
    return this.#platform.watch(hostFd, events, { ready });
  }

  rewatch(hostFd: number, events: number): SysResult {
    return this.#platform.rewatch(hostFd, events);
  }

  unwatch(hostFd: number): void {
    this.#platform.unwatch(hostFd);
  }

  #timed(event: () => void): void {
    const beganNs = this.#nowNs();
    event();
    this.#eventsNs += this.#nowNs() - beganNs;
  }
}

// SPDX-License-Identifier: Apache-2.0
// Who has which TCP port: sockets that are bound, listeners, connections by their two addresses, and
// those that wait after their end (TIME_WAIT), so that a port is not somebody else's at once.

import type { Clock } from '../../base/clock.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import type { Settings } from '../../base/settings.ts';
import type { Timer, TimerQueue } from '../../base/timer-queue.ts';
import type { Endpoint, IpAddress } from './address.ts';
import { PortTable, type PortUser } from './ports.ts';

/** How long TIME_WAIT lasts (TCP_TIMEWAIT_LEN). */
export const TIME_WAIT_NS = 60e9;
/** The most connections in TIME_WAIT, whatever net.ipv4.tcp_max_tw_buckets allows. */
const MOST_WAITING = 16_384;
/** A connection to the same place may take the place of one that is over for so long (tcp_tw_reuse). */
const REUSE_NS = 1e9;

/** A bound socket, or what is left of one. */
export interface TcpUser extends PortUser {
  readonly domain: number;
  readonly localPort: number;
  readonly remote: Endpoint | undefined;
  readonly tableState: number;
  /** Bound by connect(2) alone: other connections may use the port for other places. */
  readonly isPortShared: boolean;
}

/** A connection in TIME_WAIT. */
export class TimeWait implements TcpUser {
  readonly domain: number;
  readonly localIp: IpAddress;
  readonly localPort: number;
  readonly remote: Endpoint | undefined;
  readonly onlyV6: boolean;
  readonly ownerUid: number;
  readonly mayShareAddress: boolean;
  readonly mayShareByReusePort: boolean;
  readonly isPortShared: boolean;
  readonly tableState = 6;
  readonly startNs: number;
  readonly payer: MemoryAccount = currentAccount();

  constructor(user: TcpUser, startNs: number) {
    this.domain = user.domain;
    this.localIp = user.localIp;
    this.localPort = user.localPort;
    this.remote = user.remote;
    this.onlyV6 = user.onlyV6;
    this.ownerUid = user.ownerUid;
    this.mayShareAddress = user.mayShareAddress;
    this.mayShareByReusePort = user.mayShareByReusePort;
    this.isPortShared = user.isPortShared;
    this.startNs = startNs;
  }
}

export interface TableKernel {
  readonly clock: Clock;
  readonly settings: Settings;
  readonly guestTimers: TimerQueue;
}

export class TcpTable<Listener extends TcpUser> {
  readonly ports = new PortTable<TcpUser>();
  readonly #listeners = new Map<number, Set<Listener>>();
  readonly #connections = new Map<string, TcpUser>();
  /** In the order in which they began, so that one timer is enough. */
  readonly #waiting = new Set<TimeWait>();
  #timer: Timer | undefined;

  listenersAt(port: number): Iterable<Listener> {
    return this.#listeners.get(port) ?? [];
  }

  addListener(listener: Listener): void {
    const listeners = this.#listeners.get(listener.localPort);
    if (listeners === undefined) this.#listeners.set(listener.localPort, new Set([listener]));
    else listeners.add(listener);
  }

  removeListener(listener: Listener): void {
    const listeners = this.#listeners.get(listener.localPort);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.#listeners.delete(listener.localPort);
  }

  /** False where a connection between the two is alive, or over for too short a time. */
  isTupleFree(local: Endpoint, remote: Endpoint, kernel: TableKernel): boolean {
    const user = this.#connections.get(keyOf(local, remote));
    if (user === undefined) return true;
    if (!(user instanceof TimeWait)) return false;
    const reuses = kernel.settings.number('net.ipv4.tcp_tw_reuse') !== 0;
    return reuses && kernel.clock.monotonicNs() - user.startNs >= REUSE_NS;
  }

  /** `user` is the connection between its two addresses; one in TIME_WAIT makes room. */
  addConnection(user: TcpUser): void {
    const key = keyOfUser(user);
    const old = this.#connections.get(key);
    if (old instanceof TimeWait) this.#forget(old);
    this.#connections.set(key, user);
  }

  removeConnection(user: TcpUser): void {
    const key = keyOfUser(user);
    if (this.#connections.get(key) === user) this.#connections.delete(key);
  }

  /** The address and port of `user` stay taken for a minute, unless too many do. */
  wait(user: TcpUser, kernel: TableKernel): void {
    const most = kernel.settings.number('net.ipv4.tcp_max_tw_buckets');
    if (this.#waiting.size >= Math.min(most, MOST_WAITING)) return;
    const record = new TimeWait(user, kernel.clock.monotonicNs());
    record.payer.force(OBJECT_COST.timeWait);
    this.#waiting.add(record);
    this.ports.add(record.localPort, record);
    this.addConnection(record);
    this.#start(kernel);
  }

  #forget(record: TimeWait): void {
    if (!this.#waiting.delete(record)) return;
    record.payer.uncharge(OBJECT_COST.timeWait);
    this.ports.remove(record.localPort, record);
    this.removeConnection(record);
  }

  #start(kernel: TableKernel): void {
    const [oldest] = this.#waiting;
    if (this.#timer !== undefined || oldest === undefined) return;
    this.#timer = kernel.guestTimers.add(oldest.startNs + TIME_WAIT_NS, () => {
      this.#timer = undefined;
      const now = kernel.clock.monotonicNs();
      for (const record of this.#waiting) {
        if (record.startNs + TIME_WAIT_NS > now) break;
        this.#forget(record);
      }
      this.#start(kernel);
    });
  }

  all(): Iterable<TcpUser> {
    return this.ports.all();
  }
}

function keyOfUser({ localIp, localPort, remote }: TcpUser): string {
  return keyOf({ ip: localIp, port: localPort }, remote ?? { ip: '', port: 0 });
}

function keyOf(local: Endpoint, remote: Endpoint): string {
  return `${local.ip}:${local.port}:${remote.ip}:${remote.port}`;
}

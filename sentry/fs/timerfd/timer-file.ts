// SPDX-License-Identifier: Apache-2.0
// timerfd_create(2): a timer whose expirations are read from a file.
// An interval timer rests after it has expired until somebody reads: the expirations in between are
// computed, so a fast timer that nobody reads costs nothing.
import { EAGAIN, EINVAL, type SysResult } from '../../../abi/errno.ts';
import { O_RDWR } from '../../../abi/fcntl.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { CLOCK_REALTIME, CLOCK_REALTIME_ALARM, setI64 } from '../../../abi/time.ts';
import { TFD_TIMER_ABSTIME } from '../../../abi/timerfd.ts';
import type { Clock } from '../../base/clock.ts';
import type { Timer, TimerQueue } from '../../base/timer-queue.ts';
import type { Sink } from '../../vfs/io.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import { type AnonymousNode, anonInode } from '../anon/anonymous-node.ts';

/** The time until the next expiration (0: disarmed) and the period (0: once). */
export interface TimerSetting {
  readonly valueNs: number;
  readonly intervalNs: number;
}

const bytes = new Uint8Array(8);
const view = new DataView(bytes.buffer);

export class TimerFile extends OpenFile {
  readonly node: AnonymousNode = anonInode;
  readonly clockId: number;
  readonly #clock: Clock;
  readonly #timers: TimerQueue;
  #timer: Timer | undefined;
  /** CLOCK_MONOTONIC time of the next expiration, or of the last one where `#expired`. */
  #deadlineNs = 0;
  #intervalNs = 0;
  #ticks = 0;
  #expired = false;
  #settimeFlags = 0;

  constructor(clockId: number, flags: number, clock: Clock, timers: TimerQueue) {
    super(O_RDWR | flags);
    this.clockId = clockId;
    this.#clock = clock;
    this.#timers = timers;
  }

  override get description(): string {
    return 'anon_inode:[timerfd]';
  }

  override information(): string {
    const text = (ns: number): string => `(${Math.floor(ns / 1e9)}, ${ns % 1e9})`;
    return [
      `clockid: ${this.clockId}`,
      `ticks: ${this.#ticks}`,
      `settime flags: 0${this.#settimeFlags.toString(8)}`,
      `it_value: ${text(this.#leftNs())}`,
      `it_interval: ${text(this.#intervalNs)}\n`,
    ].join('\n');
  }

  override close(): void {
    this.#timer?.cancel();
  }

  /**
   * timerfd_settime(2): arms or (value 0) disarms. With TFD_TIMER_ABSTIME, valueNs is a time of the
   * timer's clock.
   */
  set(setting: TimerSetting, flags: number): void {
    const absolute = (flags & TFD_TIMER_ABSTIME) !== 0;
    this.#settimeFlags = flags;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#ticks = 0;
    this.#expired = false;
    this.#intervalNs = setting.intervalNs;
    if (setting.valueNs === 0) {
      this.#deadlineNs = 0;
      return;
    }
    this.#deadlineNs =
      setting.valueNs + (absolute ? this.#clockOffsetNs() : this.#clock.monotonicNs());
    this.#arm();
  }

  setting(): TimerSetting {
    this.#forward();
    return { valueNs: this.#leftNs(), intervalNs: this.#intervalNs };
  }

  #leftNs(): number {
    if (this.#timer === undefined) return 0;
    return Math.max(1, this.#deadlineNs - this.#clock.monotonicNs());
  }

  override read(sink: Sink): SysResult {
    if (sink.remaining < 8) return EINVAL;
    this.#forward();
    if (this.#ticks === 0) return EAGAIN;
    setI64(view, 0, this.#ticks);
    this.#ticks = 0;
    return sink.put(bytes);
  }

  override poll(): number {
    return this.#ticks > 0 ? POLLIN : 0;
  }

  /** Returns the difference that a time of this timer's clock needs to become CLOCK_MONOTONIC. */
  #clockOffsetNs(): number {
    if (this.clockId !== CLOCK_REALTIME && this.clockId !== CLOCK_REALTIME_ALARM) return 0;
    const wall = this.#clock.realtime();
    return this.#clock.monotonicNs() - (wall.sec * 1e9 + wall.nsec);
  }

  #arm(): void {
    this.#timer = this.#timers.add(this.#deadlineNs, () => {
      this.#timer = undefined;
      this.#ticks += 1;
      this.#expired = true;
      this.queue.notify(POLLIN);
    });
  }

  /** Counts the expirations since an interval timer went to rest, and arms it again. */
  #forward(): void {
    if (!this.#expired || this.#intervalNs === 0) return;
    this.#expired = false;
    const late = Math.max(0, this.#clock.monotonicNs() - this.#deadlineNs);
    const missed = Math.floor(late / this.#intervalNs);
    this.#ticks += missed;
    this.#deadlineNs += (missed + 1) * this.#intervalNs;
    this.#arm();
  }
}

// SPDX-License-Identifier: Apache-2.0
// What `runts do --stats` and `--profile` measure, put together. Where neither is asked for, none
// of this exists: the kernel has the platform and the dispatch themselves.
import { native } from '../../native/addon.ts';
import { SENTRY_STATS } from '../../protocol/descriptors.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { WorkCounters } from '../base/work-counters.ts';
import type { Task } from '../kernel/task.ts';
import { MeteredPlatform } from '../platform/metered-platform.ts';
import type { Platform } from '../platform/platform.ts';
import { CallStats } from '../syscalls/call-stats.ts';
import { table } from '../syscalls/table-x86-64.ts';
import { type Shares, sharesReport, statsReport } from './stats-report.ts';

export class Measurement {
  readonly work: WorkCounters;
  readonly #calls: CallStats;
  #platform: MeteredPlatform | undefined = undefined;
  #beganNs = 0;
  #goferNs = 0;
  #goferRequests = 0;
  #cpuNs = 0;

  constructor(nowNs: () => number) {
    this.work = new WorkCounters(nowNs);
    this.#calls = new CallStats(
      this.work,
      table.map((row) => row?.name),
    );
  }

  metered(platform: Platform): Platform {
    this.#platform = new MeteredPlatform(platform, this.work.nowNs);
    return this.#platform;
  }

  counting(dispatch: (task: Task) => MaybeBlocking): (task: Task) => MaybeBlocking {
    return this.#calls.counting(dispatch);
  }

  /** From here on time counts: the start is over. */
  begin(): void {
    this.#beganNs = this.work.nowNs();
    this.#goferNs = this.work.goferNs;
    this.#goferRequests = this.work.goferRequests;
    this.#cpuNs = native.cpuTimeNs(0);
  }

  /** Writes all that was measured, or only where the time went. */
  end(what: 'everything' | 'shares'): void {
    const shares = this.#shares();
    const text =
      what === 'everything'
        ? statsReport(this.#calls.counts(), shares, this.#platform?.counters)
        : sharesReport(shares).join('\n').concat('\n');
    writeAll(SENTRY_STATS, text);
  }

  #shares(): Shares {
    const goferNs = this.work.goferNs - this.#goferNs;
    return {
      elapsedNs: this.work.nowNs() - this.#beganNs,
      handlersNs: Math.max(0, this.#calls.handlersNs - goferNs),
      goferNs,
      goferRequests: this.work.goferRequests - this.#goferRequests,
      guestNs: this.#platform?.guestNs ?? 0,
      idleNs: this.#platform?.idleNs ?? 0,
      cpuNs: native.cpuTimeNs(0) - this.#cpuNs,
    };
  }
}

/** Writes as much as can be written. The rest is lost: the program's end is not held up by it. */
export function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0; at < bytes.length; ) {
    const wrote = native.write(fd, bytes, at, bytes.length - at);
    if (wrote <= 0) return;
    at += wrote;
  }
}

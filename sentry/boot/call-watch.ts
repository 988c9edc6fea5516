// SPDX-License-Identifier: Apache-2.0
// `runts debug stats`: the system calls of a sandbox that runs are counted from when somebody asks
// until he has read the counts. As long as nobody asks, the kernel's dispatch knows nothing of this.
import { native } from '../../native/addon.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { WorkCounters } from '../base/work-counters.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { CallStats } from '../syscalls/call-stats.ts';
import { table } from '../syscalls/table-x86-64.ts';
import { callsReport, ms } from './stats-report.ts';

/** How many may count at once: each makes every call a little slower. */
const MOST_WATCHERS = 8;

interface Watcher {
  readonly calls: CallStats;
  readonly beganNs: number;
  readonly cpuNs: number;
}

export class CallWatch {
  readonly #kernel: Kernel;
  readonly #nowNs: () => number;
  readonly #plain: (task: Task) => MaybeBlocking;
  readonly #watchers = new Set<Watcher>();

  constructor(kernel: Kernel, nowNs: () => number) {
    this.#kernel = kernel;
    this.#nowNs = nowNs;
    this.#plain = kernel.dispatch;
  }

  /** Counts from here on. Undefined: too many do. */
  begin(): Watcher | undefined {
    if (this.#watchers.size >= MOST_WATCHERS) return undefined;
    const names = table.map((row) => row?.name);
    const watcher = {
      calls: new CallStats(new WorkCounters(this.#nowNs), names),
      beganNs: this.#nowNs(),
      cpuNs: native.cpuTimeNs(0),
    };
    this.#watchers.add(watcher);
    this.#rewire();
    return watcher;
  }

  /** Ends the count, and tells what was counted. */
  end(watcher: Watcher): string {
    if (this.#watchers.delete(watcher)) this.#rewire();
    const elapsedNs = this.#nowNs() - watcher.beganNs;
    const { handlersNs } = watcher.calls;
    return [
      ...callsReport(watcher.calls.counts()),
      `counted for ${ms(elapsedNs)} ms: handlers ${ms(handlersNs)} ms, ` +
        `the Sentry's processor time ${ms(native.cpuTimeNs(0) - watcher.cpuNs)} ms`,
    ]
      .map((line) => `${line}\n`)
      .join('');
  }

  #rewire(): void {
    let dispatch = this.#plain;
    for (const { calls } of this.#watchers) dispatch = calls.counting(dispatch);
    this.#kernel.dispatch = dispatch;
  }
}

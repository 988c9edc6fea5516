// SPDX-License-Identifier: Apache-2.0
// What the Sentry's parts count of their own work where somebody asked for it (`runts do --stats`). A part
// that was given no counters looks at one undefined field and counts nothing.

/** Plain numbers that only grow. Whoever wants those of a piece of work takes the difference. */
export class WorkCounters {
  /** Copies from guest memory, and their bytes. */
  copiesIn = 0;
  bytesIn = 0;
  /** Copies to guest memory, and their bytes. */
  copiesOut = 0;
  bytesOut = 0;
  /** Requests to Gofers that the Sentry waited for, and for how long. */
  goferRequests = 0;
  goferNs = 0;

  readonly nowNs: () => number;

  constructor(nowNs: () => number) {
    this.nowNs = nowNs;
  }
}

// SPDX-License-Identifier: Apache-2.0
// Kills for lack of memory in a cgroup, by looking: the eventfd of v1 cannot be had from JavaScript.
import { type ControlFiles, parseFlat } from './control-files.ts';

/** Only ever grows. */
export function oomCountV1(files: ControlFiles): number {
  return Number(parseFlat(files.read('memory.oom_control')).get('oom_kill') ?? 0);
}

/** With the killer disabled everything waits instead: that is the event then. */
export function isUnderOomV1(files: ControlFiles): boolean {
  return parseFlat(files.read('memory.oom_control')).get('under_oom') === 1;
}

export function oomCountV2(files: ControlFiles): number {
  return Number(parseFlat(files.read('memory.events')).get('oom_kill') ?? 0);
}

export interface OomSource {
  count(): number;
  isUnder(): boolean;
}

export interface OomWatch {
  stop(): void;
}

/** Calls back once for each kill. Does not keep the program alive. */
export function watchOom(source: OomSource, intervalMs: number, onOom: () => void): OomWatch {
  let seen = source.count();
  let wasUnder = false;
  const timer = setInterval(() => {
    const now = source.count();
    const isUnder = source.isUnder();
    const events = Math.max(now - seen, isUnder && !wasUnder ? 1 : 0);
    seen = now;
    wasUnder = isUnder;
    for (let left = events; left > 0; left--) onOom();
  }, intervalMs);
  timer.unref();
  return {
    stop: () => {
      clearInterval(timer);
    },
  };
}

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { GuestThread } from './guest-thread.ts';
import { MeteredPlatform } from './metered-platform.ts';
import type { Platform, PlatformEvents } from './platform.ts';

describe('MeteredPlatform', () => {
  it('tells waits for running guests from waits in which nothing ran, and leaves out what was done in them', () => {
    let now = 0;
    let running = 1;
    let events: PlatformEvents | undefined;
    const platform = {
      get runningThreads() {
        return running;
      },
      start: (given: PlatformEvents) => {
        events = given;
      },
      wait: () => {
        now += 100;
        events?.threadStopped({} as GuestThread);
      },
    } as unknown as Platform;
    const metered = new MeteredPlatform(platform, () => now);
    metered.start({
      threadStopped: () => {
        now += 7;
        running = 0;
      },
      addressSpaceDied: () => undefined,
    });
    metered.wait(0);
    expect([metered.guestNs, metered.idleNs]).toEqual([100, 0]);
    metered.wait(0);
    expect([metered.guestNs, metered.idleNs]).toEqual([100, 100]);
  });
});

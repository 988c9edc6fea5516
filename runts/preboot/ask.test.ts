// SPDX-License-Identifier: Apache-2.0
import { afterEach, describe, expect, it, vi } from 'vitest';
import { globals, type PrebootAddon } from '../../protocol/globals.ts';
import { PREBOOT_FRONT } from '../../protocol/processes.ts';
import { askPreboot } from './ask.ts';

describe('a preboot with the program of the Gofer alone', () => {
  const ask = vi.fn(() => 0);
  const preboot = (): void => {
    const addon = {
      fork: () => 0,
      awaitRole: () => ['', undefined] as const,
      ask,
    } as unknown as PrebootAddon;
    globals.runtsPreboot = { pid: 7, socket: 5, addon, hasSentry: false, isAsked: false };
  };
  afterEach(() => {
    delete globals.runtsPreboot;
    ask.mockClear();
  });

  it('becomes no launcher that needs a Sentry: a guess from the annotations was wrong', () => {
    preboot();
    expect(askPreboot(PREBOOT_FRONT, ['launcher'], [], true)).toBeUndefined();
    expect(ask).not.toHaveBeenCalled();
    expect(globals.runtsPreboot?.isAsked).toBe(false);
  });

  it('becomes the front of a container that joins a sandbox', () => {
    preboot();
    expect(askPreboot(PREBOOT_FRONT, ['launcher'], [], false)?.pid).toBe(7);
    expect(globals.runtsPreboot?.isAsked).toBe(true);
  });
});

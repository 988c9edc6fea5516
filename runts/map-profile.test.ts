// SPDX-License-Identifier: Apache-2.0

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { mapProfile, timesByCall, timesByFunction } from './map-profile.ts';

const build = mkdtempSync(join(tmpdir(), 'runts-profile-'));
afterAll(() => rmSync(build, { recursive: true }));

interface Frame {
  readonly name: string;
  readonly url?: string;
  readonly line?: number;
  readonly column?: number;
  readonly children?: number[];
}

function node(
  id: number,
  { name, url = '', line = 0, column = 0, children }: Frame,
): Profiler.ProfileNode {
  const callFrame = {
    functionName: name,
    scriptId: '1',
    url,
    lineNumber: line,
    columnNumber: column,
  };
  return { id, callFrame, ...(children === undefined ? {} : { children }) };
}

function profile(
  nodes: Profiler.ProfileNode[],
  times: readonly (readonly [number, number])[],
): Profiler.Profile {
  return {
    nodes,
    startTime: 0,
    endTime: 0,
    samples: times.map(([id]) => id),
    timeDeltas: times.map(([, us]) => us),
  };
}

const at = (file: string): string => `file:///x/${file}`;

describe('a profile', () => {
  it('has the names and places that the map of the bundle has', () => {
    // One segment: line 1, column 4 of the bundle is line 3, column 2 of the source, named sysRead.
    const map = {
      version: 3,
      sources: ['../sentry/syscalls/read.ts'],
      names: ['sysRead'],
      mappings: 'IAEEA',
    };
    writeFileSync(join(build, 'sentry.body.js.map'), JSON.stringify(map));
    const minified = node(1, { name: 'aB', url: 'file:///app/sentry.body.js', column: 6 });
    const [frame] = mapProfile(profile([minified], []), build).nodes.map((each) => each.callFrame);
    expect(frame).toMatchObject({ functionName: 'sysRead', lineNumber: 2, columnNumber: 2 });
    expect(frame?.url).toMatch(/\/sentry\/syscalls\/read\.ts$/);
  });

  it('stays as it is where there is no map', () => {
    const unknown = node(1, { name: 'aB', url: 'file:///app/gofer.body.js', column: 6 });
    expect(mapProfile(profile([unknown], []), build).nodes).toEqual([unknown]);
  });

  it('gives a host call the name of its caller', () => {
    const nodes = [
      node(1, { name: 'read', url: at('platform-ptrace/systrap/address-space.ts'), children: [2] }),
      node(2, { name: 'setEngineFlags' }),
    ];
    const times = timesByFunction(mapProfile(profile(nodes, [[2, 7]]), build));
    const place = '(platform-ptrace/systrap/address-space.ts:1)';
    expect([...times]).toEqual([[`host call of read ${place}`, 7]]);
  });

  it('adds up the time of each call, with all that its handler called', () => {
    const nodes = [
      node(1, { name: '(root)', children: [2, 5] }),
      node(2, { name: 'call', url: at('sentry/syscalls/dispatch.ts'), children: [3] }),
      node(3, { name: 'sysOpenAt2', url: at('sentry/syscalls/open.ts'), children: [4] }),
      node(4, { name: 'walk', url: at('sentry/vfs/path-walk.ts') }),
      node(5, { name: 'sleep', url: at('platform-ptrace/systrap/waiter.ts'), children: [6] }),
      node(6, { name: 'setEngineFlags' }),
    ];
    const mapped = mapProfile(
      profile(nodes, [
        [2, 1],
        [3, 10],
        [4, 100],
        [6, 1000],
        [5, 5],
      ]),
      build,
    );
    expect(Object.fromEntries(timesByCall(mapped))).toEqual({
      'outside of calls': 6,
      open_at2: 110,
      'waiting for guests, or idle': 1000,
    });
  });
});

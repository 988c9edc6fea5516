// SPDX-License-Identifier: Apache-2.0
// What the options of the table become, and that nothing else can be said. That C takes them its
// compiler sees to (native/launcher/options.c).
import { describe, expect, it } from 'vitest';
import { type LauncherValues, launcherArguments, launcherOptions } from './launcher-options.ts';

describe("the launcher's options", () => {
  it('are words for values of each kind', () => {
    const attach = [
      { path: '/', writable: false, flat: false, slave: false, overlay: false },
      { path: '/a', writable: true, flat: true, slave: true, overlay: false },
      { path: '/b', writable: false, flat: false, slave: true, overlay: false },
      { path: 'lowerdir=/c', writable: true, flat: false, slave: false, overlay: true },
    ];
    expect(
      launcherArguments({
        node: '/bin/node',
        config: 5,
        rows: 0,
        terminal: true,
        'host-network': false,
        container: true,
        cgroup: ['/x', '/y'],
        'gofer-cgroup': [],
        attach,
        title: undefined,
      }),
    ).toEqual([
      ...['--node', '/bin/node', '--config', '5', '--rows', '0', '--terminal', '--container'],
      ...['--cgroup', '/x', '--cgroup', '/y'],
      ...['--read-only', '/', '--writable-flat-slave', '/a', '--read-only-slave', '/b'],
      ...['--writable-overlay', 'lowerdir=/c'],
    ]);
  });

  it('of other names or values do not compile', () => {
    const wrong: LauncherValues[] = [
      // @ts-expect-error No option has this name.
      { nodes: '/bin/node' },
      // @ts-expect-error A descriptor is a number.
      { config: '5' },
      // @ts-expect-error A text is no number.
      { title: 5 },
      // @ts-expect-error A list is an array.
      { cgroup: '/x' },
      // @ts-expect-error A mode is there or absent.
      { exec: false },
      // @ts-expect-error The launcher says this to itself.
      { resumed: '1' },
    ];
    expect(wrong).toHaveLength(6);
  });

  it('have members of their own in C', () => {
    const fields = Object.values(launcherOptions).flatMap((option) =>
      'field' in option && option.kind !== 'mode' ? [option.field] : [],
    );
    expect(new Set(fields).size).toBe(fields.length);
  });
});

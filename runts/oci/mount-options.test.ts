// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_RELATIME,
} from '../../abi/fs.ts';
import { parseMountOptions } from './mount-options.ts';

describe('options of a mount', () => {
  it('lets later ones win', () => {
    expect(parseMountOptions(['nosuid', 'noexec', 'ro', 'exec', 'rw']).flags).toBe(
      MS_NOSUID | MS_RELATIME,
    );
    expect(parseMountOptions(['rw,nodev', 'ro']).flags).toBe(MS_RDONLY | MS_NODEV | MS_RELATIME);
  });

  it('knows what to do about access times', () => {
    expect(parseMountOptions(['strictatime']).flags).toBe(0);
    expect(parseMountOptions(['noatime']).flags).toBe(MS_NOATIME);
  });

  it('tells bind, recursive and what is left for the file system', () => {
    const options = parseMountOptions([
      'rbind',
      'rprivate',
      'rro',
      'rnoexec',
      'size=1m',
      'defaults',
    ]);
    expect(options).toEqual({
      flags: MS_RDONLY | MS_NOEXEC | MS_RELATIME,
      bind: 'recursive',
      recursiveReadOnly: true,
      copyUp: false,
      idMap: 'no',
      propagation: 'private',
      data: ['size=1m'],
    });
    expect(parseMountOptions(['bind', 'tmpcopyup'])).toMatchObject({ bind: 'one', copyUp: true });
  });
});

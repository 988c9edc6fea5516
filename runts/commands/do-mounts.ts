// SPDX-License-Identifier: Apache-2.0
// What `runts do` mounts: the file systems that every program expects, then --volume and --tmpfs.
import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME } from '../../abi/fs.ts';
import type { MountConfig, TmpfsConfig } from '../../protocol/boot-config.ts';
import { toByteString } from '../byte-string.ts';
import { describe, Failure } from '../failure.ts';
import type { AttachPoint } from '../launch.ts';

export interface DoMountOptions {
  readonly root: string;
  readonly volume: readonly string[];
  readonly tmpfs: readonly string[];
}

const pseudoFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME;

function tmpfs(target: string, place: Partial<TmpfsConfig> = {}): TmpfsConfig {
  return {
    kind: 'tmpfs',
    target,
    flags: MS_NOSUID | MS_NODEV,
    source: 'tmpfs',
    data: '',
    mode: 0o1777,
    uid: 0,
    gid: 0,
    copyUp: false,
    ...place,
  };
}

const always: readonly MountConfig[] = [
  { kind: 'proc', target: '/proc', flags: pseudoFlags, source: 'proc', data: '' },
  { kind: 'sysfs', target: '/sys', flags: pseudoFlags | MS_RDONLY, source: 'sysfs', data: '' },
  {
    kind: 'cgroup',
    target: '/sys/fs/cgroup',
    flags: pseudoFlags | MS_RDONLY,
    source: 'cgroup',
    data: '',
  },
  tmpfs('/dev', { flags: MS_NOSUID, source: 'dev', data: 'mode=755', mode: 0o755 }),
  {
    kind: 'devpts',
    target: '/dev/pts',
    flags: MS_NOSUID | MS_NOEXEC,
    source: 'devpts',
    data: 'mode=600,ptmxmode=666',
    mode: 0o620,
    gid: 5,
    ptmxMode: 0o666,
  },
  tmpfs('/dev/shm', { source: 'shm' }),
  { kind: 'mqueue', target: '/dev/mqueue', flags: pseudoFlags, source: 'mqueue', data: '' },
];

export function planMounts(options: DoMountOptions): {
  mounts: MountConfig[];
  attach: AttachPoint[];
} {
  const attach: AttachPoint[] = [
    { path: checkedDirectory(options.root, '--root'), writable: false },
  ];
  const mounts: MountConfig[] = [...always];
  for (const text of options.volume) {
    const volume = parseVolume(text);
    mounts.push({
      kind: 'volume',
      attach: attach.length,
      target: toByteString(volume.target),
      flags: MS_NOSUID | MS_NODEV | MS_RELATIME | (volume.readOnly ? MS_RDONLY : 0),
      source: 'volume',
      data: '',
      isFile: volume.isFile,
    });
    attach.push({ path: volume.source, writable: !volume.readOnly });
  }
  for (const target of options.tmpfs) {
    if (!isAbsolute(target))
      throw new Failure('RUNTS_E_OPTION_VALUE', `--tmpfs: '${target}' is not absolute`);
    mounts.push(tmpfs(toByteString(target)));
  }
  return { mounts, attach };
}

interface Volume {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly isFile: boolean;
}

/** SOURCE[:TARGET][:ro]; without a target it is seen under the path that it has outside. */
function parseVolume(text: string): Volume {
  const parts = text.split(':');
  const isMode = parts.length > 1 && ['ro', 'rw'].includes(parts.at(-1) ?? '');
  const mode = isMode ? parts.pop() : 'rw';
  const [source = '', target = resolve(source)] = parts;
  if (source === '' || target === '' || parts.length > 2)
    throw new Failure(
      'RUNTS_E_OPTION_VALUE',
      `--volume: '${text}' is not SOURCE, SOURCE:TARGET or one of these with :ro`,
    );
  if (!isAbsolute(target))
    throw new Failure('RUNTS_E_OPTION_VALUE', `--volume: target '${target}' is not absolute`);
  try {
    const path = realpathSync(source);
    return { source: path, target, readOnly: mode === 'ro', isFile: !statSync(path).isDirectory() };
  } catch (error) {
    throw new Failure('RUNTS_E_OPTION_FILE', `--volume: ${source}: ${describe(error)}`);
  }
}

function checkedDirectory(path: string, option: string): string {
  try {
    const real = realpathSync(path);
    if (!statSync(real).isDirectory())
      throw new Failure('RUNTS_E_OPTION_FILE', `${option}: ${path}: Not a directory`);
    return real;
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('RUNTS_E_OPTION_FILE', `${option}: ${path}: ${describe(error)}`);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Options of a mount in config.json as runc and mount(8) read them: flags of the mount,
// propagation, and what is left for the file system. Later ones win over earlier ones, as Docker
// counts on ('nosuid,nodev,exec').
import {
  MS_DIRSYNC,
  MS_LAZYTIME,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  MS_STRICTATIME,
  MS_SYNCHRONOUS,
} from '../../abi/fs.ts';

export interface MountOptions {
  /** MS_* that hold in the end. */
  readonly flags: number;
  readonly bind: 'no' | 'one' | 'recursive';
  /** 'rro': mounts below the source are read-only too. */
  readonly recursiveReadOnly: boolean;
  readonly copyUp: boolean;
  /** Undefined: the container's default. */
  readonly propagation: Propagation | undefined;
  /** 'idmap', 'ridmap': ids of the files are others; the latter below the mount too. */
  readonly idMap: 'no' | 'one' | 'recursive';
  /** Options of the file system, 'name' or 'name=value', in their order. */
  readonly data: readonly string[];
}

interface FlagOption {
  readonly flag: number;
  readonly clears: boolean;
}

const sets = (flag: number): FlagOption => ({ flag, clears: false });
const clears = (flag: number): FlagOption => ({ flag, clears: true });

const flagOptions: ReadonlyMap<string, FlagOption> = new Map([
  ['async', clears(MS_SYNCHRONOUS)],
  ['atime', clears(MS_NOATIME)],
  ['dev', clears(MS_NODEV)],
  ['diratime', clears(MS_NODIRATIME)],
  ['dirsync', sets(MS_DIRSYNC)],
  ['exec', clears(MS_NOEXEC)],
  ['lazytime', sets(MS_LAZYTIME)],
  ['noatime', sets(MS_NOATIME)],
  ['nodev', sets(MS_NODEV)],
  ['nodiratime', sets(MS_NODIRATIME)],
  ['noexec', sets(MS_NOEXEC)],
  ['nolazytime', clears(MS_LAZYTIME)],
  ['norelatime', clears(MS_RELATIME)],
  ['nostrictatime', clears(MS_STRICTATIME)],
  ['nosuid', sets(MS_NOSUID)],
  ['nosymfollow', sets(MS_NOSYMFOLLOW)],
  ['relatime', sets(MS_RELATIME)],
  ['ro', sets(MS_RDONLY)],
  ['rw', clears(MS_RDONLY)],
  ['strictatime', sets(MS_STRICTATIME)],
  ['suid', clears(MS_NOSUID)],
  ['symfollow', clears(MS_NOSYMFOLLOW)],
  ['sync', sets(MS_SYNCHRONOUS)],
]);

export type Propagation = 'private' | 'slave';

/**
 * Propagation options. Mounts that guests make stay in the sandbox, so a shared mount is a slave
 * here.
 */
const propagation: ReadonlyMap<string, Propagation> = new Map(
  (
    [
      ['private', 'private'],
      ['shared', 'slave'],
      ['slave', 'slave'],
      ['unbindable', 'private'],
    ] as const
  ).flatMap(([kind, here]) => [
    [kind, here],
    [`r${kind}`, here],
  ]),
);

/** linux.rootfsPropagation, as runc: that of all mounts without an option of their own. */
export function defaultPropagation(name = 'slave'): Propagation {
  return propagation.get(name) ?? 'slave';
}

/** Without effect on Linux of today, or here. */
const ignored: ReadonlySet<string> = new Set([
  'acl',
  'defaults',
  'iversion',
  'loud',
  'mand',
  'noiversion',
  'nomand',
  'silent',
]);

export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  let bind: MountOptions['bind'] = 'no';
  let recursiveReadOnly = false;
  let copyUp = false;
  let kind: Propagation | undefined;
  let idMap: MountOptions['idMap'] = 'no';
  const data: string[] = [];
  const apply = ({ flag, clears: clearing }: FlagOption): void => {
    flags = clearing ? flags & ~flag : flags | flag;
  };
  for (const option of options.flatMap((text) => text.split(','))) {
    const known = flagOptions.get(option);
    // 'rro', 'rnosuid' and so on: the same for the mounts below, which a mount of the Gofer's has
    // inside it anyway.
    const recursive = option.startsWith('r') ? flagOptions.get(option.slice(1)) : undefined;
    if (known !== undefined) apply(known);
    else if (recursive !== undefined) {
      apply(recursive);
      if (recursive.flag === MS_RDONLY) recursiveReadOnly = !recursive.clears;
    } else if (option === 'bind') bind = bind === 'recursive' ? bind : 'one';
    else if (option === 'rbind') bind = 'recursive';
    else if (option === 'idmap') idMap = 'one';
    else if (option === 'ridmap') idMap = 'recursive';
    else if (option === 'tmpcopyup') copyUp = true;
    else if (propagation.has(option)) kind = propagation.get(option);
    else if (option !== '' && !ignored.has(option)) data.push(option);
  }
  return {
    flags: withAccessTimes(flags),
    bind,
    recursiveReadOnly,
    copyUp,
    propagation: kind,
    idMap,
    data,
  };
}

/** All that mean something to every file system; for `runts features`. */
export function mountOptionNames(): string[] {
  // mount_setattr(2) has no recursive form of these.
  const recursive = [...flagOptions.keys()]
    .filter((name) => !/sync$|lazytime$/.test(name))
    .map((name) => `r${name}`);
  const others = ['bind', 'idmap', 'rbind', 'ridmap', 'tmpcopyup'];
  return [...flagOptions.keys(), ...recursive, ...propagation.keys(), ...ignored, ...others].sort();
}

/** relatime is what Linux does where nothing is said. */
function withAccessTimes(flags: number): number {
  const rest = flags & ~(MS_STRICTATIME | MS_RELATIME);
  return (flags & (MS_NOATIME | MS_STRICTATIME)) !== 0 ? rest : rest | MS_RELATIME;
}

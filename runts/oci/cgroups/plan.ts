// SPDX-License-Identifier: Apache-2.0
// linux.cgroupsPath → one directory in each hierarchy, as runc's cgroupfs manager has them: an
// absolute path counts from the root of each hierarchy, a relative one from where the caller is;
// without one it is the container's id, relative.
import { posix } from 'node:path';
import { Failure } from '../../failure.ts';
import { type CgroupKind, type CgroupLayout, discoverLayout, type Hierarchy } from './layout.ts';
import { parseSystemdPath, type SystemdUnit, unitCgroup } from './systemd.ts';

export interface PlannedDirectory {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  /** Where this process is in the same hierarchy. */
  readonly own: string;
  /** Always below `mountPoint`, never the mount point itself. */
  readonly path: string;
}

export interface CgroupPlan {
  readonly kind: CgroupKind;
  /** Nobody asked for a certain place, so a place that cannot be made may be done without. */
  readonly isOptional: boolean;
  /** The caller may lack the rights to make cgroups, and need not have them. */
  readonly rootless: boolean;
  readonly directories: readonly PlannedDirectory[];
  /** With --systemd-cgroup: the scope that systemd is to make first. */
  readonly unit?: SystemdUnit;
}

export interface PlanOptions {
  /** --systemd-cgroup: `cgroupsPath` is slice:prefix:name. */
  readonly systemd: boolean;
  readonly rootless: boolean;
  /** For tests. */
  readonly layout?: CgroupLayout;
}

export function planCgroup(
  cgroupsPath: string | undefined,
  id: string,
  { systemd, rootless, layout = discoverLayout() }: PlanOptions,
): CgroupPlan {
  const asked = cgroupsPath ?? '';
  if (asked.includes('\0'))
    throw new Failure('RUNTS_E_CGROUP_PATH', 'cgroupsPath: contains a NUL character');
  const common = { kind: layout.kind, isOptional: asked === '', rootless };
  if (systemd) {
    const unit = parseSystemdPath(asked, id, rootless);
    const path = unitCgroup(unit);
    return { ...common, unit, directories: layout.hierarchies.map((each) => place(each, path)) };
  }
  const path = asked === '' ? id : asked;
  const clean = posix.normalize(posix.join('/', path));
  if (clean === '/')
    throw new Failure(
      'RUNTS_E_CGROUP_PATH',
      `cgroupsPath: '${asked}' is where the cgroups of all others are; a container needs one of its own`,
    );
  const isAbsolute = path.startsWith('/');
  return {
    ...common,
    directories: layout.hierarchies.map((hierarchy) =>
      place(hierarchy, isAbsolute ? clean : posix.join(relativeRoot(hierarchy), clean)),
    ),
  };
}

/**
 * v2 has no processes in inner nodes, and the caller is in one already: its parent is the place for
 * others.
 */
function relativeRoot({ version, own }: Hierarchy): string {
  return version === 2 ? posix.dirname(own) : own;
}

function place(hierarchy: Hierarchy, path: string): PlannedDirectory {
  const { version, controllers, mountPoint, own } = hierarchy;
  return {
    version,
    controllers,
    mountPoint,
    own: posix.join(mountPoint, own),
    path: posix.join(mountPoint, path),
  };
}

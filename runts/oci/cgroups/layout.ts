// SPDX-License-Identifier: Apache-2.0
// Where this host has its cgroups: every mounted hierarchy, and the place of this process in it.
// Nothing is assumed about paths: mountinfo and /proc/self/cgroup tell. cgroups(7), proc(5).
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** v2 alone (unified), v1 alone, or both: controllers in v1, a cgroup2 mount beside them without. */
export type CgroupKind = 'v1' | 'v2' | 'hybrid' | 'none';

export interface Hierarchy {
  readonly version: 1 | 2;
  /** Controllers of v1, 'name=systemd' for a named one; empty for v2. */
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  /** The directory of this process, as a path below `mountPoint` that starts with a slash. */
  readonly own: string;
}

export interface CgroupLayout {
  readonly kind: CgroupKind;
  readonly hierarchies: readonly Hierarchy[];
}

/**
 * The controllers whose hierarchies a container joins. Other named hierarchies belong to other
 * managers.
 */
const joinedControllers: ReadonlySet<string> = new Set([
  'cpuset',
  'devices',
  'memory',
  'cpu',
  'cpuacct',
  'pids',
  'blkio',
  'hugetlb',
  'net_cls',
  'net_prio',
  'perf_event',
  'freezer',
  'rdma',
  'misc',
  'name=systemd',
]);

export function discoverLayout(): CgroupLayout {
  return parseLayout(
    readFileSync('/proc/self/mountinfo', 'utf8'),
    readFileSync('/proc/self/cgroup', 'utf8'),
    // A mount that another one covers shows something else.
    (mountPoint) => existsSync(join(mountPoint, 'cgroup.procs')),
  );
}

export function parseLayout(
  mountInfo: string,
  ownCgroups: string,
  isVisible: (mountPoint: string) => boolean,
): CgroupLayout {
  const own = parseOwn(ownCgroups);
  const hierarchies = new Map<string, Hierarchy>();
  for (const mount of mountInfo.split('\n').map(parseMount)) {
    if (mount === undefined || !isVisible(mount.mountPoint)) continue;
    const key = mount.controllers.join(',');
    const known = hierarchies.get(key);
    // The usual place wins over copies of it that somebody bound elsewhere, and the first over later ones.
    if (known !== undefined && (isUsual(known.mountPoint) || !isUsual(mount.mountPoint))) continue;
    const path = own.get(mount.controllers[0] ?? '');
    if (path === undefined) continue;
    hierarchies.set(key, {
      version: mount.version,
      controllers: mount.controllers,
      mountPoint: mount.mountPoint,
      own: below(mount.root, path),
    });
  }
  const found = [...hierarchies.values()];
  return { kind: kindOf(found), hierarchies: found };
}

interface CgroupMount {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  readonly root: string;
}

/** '36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices' */
function parseMount(line: string): CgroupMount | undefined {
  const [left = '', right = ''] = line.split(' - ');
  const [type, , options = ''] = right.split(' ');
  const [, , , root, mountPoint] = left.split(' ');
  if (root === undefined || mountPoint === undefined) return undefined;
  const place = { mountPoint: unescapeOctal(mountPoint), root: unescapeOctal(root) };
  if (type === 'cgroup2') return { version: 2, controllers: [], ...place };
  if (type !== 'cgroup') return undefined;
  const controllers = options.split(',').filter((option) => joinedControllers.has(option));
  return controllers.length === 0 ? undefined : { version: 1, controllers, ...place };
}

/** '4:memory:/a/b', '0::/' → path by controller; v2 is ''. */
function parseOwn(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    for (const controller of (match[1] ?? '').split(',')) paths.set(controller, match[2] ?? '/');
  }
  return paths;
}

/** A mount may show a part of the hierarchy only; what lies outside of it is not to be reached. */
function below(root: string, path: string): string {
  const clean = posix.normalize(path);
  if (root === '/' || clean === root) return clean === root ? '/' : clean;
  return clean.startsWith(`${root}/`) ? clean.slice(root.length) : '/';
}

function kindOf(hierarchies: readonly Hierarchy[]): CgroupKind {
  const hasUnified = hierarchies.some(({ version }) => version === 2);
  const hasV1 = hierarchies.some(({ controllers }) =>
    controllers.some((controller) => !controller.startsWith('name=')),
  );
  if (hasV1) return hasUnified ? 'hybrid' : 'v1';
  return hasUnified ? 'v2' : 'none';
}

function isUsual(mountPoint: string): boolean {
  return mountPoint === '/sys/fs/cgroup' || mountPoint.startsWith('/sys/fs/cgroup/');
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

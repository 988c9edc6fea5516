// SPDX-License-Identifier: Apache-2.0
// Makes a container's cgroups and sets their limits, before anything is in them. What fails leaves
// nothing behind.
import { dirname } from 'node:path';
import { describe, Failure } from '../../failure.ts';
import type { Resources } from '../spec/types.ts';
import { Cgroup, type CgroupState } from './cgroup.ts';
import { ControlFailure, isErrnoOf } from './control-files.ts';
import { makeDirectories, mayWrite, removeMade } from './directories.ts';
import { handDownControllers, inheritCpuset, settleType } from './enable-controllers.ts';
import { findController, findUnified, freezerOf } from './find.ts';
import { limitsOf } from './limits.ts';
import type { CgroupPlan, PlannedDirectory } from './plan.ts';
import { pidsOf } from './processes.ts';
import { writeDevicesV1, writeResourcesV1 } from './resources-v1.ts';
import { writeResourcesV2 } from './resources-v2.ts';
import { endKeeper, startScope, stopScope } from './systemd.ts';

/**
 * `announce` hears what will be there before any of it is: who is killed on the way leaves
 * something to clean up by.
 */
export function createCgroup(
  plan: CgroupPlan,
  resources: Resources = {},
  announce: (state: CgroupState) => void = () => undefined,
): Cgroup {
  const warnings: string[] = [];
  const shared = checkEarlier(plan, warnings);
  const { kind, unit } = plan;
  const stateWith = (directories: readonly PlannedDirectory[]): CgroupState => ({
    kind,
    directories: directories.map(({ version, controllers, path }) => ({
      version,
      controllers,
      path,
      isShared: shared.has(path),
    })),
    limits: limitsOf(resources),
    ...(unit === undefined ? {} : { unit }),
  });
  announce(stateWith(plan.directories));
  if (Number(resources.memory?.kernel ?? 0) !== 0)
    warnings.push('kernel memory limit is ignored: Linux has none any more');
  const made: string[] = [];
  let keeper: number | undefined;
  try {
    keeper = startUnit(plan, resources);
    const directories = plan.directories.filter((directory) =>
      makeOne(plan, directory, resources, made),
    );
    writeAll(plan, directories, resources);
    return new Cgroup(stateWith(directories), { warnings, keeper });
  } catch (error) {
    if (keeper !== undefined) endKeeper(keeper);
    if (plan.unit !== undefined && keeper !== undefined) stopScope(plan.unit);
    removeMade(made);
    throw error;
  }
}

/**
 * Looks for processes that are in the cgroups already. As with runc a running process is worth a
 * warning, but in a frozen cgroup nothing would ever start. Returns the directories that have
 * processes.
 */
function checkEarlier(plan: CgroupPlan, warnings: string[]): ReadonlySet<string> {
  if (freezerOf(plan.directories)?.isFrozen() === true)
    throw new Failure('RUNTS_E_CGROUP_IN_USE', "container's cgroup unexpectedly frozen");
  const pids = new Set<number>();
  const shared = new Set<string>();
  for (const { path } of plan.directories) {
    const found = pidsOf(path, true);
    if (found.length > 0) shared.add(path);
    for (const pid of found) pids.add(pid);
  }
  if (pids.size === 0) return shared;
  const text = `container's cgroup is not empty: ${pids.size} process(es) found`;
  if (plan.unit !== undefined) throw new Failure('RUNTS_E_CGROUP_IN_USE', text);
  warnings.push(`${text}; they are left alone when the container ends`);
  return shared;
}

function startUnit(plan: CgroupPlan, resources: Resources): number | undefined {
  if (plan.unit === undefined) return undefined;
  const where =
    plan.directories.find(({ controllers }) => controllers.includes('name=systemd')) ??
    plan.directories.find(({ version }) => version === 2);
  if (where === undefined)
    throw new Failure('RUNTS_E_SYSTEMD_ABSENT', 'systemd: its cgroup hierarchy is not mounted');
  return startScope(plan.unit, where.path, plan.kind, resources);
}

/** False: it cannot be made, and nobody asked for this place. */
function makeOne(
  plan: CgroupPlan,
  directory: PlannedDirectory,
  resources: Resources,
  made: string[],
): boolean {
  const isUnified = plan.kind === 'v2';
  try {
    makeDirectories(directory.mountPoint, directory.path, made, (each) => {
      if (directory.controllers.includes('cpuset')) inheritCpuset(each);
      // What is systemd's, systemd arranges.
      if (!isUnified || plan.unit !== undefined) return;
      handDownControllers(dirname(each));
      settleType(each, resources);
    });
    checkJoin(directory);
    return true;
  } catch (error) {
    if (plan.isOptional && isForbidden(error)) return false;
    if (error instanceof Failure) throw error;
    throw new Failure(
      'RUNTS_E_CGROUP_FILE',
      `cannot make the cgroup ${directory.path}: ${describe(error)}`,
    );
  }
}

function isForbidden(error: unknown): boolean {
  return isErrnoOf(error, 'EACCES', 'EPERM', 'EROFS');
}

/**
 * In v2, moving needs the right to write in the nearest cgroup above both ends as well.
 * cgroup-v2.rst, "Delegation".
 */
function checkJoin({ version, own, path }: PlannedDirectory): void {
  if (version === 1) return;
  const file = `${commonParent(own, path)}/cgroup.procs`;
  if (mayWrite(file)) return;
  throw new ControlFailure(file, '0', Object.assign(new Error(), { code: 'EACCES' }));
}

function commonParent(left: string, right: string): string {
  const others = right.split('/');
  const names = left.split('/');
  const end = names.findIndex((name, index) => name !== others[index]);
  return (end < 0 ? names : names.slice(0, end)).join('/');
}

function writeAll(
  plan: CgroupPlan,
  directories: readonly PlannedDirectory[],
  resources: Resources,
): void {
  if (plan.kind === 'v2') {
    const files = findUnified(directories);
    if (files !== undefined) writeResourcesV2(files, resources);
    else if (hasLimits(resources))
      throw new Failure(
        'RUNTS_E_CGROUP_CONTROLLER',
        'cannot set limits: container could not join or create cgroup',
      );
    return;
  }
  const find = (controller: string): ReturnType<typeof findController> =>
    findController(directories, controller);
  try {
    writeDevicesV1(find, resources);
  } catch (error) {
    if (!plan.rootless) throw error;
  }
  writeResourcesV1(find, resources);
}

/** Device rules are not for the host in v2. Engines write sections full of zeros. */
function hasLimits({ devices: _, ...limits }: Resources): boolean {
  const isSet = (value: unknown): boolean =>
    typeof value === 'object' && value !== null
      ? Object.values(value).some(isSet)
      : value !== undefined && value !== 0 && value !== 0n && value !== '' && value !== false;
  return isSet(limits);
}

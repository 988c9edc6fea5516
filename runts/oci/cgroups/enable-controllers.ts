// SPDX-License-Identifier: Apache-2.0
// cgroup v2: a controller is there in a cgroup when its parent hands it down. cgroup-v2.rst,
// "Controlling Controllers".
import { Failure } from '../../failure.ts';
import type { Resources } from '../spec/types.ts';
import { controlFiles } from './control-files.ts';

/** Called for each directory from the top: `directory` is not the container's own but one above it. */
export function handDownControllers(directory: string): void {
  const files = controlFiles(directory);
  const available = (files.read('cgroup.controllers') ?? '').split(' ').filter(Boolean);
  const enabled = new Set((files.read('cgroup.subtree_control') ?? '').split(' '));
  const missing = available.filter((name) => !enabled.has(name)).map((name) => `+${name}`);
  if (missing.length === 0) return;
  // All or nothing is one write; where one of them is refused, the others go singly. What a limit then
  // needs and has not got is said when it is written.
  if (tryWrite(missing.join(' '))) return;
  for (const each of missing) tryWrite(each);

  function tryWrite(value: string): boolean {
    try {
      files.write('cgroup.subtree_control', value);
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * A cgroup below one that has processes itself cannot have controllers like memory; threads only
 * may share it.
 */
export function settleType(directory: string, resources: Resources): void {
  const files = controlFiles(directory);
  const type = files.read('cgroup.type') ?? 'domain';
  if (type === 'domain') return;
  const needsDomain =
    resources.memory !== undefined ||
    resources.blockIO !== undefined ||
    resources.hugepageLimits !== undefined;
  if (needsDomain)
    throw new Failure(
      'RUNTS_E_CGROUP_CONTROLLER',
      `cannot enter cgroupv2 "${directory}" with domain controllers: it is ${type === 'domain invalid' ? 'in an invalid state' : `in ${type} mode`}`,
    );
  if (type === 'domain invalid') {
    try {
      files.write('cgroup.type', 'threaded');
    } catch {
      // Joining it will say what is wrong.
    }
  }
}

/** cpuset of v1 starts empty, and an empty one takes no process: as the parent has it. */
export function inheritCpuset(directory: string): void {
  const parent = controlFiles(`${directory}/..`);
  const own = controlFiles(directory);
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (own.read(file) !== '') continue;
    const value = parent.read(file) ?? '';
    if (value !== '') own.write(file, value);
  }
}

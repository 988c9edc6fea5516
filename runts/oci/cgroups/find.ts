// SPDX-License-Identifier: Apache-2.0
// Which of a container's directories has a controller, and its freezer.
import { existsSync, readdirSync } from 'node:fs';
import { type ControlFiles, controlFiles } from './control-files.ts';
import { type Freezer, freezerV1, freezerV2 } from './freezer.ts';

interface Directory {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  readonly path: string;
}

/** Finds the directory of a controller of cgroups v1. */
export function findController(
  directories: readonly Directory[],
  controller: string,
): ControlFiles | undefined {
  const directory = directories.find(({ controllers }) => controllers.includes(controller));
  return directory === undefined ? undefined : controlFiles(directory.path);
}

export function findUnified(directories: readonly Directory[]): ControlFiles | undefined {
  const directory = directories.find(({ version }) => version === 2);
  return directory === undefined ? undefined : controlFiles(directory.path);
}

/** v1's where there is one. In v2 every cgroup can be frozen. */
export function freezerOf(directories: readonly Directory[]): Freezer | undefined {
  const v1 = findController(directories, 'freezer');
  if (v1 !== undefined) return freezerV1(v1);
  const v2 = findUnified(directories);
  return v2 === undefined ? undefined : freezerV2(v2);
}

/** '2MB', '1GB' as the files of hugetlb are named. */
export function hugepageSizes(): string[] {
  const folder = '/sys/kernel/mm/hugepages';
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
    if (!(kilobytes > 0)) return [];
    const units = ['KB', 'MB', 'GB'];
    let size = kilobytes;
    while (size >= 1024 && units.length > 1) {
      size /= 1024;
      units.shift();
    }
    return [`${size}${units[0]}`];
  });
}

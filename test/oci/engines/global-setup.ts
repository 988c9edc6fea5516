// SPDX-License-Identifier: Apache-2.0
// One pair of engines for all test files of test/oci; afterwards nothing of them may be left.
import type { TestProject } from 'vitest/node';
import { registeredRuntimes } from '../support/runtimes.ts';
import {
  engineObstacle,
  mountsBelow,
  processesNaming,
  startEngines,
  stopEngines,
} from './daemons.ts';
import { loadImages } from './images.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where they are; empty where they cannot run here. */
    enginesDir: string;
    engineObstacle: string;
  }
}

export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const obstacle = engineObstacle();
  project.provide('engineObstacle', obstacle ?? '');
  if (obstacle !== undefined) {
    console.error(`test/oci: skipped: ${obstacle} (tools/setup-host.sh engines)`);
    project.provide('enginesDir', '');
    return undefined;
  }
  const engines = await startEngines(registeredRuntimes);
  loadImages(engines);
  const { dir } = engines;
  project.provide('enginesDir', dir);
  return async () => {
    await stopEngines(dir);
    const left = [...mountsBelow(dir), ...processesNaming(dir)];
    if (left.length > 0) throw new Error(`left behind by the engines: ${left.join(', ')}`);
  };
}

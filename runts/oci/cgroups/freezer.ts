// SPDX-License-Identifier: Apache-2.0
// Stopping everything in a cgroup: freezer.state of v1, cgroup.freeze of v2.
// cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst "cgroup.freeze"
import { Failure } from '../../failure.ts';
import { type ControlFiles, pause } from './control-files.ts';

const PATIENCE_MS = 10_000;

export interface Freezer {
  freeze(): void;
  thaw(): void;
  isFrozen(): boolean;
}

export function freezerV1(files: ControlFiles): Freezer {
  const state = (): string => files.read('freezer.state') ?? '';
  return {
    freeze: () => {
      const end = Date.now() + PATIENCE_MS;
      for (let attempt = 0; Date.now() < end; attempt++) {
        // A process that was just forked may be missed: a short thaw lets it be caught the next time.
        if (attempt % 50 === 49) {
          files.write('freezer.state', 'THAWED');
          pause(10);
        }
        files.write('freezer.state', 'FROZEN');
        if (state() === 'FROZEN') return;
        pause(attempt < 20 ? 1 : 10);
      }
      files.write('freezer.state', 'THAWED');
      throw new Failure('RUNTS_E_CGROUP_FREEZE', 'unable to freeze the container');
    },
    thaw: () => {
      if (state() !== '') files.write('freezer.state', 'THAWED');
    },
    isFrozen: () => {
      // FREEZING for ever means that somebody above waits for a process that does not stop.
      for (let attempt = 0; attempt < 50 && state() === 'FREEZING'; attempt++) pause(1);
      return state() === 'FROZEN';
    },
  };
}

export function freezerV2(files: ControlFiles): Freezer {
  const isFrozen = (): boolean => /^frozen 1$/m.test(files.read('cgroup.events') ?? '');
  return {
    freeze: () => {
      files.write('cgroup.freeze', '1');
      const end = Date.now() + PATIENCE_MS;
      for (let delayMs = 1; Date.now() < end; delayMs = Math.min(delayMs * 2, 50)) {
        if (isFrozen()) return;
        pause(delayMs);
      }
      files.write('cgroup.freeze', '0');
      throw new Failure('RUNTS_E_CGROUP_FREEZE', 'unable to freeze the container');
    },
    thaw: () => {
      if (files.has('cgroup.freeze')) files.write('cgroup.freeze', '0');
    },
    isFrozen,
  };
}

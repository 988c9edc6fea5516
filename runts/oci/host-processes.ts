// SPDX-License-Identifier: Apache-2.0
// The processes of a container as the host's ps(1) and `docker top` may show them. The quick path finds them
// (native/launcher/quick/ps.c); where it cannot there is the front at least.
import { spawnSync } from 'node:child_process';
import { findInstallation } from '../installation.ts';
import type { OciContext } from './context.ts';
import type { ContainerRecord } from './state/container-record.ts';

export function hostPids({ store }: OciContext, { id, front }: ContainerRecord): number[] {
  const ps = ['--root', store.root, 'ps', '--format', 'json', id];
  // What it would leave to Node fails instead.
  const args = ['quick', '/bin/false', '--', ...ps];
  const { status, stdout } = spawnSync(findInstallation().launcher, args, {
    encoding: 'utf8',
    env: {},
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (status === 0) return JSON.parse(stdout) as number[];
  return front === undefined ? [] : [front.pid];
}

// SPDX-License-Identifier: Apache-2.0
// Writes ROOT/ID/quick: what the quick path (native/launcher/quick) needs of a container's record,
// for C to read. Its format is protocol/state-files.ts.
import {
  QUICK_CGROUPS,
  QUICK_HOOK,
  QUICK_LINE,
  QUICK_LONGEST,
  QUICK_VERSION,
} from '../../../protocol/state-files.ts';
import type { ContainerRecord } from './container-record.ts';
import { stateText } from './status.ts';

/** Undefined: Node has to do everything. */
export function quickRecord(record: ContainerRecord): string | undefined {
  const { front, cgroup, hooks } = record;
  const directories = cgroup?.directories ?? [];
  if (front === undefined || directories.length > QUICK_CGROUPS) return undefined;
  const later = Object.values(QUICK_HOOK).filter((kind) => (hooks[kind] ?? []).length > 0);
  const lines = [
    `${QUICK_LINE.version} ${QUICK_VERSION}`,
    `${QUICK_LINE.front} ${front.pid} ${front.startTime}`,
    `${QUICK_LINE.hooks} ${later.length === 0 ? '-' : later.join(' ')}`,
    `${QUICK_LINE.freezer} ${freezer(directories)}`,
    `${QUICK_LINE.unit} ${cgroup?.unit === undefined ? 'no' : 'yes'}`,
    `${QUICK_LINE.sandbox} ${record.sandbox ?? record.id}`,
    `${QUICK_LINE.bundle} ${record.bundle}`,
    ...directories.map(
      ({ path, isShared }) => `${QUICK_LINE.cgroup} ${isShared ? 'shared' : 'owned'} ${path}`,
    ),
  ];
  if (lines.some((line) => /[\n\0]/.test(line))) return undefined;
  const text = `${lines.join('\n')}\n${document(record)}`;
  return text.length * 3 > QUICK_LONGEST ? undefined : text;
}

/**
 * Returns the line of the freezer that restoreCgroup(…).isFrozen() would look for
 * (runts/oci/cgroups/find.ts).
 */
function freezer(directories: NonNullable<ContainerRecord['cgroup']>['directories']): string {
  const v1 = directories.find(({ controllers }) => controllers.includes('freezer'));
  const v2 = directories.find(({ version }) => version === 2);
  if (v1 !== undefined) return `v1 ${v1.path}`;
  return v2 === undefined ? 'none' : `v2 ${v2.path}`;
}

function document(record: ContainerRecord): string {
  // The name of another owner depends on who asks.
  const halves =
    record.owner === 0
      ? /^(.*?\n {2}"pid": )\d+,\n {2}"status": "running(".*)$/s.exec(stateText(record, 'running'))
      : null;
  if (halves === null) return `${QUICK_LINE.document} none\n`;
  const [, before = '', after = ''] = halves;
  return `${QUICK_LINE.document} ${Buffer.byteLength(before)} ${Buffer.byteLength(after)}\n${before}${after}`;
}

// ROOT/ID/quick: what the quick path (native/launcher/quick) needs of a container's record, for C
// to read. Without the file, or with one that is not as here, the quick path leaves the command to
// Node. The lines, in this order:
//   runts quick 2                      the version
//   front PID START                    the process of the pid file (process-identity.ts)
//   hooks KIND...                      the kinds of hooks that a command on this container would
//                                      have to run, or '-'
//   freezer v1|v2 DIRECTORY            or 'freezer none'
//   unit yes|no                        systemd has a unit for it, which `delete` stops
//   sandbox ID                         the container whose Sentry it lives in: itself, or the first
//                                      container of its pod
//   bundle DIRECTORY                   where its config.json is
//   cgroup owned|shared DIRECTORY      each of its cgroups; only owned ones are removed with it
//   document BEFORE AFTER              two lengths in bytes: the text that `runts state` prints up to
//                                      the pid, and from the end of the status on, follow this line
//                                      ('document none': Node has to find out)
import type { ContainerRecord } from './container-record.ts';
import { stateText } from './status.ts';

const QUICK_VERSION = 2;

/** More is not read back: native/launcher/quick/record.c. */
const LONGEST = 1 << 20;
const MOST_CGROUPS = 20;

/** Undefined: Node has to do everything. */
export function quickRecord(record: ContainerRecord): string | undefined {
  const { front, cgroup, hooks } = record;
  const directories = cgroup?.directories ?? [];
  if (front === undefined || directories.length > MOST_CGROUPS) return undefined;
  const later = (['startContainer', 'poststart', 'poststop'] as const).filter(
    (kind) => (hooks[kind] ?? []).length > 0,
  );
  const lines = [
    `runts quick ${QUICK_VERSION}`,
    `front ${front.pid} ${front.startTime}`,
    `hooks ${later.length === 0 ? '-' : later.join(' ')}`,
    `freezer ${freezer(directories)}`,
    `unit ${cgroup?.unit === undefined ? 'no' : 'yes'}`,
    `sandbox ${record.sandbox ?? record.id}`,
    `bundle ${record.bundle}`,
    ...directories.map(({ path, isShared }) => `cgroup ${isShared ? 'shared' : 'owned'} ${path}`),
  ];
  if (lines.some((line) => /[\n\0]/.test(line))) return undefined;
  const text = `${lines.join('\n')}\n${document(record)}`;
  return text.length * 3 > LONGEST ? undefined : text;
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
  if (halves === null) return 'document none\n';
  const [, before = '', after = ''] = halves;
  return `document ${Buffer.byteLength(before)} ${Buffer.byteLength(after)}\n${before}${after}`;
}

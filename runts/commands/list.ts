// SPDX-License-Identifier: Apache-2.0
// `runts list`: the containers of a --root; without one the sandboxes of `runts do` too.
import { accessSync, constants } from 'node:fs';
import { describe, Failure, isCode } from '../failure.ts';
import type { OciContext } from '../oci/context.ts';
import { NEWEST_VERSION } from '../oci/spec/version.ts';
import type { ContainerRecord } from '../oci/state/container-record.ts';
import { ownerName, stateDocument, statusOf } from '../oci/state/status.ts';
import { type RunningDo, runningDos } from './running-do.ts';

export interface ListOptions {
  readonly format: string;
  readonly quiet?: boolean;
}

export function list(context: OciContext, { format, quiet = false }: ListOptions): void {
  if (format !== 'table' && format !== 'json')
    throw new Failure('RUNTS_E_OPTION_VALUE', 'invalid format option');
  const records = isOfOthers(context) ? [] : context.store.records(tell);
  const dos = context.isDefaultRoot ? runningDos() : [];
  if (quiet) process.stdout.write([...records, ...dos].map(({ id }) => `${id}\n`).join(''));
  else if (format === 'json') printJson(context, records, dos);
  else printTable(context, records, dos);
}

function tell(error: unknown): void {
  process.stderr.write(`runts: ${describe(error)}\n`);
}

/**
 * Returns whether the directory that is looked at without --root belongs to root and keeps the
 * caller out: an ordinary user without XDG_RUNTIME_DIR has no containers there, but may have
 * sandboxes of `runts do`. Where runc fails.
 */
function isOfOthers({ isDefaultRoot, store }: OciContext): boolean {
  if (!isDefaultRoot || process.geteuid?.() === 0) return false;
  try {
    accessSync(store.root, constants.R_OK);
    return false;
  } catch (error) {
    return isCode(error, 'EACCES');
  }
}

function printJson(
  context: OciContext,
  records: readonly ContainerRecord[],
  dos: readonly RunningDo[],
): void {
  const containers = records.map((record) => {
    const { annotations, ...document } = stateDocument(record, statusOf(context.store, record));
    return {
      ...document,
      rootfs: record.rootfs,
      created: record.created,
      ...(annotations === undefined ? {} : { annotations }),
      owner: listedOwner(record.owner),
    };
  });
  const sandboxes = dos.map(({ id, pid, command, created, owner }) => ({
    ociVersion: NEWEST_VERSION,
    id,
    pid,
    status: 'running',
    bundle: '',
    rootfs: '',
    created,
    annotations: { 'dev.runts.command': command },
    owner: listedOwner(owner),
  }));
  const documents = [...containers, ...sandboxes];
  process.stdout.write(`${documents.length === 0 ? 'null' : JSON.stringify(documents)}\n`);
}

/** runc names root here, and not in `state`. */
function listedOwner(uid: number): string {
  return uid === 0 ? 'root' : ownerName(uid);
}

function printTable(
  context: OciContext,
  records: readonly ContainerRecord[],
  dos: readonly RunningDo[],
): void {
  const rows = [
    ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
    ...records.map((record) => {
      const status = statusOf(context.store, record);
      const pid = status === 'stopped' ? 0 : (record.front?.pid ?? 0);
      const owner = listedOwner(record.owner);
      return [record.id, String(pid), status, record.bundle, record.created, owner];
    }),
    // No bundle: what is run stands in its place.
    ...dos.map(({ id, pid, command, created, owner }) => [
      id,
      String(pid),
      'running',
      command,
      created,
      listedOwner(owner),
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
  process.stdout.write(`${lines.join('\n')}\n`);
}

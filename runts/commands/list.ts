// `runts list`: the containers of a --root.
import { describe, Failure } from '../failure.ts';
import type { OciContext } from '../oci/context.ts';
import type { ContainerRecord } from '../oci/state/container-record.ts';
import { ownerName, stateDocument, statusOf } from '../oci/state/status.ts';

export interface ListOptions {
  readonly format: string;
  readonly quiet?: boolean;
}

export function list(context: OciContext, { format, quiet = false }: ListOptions): void {
  if (format !== 'table' && format !== 'json')
    throw new Failure('RUNTS_E_OPTION_VALUE', 'invalid format option');
  const records = context.store.records((error) => {
    process.stderr.write(`runts: ${describe(error)}\n`);
  });
  if (quiet) process.stdout.write(records.map(({ id }) => `${id}\n`).join(''));
  else if (format === 'json') printJson(context, records);
  else printTable(context, records);
}

function printJson(context: OciContext, records: readonly ContainerRecord[]): void {
  const documents = records.map((record) => {
    const { annotations, ...document } = stateDocument(record, statusOf(context.store, record));
    return {
      ...document,
      rootfs: record.rootfs,
      created: record.created,
      ...(annotations === undefined ? {} : { annotations }),
      owner: listedOwner(record.owner),
    };
  });
  process.stdout.write(`${documents.length === 0 ? 'null' : JSON.stringify(documents)}\n`);
}

/** runc names root here, and not in `state`. */
function listedOwner(uid: number): string {
  return uid === 0 ? 'root' : ownerName(uid);
}

function printTable(context: OciContext, records: readonly ContainerRecord[]): void {
  const rows = [
    ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
    ...records.map((record) => {
      const status = statusOf(context.store, record);
      const pid = status === 'stopped' ? 0 : (record.front?.pid ?? 0);
      const owner = listedOwner(record.owner);
      return [record.id, String(pid), status, record.bundle, record.created, owner];
    }),
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

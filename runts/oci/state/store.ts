// SPDX-License-Identifier: Apache-2.0
// The records of containers below one --root. Each container has a directory, which is made and
// removed as a whole:
//   ROOT/ID/state.json     the ContainerRecord, replaced atomically
//   ROOT/ID/quick          the quick record: the part of it that the quick path needs (quick-record.ts)
//   ROOT/ID/control.sock   the Sentry's control socket
//   ROOT/ID/started        an empty file that exists once the container was started
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import {
  LONGEST_ID,
  STATE_QUICK_FILE,
  STATE_RECORD_FILE,
  STATE_STARTED_FILE,
} from '../../../protocol/state-files.ts';
import { makeDirectories, removeFile, removeTree } from '../../directories.ts';
import { describe, Failure, isCode } from '../../failure.ts';
import { userRuntimeDirectory } from '../caller.ts';
import { type ContainerRecord, isRecordOf, RECORD_VERSION } from './container-record.ts';
import { quickRecord } from './quick-record.ts';

/** Returns the directory of all records where --root is not given. */
export function defaultRoot(): string {
  const directory = userRuntimeDirectory();
  return directory === undefined ? '/run/runts' : join(directory, 'runts');
}

/**
 * The failure to read a record whose file exists but holds no record (damaged, or not written by
 * runts).
 */
export class BrokenRecord extends Failure {
  constructor(text: string) {
    super('RUNTS_E_STATE_RECORD', text);
  }
}

export class Store {
  readonly root: string;

  constructor(root: string) {
    this.root = resolve(root);
  }

  directory(id: string): string {
    checkId(id);
    return join(this.root, id);
  }

  /** Claims `id` by making its directory. Throws where a container of that id exists. */
  claim(id: string): void {
    const directory = this.directory(id);
    try {
      this.#makeRoot();
      mkdirSync(directory, { mode: 0o700 });
    } catch (error) {
      if (isCode(error, 'EEXIST'))
        throw new Failure(
          'RUNTS_E_CONTAINER_EXISTS',
          `container with given ID already exists: ${id}`,
        );
      throw new Failure('RUNTS_E_STATE_DIRECTORY', `cannot make ${directory}: ${describe(error)}`);
    }
  }

  /**
   * Makes the directory of all records. Below XDG_RUNTIME_DIR it gets the sticky bit, as runc's: what
   * has none there may be removed by who tidies up (XDG Base Directory Specification).
   */
  #makeRoot(): void {
    const made = makeDirectories(this.root, 0o711);
    if (made !== undefined && userRuntimeDirectory() !== undefined && this.root === defaultRoot())
      chmodSync(this.root, 0o1711);
  }

  save(record: ContainerRecord): void {
    const path = join(this.directory(record.id), STATE_RECORD_FILE);
    const quickPath = join(this.directory(record.id), STATE_QUICK_FILE);
    const quick = quickRecord(record);
    try {
      // The old quick record goes first: at no moment is there a quick record that contradicts the
      // record.
      removeFile(quickPath);
      replace(path, `${JSON.stringify(record)}\n`);
      if (quick !== undefined) replace(quickPath, quick);
    } catch (error) {
      throw new Failure('RUNTS_E_STATE_DIRECTORY', `cannot write ${path}: ${describe(error)}`);
    }
  }

  load(id: string): ContainerRecord {
    const record = this.find(id);
    if (record === undefined)
      throw new Failure('RUNTS_E_CONTAINER_UNKNOWN', `container does not exist: ${id}`);
    return record;
  }

  /**
   * Returns the record; undefined where no container of that id exists, or where its creation was
   * never finished.
   */
  find(id: string): ContainerRecord | undefined {
    const path = join(this.directory(id), STATE_RECORD_FILE);
    let record: unknown;
    try {
      record = JSON.parse(readFileSync(path, 'utf8'));
    } catch (error) {
      if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return undefined;
      const text = `container ${id}: cannot read ${path}: ${describe(error)}`;
      throw error instanceof SyntaxError
        ? new BrokenRecord(text)
        : new Failure('RUNTS_E_STATE_DIRECTORY', text);
    }
    const version = (record as { readonly version?: unknown } | null)?.version;
    if (typeof version === 'number' && version !== RECORD_VERSION)
      throw new Failure(
        'RUNTS_E_STATE_VERSION',
        `container ${id}: ${path} was written by another version of runts`,
      );
    if (version === RECORD_VERSION && isRecordOf(id, record)) return record;
    throw new BrokenRecord(`container ${id}: ${path} is not a container record`);
  }

  /** Returns the ids of all containers, also of those whose record cannot be read. */
  ids(): string[] {
    try {
      return readdirSync(this.root, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
        .sort();
    } catch (error) {
      if (isCode(error, 'ENOENT')) return [];
      throw new Failure('RUNTS_E_STATE_DIRECTORY', `cannot list ${this.root}: ${describe(error)}`);
    }
  }

  /**
   * Returns the records of all containers; `broken` is called with the error for each that cannot
   * be read.
   */
  records(broken: (error: unknown) => void = () => undefined): ContainerRecord[] {
    return this.ids().flatMap((id) => {
      try {
        return this.find(id) ?? [];
      } catch (error) {
        broken(error);
        return [];
      }
    });
  }

  /**
   * Marks the container as started. Returns true to the one caller that made the mark, who is to
   * start it.
   */
  markStarted(id: string): boolean {
    try {
      closeSync(openSync(join(this.directory(id), STATE_STARTED_FILE), 'wx', 0o600));
      return true;
    } catch (error) {
      if (isCode(error, 'EEXIST')) return false;
      throw new Failure('RUNTS_E_STATE_DIRECTORY', `container ${id}: ${describe(error)}`);
    }
  }

  isStarted(id: string): boolean {
    return existsSync(join(this.directory(id), STATE_STARTED_FILE));
  }

  /** Returns whether the id has a directory, whatever is in it. */
  exists(id: string): boolean {
    try {
      readdirSync(this.directory(id));
      return true;
    } catch {
      return false;
    }
  }

  remove(id: string): void {
    const directory = this.directory(id);
    try {
      removeTree(directory);
    } catch (error) {
      throw new Failure(
        'RUNTS_E_STATE_DIRECTORY',
        `cannot remove ${directory}: ${describe(error)}`,
      );
    }
  }
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/**
 * Checks an id by runc's rule: a name that is valid for a directory on any system, and is no path.
 */
function checkId(id: string): void {
  if (id === '') throw new Failure('RUNTS_E_CONTAINER_ID', 'container id cannot be empty');
  if (id.length > LONGEST_ID || !/^[\w+.-]+$/.test(id) || id === '.' || id === '..')
    throw new Failure(
      'RUNTS_E_CONTAINER_ID',
      `invalid container id format: ${JSON.stringify(id.slice(0, 128))}`,
    );
}

// SPDX-License-Identifier: Apache-2.0
// The files of one cgroup. A failed write names the file and the value.
import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, Failure } from '../../failure.ts';

/** A cgroup's directory, or what a test puts in its place. */
export interface ControlFiles {
  readonly path: string;
  has(file: string): boolean;
  /** Without white space at the ends; undefined where the file or the cgroup is not there. */
  read(file: string): string | undefined;
  /** One write(2). Throws a ControlFailure. */
  write(file: string, value: string): void;
}

export class ControlFailure extends Failure {
  readonly errno: string | undefined;

  constructor(file: string, value: string, error: unknown) {
    const shown = value.length > 100 ? `${value.slice(0, 100)}...` : value;
    super('RUNTS_E_CGROUP_FILE', `failed to write "${shown}" to ${file}: ${describe(error)}`);
    this.errno = errnoOf(error);
  }
}

export function controlFiles(path: string): ControlFiles {
  return {
    path,
    has: (file) => existsSync(join(path, file)),
    read: (file) => readControl(join(path, file)),
    write: (file, value) => {
      writeControl(join(path, file), value);
    },
  };
}

export function readControl(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1').trim();
  } catch (error) {
    // ENODEV: the cgroup went away while the file was open.
    if (isErrnoOf(error, 'ENOENT', 'ENODEV', 'ENOTDIR')) return undefined;
    throw new Failure('RUNTS_E_CGROUP_FILE', `cannot read ${file}: ${describe(error)}`);
  }
}

export function writeControl(file: string, value: string): void {
  let fd = -1;
  try {
    // Not O_CREAT, which cgroupfs answers with EACCES for a file that is not there.
    fd = openSync(file, constants.O_WRONLY | constants.O_TRUNC);
    writeInterruptibly(fd, value);
  } catch (error) {
    throw new ControlFailure(file, value, error);
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** Lowering a memory limit reclaims, and a signal ends that with EINTR. */
function writeInterruptibly(fd: number, value: string): void {
  for (let attempt = 0; ; attempt++) {
    try {
      writeSync(fd, value);
      return;
    } catch (error) {
      if (!isErrnoOf(error, 'EINTR') || attempt >= 10) throw error;
    }
  }
}

export function errnoOf(error: unknown): string | undefined {
  if (error instanceof ControlFailure) return error.errno;
  return (error as NodeJS.ErrnoException | undefined)?.code?.toString();
}

export function isErrnoOf(error: unknown, ...names: readonly string[]): boolean {
  return names.includes(errnoOf(error) ?? '');
}

/** Lines 'name value' of memory.stat and its like; values above 2^53 stay exact. */
export function parseFlat(text: string | undefined): Map<string, number | bigint> {
  const values = new Map<string, number | bigint>();
  for (const line of (text ?? '').split('\n')) {
    const match = /^(\S+) (-?\d+)$/.exec(line.trim());
    if (match !== null) values.set(match[1] as string, exact(match[2] as string));
  }
  return values;
}

export function exact(digits: string): number | bigint {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
}

/** Waits without giving up the thread: the kernel needs a moment, and the caller has nothing else to do. */
export function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

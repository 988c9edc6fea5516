// Failures that the user is told about: one line on standard error and an exit code, no stack trace.
import { writeSync } from 'node:fs';

/** runts itself failed, as env(1), timeout(1) and docker(1) have it. */
export const EXIT_OWN_FAILURE = 125;

export class Failure extends Error {
  readonly code: number;

  constructor(text: string, code: number = EXIT_OWN_FAILURE) {
    super(text);
    this.code = code;
  }
}

/**
 * One line, without what a terminal would obey: part of it may come from a guest. A standard error that is full or
 * closed is nobody's fault.
 */
export function complain(text: string): void {
  try {
    writeSync(2, `runts: ${text.replace(/[\x00-\x1f\x7f]/g, ' ')}\n`);
  } catch {
    // There is nobody left to tell.
  }
}

/** The text of a failed file operation as the shell would put it. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  return (code !== undefined && errorTexts[code]) || error.message;
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

const errorTexts: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  ENOTDIR: 'Not a directory',
  EISDIR: 'Is a directory',
  ENOSPC: 'No space left on device',
  EROFS: 'Read-only file system',
  ELOOP: 'Too many levels of symbolic links',
  ENOMEM: 'Cannot allocate memory',
  EAGAIN: 'Resource temporarily unavailable',
  EMFILE: 'Too many open files',
  EINVAL: 'Invalid argument',
  EBUSY: 'Device or resource busy',
  ENODEV: 'No such device',
  ERANGE: 'Numerical result out of range',
  EOPNOTSUPP: 'Operation not supported',
};

/** The texts that a failed host call may have here. */
export const errnoTexts: readonly string[] = Object.values(errorTexts);

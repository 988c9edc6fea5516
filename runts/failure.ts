// SPDX-License-Identifier: Apache-2.0
// Failures that the user is told about: one line on standard error, no stack trace. The exit code
// is the verb's: 125 from runts' own verbs (main.ts), from those of an OCI runtime what runc gives
// (oci/context.ts).
import { writeSync } from 'node:fs';
// The type alone: the catalogue's texts are for docs/errors.md, and cost the command line's start nothing.
import type { FailureCode } from './errors.ts';
import { mapOwnStack } from './map-stack.ts';

/** A failure with its family in the catalogue, for programs, and a text, for people. */
export class Failure extends Error {
  readonly code: FailureCode;

  constructor(code: FailureCode, text: string) {
    super(text);
    this.code = code;
  }
}

/** The family of a failure; of an exception that nobody foresaw RUNTS_E_UNEXPECTED. */
export function codeOf(error: unknown): FailureCode {
  return error instanceof Failure ? error.code : 'RUNTS_E_UNEXPECTED';
}

/** With RUNTS_TRACE=1: the family of a failure, and where in runts it came from. */
export function complainOfOrigin(error: unknown): void {
  if (process.env['RUNTS_TRACE'] !== '1' || !(error instanceof Error)) return;
  complain(`${codeOf(error)} (docs/errors.md)`);
  complain(mapOwnStack(String(error.stack)));
}

/**
 * One line, without what a terminal would obey: part of it may come from a guest. A standard error
 * that is full or closed is nobody's fault.
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

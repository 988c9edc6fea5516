// SPDX-License-Identifier: Apache-2.0
// The file that --log names: engines read the text of a failure from its last line of level "error"
// (containerd, pkg/process/utils.go), in the form that logrus writes.
import { closeSync, openSync, writeSync } from 'node:fs';
import type { FailureCode } from '../errors.ts';
import { describe, Failure } from '../failure.ts';

export type LogFormat = 'text' | 'json';
export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

/** Where a command's log goes. */
export interface CommandLog {
  /** Undefined: there is no log file. */
  readonly fd: number | undefined;
  readonly format: LogFormat;
  /** `code`: the family of the failure that is told. */
  write(level: LogLevel, text: string, code?: FailureCode): void;
  close(): void;
}

export function openLog(path: string | undefined, format: LogFormat, debug: boolean): CommandLog {
  const fd = path === undefined || path === '' ? undefined : openFile(path);
  return {
    fd,
    format,
    write: (level, text, code) => {
      if (fd === undefined || (level === 'debug' && !debug)) return;
      writeLine(fd, formatLine(format, level, text, code));
    },
    close: () => {
      if (fd !== undefined) closeSync(fd);
    },
  };
}

function openFile(path: string): number {
  try {
    return openSync(path, 'a', 0o644);
  } catch (error) {
    throw new Failure('RUNTS_E_LOG_FILE', `--log: ${path}: ${describe(error)}`);
  }
}

/** A full disk must not hide the failure itself, which is on standard error too. */
function writeLine(fd: number, line: string): void {
  try {
    writeSync(fd, line);
  } catch {
    // There is no other place to tell of it.
  }
}

export function formatLine(
  format: LogFormat,
  level: LogLevel,
  text: string,
  code?: FailureCode,
): string {
  const time = `${new Date().toISOString().slice(0, 19)}Z`;
  if (format === 'json') return `${JSON.stringify({ level, msg: text, time, code })}\n`;
  return `time="${time}" level=${level} msg=${JSON.stringify(text)}${code === undefined ? '' : ` code=${code}`}\n`;
}

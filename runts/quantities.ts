// SPDX-License-Identifier: Apache-2.0
// Sizes, times and ids on the command line.
import { Failure } from './failure.ts';

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};
const timeUnits: Readonly<Record<string, number>> = {
  ms: 1,
  '': 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** '512m', '2GiB', '1073741824'. */
export function parseSize(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text);
  const unit = sizeUnits[match?.[2]?.toLowerCase() ?? ''];
  if (match === null || unit === undefined)
    throw new Failure(
      'RUNTS_E_OPTION_VALUE',
      `${option}: '${text}' is not a size (for example 512m, 2g)`,
    );
  return Math.floor(Number(match[1]) * unit);
}

/** Milliseconds: '10' and '10s', '1.5m', '200ms'. */
export function parseTime(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text);
  const unit = timeUnits[match?.[2] ?? ''];
  if (match === null || unit === undefined)
    throw new Failure(
      'RUNTS_E_OPTION_VALUE',
      `${option}: '${text}' is not a time (for example 10, 30s, 5m)`,
    );
  return Math.ceil(Number(match[1]) * unit);
}

export function parseCount(text: string, option: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new Failure('RUNTS_E_OPTION_VALUE', `${option}: '${text}' is not a positive number`);
  return Number(text);
}

/** A uid or gid. */
export function parseId(text: string, option: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0xffff_fffe)
    throw new Failure('RUNTS_E_OPTION_VALUE', `${option}: '${text}' is not a numeric id`);
  return Number(text);
}

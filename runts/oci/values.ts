// SPDX-License-Identifier: Apache-2.0
// Values of mount options, as the kernel's parsers read them.
import { Failure } from '../failure.ts';

const units: Readonly<Record<string, number>> = {
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** memparse(): digits and a unit. */
export function parseBytes(text: string, option: string, where: string): number {
  const match = /^(\d{1,15})([kmgtKMGT]?)$/.exec(text);
  if (match === null)
    throw new Failure('RUNTS_E_MOUNT_OPTION', `${where}: '${option}' is not a size`);
  return Number(match[1]) * (units[(match[2] ?? '').toLowerCase()] ?? 1);
}

export function parseOctal(text: string, option: string, where: string): number {
  if (!/^0?[0-7]{1,4}$/.test(text))
    throw new Failure('RUNTS_E_MOUNT_OPTION', `${where}: '${option}' is not a mode`);
  return Number.parseInt(text, 8);
}

export function parseNumber(text: string, option: string, where: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0xffff_fffe))
    throw new Failure('RUNTS_E_MOUNT_OPTION', `${where}: '${option}' is not an id`);
  return value;
}

// SPDX-License-Identifier: Apache-2.0
// Texts of the command line as byte strings: one char per byte, as the Sentry has them.
import { readFileSync } from 'node:fs';

export function toByteString(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * Arguments from `first` on, byte for byte. Node decodes them as UTF-8, which loses bytes that are none:
 * the kernel still has them.
 */
export function exactArguments(args: readonly string[]): string[] {
  if (!args.some((arg) => arg.includes('\uFFFD'))) return args.map(toByteString);
  const all = splitNul('/proc/self/cmdline');
  return all.slice(all.length - args.length);
}

/** The environment as 'NAME=value', likewise. */
export function exactEnvironment(): string[] {
  const entries = Object.entries(process.env);
  if (!entries.some(([name, value]) => `${name}${value}`.includes('\uFFFD'))) {
    return entries.map(([name, value]) => toByteString(`${name}=${value ?? ''}`));
  }
  return splitNul('/proc/self/environ');
}

function splitNul(path: string): string[] {
  const parts = readFileSync(path, 'latin1').split('\0');
  parts.pop();
  return parts;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1)
    if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

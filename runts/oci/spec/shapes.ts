// SPDX-License-Identifier: Apache-2.0
// What the schemas of config.json are made of: valibot's schemas with the texts of this project's failures.
import * as v from 'valibot';
import { show } from './show.ts';
import type { Integer64 } from './types.ts';

type Entries = v.ObjectEntries;

export const text = v.string((issue) => expected('a string', issue.input));
export const texts = list(text);
export const flag = v.boolean((issue) => expected('true or false', issue.input));

/** Not empty. */
export const name = v.pipe(
  text,
  v.check((value) => value !== '', 'must not be empty'),
);

export const absolutePath = v.pipe(
  text,
  v.check(
    (value) => value.startsWith('/'),
    (issue) => `expected an absolute path, got ${show(issue.input)}`,
  ),
);

export const uint16 = integer(0, 0xffff);
export const uint32 = integer(0, 0xffff_ffff);
export const int32 = integer(-(2 ** 31), 2 ** 31 - 1);
export const int64 = exactInteger(-(2n ** 63n), 2n ** 63n - 1n);
export const uint64 = exactInteger(0n, 2n ** 64n - 1n);
/** 64 bits of which nobody wants the last ones: a number that is not exact above 2^53. */
export const about64 = v.pipe(int64, v.transform(Number));
export const aboutUnsigned64 = v.pipe(uint64, v.transform(Number));

export function integer(least: number, most: number) {
  const isValid = (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
  return v.custom<number>(isValid, (issue) => expectedInteger(least, most, issue.input));
}

function exactInteger(least: bigint, most: bigint) {
  const isValid = (value: unknown): boolean =>
    (Number.isSafeInteger(value) || typeof value === 'bigint') &&
    (value as Integer64) >= least &&
    (value as Integer64) <= most;
  return v.custom<Integer64>(isValid, (issue) => expectedInteger(least, most, issue.input));
}

/**
 * valibot's picklist makes a text of the names beforehand, which is a third of the time that all
 * schemas take.
 */
export function oneOf<const T extends readonly string[]>(names: T) {
  const isOne = (value: unknown): boolean => names.includes(value as string);
  return v.custom<T[number]>(isOne, ({ input }) =>
    typeof input === 'string'
      ? `expected one of ${names.join(', ')}, got ${show(input)}`
      : expected('a string', input),
  );
}

export function list<T extends v.GenericSchema>(element: T) {
  return v.array(element, (issue) => expected('an array', issue.input));
}

/** An object with exactly these properties. */
export function shape<const T extends Entries>(entries: T) {
  const object = v.strictObject(entries, explainObject);
  return v.lazy((value) => (Array.isArray(value) ? noObject : object));
}

/** An object with properties of any name. */
export function mapOf<T extends v.GenericSchema>(element: T) {
  const object = v.record(text, element, (issue) => expected('an object', issue.input));
  return v.lazy((value) => (Array.isArray(value) ? noObject : object));
}

/** To valibot an array is an object. */
const noObject = v.custom<never>(
  () => false,
  (issue) => expected('an object', issue.input),
);

/** How an unknown property is told from the other issues (document.ts). */
export const UNKNOWN_PROPERTY = 'is an unknown property';

function explainObject(issue: v.StrictObjectIssue): string {
  if (issue.expected === 'Object') return expected('an object', issue.input);
  return issue.expected === 'never' ? UNKNOWN_PROPERTY : 'is missing';
}

function expectedInteger(least: Integer64, most: Integer64, value: unknown): string {
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  return `expected an integer from ${least} to ${most}, got ${isNumber ? value : kindOf(value)}`;
}

function expected(what: string, value: unknown): string {
  return `expected ${what}, got ${kindOf(value)}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'bigint' ? 'number' : typeof value;
}

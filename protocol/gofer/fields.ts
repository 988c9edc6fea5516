// SPDX-License-Identifier: Apache-2.0
// What a message is made of. A field is the one place that says how a kind of value is written and
// how it is read; a value that no honest side sends makes the reader `bad`, so that the whole
// message is refused.
import type { SysResult } from '../../abi/errno.ts';
import type { MessageReader, MessageWriter } from './wire.ts';

export interface Field<T> {
  put(writer: MessageWriter, value: T): void;
  take(reader: MessageReader): T;
}

/** A field which is read as `field` is, and refused where `isGood` says no. */
function refusing<T>(field: Field<T>, isGood: (value: T) => boolean): Field<T> {
  return {
    put: field.put,
    take: (reader) => {
      const value = field.take(reader);
      if (!isGood(value)) reader.bad = true;
      return value;
    },
  };
}

export const u32: Field<number> = {
  put: (writer, value) => void writer.u32(value),
  take: (reader) => reader.u32(),
};

/** An integer of up to 53 bits: inode numbers, sizes, seconds. */
export const integer: Field<number> = {
  put: (writer, value) => void writer.f64(value),
  take: (reader) => reader.f64(),
};

export const flag: Field<boolean> = {
  put: (writer, value) => void writer.u32(value ? 1 : 0),
  take: (reader) => {
    const value = reader.u32();
    if (value > 1) reader.bad = true;
    return value === 1;
  },
};

/** 0, or the errno that ended what was asked for after a part of it had been done. */
export const ending: Field<SysResult> = {
  put: (writer, value) => void writer.i32(value),
  take: (reader) => {
    const value = reader.i32();
    if (!isEnding(value)) reader.bad = true;
    return value;
  },
};

/** Whether a number that came is 0 or an errno. */
export function isEnding(value: number): boolean {
  return value <= 0 && value >= -4095;
}

export const text: Field<string> = {
  put: (writer, value) => void writer.text(value),
  take: (reader) => reader.text(),
};

/** A name as a directory entry may have: no '/', not '.' or '..', 1 to 255 bytes, no NUL. */
export function isEntryName(name: string): boolean {
  return (
    name.length > 0 &&
    name.length <= 255 &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0')
  );
}

function isAttributeName(name: string): boolean {
  return name.length > 0 && name.length <= 255 && !name.includes('\0');
}

export const entryName: Field<string> = refusing(text, isEntryName);

/** Or '': the directory itself. */
export const entryNameOrSelf: Field<string> = refusing(
  text,
  (name) => name === '' || isEntryName(name),
);

/** Components of one walk. */
export const WALK_MAX = 64;

/** 'a/b/c': up to WALK_MAX entry names. */
export const path: Field<string> = refusing(text, isPath);

function isPath(value: string): boolean {
  const names = value.split('/');
  return names.length <= WALK_MAX && names.every(isEntryName);
}

/** Or '': the directory itself. */
export const pathOrSelf: Field<string> = refusing(text, (value) => value === '' || isPath(value));

export const attributeName: Field<string> = refusing(text, isAttributeName);

/** Bytes, copied out of the message. */
export function bytes(limit: number): Field<Uint8Array> {
  return {
    put: (writer, value) => void writer.blob(value),
    take: (reader) => reader.blob(limit),
  };
}

export interface Timestamp {
  readonly sec: number;
  readonly nsec: number;
}

export const timestamp: Field<Timestamp> = {
  put: (writer, { sec, nsec }) => void writer.f64(sec).u32(nsec),
  take: (reader) => {
    const time = { sec: reader.f64(), nsec: reader.u32() };
    if (time.nsec >= 1e9) reader.bad = true;
    return time;
  },
};

/** u32 count, values. Reading ends where the message does, whatever the count says. */
export function listOf<T>(field: Field<T>): Field<readonly T[]> {
  return {
    put: (writer, values) => {
      writer.u32(values.length);
      for (const value of values) field.put(writer, value);
    },
    take: (reader) => {
      const values: T[] = [];
      for (let left = reader.u32(); left > 0 && !reader.bad; left -= 1)
        values.push(field.take(reader));
      return values;
    },
  };
}

/**
 * The file that a request is about: an id of the Gofer's, a name there ('': the directory itself,
 * or what is held by that id), and the inode number that the file must still have, as the name may
 * be another file's by now (0: any).
 */
export type Place = readonly [id: number, name: string, ino: number];

export const place: Field<Place> = {
  put: (writer, [id, name, ino]) => void writer.u32(id).text(name).f64(ino),
  take: (reader) => [reader.u32(), entryNameOrSelf.take(reader), reader.f64()],
};

// SPDX-License-Identifier: Apache-2.0
// What a listing of many directories says of each: names and types, and attributes where they were
// asked for, or where a walk goes on (subdirectories).
import { type Field, flag, listOf, text, u32 } from './fields.ts';
import { ATTRIBUTES_BYTES, attributes, type HostAttributes } from './host-attributes.ts';

/** Directory of a reply that no directory of the reply is the parent of: it was asked for. */
export const ASKED = 0xffff_ffff;

/** How many directories a request may name. */
export const TREE_PLACES_MAX = 64;

/** One entry. Without attributes it is what getdents64(2) tells. */
export interface TreeEntry {
  readonly name: string;
  readonly ino: number;
  /** S_IFMT bits. */
  readonly kind: number;
  attributes: HostAttributes | undefined;
}

/** One directory, with all of its entries. */
export interface TreeDirectory {
  /** Which directory of the reply it is in; ASKED: it is `place` of the request. */
  readonly parent: number;
  /** Index in the request's list of paths; of others 0. */
  readonly place: number;
  /** Its name in its parent; '' where it was asked for. */
  readonly name: string;
  readonly entries: readonly TreeEntry[];
}

/** Bytes of a directory's part of a reply, beside its entries. */
export function treeDirectoryBytes(name: string): number {
  return 4 + 4 + 2 + name.length + 4;
}

/** Bytes of an entry in a reply. */
export function treeEntryBytes(name: string, hasAttributes: boolean): number {
  return 2 + name.length + 8 + 4 + 4 + (hasAttributes ? ATTRIBUTES_BYTES : 0);
}

const treeEntry: Field<TreeEntry> = {
  put: (writer, entry) => {
    writer.text(entry.name).f64(entry.ino).u32(entry.kind);
    flag.put(writer, entry.attributes !== undefined);
    if (entry.attributes !== undefined) attributes.put(writer, entry.attributes);
  },
  take: (reader) => ({
    name: reader.text(),
    ino: reader.f64(),
    kind: reader.u32(),
    attributes: flag.take(reader) ? attributes.take(reader) : undefined,
  }),
};

const treeEntries = listOf(treeEntry);

export const treeDirectory: Field<TreeDirectory> = {
  put: (writer, directory) => {
    u32.put(writer, directory.parent);
    u32.put(writer, directory.place);
    text.put(writer, directory.name);
    treeEntries.put(writer, directory.entries);
  },
  take: (reader) => ({
    parent: u32.take(reader),
    place: u32.take(reader),
    name: text.take(reader),
    entries: treeEntries.take(reader),
  }),
};

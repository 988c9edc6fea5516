// SPDX-License-Identifier: Apache-2.0
// A host file as the Gofer tells of it. Walks and listings have up to a thousand of these in one
// reply, so that they are written and read by straight-line code.
import type { Field } from './fields.ts';
import type { MessageReader, MessageWriter } from './wire.ts';

/** Device numbers and times as the host has them. */
export interface HostAttributes {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly atimeSec: number;
  readonly atimeNsec: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  readonly btimeSec: number;
  readonly btimeNsec: number;
  /**
   * 1: something is mounted under this name, so that a watch of the directory does not tell of
   * changes to it.
   */
  readonly mountRoot: number;
}

export const ATTRIBUTES_BYTES: number = 9 * 8 + 10 * 4;

/**
 * One step of a walk: attributes, the id and watch of a directory (else 0), the target of a
 * symbolic link (else '').
 */
export interface HostEntry {
  readonly attributes: HostAttributes;
  readonly id: number;
  /** Watch descriptor, from before the attributes were read; 0: none. */
  readonly watch: number;
  readonly target: string;
}

/** One entry of a listing, which tells neither ids nor the targets of links. */
export interface NamedAttributes {
  readonly name: string;
  readonly attributes: HostAttributes;
}

/** Bytes of an entry in a message. */
export function entryBytes({ target }: HostEntry): number {
  return ATTRIBUTES_BYTES + 4 + 4 + 2 + target.length;
}

/** Bytes of what a listing says of this name. */
export function namedAttributesBytes(name: string): number {
  return 2 + name.length + ATTRIBUTES_BYTES;
}

function putAttributes(writer: MessageWriter, a: HostAttributes): void {
  writer
    .f64(a.dev)
    .f64(a.ino)
    .f64(a.size)
    .f64(a.blocks)
    .f64(a.atimeSec)
    .f64(a.mtimeSec)
    .f64(a.ctimeSec)
    .f64(a.btimeSec)
    .f64(a.rdev);
  writer.u32(a.mode).u32(a.nlink).u32(a.uid).u32(a.gid).u32(a.blockSize);
  writer.u32(a.atimeNsec).u32(a.mtimeNsec).u32(a.ctimeNsec).u32(a.btimeNsec).u32(a.mountRoot);
}

/** Properties are read in the order in which putAttributes writes them. */
function takeAttributes(reader: MessageReader): HostAttributes {
  return {
    dev: reader.f64(),
    ino: reader.f64(),
    size: reader.f64(),
    blocks: reader.f64(),
    atimeSec: reader.f64(),
    mtimeSec: reader.f64(),
    ctimeSec: reader.f64(),
    btimeSec: reader.f64(),
    rdev: reader.f64(),
    mode: reader.u32(),
    nlink: reader.u32(),
    uid: reader.u32(),
    gid: reader.u32(),
    blockSize: reader.u32(),
    atimeNsec: reader.u32(),
    mtimeNsec: reader.u32(),
    ctimeNsec: reader.u32(),
    btimeNsec: reader.u32(),
    mountRoot: reader.u32(),
  };
}

export const attributes: Field<HostAttributes> = { put: putAttributes, take: takeAttributes };

export const entry: Field<HostEntry> = {
  put: (writer, value) => {
    putAttributes(writer, value.attributes);
    writer.u32(value.id).u32(value.watch).text(value.target);
  },
  take: (reader) => ({
    attributes: takeAttributes(reader),
    id: reader.u32(),
    watch: reader.u32(),
    target: reader.text(),
  }),
};

export const namedAttributes: Field<NamedAttributes> = {
  put: (writer, value) => {
    writer.text(value.name);
    putAttributes(writer, value.attributes);
  },
  take: (reader) => ({ name: reader.text(), attributes: takeAttributes(reader) }),
};

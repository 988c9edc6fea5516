// SPDX-License-Identifier: Apache-2.0
// Every message of the Gofer's protocol: what one side writes is what the other reads, and nothing
// else is read.
import { describe, expect, it } from 'vitest';
import { ENOENT } from '../../abi/errno.ts';
import type { HostAttributes, HostEntry } from './host-attributes.ts';
import { entryBytes, namedAttributesBytes } from './host-attributes.ts';
import type { Message } from './message.ts';
import {
  type OperationName,
  operations,
  REPLY_BYTES,
  REQUEST_BYTES,
  type RequestOf,
} from './operations.ts';
import { ASKED, type TreeEntry, treeDirectoryBytes, treeEntryBytes } from './tree.ts';
import { MessageReader, MessageWriter } from './wire.ts';

type Operations = typeof operations;
type FieldsOf<O> = O extends { readonly reply: Message<infer R> } ? R : undefined;
type Samples = {
  readonly [Name in OperationName]: {
    readonly request: RequestOf<Operations[Name]>;
    readonly reply: FieldsOf<Operations[Name]>;
  };
};

const attributes: HostAttributes = {
  dev: 0x10_0003,
  ino: 2 ** 53 - 1,
  size: 2 ** 40,
  blocks: 8,
  atimeSec: -1,
  mtimeSec: 1_900_000_000,
  ctimeSec: 3,
  btimeSec: 4,
  rdev: 0x103,
  mode: 0o100644,
  nlink: 2,
  uid: 0xffff_fffe,
  gid: 7,
  blockSize: 4096,
  atimeNsec: 999_999_999,
  mtimeNsec: 1,
  ctimeNsec: 2,
  btimeNsec: 3,
  mountRoot: 1,
};
const link: HostEntry = { attributes, id: 0, watch: 0, target: '../\xff/x' };
const entry: HostEntry = { attributes, id: 0xffff_ffff, watch: 5, target: '' };
const status = {
  type: 0xef53,
  blockSize: 4096,
  blocks: 2 ** 50,
  blocksFree: 3,
  blocksAvailable: 2,
  files: 1,
  filesFree: 0,
  nameMax: 255,
};
const time = { sec: -5, nsec: 999_999_999 };
const owner = { uid: 1000, gid: 0xffff_ffff };
const name = 'n\xe4me';

const lightEntry: TreeEntry = {
  name: 'x'.repeat(255),
  ino: 2 ** 53 - 1,
  kind: 0o100000,
  attributes: undefined,
};
const fullEntry: TreeEntry = { name, ino: 8, kind: 0o40000, attributes };

const samples: Samples = {
  attach: { request: { index: 3 }, reply: { id: 1, readOnly: true, attributes } },
  walk: {
    request: { id: 1, path: 'a/b/c' },
    reply: { watch: 9, entries: [entry, link], ended: ENOENT },
  },
  list: {
    request: { id: 1, goesOn: true },
    reply: { watch: 0, entries: [{ name: 'x'.repeat(255), attributes }], more: true },
  },
  open: { request: { place: [1, '', 77], mode: 2 }, reply: { attributes } },
  statfs: { request: { id: 1 }, reply: status },
  getAttributes: { request: { id: 1, name: '' }, reply: { attributes } },
  create: { request: { id: 1, name, mode: 0o644, ...owner }, reply: { entry } },
  makeDirectory: {
    request: { id: 1, name, mode: 0o755, ...owner },
    reply: { entry, isEmpty: false },
  },
  remove: { request: { id: 1, name, isDirectory: true }, reply: {} },
  rename: { request: { id: 1, name, newId: 2, newName: '...', flags: 1 }, reply: {} },
  link: { request: { place: [1, name, 5], newId: 2, newName: 'b' }, reply: {} },
  symlink: { request: { id: 1, name, ...owner, target: '/x' }, reply: { entry: link } },
  makeNode: { request: { id: 1, name, mode: 0o10644, ...owner, rdev: 0 }, reply: { entry } },
  setAttributes: {
    request: {
      place: [1, name, 5],
      mask: 31,
      mode: 1,
      ...owner,
      size: 9,
      atime: time,
      mtime: time,
    },
    reply: { attributes },
  },
  getXattr: {
    request: { place: [1, name, 5], attribute: 'user.x' },
    reply: { value: Uint8Array.of(0, 255) },
  },
  listXattr: { request: { place: [1, name, 5] }, reply: { names: Uint8Array.of(97, 0) } },
  setXattr: {
    request: { place: [1, name, 5], attribute: 'user.x', value: new Uint8Array(65536), flags: 1 },
    reply: {},
  },
  removeXattr: { request: { place: [1, name, 5], attribute: 'user.x' }, reply: {} },
  forget: { request: { id: 0x8000_0001 }, reply: undefined },
  freeze: { request: { index: 0 }, reply: undefined },
  hold: { request: { id: 1, name }, reply: { heldId: 0x8000_0001 } },
  createUnnamed: {
    request: { id: 1, mode: 0o600, ...owner },
    reply: { attributes, heldId: 0x8000_0001 },
  },
  linkHeld: { request: { heldId: 0x8000_0001, newId: 1, newName: name }, reply: {} },
  startWatching: { request: {}, reply: {} },
  stopWatching: { request: {}, reply: undefined },
  openMany: {
    request: { id: 1, path: '', names: [name, 'b'] },
    reply: { opened: [{ index: 1, ino: 2 ** 40 }] },
  },
  listTree: {
    request: { id: 1, paths: ['a', 'b/c'], limit: 7, attributes: false, room: 4096 },
    reply: {
      directories: [
        { parent: ASKED, place: 1, name: '', entries: [lightEntry, fullEntry] },
        { parent: 0, place: 0, name, entries: [] },
      ],
    },
  },
};

const writer = new MessageWriter(REPLY_BYTES);
const reader = new MessageReader(REPLY_BYTES + 1);

function lengthOf(message: Message<unknown>, values: unknown): number {
  message.encode(writer.reset(), values);
  reader.bytes.fill(0);
  reader.bytes.set(writer.bytes.subarray(0, writer.length));
  return writer.length;
}

const messages = Object.entries(samples).flatMap(([operation, { request, reply }]) => {
  const record: { readonly request: object; readonly reply?: object } =
    operations[operation as OperationName];
  const asked = [`${operation}, asked`, record.request as Message<unknown>, request] as const;
  if (reply === undefined) return [asked];
  return [asked, [`${operation}, answered`, record.reply as Message<unknown>, reply] as const];
});

describe.each(messages)('%s', (_title, message, values) => {
  it('is read as it was written', () => {
    const length = lengthOf(message, values);
    expect(message.decode(reader.start(length))).toEqual(values);
  });

  it('is refused where it is too short or too long', () => {
    const length = lengthOf(message, values);
    // Every length of the short ones, and of the long one those around its fields.
    for (let short = 0; short < length; short += short > 200 && short < length - 50 ? 1009 : 1)
      expect(message.decode(reader.start(short)), `${short} of ${length} bytes`).toBeUndefined();
    for (const more of [1, 4]) {
      if (length + more > REPLY_BYTES) continue;
      expect(message.decode(reader.start(length + more)), `${more} bytes more`).toBeUndefined();
    }
  });
});

describe('a request', () => {
  const refused = (operation: OperationName, values: object): void => {
    const { request } = operations[operation] as { readonly request: Message<unknown> };
    const length = lengthOf(request, values);
    expect(request.decode(reader.start(length))).toBeUndefined();
  };

  it.each(['.', '..', '', 'a/b', '/', 'a\0', 'n'.repeat(256)])('has no entry named %j', (bad) => {
    refused('remove', { id: 1, name: bad, isDirectory: false });
    // In a path, '/' is what parts its names.
    if (bad !== 'a/b') refused('walk', { id: 1, path: `a/${bad}/b` });
    if (bad !== '') refused('getAttributes', { id: 1, name: bad });
    if (bad !== '') refused('open', { place: [1, bad, 0], mode: 0 });
  });

  it('has no more steps than a walk may have', () => {
    refused('walk', { id: 1, path: new Array(65).fill('a').join('/') });
  });

  it('has no numbers that are none', () => {
    writer.reset().u32(1).u32(2);
    reader.bytes.set(writer.bytes.subarray(0, writer.length));
    expect(operations.list.request.decode(reader.start(writer.length))).toBeUndefined();
    for (const ino of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
      refused('open', { place: [1, 'a', ino], mode: 0 });
    for (const nsec of [1e9, 0xffff_ffff]) {
      const { request } = samples.setAttributes;
      refused('setAttributes', { ...request, mtime: { sec: 0, nsec } });
    }
  });

  it('has no attribute without a name, nor one that is too large', () => {
    for (const attribute of ['', 'user.\0', 'u'.repeat(256)])
      refused('getXattr', { place: [1, 'a', 0], attribute });
    const value = new Uint8Array(65537);
    refused('setXattr', { place: [1, 'a', 0], attribute: 'user.x', value, flags: 0 });
  });
});

describe('a reply', () => {
  it('does not say that there is more of a list than its bytes', () => {
    writer.reset().u32(0).u32(0xffff_ffff).u32(0);
    reader.bytes.set(writer.bytes.subarray(0, writer.length));
    expect(operations.walk.reply.decode(reader.start(writer.length))).toBeUndefined();
  });

  it('ends a walk with an errno or not', () => {
    for (const ended of [1, -4096])
      expect(
        operations.walk.reply.decode(
          reader.start(
            lengthOf(operations.walk.reply as Message<unknown>, { watch: 0, entries: [], ended }),
          ),
        ),
      ).toBeUndefined();
  });

  it('is as long as the Gofer reckons', () => {
    const head = 12;
    const walked = lengthOf(operations.walk.reply as Message<unknown>, samples.walk.reply);
    expect(walked).toBe(head + entryBytes(entry) + entryBytes(link));
    const listed = lengthOf(operations.list.reply as Message<unknown>, samples.list.reply);
    expect(listed).toBe(head + namedAttributesBytes('x'.repeat(255)));
    const tree = lengthOf(operations.listTree.reply as Message<unknown>, samples.listTree.reply);
    const entries = treeEntryBytes(lightEntry.name, false) + treeEntryBytes(name, true);
    expect(tree).toBe(4 + treeDirectoryBytes('') + treeDirectoryBytes(name) + entries);
  });
});

it('numbers are different, and what is longest has room', () => {
  const numbers = Object.values(operations).map(({ number }) => number);
  expect(new Set(numbers).size).toBe(numbers.length);
  const request = { ...samples.setXattr.request, attribute: 'a'.repeat(255) };
  const place: [number, string, number] = [1, 'n'.repeat(255), 0];
  const length = lengthOf(operations.setXattr.request as Message<unknown>, { ...request, place });
  expect(4 + length).toBeLessThanOrEqual(REQUEST_BYTES);
});

// SPDX-License-Identifier: Apache-2.0
// A Sentry that was taken over speaks to the Gofer of a container with ids of its own: requests
// that ours would never make. The Gofer here runs as root and is not confined: what it refuses, it
// refuses itself.
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EACCES, EINVAL, ENODATA, EOVERFLOW, EPERM, isErrno, type Result } from '../abi/errno.ts';
import { O_RDONLY, O_RDWR } from '../abi/fcntl.ts';
import { S_IFIFO } from '../abi/stat.ts';
import { native } from '../native/addon.ts';
import type { GoferClient } from '../sentry/fs/gofer/client.ts';
import { startOwnedGofer, type TestGofer } from '../test/support/start-gofer.ts';

const UID = 100_000;
const GID = 200_000;
const container = { uids: [[0, UID, 1000]], gids: [[0, GID, 1000]] } as const;
const NO_ID = 0xffff_ffff;
/** The host's own, and somebody else's. */
const strangers = [
  [0, 0],
  [1000, 1000],
  [UID - 1, GID],
  [UID, GID - 1],
  [UID + 1000, GID],
  [UID, GID + 1000],
  [NO_ID, GID],
  [UID, NO_ID],
  [NO_ID, NO_ID],
] as const;

let folder = '';
let gofer: TestGofer;
let client: GoferClient;
let root = 0;

function make(name: string, mode: number, uid: number, gid: number, text = 'secret'): void {
  const path = join(folder, name);
  writeFileSync(path, text);
  chownSync(path, uid, gid);
  chmodSync(path, mode);
}

function makeFolder(name: string, mode: number, uid: number, gid: number): void {
  mkdirSync(join(folder, name));
  chownSync(join(folder, name), uid, gid);
  chmodSync(join(folder, name), mode);
}

function idOf(name: string): number {
  const { entries, errno } = client.walk(root, name);
  const { id } = entries.at(-1) ?? { id: 0 };
  if (isErrno(errno) || id === 0) throw new Error(`no ${name}: ${errno}`);
  return id;
}

/** Closes what came with it. */
function outcome(result: Result<object> | 0): number {
  if (result === 0 || isErrno(result)) return result;
  if ('fd' in result) native.close(result.fd as number);
  return 0;
}

const opened = (name: string, mode: number): number => outcome(client.open([root, name, 0], mode));
const isRoot = process.geteuid?.() === 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'runts-owners-'));
  chownSync(folder, UID, GID);
  chmodSync(folder, 0o777);
  gofer = startOwnedGofer({ container: container }, `rw:${folder}`);
  client = gofer.client;
  const attached = client.attach(0);
  if (isErrno(attached)) throw new Error(`attach: ${attached}`);
  root = attached.id;
});
afterAll(() => {
  gofer.stop();
  rmSync(folder, { recursive: true });
});

describe.skipIf(!isRoot)('a Gofer that knows whose files may be', () => {
  it.each(strangers)('makes nothing that is %i:%i', (uid, gid) => {
    expect(outcome(client.create({ id: root, name: 'new', mode: 0o644, uid, gid }))).toBe(
      EOVERFLOW,
    );
    expect(outcome(client.makeDirectory({ id: root, name: 'new', mode: 0o755, uid, gid }))).toBe(
      EOVERFLOW,
    );
    expect(outcome(client.symlink({ id: root, name: 'new', uid, gid, target: 'x' }))).toBe(
      EOVERFLOW,
    );
    const fifo = { id: root, name: 'new', mode: S_IFIFO | 0o644, uid, gid, rdev: 0 };
    expect(outcome(client.makeNode(fifo))).toBe(EOVERFLOW);
    expect(outcome(client.createUnnamed({ id: root, mode: 0o644, uid, gid }))).toBe(EOVERFLOW);
    expect(() => lstatSync(join(folder, 'new'))).toThrow('ENOENT');
  });

  it.each(strangers.slice(0, 6))('gives nothing to %i:%i', (uid, gid) => {
    make('own', 0o644, UID, GID);
    expect(outcome(client.setAttributes([root, 'own', 0], { uid, gid }))).toBe(EINVAL);
    expect(statSync(join(folder, 'own'))).toMatchObject({ uid: UID, gid: GID });
  });

  it('does what the ids within may do', () => {
    expect(
      outcome(client.create({ id: root, name: 'mine', mode: 0o600, uid: UID + 5, gid: GID + 6 })),
    ).toBe(0);
    const given = { uid: UID + 7, gid: GID + 8, mode: 0o6755 };
    expect(outcome(client.setAttributes([root, 'mine', 0], given))).toBe(0);
    expect(statSync(join(folder, 'mine'))).toMatchObject({ uid: UID + 7, gid: GID + 8 });
    expect(statSync(join(folder, 'mine')).mode & 0o7777).toBe(0o6755);
    expect(opened('mine', O_RDWR)).toBe(0);
    expect(client.remove(root, 'mine', false)).toBe(0);
  });

  it('serves files of others by what their modes give to all', () => {
    make('closed', 0o600, 0, 0);
    make('readable', 0o604, 0, 0);
    make('writable', 0o602, 0, 0);
    make('program', 0o711, 0, 0);
    make('grouped', 0o660, 0, GID + 1);
    expect([opened('closed', O_RDONLY), opened('closed', O_RDWR)]).toEqual([EACCES, EACCES]);
    expect([opened('readable', O_RDONLY), opened('readable', O_RDWR)]).toEqual([0, EACCES]);
    expect([opened('program', O_RDONLY), opened('program', O_RDWR)]).toEqual([0, EACCES]);
    expect([opened('grouped', O_RDONLY), opened('grouped', O_RDWR)]).toEqual([0, 0]);
    expect(opened('writable', O_RDONLY)).toBe(EACCES);
    const writing = client.open([root, 'writable', 0], O_RDWR);
    if (isErrno(writing)) throw new Error(`open: ${writing}`);
    const bytes = new Uint8Array(6);
    expect(native.pread(writing.fd, bytes, 0, 6, 0)).toBeLessThan(0);
    expect(native.write(writing.fd, bytes, 0, 1)).toBe(1);
    native.close(writing.fd);
  });

  it('lets nobody change what is others', () => {
    make('theirs', 0o666, 0, 0);
    const place = [root, 'theirs', 0] as const;
    const change = (what: Parameters<GoferClient['setAttributes']>[1]): number =>
      outcome(client.setAttributes(place, what));
    expect(change({ mode: 0o4777 })).toBe(EPERM);
    expect(change({ uid: UID, gid: GID })).toBe(EPERM);
    expect(change({ uid: UID })).toBe(EPERM);
    expect(change({ gid: GID })).toBe(EPERM);
    expect(change({ sizeBytes: 3 })).toBe(0);
    expect(statSync(join(folder, 'theirs'))).toMatchObject({ uid: 0, gid: 0, size: 3 });
    make('sealed', 0o644, 0, 0);
    const sealed = [root, 'sealed', 0] as const;
    expect(outcome(client.setAttributes(sealed, { sizeBytes: 0 }))).toBe(EACCES);
    expect(client.setXattr(sealed, 'user.x', new Uint8Array(1), 0)).toBe(EACCES);
    expect(client.link(sealed, root, 'second')).toBe(EPERM);
    const held = client.hold(root, 'sealed');
    expect(held).toBeGreaterThan(0);
    expect(client.linkHeld(held, root, 'second')).toBe(EPERM);
    expect(outcome(client.open([held, '', 0], O_RDWR))).toBe(EACCES);
    expect(outcome(client.setAttributes([held, '', 0], { mode: 0o777 }))).toBe(EPERM);
    expect(readFileSync(join(folder, 'sealed'), 'latin1')).toBe('secret');
  });

  it('the owner alone cannot have a file run with a group of others', () => {
    make('half', 0o755, UID, 0);
    expect(outcome(client.setAttributes([root, 'half', 0], { mode: 0o6755 }))).toBe(0);
    expect(statSync(join(folder, 'half')).mode & 0o7777).toBe(0o4755);
    expect(outcome(client.setAttributes([root, 'half', 0], { uid: UID + 1 }))).toBe(EPERM);
    expect(outcome(client.setAttributes([root, 'half', 0], { gid: GID + 1 }))).toBe(0);
  });

  it('goes into directories of others, and changes them, as their modes say', () => {
    makeFolder('private', 0o700, 0, 0);
    make('private/file', 0o666, 0, 0);
    makeFolder('public', 0o755, 0, 0);
    make('public/file', 0o644, UID, GID);
    makeFolder('dropbox', 0o1777, 0, 0);
    make('dropbox/theirs', 0o666, 0, 0);
    make('dropbox/own', 0o600, UID, GID);
    expect(client.walk(root, 'private/file')).toMatchObject({ errno: EACCES });
    const closed = client.walk(root, 'private').entries[0]?.id as number;
    expect(closed).toBeGreaterThan(0);
    expect(outcome(client.list(closed, false))).toBe(EACCES);
    expect(outcome(client.getAttributes(closed, 'file'))).toBe(EACCES);
    expect(outcome(client.open([closed, 'file', 0], O_RDONLY))).toBe(EACCES);
    expect(client.hold(closed, 'file')).toBe(EACCES);
    expect(outcome(client.getXattr([closed, 'file', 0], 'user.x'))).toBe(EACCES);
    expect(outcome(client.setAttributes([closed, 'file', 0], { sizeBytes: 0 }))).toBe(EACCES);
    expect(client.link([closed, 'file', 0], root, 'out')).toBe(EACCES);
    expect(client.rename(closed, 'file', root, 'out', 0)).toBe(EACCES);
    const shown = idOf('public');
    expect(outcome(client.list(shown, false))).toBe(0);
    expect(
      outcome(client.create({ id: shown, name: 'new', mode: 0o644, uid: UID, gid: GID })),
    ).toBe(EACCES);
    expect(client.remove(shown, 'file', false)).toBe(EACCES);
    expect(client.rename(root, 'own', shown, 'file', 0)).toBe(EACCES);
    expect(outcome(client.setAttributes([shown, '', 0], { mode: 0o777 }))).toBe(EPERM);
    const sticky = idOf('dropbox');
    expect(client.remove(sticky, 'theirs', false)).toBe(EPERM);
    expect(client.rename(sticky, 'theirs', root, 'out', 0)).toBe(EPERM);
    expect(client.rename(sticky, 'own', sticky, 'theirs', 0)).toBe(EPERM);
    expect(client.rename(sticky, 'own', sticky, 'other', 0)).toBe(0);
    expect(client.remove(sticky, 'other', false)).toBe(0);
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  it('binds capabilities of files to the root of the container', () => {
    make('tool', 0o755, UID, GID);
    make('alien', 0o755, 0, 0);
    const plain = Uint8Array.from([1, 0, 0, 2, 0x20, 0, 0, 0, ...new Array(12).fill(0)]);
    const place = [root, 'tool', 0] as const;
    expect(client.setXattr([root, 'alien', 0], 'security.capability', plain, 0)).toBe(EACCES);
    const bound = (id: number): Uint8Array => {
      const value = new Uint8Array(24);
      value.set(plain);
      value[3] = 3;
      new DataView(value.buffer).setUint32(20, id, true);
      return value;
    };
    // Another's root, and what is no such value.
    for (const value of [bound(UID), bound(5), plain.subarray(0, 12), new Uint8Array(0)])
      expect(client.setXattr(place, 'security.capability', value, 0)).toBe(EINVAL);
    expect(client.setXattr(place, 'security.capability', plain, 0)).toBe(0);
    const raw = new Uint8Array(64);
    const fd = native.openat2(-100, join(folder, 'tool'), O_RDONLY, 0, 0);
    expect(native.fgetxattr(fd, 'security.capability', raw)).toBe(24);
    expect(raw.subarray(0, 24)).toEqual(bound(UID));
    expect(client.getXattr(place, 'security.capability')).toEqual(plain);
    const other = bound(UID + 1);
    expect(native.fsetxattr(fd, 'security.capability', other, 24, 0)).toBe(0);
    expect(client.getXattr(place, 'security.capability')).toBe(ENODATA);
    native.close(fd);
  });
});

describe.skipIf(!isRoot)('an ID-mapped mount', () => {
  it('has its own ids, and writes nothing that it has none for', () => {
    const place = mkdtempSync(join(tmpdir(), 'runts-mapped-'));
    writeFileSync(join(place, 'unknown'), 'x');
    chownSync(join(place, 'unknown'), 5000, 5000);
    chmodSync(join(place, 'unknown'), 0o666);
    chmodSync(place, 0o777);
    const mapped = startOwnedGofer({ container, mount: container, mapsBelow: true }, `rw:${place}`);
    const attached = mapped.client.attach(0);
    if (isErrno(attached)) throw new Error(`attach: ${attached}`);
    const at = [attached.id, 'unknown', 0] as const;
    expect(
      outcome(mapped.client.create({ id: attached.id, name: 'new', mode: 0o644, uid: 7, gid: 8 })),
    ).toBe(0);
    expect(
      outcome(
        mapped.client.create({ id: attached.id, name: 'no', mode: 0o644, uid: UID, gid: GID }),
      ),
    ).toBe(EOVERFLOW);
    expect(outcome(mapped.client.open(at, O_RDONLY))).toBe(0);
    expect(outcome(mapped.client.open(at, O_RDWR))).toBe(EACCES);
    expect(mapped.client.remove(attached.id, 'unknown', false)).toBe(EOVERFLOW);
    expect(outcome(mapped.client.setAttributes(at, { mode: 0o777 }))).toBe(EPERM);
    mapped.stop();
    rmSync(place, { recursive: true });
  });
});

// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MS_NOSUID, MS_RDONLY, MS_RELATIME } from '../../abi/fs.ts';
import { S_IFBLK, S_IFCHR } from '../../abi/stat.ts';
import { type FilePlan, planFiles } from './plan-mounts.ts';
import type { Mount, Spec } from './spec/types.ts';

let bundle = '';

beforeAll(() => {
  bundle = mkdtempSync(join(tmpdir(), 'runts-plan-'));
  mkdirSync(join(bundle, 'rootfs'));
  mkdirSync(join(bundle, 'data'));
  writeFileSync(join(bundle, 'file'), '');
  symlinkSync('data', join(bundle, 'link'));
});

afterAll(() => rmSync(bundle, { recursive: true }));

function plan(mounts: readonly Mount[], more: Partial<Spec> = {}, overlay = false): FilePlan {
  const spec = {
    ociVersion: '1.2.0',
    process: { user: { uid: 0, gid: 0 }, args: ['x'], cwd: '/' },
    root: { path: 'rootfs' },
    mounts,
    ...more,
  };
  return planFiles(spec, { bundle, overlay, propagation: 'private' });
}

const dev: Mount = { destination: '/dev', type: 'tmpfs', source: 'tmpfs' };

describe('the root', () => {
  it('is served writable, unless writes stay in the sandbox', () => {
    const direct = plan([dev]);
    expect(direct.attach).toEqual([{ path: join(bundle, 'rootfs'), writable: true }]);
    expect(direct.root).toEqual({ attach: 0, overlay: false, readOnly: false });
    expect(plan([dev], {}, true).attach[0]?.writable).toBe(false);
  });

  it('is writable until its mount points are made, where it is to be read-only', () => {
    const { root, attach } = plan([dev], { root: { path: 'rootfs', readonly: true } });
    expect([root.readOnly, attach[0]?.writable]).toEqual([true, true]);
  });

  it('must be there, and a directory', () => {
    expect(() => plan([], { root: { path: 'nothing' } })).toThrow(
      `rootfs (${bundle}/nothing) does not exist`,
    );
    expect(() => plan([], { root: { path: 'file' } })).toThrow('is not a directory');
  });
});

describe('mounts', () => {
  it('get a /dev where there is none', () => {
    expect(plan([]).mounts.map(({ target }) => target)).toEqual(['/dev']);
    expect(plan([dev]).mounts).toHaveLength(1);
  });

  it('bind directories and files, through links of the host, once each', () => {
    const { mounts, attach } = plan([
      dev,
      { destination: 'etc/../x/', type: 'bind', source: 'link', options: ['rbind', 'ro'] },
      { destination: '/f', source: join(bundle, 'file'), options: ['bind', 'nosuid'] },
    ]);
    expect(attach.slice(1)).toEqual([
      { path: join(bundle, 'data'), writable: false, recursive: true, follows: false },
      { path: join(bundle, 'file'), writable: true, recursive: false, follows: false },
    ]);
    expect(mounts.slice(1)).toMatchObject([
      { kind: 'volume', attach: 1, target: '/x', isFile: false, flags: MS_RDONLY | MS_RELATIME },
      { kind: 'volume', attach: 2, target: '/f', isFile: true, flags: MS_NOSUID | MS_RELATIME },
    ]);
  });

  it('read the options of tmpfs and devpts', () => {
    const { mounts } = plan([
      { ...dev, options: ['mode=755', 'size=64k', 'uid=1', 'gid=2', 'nr_inodes=1k'] },
      {
        destination: '/p',
        type: 'devpts',
        options: ['newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { destination: '/t', type: 'tmpfs', options: ['size=0'] },
    ]);
    expect(mounts).toMatchObject([
      { kind: 'tmpfs', mode: 0o755, sizeBytes: 65536, uid: 1, gid: 2, inodes: 1024 },
      { kind: 'devpts', mode: 0o620, gid: 5, ptmxMode: 0o666, data: 'gid=5,mode=620,ptmxmode=666' },
      { kind: 'tmpfs', mode: 0o1777 },
    ]);
    expect(mounts[2]).not.toHaveProperty('sizeBytes');
  });

  it.each([
    [{ destination: '/x', type: 'ext4', source: 'y' }, /unknown file system type 'ext4'/],
    [{ destination: '/x', type: 'tmpfs', options: ['bind'] }, /contradicts option bind/],
    [{ destination: '/x', type: 'tmpfs', options: ['sise=1'] }, /unknown option 'sise=1' of tmpfs/],
    [{ destination: '/x', type: 'tmpfs', options: ['mode=9'] }, /'mode=9' is not a mode/],
    [{ destination: '/x', type: 'proc', options: ['hidepid=2'] }, /unknown option 'hidepid=2'/],
    [{ destination: '/x', type: 'bind', options: ['bind'] }, /needs a source/],
    [{ destination: '/', type: 'tmpfs' }, /the container's root itself/],
    [{ destination: '/x' }, /needs a type or/],
  ])('refuses %j', (mount, message) => {
    expect(() => plan([mount])).toThrow(message);
  });

  it('says which source is missing as runc does', () => {
    expect(() =>
      plan([{ destination: '/x', type: 'bind', source: '/no/such', options: ['rbind'] }]),
    ).toThrow(
      'error mounting "/no/such" to rootfs at "/x": stat /no/such: no such file or directory',
    );
  });

  it('are at most as many as can be served', () => {
    const many = Array.from(
      { length: 180 },
      (_, n): Mount => ({
        destination: `/${n}`,
        type: 'bind',
        source: 'data',
        options: ['rbind'],
      }),
    );
    expect(() => plan(many)).toThrow('180 bind mounts, but 179 can be served');
  });
});

describe('devices and paths', () => {
  it('become nodes of their own', () => {
    const devices = [
      { path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o600, uid: 1, gid: 2 },
      { path: '/dev/sda', type: 'b', major: 8, minor: 0 },
    ] as const;
    expect(plan([], { linux: { devices } }).devices).toEqual([
      { path: '/dev/fuse', mode: S_IFCHR | 0o600, major: 10, minor: 229, uid: 1, gid: 2 },
      { path: '/dev/sda', mode: S_IFBLK | 0o666, major: 8, minor: 0, uid: 0, gid: 0 },
    ]);
    const odd = [{ path: '/dev/x', type: 'c', major: 5000, minor: 0 }] as const;
    expect(() => plan([], { linux: { devices: odd } })).toThrow('there is no device 5000:0');
  });

  it('must be absolute', () => {
    expect(() => plan([], { linux: { maskedPaths: ['proc'] } })).toThrow(/maskedPaths\[0\]/);
  });
});

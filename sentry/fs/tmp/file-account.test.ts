// SPDX-License-Identifier: Apache-2.0
// What files in memory charge to the account of their container.
import { describe, expect, it } from 'vitest';
import { ENOSPC, isErrno } from '../../../abi/errno.ts';
import { FakeClock } from '../../../test/support/fake-caller.ts';
import { MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import { BufferSource } from '../../vfs/io.ts';
import type { TmpFile } from './file.ts';
import { defaultTmpfsBytes, TmpFileSystem } from './filesystem.ts';

const MIB = 2 ** 20;
const as = { mode: 0o100644, uid: 0, gid: 0 };

function tmpfs(account: MemoryAccount, maxBytes?: number): TmpFileSystem {
  const clock = new FakeClock();
  return new TmpFileSystem({ clock, account, ...(maxBytes === undefined ? {} : { maxBytes }) });
}

function create(filesystem: TmpFileSystem, name: string): TmpFile {
  const node = filesystem.root.create(name, as);
  if (isErrno(node)) throw new Error(`create: ${node}`);
  return node as TmpFile;
}

const write = (file: TmpFile, length: number, position = 0): number =>
  file.writeAt(new BufferSource(new Uint8Array(length)), position);

describe('files in memory', () => {
  it('charge their inode and whole pages', () => {
    const account = new MemoryAccount();
    const filesystem = tmpfs(account);
    const before = filesystem.root && account.usedBytes;
    const file = create(filesystem, 'a');
    expect(account.usedBytes - before).toBe(OBJECT_COST.inode);
    write(file, 10);
    expect(account.usedBytes - before).toBe(OBJECT_COST.inode + 4096);
  });

  it('charge as pages of the host what is there when they become memory files, and what is appended', () => {
    const account = new MemoryAccount();
    const file = create(tmpfs(account), 'a');
    write(file, 3 * MIB);
    expect(account.pageBytes).toBe(0);
    write(file, 3 * MIB, 3 * MIB);
    expect(account.pageBytes).toBe(6 * MIB);
    write(file, 100, 6 * MIB);
    expect(account.pageBytes).toBe(6 * MIB + 4096);
    // Past a hole, and over what is there.
    write(file, 4096, 60 * MIB);
    write(file, MIB, 0);
    expect(account.pageBytes).toBe(6 * MIB + 8192);
    expect(file.setAttributes({ sizeBytes: MIB })).toBe(0);
    expect(account.pageBytes).toBe(MIB);
  });

  it('are refused at the size of their file system and at the limit of the account', () => {
    const account = new MemoryAccount(undefined, { limitBytes: 2 * MIB });
    const small = create(tmpfs(account, MIB), 'a');
    expect(write(small, 2 * MIB)).toBe(MIB);
    expect(write(small, 1, MIB)).toBe(ENOSPC);
    const large = create(tmpfs(account), 'b');
    expect(write(large, 4 * MIB)).toBeLessThan(MIB);
    expect(tmpfs(account).root.create('c', as)).not.toBe(ENOSPC);
    account.force(2 * MIB);
    expect(tmpfs(account).root.create('c', as)).toBe(ENOSPC);
  });

  it('give everything back when their file system is unmounted', () => {
    const account = new MemoryAccount();
    const filesystem = tmpfs(account);
    write(create(filesystem, 'small'), 10);
    write(create(filesystem, 'large'), 6 * MIB);
    filesystem.unmounted();
    expect([account.usedBytes, account.pageBytes]).toEqual([0, 0]);
  });

  it('charge names and extended attributes, until these go', () => {
    const account = new MemoryAccount();
    const filesystem = tmpfs(account);
    const file = create(filesystem, 'a');
    const before = account.usedBytes;
    expect(filesystem.root.link('b', file)).toBe(0);
    expect(account.usedBytes - before).toBe(OBJECT_COST.name);
    expect(file.setXattr('user.x', new Uint8Array(100), 0)).toBe(0);
    expect(account.usedBytes - before).toBe(OBJECT_COST.name + OBJECT_COST.xattr + 106);
    file.removeXattr('user.x');
    filesystem.root.unlink('b', file);
    expect(account.usedBytes).toBe(before);
  });
});

describe('the size of a tmpfs', () => {
  it('is half of the memory where none was given, in whole pages', () => {
    expect(defaultTmpfsBytes(8192 * 3)).toBe(8192 + 4096);
    expect(defaultTmpfsBytes(8192 * 3 + 5000)).toBe(8192 + 4096);
  });

  it('is what statfs tells', () => {
    const filesystem = tmpfs(new MemoryAccount(), MIB);
    write(create(filesystem, 'a'), 4097);
    expect(filesystem.status()).toMatchObject({ blocks: 256, blocksFree: 254, blockSize: 4096 });
  });
});

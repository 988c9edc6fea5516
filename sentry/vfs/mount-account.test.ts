// SPDX-License-Identifier: Apache-2.0
// What mounts are charged, and what is left of those that go or never were.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ENOMEM, ENOTDIR, isErrno } from '../../abi/errno.ts';
import { FakeCaller, FakeClock } from '../../test/support/fake-caller.ts';
import { MemoryAccount, setCurrentAccount, unlimitedAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { TmpFileSystem } from '../fs/tmp/filesystem.ts';
import { lookupChild } from './dentry.ts';
import { Mount } from './mount.ts';
import { Path } from './path.ts';

let account: MemoryAccount;
beforeEach(() => {
  account = new MemoryAccount();
});
afterEach(() => setCurrentAccount(unlimitedAccount));

function fixture() {
  const caller = new FakeCaller(new TmpFileSystem({ clock: new FakeClock(), mode: 0o755 }));
  const { root } = caller.fs;
  const as = { uid: 0, gid: 0, mode: 0o755 };
  root.node.mkdir('directory', as);
  root.node.create('file', { ...as, mode: 0o100644 });
  const at = (name: string): Path => {
    const dentry = lookupChild(root.dentry, name, caller);
    if (isErrno(dentry)) throw new Error(`${name}: ${dentry}`);
    return new Path(root.mount, dentry);
  };
  setCurrentAccount(account);
  const namespace = root.mount?.namespace;
  if (namespace === undefined) throw new Error('no namespace');
  return { namespace, at };
}

const newTmpfs = () => new Mount(new TmpFileSystem({ clock: new FakeClock(), account }));

describe('a mount', () => {
  it('is charged until it is taken away, and with it what its file system has', () => {
    const { namespace, at } = fixture();
    const mount = newTmpfs();
    expect(namespace.attach(mount, at('directory'))).toBe(0);
    mount.filesystem.root.create('a', { uid: 0, gid: 0, mode: 0o100644 });
    expect(account.usedBytes).toBe(OBJECT_COST.mount + 2 * OBJECT_COST.inode);
    expect(namespace.detach(mount, false)).toBe(0);
    expect(account.usedBytes).toBe(0);
  });

  it('leaves nothing where it could not be attached', () => {
    const { namespace, at } = fixture();
    expect(namespace.attach(newTmpfs(), at('file'))).toBe(ENOTDIR);
    expect(account.usedBytes).toBe(0);
  });

  it('keeps its files while somebody is in them, or another mount shows them', () => {
    const { namespace, at } = fixture();
    const mount = newTmpfs();
    namespace.attach(mount, at('directory'));
    const bound = namespace.bind(mount.rootPath, false);
    if (isErrno(bound)) throw new Error(`bind: ${bound}`);
    expect(namespace.detach(mount, true)).toBe(0);
    expect(account.usedBytes).toBe(OBJECT_COST.mount + OBJECT_COST.inode);
    bound.rootPath.pin();
    namespace.attach(bound, at('directory'));
    expect(namespace.detach(bound, true)).toBe(0);
    expect(account.usedBytes).toBe(OBJECT_COST.inode);
  });

  it('is refused for want of memory', () => {
    const { namespace, at } = fixture();
    account.limitBytes = OBJECT_COST.mount - 1;
    expect(namespace.mayHave(1)).toBe(ENOMEM);
    expect(namespace.bind(at('directory'), true)).toBe(ENOMEM);
  });
});

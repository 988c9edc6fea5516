// SPDX-License-Identifier: Apache-2.0
// A caller of the vfs without a task: credentials, a root and descriptors, for unit tests.
import { ENXIO } from '../../abi/errno.ts';
import type { Clock } from '../../sentry/base/clock.ts';
import { credentialsOf } from '../../sentry/kernel/credentials.ts';
import type { GuestMemory } from '../../sentry/mm/guest-memory.ts';
import type { Credentials } from '../../sentry/vfs/credentials.ts';
import { FdTable } from '../../sentry/vfs/fd-table.ts';
import { type FsCaller, FsContext } from '../../sentry/vfs/fs-context.ts';
import { Mount, MountNamespace } from '../../sentry/vfs/mount.ts';
import type { FileSystem } from '../../sentry/vfs/node.ts';
import type { SpecialFiles } from '../../sentry/vfs/special-files.ts';

/** Root has every capability, others none. */
export function testCredentials(
  uid: number,
  gid: number = uid,
  groups: readonly number[] = [],
): Credentials {
  return credentialsOf(uid, gid, groups);
}

/** Advances by a microsecond at each look. */
export class FakeClock implements Clock {
  #ns = 0;

  monotonicNs(): number {
    this.#ns += 1000;
    return this.#ns;
  }

  realtime(): { sec: number; nsec: number } {
    const ns = this.monotonicNs();
    return { sec: 1_700_000_000 + Math.floor(ns / 1e9), nsec: ns % 1e9 };
  }
}

/** There is nothing behind device numbers and FIFOs. */
const specialFiles: SpecialFiles = { openFifo: () => ENXIO, openDevice: () => ENXIO };

export class FakeCaller implements FsCaller {
  credentials: Credentials;
  readonly fs: FsContext;
  readonly files: FdTable;
  readonly namespace: MountNamespace;

  constructor(filesystem: FileSystem, uid = 0) {
    this.credentials = testCredentials(uid);
    this.namespace = new MountNamespace(new Mount(filesystem), { inode: 1, specialFiles });
    this.fs = new FsContext(this.namespace.rootPath, this.namespace.rootPath, 0o022);
    this.files = new FdTable();
  }

  get specialFiles(): SpecialFiles {
    return specialFiles;
  }

  get memory(): GuestMemory {
    throw new Error('this caller has no memory');
  }

  /** Someone else with the same files. */
  as(uid: number, gid: number = uid, groups: readonly number[] = []): FsCaller {
    const { fs, files } = this;
    return {
      credentials: testCredentials(uid, gid, groups),
      fs,
      files,
      memory: undefined as unknown as GuestMemory,
      specialFiles,
    };
  }
}

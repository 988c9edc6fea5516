// SPDX-License-Identifier: Apache-2.0
// The kernel's own tmpfs, which no mount shows: shared anonymous memory, SysV segments, memfds.
import { isErrno, type Result } from '../../../abi/errno.ts';
import { O_LARGEFILE, O_RDWR } from '../../../abi/fcntl.ts';
import { currentAccount } from '../../base/memory-account.ts';
import type { SharedMemory, SharedMemorySource } from '../../mm/memory-manager.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { FileData } from '../tmp/file-data.ts';
import { TmpFileSystem, type TmpOptions } from '../tmp/filesystem.ts';
import { MemfdFile, MemfdNode } from './memfd.ts';

export class SharedMemoryFileSystem implements SharedMemorySource {
  readonly #filesystem: TmpFileSystem;

  constructor(options: TmpOptions) {
    this.#filesystem = new TmpFileSystem(options);
  }

  newSharedMemory(length: number): Result<SharedMemory> {
    const data = new FileData(this.#filesystem.dev, this.#filesystem.nextIno(), currentAccount());
    const sized = data.truncate(length);
    if (!isErrno(sized)) return data;
    data.release();
    return sized;
  }

  newMemfd(name: string, seals: number, mode: number, credentials: Credentials): Result<OpenFile> {
    const owner = { uid: credentials.fsuid, gid: credentials.fsgid };
    const node = new MemfdNode(this.#filesystem, mode, owner, `/memfd:${name} (deleted)`, seals);
    return new MemfdFile(node, O_RDWR | O_LARGEFILE);
  }
}

// SPDX-License-Identifier: Apache-2.0
// What open(O_PATH) gives: a place, not a file. FdTable.get answers EBADF for it; only calls that take any
// descriptor (fstat, fchdir, *at, dup, close) see it.
import { EBADF, type SysResult } from '../../abi/errno.ts';
import type { Node } from './node.ts';
import { OpenFile } from './open-file.ts';

export class PathFile extends OpenFile {
  readonly node: Node;

  constructor(node: Node, flags: number) {
    super(flags);
    this.node = node;
  }

  override read(): SysResult {
    return EBADF;
  }

  override write(): SysResult {
    return EBADF;
  }

  override pread(): SysResult {
    return EBADF;
  }

  override pwrite(): SysResult {
    return EBADF;
  }

  override get pollable(): boolean {
    return false;
  }
}

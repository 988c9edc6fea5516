// SPDX-License-Identifier: Apache-2.0
// Symbolic links that an overlay found below. They never change, so their target stays there.
import { ENXIO, type Result } from '../../../abi/errno.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { NewNode, Node } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { MemoryNode } from '../tmp/memory-node.ts';
import type { OverlayFileSystem } from './filesystem.ts';

export class OverlaySymlink extends MemoryNode {
  readonly #lower: Node;
  readonly sizeBytes: number;
  readonly blocks = 0;

  constructor(
    filesystem: OverlayFileSystem,
    as: NewNode,
    ino: number,
    lower: Node,
    sizeBytes: number,
  ) {
    super(filesystem, as, ino);
    this.#lower = lower;
    this.sizeBytes = sizeBytes;
  }

  override readlink(caller: Caller): Result<string> {
    return this.#lower.readlink(caller);
  }

  override open(): Result<OpenFile> {
    return ENXIO;
  }
}

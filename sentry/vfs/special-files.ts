// SPDX-License-Identifier: Apache-2.0
// Nodes that stand for something outside their file system: FIFOs and devices. What they mean is a
// matter of the mount namespace that they are opened in (fs/dev/devices.ts), because the vfs lies
// below fs/pipe and fs/dev.
import type { Result } from '../../abi/errno.ts';
import type { Blocking } from '../base/wait.ts';
import type { Caller } from './caller.ts';
import type { Node } from './node.ts';
import type { OpenFile } from './open-file.ts';

/** An open that may have to wait: a generator where it does. */
export type Opening = Result<OpenFile> | Blocking<Result<OpenFile>>;

export interface SpecialFiles {
  /** Opens a FIFO by node: `flags` as open(2) got them. Both ends of one Node share one pipe (fifo(7)). */
  openFifo(node: Node, flags: number, caller: Caller): Opening;
  /**
   * Opens device `rdev` (makedev number) of `kind` S_IFCHR or S_IFBLK; `node` is its inode. ENXIO:
   * no such device.
   */
  openDevice(
    rdev: number,
    kind: number,
    node: Node,
    flags: number,
    caller: Caller,
  ): Result<OpenFile>;
}

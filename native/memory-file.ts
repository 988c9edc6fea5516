// SPDX-License-Identifier: Apache-2.0
// Memory files of the host (memfd_create(2)): what they take.
import { isErrno } from '../abi/errno.ts';
import { AT_EMPTY_PATH } from '../abi/fcntl.ts';
import { statxLayout } from '../abi/stat.ts';
import { native } from './addon.ts';

const BLOCK_BYTES = 512;
const status = new Uint8Array(statxLayout.size);
const view = new DataView(status.buffer);

/** Returns the bytes of memory that the memory file `fd` takes; 0 where that is not known. */
export function memoryFileBytes(fd: number): number {
  if (isErrno(native.statx(fd, '', AT_EMPTY_PATH, status, 0))) return 0;
  const low = view.getUint32(statxLayout.at.blocks, true);
  return (low + view.getUint32(statxLayout.at.blocks + 4, true) * 2 ** 32) * BLOCK_BYTES;
}

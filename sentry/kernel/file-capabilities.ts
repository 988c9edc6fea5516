// SPDX-License-Identifier: Apache-2.0
// Capabilities of a program file: struct vfs_cap_data in security.capability (capabilities(7),
// "File capabilities"; include/uapi/linux/capability.h).
import type { CapabilitySet } from '../../abi/capability.ts';

export interface FileCapabilities {
  readonly permitted: CapabilitySet;
  readonly inheritable: CapabilitySet;
  /** The capabilities that the file permits are effective at once. */
  readonly effective: boolean;
}

const REVISION_MASK = 0xff00_0000;
const REVISION_1 = 0x0100_0000;
const REVISION_2 = 0x0200_0000;
const REVISION_3 = 0x0300_0000;
const REVISION_2_BYTES = 20;
const REVISION_3_BYTES = 24;
const EFFECTIVE = 1;

/**
 * Returns whether setxattr(2) takes `bytes` (validheader() of security/commoncap.c): the first revision is
 * only read.
 */
export function isFileCapabilities(bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false;
  const magic = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0, true);
  const revision = (magic & ~EFFECTIVE) >>> 0;
  return (
    (revision === REVISION_2 && bytes.length === REVISION_2_BYTES) ||
    (revision === REVISION_3 && bytes.length === REVISION_3_BYTES)
  );
}

/** undefined: not as the kernel writes it, or meant for another user namespace's root. */
export function parseFileCapabilities(bytes: Uint8Array): FileCapabilities | undefined {
  if (bytes.length < 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const magic = view.getUint32(0, true);
  const revision = (magic & REVISION_MASK) >>> 0;
  const sizes = new Map([
    [REVISION_1, 12],
    [REVISION_2, REVISION_2_BYTES],
    [REVISION_3, REVISION_3_BYTES],
  ]);
  if (sizes.get(revision) !== bytes.length) return undefined;
  if (revision === REVISION_3 && view.getUint32(20, true) !== 0) return undefined;
  const high = revision === REVISION_1 ? () => 0 : (at: number) => view.getUint32(at, true);
  return {
    permitted: { lo: view.getUint32(4, true), hi: high(12) },
    inheritable: { lo: view.getUint32(8, true), hi: high(16) },
    effective: (magic & EFFECTIVE) !== 0,
  };
}

// SPDX-License-Identifier: Apache-2.0
// Capabilities of a program file, as a container with ids of its own writes and reads them: on the
// host they are bound to what its root is there, so that they count in the container and nowhere
// else (capabilities(7), "Namespaced file capabilities"; struct vfs_ns_cap_data in
// include/uapi/linux/capability.h).
const REVISION_MASK = 0xff00_0000;
const REVISION_2 = 0x0200_0000;
const REVISION_3 = 0x0300_0000;
const BYTES_2 = 20;
const BYTES_3 = 24;
const ROOT_ID = 20;

/** Returns the attribute as the host keeps it; undefined where the kernel would not take it. */
export function bind(value: Uint8Array, root: number): Uint8Array | undefined {
  const revision = revisionOf(value);
  const isOwn = revision === REVISION_3 && rootOf(value) === 0;
  if (revision !== REVISION_2 && !isOwn) return undefined;
  const bound = new Uint8Array(BYTES_3);
  bound.set(value.subarray(0, BYTES_2));
  const view = new DataView(bound.buffer);
  view.setUint32(0, (view.getUint32(0, true) & ~REVISION_MASK) | REVISION_3, true);
  view.setUint32(ROOT_ID, root, true);
  return bound;
}

/**
 * Returns the attribute as the container sees it; undefined where it is bound to another user
 * namespace.
 */
export function unbind(value: Uint8Array, root: number | undefined): Uint8Array | undefined {
  if (revisionOf(value) !== REVISION_3) return value;
  if (rootOf(value) !== root) return undefined;
  const plain = new Uint8Array(value.subarray(0, BYTES_2));
  const view = new DataView(plain.buffer);
  view.setUint32(0, (view.getUint32(0, true) & ~REVISION_MASK) | REVISION_2, true);
  return plain;
}

function viewOf(value: Uint8Array): DataView {
  return new DataView(value.buffer, value.byteOffset, value.length);
}

/** 0 for what has not the size of its revision. */
function revisionOf(value: Uint8Array): number {
  if (value.length !== BYTES_2 && value.length !== BYTES_3) return 0;
  const revision = viewOf(value).getUint32(0, true) & REVISION_MASK;
  if (revision === REVISION_2) return value.length === BYTES_2 ? revision : 0;
  return revision === REVISION_3 && value.length === BYTES_3 ? revision : 0;
}

function rootOf(value: Uint8Array): number {
  return viewOf(value).getUint32(ROOT_ID, true);
}

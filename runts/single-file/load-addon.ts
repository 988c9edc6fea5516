// SPDX-License-Identifier: Apache-2.0
// The addon of the one-file build. dlopen(3) wants a file: the Sentry and the Gofer get a memory
// file from the launcher (native/launcher/children.c), the command line, which makes such files
// with the addon, writes one without a name.
import { closeSync, openSync, writeSync } from 'node:fs';
import { O_RDWR, O_TMPFILE } from '../../abi/fcntl.ts';
import { ADDON_PLACE } from '../../protocol/descriptors.ts';

export function loadInheritedAddon(module: object): void {
  process.dlopen(module, `/proc/self/fd/${ADDON_PLACE}`);
  closeSync(ADDON_PLACE);
}

/** Where an ordinary user may write, memory first; a host may forbid programs in any of them. */
const places = ['/dev/shm', process.env['XDG_RUNTIME_DIR'], '/tmp', '/var/tmp', '/run', '.'];

export function loadOwnAddon(module: object, bytes: Uint8Array): void {
  let failure: unknown;
  for (const place of places) {
    if (place === undefined || place === '') continue;
    try {
      loadFrom(place, module, bytes);
      return;
    } catch (error) {
      failure ??= error;
    }
  }
  const text = failure instanceof Error ? failure.message : String(failure);
  throw new Error(`no directory to load native code from (/dev/shm, /tmp, /var/tmp): ${text}`);
}

let loaded = 0;

function loadFrom(place: string, module: object, bytes: Uint8Array): void {
  const fd = openSync(place, O_TMPFILE | O_RDWR, 0o700);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    // Another path each time: what dlopen(3) has under a path it does not open again.
    process.dlopen(module, `/proc/self/fd/${'./'.repeat(loaded)}${fd}`);
    loaded++;
  } finally {
    closeSync(fd);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Device nodes that guests make. The host makes none for a sandbox: an empty regular file with an
// odd mode stands for one, and an extended attribute that no guest can write says which. So
// renames, links, removal and restarts of the container need nothing more, and on the host there is
// nothing that could be opened by mistake.
import { isErrno, type SysResult } from '../abi/errno.ts';
import { S_IFBLK, S_IFCHR, S_IFMT, S_IFREG } from '../abi/stat.ts';
import { native } from '../native/addon.ts';
import type { HostAttributes } from '../protocol/gofer/host-attributes.ts';

/** set-group-ID without execution, sticky: no program makes such files by chance. */
export const PLACEHOLDER_MODE = 0o3600;
/** Attributes with this prefix are not the guest's. */
export const PLACEHOLDER_PREFIX = 'user.runts.';
const attribute = `${PLACEHOLDER_PREFIX}node`;

const value = Buffer.alloc(32);

/** Only then is it worth looking at the attribute. */
export function mayBePlaceholder({ mode, size }: HostAttributes): boolean {
  return mode === (S_IFREG | PLACEHOLDER_MODE) && size === 0;
}

export interface DeviceNode {
  readonly mode: number;
  readonly rdev: number;
}

/** By a real descriptor of the file. */
export function readPlaceholder(fd: number): DeviceNode | undefined {
  const length = native.fgetxattr(fd, attribute, value);
  if (isErrno(length)) return undefined;
  const match = /^(\d{1,7}) (\d{1,10})$/.exec(value.toString('latin1', 0, length));
  if (match === null) return undefined;
  const [mode, rdev] = [Number(match[1]), Number(match[2])];
  const kind = mode & S_IFMT;
  const isDevice = (kind === S_IFCHR || kind === S_IFBLK) && rdev <= 0xffff_ffff;
  return isDevice ? { mode: kind | (mode & 0o7777), rdev } : undefined;
}

export function writePlaceholder(fd: number, { mode, rdev }: DeviceNode): SysResult {
  const text = Buffer.from(`${mode} ${rdev}`, 'latin1');
  return native.fsetxattr(fd, attribute, text, text.length, 0);
}

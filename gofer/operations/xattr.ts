// SPDX-License-Identifier: Apache-2.0
// Extended attributes of regular files and directories. user.* is served, and security.capability,
// which the Sentry honours at exec; other security.* and trusted.* of the host mean nothing inside.
import {
  EACCES,
  EBADF,
  EINVAL,
  ENODATA,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  type Errno,
  isErrno,
} from '../../abi/errno.ts';
import { O_RDONLY } from '../../abi/fcntl.ts';
import { XATTR_NAME_CAPS, XATTR_SIZE_MAX, XATTR_USER_PREFIX } from '../../abi/xattr.ts';
import { native } from '../../native/addon.ts';
import type { Place } from '../../protocol/gofer/fields.ts';
import { bind, unbind } from '../bound-capabilities.ts';
import {
  capabilityRoot,
  MAY_EXECUTE,
  MAY_READ,
  MAY_RULE,
  MAY_WRITE,
  mayUse,
  rightsTo,
} from '../owners.ts';
import { PLACEHOLDER_PREFIX } from '../placeholder.ts';
import { type Answer, type GoferContext, openTarget, type Request, targetOf } from './context.ts';

function isServed(attribute: string): boolean {
  if (attribute.startsWith(PLACEHOLDER_PREFIX)) return false;
  return attribute.startsWith(XATTR_USER_PREFIX) || attribute === XATTR_NAME_CAPS;
}

/**
 * Whom capabilities of files are bound to: undefined for nobody; 'host' where the container's ids
 * are the host's.
 */
type CapabilityRoot = number | undefined | 'host';

/** The access that is about to be made: `attribute` '' asks for all names. */
interface Access {
  readonly place: Place;
  readonly attribute: string;
  readonly writes: boolean;
}

/** Opens the file, if the access may be, and has it used: `use` answers what the operation answers. */
function withFile<T extends object | number>(
  { tree }: GoferContext,
  { place, attribute, writes }: Access,
  use: (fd: number, root: CapabilityRoot) => T | Errno,
): T | Errno {
  const target = targetOf(tree, place);
  const { directory, name } = target;
  const rights = target.held ?? directory;
  if (rights === undefined) return EBADF;
  if (writes && rights.readOnly) return EROFS;
  if (attribute !== '' && !isServed(attribute)) return writes ? EOPNOTSUPP : ENODATA;
  if (directory?.sealed === true) return EOPNOTSUPP;
  const isEntry = target.held === undefined && directory !== undefined && name !== '';
  const found = isEntry ? mayUse(tree, directory, MAY_EXECUTE) : 0;
  const fd = isErrno(found) ? found : openTarget(tree, target, O_RDONLY);
  if (isErrno(fd)) return fd;
  const file = rights.owners === undefined ? undefined : tree.statFd(fd);
  let done: T | Errno;
  if (file === undefined) done = use(fd, 'host');
  else if (isErrno(file)) done = file;
  else if ((neededFor(writes, attribute) & ~rightsTo(rights, file)) !== 0) done = EACCES;
  else done = use(fd, capabilityRoot(rights, file));
  native.close(fd);
  return done;
}

function neededFor(writes: boolean, attribute: string): number {
  // Who executes a program has its capabilities, without reading them; and all may list.
  if (!writes) return attribute === XATTR_NAME_CAPS || attribute === '' ? 0 : MAY_READ;
  return attribute === XATTR_NAME_CAPS ? MAY_RULE : MAY_WRITE;
}

const scratch = Buffer.alloc(XATTR_SIZE_MAX);

export function getXattr(
  context: GoferContext,
  { place, attribute }: Request<'getXattr'>,
): Answer<'getXattr'> {
  return withFile(context, { place, attribute, writes: false }, (fd, root) => {
    const length = native.fgetxattr(fd, attribute, scratch);
    if (isErrno(length)) return length;
    const bytes = scratch.subarray(0, length);
    const isBound = attribute === XATTR_NAME_CAPS && root !== 'host';
    const value = isBound ? unbind(bytes, root) : bytes;
    return value === undefined ? ENODATA : { value };
  });
}

export function listXattr(
  context: GoferContext,
  { place }: Request<'listXattr'>,
): Answer<'listXattr'> {
  return withFile(context, { place, attribute: '', writes: false }, (fd) => {
    const length = native.flistxattr(fd, scratch);
    if (isErrno(length)) return length;
    const names = scratch.toString('latin1', 0, length).split('\0').filter(isServed);
    return { names: Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1') };
  });
}

export function setXattr(
  context: GoferContext,
  { place, attribute, value, flags }: Request<'setXattr'>,
): Answer<'setXattr'> {
  return withFile(context, { place, attribute, writes: true }, (fd, root) => {
    if (attribute !== XATTR_NAME_CAPS || root === 'host')
      return native.fsetxattr(fd, attribute, value, value.length, flags);
    if (root === undefined) return EPERM;
    const bound = bind(value, root);
    return bound === undefined
      ? EINVAL
      : native.fsetxattr(fd, attribute, bound, bound.length, flags);
  });
}

export function removeXattr(
  context: GoferContext,
  { place, attribute }: Request<'removeXattr'>,
): Answer<'removeXattr'> {
  return withFile(context, { place, attribute, writes: true }, (fd) =>
    native.fremovexattr(fd, attribute),
  );
}

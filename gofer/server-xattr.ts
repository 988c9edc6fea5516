// Extended attributes of regular files and directories. user.* is served, and security.capability, which the Sentry honours
// at exec; other security.* and trusted.* of the host mean nothing inside.
import {
  EACCES,
  EBADF,
  EINVAL,
  ENODATA,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  isErrno,
  type SysResult,
} from '../abi/errno.ts';
import { O_RDONLY } from '../abi/fcntl.ts';
import { XATTR_NAME_CAPS, XATTR_SIZE_MAX, XATTR_USER_PREFIX } from '../abi/xattr.ts';
import { native } from '../native/addon.ts';
import { bind, unbind } from './bound-capabilities.ts';
import {
  capabilityRoot,
  MAY_EXECUTE,
  MAY_READ,
  MAY_RULE,
  MAY_WRITE,
  mayUse,
  rightsTo,
} from './owners.ts';
import { PLACEHOLDER_PREFIX } from './placeholder.ts';
import { isEntryName } from './protocol.ts';
import { type GoferContext, openTarget } from './server-context.ts';

function isServed(attribute: string): boolean {
  if (attribute.startsWith(PLACEHOLDER_PREFIX)) return false;
  return attribute.startsWith(XATTR_USER_PREFIX) || attribute === XATTR_NAME_CAPS;
}

const value = Buffer.alloc(XATTR_SIZE_MAX);

/** The file that the next fields (id, name) mean; `writes` needs a writable attach point. */
function target(
  context: GoferContext,
  use: (fd: number, attribute: string, root: CapabilityRoot) => SysResult,
  options: { readonly writes: boolean; readonly named: boolean },
  rest: () => void = () => undefined,
): SysResult {
  const { tree, request } = context;
  const place = context.target();
  const { directory, name } = place;
  const attribute = options.named ? request.text() : '';
  rest();
  if (
    !request.isComplete ||
    (name !== '' && !isEntryName(name)) ||
    attribute.length > 255 ||
    attribute.includes('\0')
  )
    return EINVAL;
  const rights = place.held ?? directory;
  if (rights === undefined) return EBADF;
  if (options.writes && rights.readOnly) return EROFS;
  if (options.named && !isServed(attribute)) return options.writes ? EOPNOTSUPP : ENODATA;
  if (directory?.sealed === true) return EOPNOTSUPP;
  const isEntry = place.held === undefined && directory !== undefined && name !== '';
  const found = isEntry ? mayUse(tree, directory, MAY_EXECUTE) : 0;
  const fd = isErrno(found) ? found : openTarget(tree, place, O_RDONLY);
  if (isErrno(fd)) return fd;
  const file = rights.owners === undefined ? undefined : tree.statFd(fd);
  let done: SysResult = 0;
  let root: CapabilityRoot = 'host';
  if (isErrno(file)) done = file;
  else if (file !== undefined) {
    root = capabilityRoot(rights, file);
    if ((neededFor(options.writes, attribute) & ~rightsTo(rights, file)) !== 0) done = EACCES;
  }
  if (!isErrno(done)) done = use(fd, attribute, root);
  native.close(fd);
  return done;
}

/** Whom capabilities of files are bound to: undefined for nobody; 'host' where the container's ids are the host's. */
type CapabilityRoot = number | undefined | 'host';

function neededFor(writes: boolean, attribute: string): number {
  // Who executes a program has its capabilities, without reading them; and all may list.
  if (!writes) return attribute === XATTR_NAME_CAPS || attribute === '' ? 0 : MAY_READ;
  return attribute === XATTR_NAME_CAPS ? MAY_RULE : MAY_WRITE;
}

export function getXattr(context: GoferContext): SysResult {
  return target(
    context,
    (fd, attribute, root) => {
      const length = native.fgetxattr(fd, attribute, value);
      if (isErrno(length)) return length;
      const bytes = value.subarray(0, length);
      const isBound = attribute === XATTR_NAME_CAPS && root !== 'host';
      const shown = isBound ? unbind(bytes, root) : bytes;
      if (shown === undefined) return ENODATA;
      context.reply.blob(shown);
      return 0;
    },
    { writes: false, named: true },
  );
}

export function listXattr(context: GoferContext): SysResult {
  return target(
    context,
    (fd) => {
      const length = native.flistxattr(fd, value);
      if (isErrno(length)) return length;
      const names = value.toString('latin1', 0, length).split('\0').filter(isServed);
      context.reply.blob(Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1'));
      return 0;
    },
    { writes: false, named: false },
  );
}

export function setXattr(context: GoferContext): SysResult {
  let bytes = new Uint8Array(0);
  let flags = 0;
  return target(
    context,
    (fd, attribute, root) => {
      if (attribute !== XATTR_NAME_CAPS || root === 'host')
        return native.fsetxattr(fd, attribute, bytes, bytes.length, flags);
      if (root === undefined) return EPERM;
      const bound = bind(bytes, root);
      return bound === undefined
        ? EINVAL
        : native.fsetxattr(fd, attribute, bound, bound.length, flags);
    },
    { writes: true, named: true },
    () => {
      bytes = context.request.blob(XATTR_SIZE_MAX) as Uint8Array<ArrayBuffer>;
      flags = context.request.u32();
    },
  );
}

export function removeXattr(context: GoferContext): SysResult {
  return target(context, (fd, attribute) => native.fremovexattr(fd, attribute), {
    writes: true,
    named: true,
  });
}

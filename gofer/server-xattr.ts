// Extended attributes of regular files and directories. user.* is served, and security.capability, which the Sentry honours
// at exec; other security.* and trusted.* of the host mean nothing inside.
import { EBADF, EINVAL, ENODATA, EOPNOTSUPP, EROFS, type SysResult } from '../abi/errno.ts';
import { O_RDONLY } from '../abi/fcntl.ts';
import { XATTR_NAME_CAPS, XATTR_SIZE_MAX, XATTR_USER_PREFIX } from '../abi/xattr.ts';
import { native } from '../native/addon.ts';
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
  use: (fd: number, attribute: string) => SysResult,
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
  const fd = openTarget(tree, place, O_RDONLY);
  if (fd < 0) return fd;
  const done = use(fd, attribute);
  native.close(fd);
  return done;
}

export function getXattr(context: GoferContext): SysResult {
  return target(
    context,
    (fd, attribute) => {
      const length = native.fgetxattr(fd, attribute, value);
      if (length >= 0) context.reply.blob(value.subarray(0, length));
      return Math.min(length, 0);
    },
    { writes: false, named: true },
  );
}

export function listXattr(context: GoferContext): SysResult {
  return target(
    context,
    (fd) => {
      const length = native.flistxattr(fd, value);
      if (length < 0) return length;
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
    (fd, attribute) => native.fsetxattr(fd, attribute, bytes, bytes.length, flags),
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

// SPDX-License-Identifier: Apache-2.0
// Sockets with a name in the file system: bind(2) makes a node, connect(2) finds who bound it.
import { EADDRINUSE, ECONNREFUSED, EEXIST, isErrno, type Result } from '../../../abi/errno.ts';
import { AT_FDCWD } from '../../../abi/fcntl.ts';
import { S_IFSOCK } from '../../../abi/stat.ts';
import { makeNode } from '../../vfs/directory-operations.ts';
import type { Path } from '../../vfs/path.ts';
import { WALK_FOLLOW, walkPath } from '../../vfs/path-walk.ts';
import { MAY_WRITE, mayAccess } from '../../vfs/permission.ts';
import type { SocketCaller } from '../socket.ts';
import { socketAtNode } from './address.ts';
import type { UnixSocket } from './unix-socket.ts';

/** Makes the node for bind(2): mode 0777 less the umask. */
export function makeSocketNode(pathname: string, caller: SocketCaller): Result<Path> {
  const path = makeNode(caller, AT_FDCWD, pathname, S_IFSOCK | 0o777, 0);
  return path === EEXIST ? EADDRINUSE : path;
}

/** The socket bound at `pathname`: write permission on the node is needed to reach it. */
export function socketAtPath(pathname: string, caller: SocketCaller): Result<UnixSocket> {
  const path = walkPath(caller, AT_FDCWD, pathname, WALK_FOLLOW);
  if (isErrno(path)) return path;
  const allowed = mayAccess(caller.credentials, path.node, MAY_WRITE);
  if (isErrno(allowed)) return allowed;
  if (path.node.kind !== S_IFSOCK) return ECONNREFUSED;
  const socket = socketAtNode(path.node);
  return socket ?? ECONNREFUSED;
}

// SPDX-License-Identifier: Apache-2.0
// Operations about what the Sentry uses of the Gofer: attach points, ids, the instance of inotify.
import { EINVAL, isErrno } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import type { Answer, GoferContext, Request } from './context.ts';

export function attach(
  { tree, attachPoints }: GoferContext,
  { index }: Request<'attach'>,
): Answer<'attach'> {
  const point = attachPoints[index];
  if (point === undefined) return EINVAL;
  const directory = tree.attach(point, index);
  if (isErrno(directory)) return directory;
  const attributes = tree.statFd(point.fd);
  if (isErrno(attributes)) return attributes;
  return { id: directory.id, readOnly: point.readOnly, attributes };
}

export function freeze({ tree }: GoferContext, { index }: Request<'freeze'>): void {
  tree.freeze(index);
}

export function forget({ tree }: GoferContext, { id }: Request<'forget'>): void {
  tree.forget(id);
}

/** The Sentry gets a descriptor of its own, and reads the events itself. */
export function startWatching({ tree }: GoferContext): Answer<'startWatching'> {
  const own = tree.watches.start();
  if (isErrno(own)) return own;
  const fd = native.dup(own);
  return isErrno(fd) ? fd : { fd };
}

export function stopWatching({ tree }: GoferContext): void {
  tree.watches.stop();
}

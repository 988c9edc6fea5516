// SPDX-License-Identifier: Apache-2.0
// struct sockaddr_un and the names that sockets are bound to (unix(7)).
import { EINVAL, type Result } from '../../../abi/errno.ts';
import { AF_UNIX, SOCKADDR_UN_BYTES, SUN_PATH_OFFSET } from '../../../abi/socket.ts';
import type { Node } from '../../vfs/node.ts';
import type { UnixSocket } from './unix-socket.ts';

/**
 * The meaning of a struct sockaddr_un. Names are byte strings; an abstract one goes without its
 * leading NUL.
 */
export type UnixAddress =
  | { readonly kind: 'unnamed' }
  | { readonly kind: 'abstract'; readonly name: string }
  | { readonly kind: 'path'; readonly name: string };

export const unnamed: UnixAddress = { kind: 'unnamed' };

export function parseUnixAddress(bytes: Uint8Array): Result<UnixAddress> {
  if (bytes.length < SUN_PATH_OFFSET || bytes.length > SOCKADDR_UN_BYTES) return EINVAL;
  if (((bytes[0] as number) | ((bytes[1] as number) << 8)) !== AF_UNIX) return EINVAL;
  if (bytes.length === SUN_PATH_OFFSET) return unnamed;
  const text = latin1(bytes.subarray(SUN_PATH_OFFSET));
  if (text.charCodeAt(0) === 0) return { kind: 'abstract', name: text.slice(1) };
  const end = text.indexOf('\0');
  return { kind: 'path', name: end < 0 ? text : text.slice(0, end) };
}

/**
 * Encodes the address for getsockname: a path with its NUL, an unnamed socket as the family alone.
 */
export function encodeUnixAddress(address: UnixAddress): Uint8Array {
  const text =
    address.kind === 'unnamed'
      ? ''
      : address.kind === 'abstract'
        ? `\0${address.name}`
        : `${address.name}\0`;
  const bytes = new Uint8Array(SUN_PATH_OFFSET + text.length);
  bytes[0] = AF_UNIX;
  for (let index = 0; index < text.length; index += 1)
    bytes[SUN_PATH_OFFSET + index] = text.charCodeAt(index);
  return bytes;
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

export function bindNode(node: Node, socket: UnixSocket): void {
  node.identity.boundSocket = socket;
}

export function socketAtNode(node: Node): UnixSocket | undefined {
  return node.identity.boundSocket as UnixSocket | undefined; // Only bindNode() writes there.
}

export function unbindNode(node: Node): void {
  node.identity.boundSocket = undefined;
}

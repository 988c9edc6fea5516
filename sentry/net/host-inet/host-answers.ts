// SPDX-License-Identifier: Apache-2.0
// What the host's kernel told in a dump, on its way to the guest that asked: with its numbers, in datagrams.
import * as nl from '../../../abi/netlink.ts';
import type { NetlinkRequest } from '../../kernel/network.ts';
import { dump, joined, message } from '../netlink/route-message.ts';
import type { HostMessage } from './host-netlink.ts';

/**
 * The sizes in which the kernel's dumps come to a reader with a page for a buffer; the larger one
 * where there is much to tell.
 */
const datagramBytes = 3776;
const largeDatagramBytes = 32_768;
const muchBytes = 524_288;

export function answersTo(
  request: NetlinkRequest,
  portId: number,
  told: readonly HostMessage[],
): Uint8Array[] {
  return [...inDatagrams(told, request, portId), ...dump(request, portId, [], 0)];
}

function inDatagrams(
  told: readonly HostMessage[],
  request: NetlinkRequest,
  portId: number,
): Uint8Array[] {
  const total = told.reduce((sum, { body }) => sum + body.length, 0);
  const room = total > muchBytes ? largeDatagramBytes : datagramBytes;
  const datagrams: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for (const { type, body } of told) {
    const part = message(type, nl.NLM_F_MULTI, request.sequence, portId, body);
    if (bytes > 0 && bytes + part.length > room) {
      datagrams.push(joined(parts));
      parts = [];
      bytes = 0;
    }
    parts.push(part);
    bytes += part.length;
  }
  if (parts.length > 0) datagrams.push(joined(parts));
  return datagrams;
}

// SPDX-License-Identifier: Apache-2.0
// Control messages of IP sockets (cmsg(3), ip(7), ipv6(7), udp(7)) between guest and host. The
// layouts are the same on both sides; only known ones pass, each put together anew.
import { EINVAL, type Result } from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { getU64, setI64 } from '../../../abi/time.ts';
import { joined } from '../netlink/route-message.ts';
import type { ControlMessage } from '../socket.ts';

/** Level and type, and the size of the data that the host expects. */
type Known = readonly [level: number, type: number, dataBytes: number];

const sendable: readonly Known[] = [
  [so.SOL_IP, so.IP_PKTINFO, 12],
  [so.SOL_IP, so.IP_TTL, 4],
  [so.SOL_IP, so.IP_TOS, 4],
  [so.SOL_IPV6, so.IPV6_PKTINFO, 20],
  [so.SOL_IPV6, so.IPV6_HOPLIMIT, 4],
  [so.SOL_IPV6, so.IPV6_TCLASS, 4],
  [so.SOL_UDP, so.UDP_SEGMENT, 2],
];

const receivable: readonly (readonly [level: number, type: number])[] = [
  [so.SOL_SOCKET, so.SCM_TIMESTAMP],
  [so.SOL_SOCKET, so.SCM_TIMESTAMPNS],
  [so.SOL_SOCKET, so.SCM_TIMESTAMPING],
  [so.SOL_SOCKET, so.SCM_TIMESTAMPING_OPT_STATS],
  [so.SOL_SOCKET, so.SCM_TIMESTAMPING_PKTINFO],
  [so.SOL_SOCKET, so.SCM_TIMESTAMP_NEW],
  [so.SOL_SOCKET, so.SCM_TIMESTAMPNS_NEW],
  [so.SOL_SOCKET, so.SCM_TIMESTAMPING_NEW],
  [so.SOL_SOCKET, so.SO_RXQ_OVFL],
  [so.SOL_IP, so.IP_PKTINFO],
  [so.SOL_IP, so.IP_TTL],
  [so.SOL_IP, so.IP_TOS],
  [so.SOL_IP, so.IP_RECVOPTS],
  [so.SOL_IP, so.IP_RETOPTS],
  [so.SOL_IP, so.IP_CHECKSUM],
  [so.SOL_IP, so.IP_RECVFRAGSIZE],
  [so.SOL_IP, so.IP_RECVERR],
  [so.SOL_IP, so.IP_RECVORIGDSTADDR],
  [so.SOL_IPV6, so.IPV6_PKTINFO],
  [so.SOL_IPV6, so.IPV6_HOPLIMIT],
  [so.SOL_IPV6, so.IPV6_2292PKTINFO],
  [so.SOL_IPV6, so.IPV6_2292HOPLIMIT],
  [so.SOL_IPV6, so.IPV6_TCLASS],
  [so.SOL_IPV6, so.IPV6_RECVERR],
  [so.SOL_IPV6, so.IPV6_ORIGDSTADDR],
  [so.SOL_IPV6, so.IPV6_FLOWINFO],
  [so.SOL_IPV6, so.IPV6_HOPOPTS],
  [so.SOL_IPV6, so.IPV6_RTHDR],
  [so.SOL_IPV6, so.IPV6_DSTOPTS],
  [so.SOL_IPV6, so.IPV6_PATHMTU],
  [so.SOL_TCP, so.TCP_INQ],
  [so.SOL_UDP, so.UDP_GRO],
];

/** Levels that a send looks at; messages of others are passed over (ip_cmsg_send, ip6_datagram_send_ctl). */
const sentLevels: readonly number[] = [so.SOL_SOCKET, so.SOL_IP, so.SOL_IPV6, so.SOL_UDP];

/** More than one of each kind is an error of the guest's. */
const mostMessages = 8;

const nothing = new Uint8Array(0);

/** For the host's sendmsg. */
export function encodeControl(messages: readonly ControlMessage[]): Result<Uint8Array> {
  if (messages.length === 0) return nothing;
  if (messages.length > mostMessages) return EINVAL;
  const parts: Uint8Array[] = [];
  for (const { level, type, data } of messages) {
    if (!sentLevels.includes(level)) continue;
    const known = sendable.find(([itsLevel, itsType]) => itsLevel === level && itsType === type);
    // One byte does for IP_TOS, as on the host.
    const short = level === so.SOL_IP && type === so.IP_TOS && data.length === 1;
    if (known === undefined || (data.length !== known[2] && !short)) return EINVAL;
    const bytes = new Uint8Array(aligned(so.cmsghdr.data + data.length));
    const view = new DataView(bytes.buffer);
    setI64(view, so.cmsghdr.length, so.cmsghdr.data + data.length);
    view.setInt32(so.cmsghdr.level, level, true);
    view.setInt32(so.cmsghdr.type, type, true);
    bytes.set(data, so.cmsghdr.data);
    parts.push(bytes);
  }
  return joined(parts);
}

/** Decodes the control messages that the host's recvmsg left in `bytes`. */
export function decodeControl(bytes: Uint8Array): ControlMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: ControlMessage[] = [];
  let at = 0;
  while (at + so.cmsghdr.data <= bytes.length) {
    const lengthBytes = getU64(view, at + so.cmsghdr.length);
    if (lengthBytes < so.cmsghdr.data || lengthBytes > bytes.length - at) break;
    const level = view.getInt32(at + so.cmsghdr.level, true);
    const type = view.getInt32(at + so.cmsghdr.type, true);
    if (receivable.some(([itsLevel, itsType]) => itsLevel === level && itsType === type)) {
      messages.push({ level, type, data: bytes.slice(at + so.cmsghdr.data, at + lengthBytes) });
    }
    at += aligned(lengthBytes);
  }
  return messages;
}

function aligned(lengthBytes: number): number {
  return Math.ceil(lengthBytes / 8) * 8;
}

// SPDX-License-Identifier: Apache-2.0
// Control messages of datagrams (cmsg(3), ip(7), ipv6(7), socket(7)): what a receiver asked to be told, and
// what a sender asks for with one packet.
import { EINVAL, ENODEV, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { setI64 } from '../../../abi/time.ts';
import type { WallTime } from '../../base/clock.ts';
import type { ControlMessage, SendControl } from '../socket.ts';
import type { SocketOptions } from '../socket-options.ts';
import {
  encodeInetAddress,
  type IpAddress,
  isAny,
  isLoopback,
  isV4,
  latin1,
  loopbackV4,
  mapped,
} from './address.ts';
import type { InetOptions } from './inet-options.ts';
import { loopbackIndex } from './interface-ioctl.ts';
import type { Packet } from './packet-inbox.ts';

/** The receiving socket. */
export interface Asked {
  readonly domain: number;
  readonly options: SocketOptions;
  readonly inetOptions: InetOptions;
}

/** Tells of a packet what the socket's options ask for, in Linux's order. */
export function packetMessages(asked: Asked, packet: Packet, drops: number): ControlMessage[] {
  const messages = stampMessages(asked.options, packet.arrival);
  if (asked.options.number(so.SO_RXQ_OVFL, 0) !== 0 && drops > 0)
    messages.push({ level: so.SOL_SOCKET, type: so.SO_RXQ_OVFL, data: int(drops) });
  if (asked.domain === so.AF_INET6) addIpv6(asked.inetOptions, packet, messages);
  if (isV4(packet.to.ip)) addIpv4(asked.inetOptions, packet, messages);
  return messages;
}

/** The time of arrival, in the form that SO_TIMESTAMP and its like ask for. */
function stampMessages(options: SocketOptions, { sec, nsec }: WallTime): ControlMessage[] {
  const messages: ControlMessage[] = [];
  const { stamp } = options;
  if (stamp !== 0) {
    const isNs = stamp === so.SO_TIMESTAMPNS || stamp === so.SO_TIMESTAMPNS_NEW;
    const data = pair(sec, isNs ? nsec : Math.floor(nsec / 1000));
    messages.push({ level: so.SOL_SOCKET, type: stamp, data });
  }
  // SOF_TIMESTAMPING_RX_SOFTWARE and SOF_TIMESTAMPING_SOFTWARE.
  if ((options.number(so.SO_TIMESTAMPING, 0) & 0x18) === 0x18) {
    const data = new Uint8Array(48);
    data.set(pair(sec, nsec));
    messages.push({ level: so.SOL_SOCKET, type: so.SCM_TIMESTAMPING, data });
  }
  return messages;
}

function addIpv4(options: InetOptions, packet: Packet, messages: ControlMessage[]): void {
  const { to, hops, tos } = packet;
  const add = (type: number, data: Uint8Array): void => {
    messages.push({ level: so.SOL_IP, type, data });
  };
  const asks = (name: number): boolean => options.value(so.SOL_IP, name) !== 0;
  if (asks(so.IP_PKTINFO)) {
    const data = new Uint8Array(12);
    data[0] = loopbackIndex;
    put(data, 4, isLoopback(to.ip) && to.ip !== '\x7f\xff\xff\xff' ? to.ip : loopbackV4);
    put(data, 8, to.ip);
    add(so.IP_PKTINFO, data);
  }
  if (asks(so.IP_RECVTTL)) add(so.IP_TTL, int(hops));
  if (asks(so.IP_RECVTOS)) add(so.IP_TOS, Uint8Array.of(tos));
  if (asks(so.IP_RECVORIGDSTADDR)) add(so.IP_RECVORIGDSTADDR, encodeInetAddress(to, so.AF_INET));
}

function addIpv6(options: InetOptions, packet: Packet, messages: ControlMessage[]): void {
  const { to, hops, tos } = packet;
  const add = (type: number, data: Uint8Array): void => {
    messages.push({ level: so.SOL_IPV6, type, data });
  };
  const asks = (name: number): boolean => options.value(so.SOL_IPV6, name) !== 0;
  const information = (): Uint8Array => {
    const data = new Uint8Array(20);
    put(data, 0, isV4(to.ip) ? mapped(to.ip) : to.ip);
    data[16] = loopbackIndex;
    return data;
  };
  if (asks(so.IPV6_RECVPKTINFO)) add(so.IPV6_PKTINFO, information());
  if (isV4(to.ip)) return;
  if (asks(so.IPV6_RECVHOPLIMIT)) add(so.IPV6_HOPLIMIT, int(hops));
  if (asks(so.IPV6_RECVTCLASS)) add(so.IPV6_TCLASS, int(tos));
  if (asks(so.IPV6_2292PKTINFO)) add(so.IPV6_2292PKTINFO, information());
  if (asks(so.IPV6_2292HOPLIMIT)) add(so.IPV6_2292HOPLIMIT, int(hops));
  if (asks(so.IPV6_ORIGDSTADDR)) add(so.IPV6_ORIGDSTADDR, encodeInetAddress(to, so.AF_INET6));
}

/** A sender's wishes for one packet; undefined: what the socket has. */
export interface SendWishes {
  source: IpAddress | undefined;
  hops: number | undefined;
  tos: number | undefined;
  /** UDP_SEGMENT. */
  segmentBytes: number | undefined;
}

const nothing: SendWishes = {
  source: undefined,
  hops: undefined,
  tos: undefined,
  segmentBytes: undefined,
};

/** The control messages of a send (ip_cmsg_send, ip6_datagram_send_ctl, udp_cmsg_send). */
export function sendWishes(control: SendControl, isSix: boolean): Result<SendWishes> {
  if (control.messages.length === 0) return nothing;
  const wishes = { ...nothing };
  for (const message of control.messages) {
    const taken = takeWish(message, isSix, wishes);
    if (isErrno(taken)) return taken;
  }
  return wishes;
}

function takeWish(message: ControlMessage, isSix: boolean, wishes: SendWishes): SysResult {
  const { level, type, data } = message;
  if (level === so.SOL_UDP && type === so.UDP_SEGMENT) {
    if (data.length !== 2) return EINVAL;
    wishes.segmentBytes = (data[0] as number) | ((data[1] as number) << 8);
    return 0;
  }
  if (level === so.SOL_IP && !isSix) return takeIpv4Wish(type, data, wishes);
  if (level === so.SOL_IPV6 && isSix) return takeIpv6Wish(type, data, wishes);
  return 0;
}

function takeIpv4Wish(type: number, data: Uint8Array, wishes: SendWishes): SysResult {
  switch (type) {
    case so.IP_PKTINFO: {
      if (data.length !== 12) return EINVAL;
      return takeSource(latin1(data.subarray(4, 8)), number(data), wishes);
    }
    case so.IP_TTL:
      if (data.length !== 4 || number(data) < 1 || number(data) > 255) return EINVAL;
      wishes.hops = number(data);
      return 0;
    case so.IP_TOS: {
      const tos = data.length === 4 ? number(data) : data.length === 1 ? (data[0] as number) : -1;
      if (tos < 0 || tos > 255) return EINVAL;
      wishes.tos = tos;
      return 0;
    }
    case so.IP_RETOPTS:
      return 0;
    default:
      return EINVAL;
  }
}

function takeIpv6Wish(type: number, data: Uint8Array, wishes: SendWishes): SysResult {
  switch (type) {
    case so.IPV6_PKTINFO:
    case so.IPV6_2292PKTINFO: {
      if (data.length < 20) return EINVAL;
      return takeSource(latin1(data.subarray(0, 16)), number(data.subarray(16)), wishes);
    }
    case so.IPV6_HOPLIMIT:
    case so.IPV6_2292HOPLIMIT:
      if (data.length !== 4 || number(data) < -1 || number(data) > 255) return EINVAL;
      if (number(data) >= 0) wishes.hops = number(data);
      return 0;
    case so.IPV6_TCLASS:
      if (data.length !== 4 || number(data) < -1 || number(data) > 255) return EINVAL;
      if (number(data) >= 0) wishes.tos = number(data);
      return 0;
    case so.IPV6_DONTFRAG:
      return data.length === 4 && (number(data) === 0 || number(data) === 1) ? 0 : EINVAL;
    case so.IPV6_FLOWINFO:
      return data.length < 4 ? EINVAL : 0;
    default:
      return EINVAL;
  }
}

/** An interface and a source address of IP_PKTINFO: there is lo. */
function takeSource(ip: IpAddress, index: number, wishes: SendWishes): SysResult {
  if (index !== 0 && index !== loopbackIndex) return ENODEV;
  if (isAny(ip)) return 0;
  if (!isLoopback(ip)) return EINVAL;
  wishes.source = ip;
  return 0;
}

function number(data: Uint8Array): number {
  return new DataView(data.buffer, data.byteOffset, data.byteLength).getInt32(0, true);
}

function int(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

function pair(first: number, second: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  setI64(view, 0, first);
  setI64(view, 8, second);
  return new Uint8Array(view.buffer);
}

function put(data: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index += 1) data[at + index] = text.charCodeAt(index);
}

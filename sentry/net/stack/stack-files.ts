// SPDX-License-Identifier: Apache-2.0
// Files of /proc/net that tell of interfaces, addresses, routes and neighbours (proc_pid_net(5)).
import type { NetFiles, NetworkInterface } from '../../kernel/network.ts';
import type { IpAddress } from '../inet/address.ts';
import type { Neighbour } from '../ip/neighbours.ts';
import type { Route } from '../ip/route-table.ts';
import type { PacketLink } from '../link/packet-link.ts';
import { type InterfaceAddress, isLinkLocal, type NetworkStack } from './stack.ts';
import type { TakenNetwork } from './taken-network.ts';

const devHeader =
  'Inter-|   Receive                                                |  Transmit\n' +
  ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n';
const arpHeader =
  'IP address       HW type     Flags       HW address            Mask     Device\n';
const routeHeader =
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
const RTF_UP = 1;
const RTF_GATEWAY = 2;
const RTF_HOST = 4;
const RTF_REJECT = 0x200;
/** A line of /proc/net/route. */
const ROUTE_LINE = 127;

export function stackFiles(
  network: TakenNetwork,
  stack: NetworkStack,
  links: readonly PacketLink[],
): NetFiles {
  const nameOf = (index: number): string =>
    network.interfaces.find((each) => each.index === index)?.name ?? '';
  const files: Readonly<Record<string, () => string>> = {
    dev: () =>
      devHeader + network.interfaces.map((each) => devLine(each, linkOf(links, each))).join(''),
    arp: () =>
      arpHeader +
      [...stack.neighbours.all()]
        .map((each) => arpLine(each, nameOf(stack.routes.lookup(each.ip)?.linkIndex ?? 0)))
        .join(''),
    route: () =>
      `${routeHeader.padEnd(ROUTE_LINE)}\n` +
      stack.routes.routes.map((route) => routeLine(route, nameOf(route.linkIndex))).join(''),
    if_inet6: () =>
      `${'1'.padStart(32, '0')} 01 80 10 80       lo\n` +
      stack.addresses.map((each) => address6Line(each, nameOf(each.linkIndex))).join(''),
    ipv6_route: () =>
      stack.routes.routes.map((route) => route6Line(route, nameOf(route.linkIndex))).join(''),
  };
  return {
    names: Object.keys(files),
    read: (name) => (Object.hasOwn(files, name) ? files[name]?.() : undefined),
  };
}

function linkOf(links: readonly PacketLink[], { index }: NetworkInterface): PacketLink | undefined {
  return links.find((link) => link.index === index);
}

function devLine({ name }: NetworkInterface, link: PacketLink | undefined): string {
  const pad = (value: number, width: number): string => String(value).padStart(width);
  const received = `${pad(link?.receivedBytes ?? 0, 7)} ${pad(link?.receivedFrames ?? 0, 7)}    0    0    0     0          0         0`;
  const sent = `${pad(link?.sentBytes ?? 0, 8)} ${pad(link?.sentFrames ?? 0, 7)}    0 ${pad(link?.droppedFrames ?? 0, 4)}    0     0       0          0`;
  return `${name.padStart(6)}: ${received} ${sent}\n`;
}

function arpLine({ ip, address }: Neighbour, device: string): string {
  if (ip.length !== 4) return '';
  const shown = Array.from(address ?? new Uint8Array(6), hex2).join(':');
  const flags = address === undefined ? '0x0' : '0x2';
  return `${dotted(ip).padEnd(16)} 0x1         ${flags}         ${shown}     *        ${device}\n`;
}

const hex2 = (byte: number): string => byte.toString(16).padStart(2, '0');

export function dotted(ip: IpAddress): string {
  return Array.from(ip, (char) => char.charCodeAt(0)).join('.');
}

/** The address as Linux prints it: an integer of the host's. */
function word(ip: IpAddress): string {
  return Array.from(ip, (char) => hex2(char.charCodeAt(0)))
    .reverse()
    .join('')
    .toUpperCase();
}

function maskOf(prefixBits: number): IpAddress {
  return String.fromCharCode(
    ...[0, 8, 16, 24].map((from) => (0xff00 >> Math.min(8, Math.max(0, prefixBits - from))) & 0xff),
  );
}

function routeLine(route: Route, device: string): string {
  const { destination, prefixBits, gateway, metric, error } = route;
  if (destination.length !== 4) return '';
  const flags =
    RTF_UP |
    (gateway === undefined ? 0 : RTF_GATEWAY) |
    (prefixBits === 32 ? RTF_HOST : 0) |
    (error === undefined ? 0 : RTF_REJECT);
  const shown = [
    error === undefined ? device : '*',
    word(destination),
    word(gateway ?? '\0\0\0\0'),
    flags.toString(16).toUpperCase().padStart(4, '0'),
    '0',
    '0',
    String(metric),
    word(maskOf(prefixBits)),
    '0',
    '0',
    '0',
  ].join('\t');
  return `${shown.padEnd(ROUTE_LINE)}\n`;
}

const hexOf = (ip: IpAddress): string =>
  Array.from(ip, (char) => hex2(char.charCodeAt(0))).join('');

/** Scopes of IPv6 addresses as Linux has them. */
function address6Line({ ip, prefixBits, linkIndex }: InterfaceAddress, device: string): string {
  if (ip.length !== 16) return '';
  const scope = isLinkLocal(ip) ? '20' : '00';
  return `${hexOf(ip)} ${hex2(linkIndex)} ${hex2(prefixBits)} ${scope} 80 ${device.padStart(8)}\n`;
}

function route6Line(route: Route, device: string): string {
  const { destination, prefixBits, gateway, metric } = route;
  if (destination.length !== 16) return '';
  const none = '0'.repeat(32);
  const flags = (RTF_UP | (gateway === undefined ? 0 : RTF_GATEWAY)).toString(16).padStart(8, '0');
  const next = gateway === undefined ? none : hexOf(gateway);
  const shown = metric.toString(16).padStart(8, '0');
  return `${hexOf(destination)} ${hex2(prefixBits)} ${none} 00 ${next} ${shown} 00000001 00000000 ${flags} ${device.padStart(8)}\n`;
}

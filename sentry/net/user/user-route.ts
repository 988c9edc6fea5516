// SPDX-License-Identifier: Apache-2.0
// rtnetlink(7) of --network user: links, addresses and routes of lo and eth0. Nothing can be changed.
import { ENODEV, EOPNOTSUPP, EPERM } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../abi/socket.ts';
import type { NetlinkRequest } from '../../kernel/network.ts';
import { type IpAddress, isV4 } from '../inet/address.ts';
import {
  attribute,
  dump,
  errorMessage,
  joined,
  message,
  text,
  u32,
} from '../netlink/route-message.ts';
import { type Device, type DeviceAddress, eth0, lo } from './user-devices.ts';

const devices: readonly Device[] = [lo, eth0];
/** IFF_LOWER_UP comes with the flags that the ioctl shows. */
const IFF_LOWER_UP = 0x10000;
const IF_OPER_UP = 6;
const RTPROT_KERNEL = 2;
const RTPROT_BOOT = 3;
const RT_SCOPE_LINK = 253;

export function answerUserRoute(
  request: NetlinkRequest,
  portId: number,
  privileged: boolean,
): Uint8Array[] {
  const isDump = (request.flags & nl.NLM_F_DUMP) === nl.NLM_F_DUMP;
  // Every fourth type from RTM_NEWLINK + 2 on is a "get"; the others change something.
  if ((request.type & 3) !== 2 && !privileged) return [errorMessage(request, portId, EPERM)];
  const family = request.body.byteLength > 0 ? request.body.getUint8(0) : AF_UNSPEC;
  switch (request.type) {
    case nl.RTM_GETLINK:
      if (isDump) return dump(request, portId, devices.map(linkBody), nl.RTM_NEWLINK);
      return oneLink(request, portId);
    case nl.RTM_GETADDR:
      if (!isDump) return [errorMessage(request, portId, EOPNOTSUPP)];
      return dump(request, portId, addressBodies(family), nl.RTM_NEWADDR);
    case nl.RTM_GETROUTE:
      if (isDump) return dump(request, portId, routeBodies(family), nl.RTM_NEWROUTE);
      return [
        message(nl.RTM_NEWROUTE, 0, request.sequence, portId, defaultRoute(family === AF_INET6)),
      ];
    default:
      return isDump ? dump(request, portId, [], 0) : [errorMessage(request, portId, EOPNOTSUPP)];
  }
}

function oneLink(request: NetlinkRequest, portId: number): Uint8Array[] {
  const { body } = request;
  const index = body.byteLength >= nl.IFINFOMSG_BYTES ? body.getInt32(4, true) : 0;
  const name = nameIn(body);
  const device = devices.find((each) => each.index === index || each.name === name);
  if (device === undefined) return [errorMessage(request, portId, ENODEV)];
  return [message(nl.RTM_NEWLINK, 0, request.sequence, portId, linkBody(device))];
}

/** IFLA_IFNAME of the attributes. */
function nameIn(body: DataView): string {
  let at: number = nl.IFINFOMSG_BYTES;
  while (at + 4 <= body.byteLength) {
    const length = body.getUint16(at, true);
    if (length < 4 || at + length > body.byteLength) return '';
    if (body.getUint16(at + 2, true) === nl.IFLA_IFNAME) {
      let name = '';
      for (let each = at + 4; each < at + length && body.getUint8(each) !== 0; each += 1)
        name += String.fromCharCode(body.getUint8(each));
      return name;
    }
    at += Math.ceil(length / 4) * 4;
  }
  return '';
}

function linkBody(device: Device): Uint8Array {
  const info = new DataView(new ArrayBuffer(nl.IFINFOMSG_BYTES));
  info.setUint16(2, device.type, true);
  info.setInt32(4, device.index, true);
  info.setUint32(8, device.flags | IFF_LOWER_UP, true);
  return joined([
    new Uint8Array(info.buffer),
    attribute(nl.IFLA_IFNAME, text(`${device.name}\0`)),
    attribute(nl.IFLA_TXQLEN, u32(1000)),
    attribute(nl.IFLA_OPERSTATE, Uint8Array.of(device === lo ? 0 : IF_OPER_UP)),
    attribute(nl.IFLA_MTU, u32(device.mtu)),
    attribute(nl.IFLA_ADDRESS, device.hardware),
    attribute(nl.IFLA_BROADCAST, device.hardwareBroadcast),
    attribute(nl.IFLA_QDISC, text('noqueue\0')),
  ]);
}

const familyOf = (ip: IpAddress): number => (isV4(ip) ? AF_INET : AF_INET6);
const suits = (family: number, ip: IpAddress): boolean =>
  family === AF_UNSPEC || family === familyOf(ip);

function addressBodies(family: number): Uint8Array[] {
  return devices.flatMap((device) =>
    device.addresses
      .filter(({ ip }) => suits(family, ip))
      .map((address) => addressBody(device, address)),
  );
}

function addressBody(device: Device, { ip, prefix, scope }: DeviceAddress): Uint8Array {
  const family = familyOf(ip);
  const info = Uint8Array.of(family, prefix, nl.IFA_F_PERMANENT, scope, device.index, 0, 0, 0);
  const parts = [info, attribute(nl.IFA_ADDRESS, text(ip))];
  if (family === AF_INET)
    parts.push(
      attribute(nl.IFA_LOCAL, text(ip)),
      attribute(nl.IFA_LABEL, text(`${device.name}\0`)),
    );
  parts.push(attribute(nl.IFA_FLAGS, u32(nl.IFA_F_PERMANENT)));
  return joined(parts);
}

/** The default route and that of the subnet, for each family. */
function routeBodies(family: number): Uint8Array[] {
  return eth0.addresses
    .filter(({ ip }) => suits(family, ip))
    .flatMap(({ ip, prefix }) => [
      defaultRoute(!isV4(ip)),
      routeBody({ family: familyOf(ip), prefix, protocol: RTPROT_KERNEL, scope: RT_SCOPE_LINK }, [
        attribute(nl.RTA_DST, text(subnet(ip, prefix))),
        attribute(nl.RTA_PREFSRC, text(ip)),
      ]),
    ]);
}

function subnet(ip: IpAddress, prefix: number): IpAddress {
  return ip.slice(0, prefix / 8) + '\0'.repeat(ip.length - prefix / 8);
}

function defaultRoute(isV6: boolean): Uint8Array {
  const gateway = eth0.gateways.find((ip) => isV4(ip) !== isV6) ?? '';
  const family = isV6 ? AF_INET6 : AF_INET;
  return routeBody({ family, prefix: 0, protocol: RTPROT_BOOT, scope: 0 }, [
    attribute(nl.RTA_GATEWAY, text(gateway)),
  ]);
}

interface RouteHead {
  readonly family: number;
  readonly prefix: number;
  readonly protocol: number;
  readonly scope: number;
}

function routeBody(head: RouteHead, attributes: readonly Uint8Array[]): Uint8Array {
  const { family, prefix, protocol, scope } = head;
  const info = new Uint8Array(nl.RTMSG_BYTES);
  info.set([family, prefix, 0, 0, nl.RT_TABLE_MAIN, protocol, scope, nl.RTN_UNICAST]);
  return joined([
    info,
    attribute(nl.RTA_TABLE, u32(nl.RT_TABLE_MAIN)),
    ...attributes,
    attribute(nl.RTA_OIF, u32(eth0.index)),
  ]);
}

// SPDX-License-Identifier: Apache-2.0
// The devices of --network user as rtnetlink(7) and netdevice(7) tell of them: lo, and eth0 whose
// other end is the network proxy.
import { RT_SCOPE_HOST } from '../../../abi/netlink.ts';
import { PROXY_GATEWAY_V4, PROXY_GATEWAY_V6 } from '../../../protocol/proxy.ts';
import type { NetworkInterface } from '../../kernel/network.ts';
import { type IpAddress, loopbackV4, loopbackV6 } from '../inet/address.ts';
import { ipOf } from '../inet/endpoint-text.ts';
import {
  loopbackFlags,
  loopbackIndex,
  loopbackMtu,
  loopbackType,
} from '../inet/interface-ioctl.ts';
import { guestV4, guestV6 } from './user-way-out.ts';

export interface DeviceAddress {
  readonly ip: IpAddress;
  readonly prefix: number;
  /** RT_SCOPE_*. */
  readonly scope: number;
}

export interface Device {
  readonly name: string;
  readonly index: number;
  /** ARPHRD_*. */
  readonly type: number;
  /** IFF_*, as SIOCGIFFLAGS shows them. */
  readonly flags: number;
  readonly mtu: number;
  readonly hardware: Uint8Array;
  readonly hardwareBroadcast: Uint8Array;
  readonly addresses: readonly DeviceAddress[];
  readonly gateways: readonly IpAddress[];
}

const ARPHRD_ETHER = 1;
/** IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_MULTICAST. */
const ethernetFlags = 0x1043;

export const lo: Device = {
  name: 'lo',
  index: loopbackIndex,
  type: loopbackType,
  flags: loopbackFlags,
  mtu: loopbackMtu,
  hardware: new Uint8Array(6),
  hardwareBroadcast: new Uint8Array(6),
  addresses: [
    { ip: loopbackV4, prefix: 8, scope: RT_SCOPE_HOST },
    { ip: loopbackV6, prefix: 128, scope: RT_SCOPE_HOST },
  ],
  gateways: [],
};

export const eth0: Device = {
  name: 'eth0',
  index: 2,
  type: ARPHRD_ETHER,
  flags: ethernetFlags,
  mtu: 65_520,
  // A locally administered address.
  hardware: Uint8Array.of(0x02, 0, 0, 0, 0, 0x15),
  hardwareBroadcast: new Uint8Array(6).fill(0xff),
  addresses: [
    { ip: guestV4, prefix: 24, scope: 0 },
    { ip: guestV6, prefix: 64, scope: 0 },
  ],
  gateways: [ipOf(PROXY_GATEWAY_V4), ipOf(PROXY_GATEWAY_V6)],
};

/** The same for sysfs. */
export const eth0Interface: NetworkInterface = {
  name: eth0.name,
  index: eth0.index,
  type: eth0.type,
  // As sysfs has them, without IFF_RUNNING.
  flags: 0x1003,
  linkIndex: eth0.index,
  mtu: eth0.mtu,
  queueLength: 1000,
  address: '02:00:00:00:00:15',
  broadcast: 'ff:ff:ff:ff:ff:ff',
  addressBytes: 6,
  carrier: 1,
  state: 'up',
  counters: new Map(),
};

// SPDX-License-Identifier: Apache-2.0
// SIOCGIF* ioctls (netdevice(7)) of --network user: what is not about eth0 is answered as ever.
import { EFAULT, EINVAL, isErrno, type SysResult } from '../../../abi/errno.ts';
import {
  SIOCGIFADDR,
  SIOCGIFBRDADDR,
  SIOCGIFCONF,
  SIOCGIFFLAGS,
  SIOCGIFHWADDR,
  SIOCGIFINDEX,
  SIOCGIFMETRIC,
  SIOCGIFMTU,
  SIOCGIFNAME,
  SIOCGIFNETMASK,
  SIOCGIFTXQLEN,
} from '../../../abi/ioctl.ts';
import { AF_INET } from '../../../abi/socket.ts';
import { getU64 } from '../../../abi/time.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { IpAddress } from '../inet/address.ts';
import { interfaceIoctl } from '../inet/interface-ioctl.ts';
import { type Device, eth0, lo } from './user-devices.ts';

/** struct ifreq: a name of 16 bytes, then a union. */
const ifreqBytes = 40;
const unionAt = 16;

export function userInterfaceIoctl(
  command: number,
  argument: number,
  caller: Caller,
): SysResult | undefined {
  if (command === SIOCGIFCONF) return listInterfaces(argument, caller);
  if (!answers.has(command)) return interfaceIoctl(command, argument, caller);
  const view = caller.memory.view(argument, ifreqBytes);
  if (isErrno(view)) return EFAULT;
  const isOurs =
    command === SIOCGIFNAME
      ? view.getInt32(unionAt, true) === eth0.index
      : nameOf(view) === eth0.name;
  if (!isOurs) return interfaceIoctl(command, argument, caller);
  answers.get(command)?.(view);
  return caller.memory.write(argument, new Uint8Array(view.buffer, view.byteOffset, ifreqBytes));
}

const v4Of = (device: Device): IpAddress => device.addresses[0]?.ip ?? '';

const answers: ReadonlyMap<number, (view: DataView) => void> = new Map([
  [SIOCGIFNAME, (view: DataView) => setName(view, eth0.name)],
  [SIOCGIFFLAGS, (view: DataView) => view.setInt16(unionAt, eth0.flags, true)],
  [SIOCGIFADDR, (view: DataView) => setAddress(view, v4Of(eth0))],
  [SIOCGIFBRDADDR, (view: DataView) => setAddress(view, `${v4Of(eth0).slice(0, 3)}\xff`)],
  [SIOCGIFNETMASK, (view: DataView) => setAddress(view, '\xff\xff\xff\0')],
  [SIOCGIFMETRIC, (view: DataView) => view.setInt32(unionAt, 0, true)],
  [SIOCGIFMTU, (view: DataView) => view.setInt32(unionAt, eth0.mtu, true)],
  [SIOCGIFINDEX, (view: DataView) => view.setInt32(unionAt, eth0.index, true)],
  [SIOCGIFTXQLEN, (view: DataView) => view.setInt32(unionAt, 1000, true)],
  [
    SIOCGIFHWADDR,
    (view: DataView) => {
      clearUnion(view);
      view.setUint16(unionAt, eth0.type, true);
      for (const [index, byte] of eth0.hardware.entries()) view.setUint8(unionAt + 2 + index, byte);
    },
  ],
]);

/** struct ifconf: int length, pointer to an array of struct ifreq (null: tell the length needed). */
function listInterfaces(argument: number, caller: Caller): SysResult {
  const view = caller.memory.view(argument, 16);
  if (isErrno(view)) return EFAULT;
  const roomBytes = view.getInt32(0, true);
  const addr = getU64(view, 8);
  if (addr === 0) return caller.memory.writeU32(argument, 2 * ifreqBytes);
  if (roomBytes < 0) return EINVAL;
  let stored = 0;
  for (const device of [lo, eth0]) {
    if (stored + ifreqBytes > roomBytes) break;
    const entry = new DataView(new ArrayBuffer(ifreqBytes));
    setName(entry, device.name);
    setAddress(entry, v4Of(device));
    const written = caller.memory.write(addr + stored, new Uint8Array(entry.buffer));
    if (isErrno(written)) return written;
    stored += ifreqBytes;
  }
  return caller.memory.writeU32(argument, stored);
}

function nameOf(view: DataView): string {
  let name = '';
  for (let at = 0; at < unionAt && view.getUint8(at) !== 0; at += 1)
    name += String.fromCharCode(view.getUint8(at));
  return name;
}

function setName(view: DataView, name: string): void {
  for (let at = 0; at < unionAt; at += 1) view.setUint8(at, name.charCodeAt(at) || 0);
}

function setAddress(view: DataView, ip: IpAddress): void {
  clearUnion(view);
  view.setUint16(unionAt, AF_INET, true);
  for (let at = 0; at < ip.length; at += 1) view.setUint8(unionAt + 4 + at, ip.charCodeAt(at));
}

function clearUnion(view: DataView): void {
  for (let at = unionAt; at < 2 * unionAt; at += 1) view.setUint8(at, 0);
}

// SPDX-License-Identifier: Apache-2.0
// SIOCGIF* ioctls (netdevice(7)): the one interface, lo.
import { EFAULT, EINVAL, ENODEV, isErrno, type SysResult } from '../../../abi/errno.ts';
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

/** struct ifreq: a name of 16 bytes, then a union. */
const ifreqBytes = 40;
const nameBytes = 16;
export const loopbackIndex = 1;
export const loopbackMtu = 65536;
/** IFF_UP | IFF_LOOPBACK | IFF_RUNNING. */
export const loopbackFlags = 0x49;
/** ARPHRD_LOOPBACK. */
export const loopbackType = 772;

/** Answers an interface ioctl; undefined for other commands. */
export function interfaceIoctl(
  command: number,
  argument: number,
  caller: Caller,
): SysResult | undefined {
  if (command === SIOCGIFCONF) return listInterfaces(argument, caller);
  if (!answers.has(command)) return undefined;
  const view = caller.memory.view(argument, ifreqBytes);
  if (isErrno(view)) return EFAULT;
  if (command === SIOCGIFNAME) {
    if (view.getInt32(nameBytes, true) !== loopbackIndex) return ENODEV;
    setName(view, 0);
  } else {
    if (view.getUint8(0) !== 0x6c || view.getUint8(1) !== 0x6f || view.getUint8(2) !== 0)
      return ENODEV;
    answers.get(command)?.(view);
  }
  return caller.memory.write(argument, new Uint8Array(view.buffer, view.byteOffset, ifreqBytes));
}

const answers: ReadonlyMap<number, (view: DataView) => void> = new Map([
  [SIOCGIFNAME, () => undefined],
  [SIOCGIFFLAGS, (view: DataView) => view.setInt16(nameBytes, loopbackFlags, true)],
  [SIOCGIFADDR, (view: DataView) => setAddress(view, nameBytes, 0x7f000001)],
  [SIOCGIFBRDADDR, (view: DataView) => setAddress(view, nameBytes, 0)],
  [SIOCGIFNETMASK, (view: DataView) => setAddress(view, nameBytes, 0xff000000)],
  [SIOCGIFMETRIC, (view: DataView) => view.setInt32(nameBytes, 0, true)],
  [SIOCGIFMTU, (view: DataView) => view.setInt32(nameBytes, loopbackMtu, true)],
  [SIOCGIFINDEX, (view: DataView) => view.setInt32(nameBytes, loopbackIndex, true)],
  [SIOCGIFTXQLEN, (view: DataView) => view.setInt32(nameBytes, 1000, true)],
  [
    SIOCGIFHWADDR,
    (view: DataView) => {
      clear(view, nameBytes);
      view.setUint16(nameBytes, loopbackType, true);
    },
  ],
]);

/** struct ifconf: int length, pointer to an array of struct ifreq (null: tell the length needed). */
function listInterfaces(argument: number, caller: Caller): SysResult {
  const view = caller.memory.view(argument, 16);
  if (isErrno(view)) return EFAULT;
  const roomBytes = view.getInt32(0, true);
  const addr = getU64(view, 8);
  if (addr === 0) return caller.memory.writeU32(argument, ifreqBytes);
  if (roomBytes < 0) return EINVAL;
  if (roomBytes < ifreqBytes) return caller.memory.writeU32(argument, 0);
  const entry = new DataView(new ArrayBuffer(ifreqBytes));
  setName(entry, 0);
  setAddress(entry, nameBytes, 0x7f000001);
  const stored = caller.memory.write(addr, new Uint8Array(entry.buffer));
  return isErrno(stored) ? stored : caller.memory.writeU32(argument, ifreqBytes);
}

function setName(view: DataView, at: number): void {
  clear(view, at);
  view.setUint8(at, 0x6c); // l
  view.setUint8(at + 1, 0x6f); // o
}

function setAddress(view: DataView, at: number, ip: number): void {
  clear(view, at);
  view.setUint16(at, AF_INET, true);
  view.setUint32(at + 4, ip, false);
}

/** Zeroes 16 bytes. The view may be a part of a larger buffer. */
function clear(view: DataView, at: number): void {
  new Uint8Array(view.buffer, view.byteOffset + at, 16).fill(0);
}

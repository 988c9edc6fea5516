// SPDX-License-Identifier: Apache-2.0
// SIOCGIF* ioctls (netdevice(7)) of a network that was taken over.
import {
  EADDRNOTAVAIL,
  EFAULT,
  EINVAL,
  ENODEV,
  isErrno,
  type SysResult,
} from '../../../abi/errno.ts';
import * as io from '../../../abi/ioctl.ts';
import { AF_INET } from '../../../abi/socket.ts';
import { getU64 } from '../../../abi/time.ts';
import type { NetworkInterface } from '../../kernel/network.ts';
import type { Caller } from '../../vfs/caller.ts';
import { type IpAddress, loopbackV4 } from '../inet/address.ts';
import { broadcastOf } from '../ip/route-table.ts';
import type { InterfaceAddress } from './stack.ts';
import type { TakenNetwork } from './taken-network.ts';

/** struct ifreq: a name of 16 bytes, then a union. */
const ifreqBytes = 40;
const nameBytes = 16;
const ARPHRD_LOOPBACK = 772;

type Answer = (
  shown: NetworkInterface,
  own: InterfaceAddress | undefined,
  view: DataView,
) => SysResult;

export class StackIoctl {
  readonly #interfaces: readonly NetworkInterface[];
  readonly #addresses: readonly InterfaceAddress[];

  constructor(network: TakenNetwork) {
    this.#interfaces = network.interfaces;
    const loopback = network.interfaces.find(({ type }) => type === ARPHRD_LOOPBACK);
    const ofLoopback =
      loopback === undefined ? [] : [{ ip: loopbackV4, prefixBits: 8, linkIndex: loopback.index }];
    this.#addresses = [...ofLoopback, ...network.addresses.filter(({ ip }) => ip.length === 4)];
  }

  /** Answers an interface ioctl; undefined for other commands. */
  answer(command: number, argument: number, caller: Caller): SysResult | undefined {
    if (command === io.SIOCGIFCONF) return this.#list(argument, caller);
    const answer = answers.get(command);
    if (answer === undefined && command !== io.SIOCGIFNAME) return undefined;
    const view = caller.memory.view(argument, ifreqBytes);
    if (isErrno(view)) return EFAULT;
    const shown =
      command === io.SIOCGIFNAME
        ? this.#interfaces.find(({ index }) => index === view.getInt32(nameBytes, true))
        : this.#interfaces.find(({ name }) => name === nameIn(view));
    if (shown === undefined) return ENODEV;
    const own = this.#addresses.find(({ linkIndex }) => linkIndex === shown.index);
    if (answer === undefined) setName(view, shown.name);
    const answered = answer?.(shown, own, view) ?? 0;
    if (isErrno(answered)) return answered;
    return caller.memory.write(argument, new Uint8Array(view.buffer, view.byteOffset, ifreqBytes));
  }

  /** struct ifconf: int length, pointer to an array of struct ifreq (null: tell the length needed). */
  #list(argument: number, caller: Caller): SysResult {
    const view = caller.memory.view(argument, 16);
    if (isErrno(view)) return EFAULT;
    const roomBytes = view.getInt32(0, true);
    const addr = getU64(view, 8);
    const listed = this.#addresses;
    if (addr === 0) return caller.memory.writeU32(argument, listed.length * ifreqBytes);
    if (roomBytes < 0) return EINVAL;
    const count = Math.min(Math.floor(roomBytes / ifreqBytes), listed.length);
    const bytes = new Uint8Array(count * ifreqBytes);
    for (let place = 0; place < count; place += 1) {
      const own = listed[place] as InterfaceAddress;
      const entry = new DataView(bytes.buffer, place * ifreqBytes, ifreqBytes);
      setName(entry, this.#interfaces.find(({ index }) => index === own.linkIndex)?.name ?? '');
      setAddress(entry, own.ip);
    }
    const stored = count === 0 ? 0 : caller.memory.write(addr, bytes);
    return isErrno(stored) ? stored : caller.memory.writeU32(argument, bytes.length);
  }
}

const answers: ReadonlyMap<number, Answer> = new Map<number, Answer>([
  [io.SIOCGIFFLAGS, ({ flags }, _own, view) => put16(view, flags)],
  [io.SIOCGIFADDR, (_shown, own, view) => putAddress(view, own?.ip)],
  [
    io.SIOCGIFBRDADDR,
    ({ type }, own, view) =>
      putAddress(
        view,
        own === undefined
          ? undefined
          : type === ARPHRD_LOOPBACK
            ? '\0\0\0\0'
            : broadcastOf(own.ip, own.prefixBits),
      ),
  ],
  [
    io.SIOCGIFNETMASK,
    (_shown, own, view) => putAddress(view, own === undefined ? undefined : maskOf(own.prefixBits)),
  ],
  [io.SIOCGIFMETRIC, (_shown, _own, view) => put32(view, 0)],
  [io.SIOCGIFMTU, ({ mtu }, _own, view) => put32(view, mtu)],
  [io.SIOCGIFINDEX, ({ index }, _own, view) => put32(view, index)],
  [io.SIOCGIFTXQLEN, ({ queueLength }, _own, view) => put32(view, queueLength)],
  [
    io.SIOCGIFHWADDR,
    ({ type, address }, _own, view) => {
      clear(view, nameBytes);
      view.setUint16(nameBytes, type, true);
      address.split(':').forEach((byte, at) => {
        view.setUint8(nameBytes + 2 + at, Number.parseInt(byte, 16) || 0);
      });
      return 0;
    },
  ],
]);

function put16(view: DataView, value: number): SysResult {
  view.setInt16(nameBytes, value & 0xffff, true);
  return 0;
}

function put32(view: DataView, value: number): SysResult {
  view.setInt32(nameBytes, value, true);
  return 0;
}

function putAddress(view: DataView, ip: IpAddress | undefined): SysResult {
  if (ip === undefined) return EADDRNOTAVAIL;
  setAddress(view, ip);
  return 0;
}

function setAddress(view: DataView, ip: IpAddress): void {
  clear(view, nameBytes);
  view.setUint16(nameBytes, AF_INET, true);
  for (let at = 0; at < 4; at += 1) view.setUint8(nameBytes + 4 + at, ip.charCodeAt(at));
}

function maskOf(prefixBits: number): IpAddress {
  const bits = (from: number): number => Math.min(8, Math.max(0, prefixBits - from));
  return String.fromCharCode(...[0, 8, 16, 24].map((from) => (0xff00 >> bits(from)) & 0xff));
}

function nameIn(view: DataView): string {
  let name = '';
  for (let at = 0; at < nameBytes && view.getUint8(at) !== 0; at += 1)
    name += String.fromCharCode(view.getUint8(at));
  return name;
}

function setName(view: DataView, name: string): void {
  clear(view, 0);
  for (let at = 0; at < Math.min(name.length, nameBytes - 1); at += 1)
    view.setUint8(at, name.charCodeAt(at));
}

/** Zeroes 16 bytes. The view may be a part of a larger buffer. */
function clear(view: DataView, at: number): void {
  new Uint8Array(view.buffer, view.byteOffset + at, 16).fill(0);
}

// SPDX-License-Identifier: Apache-2.0
// ioctl(2) on host sockets (socket(7), tcp(7), udp(7), netdevice(7)): what asks. Nothing is changed this way.
import {
  EFAULT,
  EINVAL,
  ENOTTY,
  EOPNOTSUPP,
  EPERM,
  isErrno,
  type SysResult,
} from '../../../abi/errno.ts';
import * as io from '../../../abi/ioctl.ts';
import { getU64 } from '../../../abi/time.ts';
import { native } from '../../../native/addon.ts';
import type { Caller } from '../../vfs/caller.ts';
import { interfaceRequests, intRequests, stampRequests } from './option-table.ts';

/** struct ifreq. */
const ifreqBytes = 40;
const mostListedBytes = 1024 * ifreqBytes;
/**
 * The first and the last of the ioctls that set something of an interface, and what lies between
 * them and asks.
 */
const firstOfInterfaces = 0x8910;
const lastOfInterfaces = 0x89ff;

export function socketIoctl(
  hostFd: number,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  if (intRequests.includes(command)) return ask(hostFd, command, argument, 4, caller);
  if (stampRequests.includes(command >>> 0)) return ask(hostFd, command, argument, 16, caller);
  return hostInterfaceIoctl(hostFd, command, argument, caller) ?? ENOTTY;
}

/** Answers an interface ioctl through any IPv4 socket; undefined for other commands. */
export function hostInterfaceIoctl(
  hostFd: number,
  command: number,
  argument: number,
  caller: Caller,
): SysResult | undefined {
  if (command === io.SIOCGIFCONF) return listInterfaces(hostFd, argument, caller);
  // As from a driver that has nothing to tell.
  if (command === io.SIOCETHTOOL) return EOPNOTSUPP;
  if (!interfaceRequests.includes(command)) {
    const isOfInterfaces = command >= firstOfInterfaces && command <= lastOfInterfaces;
    return isOfInterfaces ? EPERM : undefined;
  }
  const view = caller.memory.view(argument, ifreqBytes);
  if (isErrno(view)) return EFAULT;
  const request = new Uint8Array(view.buffer, view.byteOffset, ifreqBytes);
  const asked = native.socketIoctl(hostFd, command, request);
  return isErrno(asked) ? asked : caller.memory.write(argument, request);
}

function ask(
  hostFd: number,
  command: number,
  argument: number,
  answerBytes: number,
  caller: Caller,
): SysResult {
  const answer = new Uint8Array(ifreqBytes);
  const asked = native.socketIoctl(hostFd, command, answer);
  return isErrno(asked) ? asked : caller.memory.write(argument, answer.subarray(0, answerBytes));
}

/** struct ifconf: int length, pointer to an array of struct ifreq (null: tell the length needed). */
function listInterfaces(hostFd: number, argument: number, caller: Caller): SysResult {
  const view = caller.memory.view(argument, 16);
  if (isErrno(view)) return EFAULT;
  const roomBytes = view.getInt32(0, true);
  const addr = getU64(view, 8);
  if (addr !== 0 && roomBytes < 0) return EINVAL;
  const list = new Uint8Array(mostListedBytes);
  const listedBytes = native.interfaceList(hostFd, list);
  if (isErrno(listedBytes)) return listedBytes;
  if (addr === 0) return caller.memory.writeU32(argument, listedBytes);
  const fits = Math.min(listedBytes, Math.floor(roomBytes / ifreqBytes) * ifreqBytes);
  const stored = fits === 0 ? 0 : caller.memory.write(addr, list.subarray(0, fits));
  return isErrno(stored) ? stored : caller.memory.writeU32(argument, fits);
}

// SPDX-License-Identifier: Apache-2.0
// Options of level SOL_SOCKET (socket(7)) that are a number and little more: what an untouched socket has,
// and which values Linux takes.
import { EINVAL, ENODEV, ENOENT, EPERM, type SysResult } from '../../abi/errno.ts';
import * as so from '../../abi/socket.ts';
import { loopbackIndex } from './inet/interface-ioctl.ts';
import type { SocketOptions } from './socket-options.ts';

interface CommonRule {
  readonly initial: number;
  readonly least: number;
  readonly most: number;
  /** Every value but 0 counts as 1. */
  readonly isFlag?: boolean;
  /** More than before needs CAP_NET_ADMIN. */
  readonly isPrivileged?: boolean;
}

const MAX = 0x7fff_ffff;
const MIN = -0x8000_0000;
const flag: CommonRule = { initial: 0, least: MIN, most: MAX, isFlag: true };
const fromZero: CommonRule = { initial: 0, least: 0, most: MAX };
const zeroOrOne: CommonRule = { initial: 0, least: 0, most: 1 };
/** The bits that SO_TIMESTAMPING knows. */
const stampingBits = 0x7ffff;

const rules: ReadonlyMap<number, CommonRule> = new Map([
  [so.SO_PEEK_OFF, { initial: -1, least: MIN, most: MAX }],
  [so.SO_RXQ_OVFL, flag],
  [so.SO_SELECT_ERR_QUEUE, flag],
  [so.SO_WIFI_STATUS, flag],
  [so.SO_NOFCS, flag],
  [so.SO_RCVMARK, flag],
  [so.SO_LOCK_FILTER, flag],
  [so.SO_ZEROCOPY, zeroOrOne],
  [so.SO_BUSY_POLL, { ...fromZero, isPrivileged: true }],
  [so.SO_PREFER_BUSY_POLL, { ...flag, isPrivileged: true }],
  [so.SO_BUSY_POLL_BUDGET, { initial: 8, least: 0, most: 65_535, isPrivileged: true }],
  [so.SO_INCOMING_CPU, { initial: -1, least: MIN, most: MAX }],
  [so.SO_BUF_LOCK, { initial: 0, least: 0, most: 3 }],
  [so.SO_TXREHASH, { initial: 1, least: -1, most: 1 }],
  [so.SO_TIMESTAMPING, { initial: 0, least: 0, most: stampingBits }],
  [so.SO_TIMESTAMPING_NEW, { initial: 0, least: 0, most: stampingBits }],
]);

/** The options with which a receiver asks for the time of arrival; at most one of them is on. */
const stamps: readonly number[] = [
  so.SO_TIMESTAMP,
  so.SO_TIMESTAMPNS,
  so.SO_TIMESTAMP_NEW,
  so.SO_TIMESTAMPNS_NEW,
];

/** Sets an option of this file; undefined for all others. */
export function setCommonNumber(
  options: SocketOptions,
  name: number,
  number: number,
  isPrivileged: boolean,
): SysResult | undefined {
  if (stamps.includes(name)) {
    options.stamp = number === 0 ? 0 : name;
    return 0;
  }
  if (name === so.SO_BINDTOIFINDEX) {
    if (number < 0) return EINVAL;
    if (number > loopbackIndex) return ENODEV;
    options.boundDevice = number === 0 ? '' : 'lo';
    return 0;
  }
  if (name === so.SO_DETACH_FILTER) {
    if (options.number(so.SO_LOCK_FILTER, 0) !== 0) return EPERM;
    if (options.filter === undefined) return ENOENT;
    options.filter = undefined;
    return 0;
  }
  const rule = rules.get(name);
  if (rule === undefined) return undefined;
  if (number < rule.least || number > rule.most) return EINVAL;
  const value = rule.isFlag === true && number !== 0 ? 1 : number;
  const old = options.number(name, rule.initial);
  if (rule.isPrivileged === true && value > old && !isPrivileged) return EPERM;
  // A lock stays.
  if (name === so.SO_LOCK_FILTER && old === 1 && value === 0) return EPERM;
  options.setNumber(name, value);
  return 0;
}

/** The value of an option of this file; undefined for all others. */
export function getCommonNumber(options: SocketOptions, name: number): number | undefined {
  if (stamps.includes(name)) return options.stamp === name ? 1 : 0;
  if (name === so.SO_BINDTOIFINDEX) return options.boundDevice === '' ? 0 : loopbackIndex;
  const rule = rules.get(name);
  return rule === undefined ? undefined : options.number(name, rule.initial);
}

/** SO_BINDTODEVICE: a name of an interface, or none. */
export function bindToDevice(
  options: SocketOptions,
  bytes: Uint8Array,
  isPrivileged: boolean,
): SysResult {
  const end = bytes.indexOf(0);
  const name = String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end).slice(0, 15));
  if (options.boundDevice !== '' && !isPrivileged) return EPERM;
  if (name !== '' && name !== 'lo') return ENODEV;
  options.boundDevice = name;
  return 0;
}

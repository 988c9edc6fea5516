// SPDX-License-Identifier: Apache-2.0
// The devices cgroup (v1). The processes in it are runts' own: which devices a guest may make and
// open is the Sentry's to decide. Still, what the container may not have, its host processes need
// not have either, but for the few devices that they themselves open while they start.
// cgroup-v1/devices.rst
// Differs from runc: on v2, where rules are a BPF program, nothing is installed.
import type { DeviceRule } from '../spec/types.ts';
import { type ControlFiles, isErrnoOf } from './control-files.ts';

const ownDevices: readonly string[] = [
  'c *:* m',
  'b *:* m',
  'c 1:3 rwm', // null
  'c 1:5 rwm', // zero
  'c 1:7 rwm', // full
  'c 1:8 rwm', // random
  'c 1:9 rwm', // urandom
  'c 5:0 rwm', // tty
  'c 5:1 rwm', // console
  'c 5:2 rwm', // ptmx
  'c 136:* rwm', // pts
  'c 10:200 rwm', // net/tun
  'c 10:232 rwm', // kvm
];

export function writeDeviceRules(files: ControlFiles, rules: readonly DeviceRule[]): void {
  // What comes before the last "deny all" (or "allow all") has no effect.
  const start = rules.findLastIndex(isForAll);
  const whole = rules[start];
  if (whole === undefined || whole.allow) return;
  write(files, 'devices.deny', 'a');
  for (const rule of ownDevices) write(files, 'devices.allow', rule);
  for (const rule of rules.slice(start + 1)) {
    const takesOurs = !rule.allow && ownDevices.some((own) => overlaps(own, rule));
    if (!takesOurs) write(files, rule.allow ? 'devices.allow' : 'devices.deny', format(rule));
  }
}

function isForAll({ type = 'a', major = -1, minor = -1, access = '' }: DeviceRule): boolean {
  const isEveryAccess = access === '' || ['r', 'w', 'm'].every((letter) => access.includes(letter));
  return type === 'a' && major === -1 && minor === -1 && isEveryAccess;
}

/** 'c 1:3 rwm' */
function format({ type = 'a', major = -1, minor = -1, access }: DeviceRule): string {
  const rights = access === undefined || access === '' ? 'rwm' : access;
  return `${type} ${star(major)}:${star(minor)} ${rights}`;
}

function overlaps(own: string, { type = 'a', major = -1, minor = -1 }: DeviceRule): boolean {
  const [kind, numbers = ''] = own.split(' ');
  const [ownMajor = '', ownMinor = ''] = numbers.split(':');
  if (ownMajor === '*') return false;
  return (
    (type === 'a' || type === kind) &&
    (major === -1 || String(major) === ownMajor) &&
    (minor === -1 || ownMinor === '*' || String(minor) === ownMinor)
  );
}

function star(number: number): string {
  return number === -1 ? '*' : String(number);
}

/** Nested in a container that has not got a device itself, there is nothing to allow (EPERM). */
function write(files: ControlFiles, file: string, value: string): void {
  try {
    files.write(file, value);
  } catch (error) {
    if (!isErrnoOf(error, 'EPERM', 'EACCES')) throw error;
  }
}

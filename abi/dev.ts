// SPDX-License-Identifier: Apache-2.0
// Fixed device numbers (Documentation/admin-guide/devices.txt). Their encoding is in stat.ts.
import { deviceMajor, deviceMinor } from './stat.ts';

/** 'major:minor', as in /proc/PID/mountinfo. */
export function deviceText(dev: number): string {
  return `${deviceMajor(dev)}:${deviceMinor(dev)}`;
}

/** A device number as Linux keeps it inside (MKDEV), and shows it in /proc/PID/fdinfo. */
export function kernelDevice(dev: number): number {
  return deviceMajor(dev) * 0x10_0000 + deviceMinor(dev);
}

export const MEM_MAJOR = 1;
export const MEM_MINOR_NULL = 3;
export const MEM_MINOR_ZERO = 5;
export const MEM_MINOR_FULL = 7;
export const MEM_MINOR_RANDOM = 8;
export const MEM_MINOR_URANDOM = 9;

export const TTYAUX_MAJOR = 5;
export const TTYAUX_MINOR_TTY = 0;
export const TTYAUX_MINOR_CONSOLE = 1;
export const TTYAUX_MINOR_PTMX = 2;

export const UNIX98_PTY_MASTER_MAJOR = 128;
export const UNIX98_PTY_SLAVE_MAJOR = 136;

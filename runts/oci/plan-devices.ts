// SPDX-License-Identifier: Apache-2.0
// linux.devices: nodes in the container's /dev beside the ones that every container has. What is
// behind a number is the Sentry's own (sentry/fs/dev/devices.ts) or nothing: no device of the host
// is opened.
import { isAbsolute, normalize } from 'node:path';
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../../abi/stat.ts';
import type { DeviceConfig } from '../../protocol/boot-config.ts';
import { toByteString } from '../byte-string.ts';
import { Failure } from '../failure.ts';
import type { Device } from './spec/types.ts';

const kinds = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO } as const;
/** The largest major and minor number of a 32-bit dev_t. */
const [maxMajor, maxMinor] = [0xfff, 0xf_ffff];

export function planDevices(devices: readonly Device[]): DeviceConfig[] {
  return devices.map((device, index) => planDevice(device, `linux.devices[${index}]`));
}

function planDevice(device: Device, where: string): DeviceConfig {
  const { path, type } = device;
  if (!isAbsolute(path) || path.includes('\0'))
    throw new Failure('RUNTS_E_CONFIG_DEVICE', `${where}.path: '${path}' is not absolute`);
  const isPipe = type === 'p';
  const [major, minor] = isPipe ? [0, 0] : [device.major, device.minor];
  if (major < 0 || major > maxMajor || minor < 0 || minor > maxMinor)
    throw new Failure(
      'RUNTS_E_CONFIG_DEVICE',
      `${where} (${path}): there is no device ${major}:${minor}`,
    );
  return {
    path: toByteString(normalize(path)),
    mode: kinds[type] | ((device.fileMode ?? 0o666) & 0o7777),
    major,
    minor,
    uid: device.uid ?? 0,
    gid: device.gid ?? 0,
  };
}

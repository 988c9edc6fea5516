// SPDX-License-Identifier: Apache-2.0
// `--network host`: joins the guest to the network that this process is in, before it is confined.
import { readFileSync } from 'node:fs';
import { isErrno } from '../../abi/errno.ts';
import { O_RDONLY, RESOLVE_BENEATH } from '../../abi/fcntl.ts';
import { sysctlRules } from '../../abi/sysctl.ts';
import { native } from '../../native/addon.ts';
import { launcherArgument } from '../../native/roles.ts';
import { SENTRY_BROKER, SENTRY_NET_SETTINGS } from '../../protocol/descriptors.ts';
import type { Clock } from '../base/clock.ts';
import type { Settings } from '../base/settings.ts';
import type { Network } from '../kernel/network.ts';
import { openHostNetwork } from '../net/host-inet/host-network.ts';
import { HostSockets } from '../net/host-inet/host-sockets.ts';
import { NetworkBroker } from '../net/host-inet/network-broker.ts';
import type { Platform } from '../platform/platform.ts';
import { BootFailure } from './boot-failure.ts';

/** Guests' sockets take at most this part of the descriptors that this process may have. */
const socketsPart = 0.5;
/** No setting is longer. */
const mostSettingBytes = 4096;

/**
 * `settings` takes what holds on the host: what every container sees, and the `keys` that this one
 * was started with.
 */
export function joinHostNetwork(
  platform: Platform,
  clock: Clock,
  settings: Settings,
  keys: readonly string[],
): Network {
  takeSettings(settings, keys);
  const most = Math.floor(descriptorLimit() * socketsPart);
  const sockets = new HostSockets(platform, clock, most, new NetworkBroker(SENTRY_BROKER));
  const network = openHostNetwork(sockets);
  if (isErrno(network)) throw new BootFailure(`--network host: errno ${-network}`);
  return network;
}

/**
 * The guest sees what holds on the host, where the launcher's side wrote what linux.sysctl says
 * (container.c).
 */
function takeSettings(settings: Settings, more: readonly string[]): void {
  const known = Object.keys(sysctlRules).filter((key) => key.startsWith('net.'));
  const others = ['net.ipv4.tcp_available_congestion_control'];
  const buffer = Buffer.alloc(mostSettingBytes);
  for (const key of new Set([...known, ...others, ...more])) {
    settings.take(key, readSetting(key, buffer));
  }
  native.close(SENTRY_NET_SETTINGS);
  // Group ids read differently in each user namespace: the launcher's counts (native/launcher/launcher.h).
  const groups = launcherArgument();
  settings.take('net.ipv4.ping_group_range', /^\d+\t\d+$/.test(groups) ? groups : '1\t0');
}

function readSetting(key: string, buffer: Buffer): string | undefined {
  const path = key
    .split('.')
    .slice(1)
    .map((name) => name.replaceAll('/', '.'))
    .join('/');
  const fd = native.openat2(SENTRY_NET_SETTINGS, path, O_RDONLY, 0, RESOLVE_BENEATH);
  if (isErrno(fd)) return undefined;
  const count = native.pread(fd, buffer, 0, buffer.length, 0);
  native.close(fd);
  return isErrno(count) ? undefined : buffer.toString('latin1', 0, count).replace(/\n$/, '');
}

function descriptorLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}

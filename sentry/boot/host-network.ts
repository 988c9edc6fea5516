// `--network host`: joins the guest to the network that this process is in, before it is confined.
import { readFileSync } from 'node:fs';
import { launcherArgument } from '../../native/roles.ts';
import type { Clock } from '../base/clock.ts';
import { settings } from '../base/settings.ts';
import { useHostNetwork } from '../net/host-inet/host-network.ts';
import { HostSockets } from '../net/host-inet/host-sockets.ts';
import type { Platform } from '../platform/platform.ts';
import { BootFailure } from './boot-failure.ts';

/** Guests' sockets take at most this part of the descriptors that this process may have. */
const socketsPart = 0.5;

export function joinHostNetwork(platform: Platform, clock: Clock): void {
  takeSettings(launcherArgument());
  const most = Math.floor(descriptorLimit() * socketsPart);
  const joined = useHostNetwork(new HostSockets(platform, clock, most));
  if (joined < 0) throw new BootFailure(`--network host: errno ${-joined}`);
}

/** What holds on the host holds for guests, where linux.sysctl says nothing else: native/launcher/network.c. */
function takeSettings(said: string): void {
  const [, port, first, last] = /^(\d+)\s+(\d+)\s+(\d+)$/.exec(said) ?? [];
  if (port === undefined) return;
  settings.set('net.ipv4.ip_unprivileged_port_start', port);
  settings.set('net.ipv4.ping_group_range', `${first} ${last}`);
}

function descriptorLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}

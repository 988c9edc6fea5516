// SPDX-License-Identifier: Apache-2.0
// `--network user`: a network of the sandbox's own with a way out by the network proxy. And what a
// sandbox without a network tells its user when the guest wants one.
import type { SandboxConfig } from '../../protocol/boot-config.ts';
import { SENTRY_PROXY } from '../../protocol/descriptors.ts';
import type { MemoryAccount } from '../base/memory-account.ts';
import type { Settings } from '../base/settings.ts';
import type { Network } from '../kernel/network.ts';
import { formatEndpoint } from '../net/inet/endpoint-text.ts';
import { newLoopbackNetwork } from '../net/inet/loopback-network.ts';
import { noWayOut } from '../net/inet/way-out.ts';
import { newUserNetwork } from '../net/user/user-network.ts';
import { UserWayOut } from '../net/user/user-way-out.ts';
import type { Platform } from '../platform/platform.ts';

/** A network, and what it has to tell at the end. */
export interface ToldNetwork {
  readonly network: Network;
  readonly lastWords: () => readonly string[];
}

export function joinUserNetwork(
  platform: Platform,
  memory: MemoryAccount,
  settings: Settings,
  { published }: SandboxConfig,
): ToldNetwork {
  // Everybody may ping: whether the host lets the proxy is seen when it does.
  settings.set('net.ipv4.ping_group_range', '0\t2147483647');
  const wayOut = new UserWayOut(SENTRY_PROXY, platform, memory, published ?? []);
  return { network: newUserNetwork(wayOut), lastWords: () => wayOut.denials.lines() };
}

/** Tells once how the guest could get where it wants. */
export function closedNetwork(tell: (text: string) => void): ToldNetwork {
  let isTold = false;
  const wayOut = noWayOut((to) => {
    if (isTold) return;
    isTold = true;
    tell(
      `network: ${formatEndpoint(to)} cannot be reached, the sandbox has no network; --network user gives it one`,
    );
  });
  return { network: newLoopbackNetwork(wayOut), lastWords: () => [] };
}

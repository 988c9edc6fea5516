// SPDX-License-Identifier: Apache-2.0
// A container's network namespace on the host, and with the network `host` what its guests may do in it.
import { CAP_NET_BIND_SERVICE, CAP_NET_RAW } from '../../abi/capability.ts';
import type { CapabilityConfig } from '../../protocol/boot-config.ts';
import type { LauncherValues } from '../../protocol/launcher-options.ts';
import { Failure } from '../failure.ts';
import type { NetworkKind } from './annotations.ts';
import type { Spec } from './spec/types.ts';

export interface NetworkPlan {
  readonly kind: NetworkKind;
  /** The namespace to be in: 'new', a path, or undefined for the caller's. */
  readonly namespace: string | undefined;
  /** Bits: which the broker (native/launcher/broker.c) is to have for the guests. */
  readonly capabilities: number;
  /**
   * net.* of linux.sysctl that are written to the namespace: by keys with dots, where a slash is a
   * dot of a name.
   */
  readonly settings: Readonly<Record<string, string>>;
}

const brokered = (1 << CAP_NET_RAW) | (1 << CAP_NET_BIND_SERVICE);

export function planNetwork(
  { linux }: Pick<Spec, 'linux'>,
  kind: NetworkKind,
  capabilities: CapabilityConfig,
  settings: Readonly<Record<string, string>>,
): NetworkPlan {
  const found = linux?.namespaces?.find(({ type }) => type === 'network');
  const namespace = found === undefined ? undefined : (found.path ?? 'new');
  if (namespace === 'new' && process.geteuid?.() !== 0) return planWithoutRights(kind);
  const { bounding, permitted } = capabilities;
  // Capabilities in a user namespace count in network namespaces that were made in it, and in no other.
  const hasUsers = (linux?.uidMappings?.length ?? 0) > 0;
  const counts = kind === 'host' && (!hasUsers || namespace === 'new');
  return {
    kind,
    namespace,
    capabilities: counts ? (bounding.lo | permitted.lo) & brokered : 0,
    settings: kind === 'host' ? settings : {},
  };
}

/**
 * An ordinary user cannot make a network namespace for the front. Where guests have no sockets of
 * the host, none is needed: the Sentry's own is empty either way. Where they have, they would get
 * the caller's network for the one of their own that they asked for.
 */
function planWithoutRights(kind: NetworkKind): NetworkPlan {
  if (kind === 'host')
    throw new Failure(
      'RUNTS_E_CONFIG_NAMESPACE',
      'linux.namespaces: an ordinary user cannot make a network namespace for network host: start runts as root of a user namespace, as Podman does, or leave the namespace out',
    );
  return { kind, namespace: undefined, capabilities: 0, settings: {} };
}

/** For the launcher. */
export function networkOptions(plan: NetworkPlan): LauncherValues {
  return {
    'network-namespace': plan.namespace,
    'network-capabilities': plan.capabilities === 0 ? undefined : plan.capabilities,
    'network-setting': Object.entries(plan.settings).map(
      ([key, value]) => `${pathOf(key)}=${value}`,
    ),
  };
}

/** Below /proc/sys. */
function pathOf(key: string): string {
  return key
    .split('.')
    .map((name) => name.replaceAll('/', '.'))
    .join('/');
}

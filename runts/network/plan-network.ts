// SPDX-License-Identifier: Apache-2.0
// The network of `runts do`: what its options ask for, and the configuration of the network proxy.
import { isErrno } from '../../abi/errno.ts';
import { MS_RELATIME } from '../../abi/fs.ts';
import { SOCK_SEQPACKET } from '../../abi/socket.ts';
import { native } from '../../native/addon.ts';
import type { MountConfig, PublishedPort } from '../../protocol/boot-config.ts';
import { encodeProxySetup } from '../../protocol/proxy.ts';
import { toByteString } from '../byte-string.ts';
import { Failure } from '../failure.ts';
import { parseSize } from '../quantities.ts';
import { openPublished, parsePublications } from './publish.ts';
import { readResolver } from './resolv-conf.ts';
import { parseRules } from './rules.ts';

/** The options about it, in commander's form. */
export interface NetworkOptions {
  readonly network: string;
  readonly publish: readonly string[];
  readonly allowNet: readonly string[];
  readonly denyNet: readonly string[];
  readonly netRate?: string;
}

export interface NetworkPlan {
  readonly network: 'none' | 'host' | 'user' | 'sandbox';
  readonly published: readonly PublishedPort[];
  /** Over what the guest's root has. */
  readonly mounts: readonly MountConfig[];
  /** A socket with the proxy's configuration. */
  readonly proxyFd: number | undefined;
}

const kinds = ['none', 'host', 'user', 'sandbox'] as const;
const mostRateBytes = 0xffff_ffff;

export function planNetwork(options: NetworkOptions): NetworkPlan {
  const network = kinds.find((kind) => kind === options.network);
  if (network === undefined)
    throw new Failure(
      'RUNTS_E_NOT_SUPPORTED',
      `--network: '${options.network}' is not supported yet; use none, user, sandbox or host`,
    );
  if (network === 'user') return planUserNetwork(options);
  const given = Object.entries({
    '--publish': options.publish,
    '--allow-net': options.allowNet,
    '--deny-net': options.denyNet,
    '--net-rate': options.netRate === undefined ? [] : [options.netRate],
  }).find(([, values]) => values.length > 0);
  if (given !== undefined) throw new Failure('RUNTS_E_USAGE', `${given[0]} wants --network user`);
  return { network, published: [], mounts: [], proxyFd: undefined };
}

function planUserNetwork(options: NetworkOptions): NetworkPlan {
  const rules = parseRules(options.allowNet, options.denyNet);
  const published = parsePublications(options.publish);
  const resolver = readResolver();
  const rateBytes =
    options.netRate === undefined
      ? 0
      : Math.min(mostRateBytes, parseSize(options.netRate, '--net-rate'));
  const setup = encodeProxySetup({ rules, servers: resolver.servers, published, rateBytes });
  return {
    network: 'user',
    published: published.map(({ udp, port }) => ({ udp, port })),
    mounts: [
      {
        kind: 'text',
        target: '/etc/resolv.conf',
        flags: MS_RELATIME,
        source: 'runts',
        data: '',
        text: toByteString(resolver.text),
      },
    ],
    proxyFd: sendSetup(setup, published.map(openPublished)),
  };
}

/** The end of a socket pair in which the configuration waits for the proxy. */
function sendSetup(setup: Uint8Array, listening: readonly number[]): number {
  const pair = new Int32Array(2);
  const made = native.socketpair(SOCK_SEQPACKET, pair);
  const [near = -1, far = -1] = pair;
  const fds = Int32Array.from(listening);
  const sent = isErrno(made)
    ? made
    : native.sendMessage(near, setup, setup.length, fds, fds.length, 0);
  if (isErrno(sent)) throw new Failure('RUNTS_E_DESCRIPTOR', `--network user: errno ${-sent}`);
  native.close(near);
  for (const fd of listening) native.close(fd);
  return far;
}

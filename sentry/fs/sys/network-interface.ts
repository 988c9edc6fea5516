// SPDX-License-Identifier: Apache-2.0
// /sys/class/net and /sys/devices/virtual/net (sysfs-class-net of the kernel's documentation). The
// interfaces are those that the network tells.
import { EINVAL, type Result } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetworkInterface } from '../../kernel/network.ts';
import type { Node } from '../../vfs/node.ts';
import { type Computed, directory } from '../pseudo/directory.ts';
import type { Entries, Entry } from '../pseudo/entry.ts';
import { link } from '../pseudo/links.ts';
import type { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { textFile } from '../pseudo/text-file.ts';

/** The flags that the file shows are those that can be set, which are the lower ones. */
const shownFlags = 0xffff;
const IFF_RUNNING = 0x40;

/**
 * A file that shows `render` of the interface `name`; EINVAL once there is no such interface
 * (netdev_show).
 */
function attribute(
  name: string,
  render: (shown: NetworkInterface) => string | number,
): Entry<Kernel> {
  const text = (kernel: Kernel): Result<string> => {
    const shown = interfaceNamed(kernel, name);
    return shown === undefined ? EINVAL : `${render(shown)}\n`;
  };
  return textFile<Kernel>(0o444, text, { sizeBytes: PAGE_SIZE });
}

function interfaceNamed({ network }: Kernel, name: string): NetworkInterface | undefined {
  return network.interfaces().find((shown) => shown.name === name);
}

const counterNames = [
  'collisions',
  'multicast',
  'rx_bytes',
  'rx_dropped',
  'rx_errors',
  'rx_packets',
  'tx_bytes',
  'tx_dropped',
  'tx_errors',
  'tx_packets',
];

function device(name: string): Entry<Kernel> {
  const counters: Record<string, Entry<Kernel>> = {};
  for (const counter of counterNames) {
    counters[counter] = attribute(name, (shown) => shown.counters.get(counter) ?? 0);
  }
  const entries: Entries<Kernel> = {
    addr_assign_type: attribute(name, () => 0),
    addr_len: attribute(name, (shown) => shown.addressBytes),
    address: attribute(name, (shown) => shown.address),
    broadcast: attribute(name, (shown) => shown.broadcast),
    carrier: attribute(name, (shown) => shown.carrier),
    dormant: attribute(name, () => 0),
    flags: attribute(name, ({ flags }) => `0x${(flags & shownFlags & ~IFF_RUNNING).toString(16)}`),
    ifindex: attribute(name, (shown) => shown.index),
    iflink: attribute(name, (shown) => shown.linkIndex),
    mtu: attribute(name, (shown) => shown.mtu),
    operstate: attribute(name, (shown) => shown.state),
    statistics: directory<Kernel>(counters),
    tx_queue_len: attribute(name, (shown) => shown.queueLength),
    type: attribute(name, (shown) => shown.type),
  };
  return directory<Kernel>(entries);
}

/** One entry for each interface there is; a node lives as long as the interface keeps its name and number. */
function eachInterface(entryOf: (name: string) => Entry<Kernel>): Computed<Kernel> {
  const nodes = new Map<string, { readonly index: number; readonly node: Node }>();
  return {
    list: ({ network }) =>
      network
        .interfaces()
        .map(({ name, index }) => ({ name, key: index }))
        .sort((left, right) => left.key - right.key),
    lookup: (filesystem: PseudoFileSystem, kernel: Kernel, name: string) => {
      const shown = interfaceNamed(kernel, name);
      if (shown === undefined) {
        nodes.delete(name);
        return undefined;
      }
      const known = nodes.get(name);
      if (known?.index === shown.index) return known.node;
      const node = entryOf(name)(filesystem, kernel);
      nodes.set(name, { index: shown.index, node });
      return node;
    },
  };
}

/** A new one for each instance of sysfs. */
export const newClassNetDirectory = (): Entry<Kernel> =>
  directory<Kernel>(
    {},
    { computed: eachInterface((name) => link(() => `../../devices/virtual/net/${name}`)) },
  );

export const newNetDevicesDirectory = (): Entry<Kernel> =>
  directory<Kernel>(
    {},
    {
      computed: {
        ...eachInterface(device),
        directoryCount: ({ network }) => network.interfaces().length,
      },
    },
  );

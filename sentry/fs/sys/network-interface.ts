// /sys/class/net and /sys/devices/virtual/net (sysfs-class-net of the kernel's documentation). The interfaces are those
// that the network tells: without one, the loopback device of the sandbox's own.
import { PAGE_SIZE } from '../../../abi/page.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Node } from '../../vfs/node.ts';
import { type Computed, directory } from '../pseudo/directory.ts';
import type { Entries, Entry } from '../pseudo/entry.ts';
import { link } from '../pseudo/links.ts';
import type { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { textFile } from '../pseudo/text-file.ts';

export interface NetworkInterface {
  readonly name: string;
  readonly index: number;
  /** ARPHRD_*. */
  readonly type: number;
  /** IFF_*. */
  readonly flags: number;
  /** IFLA_LINK: the other end's index, or its own. */
  readonly linkIndex: number;
  readonly mtu: number;
  readonly queueLength: number;
  /** In hexadecimal, with colons. */
  readonly address: string;
  readonly broadcast: string;
  readonly addressBytes: number;
  readonly carrier: number;
  readonly state: string;
  /** What is not named is 0. */
  readonly counters: ReadonlyMap<string, number>;
}

/** The flags that the file shows are those that can be set, which are the lower ones. */
const shownFlags = 0xffff;
const IFF_RUNNING = 0x40;

const loopback: NetworkInterface = {
  name: 'lo',
  index: 1,
  type: 772,
  flags: 0x9,
  linkIndex: 1,
  mtu: 65_536,
  queueLength: 1000,
  address: '00:00:00:00:00:00',
  broadcast: '00:00:00:00:00:00',
  addressBytes: 6,
  carrier: 1,
  state: 'unknown',
  counters: new Map(),
};

let listInterfaces: () => readonly NetworkInterface[] = () => [loopback];

/** Called at most once, at boot. */
export function setInterfaceLister(lister: () => readonly NetworkInterface[]): void {
  listInterfaces = lister;
}

function attribute(
  name: string,
  render: (shown: NetworkInterface) => string | number,
): Entry<Kernel> {
  return textFile<Kernel>(0o444, () => `${render(interfaceNamed(name) ?? loopback)}\n`, {
    sizeBytes: PAGE_SIZE,
  });
}

function interfaceNamed(name: string): NetworkInterface | undefined {
  return listInterfaces().find((shown) => shown.name === name);
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
    list: () =>
      listInterfaces()
        .map(({ name, index }) => ({ name, key: index }))
        .sort((left, right) => left.key - right.key),
    lookup: (filesystem: PseudoFileSystem, kernel: Kernel, name: string) => {
      const shown = interfaceNamed(name);
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
  directory<Kernel>({}, { computed: eachInterface(device) });

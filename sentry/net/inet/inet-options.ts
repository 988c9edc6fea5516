// SPDX-License-Identifier: Apache-2.0
// Options of the levels IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP and IPPROTO_UDP. Nothing travels over a
// wire here, so most are only remembered; unknown ones are refused as Linux refuses them.
import {
  EINVAL,
  ENOPROTOOPT,
  EOPNOTSUPP,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';

/** Known options by level, with the value that an untouched socket has. */
const known: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  [so.SOL_IP]: {
    [so.IP_TOS]: 0,
    [so.IP_TTL]: 64,
    [so.IP_PKTINFO]: 0,
    [so.IP_MTU_DISCOVER]: 1,
    [so.IP_RECVERR]: 0,
    [so.IP_MULTICAST_TTL]: 1,
    [so.IP_MULTICAST_LOOP]: 1,
    [so.IP_RECVTOS]: 0,
    [so.IP_RECVTTL]: 0,
    [so.IP_FREEBIND]: 0,
    [so.IP_BIND_ADDRESS_NO_PORT]: 0,
    [so.IP_LOCAL_PORT_RANGE]: 0,
  },
  [so.SOL_IPV6]: {
    [so.IPV6_UNICAST_HOPS]: 64,
    [so.IPV6_MULTICAST_HOPS]: 1,
    [so.IPV6_MULTICAST_LOOP]: 1,
    [so.IPV6_RECVERR]: 0,
    [so.IPV6_V6ONLY]: 0,
    [so.IPV6_RECVPKTINFO]: 0,
    [so.IPV6_TCLASS]: 0,
    [so.IPV6_RECVTCLASS]: 0,
    [so.IPV6_MTU_DISCOVER]: 1,
    [so.IPV6_AUTOFLOWLABEL]: 1,
  },
  [so.SOL_TCP]: {
    [so.TCP_NODELAY]: 0,
    [so.TCP_MAXSEG]: 32_741,
    [so.TCP_CORK]: 0,
    [so.TCP_KEEPIDLE]: 7200,
    [so.TCP_KEEPINTVL]: 75,
    [so.TCP_KEEPCNT]: 9,
    [so.TCP_SYNCNT]: 6,
    [so.TCP_LINGER2]: 60,
    [so.TCP_DEFER_ACCEPT]: 0,
    [so.TCP_WINDOW_CLAMP]: 65_536,
    [so.TCP_QUICKACK]: 1,
    [so.TCP_USER_TIMEOUT]: 0,
    [so.TCP_FASTOPEN]: 0,
    [so.TCP_NOTSENT_LOWAT]: -1,
  },
  [so.SOL_UDP]: { [so.UDP_CORK]: 0, [so.UDP_SEGMENT]: 0, [so.UDP_GRO]: 0 },
};

export class InetOptions {
  readonly #values = new Map<number, number>();

  /** The int value of an option that exists. */
  value(level: number, name: number): number {
    return this.#values.get(key(level, name)) ?? known[level]?.[name] ?? 0;
  }

  get(level: number, name: number): Result<Uint8Array> {
    const options = known[level];
    if (options === undefined) return EOPNOTSUPP;
    if (options[name] === undefined) return ENOPROTOOPT;
    return new Uint8Array(Int32Array.of(this.value(level, name)).buffer);
  }

  set(level: number, name: number, bytes: Uint8Array): SysResult {
    if (known[level]?.[name] === undefined) return ENOPROTOOPT;
    // IP options may be given as one byte.
    if (bytes.length === 0 || (bytes.length < 4 && level !== so.SOL_IP)) return EINVAL;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#values.set(
      key(level, name),
      bytes.length < 4 ? view.getUint8(0) : view.getInt32(0, true),
    );
    return 0;
  }

  copyTo(child: InetOptions): void {
    for (const [option, value] of this.#values) child.#values.set(option, value);
  }
}

function key(level: number, name: number): number {
  return level * 65536 + name;
}

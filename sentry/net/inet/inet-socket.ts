// SPDX-License-Identifier: Apache-2.0
// What TCP and UDP sockets of the sandbox share: names, ports, options. What is not for the sandbox
// itself is the way out's (sentry/net/inet/way-out.ts).

import { CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_NET_RAW } from '../../../abi/capability.ts';
import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EINVAL,
  ENETUNREACH,
  ENOTCONN,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { AF_INET, AF_INET6, SOCK_RAW, SOCK_STREAM, SOL_IP, SOL_IPV6 } from '../../../abi/socket.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { familyOf, Socket, type SocketCaller, type SocketKernel } from '../socket.ts';
import {
  anyOf,
  anyV4,
  anyV6,
  type Endpoint,
  encodeInetAddress,
  type IpAddress,
  isAny,
  isBroadcast,
  isLoopback,
  isMulticast,
  isV4,
  loopbackV4,
  loopbackV6,
  parseInetAddress,
} from './address.ts';
import { InetOptions } from './inet-options.ts';
import { type PortRange, type PortTable, type PortUser, portRange } from './ports.ts';
import type { WayOut } from './way-out.ts';

export abstract class InetSocket extends Socket implements PortUser {
  readonly domain: number;
  abstract override readonly type: number;
  protected readonly kernel: SocketKernel;
  protected readonly wayOut: WayOut;
  readonly inetOptions: InetOptions = new InetOptions(this);
  readonly ownerUid: number;
  /** The account of the process that made the socket: what waits here before it is read is charged to it. */
  readonly madeBy: MemoryAccount = currentAccount();
  localIp: IpAddress;
  /** 0: not bound. */
  localPort = 0;
  remote: Endpoint | undefined;
  /** bind(2) named an address, a port: they stay when a connection ends. */
  protected isAddressBound = false;
  protected isPortBound = false;

  constructor(
    domain: number,
    flags: number,
    protocol: number,
    credentials: Credentials,
    kernel: SocketKernel,
    wayOut: WayOut,
  ) {
    super(flags, protocol, credentials, kernel.clock);
    this.options.useDefaults(kernel.settings);
    this.kernel = kernel;
    this.wayOut = wayOut;
    this.domain = domain;
    this.localIp = anyOf(domain);
    this.ownerUid = credentials.euid;
    if (domain === AF_INET6 && kernel.settings.number('net.ipv6.bindv6only') !== 0)
      this.inetOptions.put(SOL_IPV6, so.IPV6_V6ONLY, 1);
  }

  /** The table of this protocol's ports. */
  protected abstract get ports(): PortTable<PortUser>;

  /** Neither connected nor listening: it may be bound. */
  protected get isBindable(): boolean {
    return true;
  }

  get onlyV6(): boolean {
    return this.domain === AF_INET6 && this.inetOptions.value(SOL_IPV6, so.IPV6_V6ONLY) !== 0;
  }

  /** TCP_* state as /proc/net shows it; UDP uses ESTABLISHED (1) and CLOSE (7). */
  get tableState(): number {
    return this.remote === undefined ? 7 : 1;
  }

  get mayShareAddress(): boolean {
    return this.options.reuseAddress;
  }

  get mayShareByReusePort(): boolean {
    return this.options.reusePort;
  }

  override bind(bytes: Uint8Array, caller: SocketCaller): SysResult {
    const wanted = this.#bindAddress(bytes);
    if (isErrno(wanted)) return wanted;
    const allowed = this.#mayBindTo(wanted.ip);
    if (isErrno(allowed)) return allowed;
    const privileged = isCapable(caller.credentials, CAP_NET_BIND_SERVICE);
    const firstFree = this.kernel.settings.number('net.ipv4.ip_unprivileged_port_start');
    if (wanted.port !== 0 && wanted.port < firstFree && !privileged) return EACCES;
    if (this.localPort !== 0 || !this.isBindable) return EINVAL;
    this.localIp = wanted.ip;
    const later = wanted.port === 0 && this.#option(so.IP_BIND_ADDRESS_NO_PORT) !== 0;
    const bound = later ? 0 : wanted.port === 0 ? this.bindAnyPort() : this.#bindPort(wanted.port);
    if (isErrno(bound)) this.localIp = anyOf(this.domain);
    else {
      this.isAddressBound = !isAny(wanted.ip);
      this.isPortBound = wanted.port !== 0;
    }
    return bound;
  }

  #option(name: number): number {
    return this.inetOptions.value(SOL_IP, name);
  }

  /** AF_UNSPEC with the wildcard is taken for AF_INET by IPv4 sockets. */
  #bindAddress(bytes: Uint8Array): Result<Endpoint> {
    const isUnspecified = this.domain === AF_INET && bytes.length >= 16 && familyOf(bytes) === 0;
    if (!isUnspecified) return parseInetAddress(bytes, this.domain);
    const named = Uint8Array.from(bytes);
    named[0] = AF_INET;
    const wanted = parseInetAddress(named, AF_INET);
    return !isErrno(wanted) && wanted.ip !== anyV4 ? EAFNOSUPPORT : wanted;
  }

  #mayBindTo(ip: IpAddress): SysResult {
    if (this.domain === AF_INET6) {
      if (isV4(ip) && this.onlyV6) return EINVAL;
      if (!isV4(ip) && isMulticast(ip) && this.type === SOCK_STREAM) return EINVAL;
    }
    if (isAny(ip) || this.isInside(ip) || isMulticast(ip) || isBroadcast(ip)) return 0;
    const isFree =
      this.#option(so.IP_FREEBIND) !== 0 ||
      this.#option(so.IP_TRANSPARENT) !== 0 ||
      this.inetOptions.value(SOL_IPV6, so.IPV6_FREEBIND) !== 0 ||
      this.inetOptions.value(SOL_IPV6, so.IPV6_TRANSPARENT) !== 0 ||
      this.kernel.settings.number('net.ipv4.ip_nonlocal_bind') !== 0;
    return isFree ? 0 : EADDRNOTAVAIL;
  }

  #bindPort(port: number): SysResult {
    if (!this.ports.isFree(port, this)) return EADDRINUSE;
    this.takePort(port);
    return 0;
  }

  protected takePort(port: number): void {
    this.localPort = port;
    this.ports.add(port, this);
  }

  protected get portRange(): PortRange {
    return portRange(this.kernel.settings, this.#option(so.IP_LOCAL_PORT_RANGE));
  }

  /** Binds to an ephemeral port unless bound already. EADDRINUSE when there is none. */
  bindAnyPort(): SysResult {
    if (this.localPort !== 0) return 0;
    const { ports } = this;
    const port = ports.ephemeral(this.portRange, (candidate) => ports.isFree(candidate, this));
    return port === 0 ? EADDRINUSE : this.#bindPort(port);
  }

  unbind(): void {
    if (this.localPort !== 0) this.ports.remove(this.localPort, this);
    this.localPort = 0;
  }

  /** True where what is sent to `ip` stays in the sandbox. */
  protected isInside(ip: IpAddress): boolean {
    return isLoopback(ip) || this.wayOut.isOwn(ip);
  }

  /**
   * Where a packet to `bytes` goes, with a wildcard taken for this host; an errno where nothing leads
   * there.
   */
  protected destination(bytes: Uint8Array): Result<Endpoint> {
    const asked = parseInetAddress(bytes, this.domain);
    return isErrno(asked) ? asked : this.reachable(asked);
  }

  protected reachable(asked: Endpoint): Result<Endpoint> {
    if (asked.ip === anyV4) return { ip: loopbackV4, port: asked.port };
    // A socket bound to an IPv4 address means this host's IPv4.
    if (asked.ip === anyV6) {
      const ip = isV4(this.localIp) ? loopbackV4 : loopbackV6;
      return { ip, port: asked.port };
    }
    if (isV4(asked.ip) && this.onlyV6) return ENETUNREACH;
    if (!isV4(asked.ip) && this.domain === AF_INET6 && isV4(this.localIp)) return ENETUNREACH;
    if (this.isInside(asked.ip)) return asked;
    if (isMulticast(asked.ip) && this.type === SOCK_STREAM) return ENETUNREACH;
    const source = this.wayOut.route(asked);
    if (isErrno(source)) return source;
    // What has a source on lo does not leave by another interface (__mkroute_output).
    return isLoopback(this.localIp) ? EINVAL : asked;
  }

  /** The source address of what is sent there. */
  protected sourceFor({ ip, port }: Endpoint): IpAddress {
    const { localIp } = this;
    if (!isAny(localIp) && !isMulticast(localIp) && !isBroadcast(localIp)) return localIp;
    if (isLoopback(ip)) return isV4(ip) ? loopbackV4 : loopbackV6;
    if (this.wayOut.isOwn(ip)) return ip;
    const source = this.wayOut.route({ ip, port });
    return isErrno(source) ? anyOf(this.domain) : source;
  }

  override localAddress(): Uint8Array {
    return encodeInetAddress({ ip: this.localIp, port: this.localPort }, this.domain);
  }

  override peerAddress(): Result<Uint8Array> {
    return this.remote === undefined ? ENOTCONN : encodeInetAddress(this.remote, this.domain);
  }

  override getOption(level: number, name: number): Result<Uint8Array> {
    if (level === SOL_IP && name === so.IP_PROTOCOL)
      return new Uint8Array(
        Int32Array.of(this.type === SOCK_RAW ? this.protocol : this.localPort).buffer,
      );
    const isMtu =
      (level === SOL_IP && name === so.IP_MTU) ||
      (level === SOL_IPV6 && name === so.IPV6_MTU && this.domain === AF_INET6);
    if (isMtu) {
      if (this.remote === undefined) return ENOTCONN;
      return new Uint8Array(Int32Array.of(level === SOL_IP ? 65_535 : 65_536).buffer);
    }
    return this.inetOptions.get(level, name);
  }

  override setOption(
    level: number,
    name: number,
    value: Uint8Array,
    caller: SocketCaller,
  ): SysResult {
    // The family of a bound socket is settled.
    if (level === SOL_IPV6 && name === so.IPV6_V6ONLY && this.domain === AF_INET6) {
      if (this.localPort !== 0 || value.length < 4) return EINVAL;
    }
    if (level === SOL_IP && name === so.IP_LOCAL_PORT_RANGE && value.length >= 4) {
      const low = (value[0] as number) | ((value[1] as number) << 8);
      const high = (value[2] as number) | ((value[3] as number) << 8);
      if (low !== 0 && high !== 0 && low > high) return EINVAL;
    }
    const privileged =
      isCapable(caller.credentials, CAP_NET_ADMIN) || isCapable(caller.credentials, CAP_NET_RAW);
    const set = this.inetOptions.set(level, name, value, privileged);
    // The two low bits belong to congestion control.
    if (level === SOL_IP && name === so.IP_TOS && !isErrno(set)) {
      const tos = this.#option(so.IP_TOS) & 0xff;
      this.inetOptions.put(SOL_IP, so.IP_TOS, this.type === SOCK_STREAM ? tos & 0xfc : tos);
    }
    return set;
  }
}

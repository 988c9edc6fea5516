// SPDX-License-Identifier: Apache-2.0
// What TCP and UDP sockets of the sandbox share: names, ports, options. What is not for the sandbox itself
// is the way out's (sentry/net/inet/way-out.ts).

import { CAP_NET_BIND_SERVICE } from '../../../abi/capability.ts';
import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EINVAL,
  ENETUNREACH,
  ENOTCONN,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { AF_INET, AF_INET6, IPV6_V6ONLY, SOL_IPV6 } from '../../../abi/socket.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { Socket, type SocketCaller, type SocketKernel } from '../socket.ts';
import {
  anyOf,
  anyV4,
  anyV6,
  type Endpoint,
  encodeInetAddress,
  type IpAddress,
  isAny,
  isLoopback,
  isMulticast,
  isV4,
  loopbackV4,
  loopbackV6,
  parseInetAddress,
} from './address.ts';
import { InetOptions } from './inet-options.ts';
import type { PortTable, PortUser } from './ports.ts';
import type { WayOut } from './way-out.ts';

export abstract class InetSocket extends Socket implements PortUser {
  readonly domain: number;
  protected readonly kernel: SocketKernel;
  protected readonly wayOut: WayOut;
  readonly inetOptions: InetOptions = new InetOptions();
  readonly ownerUid: number;
  /** The account of the process that made the socket: what waits here before it is read is charged to it. */
  readonly madeBy: MemoryAccount = currentAccount();
  localIp: IpAddress;
  /** 0: not bound. */
  localPort = 0;
  remote: Endpoint | undefined;

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
  }

  /** The table of this protocol's ports. */
  protected abstract get ports(): PortTable<InetSocket>;

  get onlyV6(): boolean {
    return this.domain === AF_INET6 && this.inetOptions.value(SOL_IPV6, IPV6_V6ONLY) !== 0;
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
    const wanted = parseInetAddress(bytes, this.domain);
    if (isErrno(wanted)) return wanted;
    if (!isAny(wanted.ip) && !this.isInside(wanted.ip) && !isMulticast(wanted.ip))
      return EADDRNOTAVAIL;
    const privileged = isCapable(caller.credentials, CAP_NET_BIND_SERVICE);
    const firstFree = this.kernel.settings.number('net.ipv4.ip_unprivileged_port_start');
    if (wanted.port !== 0 && wanted.port < firstFree && !privileged) return EACCES;
    if (this.localPort !== 0) return EINVAL;
    this.localIp = wanted.ip;
    const bound = wanted.port === 0 ? this.bindAnyPort() : this.#bindPort(wanted.port);
    if (isErrno(bound)) this.localIp = anyOf(this.domain);
    return bound;
  }

  #bindPort(port: number): SysResult {
    if (!this.ports.isFree(port, this)) return EADDRINUSE;
    this.localPort = port;
    this.ports.add(port, this);
    return 0;
  }

  /** Binds to an ephemeral port unless bound already. EADDRINUSE when there is none. */
  bindAnyPort(): SysResult {
    if (this.localPort !== 0) return 0;
    const port = this.ports.ephemeral(this.kernel.settings);
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
    if (isErrno(asked)) return asked;
    if (asked.ip === anyV4) return { ip: loopbackV4, port: asked.port };
    if (asked.ip === anyV6) return { ip: loopbackV6, port: asked.port };
    if (isV4(asked.ip) && this.onlyV6) return ENETUNREACH;
    if (this.isInside(asked.ip)) return asked;
    const source = this.wayOut.route(asked);
    if (isErrno(source)) return source;
    // What has a source on lo does not leave by another interface (__mkroute_output).
    return isLoopback(this.localIp) ? EINVAL : asked;
  }

  /** The source address of what is sent there. */
  protected sourceFor({ ip, port }: Endpoint): IpAddress {
    if (!isAny(this.localIp)) return this.localIp;
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
    return this.inetOptions.get(level, name);
  }

  override setOption(level: number, name: number, value: Uint8Array): SysResult {
    // The family of a bound socket is settled.
    if (level === SOL_IPV6 && name === IPV6_V6ONLY && this.localPort !== 0) return EINVAL;
    if (level === SOL_IPV6 && this.domain === AF_INET) return EINVAL;
    return this.inetOptions.set(level, name, value);
  }
}

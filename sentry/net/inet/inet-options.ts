// SPDX-License-Identifier: Apache-2.0
// The values of a socket's options of the levels IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP and IPPROTO_UDP:
// kept and judged by the table of option-table.ts, as ip_setsockopt and its like do.
import {
  EINVAL,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPERM,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { type OptionRule, type OptionUsers, optionRules } from './option-table.ts';

const rules: ReadonlyMap<number, OptionRule> = new Map(
  optionRules.map((rule) => [key(rule.level, rule.name), rule]),
);

/** The socket whose options they are. */
export interface OptionOwner {
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
}

export class InetOptions {
  readonly #values = new Map<number, number>();
  readonly #owner: OptionOwner;

  constructor(owner: OptionOwner) {
    this.#owner = owner;
  }

  /** The int value of an option that exists. */
  value(level: number, name: number): number {
    const at = key(level, name);
    return this.#values.get(at) ?? rules.get(at)?.initial ?? 0;
  }

  get(level: number, name: number): Result<Uint8Array> {
    const { domain } = this.#owner;
    if (!this.#hasLevel(level)) return domain === so.AF_INET6 ? ENOPROTOOPT : EOPNOTSUPP;
    const rule = rules.get(key(level, name));
    if (rule === undefined || rule.most < rule.least) return ENOPROTOOPT;
    if (rule.users === 'raw' && !this.#isUser('raw')) return ENOPROTOOPT;
    return new Uint8Array(Int32Array.of(this.value(level, name)).buffer);
  }

  /** `isPrivileged`: the caller has CAP_NET_ADMIN or CAP_NET_RAW. */
  set(level: number, name: number, bytes: Uint8Array, isPrivileged: boolean): SysResult {
    if (!this.#hasLevel(level)) return ENOPROTOOPT;
    const rule = rules.get(key(level, name));
    if (rule === undefined) return ENOPROTOOPT;
    const number = optionNumber(level, bytes);
    if (number === undefined) return EINVAL;
    if (!this.#isUser(rule.users)) return rule.elsewhere;
    if (rule.isPrivileged && number !== 0 && !isPrivileged) return EPERM;
    const value = judged(rule, number);
    if (value === undefined) return EINVAL;
    this.#values.set(key(level, name), value);
    return 0;
  }

  /** Sets a value that was judged elsewhere. */
  put(level: number, name: number, value: number): void {
    this.#values.set(key(level, name), value);
  }

  copyTo(child: InetOptions): void {
    for (const [option, value] of this.#values) child.#values.set(option, value);
  }

  #hasLevel(level: number): boolean {
    const { domain, type, protocol } = this.#owner;
    switch (level) {
      case so.SOL_IP:
        return domain === so.AF_INET || type !== so.SOCK_RAW;
      case so.SOL_IPV6:
        return domain === so.AF_INET6;
      case so.SOL_TCP:
        return type === so.SOCK_STREAM;
      case so.SOL_UDP:
        return protocol === so.IPPROTO_UDP && type === so.SOCK_DGRAM;
      default:
        return false;
    }
  }

  #isUser(users: OptionUsers): boolean {
    const { type } = this.#owner;
    switch (users) {
      case 'all':
        return true;
      case 'raw':
        return type === so.SOCK_RAW;
      case 'stream':
        return type === so.SOCK_STREAM;
      default:
        return type !== so.SOCK_STREAM;
    }
  }
}

/** The value that is kept; undefined where the rule does not allow it. */
function judged(rule: OptionRule, number: number): number | undefined {
  if (rule.isFlag) return number === 0 ? 0 : 1;
  if (rule.hasDefault && number === -1) return rule.initial;
  return number < rule.least || number > rule.most ? undefined : number;
}

/** The number that the bytes are. Options of IPv4 may be given as one byte, or as none. */
export function optionNumber(level: number, bytes: Uint8Array): number | undefined {
  if (bytes.length >= 4)
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(0, true);
  return level === so.SOL_IP ? (bytes[0] ?? 0) : undefined;
}

function key(level: number, name: number): number {
  return level * 65536 + name;
}

// SPDX-License-Identifier: Apache-2.0
// Options of level IPPROTO_TCP that need more than a range (do_tcp_setsockopt): those whose values are
// rounded, those that are texts, and those that only some states allow.
import {
  EINVAL,
  ENOENT,
  ENOTCONN,
  EPERM,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN } from '../../../abi/tcp.ts';
import type { Settings } from '../../base/settings.ts';
import type { InetOptions } from './inet-options.ts';

/** TCP_CA_NAME_MAX. */
const nameBytes = 16;
/** Algorithms that a program may name. Nothing gets lost within the sandbox, so none has work. */
export const congestionControls: readonly string[] = ['reno', 'cubic'];
/** The most seconds that TCP_LINGER2 takes (TCP_FIN_TIMEOUT_MAX). */
const longestLinger = 120;
const smallestClamp = 1152;

/** The TCP options of one socket that are not plain numbers. */
export class TcpOptions {
  readonly #numbers: InetOptions;
  #congestion: string;

  constructor(numbers: InetOptions, settings: Settings) {
    this.#numbers = numbers;
    this.#congestion = settings.text('net.ipv4.tcp_congestion_control');
    const start = (name: number, setting: string): void =>
      numbers.put(so.SOL_TCP, name, settings.number(`net.ipv4.${setting}`));
    start(so.TCP_KEEPIDLE, 'tcp_keepalive_time');
    start(so.TCP_KEEPINTVL, 'tcp_keepalive_intvl');
    start(so.TCP_KEEPCNT, 'tcp_keepalive_probes');
    start(so.TCP_SYNCNT, 'tcp_syn_retries');
    start(so.TCP_LINGER2, 'tcp_fin_timeout');
  }

  copyTo(child: TcpOptions): void {
    child.#congestion = this.#congestion;
  }

  /** undefined: an ordinary number. */
  get(name: number): Result<Uint8Array> | undefined {
    switch (name) {
      case so.TCP_CONGESTION:
        return padded(this.#congestion);
      case so.TCP_CC_INFO:
      case so.TCP_ULP:
        return new Uint8Array(0);
      default:
        return undefined;
    }
  }

  /** undefined: an ordinary number, whose range is all that counts. */
  set(name: number, bytes: Uint8Array, state: number, settings: Settings): SysResult | undefined {
    if (name === so.TCP_CONGESTION) return this.#setCongestion(bytes);
    if (name === so.TCP_ULP) {
      if (bytes.length === 0) return EINVAL;
      return textOf(bytes) === 'tls' && state !== TCP_ESTABLISHED ? ENOTCONN : ENOENT;
    }
    if (bytes.length < 4) return EINVAL;
    const value = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getInt32(0, true);
    switch (name) {
      case so.TCP_LINGER2:
        this.#put(name, this.#linger(value, settings));
        return 0;
      case so.TCP_DEFER_ACCEPT:
        this.#put(name, secondsOf(retriesIn(value)));
        return 0;
      case so.TCP_WINDOW_CLAMP:
        if (value === 0 && state !== TCP_CLOSE) return EINVAL;
        this.#put(name, value === 0 ? 0 : Math.max(value, smallestClamp));
        return 0;
      case so.TCP_MAXSEG:
        // 0 takes back what was asked for.
        return value === 0 ? 0 : undefined;
      case so.TCP_TIMESTAMP:
        return EPERM;
      case so.TCP_FASTOPEN:
      case so.TCP_FASTOPEN_NO_COOKIE:
        return state === TCP_CLOSE || state === TCP_LISTEN ? undefined : EINVAL;
      case so.TCP_FASTOPEN_CONNECT:
        return state === TCP_CLOSE ? undefined : EINVAL;
      default:
        return undefined;
    }
  }

  #put(name: number, value: number): void {
    this.#numbers.put(so.SOL_TCP, name, value);
  }

  #linger(value: number, settings: Settings): number {
    if (value < 0) return -1;
    return value === 0
      ? settings.number('net.ipv4.tcp_fin_timeout')
      : Math.min(value, longestLinger);
  }

  #setCongestion(bytes: Uint8Array): SysResult {
    if (bytes.length === 0) return EINVAL;
    const name = textOf(bytes.subarray(0, nameBytes - 1));
    if (!congestionControls.includes(name)) return ENOENT;
    this.#congestion = name;
    return 0;
  }
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end)));
}

function padded(name: string): Uint8Array {
  const bytes = new Uint8Array(nameBytes);
  for (let at = 0; at < name.length; at += 1) bytes[at] = name.charCodeAt(at);
  return bytes;
}

/** secs_to_retrans: how many SYN+ACKs are sent in so many seconds. */
function retriesIn(seconds: number): number {
  if (seconds <= 0) return 0;
  let [retries, period, timeout] = [1, 1, 1];
  while (seconds > period && retries < 255) {
    retries += 1;
    timeout = Math.min(timeout * 2, 120);
    period += timeout;
  }
  return retries;
}

/** retrans_to_secs. */
function secondsOf(retries: number): number {
  let [period, timeout] = [retries === 0 ? 0 : 1, 1];
  for (let count = 1; count < retries; count += 1) {
    timeout = Math.min(timeout * 2, 120);
    period += timeout;
  }
  return period;
}

/** How long connect(2) tries, in seconds, with so many repetitions of its SYN. */
export function connectSeconds(retries: number): number {
  return secondsOf(retries + 1);
}

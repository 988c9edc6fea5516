// SPDX-License-Identifier: Apache-2.0
// What the Sentry and the network proxy (native/proxy) say to each other with --network user: one
// SEQPACKET message each way, a head of fixed size and then bytes. And what the command line tells
// the proxy, in one message before the first: its configuration, with the listening sockets of
// --publish as descriptors. C compares the offsets by _Static_assert (native/proxy/messages.h).

// Requests of the Sentry. `id` is a socket of the guest's.
/** A TCP connection to address and port. Answered by PROXY_CONNECTED or PROXY_FAILED. */
export const PROXY_CONNECT = 1;
/** The connection is broken off: the other end gets a reset. */
export const PROXY_ABORT = 2;
/** A UDP datagram for address and port. */
export const PROXY_SEND = 3;
/** An ICMP echo request for the address; its body is a whole ICMP message. */
export const PROXY_PING = 4;
/** A socket that sent datagrams is closed. */
export const PROXY_FORGET = 5;
/** A UDP datagram from a published port, `value`, to one who has called there. */
export const PROXY_ANSWER = 6;

// From the proxy.
/** With the stream's descriptor. */
export const PROXY_CONNECTED = 16;
/** `value`: the errno. With PROXY_DENIED in `flags` the body says why. */
export const PROXY_FAILED = 17;
/** A connection was broken off: as PROXY_FAILED. What came before is still in the stream. */
export const PROXY_BROKEN = 18;
/** A connection to the published port `value`, from address and port, with its descriptor. */
export const PROXY_ACCEPTED = 19;
/** A datagram, or the answer to a ping, for the socket `id`. */
export const PROXY_RECEIVED = 20;
/** A datagram of the socket `id` to address and port failed: as PROXY_FAILED. */
export const PROXY_UNDELIVERED = 21;
/** A UDP datagram to the published port `value`. */
export const PROXY_CALLED = 22;
/** A name was refused: the body is the name, a blank and the reason. */
export const PROXY_REFUSED = 23;

/** The bit of `flags`: the policy says no. */
export const PROXY_DENIED = 1;
/** The ids of connections that come in have this bit. */
export const PROXY_INCOMING = 0x4000_0000;

/** Byte offsets of a message's head. */
export const PROXY_HEAD = {
  type: 0,
  id: 4,
  value: 8,
  port: 12,
  /** 4 or 6; 0: no address. */
  family: 14,
  flags: 15,
  /** 16 bytes, of which IPv4 uses 4. */
  address: 16,
} as const;
export const PROXY_HEAD_BYTES = 32;
export const PROXY_MOST_BYTES = 65_600;

/** The guest's side of its network: its addresses, the host's, and where names are asked for. */
export const PROXY_GUEST_V4 = '10.0.2.15';
/** The proxy's own: the host's loopback, where the policy names that. */
export const PROXY_GATEWAY_V4 = '10.0.2.2';
export const PROXY_NAMES_V4 = '10.0.2.3';
export const PROXY_GUEST_V6 = 'fd00:10:0:2::15';
export const PROXY_GATEWAY_V6 = 'fd00:10:0:2::2';

// The configuration: a head, then rules, servers and published ports.
export const PROXY_SETUP = {
  rules: 0,
  servers: 2,
  published: 4,
  /** 1: with --allow-net nothing else is allowed. */
  closed: 6,
  /** The most bytes a second in each direction; 0: any number. */
  rate: 8,
} as const;
export const PROXY_SETUP_BYTES = 16;
export const PROXY_RULE = {
  /** 1: what the rule says is denied. */
  denies: 0,
  /** 4 or 6; 0: the rule is about a name. */
  family: 1,
  /** Bits of the address that count. */
  prefix: 2,
  firstPort: 4,
  lastPort: 6,
  address: 8,
  /** In lower case, with a 0 after it; '*.' in front stands for all names below. */
  name: 24,
} as const;
export const PROXY_RULE_BYTES = 280;
export const PROXY_SERVER = { family: 0, port: 2, address: 4 } as const;
export const PROXY_SERVER_BYTES = 20;
/** A published port: 1 byte, 1 for UDP and 0 for TCP. */
export const PROXY_PUBLISHED_BYTES = 1;
export const PROXY_MOST_RULES = 128;
export const PROXY_MOST_SERVERS = 3;
export const PROXY_MOST_PUBLISHED = 64;

/** The connections that a sandbox has at most; and sockets for datagrams to different places. */
export const PROXY_MOST_STREAMS = 1024;
export const PROXY_MOST_FLOWS = 256;

export interface ProxyHead {
  readonly type: number;
  readonly id: number;
  readonly value: number;
  readonly port: number;
  readonly flags: number;
  /** 4 or 16 bytes as a byte string; empty where there is none. */
  readonly address: string;
}

/** Writes the head of a request. */
export function encodeProxyHead(head: Omit<ProxyHead, 'flags'>, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  bytes.fill(0, 0, PROXY_HEAD_BYTES);
  view.setUint32(PROXY_HEAD.type, head.type, true);
  view.setUint32(PROXY_HEAD.id, head.id, true);
  view.setUint32(PROXY_HEAD.value, head.value, true);
  view.setUint16(PROXY_HEAD.port, head.port, true);
  view.setUint8(PROXY_HEAD.family, familyOf(head.address));
  for (let at = 0; at < head.address.length; at += 1)
    bytes[PROXY_HEAD.address + at] = head.address.charCodeAt(at);
}

/** Reads the head of a message of `length` bytes; undefined where it is none of an honest proxy's. */
export function decodeProxyHead(bytes: Uint8Array, length: number): ProxyHead | undefined {
  if (length < PROXY_HEAD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const family = view.getUint8(PROXY_HEAD.family);
  if (family !== 0 && family !== 4 && family !== 6) return undefined;
  const addressBytes = { 0: 0, 4: 4, 6: 16 }[family];
  let address = '';
  for (let at = 0; at < addressBytes; at += 1)
    address += String.fromCharCode(bytes[PROXY_HEAD.address + at] as number);
  return {
    type: view.getUint32(PROXY_HEAD.type, true),
    id: view.getUint32(PROXY_HEAD.id, true),
    value: view.getUint32(PROXY_HEAD.value, true),
    port: view.getUint16(PROXY_HEAD.port, true),
    flags: view.getUint8(PROXY_HEAD.flags),
    address,
  };
}

export interface ProxyRule {
  readonly denies: boolean;
  readonly firstPort: number;
  readonly lastPort: number;
  /** Bytes of an address and how many of its bits count; or a name. */
  readonly target:
    | { readonly address: Uint8Array; readonly prefix: number }
    | { readonly name: string };
}

export interface ProxySetup {
  readonly rules: readonly ProxyRule[];
  readonly servers: readonly { readonly address: Uint8Array; readonly port: number }[];
  readonly published: readonly { readonly udp: boolean }[];
  readonly rateBytes: number;
}

/** Encodes the configuration. */
export function encodeProxySetup({ rules, servers, published, rateBytes }: ProxySetup): Uint8Array {
  const rulesAt = PROXY_SETUP_BYTES;
  const serversAt = rulesAt + rules.length * PROXY_RULE_BYTES;
  const publishedAt = serversAt + servers.length * PROXY_SERVER_BYTES;
  const bytes = new Uint8Array(publishedAt + published.length * PROXY_PUBLISHED_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(PROXY_SETUP.rules, rules.length, true);
  view.setUint16(PROXY_SETUP.servers, servers.length, true);
  view.setUint16(PROXY_SETUP.published, published.length, true);
  view.setUint16(PROXY_SETUP.closed, rules.some((rule) => !rule.denies) ? 1 : 0, true);
  view.setUint32(PROXY_SETUP.rate, rateBytes, true);
  rules.forEach((rule, index) => {
    encodeRule(rule, bytes.subarray(rulesAt + index * PROXY_RULE_BYTES));
  });
  servers.forEach(({ address, port }, index) => {
    const at = serversAt + index * PROXY_SERVER_BYTES;
    view.setUint8(at + PROXY_SERVER.family, address.length === 4 ? 4 : 6);
    view.setUint16(at + PROXY_SERVER.port, port, true);
    bytes.set(address, at + PROXY_SERVER.address);
  });
  published.forEach(({ udp }, index) => {
    bytes[publishedAt + index] = udp ? 1 : 0;
  });
  return bytes;
}

function encodeRule({ denies, firstPort, lastPort, target }: ProxyRule, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint8(PROXY_RULE.denies, denies ? 1 : 0);
  view.setUint16(PROXY_RULE.firstPort, firstPort, true);
  view.setUint16(PROXY_RULE.lastPort, lastPort, true);
  if ('name' in target) {
    for (let at = 0; at < target.name.length; at += 1)
      bytes[PROXY_RULE.name + at] = target.name.charCodeAt(at);
    return;
  }
  view.setUint8(PROXY_RULE.family, target.address.length === 4 ? 4 : 6);
  view.setUint8(PROXY_RULE.prefix, target.prefix);
  bytes.set(target.address, PROXY_RULE.address);
}

function familyOf(address: string): number {
  return { 4: 4, 16: 6 }[address.length] ?? 0;
}

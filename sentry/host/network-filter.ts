// SPDX-License-Identifier: Apache-2.0
// The further host calls of a Sentry whose guests have the host's network (`--network host`):
// sockets of IPv4 and IPv6. Raw sockets are not among them: those come from the broker. connect(2)
// and bind(2) cannot be held to a family here, but a socket of another family cannot be made.
import {
  AF_INET,
  AF_INET6,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
} from '../../abi/socket.ts';
import type { FilterRow } from '../../native/seccomp/bpf.ts';
import {
  gettableOptions,
  type OptionNames,
  passedRequests,
  settableOptions,
} from '../net/host-inet/option-table.ts';

/** With SOCK_CLOEXEC and SOCK_NONBLOCK, always. */
const STREAM = 0o2004001;
const DATAGRAM = 0o2004002;
/** sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6). */
const ADDRESS_BYTES = [16, 28];
const levelNames: ReadonlyMap<number, string> = new Map([
  [0, 'IP'],
  [1, 'socket'],
  [6, 'TCP'],
  [17, 'UDP'],
  [41, 'IPv6'],
  [58, 'ICMPv6'],
  [255, 'raw'],
]);

const families = { arg: 0, width: 32, oneOf: [AF_INET, AF_INET6] } as const;
const address = [{ arg: 2, width: 32, oneOf: ADDRESS_BYTES }] as const;

export const networkRows: readonly FilterRow[] = [
  {
    name: 'socket',
    number: 41,
    why: 'TCP sockets of guests',
    args: [families, { arg: 1, width: 32, eq: STREAM }, { arg: 2, width: 32, eq: IPPROTO_TCP }],
  },
  {
    name: 'socket',
    number: 41,
    why: 'UDP and ping sockets of guests',
    args: [
      families,
      { arg: 1, width: 32, eq: DATAGRAM },
      { arg: 2, width: 32, oneOf: [IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6] },
    ],
  },
  { name: 'connect', number: 42, why: 'guest connect', args: address },
  { name: 'bind', number: 49, why: 'guest bind', args: address },
  { name: 'listen', number: 50, why: 'guest listen' },
  ...optionRows('setsockopt', 54, settableOptions),
  ...optionRows('getsockopt', 55, gettableOptions),
  {
    name: 'ioctl',
    number: 16,
    why: 'guest ioctl on sockets: bytes waiting, what interfaces there are',
    args: [{ arg: 1, width: 32, oneOf: passedRequests }],
  },
];

function optionRows(name: string, number: number, options: OptionNames): FilterRow[] {
  return Array.from(options, ([level, names]) => ({
    name,
    number,
    why: `guest ${name}, ${levelNames.get(level)} options`,
    args: [
      { arg: 1, width: 32, eq: level },
      { arg: 2, width: 32, oneOf: names },
    ],
  }));
}

// SPDX-License-Identifier: Apache-2.0
// --allow-net and --deny-net: lists of names and addresses, each with or without a port.
import { PROXY_MOST_RULES, type ProxyRule } from '../../protocol/proxy.ts';
import { Failure } from '../failure.ts';
import { parseAddress, parsePort } from './addresses.ts';

interface Ports {
  readonly firstPort: number;
  readonly lastPort: number;
}

const anyPort: Ports = { firstPort: 0, lastPort: 65_535 };
const mostNameBytes = 253;

/** The rules of both options; what is denied goes before what is allowed, whatever the order. */
export function parseRules(allow: readonly string[], deny: readonly string[]): ProxyRule[] {
  const rules = [
    ...deny.flatMap((list) => parseList('--deny-net', list, true)),
    ...allow.flatMap((list) => parseList('--allow-net', list, false)),
  ];
  if (rules.length > PROXY_MOST_RULES)
    throw new Failure('RUNTS_E_OPTION_VALUE', `--allow-net: more than ${PROXY_MOST_RULES} rules`);
  return rules;
}

function parseList(option: string, list: string, denies: boolean): ProxyRule[] {
  return list.split(',').flatMap((text) => {
    const targets = parseRule(text);
    if (targets === undefined)
      throw new Failure(
        'RUNTS_E_OPTION_VALUE',
        `${option}: '${text}' is not NAME, *.NAME, ADDRESS, ADDRESS/BITS or host, with :PORT or :PORT-PORT after it or not`,
      );
    return targets.map((target) => ({ denies, ...target }));
  });
}

type Target = Omit<ProxyRule, 'denies'>;

function parseRule(text: string): Target[] | undefined {
  // Without brackets an IPv6 address is all that there is.
  const bare = /^[^[\]]*:[^[\]]*:/.test(text);
  const parts = bare ? [text, text] : /^(\[[^\]]*\](?:\/\d+)?|[^:[\]]+)(?::(.*))?$/.exec(text);
  const place = parts?.[1];
  if (parts === null || place === undefined) return undefined;
  const ports = bare ? anyPort : parsePorts(parts[2]);
  if (ports === undefined) return undefined;
  // The host's own loopback, which the guest has as 10.0.2.2.
  const places = place === 'host' ? ['127.0.0.1', '::1'] : [place];
  const targets = places.map(parsePlace);
  if (targets.includes(undefined)) return undefined;
  return targets.map((target) => ({ ...ports, target: target as ProxyRule['target'] }));
}

function parsePorts(text: string | undefined): Ports | undefined {
  if (text === undefined) return anyPort;
  const [first = '', last = first, ...more] = text.split('-');
  const [firstPort, lastPort] = [parsePort(first), parsePort(last)];
  if (firstPort === undefined || lastPort === undefined || more.length > 0) return undefined;
  return firstPort <= lastPort ? { firstPort, lastPort } : undefined;
}

function parsePlace(text: string): ProxyRule['target'] | undefined {
  const [plain = '', bits, ...more] = text.replaceAll(/[[\]]/g, '').split('/');
  const address = parseAddress(plain);
  if (address === undefined) return bits === undefined ? parseName(text) : undefined;
  if (text.startsWith('[') && address.length === 4) return undefined;
  const most = address.length * 8;
  const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : most + 1;
  return prefix > most || more.length > 0 ? undefined : { address, prefix };
}

/** A name of letters, digits, '-' and '_', in lower case; '*' alone is every name. */
function parseName(text: string): ProxyRule['target'] | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  const isName = /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,62})\.)*[a-z0-9_][a-z0-9_-]{0,62}$/.test(name);
  // What ends in digits is a wrong address.
  const isOne = (isName && !/(^|\.)\d+$/.test(name)) || name === '*';
  return isOne && name.length <= mostNameBytes ? { name } : undefined;
}

// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { encodeProxySetup, PROXY_RULE_BYTES, PROXY_SETUP_BYTES } from '../../protocol/proxy.ts';
import { parseAddress } from './addresses.ts';
import { parsePublications } from './publish.ts';
import { parseResolver } from './resolv-conf.ts';
import { parseRules } from './rules.ts';

const any = { firstPort: 0, lastPort: 65_535 };
const allow = (text: string): unknown => parseRules([text], []);

describe('rules', () => {
  it('are names and addresses with ports or without', () => {
    expect(allow('Example.org:443,*.debian.org.,10.0.0.0/8:5432')).toEqual([
      { denies: false, firstPort: 443, lastPort: 443, target: { name: 'example.org' } },
      { denies: false, ...any, target: { name: '*.debian.org' } },
      {
        denies: false,
        firstPort: 5432,
        lastPort: 5432,
        target: { address: Uint8Array.of(10, 0, 0, 0), prefix: 8 },
      },
    ]);
  });

  it('take IPv6 addresses bare, and in brackets with a port', () => {
    const address = parseAddress('2001:db8::1');
    expect(allow('2001:db8::1/64')).toEqual([
      { denies: false, ...any, target: { address, prefix: 64 } },
    ]);
    expect(allow('[2001:db8::1]:80-90')).toEqual([
      { denies: false, firstPort: 80, lastPort: 90, target: { address, prefix: 128 } },
    ]);
  });

  it("know the host's loopback by the name host", () => {
    expect(allow('host:80')).toHaveLength(2);
  });

  it('that deny come first', () => {
    const rules = parseRules(['a.org'], ['b.org']);
    expect(rules.map(({ denies }) => denies)).toEqual([true, false]);
  });

  it('of no known form are refused', () => {
    for (const text of [
      '',
      'a b',
      'a:',
      'a:65536',
      '1.2.3',
      '10.0.0.0/33',
      '[::1',
      '-a.org',
      'a:9-8',
    ])
      expect(() => allow(text), text).toThrow(/is not NAME/);
  });
});

describe('addresses', () => {
  it('of IPv6 may be shortened, or end as IPv4 ones', () => {
    expect(parseAddress('::1')).toEqual(Uint8Array.from([...new Array<number>(15).fill(0), 1]));
    expect(parseAddress('::ffff:1.2.3.4')?.slice(10)).toEqual(Uint8Array.of(255, 255, 1, 2, 3, 4));
    expect(parseAddress('fe80::1%eth0')).toBeUndefined();
  });
});

describe('published ports', () => {
  it('are on 127.0.0.1 where no address is named', () => {
    expect(parsePublications(['8080:80', '0.0.0.0:53:5300/udp', '[::1]:1:2/tcp'])).toEqual([
      {
        text: '8080:80',
        address: Uint8Array.of(127, 0, 0, 1),
        hostPort: 8080,
        port: 80,
        udp: false,
      },
      {
        text: '0.0.0.0:53:5300/udp',
        address: new Uint8Array(4),
        hostPort: 53,
        port: 5300,
        udp: true,
      },
      { text: '[::1]:1:2/tcp', address: parseAddress('::1'), hostPort: 1, port: 2, udp: false },
    ]);
  });

  it('of no known form are refused', () => {
    for (const text of ['80', '0:80', '80:0', 'x:80:80', '80:80/sctp'])
      expect(() => parsePublications([text]), text).toThrow(/--publish/);
  });
});

describe('resolv.conf', () => {
  it("becomes the proxy's, and keeps what is not about servers", () => {
    const text =
      '# x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch a b\noptions ndots:2\n';
    const { servers, text: own } = parseResolver(text);
    expect(servers).toEqual([{ address: Uint8Array.of(192, 0, 2, 1), port: 53 }]);
    expect(own).toBe('nameserver 10.0.2.3\nsearch a b\noptions ndots:2\n');
    expect(parseResolver('').servers).toEqual([{ address: Uint8Array.of(127, 0, 0, 1), port: 53 }]);
  });
});

describe('the configuration of the proxy', () => {
  it('is as long as its parts', () => {
    const rules = parseRules(['a.org', '10.0.0.0/8'], []);
    const servers = [{ address: Uint8Array.of(1, 2, 3, 4), port: 53 }];
    const bytes = encodeProxySetup({ rules, servers, published: [{ udp: true }], rateBytes: 0 });
    expect(bytes).toHaveLength(PROXY_SETUP_BYTES + 2 * PROXY_RULE_BYTES + 20 + 1);
  });
});

// SPDX-License-Identifier: Apache-2.0
// What passes between guest and host in bytes: addresses, control messages, links.
import { describe, expect, it } from 'vitest';
import { EINVAL } from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { networkRows } from '../../host/network-filter.ts';
import { attribute, joined, text, u32 } from '../netlink/route-message.ts';
import { decodeControl, encodeControl } from './control-messages.ts';
import { hostAddress, portIn } from './host-address.ts';
import { parseLink } from './link.ts';

const ttl = { level: so.SOL_IP, type: so.IP_TTL, data: u32(9) };

describe('addresses', () => {
  it('have the size of their family', () => {
    const long = new Uint8Array(128).fill(7);
    long.set([so.AF_INET, 0, 0x1f, 0x90]);
    expect(hostAddress(long, so.AF_INET)).toHaveLength(16);
    expect(hostAddress(long, so.AF_INET6)).toHaveLength(16);
    expect(portIn(long)).toBe(8080);
    long[0] = so.AF_INET6;
    expect(hostAddress(long, so.AF_INET6)).toHaveLength(28);
    expect(hostAddress(long.subarray(0, 24), so.AF_INET6)).toHaveLength(28);
    expect(hostAddress(long.subarray(0, 23), so.AF_INET6)).toBe(EINVAL);
    expect(hostAddress(Uint8Array.of(so.AF_INET, 0, 1), so.AF_INET)).toBe(EINVAL);
    expect(hostAddress(Uint8Array.of(1), so.AF_INET)).toBe(EINVAL);
    expect(hostAddress(Uint8Array.of(0, 0), so.AF_INET)).toEqual(new Uint8Array(16));
  });

  it('are what the filter lets pass', () => {
    for (const name of ['bind', 'connect']) {
      const row = networkRows.find((each) => each.name === name);
      expect(row?.args).toEqual([{ arg: 2, width: 32, oneOf: [16, 28] }]);
    }
  });
});

describe('control messages', () => {
  it('come back as they went', () => {
    const other = { level: so.SOL_IPV6, type: so.IPV6_TCLASS, data: u32(3) };
    const bytes = encodeControl([ttl, other]);
    expect(bytes).toHaveLength(48);
    expect(decodeControl(bytes as Uint8Array)).toEqual([ttl, other]);
  });

  it('are refused where they are unknown, too long or too many', () => {
    expect(encodeControl([{ ...ttl, type: 99 }])).toBe(EINVAL);
    expect(encodeControl([{ ...ttl, data: new Uint8Array(5) }])).toBe(EINVAL);
    expect(encodeControl(new Array(9).fill(ttl))).toBe(EINVAL);
    expect(encodeControl([])).toHaveLength(0);
  });

  it('that are cut off end the list, and descriptors are none', () => {
    const bytes = encodeControl([ttl]) as Uint8Array;
    expect(decodeControl(bytes.subarray(0, 19))).toEqual([]);
    const rights = bytes.slice();
    new DataView(rights.buffer).setInt32(so.cmsghdr.level, so.SOL_SOCKET, true);
    new DataView(rights.buffer).setInt32(so.cmsghdr.type, so.SCM_RIGHTS, true);
    expect(decodeControl(rights)).toEqual([]);
  });
});

describe('links', () => {
  const header = new Uint8Array(16);
  header[2] = 1;
  header[4] = 7;
  header[8] = 0x43;

  it('tell of an interface', () => {
    const body = joined([
      header,
      attribute(3, text('eth0\0')),
      attribute(4, u32(1400)),
      attribute(1, Uint8Array.of(2, 0x42, 0, 0, 0, 1)),
      attribute(16, Uint8Array.of(6)),
    ]);
    expect(parseLink(body)).toMatchObject({
      name: 'eth0',
      index: 7,
      mtu: 1400,
      address: '02:42:00:00:00:01',
      state: 'up',
      linkIndex: 7,
    });
  });

  it('are none where something is missing', () => {
    expect(parseLink(header)).toBeUndefined();
    expect(parseLink(header.subarray(0, 8))).toBeUndefined();
    expect(parseLink(joined([header, attribute(3, text('a/b\0'))]))).toBeUndefined();
  });
});

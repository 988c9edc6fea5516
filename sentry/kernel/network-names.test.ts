// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { OpenFile } from '../vfs/open-file.ts';
import { AbstractNames, NetlinkPorts } from './network-names.ts';

test('an abstract name is of one socket until that gives it back', () => {
  const names = new AbstractNames();
  const [first, second] = [{}, {}] as [OpenFile, OpenFile];
  expect(names.bind('a', first)).toBe(true);
  expect(names.bind('a', second)).toBe(false);
  names.unbind('a', second);
  expect(names.get('a')).toBe(first);
  names.unbind('a', first);
  expect(names.get('a')).toBeUndefined();
});

test('autobind passes names that are taken', () => {
  const names = new AbstractNames();
  names.bind('00002', {} as OpenFile);
  expect([names.free(), names.free()]).toEqual(['00001', '00003']);
});

test("a process's first netlink socket has its id, others ids that are no process's", () => {
  const ports = new NetlinkPorts();
  expect([ports.takeFor(7), ports.takeFor(7), ports.takeFor(7)]).toEqual([
    7, 0xffff_f000, 0xffff_efff,
  ]);
  expect(ports.take(7)).toBe(false);
  ports.release(7);
  expect(ports.takeFor(7)).toBe(7);
});

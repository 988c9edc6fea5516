// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { launcherArguments } from '../../protocol/launcher-options.ts';
import { networkOptions, planNetwork } from './plan-network.ts';
import { planProcess } from './plan-process.ts';
import { planSysctls } from './plan-sysctl.ts';
import type { Process } from './spec/types.ts';

const plain: Process = { user: { uid: 1, gid: 2 }, args: ['sh'], cwd: '/' };

describe('a process', () => {
  it('has byte strings, and each variable once', () => {
    const config = planProcess({ ...plain, args: ['é'], env: ['A=1', 'B=ü', 'A=2'] });
    expect(config.argv).toEqual(['\xc3\xa9']);
    expect(config.env).toEqual(['A=2', 'B=\xc3\xbc']);
    expect(() => planProcess({ ...plain, env: ['novalue'] })).toThrow(/process.env\[0\]/);
    expect(() => planProcess({ ...plain, args: ['a\0b'] })).toThrow(
      'process.args[0]: contains a NUL character',
    );
  });

  it('has the sets of capabilities that are named, and no ambient one beyond them', () => {
    const { capabilities } = planProcess({
      ...plain,
      capabilities: {
        bounding: ['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE'],
        permitted: ['CAP_CHOWN'],
        inheritable: ['CAP_CHOWN', 'CAP_KILL'],
        ambient: ['CAP_CHOWN', 'CAP_KILL'],
      },
    });
    expect(capabilities.bounding).toEqual({ lo: 1, hi: 1 << 8 });
    expect(capabilities.effective).toEqual({ lo: 0, hi: 0 });
    expect(capabilities.ambient).toEqual({ lo: 1, hi: 0 });
    expect(planProcess(plain).capabilities.bounding).toEqual({ lo: 0, hi: 0 });
    expect(() => planProcess({ ...plain, capabilities: { effective: ['CAP_KILL'] } })).toThrow(
      'must be permitted',
    );
  });

  it('has limits of 64 bits', () => {
    const rlimits = [
      { type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 },
      { type: 'RLIMIT_CORE', soft: 0, hard: 18446744073709551615n },
      { type: 'RLIMIT_AS', soft: -1, hard: -1 },
    ];
    expect(planProcess({ ...plain, rlimits }).limits).toEqual([
      [7, 1024, 4096],
      [4, 0, null],
      [9, null, null],
    ]);
    const odd = (soft: number, type = 'RLIMIT_CPU') => [{ type, soft, hard: 1 }];
    expect(() => planProcess({ ...plain, rlimits: odd(2) })).toThrow('above the hard one');
    expect(() => planProcess({ ...plain, rlimits: odd(1, 'RLIMIT_X') })).toThrow("'RLIMIT_X'");
    expect(() => planProcess({ ...plain, rlimits: [...odd(1), ...odd(1)] })).toThrow('twice');
  });

  it('has a terminal of the given size', () => {
    const consoleSize = { height: 10, width: 20 };
    expect(planProcess({ ...plain, terminal: true, consoleSize }).terminal?.window).toEqual({
      rows: 10,
      columns: 20,
    });
    expect(planProcess({ ...plain, consoleSize }).terminal).toBeUndefined();
  });
});

describe('settings', () => {
  it('take dots and slashes, and whole numbers', () => {
    const values = { 'net.core.somaxconn': '128', 'net/ipv4/ping_group_range': '0 2147483647' };
    expect(planSysctls(values, false).own).toEqual({
      'net.core.somaxconn': '128',
      'net.ipv4.ping_group_range': '0 2147483647',
    });
  });

  it.each([
    ['vm.swappiness', '1', "no setting 'vm.swappiness'"],
    ['__proto__', '1', "no setting '__proto__'"],
    ['net.core.somaxconn', 'many', "'many' is not a value"],
    ['net.ipv4.ip_unprivileged_port_start', '65536', 'is not a value'],
    ['net.ipv4.ping_group_range', '0', 'is not a value'],
  ])('refuse %s=%s', (key, value, message) => {
    expect(() => planSysctls(Object.fromEntries([[key, value]]), false)).toThrow(message);
  });

  it('of a network of the host are for the host to judge', () => {
    const key = 'net.ipv4.conf.eth0/5.forwarding';
    const values = { 'net/ipv4/conf/eth0.5/forwarding': 'x', 'kernel.msgmax': '9' };
    expect(planSysctls(values, true)).toEqual({
      own: { 'kernel.msgmax': '9' },
      ofNetwork: { [key]: 'x' },
    });
    const network = { linux: { namespaces: [{ type: 'network' as const }] } };
    const none = { lo: 0, hi: 0 };
    const sets = {
      bounding: none,
      effective: none,
      inheritable: none,
      permitted: none,
      ambient: none,
    };
    const plan = planNetwork(network, 'host', sets, { [key]: 'x' });
    expect(launcherArguments(networkOptions(plan))).toEqual([
      ...['--network-namespace', 'new'],
      ...['--network-setting', 'net/ipv4/conf/eth0.5/forwarding=x'],
    ]);
  });

  it.each(['net../core', 'net.a..b', 'net/../../x', 'net.//.b', 'net.core.so=x', 'net.'])(
    'never lead out of their directory: %s',
    (key) => {
      expect(() => planSysctls({ [key]: '1' }, true)).toThrow('is not a setting');
    },
  );
});

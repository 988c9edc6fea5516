// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { expandSlice, parseSystemdPath, unitCgroup, updateScope } from './systemd.ts';
import { unitProperties } from './systemd-properties.ts';

const parse = (path: string, isUsers = false): ReturnType<typeof parseSystemdPath> =>
  parseSystemdPath(path, 'id', isUsers, true);

describe('a cgroupsPath for systemd', () => {
  it('is slice:prefix:name', () => {
    expect(parse('system.slice:docker:abc')).toEqual({
      slice: 'system.slice',
      name: 'docker-abc.scope',
      isUsers: false,
    });
    expect(parse(':cri-containerd:abc').slice).toBe('system.slice');
    expect(parse('', true)).toEqual({ slice: 'user.slice', name: 'runts-id.scope', isUsers: true });
    expect(() => parse('/docker/abc')).toThrow('to be of format "slice:prefix:name"');
    expect(() => parse('a.slice:x:b/c')).toThrow('not a valid name for a systemd unit');
  });

  it('needs systemd', () => {
    expect(() => parseSystemdPath('a:b:c', 'id', false, false)).toThrow(
      'systemd not running on this host, cannot use systemd cgroups manager',
    );
  });

  it('leads to a place in its slice', () => {
    expect(unitCgroup(parse('kubepods-besteffort-pod1.slice:cri:c'))).toBe(
      '/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-c.scope',
    );
    expect(expandSlice('-.slice')).toBe('');
    for (const slice of ['a', 'a--b.slice', '-a.slice', 'a/b.slice'])
      expect(() => expandSlice(slice)).toThrow('not a valid name for a systemd slice');
    const answer = (): string => 's "/user.slice/user-1000.slice/user@1000.service"\n';
    expect(unitCgroup(parse('', true), answer)).toBe(
      '/user.slice/user-1000.slice/user@1000.service/user.slice/runts-id.scope',
    );
  });
});

describe('limits in the words of systemd', () => {
  const resources = {
    memory: { limit: 1000, swap: 3000, reservation: 500 },
    cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: '0,9' },
    pids: { limit: 7 },
  };

  it('are those of the version', () => {
    expect(unitProperties('v2', resources).map((words) => words.join(' '))).toEqual([
      'MemoryMax t 1000',
      'MemoryLow t 500',
      'MemorySwapMax t 2000',
      'CPUWeight t 20',
      'CPUQuotaPeriodUSec t 100000',
      'CPUQuotaPerSecUSec t 500000',
      'TasksMax t 7',
      'AllowedCPUs ay 2 1 2',
    ]);
    expect(unitProperties('hybrid', resources).map(([name]) => name)).toEqual([
      'MemoryLimit',
      'CPUShares',
      'CPUQuotaPeriodUSec',
      'CPUQuotaPerSecUSec',
      'TasksMax',
    ]);
  });

  it('have those of `unified` that have no field of their own', () => {
    const unified = {
      'memory.high': '80000000\n',
      'memory.min': 'max',
      'memory.swap.max': '1G',
      'io.latency': '8:0 target=1',
    };
    expect(unitProperties('v2', { unified, blockIO: { weight: 500 } })).toEqual([
      ['IOWeight', 't', '4950'],
      ['MemoryMin', 't', '18446744073709551615'],
      ['MemoryHigh', 't', '80000000'],
    ]);
  });

  it('change with an update, and failures are told in its words', () => {
    const calls: (readonly string[])[] = [];
    updateScope(parse('a.slice:p:n'), 'v2', { pids: { limit: -1 } }, (args) => {
      calls.push(args);
      return '';
    });
    expect(calls[0]?.slice(-8)).toEqual([
      'SetUnitProperties',
      'sba(sv)',
      'p-n.scope',
      'true',
      '1',
      'TasksMax',
      't',
      '18446744073709551615',
    ]);
    expect(() => {
      updateScope(parse('a.slice:p:n'), 'v2', { pids: { limit: 1 } }, () => {
        throw Object.assign(new Error('Command failed'), { stderr: 'Access denied\n' });
      });
    }).toThrow('systemd: cannot update p-n.scope: Access denied');
  });
});

// SPDX-License-Identifier: Apache-2.0
// What is written for the same resources as runc 1.1.5 was given; its figures were read on a real machine.
import { describe, expect, it } from 'vitest';
import type { Resources } from '../spec/types.ts';
import { writeDeviceRules } from './device-rules.ts';
import { limitsOf, mergeLimits } from './limits.ts';
import { type RecordedFiles, recordedFiles } from './recorded-files.ts';
import { writeResourcesV1 } from './resources-v1.ts';
import { ioWeightOf, swapLimit, weightOfShares, writeResourcesV2 } from './resources-v2.ts';

/**
 * docker run --memory 64m --memory-reservation 32m --oom-kill-disable --cpus 0.5 --cpu-shares 512
 * --pids-limit 100
 */
const dockerResources: Resources = {
  blockIO: { weight: 0 },
  cpu: { cpus: '0', period: 100_000, quota: 50_000, shares: 512 },
  memory: { disableOOMKiller: true, limit: 67_108_864, reservation: 33_554_432, swap: 134_217_728 },
  pids: { limit: 100 },
};

const freshV1: Readonly<Record<string, string>> = {
  'cpuset.cpus': '0-1',
  'cpuset.mems': '0',
  'memory.limit_in_bytes': '9223372036854771712',
  'memory.memsw.limit_in_bytes': '9223372036854771712',
  'memory.soft_limit_in_bytes': '9223372036854771712',
  'memory.kmem.tcp.limit_in_bytes': '9223372036854771712',
  'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 0',
  'memory.swappiness': '60',
  'memory.usage_in_bytes': '2000000',
  'memory.max_usage_in_bytes': '3000000',
  'cpu.shares': '1024',
  'cpu.cfs_period_us': '100000',
  'cpu.cfs_quota_us': '-1',
  'cpu.cfs_burst_us': '0',
  'cpu.rt_period_us': '1000000',
  'cpu.rt_runtime_us': '0',
  'cpu.idle': '0',
  'pids.max': 'max',
  'blkio.bfq.weight': '100',
  'blkio.bfq.weight_device': 'default 100',
  'blkio.throttle.read_bps_device': '',
  'blkio.throttle.write_iops_device': '',
};

function v1(
  resources: Resources,
  values = freshV1,
  refuse?: Parameters<typeof recordedFiles>[1],
): string[] {
  const files = recordedFiles(values, refuse);
  writeResourcesV1(() => files, resources);
  return files.writes;
}

describe('resources of v1', () => {
  it("of Docker's options are those that runc writes", () => {
    expect(v1(dockerResources)).toEqual([
      'cpuset.cpus = 0',
      // The limit falls: memory first.
      'memory.limit_in_bytes = 67108864',
      'memory.memsw.limit_in_bytes = 134217728',
      'memory.soft_limit_in_bytes = 33554432',
      'memory.oom_control = 1',
      'cpu.shares = 512',
      'cpu.cfs_period_us = 100000',
      'cpu.cfs_quota_us = 50000',
      'pids.max = 100',
    ]);
  });

  it('that are zero are not asked for', () => {
    const nothing = { memory: { limit: 0, swap: 0 }, cpu: { shares: 0 }, pids: { limit: 0 } };
    expect(v1({ ...nothing, blockIO: { weight: 0 } })).toEqual([]);
  });

  it('raise swap before memory when they grow', () => {
    const small = { ...freshV1, 'memory.limit_in_bytes': '1000000' };
    expect(v1({ memory: { limit: 2_000_000, swap: 4_000_000 } }, small)).toEqual([
      'memory.memsw.limit_in_bytes = 4000000',
      'memory.limit_in_bytes = 2000000',
    ]);
    expect(v1({ memory: { limit: -1 } }, small)).toEqual([
      'memory.memsw.limit_in_bytes = -1',
      'memory.limit_in_bytes = -1',
    ]);
  });

  it('say what is used where a limit is below it', () => {
    const full = (file: string): string | undefined =>
      file === 'memory.limit_in_bytes' ? 'EBUSY' : undefined;
    expect(() => v1({ memory: { limit: 4096 } }, freshV1, full)).toThrow(
      'unable to set memory limit to 4096 (current usage: 2000000, peak usage: 3000000)',
    );
  });

  it('write the period after the quota where the kernel wants that', () => {
    let isQuotaSet = false;
    const order = (file: string): string | undefined => {
      if (file === 'cpu.cfs_quota_us') isQuotaSet = true;
      return file === 'cpu.cfs_period_us' && !isQuotaSet ? 'EINVAL' : undefined;
    };
    expect(v1({ cpu: { period: 1000, quota: 1000 } }, freshV1, order)).toEqual([
      'cpu.cfs_quota_us = 1000',
      'cpu.cfs_period_us = 1000',
    ]);
    expect(() => v1({ cpu: { period: 1 } }, freshV1, order)).not.toThrow();
  });

  it('name the file and the value of a refusal', () => {
    expect(() => v1({ cpu: { quota: 100 } }, freshV1, () => 'EINVAL')).toThrow(
      'failed to write "100" to /fake/cpu.cfs_quota_us: Invalid argument',
    );
    expect(() => v1({ memory: { swappiness: 101 } })).toThrow(
      'invalid memory swappiness value: 101 (valid range is 0-100)',
    );
    expect(() => v1({ unified: { 'memory.max': '1' } })).toThrow(
      'invalid configuration: cannot use unified on cgroup v1',
    );
    expect(() => {
      writeResourcesV1(() => undefined, { hugepageLimits: [{ pageSize: '2MB', limit: 0 }] });
    }).toThrow('cannot set hugetlb limit: container could not join or create cgroup');
  });

  it('have limits of devices, one write each', () => {
    const blockIO = {
      weight: 500,
      weightDevice: [{ major: 8, minor: 0, weight: 300 }],
      throttleReadBpsDevice: [{ major: 7, minor: 0, rate: 1000 }],
      throttleWriteIOPSDevice: [{ major: 7, minor: 1, rate: 5 }],
    };
    expect(v1({ blockIO })).toEqual([
      'blkio.bfq.weight = 500',
      'blkio.bfq.weight_device = 8:0 300',
      'blkio.throttle.read_bps_device = 7:0 1000',
      'blkio.throttle.write_iops_device = 7:1 5',
    ]);
  });
});

describe('shares that the kernel clamps', () => {
  it('are refused in the words of runc', () => {
    const clamp = (shares: number, taken: string): void => {
      const files = recordedFiles(freshV1);
      const clamping = { ...files, read: () => taken };
      writeResourcesV1(() => clamping, { cpu: { shares } });
    };
    expect(() => clamp(1, '2')).toThrow('the minimum allowed cpu-shares is 2');
    expect(() => clamp(300_000, '262144')).toThrow('the maximum allowed cpu-shares is 262144');
    expect(() => clamp(512, '512')).not.toThrow();
  });
});

describe('rules for devices', () => {
  const devices = (...rules: NonNullable<Resources['devices']>): RecordedFiles => {
    const files = recordedFiles({ 'devices.allow': '', 'devices.deny': '' });
    writeDeviceRules(files, rules);
    return files;
  };

  it('leave what the sandbox itself opens, and allow what the container may have', () => {
    const { writes } = devices(
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
      { allow: true, type: 'b', major: 8, access: 'r' },
      { allow: false, type: 'c', major: 10, minor: 229, access: 'rwm' },
      { allow: false, type: 'c', major: 10, minor: 232, access: 'rwm' },
    );
    expect(writes[0]).toBe('devices.deny = a');
    expect(writes).toContain('devices.allow = c 1:9 rwm');
    expect(writes).toContain('devices.allow = b 8:* r');
    expect(writes.at(-1)).toBe('devices.deny = c 10:229 rwm');
    expect(writes).not.toContain('devices.deny = c 10:232 rwm');
  });

  it('are none where everything is allowed in the end', () => {
    expect(devices().writes).toEqual([]);
    expect(devices({ allow: false }, { allow: true }).writes).toEqual([]);
  });
});

const freshV2: Readonly<Record<string, string>> = {
  'cgroup.controllers': 'cpuset cpu io memory pids',
  'memory.max': 'max',
  'memory.low': '0',
  'memory.high': 'max',
  'memory.swap.max': 'max',
  'memory.current': '2000000',
  'cpu.weight': '100',
  'cpu.max': 'max 100000',
  'cpu.max.burst': '0',
  'cpu.idle': '0',
  'cpuset.cpus': '',
  'cpuset.mems': '',
  'pids.max': 'max',
  'io.weight': 'default 100',
  'io.max': '',
};

function v2(resources: Resources, values = freshV2): string[] {
  const files = recordedFiles(values);
  writeResourcesV2(files, resources);
  return files.writes;
}

describe('resources of v2', () => {
  it("of Docker's options are converted as runc does", () => {
    expect(v2(dockerResources)).toEqual([
      'pids.max = 100',
      'memory.swap.max = 67108864',
      'memory.max = 67108864',
      'memory.low = 33554432',
      'cpu.weight = 20',
      'cpu.max = 50000 100000',
      'cpuset.cpus = 0',
    ]);
  });

  it('turn shares and weights into those of v2', () => {
    const shares = [0, 1, 2, 512, 1024, 262_144, 300_000].map(weightOfShares);
    expect(shares).toEqual([0, 1, 1, 20, 39, 10_000, 10_000]);
    expect([0, 10, 500, 1000].map(ioWeightOf)).toEqual([0, 1, 4950, 10_000]);
  });

  it('take memory away from swap', () => {
    expect(swapLimit({ limit: 100, swap: 300 })).toBe('200');
    expect(swapLimit({ limit: 100, swap: 100 })).toBe('0');
    expect(swapLimit({ limit: 100, swap: -1 })).toBe('max');
    expect(swapLimit({ limit: -1 })).toBe('max');
    expect(swapLimit({ limit: 100 })).toBe('');
    expect(() => swapLimit({ limit: 100, swap: 50 })).toThrow('should be >= memory limit');
    expect(() => swapLimit({ swap: 50 })).toThrow('unable to set swap limit without memory limit');
  });

  it('keep the other half of cpu.max', () => {
    expect(v2({ cpu: { quota: 5000 } })).toEqual(['cpu.max = 5000 100000']);
    expect(v2({ cpu: { period: 50_000 } }, { ...freshV2, 'cpu.max': '7000 100000' })).toEqual([
      'cpu.max = 7000 50000',
    ]);
    expect(v2({ cpu: { quota: -1 } })).toEqual(['cpu.max = max 100000']);
  });

  it('write what is meant for v2 literally, last, and file names only', () => {
    expect(v2({ unified: { 'memory.high': '5000' }, pids: { limit: -1 } })).toEqual([
      'pids.max = max',
      'memory.high = 5000',
    ]);
    expect(() => v2({ unified: { '../memory.high': '1' } })).toThrow('must be a file name');
    expect(() => v2({ unified: { 'cgroup.procs': '1' } })).toThrow('not a limit');
    expect(() => v2({ unified: { 'misc.max': '1' } })).toThrow(
      'unified resource "misc.max" can\'t be set: controller "misc" not available',
    );
  });

  it('say which controller is not there', () => {
    expect(() => v2({ pids: { limit: 5 } }, {})).toThrow(
      'cannot set pids.max: the controller pids is not available in /fake',
    );
    expect(v2({ blockIO: { weight: 500 }, memory: { swap: -1, limit: 9 } })).toContain(
      'io.weight = 4950',
    );
  });

  it('reject a limit below the usage when told to look', () => {
    expect(() => v2({ memory: { limit: 1000, checkBeforeUpdate: true } })).toThrow(
      'rejecting memory limit 1000',
    );
  });
});

describe('an update', () => {
  it('knows the partners of what it changes', () => {
    const before = limitsOf(dockerResources);
    expect(mergeLimits(before, { memory: { limit: 1 << 25 } }).memory).toEqual({
      limit: 1 << 25,
      swap: 134_217_728,
    });
    expect(mergeLimits(before, { cpu: { quota: 1000 } }).cpu).toEqual({
      quota: 1000,
      period: 100_000,
    });
    expect(mergeLimits(before, { memory: { limit: -1 } }).memory).toEqual({ limit: -1 });
    expect(limitsOf({ cpu: { quota: 9 } }, before)).toEqual({ ...before, quota: 9 });
  });
});

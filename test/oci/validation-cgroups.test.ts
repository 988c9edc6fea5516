// SPDX-License-Identifier: Apache-2.0
// The cases about cgroups of opencontainers/runtime-tools' validation/ (validation.test.ts has the
// others). Names are theirs.
import { existsSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { cgroupsBelow } from './engines/daemons.ts';
import { type BoxCase, boxCases } from './support/box.ts';

/** The container's cgroup files must read so; `name of the file: value`. */
function cgroupCase(
  name: string,
  path: string,
  resources: object,
  files: Readonly<Record<string, string | RegExp>>,
): BoxCase {
  return {
    name,
    body: async (box) => {
      await box.running((spec) => {
        // A relative path begins wherever the runtime likes.
        spec.linux.cgroupsPath = path
          .replace('CGROUP', box.cgroup)
          .replace('RELATIVE', `${box.cgroup.slice(1)}-relative`);
        spec.linux['resources'] = resources;
      });
      for (const [file, value] of Object.entries(files)) {
        const found = cgroupFile(box.pid(), file);
        if (typeof value === 'string') expect(found, file).toBe(value);
        else expect(found, file).toMatch(value);
      }
      const parents = cgroupsOf(box.pid()).map(dirname);
      await box.do('delete', ['--force', 'a']);
      for (const at of parents) if (at.endsWith('-relative') && existsSync(at)) rmdirSync(at);
    },
  };
}

/** Where the machine has no such hierarchy both must refuse, in the same words. */
function optionalCgroupCase(controller: string, ...rest: Parameters<typeof cgroupCase>): BoxCase {
  const [name, path, resources] = rest;
  if (existsSync(join('/sys/fs/cgroup', controller))) return cgroupCase(...rest);
  return {
    name: `${name}: without the controller`,
    body: async (box) => {
      box.bundle((spec) => {
        spec.linux.cgroupsPath = path
          .replace('CGROUP', box.cgroup)
          .replace('RELATIVE', `${box.cgroup.slice(1)}-relative`);
        spec.linux['resources'] = resources;
      });
      expect((await box.create()).code).toBe(1);
      expect(box.log()).toContain(`cannot set ${controller} limit`);
      for (const at of cgroupsBelow(`${box.cgroup}-relative`).reverse())
        if (at.endsWith('-relative')) rmdirSync(at);
    },
  };
}

/** The directories of a process's cgroups. */
function cgroupsOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const [, controllers = '', path = ''] = line.split(':');
      const hierarchy = controllers === '' ? 'unified' : controllers.replace('name=', '');
      return join('/sys/fs/cgroup', hierarchy, path);
    });
}

function cgroupFile(pid: number, file: string): string {
  const at = cgroupsOf(pid)
    .map((dir) => join(dir, file))
    .find(existsSync);
  return at === undefined ? `(no ${file})` : readFileSync(at, 'utf8').trim();
}

/** What is the same for cgroupsPath beginning with a slash, and without one. */
function casesFor(prefix: string, path: string): BoxCase[] {
  return [
    cgroupCase(
      `${prefix}_cpus`,
      path,
      { cpu: { shares: 1024, quota: 100000, period: 50000, cpus: '0-1', mems: '0' } },
      {
        'cpu.shares': '1024',
        'cpu.cfs_quota_us': '100000',
        'cpu.cfs_period_us': '50000',
        'cpuset.cpus': '0-1',
        'cpuset.mems': '0',
      },
    ),
    cgroupCase(`${prefix}_pids`, path, { pids: { limit: 1000 } }, { 'pids.max': /^1[0-9]{3}$/ }),
    cgroupCase(
      `${prefix}_blkio`,
      path,
      { blockIO: { weight: 500 } },
      { 'blkio.weight': /^500$|no blkio/, 'blkio.bfq.weight': /500|no blkio/ },
    ),
    cgroupCase(
      `${prefix}_devices`,
      path,
      {
        devices: [
          { allow: false, access: 'rwm' },
          { allow: true, type: 'c', major: 10, minor: 200, access: 'rw' },
        ],
      },
      { 'devices.list': /c 10:200 rw/ },
    ),
    optionalCgroupCase(
      'hugetlb',
      `${prefix}_hugetlb`,
      path,
      { hugepageLimits: [{ pageSize: '2MB', limit: 56892210544640 }] },
      { 'hugetlb.2MB.limit_in_bytes': '56892210544640' },
    ),
    optionalCgroupCase(
      'net_cls',
      `${prefix}_network`,
      path,
      { network: { classID: 255, priorities: [{ name: 'lo', priority: 10 }] } },
      { 'net_cls.classid': '255', 'net_prio.ifpriomap': /^lo 10$/m },
    ),
  ];
}

boxCases('validation of cgroups', [
  cgroupCase(
    'linux_cgroups_memory',
    'CGROUP/a',
    {
      memory: {
        limit: 50593792,
        reservation: 33554432,
        swap: 50593792,
        disableOOMKiller: false,
        swappiness: 10,
      },
    },
    {
      'memory.limit_in_bytes': '50593792',
      'memory.soft_limit_in_bytes': '33554432',
      'memory.memsw.limit_in_bytes': /50593792|no memory/,
    },
  ),
  cgroupCase(
    'linux_cgroups_relative_memory',
    'RELATIVE/a',
    { memory: { limit: 50593792 } },
    { 'memory.limit_in_bytes': '50593792' },
  ),
  ...casesFor('linux_cgroups', 'CGROUP/a'),
  ...casesFor('linux_cgroups_relative', 'RELATIVE/a'),
]);

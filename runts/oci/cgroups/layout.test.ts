// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseLayout } from './layout.ts';
import { planCgroup } from './plan.ts';

const hybridMounts = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:39 / /sys/fs/cgroup/other rw,relatime - cgroup cgroup rw,name=other
43 31 0:32 / /mnt/a\\040copy rw,relatime - cgroup cgroup rw,memory
`;
const hybridOwn = `9:name=systemd:/
4:memory:/a/b
2:cpu,cpuacct:/
0::/x/y
`;
const v2Mounts = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';

const hybrid = parseLayout(hybridMounts, hybridOwn, () => true);
const v2 = parseLayout(v2Mounts, '0::/user.slice/shell.scope\n', () => true);
const cgroupfs = { systemd: false, rootless: false } as const;
const paths = (path: string | undefined, layout = hybrid): string[] =>
  planCgroup(path, 'id', { ...cgroupfs, layout }).directories.map((each) => each.path);

describe('the layout', () => {
  it('has each hierarchy once, at its usual place', () => {
    expect(hybrid.kind).toBe('hybrid');
    expect(hybrid.hierarchies.map((each) => [each.controllers.join(), each.mountPoint])).toEqual([
      ['cpu,cpuacct', '/sys/fs/cgroup/cpu,cpuacct'],
      ['memory', '/sys/fs/cgroup/memory'],
      ['name=systemd', '/sys/fs/cgroup/systemd'],
      ['', '/sys/fs/cgroup/unified'],
    ]);
  });

  it('takes a copy elsewhere when the usual place is covered', () => {
    const covered = parseLayout(hybridMounts, hybridOwn, (path) => !path.endsWith('/memory'));
    expect(covered.hierarchies.map(({ mountPoint }) => mountPoint)).toContain('/mnt/a copy');
  });

  it('knows v2 alone, and nothing at all', () => {
    expect(v2.kind).toBe('v2');
    expect(parseLayout('', '', () => true)).toEqual({ kind: 'none', hierarchies: [] });
    // OpenRC and others keep a named v1 hierarchy beside v2.
    const named = `${v2Mounts}40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n`;
    expect(parseLayout(named, '1:name=systemd:/\n0::/\n', () => true).kind).toBe('v2');
  });

  it('counts from the root of a mount that shows a part only', () => {
    const mounts = '1 2 0:1 /docker/c /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n';
    const own = (path: string): string | undefined =>
      parseLayout(mounts, `1:memory:${path}\n`, () => true).hierarchies[0]?.own;
    expect(own('/docker/c')).toBe('/');
    expect(own('/docker/c/x')).toBe('/x');
    expect(own('/elsewhere')).toBe('/');
  });
});

describe('a plan', () => {
  it('counts an absolute path from the roots', () => {
    expect(paths('/docker/id')).toEqual([
      '/sys/fs/cgroup/cpu,cpuacct/docker/id',
      '/sys/fs/cgroup/memory/docker/id',
      '/sys/fs/cgroup/systemd/docker/id',
      '/sys/fs/cgroup/unified/docker/id',
    ]);
  });

  it('counts a relative one from where the caller is; in v2 from above that', () => {
    expect(paths('foo/c').slice(0, 2)).toEqual([
      '/sys/fs/cgroup/cpu,cpuacct/foo/c',
      '/sys/fs/cgroup/memory/a/b/foo/c',
    ]);
    expect(paths('foo/c', v2)).toEqual(['/sys/fs/cgroup/user.slice/foo/c']);
  });

  it('is the id, relative, where nothing is asked', () => {
    expect(paths(undefined)[1]).toBe('/sys/fs/cgroup/memory/a/b/id');
    expect(paths('')).toEqual(paths(undefined));
    expect(planCgroup('', 'id', { ...cgroupfs, layout: v2 }).isOptional).toBe(true);
  });

  it('never leaves a hierarchy, nor is its root', () => {
    expect(paths('/../../etc/c', v2)).toEqual(['/sys/fs/cgroup/etc/c']);
    expect(paths('../../../c', v2)).toEqual(['/sys/fs/cgroup/user.slice/c']);
    for (const path of ['/', '/a/..', '.', '..'])
      expect(() => paths(path)).toThrow('a container needs one of its own');
  });
});

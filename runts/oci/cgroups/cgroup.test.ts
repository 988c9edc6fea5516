// SPDX-License-Identifier: Apache-2.0
// Real cgroups, where this machine lets us make some: as root, with the hierarchies writable.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Resources } from '../spec/types.ts';
import { type Cgroup, type CgroupState, restoreCgroup } from './cgroup.ts';
import { createCgroup } from './create-cgroup.ts';
import { type CgroupLayout, discoverLayout } from './layout.ts';
import { planCgroup } from './plan.ts';
import { renderStatsEvent } from './stats.ts';

const layout = discoverLayout();
const unified = layout.hierarchies.filter(({ version }) => version === 2);
/** The v2 mount of a hybrid machine alone: without controllers, but with kill and freeze. */
const unifiedOnly: CgroupLayout = { kind: 'v2', hierarchies: unified };
const mayMake = layout.kind !== 'none' && probe();
const hasV1 =
  mayMake && ['memory', 'cpu', 'pids', 'cpuset', 'freezer'].every((name) => directoryOf(name));
const hasV2 = mayMake && unified.length > 0;

const made: Cgroup[] = [];
const children: ChildProcess[] = [];
let serial = 0;

function probe(): boolean {
  const parent = layout.hierarchies[0]?.mountPoint ?? '/';
  const directory = join(parent, `runts-probe-${process.pid}`);
  try {
    mkdirSync(directory);
    rmdirSync(directory);
    return true;
  } catch {
    return false;
  }
}

function directoryOf(controller: string): string | undefined {
  return layout.hierarchies.find(({ controllers }) => controllers.includes(controller))?.mountPoint;
}

const root = (): string => `/runts-test-${process.pid}`;
const nextPath = (): string => `${root()}/${++serial}`;

function create(
  resources: Resources = {},
  place: CgroupLayout = layout,
  path = nextPath(),
): Cgroup {
  const options = { systemd: false, rootless: false, layout: place };
  const cgroup = createCgroup(planCgroup(path, 'id', options), resources);
  made.push(cgroup);
  return cgroup;
}

/** A process in the cgroup, joined as the front joins. */
async function inhabit(cgroup: Cgroup, command = 'sleep 100'): Promise<number> {
  const joins = cgroup.procsFiles().map((file) => `echo 0 > '${file}'; `);
  const child = spawn('/bin/sh', ['-c', `${joins.join('')} echo in; exec ${command}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child.pid ?? -1;
}

function value(controller: string, cgroup: Cgroup, file: string): string | undefined {
  const directory = cgroup
    .toJSON()
    .directories.find((each) => each.controllers.includes(controller));
  try {
    return readFileSync(join(directory?.path ?? '/', file), 'utf8').trim();
  } catch {
    return undefined;
  }
}

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const cgroup of made.splice(0)) {
    cgroup.thaw();
    cgroup.kill();
    await cgroup.remove();
  }
  for (const { mountPoint } of layout.hierarchies) {
    const left = join(mountPoint, root());
    if (existsSync(left)) rmdirSync(left);
  }
});

describe('a cgroup', () => {
  it.runIf(mayMake)('is told of before it is there', () => {
    const plan = planCgroup(nextPath(), 'id', { systemd: false, rootless: false, layout });
    let told: readonly string[] = [];
    const cgroup = createCgroup(plan, {}, ({ directories }) => {
      told = directories.map(({ path }) => path).filter((path) => !existsSync(path));
    });
    made.push(cgroup);
    expect(told).toEqual(cgroup.toJSON().directories.map(({ path }) => path));
  });

  it.runIf(mayMake)('is there in every hierarchy, and gone in every one afterwards', async () => {
    const cgroup = create();
    const paths = cgroup.toJSON().directories.map(({ path }) => path);
    expect(paths.length).toBe(layout.hierarchies.length);
    expect(paths.every((path) => existsSync(path))).toBe(true);
    const pid = await inhabit(cgroup);
    expect(cgroup.pids(true)).toEqual([pid]);
    const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
    const joined = lines.filter((line) => line.includes(root()));
    expect(joined.length).toBe(layout.hierarchies.length);
    expect(cgroup.kill()).toBe(true);
    await cgroup.remove();
    expect(paths.some((path) => existsSync(path))).toBe(false);
    await cgroup.remove();
    expect(cgroup.isFrozen()).toBe(false);
    expect(cgroup.pids(true)).toEqual([]);
  });

  it.runIf(mayMake)('comes back from the state file', async () => {
    const cgroup = create();
    const pid = await inhabit(cgroup);
    const again = restoreCgroup(JSON.parse(JSON.stringify(cgroup)) as CgroupState);
    expect(again.pids(false)).toEqual([pid]);
    expect(again.exists()).toBe(true);
    expect(again.kill()).toBe(true);
    await again.remove();
    expect(cgroup.exists()).toBe(false);
  });

  it.runIf(mayMake)('that fails leaves no directory behind', () => {
    const impossible = { unified: { 'no/such': '1' } };
    expect(() => create(impossible)).toThrow();
    for (const { mountPoint } of layout.hierarchies)
      expect(existsSync(join(mountPoint, root()))).toBe(false);
  });

  it.runIf(mayMake)('with processes of others in it leaves them alone', async () => {
    const first = create();
    const pid = await inhabit(first);
    const path = (first.toJSON().directories[0]?.path ?? '').slice(
      layout.hierarchies[0]?.mountPoint.length,
    );
    const second = create({}, layout, path);
    expect(second.warnings[0]).toContain("container's cgroup is not empty: 1 process(es) found");
    second.kill();
    await second.remove();
    expect(first.pids(false)).toEqual([pid]);
  });

  it.runIf(mayMake)('removes nothing that is no cgroup', async () => {
    const state = create().toJSON();
    const elsewhere = `/tmp/runts-no-cgroup-${process.pid}`;
    mkdirSync(elsewhere);
    const [mountPoint] = layout.hierarchies.map((each) => each.mountPoint);
    for (const path of [elsewhere, `${mountPoint}/../../../..${elsewhere}`]) {
      const directories = [{ version: 1, controllers: [], path, isShared: false }] as const;
      await restoreCgroup({ ...state, directories }).remove();
    }
    expect(existsSync(elsewhere)).toBe(true);
    rmdirSync(elsewhere);
  });
});

describe('limits of v1', () => {
  // What runc 1.1.5 had in these files for the same resources, on Linux 6.18.
  it.runIf(hasV1)("are in the files with runc's values", () => {
    const cgroup = create({
      blockIO: { weight: 0 },
      cpu: { cpus: '0', period: 100_000, quota: 50_000, shares: 512 },
      memory: {
        disableOOMKiller: true,
        limit: 67_108_864,
        reservation: 33_554_432,
        swap: 134_217_728,
      },
      pids: { limit: 100 },
    });
    const figures = [
      ['cpu', 'cpu.shares', '512'],
      ['cpu', 'cpu.cfs_period_us', '100000'],
      ['cpu', 'cpu.cfs_quota_us', '50000'],
      ['cpuset', 'cpuset.cpus', '0'],
      ['memory', 'memory.limit_in_bytes', '67108864'],
      ['memory', 'memory.soft_limit_in_bytes', '33554432'],
      ['pids', 'pids.max', '100'],
    ] as const;
    for (const [controller, file, figure] of figures)
      expect(value(controller, cgroup, file), file).toBe(figure);
    expect(value('cpuset', cgroup, 'cpuset.mems')).not.toBe('');
    expect(value('memory', cgroup, 'memory.oom_control')).toContain('oom_kill_disable 1');
    const swap = value('memory', cgroup, 'memory.memsw.limit_in_bytes');
    expect([undefined, '134217728']).toContain(swap);
  });

  it.runIf(hasV1)('grow and shrink, and stay as they were where the kernel refuses', () => {
    const cgroup = create({ memory: { limit: 1 << 26, swap: 1 << 27 }, cpu: { shares: 512 } });
    const limits = (): (string | undefined)[] =>
      ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'].map((file) =>
        value('memory', cgroup, file),
      );
    cgroup.update({ memory: { limit: 1 << 28, swap: 1 << 29 }, blockIO: { weight: 0 } });
    expect(limits()).toEqual([String(1 << 28), String(1 << 29)]);
    cgroup.update({ memory: { limit: 1 << 25, swap: 1 << 25 } });
    expect(limits()).toEqual([String(1 << 25), String(1 << 25)]);
    expect(() => {
      cgroup.update({ memory: { limit: 1 << 24 }, cpu: { shares: 1 } });
    }).toThrow('the minimum allowed cpu-shares is 2');
    expect(limits()).toEqual([String(1 << 25), String(1 << 25)]);
    expect(value('cpu', cgroup, 'cpu.shares')).toBe('512');
    cgroup.update({ pids: { limit: -1 }, cpu: { shares: 600 } });
    expect(value('pids', cgroup, 'pids.max')).toBe('max');
    expect(value('cpu', cgroup, 'cpu.shares')).toBe('600');
  });

  it.runIf(hasV1)('are refused with the name of the file, and nothing stays', () => {
    expect(() => create({ cpu: { cpus: '77' } })).toThrow(
      /failed to write "77" to .*cpuset\.cpus: /,
    );
    expect(existsSync(join(directoryOf('cpuset') ?? '/', root()))).toBe(false);
  });

  it.runIf(hasV1)('really bind: processes', async () => {
    const cgroup = create({ pids: { limit: 5 } });
    await inhabit(cgroup, "sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 50 & done; wait' 2>&-");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(cgroup.pids(true).length).toBeLessThanOrEqual(5);
    expect(cgroup.kill()).toBe(true);
  });

  it.runIf(hasV1)('really bind: memory, and a kill is seen', async () => {
    const cgroup = create({ memory: { limit: 1 << 24, swap: 1 << 24 } });
    let events = 0;
    const watch = cgroup.oomEvents(20, () => events++);
    await inhabit(cgroup, 'tail /dev/zero');
    const end = Date.now() + 60_000;
    while (events === 0 && Date.now() < end) await new Promise((done) => setTimeout(done, 20));
    watch.stop();
    expect(events).toBe(1);
    expect(cgroup.oomKills()).toBe(1);
  });

  it.runIf(hasV1)('show in the statistics, with all digits', async () => {
    const cgroup = create({ memory: { limit: 1 << 26 }, pids: { limit: 9 }, cpu: { cpus: '0' } });
    await inhabit(cgroup);
    const stats = cgroup.stats();
    expect(stats.pids).toEqual({ current: 1, limit: 9 });
    expect(stats.memory.usage.limit).toBe(1 << 26);
    expect(Number(stats.memory.usage.usage)).toBeGreaterThan(0);
    expect(stats.memory.raw?.['hierarchical_memory_limit']).toBe(1 << 26);
    expect(Number(stats.cpu.usage.total)).toBeGreaterThan(0);
    expect(stats.cpuset['cpus']).toEqual([0]);
    const line = renderStatsEvent('c', stats);
    expect(line).toMatch(/^\{"type":"stats","id":"c","data":\{"cpu":\{"usage":\{"total":\d+,/);
    const kernel = value('memory', cgroup, 'memory.kmem.limit_in_bytes');
    expect(line).toContain(`"kernel":{"limit":${kernel},`);
  });
});

describe.each([
  ['v1', layout, hasV1],
  ['v2', unifiedOnly, hasV2],
] as const)('the freezer of %s', (_, place, isThere) => {
  it.runIf(isThere)('stops everything until it thaws', async () => {
    const cgroup = create({}, place);
    const pid = await inhabit(cgroup, "sh -c 'while :; do :; done'");
    const ticks = (): number =>
      Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ')[11]);
    expect(cgroup.isFrozen()).toBe(false);
    cgroup.freeze();
    expect(cgroup.isFrozen()).toBe(true);
    const before = ticks();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(ticks()).toBe(before);
    const path = (cgroup.toJSON().directories[0]?.path ?? '').slice(
      place.hierarchies[0]?.mountPoint.length,
    );
    expect(() => create({}, place, path)).toThrow("container's cgroup unexpectedly frozen");
    cgroup.thaw();
    expect(cgroup.isFrozen()).toBe(false);
  });

  it.runIf(isThere)('does not keep a killed process', async () => {
    const cgroup = create({}, place);
    await inhabit(cgroup);
    cgroup.freeze();
    expect(cgroup.kill()).toBe(true);
    expect(cgroup.pids(true)).toEqual([]);
  });
});

describe('a cgroup of v2', () => {
  it.runIf(hasV2)('goes with all that was made below it', async () => {
    const cgroup = create({}, unifiedOnly);
    const [path = '/'] = cgroup.toJSON().directories.map((each) => each.path);
    mkdirSync(join(path, 'inner/most'), { recursive: true });
    const pid = await inhabit(cgroup);
    writeFileSync(join(path, 'inner/most/cgroup.procs'), String(pid));
    expect(cgroup.pids(false)).toEqual([]);
    expect(cgroup.pids(true)).toEqual([pid]);
    expect(cgroup.kill()).toBe(true);
    await cgroup.remove();
    expect(existsSync(path)).toBe(false);
  });

  it.runIf(hasV2 && layout.kind === 'hybrid')('says which controller is missing', () => {
    expect(() => create({ pids: { limit: 5 } }, unifiedOnly)).toThrow(
      'cannot set pids.max: the controller pids is not available in ',
    );
  });
});

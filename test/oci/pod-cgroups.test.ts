// SPDX-License-Identifier: Apache-2.0
// The guest processes of each container of a pod are in that container's cgroups: what binds and
// counts there binds and counts them, and pausing one rests that one alone (docs/oci.md, Pods).
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { ended, startInPod, startPod } from './support/pod.ts';
import { type Spec, script } from './support/spec.ts';

const MIB = 1024 * 1024;

/** The directory of a controller's cgroup of container `id`: of v1, else of v2. */
function directoryOf(box: Box, id: string, controller: string): string {
  const v1 = join('/sys/fs/cgroup', controller, box.cgroup, id);
  if (existsSync(v1)) return v1;
  const unified = join('/sys/fs/cgroup', box.cgroup, id);
  return existsSync(unified) ? unified : join('/sys/fs/cgroup/unified', box.cgroup, id);
}

function value(box: Box, id: string, controller: string, file: string): string {
  return readFileSync(join(directoryOf(box, id, controller), file), 'latin1').trim();
}

function pidsIn(box: Box, id: string, controller: string): number[] {
  const text = value(box, id, controller, 'cgroup.procs');
  return text === '' ? [] : text.split('\n').map(Number);
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

const controllers = 'cpu cpuacct cpuset memory devices freezer blkio pids unified'.split(' ');

/** Those controllers that this host has a v1 or the one v2 hierarchy for. */
function hierarchies(box: Box, id: string): string[] {
  return controllers.filter((name) => existsSync(directoryOf(box, id, name)));
}

async function guests(box: Box, id: string): Promise<number[]> {
  const ran = await box.do('ps', ['--format', 'json', id]);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  return JSON.parse(ran.stdout) as number[];
}

function cpuNs(box: Box, id: string): number {
  const file = join(directoryOf(box, id, 'cpuacct'), 'cpuacct.usage');
  if (existsSync(file)) return Number(readFileSync(file, 'latin1'));
  return field(value(box, id, 'cpu', 'cpu.stat'), 'usage_usec') * 1000;
}

const busy = 'while :; do :; done';

boxCases('pod cgroups', [
  {
    name: 'hold the processes of their container: forked, executed, and of exec',
    only: 'runts',
    body: async (box) => {
      await startPod(box);
      await startInPod(box, 'a', (spec) =>
        script(spec, 'sleep 1000 & (sleep 1000; :) & echo up; exec sh -c "sleep 1000; :"'),
      );
      await startInPod(box, 'b', (spec) => script(spec, 'exec sleep 1000'));
      const held = box.do('exec', ['a', 'sh', '-c', 'echo >/exec; sleep 1000; :']);
      await box.until(
        async () => (await box.do('exec', ['a', 'test', '-e', '/exec'])).code === 0,
        'exec is there',
      );
      await box.until(async () => (await guests(box, 'a')).length === 7, 'all of a');
      const [ofPod, ofA, ofB] = [
        await guests(box, 'pod'),
        await guests(box, 'a'),
        await guests(box, 'b'),
      ];
      for (const name of hierarchies(box, 'a')) {
        expect(pidsIn(box, 'pod', name), name).toEqual(expect.arrayContaining(ofPod));
        expect(pidsIn(box, 'a', name), name).toEqual(expect.arrayContaining(ofA));
        expect(pidsIn(box, 'b', name), name).toEqual(expect.arrayContaining(ofB));
        const others = [...pidsIn(box, 'pod', name), ...pidsIn(box, 'b', name)];
        expect(others.filter((pid) => ofA.includes(pid))).toEqual([]);
      }
      // Who the Sentry waits for is where it is itself.
      const gofers = (id: string): number[] =>
        pidsIn(box, id, 'pids').filter((pid) => commandOf(pid).startsWith('runts-gofer'));
      expect([gofers('pod').length, gofers('a'), gofers('b')]).toEqual([3, [], []]);
      const a = directoryOf(box, 'a', 'memory');
      expect(await box.do('delete', ['--force', 'a'])).toMatchObject({ code: 0 });
      expect((await held).code).toBe(137);
      expect(existsSync(a)).toBe(false);
      for (const pid of ofA) expect(existsSync(`/proc/${pid}/exe`), String(pid)).toBe(false);
      expect((await box.do('exec', ['b', 'true'])).code).toBe(0);
    },
  },
  {
    name: 'bind and count: processor time',
    only: 'runts',
    body: async (box) => {
      await startPod(box);
      await startInPod(box, 'a', (spec) => {
        spec.linux['resources'] = { cpu: { quota: 5000, period: 100_000 } };
        script(spec, busy);
      });
      await startInPod(box, 'b', (spec) => script(spec, busy));
      const throttled = (id: string): number =>
        field(value(box, id, 'cpu', 'cpu.stat'), 'nr_throttled');
      await box.until(() => throttled('a') > 2, 'a is throttled');
      expect(throttled('b')).toBe(0);
      const before = cpuNs(box, 'b');
      await box.until(() => cpuNs(box, 'b') > before + 50e6, 'b counts');
      const stats = await box.do('events', ['--stats', 'b']);
      const { data } = JSON.parse(stats.stdout) as { data: { cpu: { usage: { total: number } } } };
      expect(data.cpu.usage.total).toBeGreaterThan(50e6);
    },
  },
  {
    name: 'bind and count: memory; what is killed is told, and a guest goes before what serves it',
    only: 'runts',
    body: async (box) => {
      await startPod(box, (spec) => {
        spec.process.oomScoreAdj = -998;
      });
      await startInPod(box, 'a', (spec: Spec) => {
        spec.process.oomScoreAdj = 500;
        spec.linux['resources'] = { memory: { limit: 96 * MIB, swap: 96 * MIB } };
        script(spec, 'head -c 300000000 /dev/zero | tail >/dev/null; echo $?; exec sleep 1000');
      });
      // Where the Sentry asks for more before the kernel has reaped tail(1), the shell is killed as well.
      const hasEnded = async (): Promise<boolean> => (await box.state('a')).status === 'stopped';
      await box.until(async () => box.output('a') !== '' || (await hasEnded()), 'a is killed');
      if (!(await hasEnded())) expect(box.output('a'), box.said('a')).toBe('137\n');
      expect(field(value(box, 'a', 'memory', 'memory.oom_control'), 'oom_kill')).toBeGreaterThan(0);
      expect((await box.state('pod')).status).toBe('running');
      expect(box.log()).not.toContain('gofer');
    },
  },
  {
    name: 'rest one by one: the others go on meanwhile, and nothing is lost',
    only: 'runts',
    body: async (box) => {
      await startPod(box);
      // Forks, executes, writes to its Gofer.
      const work = `n=0; while :; do n=$((n+1)); echo $n >/next; mv /next /count; ls /bin | wc -l >/dev/null; sleep 0.02; done`;
      for (const id of ['a', 'b']) await startInPod(box, id, (spec) => script(spec, work));
      const count = (id: string): number => {
        const file = join(box.dir, 'bundles', id, 'rootfs/count');
        return existsSync(file) ? Number(readFileSync(file, 'latin1')) : 0;
      };
      const goesOn = async (id: string): Promise<void> => {
        const before = count(id);
        await box.until(() => count(id) > before + 2, `${id} goes on`);
      };
      for (let round = 0; round < 2; round++) {
        await goesOn('a');
        expect(await box.do('pause', ['a'])).toMatchObject({ code: 0 });
        expect((await box.state('a')).status).toBe('paused');
        const before = count('a');
        await goesOn('b');
        expect(await box.do('exec', ['b', 'true'])).toMatchObject({ code: 0 });
        expect((await box.do('exec', ['a', 'true'])).code).not.toBe(0);
        await new Promise((resolve) => setTimeout(resolve, round === 0 ? 1500 : 50));
        expect(count('a')).toBe(before);
        expect(await box.do('resume', ['a'])).toMatchObject({ code: 0 });
      }
      await goesOn('a');
      // One that is paused can be killed, and deleted.
      for (const id of ['a', 'b']) expect((await box.do('pause', [id])).code).toBe(0);
      expect(await box.do('kill', ['a', 'KILL'])).toMatchObject({ code: 0 });
      await ended(box, 'a', 137);
      expect(await box.do('delete', ['--force', 'b'])).toMatchObject({ code: 0 });
      expect(box.log()).not.toContain('host process');
      expect((await box.do('exec', ['pod', 'true'])).code).toBe(0);
    },
  },
  {
    name: 'take nobody else in: a Sentry that names a process of the host moves none',
    only: 'runts',
    body: async (box) => {
      await startPod(box);
      await startInPod(box, 'a', (spec) => script(spec, 'exec sleep 1000'));
      const foreign = spawn('sleep', ['1000'], { stdio: 'ignore' });
      try {
        const before = readFileSync(`/proc/${foreign.pid}/cgroup`, 'latin1');
        const sentry = parentOf((await guests(box, 'pod'))[0] as number);
        const own = childrenOf(sentry);
        for (const name of hierarchies(box, 'a')) {
          // As the Sentry: in its namespaces, with the descriptor that it was given.
          const list = openSync(join(directoryOf(box, 'a', name), 'cgroup.procs'), 'w');
          const front = box.pid('a');
          const text = `for p in ${foreign.pid} ${front} ${process.pid} $(seq 2 400); do echo $p >&3; done 2>/dev/null`;
          const args = ['-t', String(sentry), '-U', '-p', '--preserve-credentials', 'sh', '-c'];
          spawnSync('nsenter', [...args, text], { stdio: ['ignore', 'ignore', 'ignore', list] });
          closeSync(list);
          // The number of one of its threads moves the Sentry itself, whose memory counts there then.
          const kin = (pid: number): boolean =>
            pid === front || pid === sentry || !isLeftOver(pid, front);
          // New stubs come, and who wrote the numbers goes: a foreign process would stay.
          const strangers = (): number[] =>
            pidsIn(box, 'a', name).filter((pid) => isLeftOver(pid, sentry) && !kin(pid));
          await box.until(() => strangers().length === 0, `no stranger in ${name}`);
          // It reached what is its own: the test tests something.
          expect(pidsIn(box, 'a', name)).toEqual(expect.arrayContaining(own));
        }
        expect(readFileSync(`/proc/${foreign.pid}/cgroup`, 'latin1')).toBe(before);
      } finally {
        foreign.kill('SIGKILL');
      }
    },
  },
]);

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
}

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** It is there, and no child of that process. One may end while it is looked at. */
function isLeftOver(pid: number, parent: number): boolean {
  try {
    return parentOf(pid) !== parent;
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  return text.split(' ').map(Number);
}

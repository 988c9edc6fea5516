// SPDX-License-Identifier: Apache-2.0
// Limits of one container of a pod: its own processes and memory count, and nobody else's
// (docs/oci.md, Limits).
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Box, boxCases } from './support/box.ts';
import { ended, startInPod, startPod } from './support/pod.ts';
import { mount, type Spec, script } from './support/spec.ts';

const MIB = 1024 * 1024;

/** Sleeps with what it was allowed; the cgroup's files are the Sentry's. */
function limited(spec: Spec, resources: Record<string, unknown>, text: string): void {
  spec.mounts.push(mount('/sys/fs/cgroup', 'cgroup2', 'cgroup', 'ro'));
  spec.linux['resources'] = resources;
  script(spec, text);
}

/** As many processes as there may be; what is left of a name in a cgroup file then. */
const forkAll = `f() { sleep 1000 & }; (while f; do :; done) 2>/dev/null
read now </sys/fs/cgroup/pids.current; read refused </sys/fs/cgroup/pids.events; read most </sys/fs/cgroup/pids.max
echo $now $refused $most; exec sleep 1000`;

async function inside(box: Box, id: string, text: string): Promise<string> {
  const ran = await box.do('exec', [id, '/bin/sh', '-c', text]);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  return ran.stdout.trim();
}

/** By the container's own cgroup. */
function hostKills(box: Box, id: string): number {
  const v1 = join('/sys/fs/cgroup/memory', box.cgroup, id, 'memory.oom_control');
  const file = existsSync(v1) ? v1 : join('/sys/fs/cgroup', box.cgroup, id, 'memory.events');
  return Number(/^oom_kill (\d+)$/m.exec(readFileSync(file, 'latin1'))?.[1]);
}

boxCases('pod limits', [
  {
    name: 'of processes hold for each container',
    only: 'runts',
    body: async (box) => {
      await startPod(box, (spec) => limited(spec, { pids: { limit: 3 } }, 'exec sleep 1000'));
      for (const [id, limit] of [
        ['a', 10],
        ['b', 25],
      ] as const) {
        // The first takes all that it may, the second is as free as before.
        await startInPod(box, id, (spec) => {
          limited(spec, { pids: { limit } }, forkAll);
        });
        await box.until(() => box.output(id) !== '', `${id} is full`);
        // The shell that counted has ended by then.
        expect(box.output(id)).toBe(`${limit - 1} max 1 ${limit}\n`);
      }
      expect(await inside(box, 'pod', 'cat /sys/fs/cgroup/pids.current')).toBe('2');
      // One more, and no second.
      expect(await inside(box, 'a', 'read n </sys/fs/cgroup/pids.current; echo $n')).toBe('10');
      const refused = await box.do('exec', ['a', '/bin/sh', '-c', 'sleep 0; echo no']);
      expect(refused.code).not.toBe(0);
      expect((await box.do('kill', ['a', 'KILL'])).code).toBe(0);
      await ended(box, 'a', 137);
      expect(await inside(box, 'b', 'read n </sys/fs/cgroup/pids.current; echo $n')).toBe('25');
    },
  },
  {
    name: 'of memory are shown to each container, and bind it alone',
    only: 'runts',
    body: async (box) => {
      const text = 'exec sleep 1000';
      await startPod(box);
      await startInPod(box, 'a', (spec) => {
        limited(spec, { memory: { limit: 64 * MIB } }, text);
      });
      await startInPod(box, 'b', (spec) => {
        limited(spec, { memory: { limit: 300 * MIB } }, text);
      });
      const show = 'cat /sys/fs/cgroup/memory.max; sed -n "s/^MemTotal: *//p" /proc/meminfo';
      expect(await inside(box, 'a', show)).toBe(`${64 * MIB}\n65536 kB`);
      expect(await inside(box, 'b', show)).toBe(`${300 * MIB}\n307200 kB`);
      const eat = (): ReturnType<Box['do']> =>
        box.do('exec', ['a', '/bin/sh', '-c', 'head -c 150000000 /dev/zero | tail >/dev/null']);
      expect((await eat()).code).toBe(137);
      const kills = 'sed -n "s/^oom_kill //p" /sys/fs/cgroup/memory.events';
      expect(Number(await inside(box, 'a', kills))).toBe(hostKills(box, 'a'));
      expect(hostKills(box, 'a')).toBeGreaterThan(0);
      expect(await inside(box, 'b', kills)).toBe('0');
      const enough = 'head -c 150000000 /dev/zero | tail | wc -c';
      expect(await inside(box, 'b', enough)).toBe('150000000');
      // The first process of a container is not spared.
      await startInPod(box, 'c', (spec) => {
        limited(
          spec,
          { memory: { limit: 32 * MIB } },
          'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done',
        );
      });
      await ended(box, 'c', 137);
      expect((await box.state('b')).status).toBe('running');
      // One that is changed holds for its container from then on, and is shown.
      const larger = ['--memory', '400M', '--pids-limit', '50'];
      expect(await box.do('update', [...larger, 'a'])).toMatchObject({ code: 0 });
      const now = 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max';
      expect(await inside(box, 'a', now)).toBe(`${400 * MIB}\n50`);
      expect(await inside(box, 'a', enough)).toBe('150000000');
      expect(await inside(box, 'b', now)).toBe(`${300 * MIB}\nmax`);
    },
  },
]);

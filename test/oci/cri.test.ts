// SPDX-License-Identifier: Apache-2.0
// Pods over containerd's CRI, as a kubelet asks for them.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { commandLine } from '../lifecycle/sandbox-processes.ts';
import { processesIn } from './engines/daemons.ts';
import { call, criSuite, exec, exited, mode, one, refused, status } from './support/cri-pod.ts';

criSuite('cri', () => {
  one('two containers of a pod', async (pod) => {
    const shared = join(pod.logs, 'shared');
    mkdirSync(shared);
    const mounts = { 7: [{ 1: '/shared', 2: shared }] };
    const first = await pod.container(
      'first',
      'echo hello; echo mine >/own; exec sleep 1000',
      mounts,
    );
    const second = await pod.container(
      'second',
      'until [ -e /shared/f ]; do sleep 0.05; done; cat /shared/f; sleep 1000',
      mounts,
    );
    expect(await exec(first, 'sh', '-c', 'echo words >/shared/f; cat /own; exit 4')).toEqual({
      code: 4,
      out: 'mine\n',
      err: '',
    });
    expect(await exec(second, 'sh', '-c', 'ls /own; hostname')).toMatchObject({
      code: 0,
      out: `${pod.hostname}\n`,
      err: expect.stringMatching(/No such file/),
    });
    // Each is pid 1 of its own.
    for (const id of [first, second]) {
      expect(
        (await exec(id, 'sh', '-c', 'cat /proc/1/comm; ls /proc | grep -c "^[0-9]"')).out,
      ).toMatch(/^(sh|sleep)\n[1-6]\n$/);
    }
    await pod.says('first', 'hello\n');
    await pod.says('second', 'words\n');
    if (pod.runtime.name === 'runts') {
      const sentries = processesIn(pod.cgroup).filter((pid) =>
        commandLine(pid).startsWith('runts-sentry'),
      );
      expect(sentries).toHaveLength(1);
    }
    // One ends, the other does not notice.
    await call('StopContainer', { 1: first, 2: 0 });
    expect((await status(first)).number(7)).toBe(137);
    await call('RemoveContainer', { 1: first });
    expect((await exec(second, 'echo', 'alive')).out).toBe('alive\n');
    const third = await pod.container('third', 'exit 3');
    expect((await exited(third)).number(7)).toBe(3);
  });

  one(
    'one PID namespace for the pod',
    async (pod) => {
      await pod.container('first', 'exec sleep 777');
      const second = await pod.container('second', 'exec sleep 888');
      const { out } = await exec(second, 'ps', '-o', 'pid,args');
      expect(out).toMatch(/^ *1 /m);
      expect(out).toMatch(/sleep 777/);
      expect(out).toMatch(/sleep 888/);
    },
    { pid: mode.pod },
  );

  refused(
    "the host's PID namespace is refused in words that the kubelet shows",
    { pid: mode.node },
    'there is no pid namespace, but runts cannot share the one of the host (--pid host, hostPID)',
  );

  one('one IPC namespace for the pod', async (pod) => {
    const first = await pod.container('first', 'exec sleep 1000');
    const second = await pod.container('second', 'exec sleep 1000');
    expect(await exec(first, 'touch', '/dev/mqueue/of-the-pod')).toMatchObject({
      code: 0,
      err: '',
    });
    expect((await exec(second, 'ls', '/dev/mqueue')).out).toBe('of-the-pod\n');
  });

  one('containers reach one another through the loopback', async (pod) => {
    await pod.container('server', 'echo up; nc -l -p 7777 -e echo from the server');
    const client = await pod.container('client', 'sleep 1000');
    await pod.says('server', 'up\n');
    expect(
      (
        await exec(
          client,
          'sh',
          '-c',
          'for i in $(seq 300); do nc 127.0.0.1 7777 && break; sleep 0.1; done',
        )
      ).out,
    ).toBe('from the server\n');
  });

  one(
    'a pod on the host’s network',
    async (pod) => {
      const id = await pod.container('a', 'sleep 1000');
      expect((await exec(id, 'hostname')).out).toBe(
        readFileSync('/proc/sys/kernel/hostname', 'utf8'),
      );
    },
    { network: mode.node },
  );

  one('what cannot start', async (pod) => {
    const id = await pod.create('a', ['/no/such']);
    await expect(call('StartContainer', { 1: id })).rejects.toThrow(/no such file or directory/);
    expect((await status(id)).number(7)).toBeGreaterThan(0);
    const good = await pod.container('b', 'sleep 1000');
    await expect(exec(good, '/no/such')).rejects.toThrow(/no such file or directory/);
    expect((await exec(good, 'echo', 'alive')).out).toBe('alive\n');
  });

  one('a time-out of an exec', async (pod) => {
    const id = await pod.container('a', 'sleep 1000');
    await expect(call('ExecSync', { 1: id, 2: ['sleep', '555'], 3: 1 })).rejects.toThrow(
      /timeout|deadline/i,
    );
    for (let tries = 0; tries < 1200; tries++) {
      if (!(await exec(id, 'ps')).out.includes('sleep 555')) return;
      await sleep(50);
    }
    throw new Error('sleep 555 goes on');
  });

  one('stop lets a container end itself; stats and update', async (pod) => {
    const id = await pod.container(
      'a',
      'trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.05; done',
      { 15: { 1: { 4: 67108864 } } },
    );
    await pod.says('a', 'ready\n');
    const stats = (await call('ContainerStats', { 1: id })).message(1);
    expect(stats.message(3).message(2).number(1)).toBeGreaterThan(0);
    await call('UpdateContainerResources', { 1: id, 2: { 4: 83886080, 10: 83886080 } });
    await call('StopContainer', { 1: id, 2: 60 });
    expect((await status(id)).number(7)).toBe(5);
    await pod.says('a', 'ready\nbye\n');
  });

  one('metrics count what the guests of a container use', async (pod) => {
    const busy = await pod.container('busy', 'while :; do :; done');
    const idle = await pod.container(
      'idle',
      // The last command of all would be what the shell becomes.
      'x=$(head -c 40000000 /dev/zero | tr "\\0" x); sleep 1000; :',
    );
    const statsOf = async (id: string): Promise<{ cpuNs: number; memoryBytes: number }> => {
      const stats = (await call('ContainerStats', { 1: id })).message(1);
      const used = (field: number): number => stats.message(field).message(2).number(1);
      return { cpuNs: used(2), memoryBytes: used(3) };
    };
    const until = async (probe: () => Promise<boolean>): Promise<void> => {
      while (!(await probe())) await sleep(50);
    };
    const before = await statsOf(busy);
    await until(async () => (await statsOf(busy)).cpuNs > before.cpuNs + 300e6);
    await until(async () => (await statsOf(idle)).memoryBytes > 40e6);
  });
});

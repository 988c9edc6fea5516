// Pods over containerd's CRI, as a kubelet asks for them.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject } from 'vitest';
import { commandLine } from '../lifecycle/sandbox-processes.ts';
import { itMayFail } from '../support/expected.ts';
import { cgroupsBelow, enginesIn, processesIn } from './engines/daemons.ts';
import { Cri, type Message, type Reply } from './support/cri.ts';
import { type Runtime, runtimes } from './support/runtimes.ts';

const dir = inject('enginesDir');
const NODE = 2;
const CONTAINER = 1;
const POD = 0;
const EXITED = 2;
/** With 50 ms between them: longer than anything takes. */
const TRIES = 1200;
let cri: Cri;
let pods = 0;

interface Options {
  readonly pid?: number;
  readonly network?: number;
}

/** A pod of one case: its calls. */
class Pod {
  readonly runtime: Runtime;
  readonly logs = mkdtempSync(join(tmpdir(), 'cri-logs-'));
  readonly cgroup: string;
  readonly #config: Message;
  readonly #namespaces: Message;
  id = '';

  constructor(runtime: Runtime, { pid = CONTAINER, network = POD }: Options = {}) {
    this.runtime = runtime;
    pods += 1;
    this.cgroup = `${enginesIn(dir).cgroup}/pod-${pods}`;
    this.#namespaces = { 1: network, 2: pid };
    const metadata = { 1: `pod-${pods}`, 2: `uid-${pods}`, 3: 'tests' };
    const linux = { 1: this.cgroup, 2: { 1: this.#namespaces } };
    this.#config = {
      1: metadata,
      2: network === NODE ? '' : `host-${pods}`,
      3: this.logs,
      8: linux,
    };
  }

  async run(): Promise<this> {
    const reply = await cri.call('RunPodSandbox', { 1: this.#config, 2: this.runtime.name });
    this.id = reply.text(1);
    return this;
  }

  /** Makes and starts a container; `more` are further fields of its configuration. */
  async container(name: string, script: string, more: Message = {}): Promise<string> {
    const id = await this.create(name, ['/bin/sh', '-c', script], more);
    await cri.call('StartContainer', { 1: id });
    return id;
  }

  async create(name: string, command: readonly string[], more: Message = {}): Promise<string> {
    const { 15: linux = {}, ...rest } = more;
    const config = {
      1: { 1: name },
      2: { 1: 'docker.io/local/busybox:latest' },
      3: command,
      11: `${name}.log`,
      15: { 2: { 3: this.#namespaces }, ...(linux as Message) },
      ...rest,
    };
    const reply = await cri.call('CreateContainer', { 1: this.id, 2: config, 3: this.#config });
    return reply.text(1);
  }

  /** What the container wrote, without the log's times. */
  log(name: string): string {
    const text = readFileSync(join(this.logs, `${name}.log`), 'utf8');
    return text.replace(/^\S+ (stdout|stderr) F /gm, '');
  }

  /** The log says that, or soon does: containerd writes what it has read from the container. */
  async says(name: string, wanted: string): Promise<void> {
    for (let tries = 0; tries < TRIES && this.log(name) !== wanted; tries++) await sleep(50);
    expect(this.log(name)).toBe(wanted);
  }

  /** As the kubelet, which tries again: containerd's shim may leave while it is asked to kill a container that has ended. */
  async #stop(): Promise<void> {
    try {
      await cri.call('StopPodSandbox', { 1: this.id });
    } catch (error) {
      if (!String(error).includes('ttrpc: closed')) throw error;
      await cri.call('StopPodSandbox', { 1: this.id });
    }
  }

  async remove(): Promise<void> {
    if (this.id !== '') {
      await this.#stop();
      await cri.call('RemovePodSandbox', { 1: this.id });
    }
    rmSync(this.logs, { recursive: true, force: true });
    const left = (): string[] => [
      ...processesIn(this.cgroup).map(commandLine),
      ...cgroupsBelow(this.cgroup).filter((path) => !path.endsWith(this.cgroup)),
    ];
    for (let tries = 0; tries < TRIES && left().length > 0; tries++) await sleep(50);
    expect(left()).toEqual([]);
  }
}

async function exec(
  id: string,
  ...command: string[]
): Promise<{ code: number; out: string; err: string }> {
  const reply = await cri.call('ExecSync', { 1: id, 2: command, 3: 120 });
  return { code: reply.number(3), out: reply.text(1), err: reply.text(2) };
}

async function status(id: string): Promise<Reply> {
  return (await cri.call('ContainerStatus', { 1: id })).message(1);
}

async function exited(id: string): Promise<Reply> {
  for (let tries = 0; tries < TRIES; tries++) {
    const now = await status(id);
    if (now.number(3) === EXITED) return now;
    await sleep(50);
  }
  throw new Error('never exited');
}

function one(name: string, body: (pod: Pod) => Promise<void>, options?: Options): void {
  for (const runtime of runtimes) {
    const suffix = runtime.name === 'runc' ? ' (runc)' : '';
    itMayFail(`${name}${suffix}`, `oci/cri: ${name}${suffix}`, async () => {
      const pod = new Pod(runtime, options);
      try {
        await pod.run();
        await body(pod);
      } finally {
        await pod.remove();
      }
    });
  }
}

describe.skipIf(dir === '')('cri', () => {
  beforeAll(() => {
    cri = new Cri(enginesIn(dir).env['CONTAINERD_ADDRESS'] ?? '');
  });
  afterAll(() => cri.close());

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
      out: `host-${pods}\n`,
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
    await cri.call('StopContainer', { 1: first, 2: 0 });
    expect((await status(first)).number(7)).toBe(137);
    await cri.call('RemoveContainer', { 1: first });
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
    { pid: POD },
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
    { network: NODE },
  );

  one('what cannot start', async (pod) => {
    const id = await pod.create('a', ['/no/such']);
    await expect(cri.call('StartContainer', { 1: id })).rejects.toThrow(
      /no such file or directory/,
    );
    expect((await status(id)).number(7)).toBeGreaterThan(0);
    const good = await pod.container('b', 'sleep 1000');
    await expect(exec(good, '/no/such')).rejects.toThrow(/no such file or directory/);
    expect((await exec(good, 'echo', 'alive')).out).toBe('alive\n');
  });

  one('a time-out of an exec', async (pod) => {
    const id = await pod.container('a', 'sleep 1000');
    await expect(cri.call('ExecSync', { 1: id, 2: ['sleep', '555'], 3: 1 })).rejects.toThrow(
      /timeout|deadline/i,
    );
    for (let tries = 0; tries < TRIES; tries++) {
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
    const stats = (await cri.call('ContainerStats', { 1: id })).message(1);
    expect(stats.message(3).message(2).number(1)).toBeGreaterThan(0);
    await cri.call('UpdateContainerResources', { 1: id, 2: { 4: 83886080, 10: 83886080 } });
    await cri.call('StopContainer', { 1: id, 2: 60 });
    expect((await status(id)).number(7)).toBe(5);
    await pod.says('a', 'ready\nbye\n');
  });
});

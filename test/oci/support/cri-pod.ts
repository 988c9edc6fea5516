// SPDX-License-Identifier: Apache-2.0
// Pods of tests over containerd's CRI: one of each runtime for a case, removed afterwards, with
// nothing left behind. Numbers of fields: Kubernetes' cri-api, runtime/v1/api.proto.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject } from 'vitest';
import { commandLine } from '../../lifecycle/sandbox-processes.ts';
import { itMayFail } from '../../support/expected.ts';
import { cgroupsBelow, enginesIn, processesIn } from '../engines/daemons.ts';
import { Cri, type Message, type Reply } from './cri.ts';
import { type Runtime, runtimes } from './runtimes.ts';

/** NamespaceMode. */
export const mode = { pod: 0, container: 1, node: 2 } as const;
/** ContainerState. */
export const RUNNING = 1;
const EXITED = 2;
/** With 50 ms between them: longer than anything takes. */
const TRIES = 1200;

const dir = inject('enginesDir');
let cri: Cri;
let group = '';
let pods = 0;

export interface Options {
  readonly pid?: number;
  readonly network?: number;
  readonly ipc?: number;
  /** Further fields of LinuxPodSandboxConfig. */
  readonly linux?: Message;
  /** Further fields of LinuxSandboxSecurityContext. */
  readonly security?: Message;
  /** Further fields of PodSandboxConfig. */
  readonly more?: Message;
}

/** Cases of one file; `one` makes them. */
export function criSuite(name: string, fill: () => void): void {
  group = name;
  describe.skipIf(dir === '')(name, () => {
    beforeAll(() => {
      cri = new Cri(enginesIn(dir).env['CONTAINERD_ADDRESS'] ?? '');
    });
    afterAll(() => cri.close());
    fill();
  });
}

/** A pod with each runtime. */
export function one(name: string, body: (pod: Pod) => Promise<void>, options?: Options): void {
  for (const runtime of runtimes) {
    const suffix = runtime.name === 'runc' ? ' (runc)' : '';
    itMayFail(`${name}${suffix}`, `oci/${group}: ${name}${suffix}`, async () => {
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

/** A pod that runts refuses; the kubelet is told `text`, and nothing is left of the pod. */
export function refused(name: string, options: Options, text: string): void {
  for (const runtime of runtimes.filter((each) => each.name === 'runts')) {
    itMayFail(name, `oci/${group}: ${name}`, async () => {
      const pod = new Pod(runtime, options);
      try {
        await expect(pod.run()).rejects.toThrow(text);
      } finally {
        await pod.remove();
      }
    });
  }
}

export function call(method: string, request: Message): Promise<Reply> {
  return cri.call(method, request);
}

/** A pod of one case: its calls. */
export class Pod {
  readonly runtime: Runtime;
  readonly logs = mkdtempSync(join(tmpdir(), 'cri-logs-'));
  readonly cgroup: string;
  readonly hostname: string;
  readonly #config: Message;
  readonly #namespaces: Message;
  id = '';

  constructor(runtime: Runtime, options: Options = {}) {
    const { pid = mode.container, network = mode.pod, ipc = mode.pod } = options;
    this.runtime = runtime;
    pods += 1;
    // Other files of tests have pods beside these.
    const name = `${group}-${pods}`;
    this.hostname = `host-${pods}`;
    this.cgroup = `${enginesIn(dir).cgroup}/${name}`;
    this.#namespaces = { 1: network, 2: pid, 3: ipc };
    this.#config = {
      1: { 1: name, 2: `uid-${name}`, 3: 'tests' },
      2: network === mode.node ? '' : this.hostname,
      3: this.logs,
      8: { 1: this.cgroup, 2: { 1: this.#namespaces, ...options.security }, ...options.linux },
      ...options.more,
    };
  }

  async run(): Promise<this> {
    const reply = await call('RunPodSandbox', { 1: this.#config, 2: this.runtime.name });
    this.id = reply.text(1);
    return this;
  }

  /** Makes and starts a container; `more` are further fields of its configuration. */
  async container(name: string, script: string, more: Message = {}): Promise<string> {
    const id = await this.create(name, ['/bin/sh', '-c', script], more);
    await call('StartContainer', { 1: id });
    return id;
  }

  /** One that sleeps, with further fields of LinuxContainerSecurityContext. */
  async secured(name: string, security: Message): Promise<string> {
    return await this.container(name, 'exec sleep 1000', this.security(security));
  }

  /** These fields of LinuxContainerSecurityContext, beside the namespaces. */
  security(fields: Message): Message {
    return { 15: { 2: { 3: this.#namespaces, ...fields } } };
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
    const reply = await call('CreateContainer', { 1: this.id, 2: config, 3: this.#config });
    return reply.text(1);
  }

  /** What the container wrote, without the log's times. */
  log(name: string): string {
    const text = readFileSync(join(this.logs, `${name}.log`), 'utf8');
    return text.replace(/^\S+ (stdout|stderr) F /gm, '');
  }

  async logged(name: string): Promise<string> {
    await until(() => this.log(name) !== '', `${name} writes`);
    return this.log(name);
  }

  /** The log says that, or soon does: containerd writes what it has read from the container. */
  async says(name: string, wanted: string): Promise<void> {
    for (let tries = 0; tries < TRIES && this.log(name) !== wanted; tries++) await sleep(50);
    expect(this.log(name)).toBe(wanted);
  }

  /**
   * As the kubelet, which tries again: containerd's shim may leave while it is asked to kill a
   * container that has ended.
   */
  async #stop(): Promise<void> {
    try {
      await call('StopPodSandbox', { 1: this.id });
    } catch (error) {
      if (!String(error).includes('ttrpc: closed')) throw error;
      await call('StopPodSandbox', { 1: this.id });
    }
  }

  async remove(): Promise<void> {
    if (this.id !== '') {
      await this.#stop();
      await call('RemovePodSandbox', { 1: this.id });
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

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function exec(id: string, ...command: string[]): Promise<Ran> {
  const reply = await call('ExecSync', { 1: id, 2: command, 3: 120 });
  return { code: reply.number(3), out: reply.text(1), err: reply.text(2) };
}

/** A script's output, which must succeed. */
export async function sh(id: string, script: string): Promise<string> {
  const ran = await exec(id, '/bin/sh', '-c', script);
  expect(ran, ran.err).toMatchObject({ code: 0 });
  return ran.out;
}

export async function status(id: string): Promise<Reply> {
  return (await call('ContainerStatus', { 1: id })).message(1);
}

export async function exited(id: string): Promise<Reply> {
  for (let tries = 0; tries < TRIES; tries++) {
    const now = await status(id);
    if (now.number(3) === EXITED) return now;
    await sleep(50);
  }
  throw new Error('never exited');
}

export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  tries = TRIES,
): Promise<void> {
  for (let n = 0; n < tries; n++) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`never: ${what}`);
}

// SPDX-License-Identifier: Apache-2.0
// One case on a runtime driven directly: a directory with bundles and the runtime's state, a shim, and at
// the end the search for what was left behind.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { NURSERY_SOCKET_PREFIX } from '../../../protocol/nursery.ts';
import { itMayFail } from '../../support/expected.ts';
import { cgroupsBelow, mountsBelow } from '../engines/daemons.ts';
import { busyboxRootfs } from '../engines/images.ts';
import { MiniShim, type Ran, type RunRequest } from './mini-shim.ts';
import { isRoot, lacks, type Need, ORACLE_RETRIES, type Runtime, runtimes } from './runtimes.ts';
import { plainSpec, type Spec } from './spec.ts';

/** Longest wait for anything: a failure, not a duration that is part of a test. */
const PATIENCE_MS = 60_000;

export interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: string;
  readonly pid: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface BoxCase {
  readonly name: string;
  readonly body: (box: Box) => Promise<void>;
  readonly needs?: Need;
  /** What only concerns runts: its processes, its texts. */
  readonly only?: 'runts';
}

export function boxCases(group: string, cases: readonly BoxCase[]): void {
  describe.skipIf(!isRoot).concurrent(group, () => {
    for (const { name, body, needs, only } of cases) {
      if (lacks(needs)) continue;
      for (const runtime of runtimes) {
        if (only !== undefined && runtime.name !== only) continue;
        const isOracle = runtime.name === 'runc';
        const suffix = isOracle ? ' (runc)' : '';
        const check = (): Promise<void> => withBox(runtime, body);
        const retries = isOracle ? ORACLE_RETRIES : 0;
        itMayFail(`${name}${suffix}`, `oci/${group}: ${name}${suffix}`, check, undefined, retries);
      }
    }
  });
}

async function withBox(runtime: Runtime, body: (box: Box) => Promise<void>): Promise<void> {
  const box = new Box(runtime);
  let left: readonly string[] = [];
  try {
    await body(box);
    left = await box.leftovers();
  } finally {
    await box.close();
  }
  expect(left.join('\n'), 'left behind').toBe('');
}

export class Box {
  readonly runtime: Runtime;
  readonly dir: string;
  readonly shim = new MiniShim();
  readonly cgroup: string;
  readonly #files = new Map<string, readonly string[]>();

  constructor(runtime: Runtime) {
    this.runtime = runtime;
    // Short: there are sockets below it.
    this.dir = mkdtempSync('/tmp/rb-');
    this.cgroup = `/${basename(this.dir)}`;
    mkdirSync(join(this.dir, 'state'), { mode: 0o700 });
  }

  /** A bundle with a root of its own; `change` edits the plain config.json. */
  bundle(change: (spec: Spec) => void = () => undefined, name = 'a'): string {
    const bundle = join(this.dir, 'bundles', name);
    mkdirSync(bundle, { recursive: true });
    cpSync(busyboxRootfs(), join(bundle, 'rootfs'), { recursive: true, verbatimSymlinks: true });
    prepareRoot(join(bundle, 'rootfs'));
    const spec = plainSpec('rootfs', `${this.cgroup}/${name}`);
    change(spec);
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec, undefined, 1));
    this.#files.set(bundle, [...readdirSync(bundle), 'pid', 'out', 'err', 'log.json']);
    return bundle;
  }

  /** `runtime --root ... VERB ARGS`, as an engine calls it. */
  do(verb: string, args: readonly string[] = [], request: Partial<RunRequest> = {}): Promise<Ran> {
    const argv = [this.runtime.path, ...this.flags, verb, ...args];
    return this.shim.run({ cwd: this.dir, ...request, argv });
  }

  get flags(): string[] {
    return [
      '--root',
      join(this.dir, 'state'),
      '--log',
      join(this.dir, 'log.json'),
      '--log-format',
      'json',
    ];
  }

  /** Creates container `id` of the bundle with that name; its output goes to files there. */
  create(id = 'a', more: readonly string[] = [], request: Partial<RunRequest> = {}): Promise<Ran> {
    const bundle = join(this.dir, 'bundles', id);
    const files = { stdout: join(bundle, 'out'), stderr: join(bundle, 'err') };
    const args = ['--bundle', bundle, '--pid-file', join(bundle, 'pid'), ...more, id];
    return this.do('create', args, { ...files, cwd: bundle, ...request });
  }

  /** All of create, start and the wait for the end; answers the exit status. */
  async finish(id = 'a'): Promise<number> {
    expect(await this.create(id), this.said(id)).toMatchObject({ code: 0 });
    expect(await this.do('start', [id])).toMatchObject({ code: 0, held: false });
    return this.wait(id);
  }

  /** A container that runs; its program has come as far as writing `ready`, where it does. */
  async running(change: (spec: Spec) => void = () => undefined, id = 'a'): Promise<void> {
    this.bundle(change, id);
    expect(await this.create(id), this.said(id)).toMatchObject({ code: 0 });
    expect(await this.do('start', [id])).toMatchObject({ code: 0, held: false });
  }

  async state(id = 'a'): Promise<State> {
    const ran = await this.do('state', [id]);
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    return JSON.parse(ran.stdout) as State;
  }

  pid(id = 'a'): number {
    return Number(readFileSync(join(this.dir, 'bundles', id, 'pid'), 'utf8'));
  }

  wait(id = 'a'): Promise<number> {
    return this.shim.wait(this.pid(id));
  }

  /** What the container wrote. */
  output(id = 'a', stream: 'out' | 'err' = 'out'): string {
    const file = join(this.dir, 'bundles', id, stream);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Everything that was said about a failure. */
  said(id = 'a'): string {
    return `${this.output(id, 'out')}${this.output(id, 'err')}${this.log()}`;
  }

  log(): string {
    const file = join(this.dir, 'log.json');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  async until(probe: () => boolean | Promise<boolean>, what: string): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(50))
      if (await probe()) return;
    throw new Error(`never: ${what}`);
  }

  /** A nursery whose socket is gone ends. */
  endNurseries(): void {
    const state = join(this.dir, 'state');
    for (const name of existsSync(state) ? readdirSync(state) : [])
      if (name.startsWith(NURSERY_SOCKET_PREFIX)) rmSync(join(state, name), { force: true });
  }

  /** What remains after every container was deleted. */
  async leftovers(): Promise<string[]> {
    this.endNurseries();
    const ids = existsSync(join(this.dir, 'state')) ? readdirSync(join(this.dir, 'state')) : [];
    for (const id of ids) await this.do('delete', ['--force', id]);
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(50))
      if ((await this.shim.descendants()).length === 0) break;
    const processes = (await this.shim.descendants()).map(commandLine);
    const sockets = readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`${this.dir}/state`));
    const state = readdirSync(join(this.dir, 'state'));
    const files = [...this.#files].flatMap(([bundle, known]) =>
      readdirSync(bundle).filter((name) => !known.includes(name)),
    );
    // runc gives up after five tries at a cgroup whose last process is still dying.
    const below = this.runtime.name === 'runc' ? [] : cgroupsBelow(this.cgroup);
    const cgroups = below.filter((path) => !path.endsWith(this.cgroup));
    return [...processes, ...mountsBelow(this.dir), ...cgroups, ...sockets, ...state, ...files];
  }

  async close(): Promise<void> {
    await this.shim.close();
    for (let tries = 0; tries < 20; tries++) {
      try {
        rmSync(this.dir, { recursive: true, force: true });
        break;
      } catch {
        await sleep(50);
      }
    }
    for (const path of cgroupsBelow(this.cgroup).reverse()) {
      try {
        rmdirSync(path);
      } catch {
        // Told of already.
      }
    }
  }
}

/** What the cases on masked and read-only paths are about. */
function prepareRoot(rootfs: string): void {
  for (const name of ['masked', 'readonly']) {
    writeFileSync(join(rootfs, 'etc', name), `${name}\n`);
    mkdirSync(join(rootfs, 'etc', `${name}-dir`), { recursive: true });
    writeFileSync(join(rootfs, 'etc', `${name}-dir`, 'file'), `${name}\n`);
  }
}

function commandLine(pid: number): string {
  try {
    return `${pid}: ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`;
  } catch {
    return `${pid}`;
  }
}

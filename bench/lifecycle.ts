// SPDX-License-Identifier: Apache-2.0
// What an engine asks of a runtime, operation by operation: medians, of the binary driven directly, under ctr
// and under Docker. And what idle containers cost: memory at 1, 10 and 50, and the time to start 50.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  cgroupsBelow,
  dockerCommand,
  engineObstacle,
  enginesIn,
  processesIn,
  startEngines,
  stopEngines,
} from '../test/oci/engines/daemons.ts';
import { busyboxRootfs, loadImages } from '../test/oci/engines/images.ts';
import { plainSpec } from '../test/oci/support/spec.ts';
import { root, runsc } from './engines.ts';
import { median } from './samples.ts';
import { type Figures, printTable } from './table.ts';

interface OciRuntime {
  readonly name: string;
  readonly path: string;
  /** Before the verb. */
  readonly flags: readonly string[];
}

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 12);
const DENSITIES = [1, 10, 50];
const SETTLE_MS = 3000;
const CGROUP = `/bench-${process.pid}`;

function usableRuntimes(dir: string): OciRuntime[] {
  const all: OciRuntime[] = [
    { name: 'runc', path: '/usr/sbin/runc', flags: [] },
    // Engines pass no flags of ours: a script stands before it.
    { name: 'runsc', path: wrapper(dir), flags: [] },
    { name: 'runts', path: process.env['RUNTS'] ?? join(root, 'bin/runts'), flags: [] },
  ];
  const wanted = process.env['BENCH_RUNTIMES']?.split(',');
  return all.filter(
    ({ name, path }) =>
      (wanted === undefined || wanted.includes(name)) &&
      existsSync(path) &&
      spawnSync(path, ['--version']).status === 0,
  );
}

function wrapper(dir: string): string {
  const path = join(dir, 'runsc.sh');
  writeFileSync(path, `#!/bin/sh\nexec ${runsc} --platform=systrap --network=none "$@"\n`, {
    mode: 0o755,
  });
  return path;
}

/** `names`: `idle` for the memory of idle containers alone; none for all. */
export async function lifecycleBenchmarks(names: readonly string[]): Promise<void> {
  const obstacle = engineObstacle();
  if (obstacle !== undefined) {
    console.error(`lifecycle: ${obstacle}`);
    return;
  }
  const dir = mkdtempSync('/tmp/rl-');
  try {
    const runtimes = usableRuntimes(dir);
    const columns = runtimes.map(({ name }) => name);
    if (!names.includes('idle')) {
      printTable('lifecycle, directly', 'ms', columns, direct(dir, runtimes), 'runc');
      await underEngines(runtimes, columns);
    }
    printTable('idle containers', '', columns, await density(dir, runtimes), 'runc');
  } finally {
    rmSync(dir, { recursive: true, force: true });
    for (const path of cgroupsBelow(CGROUP).reverse()) spawnSync('rmdir', [path]);
  }
}

/** The binary on a bundle, its output to nowhere, as containerd's shim has it. */
class Driver {
  readonly #runtime: OciRuntime;
  readonly #dir: string;

  constructor(dir: string, runtime: OciRuntime) {
    this.#runtime = runtime;
    this.#dir = join(dir, runtime.name);
  }

  bundle(id: string, args: readonly string[]): void {
    const bundle = join(this.#dir, id);
    spawnSync('mkdir', ['-p', bundle]);
    const spec = plainSpec(busyboxRootfs(), `${CGROUP}/${this.#runtime.name}-${id}`);
    spec.process.args = [...args];
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  }

  argv(verb: string, ...args: readonly string[]): string[] {
    return [
      this.#runtime.path,
      ...this.#runtime.flags,
      '--root',
      join(this.#dir, 'state'),
      verb,
      ...args,
    ];
  }

  create(id: string): string[] {
    const bundle = join(this.#dir, id);
    return this.argv('create', '--bundle', bundle, '--pid-file', join(bundle, 'pid'), id);
  }

  run(id: string): string[] {
    return this.argv('run', '--bundle', join(this.#dir, id), id);
  }

  /** As engines call it: with all of the process in a file. */
  exec(id: string): string[] {
    const file = join(this.#dir, id, 'process.json');
    const env = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
    const process = { args: ['echo', 'hello'], cwd: '/', env, user: { uid: 0, gid: 0 } };
    writeFileSync(file, JSON.stringify(process));
    return this.argv('exec', '--process', file, id);
  }

  /** Until the process of the pid file is gone: nobody reaps it at once here. */
  ended(id: string): void {
    const pid = readFileSync(join(this.#dir, id, 'pid'), 'utf8');
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (let tries = 0; tries < 50_000; tries++) {
      const stat = readOr(`/proc/${pid}/stat`);
      if (stat === '' || /\) [ZX] /.test(stat)) return;
      Atomics.wait(never, 0, 0, 0.1);
    }
  }
}

function direct(dir: string, runtimes: readonly OciRuntime[]): Figures {
  return measured(runtimes, (runtime, note) => {
    const driver = new Driver(dir, runtime);
    driver.bundle('a', ['sleep', '1000']);
    driver.bundle('hello', ['echo', 'hello']);
    for (let round = 0; round < ROUNDS; round++) {
      const total = performance.now();
      note('create', timed(driver.create('a')));
      note('start', timed(driver.argv('start', 'a')));
      note('state', timed(driver.argv('state', 'a')));
      note('exec echo', timed(driver.exec('a')));
      note('kill', timed(driver.argv('kill', 'a', 'KILL')));
      const killed = performance.now();
      driver.ended('a');
      note('until it has ended', performance.now() - killed);
      note('delete', timed(driver.argv('delete', 'a')));
      note('all of these', performance.now() - total);
      note('run echo hello', timed(driver.run('hello')));
    }
  });
}

async function underEngines(
  runtimes: readonly OciRuntime[],
  names: readonly string[],
): Promise<void> {
  const paths = Object.fromEntries(
    runtimes.filter(({ name }) => name !== 'runc').map(({ name, path }) => [name, { path }]),
  );
  const engines = await startEngines(paths);
  try {
    loadImages(engines);
    const { env, dir } = enginesIn(engines.dir);
    const ctr = measured(runtimes, ({ name, path }, note) => {
      const flags = [
        '--runtime',
        'io.containerd.runc.v2',
        '--runc-binary',
        path,
        '--runc-root',
        join(dir, `run/${name}`),
      ];
      const image = 'docker.io/local/busybox:latest';
      for (let round = 0; round < ROUNDS; round++) {
        note(
          'ctr run --rm echo',
          timed(['ctr', 'run', ...flags, '--rm', image, 'a', 'echo', 'hello'], env),
        );
        note('ctr run -d', timed(['ctr', 'run', ...flags, '-d', image, 'b', 'sleep', '1000'], env));
        note(
          'ctr task exec',
          timed(['ctr', 'task', 'exec', '--exec-id', `e${round}`, 'b', 'echo', 'hello'], env),
        );
        note('ctr task rm -f', timed(['ctr', 'task', 'rm', '-f', 'b'], env, false));
        timed(['ctr', 'containers', 'rm', 'b'], env, false);
      }
    });
    printTable('lifecycle, ctr', 'ms', names, ctr, 'runc');
    printTable('lifecycle, docker', 'ms', names, dockerFigures(runtimes, env), 'runc');
  } finally {
    await stopEngines(engines.dir);
  }
}

function dockerFigures(
  runtimes: readonly OciRuntime[],
  env: Readonly<Record<string, string>>,
): Figures {
  return measured(runtimes, ({ name }, note) => {
    const docker = (...args: string[]): number => timed([dockerCommand, ...args], env);
    const options = ['--runtime', name, '--network', 'none'];
    for (let round = 0; round < ROUNDS; round++) {
      note(
        'docker run --rm echo',
        docker('run', '--rm', ...options, 'local/busybox', 'echo', 'hello'),
      );
      note(
        'docker run -d',
        docker('run', '-d', '--name', 'bench', ...options, 'local/busybox', 'sleep', '1000'),
      );
      note('docker exec echo', docker('exec', 'bench', 'echo', 'hello'));
      note('docker stop -t 0', docker('stop', '-t', '0', 'bench'));
      note('docker start', docker('start', 'bench'));
      note('docker rm -f', docker('rm', '-f', 'bench'));
    }
  });
}

async function density(dir: string, runtimes: readonly OciRuntime[]): Promise<Figures> {
  const figures: Figures = new Map();
  for (const runtime of runtimes) {
    const driver = new Driver(dir, runtime);
    const ids = Array.from({ length: Math.max(...DENSITIES) }, (_, index) => `d${index}`);
    for (const id of ids) driver.bundle(id, ['sleep', '1000']);
    let running = 0;
    const set = (name: string, value: number): void => {
      const row = figures.get(name) ?? new Map<string, number>();
      figures.set(name, row.set(runtime.name, value));
    };
    try {
      for (const count of DENSITIES) {
        const before = performance.now();
        const batch = ids.slice(running, count);
        // As many at once as an engine under load would.
        await Promise.all(batch.map((id) => started(driver, id)));
        if (count === 50) set(`ms to start ${batch.length} at once`, performance.now() - before);
        running = count;
        await sleep(SETTLE_MS);
        const pids = ids
          .slice(0, count)
          .flatMap((id) => processesIn(`${CGROUP}/${runtime.name}-${id}`));
        set(`${count}: PSS each (MiB)`, memoryKib(pids, ['Pss']) / 1024 / count);
        set(
          `${count}: private each (MiB)`,
          memoryKib(pids, ['Private_Clean', 'Private_Dirty']) / 1024 / count,
        );
      }
    } catch (error) {
      console.error(`density of ${runtime.name}: ${(error as Error).message}`);
    } finally {
      for (const id of ids.slice(0, running))
        timed(driver.argv('delete', '--force', id), undefined, false);
    }
  }
  return figures;
}

async function started(driver: Driver, id: string): Promise<void> {
  for (const [program = '', ...args] of [driver.create(id), driver.argv('start', id)]) {
    const child = spawn(program, args, { stdio: 'ignore' });
    const code = await new Promise((resolve) => child.once('exit', resolve));
    if (code !== 0) throw new Error(`${args.join(' ')}: exit ${code}`);
  }
}

function memoryKib(pids: readonly number[], fields: readonly string[]): number {
  let sum = 0;
  for (const pid of pids) {
    const text = readOr(`/proc/${pid}/smaps_rollup`);
    for (const field of fields)
      sum += Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  }
  return sum;
}

type Note = (name: string, ms: number) => void;

/** Medians of what `body` notes, for each runtime; one that fails is left out of the table. */
function measured(
  runtimes: readonly OciRuntime[],
  body: (runtime: OciRuntime, note: Note) => void,
): Figures {
  const figures: Figures = new Map();
  for (const runtime of runtimes) {
    const values = new Map<string, number[]>();
    try {
      body(runtime, (name, ms) => values.set(name, [...(values.get(name) ?? []), ms]));
    } catch (error) {
      console.error(`${runtime.name}: ${(error as Error).message}`);
    }
    for (const [name, list] of values) {
      const row = figures.get(name) ?? new Map<string, number>();
      figures.set(name, row.set(runtime.name, median(list)));
    }
  }
  return figures;
}

/** Milliseconds of a command that must succeed, unless said otherwise. */
function timed(
  argv: readonly string[],
  env?: Readonly<Record<string, string>>,
  mustSucceed = true,
): number {
  const [program = '', ...args] = argv;
  const before = performance.now();
  const done = spawnSync(program, args, {
    stdio: 'ignore',
    timeout: 60_000,
    killSignal: 'SIGKILL',
    ...(env === undefined ? {} : { env: { ...env } }),
  });
  const ms = performance.now() - before;
  if (mustSucceed && done.status !== 0)
    throw new Error(`${args.join(' ')}: exit ${done.status ?? done.signal}`);
  return ms;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

